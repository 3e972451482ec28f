r"""Sums of |x - y| on the line by sorting (reference/scores/sorting.py), values and gradients out of one order.

Ranks r_i among the x and counts c_j of the x at or below y_j are constants, so with cotangents $g_j$ of the $cross_j$

$$\partial\, \text{within} / \partial x_i = 2 r_i - m + 1, \qquad \partial\, \text{cross}_j / \partial y_j = 2 c_j - m, \qquad
  \partial \sum_j g_j \text{cross}_j / \partial x_i = 2 \sum_{y_j < x_i} g_j - \sum_j g_j .$$

Columns are laid down as rows, so that each is sorted where it lies together; equal entries keep their order, as in
the reference, so the subgradient is the same. One sort of the x and y of a column together tells who stands where.
On the device kernels do both, sort and sums (kernels/sorting.py), and the order is all that is kept for the way back.
"""
from collections.abc import Iterator
from typing import Any

import numpy as np

from evenflow.accel.backends import module_of, on_device
from evenflow.accel.fused import fused
from evenflow.accel.kernels import joint_order, slopes_of_order, sums_of_order
from evenflow.reference.core import Array

BLOCK = 2**16  # numbers that are sorted at a time


def stable_order(rows: Array) -> Array:
    """argsort of every row; equal entries keep their order."""
    return sorted_keys(rows) if rows.dtype == np.float32 else np.argsort(rows, axis=1, kind="stable")


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


def parts(rows: Array, *others: Array) -> Iterator[tuple[Array, ...]]:
    """Some rows of each at a time, so that what is made of them stays in the cache."""
    arrays, k = (rows, *others), sum(array.shape[1] for array in (rows, *others))
    step = max(1, BLOCK // k)
    return (tuple(array[i:i + step] for array in arrays) for i in range(0, rows.shape[0], step))


def put(out: Array, places: Array, entries: Array) -> None:
    """Entries of sorted rows, (L, k) or (k,) for each, back to their places in out (L, k)."""
    out.reshape(-1)[places] = entries


def sorted_within(x: Array) -> Array:
    """sum_{i<j} |x_i - x_j|: x (m, ...) -> (...)."""
    if on_device(x):
        return fused(within_by_kernel, within_by_kernel_back)(x)[0]
    return fused(within_forward, lambda slopes, wanted, g: [slopes * g])(x)[0]


def within_forward(x: Array) -> Any:
    rows = as_rows(x)
    slopes, by_rank = module_of(x).empty_like(rows), rank_slopes(rows)
    for part, out in parts(rows, slopes):
        put(out, stable_order(part) + starts(part), by_rank)
    sums = module_of(x).sum(slopes * rows, axis=1)
    return (sums.reshape(x.shape[1:]),), slopes.T.reshape(x.shape)


def rank_slopes(rows: Array) -> Array:
    """2 r - m + 1 for the ranks r = 0, ..., m - 1 of rows (L, m): (m,)."""
    m = rows.shape[1]
    return (2 * module_of(rows).arange(m) - (m - 1)).astype(rows.dtype)


def sorted_sums(x: Array, y: Array) -> tuple[Array, ...]:
    """sum_i |x_i - y_j| for every j, and sum_{i<j} |x_i - x_j|: x (m, L), y (n, L) -> (n, L), (L,).

    As in the sweep over pairs, the g_j of a column are taken for equal, and if they are not, it is sorted again.
    """
    if on_device(x):
        return fused(sums_by_kernel, sums_by_kernel_back)(x, y)
    return fused(sums_forward, sums_backward)(x, y)


def within_by_kernel(x: Array) -> Any:
    rows = as_rows(x)
    places = joint_order(rows, None)
    return (sums_of_order(rows, None, places)[1].reshape(x.shape[1:]),), (places, x.shape, x.dtype)


def within_by_kernel_back(saved: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
    places, shape, dtype = saved
    g = module_of(g).ascontiguousarray(g).reshape(-1)
    return [slopes_of_order(places, shape[0], 0, None, g, dtype, False)[0].T.reshape(shape)]


def sums_by_kernel(x: Array, y: Array) -> Any:
    xs, ys = as_rows(x), as_rows(y)
    places = joint_order(xs, ys)
    cross, within = sums_of_order(xs, ys, places)
    return (cross.T, within), (places, x.shape[0], y.shape[0], x.dtype)


def sums_by_kernel_back(saved: Any, wanted: tuple[int, ...], g: Array | None, g_within: Array | None) -> list[Array]:
    places, m, n, dtype = saved
    g_within = None if g_within is None else module_of(g_within).ascontiguousarray(g_within)
    dx, dy = slopes_of_order(places, m, n, None if g is None else as_rows(g), g_within, dtype, 1 in wanted)
    return [dx.T if k == 0 or dy is None else dy.T for k in wanted]


def sums_forward(x: Array, y: Array) -> Any:
    xp, m, n = module_of(x), x.shape[0], y.shape[0]
    xs, ys, within, by_rank = as_rows(x), as_rows(y), xp.empty_like(x[0]), rank_slopes(as_rows(x))
    cross, by_x, by_y, among_x = xp.empty_like(ys), xp.empty_like(xs), xp.empty_like(ys), xp.empty_like(xs)
    for a, b, value, spread, *slopes in parts(xs, ys, cross, within[:, None], by_x, by_y, among_x):
        at_a, at_b, before, below = merge(a, b)
        middle = xp.mean(a, axis=1, keepdims=True)  # no difference changes, and the running sums stay small
        ordered = a.reshape(-1)[at_a] - middle
        sums, slope = running_sums(ordered), (2 * below - m).astype(b.dtype)
        put(value, at_b, slope * (b.reshape(-1)[at_b] - middle) + sums[:, -1:] - 2 * sums.reshape(-1)[below + starts(sums)])
        spread[:] = (ordered @ by_rank)[:, None]
        for out, at, entries in zip(slopes, (at_a, at_b, at_a), (2 * before - n, slope, by_rank), strict=True):
            put(out, at, entries)
    return (cross.T, within), (xs, ys, by_x.T, by_y.T, among_x.T)


def sums_backward(saved: Any, wanted: tuple[int, ...], g: Array | None, g_within: Array | None) -> list[Array]:
    xs, ys, by_x, by_y, among_x = saved
    g = module_of(xs).zeros_like(by_y) if g is None else g
    if 0 in wanted:
        by_x = by_x * g[0] if (g == g[0]).all() else weighted(xs, ys, as_rows(g)).T
        by_x = by_x if g_within is None else by_x + among_x * g_within
    return [by_y * g if k else by_x for k in wanted]


def weighted(xs: Array, ys: Array, g: Array) -> Array:
    """2 sum_{y_j < x_i} g_j - sum_j g_j: rows (L, m), (L, n) and (L, n) -> (L, m)."""
    out = module_of(xs).empty_like(xs)
    for a, b, weights, slope in parts(xs, ys, g, out):
        at_a, at_b, before, _ = merge(a, b)
        sums = running_sums(weights.reshape(-1)[at_b])
        put(slope, at_a, 2 * sums.reshape(-1)[before + starts(sums)] - sums[:, -1:])
    return out


def merge(a: Array, b: Array) -> tuple[Array, Array, Array, Array]:
    """Rows a (L, m) and b (L, n) sorted together: where the sorted entries of a and of b lie in a.ravel() and b.ravel(),
    how many b are below each sorted a, and how many a are at or below each sorted b."""
    xp, (count, m), n = module_of(a), a.shape, b.shape[1]
    order = stable_order(xp.concatenate([a, b], axis=1))
    first = order < m
    at_a, at_b = (xp.flatnonzero(part).reshape(count, -1) for part in (first, ~first))
    row, order = xp.arange(count)[:, None], order.reshape(-1)
    before, below = at_a - (row * (m + n) + xp.arange(m)), at_b - (row * (m + n) + xp.arange(n))
    return order[at_a] + starts(a), order[at_b] + (starts(b) - m), before, below


def starts(rows: Array) -> Array:
    """Where every row (L, k) begins in rows.ravel(): (L, 1)."""
    return module_of(rows).arange(rows.shape[0])[:, None] * rows.shape[1]


def running_sums(rows: Array) -> Array:
    """(L, k) -> (L, k + 1): the sums of the first 0, 1, ..., k of every row."""
    sums = module_of(rows).zeros_like(rows, shape=(rows.shape[0], rows.shape[1] + 1))
    sums[:, 1:] = rows.cumsum(axis=1)
    return sums
