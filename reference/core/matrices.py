"""Columns, rows and products of matrices, so that whoever computes on a device may do them in its own way.

    take      x[:, columns]
    put       x with other values in these columns
    product   a b
    repeated  x m times, one below the other
"""
from collections.abc import Sequence

import autograd.numpy as np

from evenflow.reference.core.dispatch import replaceable
from evenflow.reference.core.trees import Array


@replaceable
def take(x: Array, columns: Sequence[int]) -> Array:
    """x (n, d), columns k of 0, ..., d - 1, none twice -> (n, k).

    >>> take(np.array([[1.0, 2.0, 3.0]]), [2, 0])
    array([[3., 1.]])
    """
    return x[:, list(columns)]


@replaceable
def put(x: Array, columns: Sequence[int], values: Array) -> Array:
    """x (n, d) with other values (n, k) in these columns: a new array, since autograd follows no assignment.

    >>> put(np.array([[1.0, 2.0, 3.0]]), [2, 0], np.array([[8.0, 9.0]]))
    array([[9., 2., 8.]])
    """
    number = {column: x.shape[1] + i for i, column in enumerate(columns)}
    return np.concatenate([x, values], axis=1)[:, [number.get(j, j) for j in range(x.shape[1])]]


@replaceable
def product(a: Array, b: Array) -> Array:
    """a (n, k), b (k, m) -> (n, m).

    >>> product(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    return a @ b


def repeated(x: Array, m: int) -> Array:
    """x (n, d) -> (m n, d).

    >>> repeated(np.array([[1.0, 2.0]]), 2)
    array([[1., 2.],
           [1., 2.]])
    """
    return np.reshape(np.broadcast_to(x[None], (m, *x.shape)), (m * x.shape[0], x.shape[1]))
