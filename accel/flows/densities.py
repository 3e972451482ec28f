r"""The normal's log density in one: $\ell = -\tfrac12 |x / s|^2 - d \log s\sqrt{2\pi}$, $\bar x = -\bar\ell x / s^2$."""
import math
from typing import Any

from evenflow.accel.backends import on_device
from evenflow.accel.core.elementwise import row_sums
from evenflow.accel.fused import fused
from evenflow.accel.kernels import layers
from evenflow.reference.core import Array, check_shape
from evenflow.reference.core.dispatch import definitions
from evenflow.reference.flows.densities import LOG_2PI, Normal


def forward(s: float, z: Array) -> tuple[tuple[Array], Any]:
    w, d = z if s == 1 else z / s, z.shape[1]
    if on_device(z):
        log_prob = layers.normal_log_prob(w)
        return (log_prob if s == 1 else log_prob - d * math.log(s),), (s, z)
    return (-0.5 * row_sums(w * w) - d * (0.5 * LOG_2PI + math.log(s)),), (s, z)


def backward(saved: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
    s, z = saved
    return [-g[:, None] * (z if s == 1 else z / s**2)]


normal = fused(forward, backward)


def log_prob(density: Normal, x: Array) -> Array:
    """flows.densities.Normal.log_prob."""
    if type(density) is not Normal:
        return definitions["flows.densities.Normal.log_prob"](density, x)
    check_shape("x", x, "n", density.d)
    return normal(float(density.sd), x)[0]


REPLACEMENTS: dict[str, Any] = {"flows.densities.Normal.log_prob": log_prob}
