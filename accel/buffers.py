"""Trees whose leaves lie behind each other in one flat buffer.

A step of an optimiser is then one operation instead of one for each leaf, and a layer's weights and bias are one matrix
without a copy. Whoever cuts a buffer into leaves leaves a note of it here, so that it is found again from the leaves alone:
trees stay plain dicts and lists. Leaves that came from elsewhere are copied into a new buffer.
"""
import itertools
import math
import operator
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from evenflow.accel.backends import module_of, on_device
from evenflow.accel.kernels.pieces import in_one
from evenflow.reference.core import Array, Tree, tree_map


@dataclass
class Note:
    """How a buffer was cut, without keeping it or its leaves alive."""
    buffer: Any         # a weak reference, as those to the leaves
    leaves: list[Any]   # in their order
    ends: list[int]     # where each begins, and where the last one ends

    def is_of(self, leaves: list[Array]) -> bool:
        return len(self.leaves) == len(leaves) and all(map(operator.is_, [ref() for ref in self.leaves], leaves))

    @cached_property
    def starts(self) -> dict[int, tuple[Any, int]]:
        """id(leaf) -> the leaf, where it begins."""
        return {id(ref()): (ref, start) for ref, start in zip(self.leaves, self.ends, strict=False)}


_notes: dict[int, Note] = {}  # id(buffer) -> its note


def plain_leaves(tree: Tree) -> list[Array]:
    """trees.leaves for trees without autograd's boxes around dicts and lists, which take long to look at."""
    found: list[Array] = []
    collect((tree,), found)
    return found


def collect(branches: Iterable[Tree], found: list[Array]) -> None:
    for branch in branches:
        if type(branch) is dict:
            collect(branch.values(), found)
        elif type(branch) is list:
            collect(branch, found)
        else:
            found.append(branch)


def outline(branches: Iterable[Tree], found: list[Array], kept: list[Any]) -> None:
    """The same, and what else there is to a tree: each dict's keys or list's length, and how many leaves came before it."""
    for branch in branches:
        if type(branch) is dict:
            kept.append((len(found), tuple(branch)))
            outline(branch.values(), found, kept)
        elif type(branch) is list:
            kept.append((len(found), len(branch)))
            outline(branch, found, kept)
        else:
            found.append(branch)


def paired(*trees: Tree) -> list[list[Array]]:
    """The leaves of each tree in the order of the first, key by key. Raises ValueError where the trees differ."""
    leaves: list[list[Array]] = [[] for _ in trees]
    outlines: list[list[Any]] = [[] for _ in trees]
    for tree, found, kept in zip(trees, leaves, outlines, strict=True):
        outline((tree,), found, kept)
    return [
        found if kept == outlines[0] else plain_leaves(tree_map(lambda _, leaf: leaf, trees[0], tree))
        for tree, found, kept in zip(trees, leaves, outlines, strict=True)
    ]


def rebuilt(f: Callable[[Array], Any], tree: Tree) -> Tree:
    """trees.tree_map of one tree, likewise."""
    return filled(tree, map(f, plain_leaves(tree)))


def filled(tree: Tree, leaves: Iterator[Any]) -> Tree:
    """A tree of the same outline with these leaves."""
    if type(tree) is dict:
        return {name: filled(branch, leaves) for name, branch in tree.items()}
    if type(tree) is list:
        return [filled(branch, leaves) for branch in tree]
    return next(leaves)


def flat(tree: Tree) -> Array | None:
    """All numbers of a tree as one vector, its own buffer where it has one; None where the leaves' dtypes differ."""
    return joined(plain_leaves(tree))


def joined(leaves: list[Array]) -> Array | None:
    """The same for a tree's leaves."""
    first = next((leaf for leaf in leaves if leaf.size), None)
    if first is None:
        return None
    buffer = first.base
    note = _notes.get(id(buffer))
    if note is not None and note.buffer() is buffer and note.is_of(leaves):  # as `cut` left them
        return buffer
    parts = [leaf for leaf in leaves if leaf.size]
    if any(part.dtype != parts[0].dtype for part in parts):
        return None
    if buffer is not None and follow_each_other(parts) and buffer.size == sum(part.size for part in parts):
        return buffer
    return end_to_end(parts)


def end_to_end(parts: list[Array]) -> Array:
    """Arrays of one dtype in one vector. On the device by a kernel of ours: CuPy would send a table of their addresses over."""
    if module_of(*parts) is np or parts[0].dtype.kind != "f":
        return module_of(*parts).concatenate([part.reshape(-1) for part in parts])
    return in_one(parts)


def packed(tree: Tree, leaves: list[Array] | None = None) -> Tree:
    """The same tree with its leaves in one buffer. leaves: its own, if known."""
    leaves = plain_leaves(tree) if leaves is None else leaves
    buffer = joined(leaves)
    whole = buffer is None or any(leaf.base is buffer for leaf in leaves)
    return tree if whole else unpacked(buffer, tree, leaves)


def unpacked(buffer: Array, like: Tree, leaves: list[Array] | None = None) -> Tree:
    """A vector cut into a tree of the shapes of another, without a copy of the numbers. leaves: those of `like`, if known."""
    return filled(like, iter(cut(buffer, tuple([leaf.shape for leaf in (plain_leaves(like) if leaves is None else leaves)]))))


def cut(buffer: Array, shapes: tuple[tuple[int, ...], ...]) -> list[Array]:
    """A vector cut into leaves of these shapes, and a note of it."""
    ends, key = ends_of(shapes), id(buffer)
    parts = [
        buffer[a:b] if len(shape) == 1 else buffer[a:b].reshape(shape)
        for a, b, shape in zip(ends, ends[1:], shapes, strict=False)
    ]
    if not on_device(buffer):
        forget = weakref.ref(buffer, lambda gone: _notes.pop(key, None))
        _notes[key] = Note(forget, list(map(weakref.ref, parts)), ends)
    return parts


@cache
def ends_of(shapes: tuple[tuple[int, ...], ...]) -> list[int]:
    """Where arrays of these shapes begin behind each other, and where the last one ends."""
    return [0, *itertools.accumulate(map(math.prod, shapes))]


def follow_each_other(parts: list[Array]) -> bool:
    """Whether the parts are of one buffer, from its beginning on, without a gap."""
    buffer, at = parts[0].base, 0
    for part in parts:
        if part.base is not buffer or start_of(part) != at:
            return False
        at += part.size
    return True


def start_of(leaf: Array) -> int | None:
    """Where a leaf begins in the buffer that it was cut from; None for any other array.

    On the device the addresses tell; on the host NumPy takes longer over an address than all the rest does. What a leaf is cut
    from need not be an array: of one out of a pickle it is bytes, of a memory map the map.
    """
    buffer = leaf.base
    note = _notes.get(id(buffer))
    if note is not None:
        part, start = note.starts.get(id(leaf), (None, 0))
        return start if note.buffer() is buffer and part is not None and part() is leaf else None
    if not on_device(buffer) or buffer.ndim != 1 or not leaf.flags.c_contiguous:
        return None
    return (int(leaf.data.ptr) - int(buffer.data.ptr)) // int(leaf.itemsize)


def stacked(W: Array, b: Array) -> Array:
    """[W; b], weights (..., fan_out) and bias as one matrix (fan_in + 1, fan_out)."""
    if W.shape[0] == 0:
        return b.reshape(1, -1)
    start, after = start_of(W), start_of(b)
    if start is not None and after == start + W.size and W.base is b.base:
        return W.base[start : after + b.size].reshape(-1, b.size)
    return end_to_end([W, b]).reshape(-1, b.size)
