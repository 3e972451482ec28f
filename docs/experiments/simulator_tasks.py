r"""Two standard tasks of simulation-based inference with known posteriors (Lueckmann et al. 2021, appendix T).

    Gaussian linear  $\theta \sim N(0, 0.1 I_{10})$, $x \mid \theta \sim N(\theta, 0.1 I)$: the posterior is
                     $N(x / 2,\; 0.05 I)$
    two moons        $\theta$ uniform on $(-1, 1)^2$, $x = p + (-|\theta_1 + \theta_2|,\; \theta_2 - \theta_1) / \sqrt 2$ with p
                     on a crescent, $p = (r \cos a + 0.25,\; r \sin a)$, $a \sim U(-\pi/2, \pi/2)$, $r \sim N(0.1, 0.01^2)$

The second, exactly: of given x a draw p determines $|\theta_1 + \theta_2|$ and $\theta_2 - \theta_1$. That map is a rotation
but for the sign of $\theta_1 + \theta_2$, so that its density is that of p, up to a constant: draw p, choose the sign by
chance, and keep what the prior allows.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from evenflow.reference.core import Array

Rng = np.random.Generator
D, VARIANCE = 10, 0.1
ROOT = 2**0.5


class Task(NamedTuple):
    """prior: n -> theta (n, d).  simulate: theta (n, d) -> x (n, k).  posterior: x (k,), m -> theta (m, d)."""
    prior: Callable[[int, Rng], Array]
    simulate: Callable[[Array, Rng], Array]
    posterior: Callable[[Array, int, Rng], Array]


def normal_prior(n: int, rng: Rng) -> Array:
    return VARIANCE**0.5 * rng.standard_normal((n, D))


def with_noise(theta: Array, rng: Rng) -> Array:
    return theta + VARIANCE**0.5 * rng.standard_normal(theta.shape)


def normal_posterior(x: Array, m: int, rng: Rng) -> Array:
    return x / 2 + (VARIANCE / 2) ** 0.5 * rng.standard_normal((m, D))


def square_prior(n: int, rng: Rng) -> Array:
    return rng.uniform(-1, 1, (n, 2))


def crescent(n: int, rng: Rng) -> Array:
    a, r = rng.uniform(-np.pi / 2, np.pi / 2, n), 0.1 + 0.01 * rng.standard_normal(n)
    return np.stack([r * np.cos(a) + 0.25, r * np.sin(a)], axis=1)


def moons(theta: Array, rng: Rng) -> Array:
    total, difference = theta[:, 0] + theta[:, 1], theta[:, 1] - theta[:, 0]
    return crescent(len(theta), rng) + np.stack([-np.abs(total), difference], axis=1) / ROOT


def moons_posterior(x: Array, m: int, rng: Rng) -> Array:
    """By rejection, as many at a time as are wanted."""
    kept = np.empty((0, 2))
    while len(kept) < m:
        p = crescent(m, rng)
        total, difference = ROOT * (p[:, 0] - x[0]), ROOT * (x[1] - p[:, 1])
        sign = rng.choice([-1.0, 1.0], m)
        theta = np.stack([sign * total - difference, sign * total + difference], axis=1) / 2
        kept = np.concatenate([kept, theta[(total >= 0) & (np.abs(theta) < 1).all(axis=1)]])
    return kept[:m]


TASKS = {
    "two moons": Task(square_prior, moons, moons_posterior),
    "Gaussian linear": Task(normal_prior, with_noise, normal_posterior),
}
