r"""Invertible activations: what makes a stack of dense layers more than one dense layer.

Leaky    $x = z$ for $z \ge 0$, $x = a z$ below
Smooth   $x = p z + q (\sqrt{z^2 + 1} - 1)$ with $p = (1 + a)/2$, $q = (1 - a)/2$: a hyperbola, slopes $a$ and $1$ at its ends

for one fixed slope $0 < a < 1$: every x has a z. Squaring $q \sqrt{z^2 + 1} = x + q - p z$ gives the smooth one's inverse,

$$z = \frac{p (x + q) - q \sqrt{(x + q)^2 + a}}{a} \qquad \text{as } p^2 - q^2 = a.$$

Not the activations of networks.py, which need no inverse.
"""
import math
from dataclasses import dataclass

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, Tree, arrays, check_count
from evenflow.reference.flows.contract import check_input


def leaky(z: Array, slope: float) -> tuple[Array, Array]:
    """x and log dx/dz, elementwise."""
    positive = z >= 0
    flat = np.zeros_like(z)
    return np.where(positive, z, slope * z), np.where(positive, flat, flat + math.log(slope))


def smooth_leaky(z: Array, slope: float) -> tuple[Array, Array]:
    """x and log dx/dz, elementwise."""
    p, q = (1 + slope) / 2, (1 - slope) / 2
    root = hypotenuse(z, 1.0)
    return p * z + q * (root - 1), np.log(p + q * z / root)


def smooth_leaky_inverse(x: Array, slope: float) -> tuple[Array, Array]:
    """z and log dz/dx, elementwise."""
    p, q = (1 + slope) / 2, (1 - slope) / 2
    z = (p * (x + q) - q * hypotenuse(x + q, math.sqrt(slope))) / slope
    return z, -np.log(p + q * z / hypotenuse(z, 1.0))


def hypotenuse(a: Array, b: float) -> Array:
    """sqrt(a^2 + b^2) with no overflow for large a."""
    m = np.maximum(np.abs(a), b)
    return m * np.sqrt((a / m) ** 2 + (b / m) ** 2)


@dataclass(frozen=True)
class LeakyReLU:
    """Slope 1 above zero, `slope` below. The log_det is discontinuous at zero.

    >>> LeakyReLU(2, slope=0.5).forward({}, np.array([[1.0, -1.0]]))[0]
    array([[ 1. , -0.5]])
    """
    d: int
    slope: float = 0.3
    context_dim: int = 0  # accepted and ignored

    curve = staticmethod(leaky)
    curve_back = staticmethod(lambda x, slope: leaky(x, 1 / slope))

    def __post_init__(self) -> None:
        check_count("d", self.d)
        if not 0 < self.slope < 1:
            raise ValueError(f"slope must lie strictly between 0 and 1, got {self.slope}")

    def init(self, rng: onp.random.Generator) -> Tree:
        return {}

    @arrays("z", "context")
    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "z", z, context)
        x, log_slope = self.curve(z, self.slope)
        return x, np.sum(log_slope, axis=1)

    @arrays("x", "context")
    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "x", x, context)
        z, log_slope = self.curve_back(x, self.slope)
        return z, np.sum(log_slope, axis=1)


@dataclass(frozen=True)
class SmoothLeakyReLU(LeakyReLU):
    """The hyperbola with slopes `slope` and 1.

    >>> SmoothLeakyReLU(1, slope=0.5).forward({}, np.zeros((1, 1)))[0]
    array([[0.]])
    """
    curve = staticmethod(smooth_leaky)
    curve_back = staticmethod(smooth_leaky_inverse)
