"""The inverse and log |det| of a matrix on the device, in one launch: inverse.cu."""
import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels.loading import function
from evenflow.reference.core import Array, check_shape

WIDE = 512


def invert(W: Array) -> tuple[Array, Array]:
    """W (d, d) -> its inverse and log |det W|; infinite where W is singular."""
    check_shape("W", W, len(W), len(W))
    xp, d = module_of(W), len(W)
    inverse, log_abs_det, work = xp.empty((d, d), W.dtype), xp.empty((), W.dtype), xp.empty((d, 2 * d), np.float64)
    args = (xp.ascontiguousarray(W), np.int32(d), work, inverse, log_abs_det)
    function(xp, "inverse", "invert", W.dtype)((1,), (WIDE,), args)
    return inverse, log_abs_det
