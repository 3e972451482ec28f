r"""Base densities $\rho(z)$: where a flow starts. Each can be sampled from noise and has an exact log density.

    StandardNormal    $\log \rho(z) = -\tfrac12 \sum_i (z_i^2 + \log 2\pi)$
    Normal            $\log \rho(z) = -\tfrac12 \sum_i (z_i^2 / s^2 + \log 2\pi s^2)$, s given once and for all
    Uniform           $\log \rho(z) = -d \log(b - a)$ on the cube $[a, b)^d$, $-\infty$ outside
    DiagonalNormal    mean and standard deviation of each coordinate are learned
    Mixture           of K diagonal normals, weights, means and standard deviations learned

A density has `init(rng) -> params`, `noise(rng, n)` (what one draw of n points consumes), `sample(params, noise)` and
`log_prob(params, z)`. Only `noise` touches a generator; the rest are functions of their arguments.
"""
import math
from dataclasses import dataclass
from typing import Protocol

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core.checks import check_count, check_positive, check_shape, value
from evenflow.reference.core.dispatch import replaceable
from evenflow.reference.core.special import bounded, logsumexp
from evenflow.reference.core.trees import Array, Tree

LOG_2PI = math.log(2 * math.pi)


class Density(Protocol):
    """What a flow asks of its base."""

    @property
    def d(self) -> int: ...
    def init(self, rng: onp.random.Generator) -> Tree: ...
    def noise(self, rng: onp.random.Generator, n: int) -> Tree: ...
    def sample(self, params: Tree, noise: Tree) -> Array: ...
    def log_prob(self, params: Tree, z: Array) -> Array: ...


@dataclass(frozen=True)
class StandardNormal:
    """N(0, I) in d dimensions; noise (n, d) is the sample."""
    d: int

    def __post_init__(self) -> None:
        check_count("d", self.d)

    def init(self, rng: onp.random.Generator) -> Tree:
        return {}

    def noise(self, rng: onp.random.Generator, n: int) -> Array:
        return rng.standard_normal((n, self.d))

    def sample(self, params: Tree, noise: Array) -> Array:
        check_shape("noise", noise, "n", self.d)
        return noise

    @replaceable
    def log_prob(self, params: Tree, z: Array) -> Array:
        """z (n, d) -> (n,)."""
        check_shape("z", z, "n", self.d)
        return np.sum(-0.5 * (z * z + LOG_2PI), axis=1)


@dataclass(frozen=True)
class Normal:
    """N(0, sd^2 I) in d dimensions, sd fixed; noise (n, d) standard normal.

    Where an energy is tilted by the base, sd^2 is the data's largest marginal variance (Grenioux et al. 2023).
    """
    d: int
    sd: float

    def __post_init__(self) -> None:
        check_count("d", self.d)
        check_positive("sd", self.sd)

    def init(self, rng: onp.random.Generator) -> Tree:
        return {}

    def noise(self, rng: onp.random.Generator, n: int) -> Array:
        return rng.standard_normal((n, self.d))

    def sample(self, params: Tree, noise: Array) -> Array:
        check_shape("noise", noise, "n", self.d)
        return float(self.sd) * noise

    def log_prob(self, params: Tree, z: Array) -> Array:
        """z (n, d) -> (n,)."""
        check_shape("z", z, "n", self.d)
        w = z / float(self.sd)
        return np.sum(-0.5 * (w * w + LOG_2PI) - math.log(self.sd), axis=1)


@dataclass(frozen=True)
class Uniform:
    """Uniform on the cube [low, high)^d; noise (n, d) in [0, 1). The base of flows on angles: low = -pi, high = pi."""
    d: int
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check_count("d", self.d)
        if not -math.inf < self.low < self.high < math.inf:
            raise ValueError(f"low must be smaller than high and both finite, got low {self.low} and high {self.high}")

    def init(self, rng: onp.random.Generator) -> Tree:
        return {}

    def noise(self, rng: onp.random.Generator, n: int) -> Array:
        return rng.random((n, self.d))

    def sample(self, params: Tree, noise: Array) -> Array:
        check_shape("noise", noise, "n", self.d)
        return self.low + (self.high - self.low) * noise

    def log_prob(self, params: Tree, z: Array) -> Array:
        """z (n, d) -> (n,), -inf outside the cube."""
        check_shape("z", z, "n", self.d)
        inside = np.all((z >= self.low) & (z < self.high), axis=1)
        flat = np.zeros_like(z[:, 0]) - self.d * math.log(self.high - self.low)
        return np.where(inside, flat, np.where(np.any(z != z, axis=1), math.nan, -math.inf)).astype(flat.dtype)


@dataclass(frozen=True)
class DiagonalNormal:
    """Independent normals with learned means and standard deviations; starts as the standard normal."""
    d: int

    def __post_init__(self) -> None:
        check_count("d", self.d)

    def init(self, rng: onp.random.Generator) -> Tree:
        return {"mean": onp.zeros(self.d), "log_sd": onp.zeros(self.d)}

    def noise(self, rng: onp.random.Generator, n: int) -> Array:
        return rng.standard_normal((n, self.d))

    def sample(self, params: Tree, noise: Array) -> Array:
        check_shape("noise", noise, "n", self.d)
        return params["mean"] + np.exp(bounded(params["log_sd"])) * noise

    def log_prob(self, params: Tree, z: Array) -> Array:
        """z (n, d) -> (n,)."""
        check_shape("z", z, "n", self.d)
        return normal_log_prob(z, params["mean"], bounded(params["log_sd"]))


@dataclass(frozen=True)
class Mixture:
    """A mixture of diagonal normals with learned weights, means and standard deviations.

    noise: {"uniform": (n,), "normal": (n, d)}; the uniform chooses the component, so a sample is differentiable in the
    means and deviations but not in the weights.
    """
    d: int
    components: int

    def __post_init__(self) -> None:
        check_count("d", self.d)
        check_count("components", self.components)

    def init(self, rng: onp.random.Generator) -> Tree:
        shape = (self.components, self.d)
        return {"logits": onp.zeros(self.components), "means": rng.standard_normal(shape), "log_sds": onp.zeros(shape)}

    def noise(self, rng: onp.random.Generator, n: int) -> Tree:
        return {"uniform": rng.random(n), "normal": rng.standard_normal((n, self.d))}

    def sample(self, params: Tree, noise: Tree) -> Array:
        check_shape('noise["normal"]', noise["normal"], "n", self.d)
        check_shape('noise["uniform"]', noise["uniform"], noise["normal"].shape[0])
        reached = np.cumsum(np.exp(value(self.log_weights(params))))[:-1]
        chosen = np.sum(noise["uniform"][:, None] >= reached, axis=1)
        return params["means"][chosen] + np.exp(bounded(params["log_sds"]))[chosen] * noise["normal"]

    def log_prob(self, params: Tree, z: Array) -> Array:
        """z (n, d) -> (n,)."""
        check_shape("z", z, "n", self.d)
        each = normal_log_prob(z[:, None, :], params["means"], bounded(params["log_sds"]))  # (n, components)
        return logsumexp(each + self.log_weights(params), axis=1)

    def log_weights(self, params: Tree) -> Array:
        return params["logits"] - logsumexp(params["logits"], axis=0)


def normal_log_prob(x: Array, mean: Array, log_sd: Array) -> Array:
    """Log density of independent normals, summed over the last axis."""
    w = (x - mean) * np.exp(-log_sd)
    return np.sum(-0.5 * (w * w + LOG_2PI) - log_sd, axis=-1)
