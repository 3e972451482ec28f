r"""Base densities $\rho(z)$: where a flow starts. Each can be sampled from noise and has an exact log density.

    Normal     $\log \rho(z) = -\tfrac12 \sum_i (z_i^2 / s^2 + \log 2\pi s^2)$
    Uniform    $\log \rho(z) = -d \log(b - a)$ on the cube $[a, b)^d$, $-\infty$ outside

A density has no parameters. Only `noise(rng, n)`, what n points consume, touches a generator; the rest are functions of their
arguments. The targets of targets/ are densities, too.
"""
import math
from dataclasses import dataclass
from typing import Protocol

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, Tree, arrays, check_count, check_positive, check_shape, replaceable

LOG_2PI = math.log(2 * math.pi)


class Density(Protocol):
    """What can be sampled and weighed: the base of a flow, the tilt of an energy, where chains start."""

    @property
    def d(self) -> int: ...
    def noise(self, rng: onp.random.Generator, n: int) -> Tree: ...
    def sample(self, noise: Tree) -> Array: ...
    def log_prob(self, x: Array) -> Array: ...


@dataclass(frozen=True)
class Normal:
    """N(0, sd^2 I) in d dimensions; noise (n, d) standard normal.

    Where an energy is tilted by the base, sd^2 is the data's largest marginal variance (Grenioux et al. 2023).

    >>> Normal(2).log_prob(onp.zeros((1, 2)))
    array([-1.83787707])
    """
    d: int
    sd: float = 1.0

    def __post_init__(self) -> None:
        check_count("d", self.d)
        check_positive("sd", self.sd)

    def noise(self, rng: onp.random.Generator, n: int) -> Array:
        return rng.standard_normal((n, self.d))

    @arrays("noise")
    def sample(self, noise: Array) -> Array:
        check_shape("noise", noise, "n", self.d)
        return float(self.sd) * noise

    @arrays("x")
    @replaceable
    def log_prob(self, x: Array) -> Array:
        """x (n, d) -> (n,)."""
        check_shape("x", x, "n", self.d)
        w = x / float(self.sd)
        return np.sum(-0.5 * (w * w + LOG_2PI) - math.log(self.sd), axis=1)


@dataclass(frozen=True)
class Uniform:
    """Uniform on the cube [low, high)^d; noise (n, d) in [0, 1).

    >>> Uniform(2, -1.0, 1.0).log_prob(onp.array([[0.0, 0.5], [0.0, 1.0]]))
    array([-1.38629436,        -inf])
    """
    d: int
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check_count("d", self.d)
        if not -math.inf < self.low < self.high < math.inf:
            raise ValueError(f"low must be smaller than high and both finite, got low {self.low} and high {self.high}")

    def noise(self, rng: onp.random.Generator, n: int) -> Array:
        return rng.random((n, self.d))

    @arrays("noise")
    def sample(self, noise: Array) -> Array:
        check_shape("noise", noise, "n", self.d)
        low, high = (noise.dtype.type(end) for end in (self.low, self.high))
        below = float(onp.nextafter(high, low))  # in float32 noise may round to 1, and in any dtype the product to high
        return np.minimum(self.low + (self.high - self.low) * noise, below)

    @arrays("x")
    def log_prob(self, x: Array) -> Array:
        """x (n, d) -> (n,), -inf outside the cube."""
        check_shape("x", x, "n", self.d)
        inside = np.all((x >= self.low) & (x < self.high), axis=1)
        flat = np.zeros_like(x[:, 0]) - self.d * math.log(self.high - self.low)
        return np.where(inside, flat, np.where(np.any(x != x, axis=1), math.nan, -math.inf)).astype(flat.dtype)
