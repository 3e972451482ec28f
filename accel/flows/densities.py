r"""The standard normal's log density, one operation: $\ell = -\tfrac12 |z|^2 - \tfrac d2 \log 2\pi$, $\bar z = -\bar\ell z$."""
from typing import Any

from evenflow.accel.backends import on_device
from evenflow.accel.fused import fused
from evenflow.accel.kernels import layers
from evenflow.reference.core.checks import check_shape
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.flows.densities import LOG_2PI, StandardNormal


def forward(z: Array) -> tuple[tuple[Array], Array]:
    if on_device(z):
        return (layers.normal_log_prob(z),), z
    return (-0.5 * (z * z).sum(axis=1) - 0.5 * z.shape[1] * LOG_2PI,), z


def backward(z: Array, wanted: tuple[int, ...], g: Array) -> list[Array]:
    return [-g[:, None] * z]


normal = fused(forward, backward)


def log_prob(density: StandardNormal, params: Tree, z: Array) -> Array:
    """flows.densities.StandardNormal.log_prob."""
    check_shape("z", z, "n", density.d)
    return normal(z)[0]


REPLACEMENTS: dict[str, Any] = {"flows.densities.StandardNormal.log_prob": log_prob}
