r"""The energy score: a proper score that needs samples, not densities.

For a forecast $P$, an observation $y$ and $0 < \beta < 2$ (Gneiting & Raftery 2007, section 4.3; as a loss)

$$ES_\beta(P, y) = E\|X - y\|^\beta - \tfrac12\, E\|X - X'\|^\beta, \qquad X, X' \sim P.$$

Smaller is better. The first term pulls samples to the data, the second keeps them apart. Strictly proper: only the true
distribution attains the minimum on average. At $\beta = 2$ the score sees nothing but the mean of $P$, so $\beta = 2$
is refused. What a forecast $P$ loses against the truth $Q$ is half their energy distance (Szekely & Rizzo 2013)

$$E_{y \sim Q}\left[ES_\beta(P, y) - ES_\beta(Q, y)\right] = \tfrac12 D, \qquad
  D = 2 E\|X - Y\|^\beta - E\|X - X'\|^\beta - E\|Y - Y'\|^\beta.$$

The gradient of $\|u\|^\beta$ is singular at 0 for $\beta \le 1$. Where $u \ne 0$ we take
$(\|u\|^2 + \text{EPS}^2)^{\beta/2}$ instead, which keeps the score proper; at $u = 0$ value and gradient are 0.
Not to be confused with the energy of an energy-based model.
"""
from dataclasses import dataclass
from numbers import Real

import autograd.numpy as np

from evenflow.reference.core import Array, arrays
from evenflow.reference.scores.pairs import check_draws, check_samples, pair_distance, pair_score

EPS = 1e-6  # in units of the data: distances well above it are unchanged to EPS^2, relatively


@arrays("draws", "y")
def energy_score(draws: Array, y: Array, beta: float = 1.0, estimator: str = "U") -> Array:
    """Estimate of ES_beta from m draws, for each of n observations; "U" is unbiased (fair), "V" divides by m^2.

    draws (m, n, d), m for each observation, or (m, d), one forecast shared by all; y (n, d) -> (n,).
    Si et al. 2023, the training objective of energy flows. Raises ValueError unless 0 < beta < 2 and m >= 2.

    >>> energy_score(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 4.0]])).round(6)
    array([1.])
    """
    beta = check_beta(beta)
    check_draws(draws, y)
    return pair_score(Distance(beta), draws, y, estimator)


@arrays("x", "y")
def energy_distance(x: Array, y: Array, beta: float = 1.0, estimator: str = "U") -> Array:
    """Estimate of D from two samples, x (n, d) and y (m, d) -> a scalar; not its root, and not halved.

    "U" is unbiased and may be negative; "V" is at least 0, and 0 for equal samples.
    Raises ValueError unless 0 < beta < 2 and n, m >= 2.

    >>> x = np.array([[0.0], [2.0]])
    >>> float(energy_distance(x, x + 1.0, estimator="V").round(6))
    1.0
    """
    beta = check_beta(beta)
    check_samples(x, y)
    return pair_distance(Distance(beta), x, y, estimator)


@dataclass(frozen=True)
class Distance:
    """The function of a pair (a, b) that both sum up."""
    beta: float

    def __call__(self, a: Array, b: Array) -> Array:
        return distance(a, b, self.beta)


def distance(a: Array, b: Array, beta: float) -> Array:
    """|a - b|^beta over the last axis, smoothed near zero."""
    return smooth_power(np.sum((a - b) ** 2, axis=-1), beta)


def smooth_power(squared: Array, beta: float) -> Array:
    """|u|^beta from |u|^2."""
    return (squared + EPS**2) ** (beta / 2) * (squared > 0)


def check_beta(beta: float) -> float:
    """beta as a plain float, which leaves float32 arrays float32. Raises ValueError unless 0 < beta < 2."""
    if not (isinstance(beta, Real) and 0 < beta < 2):
        raise ValueError(f"beta must lie strictly between 0 and 2 for the score to be proper, got {beta!r}")
    return float(beta)
