"""Trees whose leaves lie behind each other in one flat buffer.

A step of an optimiser is then one operation instead of one for each leaf, and a layer's weights and bias are one matrix
without a copy. Whoever cuts a buffer into leaves leaves a note of it here, so that it is found again from the leaves alone:
trees stay plain dicts and lists. Leaves that came from elsewhere are copied into a new buffer.
"""
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from evenflow.accel.backends import module_of, on_device
from evenflow.reference.trees import Array, Tree

_notes: dict[int, tuple[Any, dict[int, tuple[Any, int]]]] = {}  # id(buffer) -> buffer, {id(leaf): (leaf, where it starts)}


def plain_leaves(tree: Tree) -> Iterator[Array]:
    """trees.leaves for trees without autograd's boxes around dicts and lists, which take long to look at."""
    if type(tree) is dict:
        for branch in tree.values():
            yield from plain_leaves(branch)
    elif type(tree) is list:
        for branch in tree:
            yield from plain_leaves(branch)
    else:
        yield tree


def rebuilt(f: Callable[[Array], Any], tree: Tree) -> Tree:
    """trees.tree_map of one tree, likewise."""
    if type(tree) is dict:
        return {name: rebuilt(f, branch) for name, branch in tree.items()}
    if type(tree) is list:
        return [rebuilt(f, branch) for branch in tree]
    return f(tree)


def flat(tree: Tree) -> Array | None:
    """All numbers of a tree as one vector, its own buffer where it has one; None where the leaves' dtypes differ."""
    parts = [leaf for leaf in plain_leaves(tree) if leaf.size]
    if not parts or any(part.dtype != parts[0].dtype for part in parts):
        return None
    buffer, at = parts[0].base, 0
    for part in parts:
        if part.base is not buffer or start_of(part) != at:
            break
        at += part.size
    if buffer is not None and at == buffer.size:
        return buffer
    return module_of(*parts).concatenate([part.reshape(-1) for part in parts])


def packed(tree: Tree) -> Tree:
    """The same tree with its leaves in one buffer."""
    buffer = flat(tree)
    return tree if buffer is None else unpacked(buffer, tree)


def unpacked(buffer: Array, like: Tree) -> Tree:
    """A vector cut into a tree of the shapes of another, without a copy of the numbers."""
    at, leaves, key = 0, {}, id(buffer)

    def cut(leaf: Array) -> Array:
        nonlocal at
        part = buffer[at : at + leaf.size].reshape(leaf.shape)
        if not on_device(buffer):
            leaves[id(part)] = weakref.ref(part), at
        at += leaf.size
        return part

    tree = rebuilt(cut, like)
    if leaves:
        _notes[key] = weakref.ref(buffer, lambda gone: _notes.pop(key, None)), leaves
    return tree


def start_of(leaf: Array) -> int | None:
    """Where a leaf begins in the buffer that it was cut from; None for any other array.

    On the device the addresses tell; on the host NumPy takes longer over an address than all the rest does.
    """
    buffer = leaf.base
    if buffer is None or buffer.ndim != 1:
        return None
    if on_device(buffer):
        return int(leaf.data.ptr - buffer.data.ptr) // leaf.itemsize if leaf.flags.c_contiguous else None
    if id(buffer) not in _notes:
        return None
    known, leaves = _notes[id(buffer)]
    part, start = leaves.get(id(leaf), (None, 0))
    return start if known() is buffer and part is not None and part() is leaf else None


def stacked(W: Array, b: Array) -> Array:
    """[W; b], weights and bias as one matrix (fan_in + 1, fan_out)."""
    if W.shape[0] == 0:
        return b.reshape(1, -1)
    start, after = start_of(W), start_of(b)
    if start is not None and after == start + W.size and W.base is b.base:
        return W.base[start : after + b.size].reshape(W.shape[0] + 1, W.shape[1])
    return module_of(W).concatenate([W, b.reshape(1, -1)])
