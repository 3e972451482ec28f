"""Columns of matrices on the device: columns.cu. Arguments and meaning as in core/matrices.py."""
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels.layers import launch, numbers, solid
from evenflow.accel.kernels.loading import NULL
from evenflow.reference.core import Array

run = partial(launch, file="columns")


def take_columns(x: Array, columns: Sequence[int]) -> Array:
    """x[:, columns]."""
    (n, d), k, xp = x.shape, len(columns), module_of(x)
    out = xp.empty((n, k), x.dtype)
    run("take_columns", n * k, x, solid(x), numbers(xp, tuple(columns)), *map(np.int32, (n, d, k)), out)
    return out


def put_columns(x: Array | None, columns: Sequence[int], values: Array | None, d: int) -> Array:
    """x (n, d) with values (n, k) in these columns; None: zeros."""
    like: Any = x if values is None else values
    n, k, xp = len(like), len(columns), module_of(like)
    out = xp.empty((n, d), like.dtype)
    x, values = (NULL if a is None else solid(a) for a in (x, values))
    run("put_columns", n * d, like, x, numbers(xp, places(tuple(columns), d)), values, *map(np.int32, (n, d, k)), out)
    return out


@cache
def places(columns: tuple[int, ...], d: int) -> tuple[int, ...]:
    """For each of d columns, where it is among `columns`; -1: nowhere."""
    number = {column: j for j, column in enumerate(columns)}
    return tuple(number.get(j, -1) for j in range(d))


def write_columns(out: Array, columns: Sequence[int], values: Array) -> None:
    """out[:, columns] = values."""
    (n, d), k = out.shape, len(columns)
    run("write_columns", n * k, out, numbers(module_of(out), tuple(columns)), solid(values), *map(np.int32, (n, d, k)), out)
