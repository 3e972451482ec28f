r"""Columns of matrices with their adjoints, which are each other's.

    cut     $y_k = x_{:, C_k}$, tables C_1, ..., of disjoint columns    adjoint: joined, zeros in columns that no table has
    joined  $x_{:, C_k} = y_k$, zeros elsewhere                         adjoint: cut
    put     $y = x$ but $y_{:, C} = v$                                  adjoint: $\bar y$ with zeros in C, and $\bar y_{:, C}$
"""
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from autograd.tracer import isbox

from evenflow.accel.backends import on_device
from evenflow.accel.core.elementwise import stepwise
from evenflow.accel.fused import fused
from evenflow.accel.kernels.columns import put_columns, take_columns, write_columns
from evenflow.accel.products import product as multiply
from evenflow.reference.core import Array
from evenflow.reference.core.dispatch import definitions

Table = tuple[int, ...]


@cache
def index(columns: Table) -> Any:
    """The columns as NumPy looks them up fastest; those of an image are thousands."""
    at = stepwise(list(columns))
    return at if isinstance(at, slice) else np.array(at)


def taken(x: Array, columns: Table) -> Array:
    return take_columns(x, columns) if on_device(x) else np.ascontiguousarray(x[:, index(columns)])


def together(parts: Sequence[Array | None], tables: Sequence[Table], d: int) -> Array:
    """The columns of each part in their places, zeros where there is none."""
    given = [(part, table) for part, table in zip(parts, tables, strict=True) if part is not None]
    first, table = given[0]
    if on_device(first):
        whole = put_columns(None, table, first, d)
        for part, table in given[1:]:
            write_columns(whole, table, part)
        return whole
    full = sum(len(table) for _, table in given) == d
    whole = (np.empty if full else np.zeros)((len(first), d), first.dtype)
    for part, table in given:
        whole[:, index(table)] = part
    return whole


def _cut(tables: tuple[Table, ...], x: Array) -> tuple[tuple[Array, ...], Any]:
    return tuple(taken(x, table) for table in tables), (tables, x.shape[1])


def _cut_back(saved: Any, wanted: tuple[int, ...], *g: Array | None) -> list[Array]:
    tables, d = saved
    return [together(g, tables, d)]


def _joined(tables: tuple[Table, ...], d: int, *parts: Array) -> tuple[tuple[Array], Any]:
    return (together(parts, tables, d),), tables


def _joined_back(tables: tuple[Table, ...], wanted: tuple[int, ...], g: Array) -> list[Array]:
    return [taken(g, tables[i - 2]) for i in wanted]


def _put(columns: Table, x: Array, values: Array) -> tuple[tuple[Array], Any]:
    if on_device(x):
        return (put_columns(x, columns, values, x.shape[1]),), columns
    out = x.copy()
    out[:, index(columns)] = values
    return (out,), columns


def _put_back(columns: Table, wanted: tuple[int, ...], g: Array) -> list[Array]:
    return [rest(g, columns) if i == 1 else taken(g, columns) for i in wanted]


def rest(g: Array, columns: Table) -> Array:
    """g with zeros in these columns."""
    if on_device(g):
        return put_columns(g, columns, None, g.shape[1])
    g = g.copy()
    g[:, index(columns)] = 0
    return g


_cut_up, _join, _exchange = fused(_cut, _cut_back), fused(_joined, _joined_back), fused(_put, _put_back)


def cut(x: Array, tables: Sequence[Table]) -> tuple[Array, ...]:
    """x (n, d) -> x[:, C] for each table C of columns; no column may be in two of them."""
    return _cut_up(tuple(tables), x)


def joined(parts: Sequence[Array], tables: Sequence[Table]) -> Array:
    """The way back, where the tables hold every column."""
    return _join(tuple(tables), sum(map(len, tables)), *parts)[0]


def take(x: Array, columns: Sequence[int]) -> Array:
    """core.matrices.take."""
    return cut(x, [tuple(columns)])[0]


def put(x: Array, columns: Sequence[int], values: Array) -> Array:
    """core.matrices.put."""
    return _exchange(tuple(columns), x, values)[0]


def product(a: Array, b: Array) -> Array:
    """core.matrices.product: traced, it goes its own way (autodiff.py)."""
    return definitions["core.matrices.product"](a, b) if isbox(a) or isbox(b) else multiply(a, b)  # type: ignore[return-value]


REPLACEMENTS = {"core.matrices.take": take, "core.matrices.put": put, "core.matrices.product": product}
