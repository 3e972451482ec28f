r"""The continuous ranked probability score: the energy score on the line, at $\beta = 1$.

$$CRPS(F, y) = \int (F(t) - 1\{t \ge y\})^2\, dt = E|X - y| - \tfrac12 E|X - X'|
             = 2 \int_0^1 \rho_\alpha(y - F^{-1}(\alpha))\, d\alpha$$

(Gneiting & Raftery 2007, section 4.2); the last form links it to the quantile score $\rho_\alpha$ of quantile.py.
What a forecast $F$ loses against the truth $G$ is the Cramer distance $\int (F - G)^2$.
For a normal $N(\mu, s^2)$, with $w = (y - \mu)/s$ and its density $\phi$ and distribution function $\Phi$,

$$CRPS = s \left( w\, (2\Phi(w) - 1) + 2\phi(w) - 1/\sqrt\pi \right), \qquad 2\Phi(w) - 1 = \text{erf}(w/\sqrt2).$$
"""
import math

import autograd.numpy as np
import numpy as onp
from autograd.extend import defvjp, primitive

from evenflow.reference.core import Array, anywhere, arrays, check_finite, check_shape, lookup, replaceable, value
from evenflow.reference.scores.pairs import ESTIMATORS
from evenflow.reference.scores.sorting import sorted_within


@arrays("draws", "y")
def crps(draws: Array, y: Array, estimator: str = "U") -> Array:
    """CRPS from m draws for each of n observations, by sorting; "U" is unbiased (fair), "V" divides by m^2.

    draws (m, n), y (n,) -> (n,). Raises ValueError unless m >= 2.

    >>> crps(np.array([[0.0], [2.0]]), np.array([3.0]))
    array([1.])
    """
    check_shape("y", y, "n")
    check_finite("y", y)
    check_shape("draws", draws, "m", *y.shape)
    m = draws.shape[0]
    if m < 2:
        raise ValueError(f"draws must have shape (m >= 2, {y.shape[0]}), got {draws.shape}")
    weight = lookup("estimator", estimator, ESTIMATORS)(m)
    off = draws - y  # equal points are exactly 0 apart, however the sums are rounded
    return np.sum(np.abs(off), axis=0) / m - sorted_within(off) * weight


@arrays("mean", "sd", "y")
def crps_normal(mean: Array, sd: Array, y: Array) -> Array:
    """CRPS of N(mean, sd^2) at y in closed form: three arrays of one shape -> the same. Raises ValueError where sd <= 0.

    >>> crps_normal(np.zeros(1), np.ones(1), np.zeros(1)).round(4)
    array([0.2337])
    """
    check_shape("mean", mean, *onp.shape(value(y)))
    check_shape("sd", sd, *onp.shape(value(y)))
    check_finite("y", y)
    if anywhere(~(value(sd) > 0)):
        raise ValueError(f"sd must be positive, got {onp.min(value(sd))} as its least value")
    w = (y - mean) / sd
    return sd * (w * erf(w / math.sqrt(2)) + math.sqrt(2 / math.pi) * np.exp(-(w**2) / 2) - 1 / math.sqrt(math.pi))


@replaceable
def erf_entries(x: Array) -> Array:
    """The error function, which NumPy lacks: one entry at a time by math.erf."""
    x = onp.asarray(x)
    return onp.fromiter(map(math.erf, x.flat), dtype=x.dtype, count=x.size).reshape(x.shape)


erf = primitive(erf_entries)
defvjp(erf, lambda ans, x: lambda g: g * (2 / math.sqrt(math.pi)) * np.exp(-(x**2)))
