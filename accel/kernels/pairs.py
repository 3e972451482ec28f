r"""Sums over pairs for the energy score: one launch gives value and gradient, and nothing n x m is ever stored.

$$\text{sums}_i = \sum_j w_j f(a_i, b_j), \qquad \text{gradient}_i = \nabla_{a_i} \text{sums}_i, \qquad
  f(a, b) = (\|a - b\|^2 + \text{EPS}^2)^{\beta/2}, \text{ 0 where } a = b$$

All that the score and its gradient need, for draws x (m, d) shared by y (n, d) and a cotangent g of its cross sums:

    cross_j   sums of (y, x);  gradient in y: g_j times its gradient;  gradient in x: the gradient of (x, y) with weights g
    within    half the sum of the sums of (x, x), since f = 0 at i = j;  gradient in x: the gradient of (x, x)
"""
from typing import Any

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels.loading import NULL, attribute, blocks, function, pointer
from evenflow.reference.core import Array, check_shape

DIRECT = 32      # up to so many dimensions a point stays in registers (energy.cu), beyond it comes in slices (energy_tiled.cu)
WAVES = 2        # blocks for each multiprocessor, where there are partners enough to split
MOST_SPLITS = 16


def pair_sums(
    a: Array, b: Array, beta: float, weights: Array | None = None, gradient: bool = True
) -> tuple[Array, Array | None]:
    """a (n, d), b (m, d), weights (m,) or all ones -> sums (n,), gradient (n, d) or None where it is not asked for."""
    xp, (n, d), m = module_of(a), a.shape, b.shape[0]
    check_shape("b", b, "m", d)
    if weights is not None:
        check_shape("weights", weights, m)
    rows, columns = (128, 128) if d <= DIRECT else (64, 32)  # of a tile: TILE there, ROWS and COLS here
    splits = splits_of(xp, blocks(n, rows), blocks(m, columns))
    sums = xp.empty((splits, n), dtype=np.float64)
    slopes = xp.zeros((splits, n, d), dtype=a.dtype) if gradient else None
    points = (*(pointer(xp, array, a.dtype) for array in (a, b, weights)), np.int32(n), np.int32(m))
    rest = (a.dtype.type(beta), sums, NULL if slopes is None else slopes)
    if d <= DIRECT:
        function(xp, "energy", "row_sums", a.dtype, DIM=d)((blocks(n, rows), splits), (rows,), (*points, *rest))
    else:
        kernel = function(xp, "energy_tiled", "row_sums_tiled", a.dtype)
        kernel((blocks(n, rows), splits), (16, 16), (*points, np.int32(d), *rest))
    return sums.sum(axis=0).astype(a.dtype), None if slopes is None else slopes.sum(axis=0)


def splits_of(xp: Any, row_blocks: int, tiles: int) -> int:
    """Into how many parts the partners are split, so that the blocks fill the device."""
    wanted = blocks(WAVES * attribute(xp, "multiProcessorCount"), row_blocks)
    return max(1, min(wanted, tiles, MOST_SPLITS))
