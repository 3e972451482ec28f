r"""Energy-based models: a density known up to its constant.

$$p_\theta(x) = e^{-E_\theta(x)}\, \rho(x) \,/\, Z_\theta, \qquad Z_\theta = \int e^{-E_\theta(x)}\, \rho(x)\, dx$$

(Grenioux et al. 2023, eq. 6), tilted by a base density $\rho$, that of the companion flow; without a tilt, $\rho = 1$. All
that samples the model acts on $\log p = -E + \log \rho$, never on $-E$ alone. The network's last layer starts at zero, so
that E = 0 and p = $\rho$ exactly.

The score of the likelihood (appendix B; eq. 2 of the third version has the opposite sign) does not see $\rho$ or Z:

$$\nabla \tfrac1n \sum_i \log p(x_i) = -\tfrac1n \sum_i \nabla E(x_i) + \mathbb{E}_{x \sim p}[\nabla E(x)],
\qquad \nabla = \nabla_\theta.$$

Not to be confused with the energy score (scores/energy.py).
"""
import math
from dataclasses import dataclass
from typing import Protocol

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import MLP, Array, Tree, arrays, beside, finite, replaceable, told, value_and_gradient
from evenflow.reference.core.checks import check_count, check_finite, check_shape
from evenflow.reference.flows.densities import Density


class Energy(Protocol):
    """E(x): low where the model puts its mass."""

    @property
    def d(self) -> int: ...
    def init(self, rng: onp.random.Generator) -> Tree: ...
    def __call__(self, params: Tree, x: Array) -> Array: ...


@dataclass(frozen=True)
class MLPEnergy:
    """A perceptron d -> 32 -> 64 -> 64 -> 64 -> 1, leaky rectifiers of slope 0.05; zero at the start. 10,592 numbers at d 2:
    the last layer has no bias, which would cancel against Z. (In training, rounding would move it, and log Z with it.)

    >>> energy = MLPEnergy(2)
    >>> energy(energy.init(onp.random.default_rng(0)), onp.ones((3, 2)))
    array([0., 0., 0.])
    """
    d: int
    hidden: tuple[int, ...] = (32, 64, 64, 64)
    activation: str = "leaky_relu"

    @property
    def net(self) -> MLP:
        return MLP(self.d, 1, self.hidden, self.activation, final_scale=0.0)

    def init(self, rng: onp.random.Generator) -> Tree:
        *layers, last = self.net.init(rng)
        return [*layers, {"W": last["W"]}]

    @arrays("x")
    def __call__(self, params: Tree, x: Array) -> Array:
        """x (n, d) -> (n,)."""
        return self.net(params, x)[:, 0]


@dataclass(frozen=True)
class EBM:
    """An energy with the density that tilts it, or None.

    >>> from evenflow import Normal
    >>> ebm, x = EBM(MLPEnergy(2), tilt=Normal(2)), onp.zeros((1, 2))
    >>> ebm.log_density(ebm.init(onp.random.default_rng(0)), x)
    array([-1.83787707])
    """
    energy: Energy
    tilt: Density | None = None

    def __post_init__(self) -> None:
        if self.tilt is not None and self.tilt.d != self.energy.d:
            raise ValueError(f"energy and tilt must agree in d, got {self.energy.d} and {self.tilt.d}")

    @property
    def d(self) -> int:
        return self.energy.d

    def init(self, rng: onp.random.Generator) -> Tree:
        return self.energy.init(rng)

    @arrays("x")
    @replaceable
    def log_density(self, params: Tree, x: Array) -> Array:
        r"""$-E(x) + \log\rho(x)$: log p(x) + log Z.  x (n, d) -> (n,)."""
        return -self.energy(params, x) + (0.0 if self.tilt is None else self.tilt.log_prob(x))


@arrays("positives", "negatives", "weights")
def contrast(
    energy: Energy, params: Tree, positives: Array, negatives: Array, weights: Array | None = None, penalty: float = 0.0
) -> tuple[float, Tree]:
    r"""$\frac1n \sum E(x^+_i) - \sum_j w_j E(x^-_j)$, and its gradient in $\theta$: that of the negative mean log likelihood.

    positives (n, d) data, negatives (m, d) samples of the model; weights (m,), adding up to 1, else all 1/m. The value is not
    a likelihood: it is near zero throughout and says only whether data and samples have drifted apart.
    penalty: how often $\frac1n \sum E(x^+_i)^2 + \sum_j w_j E(x^-_j)^2$ is added, which keeps the energies of images small.
    Raises ValueError for points that are not finite, FloatingPointError for such a value.
    """
    check_points("positives", positives, energy.d)
    check_points("negatives", negatives, energy.d)
    if weights is not None:
        check_shape("weights", weights, len(negatives))
    n, m = len(positives), len(negatives)
    w = beside(onp.full(m, 1 / m, dtype=negatives.dtype), negatives) if weights is None else weights
    signed = np.concatenate([beside(onp.full(n, 1 / n, dtype=positives.dtype), positives), -w])
    both = np.concatenate([positives, negatives])
    with np.errstate(all="ignore"):
        value, gradient = value_and_gradient(lambda theta: penalised(signed, energy(theta, both), penalty), params)
    if not finite(value):
        said = f"got {float(value)} for the difference of its means"
        raise FloatingPointError(f"the energy must be finite at data and samples, {said}")
    return told(value), gradient


def penalised(signed: Array, E: Array, penalty: float) -> Array:
    return np.sum(signed * E) + (penalty * np.sum(np.abs(signed) * E**2) if penalty else 0.0)


def check_penalty(penalty: float) -> None:
    """Raise ValueError unless the weight of the squared energies is finite and at least 0."""
    if not 0 <= penalty < math.inf:
        raise ValueError(f"penalty must be finite and at least 0, got {penalty!r}")


def check_points(name: str, x: Array, d: int) -> None:
    """Raise ValueError unless x is (n, d), n >= 1, and finite."""
    check_shape(name, x, "n", d)
    check_count(f"the length of {name}", len(x))
    check_finite(name, x)
