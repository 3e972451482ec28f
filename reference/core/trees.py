"""Parameters are trees: nested dicts and lists with arrays at the leaves.

A model never holds its parameters; it takes them as an argument. A tree is therefore all there is to save, to average,
to hand to an optimiser or to another backend. work/files.py writes them to the disk.
"""
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from autograd.builtins import isinstance  # also true of the boxes around dicts and lists inside a gradient

Array: TypeAlias = Any  # a NumPy array, autograd's box around one, or a device array: no static type is all three
Tree: TypeAlias = Any   # dict[str, Tree] | list[Tree] | Array


def tree_map(f: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Apply f leaf by leaf to one tree, or to several of the same shape. Raises ValueError where the shapes differ."""
    if isinstance(tree, dict):
        if any(not isinstance(o, dict) or set(o) != set(tree) for o in others):
            raise ValueError(f"trees differ: {describe(tree)} against {[describe(o) for o in others]}")
        return {k: tree_map(f, v, *(o[k] for o in others)) for k, v in tree.items()}
    if isinstance(tree, list):
        if any(not isinstance(o, list) or len(o) != len(tree) for o in others):
            raise ValueError(f"trees differ: {describe(tree)} against {[describe(o) for o in others]}")
        return [tree_map(f, *parts) for parts in zip(tree, *others, strict=True)]
    if any(isinstance(o, dict | list) for o in others):
        raise ValueError(f"trees differ: a leaf against {[describe(o) for o in others]}")
    return f(tree, *others)


def leaves(tree: Tree) -> Iterator[Array]:
    """The arrays of a tree, in the order in which `tree_map` visits them."""
    return (leaf for _, leaf in named_leaves(tree))


def named_leaves(tree: Tree, name: str = "") -> Iterator[tuple[str, Array]]:
    """The arrays with the path to each, for messages: ("bijection/0/W", array). A lone array has the path ""."""
    if isinstance(tree, dict | list):
        for key, branch in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from named_leaves(branch, f"{name}/{key}" if name else str(key))
    else:
        yield name, tree


def size(tree: Tree) -> int:
    """How many numbers the tree holds: the number of parameters."""
    return sum(int(np.size(leaf)) for leaf in leaves(tree))


def cast(tree: Tree, dtype: Any) -> Tree:
    """The same tree with leaves of another dtype: `cast(params, np.float32)`."""
    return tree_map(lambda leaf: np.asarray(leaf, dtype=dtype), tree)


def describe(tree: Tree) -> str:
    if isinstance(tree, dict):
        return f"keys {sorted(tree, key=str)}"
    return f"a list of {len(tree)}" if isinstance(tree, list) else "a leaf"


def as_arrays(tree: Tree | None) -> Tree | None:
    """NumPy turns arrays without axes into scalars, whose powers it rounds otherwise, and a checkpoint turns them back:
    so let them always be arrays."""
    return None if tree is None else tree_map(lambda leaf: np.asarray(leaf) if np.isscalar(leaf) else leaf, tree)
