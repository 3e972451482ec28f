r"""Sums of |x - y| on the line by sorting (reference/scores/sorting.py), values and gradients out of one order.

Ranks r_i among the x and counts c_j of the x at or below y_j are constants, so with cotangents $g_j$ of the $cross_j$

$$\partial\, \text{within} / \partial x_i = 2 r_i - m + 1, \qquad \partial\, \text{cross}_j / \partial y_j = 2 c_j - m, \qquad
  \partial \sum_j g_j \text{cross}_j / \partial x_i = 2 \sum_{y_j < x_i} g_j - \sum_j g_j .$$

Columns are laid down as rows, so that each is sorted where it lies together; equal entries keep their order, as in the reference,
so the subgradient is the same. One sort of the x and y of a column together tells who stands where.
"""
from typing import Any

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.fused import fused
from evenflow.reference.trees import Array


def places(rows: Array) -> Array:
    """(L, k) -> for every place in every sorted row, where its entry lies in rows.ravel(): (L, k)."""
    xp, (count, k) = module_of(rows), rows.shape
    if xp is np and rows.dtype == np.float32:
        order = sorted_keys(rows)
    else:
        order = xp.argsort(rows, axis=1, kind="stable")
    order += xp.arange(count)[:, None] * k
    return order


def sorted_keys(rows: Array) -> Array:
    """A stable argsort of float32 by sorting integers, ten times faster: the number in the upper half, its place in the lower.

    The bits of floats compare as integers do, once those of negative ones are flipped; -0 + 0 = 0 makes equals of both zeros.
    """
    bits = (rows + np.float32(0)).view(np.int32)
    bits ^= (bits >> 31) & 0x7FFFFFFF
    keys = bits.astype(np.int64)
    keys <<= 32
    keys |= np.arange(rows.shape[1])
    keys.sort(axis=1)
    keys &= 0xFFFFFFFF
    return keys


def as_rows(x: Array) -> Array:
    """(m, ...) -> (L, m), each column in one piece."""
    return module_of(x).ascontiguousarray(x.reshape(x.shape[0], -1).T)


def sorted_within(x: Array) -> Array:
    """sum_{i<j} |x_i - x_j|: x (m, ...) -> (...)."""
    return fused(within_forward, within_backward)(x)[0]


def within_forward(x: Array) -> Any:
    rows, m = as_rows(x), x.shape[0]
    xp = module_of(rows)
    weights = xp.empty_like(rows)
    by_rank = 2 * xp.arange(m) - (m - 1)
    weights.reshape(-1)[places(rows)] = by_rank.astype(rows.dtype)
    sums = xp.sum(weights * rows, axis=1)
    return (sums.reshape(x.shape[1:]),), weights.T.reshape(x.shape)


def within_backward(weights: Array, wanted: tuple[int, ...], g: Array) -> list[Array]:
    return [weights * g]


def sorted_cross(x: Array, y: Array) -> Array:
    """sum_i |x_i - y_j| for every j: x (m, L), y (n, L) -> (n, L)."""
    return fused(cross_forward, cross_backward)(x, y)[0]


def cross_forward(x: Array, y: Array) -> Any:
    xp, m, n = module_of(x), x.shape[0], y.shape[0]
    z = xp.concatenate([as_rows(x), as_rows(y)], axis=1)
    z -= xp.mean(z[:, :m], axis=1, keepdims=True)  # no difference changes, and the running sums stay small
    row, order = xp.arange(z.shape[0])[:, None], places(z).reshape(-1)
    is_x = order % (m + n) < m
    at_x, at_y = (xp.flatnonzero(part).reshape(z.shape[0], -1) for part in (is_x, ~is_x))
    sums = running_sums(z.reshape(-1)[order[at_x]])
    below = at_y - row * (m + n) - xp.arange(n)    # the c_j, in the order of the y
    before = at_x - row * (m + n) - xp.arange(m)   # how many y_j < x_i, in the order of the x
    slopes = (2 * below - m).astype(z.dtype)
    values = slopes * z.reshape(-1)[order[at_y]] + sums[:, -1:] - 2 * sums.reshape(-1)[below + row * (m + 1)]
    places_x, places_y = order[at_x] - row * n, order[at_y] - (row + 1) * m  # in the rows of x, of y, alone
    return (put(values, places_y),), (places_x, places_y, before + row * (n + 1), slopes)


def cross_backward(saved: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
    places_x, places_y, before, slopes = saved
    g = as_rows(g).reshape(-1)[places_y]
    sums = running_sums(g)
    return [put(slopes * g, places_y) if k else put(2 * sums.reshape(-1)[before] - sums[:, -1:], places_x) for k in wanted]


def running_sums(rows: Array) -> Array:
    """(L, k) -> (L, k + 1): the sums of the first 0, 1, ..., k of every row."""
    sums = module_of(rows).zeros_like(rows, shape=(rows.shape[0], rows.shape[1] + 1))
    sums[:, 1:] = rows.cumsum(axis=1)
    return sums


def put(rows: Array, places: Array) -> Array:
    """Entries back from sorted rows to where they came from, and rows to columns: (L, k) -> (k, L)."""
    out = module_of(rows).empty_like(rows)
    out.reshape(-1)[places] = rows
    return out.T
