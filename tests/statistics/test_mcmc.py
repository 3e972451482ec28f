"""Kernels in the long run: chains that start in the target stay there, chains that start badly find it. All chains of a run are
independent, so that their last states are an independent sample, and plain tests of one apply.

Error rates: 6e-7 for each z-score (limit 5), 1e-6 for each Kolmogorov-Smirnov test; about 250 of them here, 2e-4 together.
The seeds are fixed.
"""
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.stats

from evenflow.reference.core.trees import Array
from evenflow.reference.mcmc.chains import run
from evenflow.reference.mcmc.contract import Kernel, noise_like
from evenflow.reference.mcmc.flowmc import FlowMC
from evenflow.reference.mcmc.hmc import HMC
from evenflow.reference.mcmc.independence import ISIR, IndependentMH
from evenflow.reference.mcmc.langevin import MALA, ULA
from evenflow.reference.mcmc.metropolis import RandomWalk
from evenflow.reference.targets.mixtures import GaussianMixture
from tests.samplers import KERNELS, TARGETS, Latent, Slope, Target, flow
from tests.strategies import generator

Z = 5.0
pytestmark = pytest.mark.slow


def last(kernel: Kernel, x: Array, target: Any, steps: int, seed: int) -> Array:
    """Where the chains are after `steps` steps."""
    return run(kernel, x, target.log_prob, steps, generator(seed), every=steps).x[-1]


def check_mean(values: Array, truth: Array, sd: Array) -> None:
    """values (n, k) of independent chains against their means (k,); sd (k,) their true deviations."""
    z = (values.mean(axis=0) - truth) / (sd / math.sqrt(len(values)))
    assert np.abs(z).max() < Z, z


def check_moments(x: Array, mean: Array, cov: Array) -> None:
    """The mean with its true covariance, the covariance with the deviation of the products as sampled."""
    check_mean(x, mean, np.sqrt(np.diag(cov)))
    u = x - mean
    products = (u[:, :, None] * u[:, None, :]).reshape(len(x), -1)
    check_mean(products, cov.ravel(), products.std(axis=0))


def moments(p: Target) -> tuple[Array, Array]:
    if isinstance(p, Slope):  # by quadrature
        t = (np.arange(100_000) + 0.5) * p.side / 100_000
        w = np.exp(-p.rate * t) / np.exp(-p.rate * t).sum()
        return np.full(p.d, w @ t), np.eye(p.d) * (w @ t**2 - (w @ t) ** 2)
    assert isinstance(p, GaussianMixture)
    c, w, sds = (np.array(a) for a in (p.centres, p.weights, p.sds))
    mean = w @ c
    return mean, (w[:, None] * (c - mean)).T @ (c - mean) + (w @ sds**2) * np.eye(p.d)


def marginal_cdf(p: Target, j: int) -> Callable[[Array], Array]:
    if isinstance(p, Slope):
        return lambda t: np.expm1(-p.rate * t) / math.expm1(-p.rate * p.side)
    assert isinstance(p, GaussianMixture)
    return lambda t: sum(
        w * scipy.stats.norm.cdf(t, c[j], s) for c, w, s in zip(p.centres, p.weights, p.sds, strict=True)
    )


def check_law(x: Array, p: Target) -> None:
    check_moments(x, *moments(p))
    for j in range(p.d):
        assert scipy.stats.kstest(x[:, j], marginal_cdf(p, j)).pvalue > 1e-6


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", KERNELS)
def test_chains_that_start_in_the_target_stay_in_it(name: str, target: str) -> None:
    p, rng = TARGETS[target], generator(11)
    x = last(KERNELS[name](p.d), p.sample(p.noise(rng, 4000)), p, 12, 12)
    check_law(x, p)


@dataclass(frozen=True)
class Correlated:
    """A normal with correlation, in two dimensions."""
    mean: tuple[float, float] = (1.0, -0.5)
    cov: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 0.6), (0.6, 0.7))

    def log_prob(self, x: Array) -> Array:
        u = x - np.array(self.mean)
        return -0.5 * (u @ np.linalg.inv(np.array(self.cov)) * u).sum(axis=1)


@pytest.mark.parametrize(("kernel", "steps"), [
    (RandomWalk(0.9), 150), (MALA(0.25), 100), (HMC(0.4, 3), 40), (Latent(RandomWalk(0.4), *flow(2)), 200),
], ids=lambda value: type(value).__name__)
def test_local_kernels_find_mean_and_covariance_from_a_bad_start(kernel: Kernel, steps: int) -> None:
    """All chains start at one point, two and a half deviations out."""
    p = Correlated()
    x = last(kernel, np.tile([[-1.5, 1.0]], (3000, 1)), p, steps, 5)
    check_moments(x, np.array(p.mean), np.array(p.cov))


@pytest.mark.parametrize(("kernel", "steps"), [
    (IndependentMH(*flow(2)), 150), (ISIR(*flow(2), N=8), 50),
    (FlowMC(((MALA(0.05), 2), (ISIR(*flow(2), N=8), 1), (MALA(0.05), 2))), 40),
], ids=lambda value: type(value).__name__)
def test_global_moves_find_the_weights_of_the_modes_from_one_of_them(kernel: Kernel, steps: int) -> None:
    p = GaussianMixture(((-2.0, -1.0), (0.0, 0.0), (2.0, 1.0)), (0.2, 0.3, 0.5), (0.3, 0.25, 0.35))
    x = last(kernel, np.tile([[2.0, 1.0]], (3000, 1)), p, steps, 5)
    weights = p.zone_weights()
    check_mean(p.zones(x)[:, None] == np.arange(3), weights, np.sqrt(weights * (1 - weights)))
    check_law(x, p)


def test_local_moves_alone_do_not() -> None:
    """What the global ones are for: not one of 300 chains has left its mode, seven deviations from the next."""
    p = GaussianMixture(((-2.0, -1.0), (2.0, 1.0)), (0.4, 0.6), (0.3, 0.3))
    x = last(MALA(0.05), np.tile([[2.0, 1.0]], (300, 1)), p, 100, 5)
    assert (p.zones(x) == 1).all()


@pytest.mark.parametrize("eta", [0.1, 0.5])
def test_ula_settles_at_its_own_variance(eta: float) -> None:
    """s^2 / (1 - eta / 2 s^2): 16 % and 3.3 times too much; 20,000 chains see 5 % (limit 5, standard error 1 %)."""
    s = 0.6
    p = GaussianMixture(((0.0,),), (1.0,), (s,))
    x = last(ULA(eta), np.zeros((20_000, 1)), p, 60, 3)
    check_moments(x, np.zeros(1), np.array([[s**2 / (1 - eta / (2 * s**2))]]))


def test_float32_chains_sample_the_same_law() -> None:
    p, kernel = TARGETS["two modes"], MALA(0.2)
    rng = generator(1)
    x = p.sample(p.noise(rng, 4000)).astype(np.float32)
    state = kernel.init(x, p.log_prob)
    for _ in range(20):
        state, _ = kernel.step(state, noise_like(x, kernel, rng), p.log_prob)
    assert state.x.dtype == np.float32
    check_law(state.x.astype(np.float64), p)
