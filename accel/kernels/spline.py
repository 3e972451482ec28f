"""Splines on the device: spline.cu. Arguments and meaning as in flows/spline.py and flows/transformers.py."""
from typing import Any

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels.layers import THREADS, numbers, solid, with_stride
from evenflow.accel.kernels.loading import NULL, blocks, function
from evenflow.reference.core import Array


def run(name: str, like: Array, grid: int, block: tuple[int, ...], *args: Any) -> None:
    if grid:
        function(module_of(like), "spline", name, like.dtype)((grid,), block, args)


def spline_columns(z: Array, raw: Array, moved: list[int], bins: int, bound: float, back: bool) -> tuple[Array, Array]:
    """z (n, d), raw (shared, k (3 bins - 1)), the same for every `shared` rows -> image (n, d), log_det (n,)."""
    (n, d), k, xp = z.shape, len(moved), module_of(z)
    lanes = min(32, 1 << (k - 1).bit_length())  # threads that share a row
    x, log_det = xp.empty((n, d), z.dtype), xp.empty(n, z.dtype)
    run("spline_columns", z, blocks(n, THREADS // lanes), (lanes, THREADS // lanes), solid(z), solid(raw),
        numbers(xp, tuple(moved)), *map(np.int32, (n, d, k, len(raw), bins)), z.dtype.type(bound), np.int32(back), x, log_det)
    return x, log_det


def spline_columns_back(
    g_x: Array | None, g_log_det: Array | None, z: Array, raw: Array, moved: list[int], bins: int, bound: float, back: bool
) -> tuple[Array, Array]:
    """The adjoints of z and raw, one for each row of z."""
    (n, d), k, xp = z.shape, len(moved), module_of(z)
    place = tuple(moved.index(j) if j in moved else -1 for j in range(d))
    g_z, g_raw = xp.empty((n, d), z.dtype), xp.empty((n, raw.shape[1]), z.dtype)
    run("spline_columns_back", z, blocks(n * d, THREADS), (THREADS,), NULL if g_x is None else solid(g_x),
        *with_stride(g_log_det), solid(z), solid(raw), numbers(xp, place), *map(np.int32, (n, d, k, len(raw), bins)),
        z.dtype.type(bound), np.int32(back), g_z, g_raw)
    return g_z, g_raw


def spline_of_knots(v: Array, x: Array, y: Array, slopes: Array, back: bool) -> tuple[Array, Array]:
    """v (...), x, y, slopes (..., K + 1) -> image and log slope (...)."""
    xp, K = module_of(v), x.shape[-1] - 1
    out, log_slope = xp.empty(v.shape, v.dtype), xp.empty(v.shape, v.dtype)
    run("spline_of_knots", v, blocks(v.size, THREADS), (THREADS,), *map(solid, (v, x, y, slopes)),
        *map(np.int32, (v.size, K, back)), out, log_slope)
    return out, log_slope


def spline_of_knots_back(
    g: Array | None, g_l: Array | None, v: Array, x: Array, y: Array, slopes: Array, back: bool
) -> tuple[Array, Array, Array, Array]:
    """The adjoints of v, x, y and slopes."""
    xp, K = module_of(v), x.shape[-1] - 1
    of_v, of_x, of_y, of_slopes = (xp.empty(a.shape, v.dtype) for a in (v, x, y, slopes))
    run("spline_of_knots_back", v, blocks(v.size, THREADS), (THREADS,), *(NULL if a is None else solid(a) for a in (g, g_l)),
        *map(solid, (v, x, y, slopes)), *map(np.int32, (v.size, K, back)), of_v, of_x, of_y, of_slopes)
    return of_v, of_x, of_y, of_slopes


def knots(raw: Array, low: float, high: float) -> Array:
    """raw (..., K) -> knots (..., K + 1)."""
    K, real = raw.shape[-1], raw.dtype.type
    places = module_of(raw).empty((*raw.shape[:-1], K + 1), raw.dtype)
    n = places.size // (K + 1)
    run("knots", raw, blocks(n, THREADS), (THREADS,), solid(raw), np.int32(n), np.int32(K), real(low), real(high - low), places)
    return places


def knots_back(raw: Array, g: Array, low: float, high: float) -> Array:
    """The adjoint of raw."""
    K, g_raw = raw.shape[-1], module_of(raw).empty(raw.shape, raw.dtype)
    n = raw.size // K
    run("knots_back", raw, blocks(n, THREADS), (THREADS,), solid(raw), solid(g), np.int32(n), np.int32(K),
        raw.dtype.type(high - low), g_raw)
    return g_raw
