r"""What dense layers need of their matrix: on the device from its inverse, one launch (kernels/inverse.cu) instead of cuSOLVER.

$$\ell = \log|\det W|, \quad \bar W = \bar\ell\, W^{-T}; \qquad
  z = y W^{-T}, \quad \bar y = \bar z W^{-1}, \quad \bar W = -\bar y^T z.$$
"""
from typing import Any

from autograd.tracer import isbox

from evenflow.accel.backends import on_device
from evenflow.accel.fused import fused
from evenflow.accel.kernels.inverse import invert
from evenflow.accel.products import product
from evenflow.reference.core import Array, check_shape, value
from evenflow.reference.core.dispatch import definitions


def _det_forward(W: Array) -> tuple[tuple[Array], Any]:
    inverse, log_abs_det = invert(W)
    return (log_abs_det,), inverse


def _det_backward(inverse: Array, wanted: tuple[int, ...], g: Array) -> list[Array]:
    return [g * inverse.T]


def _solve_forward(W: Array, y: Array) -> tuple[tuple[Array], Any]:
    inverse = invert(W)[0]
    z = product(y, inverse.T)
    return (z,), (inverse, z)


def _solve_backward(saved: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
    inverse, z = saved
    g_y = product(g, inverse)
    return [g_y if i == 1 else -product(g_y.T, z) for i in wanted]


_det, _solve = fused(_det_forward, _det_backward), fused(_solve_forward, _solve_backward)


def log_abs_det(W: Array) -> Array:
    """flows.dense.log_abs_det."""
    return _det(W)[0] if on_device(W) else definitions["flows.dense.log_abs_det"](W)


def applied(W: Array, z: Array) -> Array:
    """flows.dense.applied: traced, the product goes its own way."""
    if on_device(z) and not isbox(W) and not isbox(z):
        return product(z, W.T)
    return definitions["flows.dense.applied"](W, z)


def solved(W: Array, y: Array) -> Array:
    """flows.dense.solved."""
    if not on_device(W):
        return definitions["flows.dense.solved"](W, y)
    check_shape("y", y, "n", value(W).shape[0])
    return _solve(W, y)[0]


REPLACEMENTS = {
    "flows.dense.applied": applied, "flows.dense.log_abs_det": log_abs_det, "flows.dense.solved": solved,
}
