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
    """Apply f leaf by leaf to one tree, or to several of the same shape. Raises ValueError where the shapes differ.

    >>> tree_map(lambda a, b: a + b, {"W": [1, 2], "b": 3}, {"W": [10, 20], "b": 30})
    {'W': [11, 22], 'b': 33}
    """
    if isinstance(tree, dict) and all(isinstance(o, dict) and set(o) == set(tree) for o in others):
        return {k: tree_map(f, v, *(o[k] for o in others)) for k, v in tree.items()}
    if isinstance(tree, list) and all(isinstance(o, list) and len(o) == len(tree) for o in others):
        return [tree_map(f, *parts) for parts in zip(tree, *others, strict=True)]
    if any(isinstance(t, dict | list) for t in (tree, *others)):
        raise ValueError(f"trees differ: {describe(tree)} against {[describe(o) for o in others]}")
    return f(tree, *others)


def leaves(tree: Tree) -> Iterator[Array]:
    """The arrays of a tree, in the order in which `tree_map` visits them.

    >>> list(leaves({"W": [1, 2], "b": 3}))
    [1, 2, 3]
    """
    return (leaf for _, leaf in named_leaves(tree))


def named_leaves(tree: Tree, name: str = "") -> Iterator[tuple[str, Array]]:
    """The arrays with the path to each, for messages. A lone array has the path "".

    >>> list(named_leaves({"W": [1, 2], "b": 3}))
    [('W/0', 1), ('W/1', 2), ('b', 3)]
    """
    if isinstance(tree, dict | list):
        for key, branch in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from named_leaves(branch, f"{name}/{key}" if name else str(key))
    else:
        yield name, tree


def size(tree: Tree) -> int:
    """How many numbers the tree holds: the number of parameters.

    >>> size({"W": np.zeros((2, 3)), "b": np.zeros(3)})
    9
    """
    return sum(int(np.size(leaf)) for leaf in leaves(tree))


def describe(tree: Tree) -> str:
    if isinstance(tree, dict):
        return f"keys {sorted(tree, key=str)}"
    return f"a list of {len(tree)}" if isinstance(tree, list) else "a leaf"


def as_arrays(tree: Tree | None) -> Tree | None:
    """NumPy turns arrays without axes into scalars, whose powers it rounds otherwise, and a checkpoint turns them back:
    so let them always be arrays.

    >>> as_arrays([np.float64(2.0)])
    [array(2.)]
    """
    return None if tree is None else tree_map(lambda leaf: np.asarray(leaf) if np.isscalar(leaf) else leaf, tree)
