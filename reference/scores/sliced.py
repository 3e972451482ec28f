r"""The sliced energy score: the energy score on the line, averaged over directions.

$$SES_\beta(P, y) = \frac1L \sum_{l=1}^{L} ES_\beta(v_l \cdot P,\; v_l \cdot y), \qquad |v_l| = 1.$$

For $v$ uniform on the sphere $E_v |v \cdot u|^\beta = c(d, \beta)\, \|u\|^\beta$, so on average over directions it is
the full score times

$$c(d, \beta) = \frac{\Gamma(d/2)\, \Gamma((\beta+1)/2)}{\sqrt\pi\; \Gamma((d+\beta)/2)}.$$

The functions do *not* divide by $c$; divide by `slicing_constant(d, beta)` for an estimate of the full score.
At $\beta = 1$ each direction costs O(m log m), by sorting; otherwise pairs are visited as in the full score.
Differences are taken before they are projected: projections of equal points need not be equal to the last bit, and for small
$\beta$ the smallest distance counts ($10^{-16}$ to the power 1/4 is $10^{-4}$).
Si et al. 2023 ask for "efficient estimators based on random projections"; this form is our choice.
"""
import math

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, anywhere, arrays, check_count, check_finite, check_shape, lookup, replaceable, value
from evenflow.reference.scores.energy import check_beta, smooth_power
from evenflow.reference.scores.pairs import ESTIMATORS, check_draws, check_samples, pair_distance, pair_score
from evenflow.reference.scores.sorting import sorted_sums, sorted_within


@arrays("noise")
def random_directions(noise: Array) -> Array:
    """Standard normal noise (L, d) -> unit vectors (L, d), uniform on the sphere. ValueError for a row of zeros.

    >>> random_directions(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    check_shape("noise", noise, "L", "d")
    check_finite("noise", noise)
    norms = np.sqrt(np.sum(noise**2, axis=-1, keepdims=True))
    if anywhere(onp.logical_not(value(norms) > 0)):
        raise ValueError("noise must not have a row of zeros: it has no direction")
    return noise / norms


def slicing_constant(d: int, beta: float = 1.0) -> float:
    """c(d, beta) = E|v . u|^beta / |u|^beta for v uniform on the unit sphere of R^d; c(1, beta) = 1.

    >>> round(slicing_constant(3), 6)
    0.5
    """
    check_count("d", d)
    beta = check_beta(beta)
    log_c = math.lgamma(d / 2) + math.lgamma((beta + 1) / 2) - math.lgamma((d + beta) / 2)
    return math.exp(log_c) / math.sqrt(math.pi)


@arrays("draws", "y", "directions")
def sliced_energy_score(draws: Array, y: Array, directions: Array, beta: float = 1.0, estimator: str = "U") -> Array:
    """SES_beta for each of n observations: about slicing_constant(d, beta) times `energy_score`, which see.

    draws (m, n, d) or (m, d), y (n, d), directions (L, d) unit vectors -> (n,).

    >>> sliced_energy_score(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[5.0, 4.0]]), np.eye(2))
    array([1.])
    """
    beta = check_beta(beta)
    check_draws(draws, y)
    check_directions(directions, y.shape[1])
    if beta != 1:
        return pair_score(lambda a, b: sliced_distance(a, b, directions, beta), draws, y, estimator)
    m, weight = draws.shape[0], lookup("estimator", estimator, ESTIMATORS)
    if draws.ndim == 3:
        x = project(draws - y, directions)
        cross, within = np.sum(np.abs(x), axis=0), sorted_within(x)                     # (n, L), (n, L)
    else:
        x, y = (project(points - value(y)[0], directions) for points in (draws, y))
        cross, within = sorted_sums(x, y)                                               # (n, L), (L,)
    return mean_over_directions(cross / m - within * weight(m))


@arrays("x", "y", "directions")
def sliced_energy_distance(x: Array, y: Array, directions: Array, beta: float = 1.0, estimator: str = "U") -> Array:
    """The energy distance on the line, averaged: about slicing_constant(d, beta) times `energy_distance`, which see.

    x (n, d), y (m, d), directions (L, d) unit vectors -> a scalar.

    >>> x = np.array([[0.0, 0.0], [2.0, 2.0]])
    >>> float(sliced_energy_distance(x, x + 1.0, np.eye(2), estimator="V"))
    1.0
    """
    beta = check_beta(beta)
    check_samples(x, y)
    check_directions(directions, y.shape[1])
    if beta != 1:
        return pair_distance(lambda a, b: sliced_distance(a, b, directions, beta), x, y, estimator)
    x, y = (project(points - value(y)[0], directions) for points in (x, y))
    n, m, weight = x.shape[0], y.shape[0], lookup("estimator", estimator, ESTIMATORS)
    cross, within = sorted_sums(x, y)
    cross = np.sum(cross, axis=0) / (n * m)
    return mean_over_directions(2 * (cross - within * weight(n) - sorted_within(y) * weight(m)))


@replaceable
def project(points: Array, directions: Array) -> Array:
    """v_l . p for every point and direction: (..., d), (L, d) -> (..., L)."""
    return points @ directions.T


def sliced_distance(a: Array, b: Array, directions: Array, beta: float) -> Array:
    """The mean over directions of |v_l . (a - b)|^beta: a, b (..., d), directions (L, d) -> (...)."""
    return mean_over_directions(smooth_power(project(a - b, directions) ** 2, beta))


def mean_over_directions(array: Array) -> Array:
    return np.sum(array, axis=-1) / array.shape[-1]


def check_directions(directions: Array, d: int) -> None:
    """Raise ValueError unless directions are one or more unit vectors (L, d)."""
    check_shape("directions", directions, "L", d)
    norms = onp.sqrt(onp.sum(value(directions) ** 2, axis=-1))
    if norms.size == 0 or anywhere(onp.logical_not(abs(norms - 1) < 1e-3)):
        raise ValueError(f"directions must be one or more unit vectors (see random_directions), got lengths {norms}")
