r"""The kernel score and the maximum mean discrepancy: energy score and distance, a kernel in place of the distance.

$$KS(P, y) = \tfrac12 E\,k(X, X') - E\,k(X, y) + \tfrac12 k(y, y) \qquad
  MMD^2 = E\,k(X, X') - 2 E\,k(X, Y) + E\,k(Y, Y')$$

(Gneiting & Raftery 2007, section 5; Gretton et al. 2012). $E_{y \sim Q}\,KS(P, y)$ exceeds its least value by half the
squared MMD. With the distance kernel $k(x, y) = |x|^\beta + |y|^\beta - |x - y|^\beta$ the terms in $|x|$ and $|y|$
cancel: KS *is* the energy score (factor 1) and MMD^2 *is* the energy distance, in the U- and in the V-statistic alike.
(With half that kernel, as some authors define it, both would be halved.)
"""
from collections.abc import Sequence
from dataclasses import dataclass

import autograd.numpy as np

from evenflow.reference.core import Array, arrays, check_positive, lookup
from evenflow.reference.scores.energy import check_beta, distance
from evenflow.reference.scores.pairs import ESTIMATORS, PairFunction, check_draws, check_samples, pair_distance, pair_score


def rbf_kernel(bandwidths: Sequence[float] = (2, 5, 10, 20, 40, 80)) -> PairFunction:
    """k(x, y) = sum_s exp(-|x - y|^2 / (2 s^2)) over the bandwidths s, in units of the data. MMD = 0 only if P = Q.

    The default bandwidths are those of the code of Si et al. 2023; note that some codes write exp(-|x - y|^2 / s) or
    exp(-s |x - y|^2).

    >>> float(rbf_kernel((1.0, 2.0))(np.zeros(3), np.zeros(3)))
    2.0
    """
    for s in bandwidths:
        check_positive("bandwidths", s)
    if len(bandwidths) == 0:
        raise ValueError("bandwidths must hold at least one number, got none")
    return RBF(tuple(-0.5 / float(s) ** 2 for s in bandwidths))


@dataclass(frozen=True)
class RBF:
    scales: tuple[float, ...]  # -1 / (2 s^2)

    @arrays("a", "b")
    def __call__(self, a: Array, b: Array) -> Array:
        squared = np.sum((a - b) ** 2, axis=-1)
        return sum(np.exp(scale * squared) for scale in self.scales)


def linear_kernel() -> PairFunction:
    """k(x, y) = x . y. It sees nothing but the mean: MMD^2 = |E X - E Y|^2; the score is proper, but not strictly.

    >>> float(linear_kernel()(np.array([1.0, 2.0]), np.array([3.0, 4.0])))
    11.0
    """
    return Linear()


@dataclass(frozen=True)
class Linear:
    @arrays("a", "b")
    def __call__(self, a: Array, b: Array) -> Array:
        return np.sum(a * b, axis=-1)


def distance_kernel(beta: float = 1.0) -> PairFunction:
    """k(x, y) = |x|^beta + |y|^beta - |x - y|^beta, with the smoothed distance of energy.py.

    >>> round(float(distance_kernel()(np.array([3.0, 0.0]), np.array([0.0, 4.0]))), 6)
    2.0
    """
    return DistanceKernel(check_beta(beta))


@dataclass(frozen=True)
class DistanceKernel:
    beta: float

    @arrays("a", "b")
    def __call__(self, a: Array, b: Array) -> Array:
        return distance(a, 0.0, self.beta) + distance(b, 0.0, self.beta) - distance(a, b, self.beta)


@arrays("draws", "y")
def kernel_score(draws: Array, y: Array, kernel: PairFunction, estimator: str = "U") -> Array:
    """Estimate of KS: draws (m, n, d) or (m, d), y (n, d) -> (n,), as in `energy_score`.

    kernel is symmetric and works over the last axis: (..., d), (..., d) -> (...). Raises ValueError unless m >= 2.

    >>> kernel_score(np.array([[0.0], [2.0]]), np.array([[1.0]]), linear_kernel())
    array([-0.5])
    """
    check_draws(draws, y)
    score = kernel(y, y) / 2 - pair_score(kernel, draws, y, estimator)
    return score + diagonal(kernel, draws, estimator) / 2


@arrays("x", "y")
def mmd(x: Array, y: Array, kernel: PairFunction, estimator: str = "U") -> Array:
    """Estimate of the *squared* MMD of two samples: x (n, d), y (m, d) -> a scalar, as in `energy_distance`.

    >>> x = np.array([[0.0], [2.0]])
    >>> float(mmd(x, x + 1.0, linear_kernel(), estimator="V"))
    1.0
    """
    check_samples(x, y)
    within = diagonal(kernel, x, estimator) + diagonal(kernel, y, estimator)
    return within - pair_distance(kernel, x, y, estimator)


def diagonal(kernel: PairFunction, x: Array, estimator: str) -> Array:
    """What k(x_i, x_i) adds to the estimate of E k(X, X'): x (m, ..., d) -> (...). In the U-statistic, nothing."""
    lookup("estimator", estimator, ESTIMATORS)
    if estimator == "U":
        return 0.0
    return np.sum(kernel(x, x), axis=0) / x.shape[0] ** 2
