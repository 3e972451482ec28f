r"""The five densities of own_density.py, with what is exactly known of each: log Z, weights of modes, means and deviations.

    two-modes      5-D: 1/3 N(-3, 0.7^2 I) + 2/3 N(3, I), every coordinate
    funnel         10-D: v ~ N(0, 3^2), x_1 ... x_9 ~ N(0, e^v)                                    (Neal 2003, section 8)
    banana         2-D: x_1 ~ N(0, 10^2), x_2 ~ N(0.03 (x_1^2 - 100), 1)                           (Haario et al. 1999)
    mixture        20-D: four normals, weights 0.1, 0.2, 0.3, 0.4, means +-3, deviations from 0.5 to 1.5
    eight-schools  10-D: y_j ~ N(theta_j, sigma_j^2), theta_j = mu + tau eta_j, eta_j ~ N(0, 1), mu ~ N(0, 5^2), tau half Cauchy
                   of scale 5; x = (mu, tau > 0, eta)                                              (Rubin 1981)

The first four are normalised, log Z = 0. Of the schools all but tau can be integrated by hand, for all of it is normal given
tau; what is left is one integral, by quadrature: log Z is the log evidence.

Each density is written once, for any module that computes like NumPy: `log_density(x, np)`, x (n, d) -> (n,).
"""
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as onp

from evenflow.reference.core import Array

Y = onp.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])       # effects of coaching in eight schools,
SIGMA = onp.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])  # and their standard errors
LOG_2PI = math.log(2 * math.pi)


class Target(NamedTuple):
    log_density: Callable[[Array, Any], Array]  # of x (n, d) and a module: (n,)
    d: int
    log_z: float
    mean: Array                                 # (d,)
    sd: Array                                   # (d,)
    wide: float                                 # chains start from N(0, wide^2), where bounded from its modulus
    box: tuple[Array, Array]                    # for nested sampling; of the funnel it leaves out some 0.3 % of the mass
    weights: Array | None = None                # of the modes
    modes: Array | None = None                  # (modes, d): a point belongs to the nearest
    low: Array | None = None                    # (d,)
    looked: int | None = None                   # how many of the first coordinates have moments that draws can show; None: all


def normal(x: Array, mean: Any, sd: Any, np: Any) -> Array:
    """log N(x; mean, sd^2), the last axis summed."""
    return np.sum(-(((x - mean) / sd) ** 2) / 2 - np.log(sd * np.ones(x.shape[-1])) - LOG_2PI / 2, axis=-1)


def mixture_of(weights: Array, means: Array, sds: Array) -> tuple[Callable[[Array, Any], Array], Array, Array]:
    """Of normals with means and deviations (k, d): log density, mean, deviation."""
    def log_density(x: Array, np: Any) -> Array:
        parts = [math.log(w) + normal(x, m, s, np) for w, m, s in zip(weights, means, sds, strict=True)]
        total = parts[0]
        for part in parts[1:]:
            total = np.logaddexp(total, part)
        return total

    mean = weights @ means
    return log_density, mean, onp.sqrt(weights @ (means**2 + sds**2) - mean**2)


def cube(d: int, edge: float, first: float | None = None) -> tuple[Array, Array]:
    """From -edge to edge in all coordinates, the first perhaps another."""
    high = onp.array([first or edge, *[edge] * (d - 1)])
    return -high, high


def two_modes() -> Target:
    weights, means = onp.array([1 / 3, 2 / 3]), onp.array([[-3.0] * 5, [3.0] * 5])
    log_density, mean, sd = mixture_of(weights, means, onp.array([[0.7] * 5, [1.0] * 5]))
    return Target(log_density, 5, 0.0, mean, sd, 4.0, cube(5, 10.0), weights, means)


def mixture() -> Target:
    rng = onp.random.default_rng(20)
    weights, means = onp.array([0.1, 0.2, 0.3, 0.4]), rng.choice([-3.0, 3.0], (4, 20))
    log_density, mean, sd = mixture_of(weights, means, rng.uniform(0.5, 1.5, (4, 20)))
    return Target(log_density, 20, 0.0, mean, sd, 4.0, cube(20, 10.0), weights, means)


def funnel() -> Target:
    def log_density(x: Array, np: Any) -> Array:
        v, rest = x[..., :1], x[..., 1:]
        of_rest = -(rest**2) * np.exp(-v) / 2 - v / 2 - LOG_2PI / 2
        return normal(v, 0.0, 3.0, np) + np.sum(of_rest, axis=-1)

    sd = onp.array([3.0, *[math.exp(9 / 4)] * 9])
    return Target(log_density, 10, 0.0, onp.zeros(10), sd, 3.0, cube(10, 100.0, 12.0), looked=1)


def banana() -> Target:
    def log_density(x: Array, np: Any) -> Array:
        bent = x[..., 1:] - 0.03 * (x[..., :1] ** 2 - 100)
        return normal(x[..., :1], 0.0, 10.0, np) + normal(bent, 0.0, 1.0, np)

    sd = onp.array([10.0, math.sqrt(1 + 0.03**2 * 2 * 100**2)])
    return Target(log_density, 2, 0.0, onp.zeros(2), sd, 10.0, cube(2, 60.0))


def eight_schools() -> Target:
    def log_density(x: Array, np: Any) -> Array:
        mu, tau, eta = x[..., :1], x[..., 1:2], x[..., 2:]
        of_tau = math.log(2 / (5 * math.pi)) - np.log(1 + (tau[..., 0] / 5) ** 2)
        likelihood = normal(mu + tau * eta, Y, SIGMA, np)
        return normal(mu, 0.0, 5.0, np) + of_tau + normal(eta, 0.0, 1.0, np) + likelihood

    low = onp.array([-onp.inf, 0.0, *[-onp.inf] * 8])
    high = onp.array([40.0, 100.0, *[8.0] * 8])
    return Target(log_density, 10, *schools_by_quadrature(), 3.0, (onp.where(low == 0, 0.0, -high), high), low=low)


def schools_by_quadrature(points: int = 20_000) -> tuple[float, Array, Array]:
    """log Z, mean and deviation of (mu, tau, eta): y given tau is normal; tau by the midpoint rule in atan(tau / 5)."""
    q = (onp.arange(points) + 0.5) / points * math.pi / 2     # uniform, where tau is half Cauchy
    tau = 5 * onp.tan(q)
    precision = 1 / (SIGMA**2 + tau[:, None] ** 2)            # (points, 8), of y given mu and tau
    v = 1 / (1 / 25 + precision.sum(axis=1))                  # of mu given y and tau: variance and mean
    m = v * (precision @ Y)
    log_w = (onp.log(precision).sum(axis=1) + onp.log(v / 25) - precision @ Y**2 + m**2 / v) / 2 - 4 * LOG_2PI
    w = onp.exp(log_w)
    slope = tau[:, None] * precision                          # eta_j given mu: mean slope (y - mu), variance 1 - tau slope
    eta, of_eta = slope * (Y - m[:, None]), 1 - tau[:, None] * slope + slope**2 * v[:, None]
    first = onp.column_stack([m, tau, eta])
    second = onp.column_stack([v + m**2, tau**2, of_eta + eta**2])
    mean = w @ first / w.sum()
    return math.log(w.mean()), mean, onp.sqrt(w @ second / w.sum() - mean**2)


TARGETS: dict[str, Callable[[], Target]] = {
    "two-modes": two_modes, "funnel": funnel, "banana": banana, "mixture": mixture, "eight-schools": eight_schools,
}


def modes_of(target: Target, x: Array) -> Array:
    """The nearest mode of each of x (n, d): whole numbers (n,)."""
    assert target.modes is not None
    return onp.argmin(((x[:, None] - target.modes) ** 2).sum(axis=2), axis=1)


def starts(target: Target, chains: int, rng: onp.random.Generator) -> Array:
    """(chains, d), wide."""
    x = target.wide * rng.standard_normal((chains, target.d))
    return x if target.low is None else onp.where(onp.isfinite(target.low), onp.abs(x), x)
