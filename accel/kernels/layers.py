"""The small operations of elementwise.py, densities.py, optim.py on the device: layers.cu. Arguments and meaning as there."""
from functools import cache
from typing import Any

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels.loading import NULL, blocks, function, pointer
from evenflow.reference.core import Array
from evenflow.reference.flows.densities import LOG_2PI

THREADS = 256


def launch(name: str, threads: int, like: Array, *args: Any, file: str = "layers") -> None:
    """Run a kernel for so many threads; arrays without gaps, numbers in the kernel's types."""
    if threads:
        function(module_of(like), file, name, like.dtype)((blocks(threads, THREADS),), (THREADS,), args)


@cache
def numbers(xp: Any, columns: tuple[int, ...]) -> Array:
    """Column numbers, brought to the device once."""
    return xp.asarray(np.array(columns, np.int32))


def solid(array: Array) -> Array:
    """The array without gaps: a gradient may be a view that repeats one number."""
    return module_of(array).ascontiguousarray(array)


def with_ones(x: Array, columns: list[int]) -> Array:
    (n, d), k, xp = x.shape, len(columns), module_of(x)
    h = xp.empty((n, k + 1), x.dtype)
    launch("with_ones", h.size, x, solid(x), numbers(xp, tuple(columns)), np.int32(n), np.int32(d), np.int32(k), h)
    return h


def activate(a: Array, kind: int) -> Array:
    n, w = a.shape
    h = module_of(a).empty((n, w + 1), a.dtype)
    launch("activate", h.size, a, solid(a), np.int32(n), np.int32(w), np.int32(kind), h)
    return h


def activate_back(g: Array, a: Array | None, h: Array, kind: int) -> Array:
    n, w = g.shape
    g = solid(g)
    launch("activate_back", g.size, g, g, NULL if a is None else a, h, np.int32(n), np.int32(w), np.int32(kind))
    return g


def add_context(a: Array, extra: Array) -> None:
    launch("add_context", a.size, a, a, solid(extra), np.int64(a.size), np.int64(extra.size))


def add_over_draws(total: Array, g: Array) -> None:
    launch("add_over_draws", total.size, g, total, solid(g), np.int64(g.size), np.int64(total.size))


def add_columns(g: Array, columns: list[int], change: Array) -> None:
    (n, d), k = g.shape, len(columns)
    where = numbers(module_of(g), tuple(columns))
    launch("add_columns", change.size, g, g, where, solid(change), np.int32(n), np.int32(d), np.int32(k))


def couple(z: Array, raw: Array, moved: list[int], limit: float, back: bool) -> tuple[Array, Array, Array]:
    (n, d), k, xp = z.shape, len(moved), module_of(z)
    x, log_det, s = xp.empty((n, d), z.dtype), xp.empty(n, z.dtype), xp.empty((n, k), z.dtype)
    launch("couple", n, z, solid(z), solid(raw), numbers(xp, tuple(moved)), *map(np.int32, (n, d, k, len(raw))),
           z.dtype.type(limit), np.int32(back), x, log_det, s)
    return x, log_det, s


def couple_back(
    g_x: Array, g_log_det: Array | None, z: Array, x: Array, s: Array, moved: list[int], limit: float, back: bool
) -> tuple[Array, Array]:
    (n, d), k, xp = z.shape, len(moved), module_of(z)
    g_z, g_raw = xp.empty((n, d), z.dtype), xp.empty((n, 2 * k), z.dtype)
    launch("couple_back", n, z, solid(g_x), *with_stride(g_log_det), solid(z), solid(x), s,
           numbers(xp, tuple(moved)), np.int32(n), np.int32(d), np.int32(k), z.dtype.type(limit), np.int32(back), g_z, g_raw)
    return g_z, g_raw


def masked(W: Array, b: Array, mask: Array) -> Array:
    (rows, w), xp = W.shape, module_of(W)
    stack = xp.empty((rows + 1, w), W.dtype)
    launch("mask_weights", stack.size, W, *(pointer(xp, a, W.dtype) for a in (W, b, mask)), *map(np.int32, (rows, w)), stack)
    return stack


def normal_quantile(alpha: Array, coefficients: tuple[float, ...]) -> Array:
    xp = module_of(alpha)
    out = xp.empty(alpha.shape, alpha.dtype)
    launch("normal_quantile", alpha.size, alpha, solid(alpha), doubles(xp, coefficients), np.int64(alpha.size), out)
    return out


@cache
def doubles(xp: Any, values: tuple[float, ...]) -> Array:
    return xp.asarray(np.array(values))


def erf(x: Array) -> Array:
    out = module_of(x).empty(x.shape, x.dtype)
    launch("error_function", x.size, x, solid(x), np.int64(x.size), out)
    return out


def with_stride(g: Array | None) -> tuple[Any, np.int64]:
    """A vector and how far apart its entries are: one number repeated is passed as one number."""
    if g is None:
        return NULL, np.int64(0)
    return (g[:1], np.int64(0)) if g.strides[0] == 0 else (solid(g), np.int64(1))


def normal_log_prob(z: Array) -> Array:
    n, d = z.shape
    out = module_of(z).empty(n, z.dtype)
    launch("normal_log_prob", n, z, solid(z), np.int32(n), np.int32(d), z.dtype.type(-0.5 * d * LOG_2PI), out)
    return out
