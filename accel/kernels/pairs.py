r"""Sums over pairs on the device: one sweep gives values and both gradients, and nothing n x m is ever stored.

$$F_i = \sum_j w_j f(a_i, b_j), \qquad \nabla_{a_i} F_i, \qquad \nabla_{b_j} \sum_i F_i$$

for a distance or an RBF kernel f (pair.cuh). A point of few coordinates stays in registers (energy.cu), beyond that points come
in slices (energy_tiled.cu), from EXPANDED coordinates on by products. A score of draws x (m, d) shared by y (n, d) needs

    cross_j   F of (y, x), gradients of both in one sweep, as long as all cotangents g_j are the same; where they are not, the
              gradient by x of sum_j g_j cross_j takes a sweep with weights. Only the device knows: `look` leaves a flag there,
              and that sweep begins with a look at it and ends at once where it has nothing to do
    within    the sum over i < j of (x, x): half the pairs, each giving to both its ends

The blocks' own sums are added up in a fixed order. They take (P + Q) d numbers a point, with P Q blocks in all.
"""
import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels.loading import NULL, PLAIN_SHARED, attribute, blocks, function, pointer
from evenflow.reference.core import Array, check_shape
from evenflow.reference.scores.energy import Distance
from evenflow.reference.scores.kernels import RBF

DIRECT = 8      # up to so many coordinates a point stays in registers
EXPANDED = 32   # from so many on: 3 d operations a pair in place of 6 d; below, what centring costs is not worth it
RESIDENT = {"pair_sums": 8, "pair_sums_tiled": 2}  # blocks that a multiprocessor holds
THREADS = 256


class Parts(NamedTuple):
    """What the blocks of a sweep leave: Q sums for each row, Q gradients by a, P gradients by b, or None."""
    sums: Array             # (Q, n), float64
    by_row: Array | None    # (Q, n, d)
    by_column: Array | None  # (P, m, d)


class Side(NamedTuple):
    """The points as they are; where they are expanded, centred as well, with their squared lengths."""
    x: Array
    centred: Any
    lengths: Any


def cross(f: Distance | RBF, y: Array, x: Array, by_y: bool, by_x: bool) -> tuple[Array, Array | None, Array | None]:
    """sum_i f(x_i, y_j) (n,), its gradient by y_j (n, d), and the gradient of their sum by x (m, d): y (n, d), x (m, d)."""
    check_shape("x", x, "m", y.shape[1])
    return totals(sweep(f, y, x, by_y, by_x), y, x)


def within(f: Distance | RBF, x: Array, slopes: bool) -> tuple[Array, Array | None]:
    """sum_{j > i} f(x_i, x_j) for every i, and the gradient of their sum, (m,) and (m, d)."""
    return totals(sweep(f, x, None, slopes, slopes), x, None)[:2]


def score(
    f: Distance | RBF, y: Array, x: Array, by_y: bool, by_x: bool, weight: float
) -> tuple[Array, Array | None, Array | None, Array | None]:
    """cross_j / m - weight within, the gradients of cross by y and (of its sum) by x, and that of within by x."""
    inner, by_inner = within(f, x, by_x)
    _, total = look(inner)
    values, dy, dx = totals(sweep(f, y, x, by_y, by_x), y, x, 1 / x.shape[0], total, weight)
    return values, dy, dx, by_inner


def by_draws(
    f: Distance | RBF, y: Array, x: Array, g: Array, ones: Array, scale: float = 1.0,
    inner: Array | None = None, weight: float = 0.0,
) -> Array:
    """The gradient by x of scale sum_j g_j cross_j - weight sum_j g_j within; ones, inner: those of sum_j cross_j, within."""
    xp, size = module_of(x), ones.size
    g = xp.ascontiguousarray(g)
    same, total = look(g)
    parts = sweep(f, x, y, True, False, g, same)
    dx = xp.empty_like(ones)
    launch(xp, "choose", x.dtype, size, (
        ones, parts.by_row, np.int32(parts.sums.shape[0]), np.int64(size), g, same, total, np.float64(scale),
        NULL if inner is None else inner, np.float64(weight), dx,
    ))
    return dx


def sweep(
    f: Distance | RBF, a: Array, b: Array | None, by_row: bool, by_column: bool, weights: Array | None = None,
    idle: Array | None = None,
) -> Parts:
    """One pass over the pairs of a (n, d) and b (m, d), or, with b = None, over those i < j of a.

    weights (m,) multiply the slopes. idle: a flag on the device; where it is not 0, nothing is done.
    """
    xp, (n, d), m = module_of(a), a.shape, (a if b is None else b).shape[0]
    name, rows, columns = shape_of(d, a.dtype)
    P, Q = grid_of(xp, RESIDENT[name], blocks(n, rows), blocks(m, columns), by_column)
    made = xp.empty if name == "pair_sums" else xp.zeros
    parts = Parts(made((Q, n), np.float64), made((Q, n, d), a.dtype) if by_row else None,
                  xp.zeros((P, m, d), a.dtype) if by_column else None)
    numbers, halves, scales = numbers_of(f)
    told = {"SCALES": scales, "HALVES": halves, "LATER": int(b is None), "WEIGHTED": int(weights is not None),
            "BY_ROW": int(by_row), "BY_COLUMN": int(by_column)}
    ends = (pointer(xp, weights, a.dtype), NULL if idle is None else idle, constants(xp, numbers, a.dtype),
            np.int32(n), np.int32(m))
    outputs = tuple(NULL if part is None else part for part in parts)
    if name == "pair_sums":
        points = (pointer(xp, a, a.dtype), pointer(xp, a if b is None else b, a.dtype))
        function(xp, "energy", name, a.dtype, DIM=d, **told)((P, Q), (128,), (*points, *ends, *outputs))
    else:
        tiled(xp, a, b, (P, Q), told, ends, outputs, xp.empty(blocks(n, rows) * blocks(m, columns), np.uint8))
    return parts


def tiled(
    xp: Any, a: Array, b: Array | None, grid: tuple[int, int], told: dict[str, int], ends: Any, outputs: Any, marks: Array
) -> None:
    """By products, then the tiles marked there by differences; in fewer coordinates all by differences."""
    d, expanded = np.int32(a.shape[1]), a.shape[1] >= EXPANDED
    one, other = sides(xp, a, b, expanded)
    for way in (1, 0) if expanded else (0,):
        kernel = function(xp, "energy_tiled", "pair_sums_tiled", a.dtype, EXPANDED=way, **told)
        shared = tile_bytes(a.dtype, way)
        if shared > PLAIN_SHARED:
            kernel.max_dynamic_shared_size_bytes = shared
        points = (one.centred, other.centred) if way else (one.x, other.x)
        kernel(grid, (16, 16), (*points, one.lengths, other.lengths, *ends, d, *outputs, marks if expanded else NULL),
               shared_mem=shared)


def sides(xp: Any, a: Array, b: Array | None, expanded: bool) -> tuple[Side, Side]:
    """Both sides, centred where they are expanded around the mean of b."""
    plain = [pointer(xp, points, a.dtype) for points in ((a,) if b is None else (a, b))]
    middle = xp.mean(plain[-1], axis=0) if expanded else None
    each = [centred(xp, x, middle) for x in plain]
    return each[0], each[-1]


def centred(xp: Any, x: Array, middle: Array | None) -> Side:
    if middle is None:
        return Side(x, NULL, NULL)
    (n, d), side = x.shape, Side(x, xp.empty_like(x), xp.empty(x.shape[0], x.dtype))
    function(xp, "sweeps", "centre", x.dtype)((blocks(n, 8),), (32, 8), (x, middle, np.int32(n), np.int32(d), *side[1:]))
    return side


def totals(
    parts: Parts, a: Array, b: Array | None, scale: float = 1.0, rest: Array | None = None, weight: float = 0.0
) -> tuple[Array, Array | None, Array | None]:
    """scale times the sums, less weight times the number `rest`, and both gradients; with b = None, of both ends together."""
    xp, (n, d) = module_of(a), a.shape
    F, da = xp.empty(n, a.dtype), None if parts.by_row is None else xp.empty((n, d), a.dtype)
    db = None if b is None or parts.by_column is None else xp.empty(b.shape, a.dtype)
    P, md = (0, 0) if parts.by_column is None else (parts.by_column.shape[0], parts.by_column[0].size)
    launch(xp, "totals", a.dtype, n + (0 if da is None else n * d) + (0 if db is None else md), (
        *(NULL if part is None else part for part in parts), np.int32(parts.sums.shape[0]), np.int32(P), np.int64(n),
        np.int64(n * d), np.int64(md), np.float64(scale), NULL if rest is None else rest, np.float64(weight),
        *(NULL if out is None else out for out in (F, da, db)),
    ))
    return F, da, db


def look(g: Array) -> tuple[Array, Array]:
    """Whether all numbers of g (n,) are the same, an int32 of shape (1,), and their sum, a float64 likewise."""
    xp, same, total = module_of(g), module_of(g).empty(1, np.int32), module_of(g).empty(1, np.float64)
    function(xp, "sweeps", "look", g.dtype)((1,), (1024,), (g, np.int32(g.size), same, total))
    return same, total


def launch(xp: Any, name: str, dtype: Any, threads: int, args: tuple[Any, ...]) -> None:
    function(xp, "sweeps", name, dtype)((blocks(threads, THREADS),), (THREADS,), args)


def shape_of(d: int, dtype: Any) -> tuple[str, int, int]:
    """The kernel, and the rows and columns of its tiles: ROWS and COLUMNS there."""
    words = np.dtype(dtype).itemsize // 4
    return ("pair_sums", 512 if d * words <= 4 else 256, 64) if d <= DIRECT else ("pair_sums_tiled", 128 // words, 64)


def tile_bytes(dtype: Any, expanded: int) -> int:
    """Shared memory of a tile: Tile in energy_tiled.cu."""
    size, rows, columns = np.dtype(dtype).itemsize, shape_of(DIRECT + 1, dtype)[1], 64
    depth = 64 if expanded and size == 4 else 32
    return int(size * (depth * (rows + 4 + columns + 4) + columns * rows + rows + columns) + 16)


def grid_of(xp: Any, resident: int, row_tiles: int, column_tiles: int, by_column: bool) -> tuple[int, int]:
    """P and Q, so that P Q blocks fill the device: few of both where both leave gradients, else a block for each row tile."""
    wanted = resident * attribute(xp, "multiProcessorCount")
    P = min(row_tiles, max(math.isqrt(wanted), blocks(wanted, column_tiles))) if by_column else row_tiles
    return P, min(column_tiles, blocks(wanted, P))


def numbers_of(f: Distance | RBF) -> tuple[tuple[float, ...], int, int]:
    """What pair.cuh wants to know of f: its numbers, HALVES, SCALES."""
    if isinstance(f, RBF):
        return f.scales, 0, len(f.scales)
    return (f.beta,), int(2 * f.beta) if f.beta in (0.5, 1.0, 1.5) else 0, 0


@cache
def constants(xp: Any, numbers: tuple[float, ...], dtype: Any) -> Array:
    """A few numbers, brought to the device once."""
    return xp.asarray(np.array(numbers, dtype))
