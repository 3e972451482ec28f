"""Where numbers live, and in which dtype: here always in NumPy arrays.

A backend whose arrays live on a device replaces the first three functions, and needs no others: what goes into a model passes
`placed`, what comes out to a file, a picture or the user passes `fetched`, and noise is drawn from `streams`.
"""
from typing import Any

import numpy as np

from evenflow.reference.core.dispatch import replaceable
from evenflow.reference.core.looking import value
from evenflow.reference.core.trees import Array, Tree, tree_map


@replaceable
def placed(tree: Tree, dtype: Any) -> Tree:
    """The tree where models compute, its floats in this dtype; whole numbers stay as they are.

    >>> placed([np.ones(2), np.arange(2)], "float32")
    [array([1., 1.], dtype=float32), array([0, 1])]
    """
    def place(leaf: Array) -> Array:
        leaf = np.asarray(leaf)
        return leaf.astype(dtype) if leaf.dtype.kind == "f" else leaf

    return tree_map(place, tree)


@replaceable
def fetched(tree: Tree) -> Tree:
    """The tree as NumPy arrays.

    >>> fetched([np.ones(2)])
    [array([1., 1.])]
    """
    return tree


@replaceable
def streams(rng: np.random.Generator, dtype: Any) -> Any:
    """What the noise of models and samplers is drawn from: here the generator itself, in float64 (`placed` then rounds).

    >>> streams(np.random.default_rng(0), "float32").standard_normal((3, 2)).shape
    (3, 2)
    """
    return rng


@replaceable
def beside(constant: Any, array: Array) -> Array:
    """A constant as an array of the library that `array` belongs to (NEP 35).

    >>> beside([1, 2], np.ones(3))
    array([1, 2])
    """
    return np.asarray(constant, like=value(array))
