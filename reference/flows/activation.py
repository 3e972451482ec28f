r"""Invertible activations: what makes a stack of dense layers more than one dense layer.

Leaky    $x = z$ for $z \ge 0$, $x = a z$ below
Smooth   $x = p z + q (\sqrt{z^2 + 1} - 1)$ with $p = (1 + a)/2$, $q = (1 - a)/2$: a hyperbola, slopes $a$ and $1$ at its ends

both for one fixed slope $0 < a < 1$, increasing and unbounded both ways, so that every x has a z. The smooth one has a
closed-form inverse: squaring $q \sqrt{z^2 + 1} = x + q - p z$ and using $p^2 - q^2 = a$,

$$z = \frac{p (x + q) - q \sqrt{(x + q)^2 + a}}{a}$$

Not the activations of networks.py, which need no inverse.
"""
import math
from dataclasses import dataclass

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, Tree, check_count
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
    """Slope 1 above zero, `slope` below. The log_det is discontinuous at zero."""
    d: int
    slope: float = 0.3
    context_dim: int = 0  # accepted and ignored

    def __post_init__(self) -> None:
        check_count("d", self.d)
        if not 0 < self.slope < 1:
            raise ValueError(f"slope must lie strictly between 0 and 1, got {self.slope}")

    def init(self, rng: onp.random.Generator) -> Tree:
        return {}

    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "z", z, context)
        return summed(*self.curve(z))

    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "x", x, context)
        return summed(*self.curve_back(x))

    def curve(self, z: Array) -> tuple[Array, Array]:
        return leaky(z, self.slope)

    def curve_back(self, x: Array) -> tuple[Array, Array]:
        return leaky(x, 1 / self.slope)


@dataclass(frozen=True)
class SmoothLeakyReLU(LeakyReLU):
    """The hyperbola with slopes `slope` and 1."""

    def curve(self, z: Array) -> tuple[Array, Array]:
        return smooth_leaky(z, self.slope)

    def curve_back(self, x: Array) -> tuple[Array, Array]:
        return smooth_leaky_inverse(x, self.slope)


def summed(out: Array, log_slope: Array) -> tuple[Array, Array]:
    return out, np.sum(log_slope, axis=1)
