"""Sums over pairs where every observation has draws of its own, value and gradient in one launch: each.cu."""
import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels.loading import NULL, blocks, function, pointer
from evenflow.accel.kernels.pairs import constants, numbers_of
from evenflow.reference.core import Array, check_shape
from evenflow.reference.scores.energy import Distance
from evenflow.reference.scores.kernels import RBF

MOST = 128      # threads of a block
DEEP = 64       # of them along its third axis: CUDA allows no more
REGISTERS = 4   # coordinates of a point in one thread, as long as a warp is enough for the point


def each(
    f: Distance | RBF, x: Array, y: Array | None, cross_weight: float, within_weight: float, slopes: bool
) -> tuple[Array, Array | None]:
    """cross_weight sum_i f(x_ij, y_j) + within_weight sum_{i<k} f(x_ij, x_kj) for every j, and the gradient of their sum by x.

    x (m, n, d), y (n, d) or None for no cross term -> (n,), (m, n, d) or None where it is not asked for.
    """
    xp, (m, n, d) = module_of(x), x.shape
    if y is not None:
        check_shape("y", y, n, d)
    width = min(32, 2 ** max(0, (blocks(d, REGISTERS) - 1).bit_length()))
    draws = min(m, MOST // width)
    observations = min(DEEP, max(1, MOST // (width * draws)))
    numbers, halves, scales = numbers_of(f)
    kernel = function(xp, "each", "each", x.dtype, DIM=d, LANES=width, SCALES=scales, HALVES=halves)
    values, gradient = xp.empty(n, x.dtype), xp.empty((m, n, d), x.dtype) if slopes else None
    kernel((blocks(n, observations),), (width, draws, observations), (
        pointer(xp, x, x.dtype), pointer(xp, y, x.dtype), np.int32(m), np.int32(n), constants(xp, numbers, x.dtype),
        *map(x.dtype.type, (cross_weight, within_weight)), values, NULL if gradient is None else gradient,
    ))
    return values, gradient
