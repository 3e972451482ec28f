"""log Z on Gaussians and mixtures against the truth: centred, with the errors the estimates state, by each of the methods.

Means of many independent estimates are compared with a z-score limit of 5 (error rate 6e-7 a comparison). Stated errors are
checked by the variance of the z-scores, which is chi-square with 300 degrees of freedom: both tails at 1e-5, widened by 15 %
because the delta method is only right to the order of 1/n.
"""
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import autograd.numpy as anp
import numpy as np
import pytest
from scipy.stats import chi2

from evenflow.reference.core.trees import Array
from evenflow.reference.ebm.normalizer import LogZ, annealed, bridge, grid, importance, lattice
from evenflow.reference.flows.densities import Normal
from evenflow.reference.mcmc.langevin import MALA
from evenflow.reference.targets.mixtures import GaussianMixture, two_modes
from tests.strategies import generator

REPEATS, LIMIT = 300, 5.0
WIDER = 1.15
LOG_Z = 7.0


def normal(mean: float, sd: float, log_c: float = 0.0) -> Callable[[Array], Array]:
    """log of c N(mean, sd^2 I)."""
    return lambda x: log_c - anp.sum((x - mean) ** 2, axis=1) / (2 * sd**2) - x.shape[1] * math.log(sd * math.sqrt(2 * math.pi))


def check_calibration(estimates: list[LogZ]) -> None:
    """log Z centred and its errors as stated, from independent estimates."""
    log_z, _, error = np.array(estimates).T
    z = (log_z - LOG_Z) / error
    assert abs(log_z.mean() - LOG_Z) < LIMIT * log_z.std() / math.sqrt(len(z)) + log_z.var() / 2  # the logarithm is that low
    low, high = chi2.ppf([1e-5, 1 - 1e-5], len(z)) / len(z)
    assert low / WIDER < np.mean(z**2) < high * WIDER


LOG_P, LOG_Q = normal(0.5, 0.8, LOG_Z), normal(0.0, 1.0)


def draw(rng: np.random.Generator, log_p: bool, n: int, d: int = 2) -> Array:
    return 0.5 + 0.8 * rng.standard_normal((n, d)) if log_p else rng.standard_normal((n, d))


def by_importance(rng: np.random.Generator, n: int) -> LogZ:
    x = draw(rng, False, n)
    return importance(LOG_P(x), LOG_Q(x))


def by_bridge(rng: np.random.Generator, n: int) -> LogZ:
    p, q = draw(rng, True, n), draw(rng, False, 2 * n)
    return bridge(LOG_P(p), LOG_Q(p), LOG_P(q), LOG_Q(q))


def by_annealing(rng: np.random.Generator, n: int) -> LogZ:
    kernel = MALA(0.3)
    noise = [kernel.noise(rng, n, 2) for _ in range(3)]
    return annealed(LOG_P, LOG_Q, draw(rng, False, n), (0, 0.1, 0.3, 0.6, 1), kernel, noise)[0]


@pytest.mark.parametrize("method", [by_importance, by_bridge, by_annealing])
def test_estimates_are_centred_with_the_errors_they_state(method: Callable[[np.random.Generator, int], LogZ]) -> None:
    rng = generator(0)
    check_calibration([method(rng, 300) for _ in range(REPEATS)])


def test_effective_size_against_its_closed_form() -> None:
    """E_q[w]^2 / E_q[w^2] = s sqrt(2 - s^2) exp(-m^2 / (2 - s^2)) in each coordinate. 400,000 draws: within 2 %, where the
    standard deviation of the ratio, by the sixth moment, is 0.2 %."""
    s, m = 0.8, 0.5
    per_draw = (s * math.sqrt(2 - s**2) * math.exp(-(m**2) / (2 - s**2))) ** 2
    assert by_importance(generator(1), 400_000).ess / 400_000 == pytest.approx(per_draw, rel=0.02)


# ------------------------------------------------------------------------------------------------- annealing, step by step

class Standing(NamedTuple):
    x: Array


class Exact:
    """Draws from the Gaussian between N(0, 1) and N(m, s^2) at b, b = first, second, ...: the best kernel there is."""
    def __init__(self, m: float, s: float, temperatures: list[float]) -> None:
        self.m, self.s, self.left = m, s, list(temperatures)

    def noise(self, rng: np.random.Generator, chains: int, d: int) -> Array:
        return rng.standard_normal((chains, d))

    def init(self, x: Array, log_density: Any) -> Standing:
        return Standing(x)

    def step(self, state: Standing, noise: Array, log_density: Any) -> tuple[Standing, None]:
        b = self.left.pop(0)
        precision = (1 - b) + b / self.s**2
        return Standing(b * self.m / self.s**2 / precision + noise / math.sqrt(precision)), None


def exact_annealing(rng: np.random.Generator, shift: int, m: float = 2.0, s: float = 0.5) -> LogZ:
    b = np.linspace(0, 1, 9)
    kernel = Exact(m, s, list(b[1 + shift : 8 + shift]))
    noise = [kernel.noise(rng, 4000, 1) for _ in range(7)]
    return annealed(normal(m, s, LOG_Z), normal(0.0, 1.0), rng.standard_normal((4000, 1)), b, kernel, noise)[0]


def test_a_kernel_one_temperature_early_or_late_is_seen() -> None:
    """Exact draws at b_k give log Z; the same draws at b_{k-1} or b_{k+1} are off by many standard errors."""
    right, early, late = (exact_annealing(generator(2), shift) for shift in (0, -1, 1))
    assert abs(right.log_z - LOG_Z) < LIMIT * right.standard_error
    for wrong in (early, late):
        assert abs(wrong.log_z - LOG_Z) > 3 * LIMIT * wrong.standard_error


def test_annealing_beats_importance_where_q_is_far_from_p() -> None:
    """p = e^7 N(1.5, 0.6^2 I) in 8 dimensions: importance has an effective size near 1; 59 steps of MALA find log Z."""
    log_p, log_q, rng, kernel = normal(1.5, 0.6, LOG_Z), normal(0.0, 1.0), generator(3), MALA(0.2)
    x = rng.standard_normal((1000, 8))
    b = np.linspace(0, 1, 61)
    said, end, log_w = annealed(log_p, log_q, x, b, kernel, [kernel.noise(rng, 1000, 8) for _ in range(59)])
    assert abs(said.log_z - LOG_Z) < LIMIT * said.standard_error
    assert said.standard_error < 0.1
    assert importance(log_p(x), log_q(x)).ess < 10
    w = np.exp(log_w - log_w.max())
    mean = (w / w.sum()) @ end
    assert mean == pytest.approx(np.full(8, 1.5), abs=LIMIT * 0.6 / math.sqrt(said.ess))


@pytest.mark.slow
def test_annealing_knows_the_weights_of_two_modes() -> None:
    """From a wide base to both modes: log Z = 0 within its error, and the weighted end points put 2/3 into the upper right."""
    target, base, rng, kernel = two_modes(), Normal(2, 1.8), generator(4), MALA(0.03)
    noise = [kernel.noise(rng, 2000, 2) for _ in range(39)]
    x = base.sample(base.noise(rng, 2000))
    said, end, log_w = annealed(target.log_prob, base.log_prob, x, np.linspace(0, 1, 41), kernel, noise)
    assert abs(said.log_z) < LIMIT * said.standard_error
    w = np.exp(log_w - log_w.max())
    share = w[target.zones(end) == 1].sum() / w.sum()
    assert abs(share - 2 / 3) < LIMIT * math.sqrt(2 / 9 / said.ess)


# --------------------------------------------------------------------------------------------------------------- bridge

def test_bridge_beats_importance_where_overlap_is_poor() -> None:
    """p = e^7 N(4, 0.5^2), q = N(0, 1), 4,000 draws of each: 100 estimates of either."""
    log_p, log_q, rng = normal(4.0, 0.5, LOG_Z), normal(0.0, 1.0), generator(5)
    plain, bridged = [], []
    for _ in range(100):
        p, q = 4 + 0.5 * rng.standard_normal((4000, 1)), rng.standard_normal((4000, 1))
        plain.append(importance(log_p(q), log_q(q)).log_z - LOG_Z)
        bridged.append(bridge(log_p(p), log_q(p), log_p(q), log_q(q)).log_z - LOG_Z)
    assert abs(np.mean(bridged)) < LIMIT * np.std(bridged) / 10 + np.var(bridged)
    assert np.sqrt(np.mean(np.square(bridged))) < 0.5 * np.sqrt(np.mean(np.square(plain)))


def test_bridge_and_grid_and_importance_agree_on_a_mixture() -> None:
    """An unnormalised mixture in the plane whose log Z the grid knows to rounding."""
    target = GaussianMixture(((0.0, 0.0), (1.0, 2.0), (-1.0, -2.0)), (0.5, 0.2, 0.3), (0.7, 0.9, 0.5))

    def log_p(x: Array) -> Array:
        return target.log_prob(x) + LOG_Z

    assert grid(log_p, lattice((-9.0, -9.0), (9.0, 9.0), 150)).log_z == pytest.approx(LOG_Z, abs=1e-11)
    rng, q = generator(6), Normal(2, 2.0)
    p_draws, q_draws = target.sample(target.noise(rng, 5000)), q.sample(q.noise(rng, 5000))
    log_q_at_p, log_q_at_q = q.log_prob(p_draws), q.log_prob(q_draws)
    plain = importance(log_p(q_draws), log_q_at_q)
    bridged = bridge(log_p(p_draws), log_q_at_p, log_p(q_draws), log_q_at_q)
    for said in (plain, bridged):
        assert abs(said.log_z - LOG_Z) < LIMIT * said.standard_error < 0.2
    assert bridged.standard_error < plain.standard_error
