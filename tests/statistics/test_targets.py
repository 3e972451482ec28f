"""Samplers against densities: Pearson's chi-square over cells, one test of level 0.1 % a target, fixed seed.

A right sampler fails with probability 0.001, ten of them with 0.01; the seed is fixed, so each fails always or never.
"""
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from evenflow.reference.targets.mixtures import (
    GaussianMixture,
    eight_gaussians,
    four_modes,
    high_dimensional,
    misassignment,
    two_modes,
)
from evenflow.reference.targets.toys import TARGETS, Checkerboard, Rings, Spirals, TwoMoons

HALF_WIDTH, CELLS, N = 6.0, 30, 20_000
WITH_DENSITY = [name for name in TARGETS if name != "pinwheel"]


def p_value(sampler: Any, density: Any, image: Callable[[Any], Any] = lambda x: x) -> float:
    """Of 20,000 draws in 30 x 30 cells and one for all else; cells that expect fewer than 5 are put together."""
    x = image(sampler.sample(sampler.noise(np.random.default_rng(0), N)))
    cell = np.floor((x + HALF_WIDTH) / (2 * HALF_WIDTH) * CELLS)
    on_grid = ((cell >= 0) & (cell < CELLS)).all(axis=1)
    counts = np.bincount((cell[on_grid] @ [CELLS, 1]).astype(int), minlength=CELLS**2)
    expected = N * cell_masses(density)
    many = expected >= 5
    observed = np.append(counts[many], N - counts[many].sum())
    expected = np.append(expected[many], N - expected[many].sum())
    if expected[-1] < 1e-6 * N:  # the cells in use hold everything, up to the quadrature's error
        if observed[-1]:
            return 0.0
        observed, expected = observed[:-1], expected[:-1]
    return float(chi2.sf(np.sum((observed - expected) ** 2 / expected), len(observed) - 1))


def cell_masses(density: Any) -> Any:
    """The density's integral over each cell, by Gauss-Legendre on 6 x 6 points: no density jumps inside a cell."""
    nodes, weights = np.polynomial.legendre.leggauss(6)
    side = 2 * HALF_WIDTH / CELLS
    along = (-HALF_WIDTH + side * (np.arange(CELLS)[:, None] + (nodes + 1) / 2)).ravel()
    p = np.array([np.exp(density.log_prob(np.stack([np.full(len(along), a), along], axis=1))) for a in along])
    return np.einsum("aibj,i,j->ab", p.reshape(CELLS, 6, CELLS, 6), weights, weights).ravel() * side**2 / 4


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in WITH_DENSITY if TARGETS[name]().d == 2])
def test_sampler_and_density_agree(name: str) -> None:
    assert p_value(TARGETS[name](), TARGETS[name]()) > 1e-3


@pytest.mark.parametrize(("target", "wrong"), [
    (eight_gaussians(), {"sds": (0.16,) * 8}), (eight_gaussians(), {"centres": eight_gaussians(1.02).centres}),
    (Rings(), {"sd": 0.17}), (Rings(), {"rings": 3}),
    (TwoMoons(), {"sd": 0.11}), (Spirals(), {"turns": 1.45}), (Checkerboard(), {"squares": 5}),
    (two_modes(), {"sds": (0.05**0.5, 0.095**0.5)}), (two_modes(), {"weights": (0.36, 0.64)}),
    (four_modes(), {"weights": (0.1, 0.2, 0.34, 0.36)}), (four_modes(), {"sds": (0.05**0.5,) * 3 + (0.21,)}),
])
@pytest.mark.slow
def test_the_test_sees_a_slightly_wrong_density(target: Any, wrong: dict[str, Any]) -> None:
    """Power: the same test refuses its own sampler against a density that is off by a little."""
    density = replace(target, **wrong)
    assert p_value(target, density) < 1e-6


def halves(x: Any) -> Any:
    """The half-sums over sqrt(d / 2): of N(mu, I) they are N((+-a, +-a) sqrt(d / 2), I)."""
    n, d = x.shape
    return x.reshape(n, 2, d // 2).sum(axis=2) / np.sqrt(d / 2)


@pytest.mark.parametrize(("d", "reading"), [(16, "code"), (16, "paper"), (64, "paper"), (32, "paper")])
def test_half_sums_of_the_high_dimensional_mixture(d: int, reading: str) -> None:
    target = high_dimensional(d, reading)
    c = target.centres[0][0] * np.sqrt(d / 2)
    plane = GaussianMixture(((c, c), (-c, c), (-c, -c), (c, -c)), (0.25,) * 4, (1.0,) * 4)
    assert p_value(target, plane, halves) > 1e-3
    assert p_value(target, replace(plane, sds=(1.08,) * 4), halves) < 1e-6


@pytest.mark.parametrize("target", [
    two_modes(), four_modes(), GaussianMixture(((0.0, 0.0), (1.0, 2.0), (-1.0, -2.0)), (0.5, 0.2, 0.3), (0.7, 0.9, 0.5)),
    eight_gaussians(sd=0.5), Rings(), Rings(sd=1.2), high_dimensional(16, "paper"),
], ids=str)
def test_zones_of_samples_weigh_what_the_formula_says(target: Any) -> None:
    """Chi-square of level 0.1 %: a right formula fails with probability 0.001, the seven with 0.007."""
    expected = N * target.zone_weights()
    observed = np.bincount(target.zones(target.sample(target.noise(np.random.default_rng(1), N))), minlength=target.count)
    assert chi2.sf(np.sum((observed - expected) ** 2 / expected), target.count - 1) > 1e-3


@pytest.mark.parametrize("name", ["two-modes", "four-modes", "mixture-16", "mixture-32", "mixture-64"])
def test_moments_of_mixtures(name: str) -> None:
    """Mean and second moments of 20,000 draws, every entry; z-score limit 6: error rate 2e-9 an entry, 1e-5 for all 5,500."""
    target = TARGETS[name]()
    x = target.sample(target.noise(np.random.default_rng(2), N))
    c, w, s = map(np.array, (target.centres, target.weights, target.sds))
    second = np.einsum("k,ki,kj->ij", w, c, c) + np.sum(w * s**2) * np.eye(target.d)
    products = x[:, :, None] * x[:, None, :] if target.d < 20 else x[:, :, None] * x[:, None, :2]
    z = (products.mean(axis=0) - second[:, : products.shape[2]]) / (products.std(axis=0) / np.sqrt(N))
    assert np.abs(z).max() < 6
    assert np.abs((x.mean(axis=0) - w @ c) / (x.std(axis=0) / np.sqrt(N))).max() < 6


def test_misassignment_of_samples() -> None:
    """How often the nearest centre is not the one drawn from; z-score limit 5: error rate 6e-7 each."""
    for d, reading in ((16, "paper"), (32, "paper"), (64, "paper"), (2, "code")):
        target, p = high_dimensional(d, reading), misassignment(d, reading)
        noise = target.noise(np.random.default_rng(3), 50_000)
        missed = np.sum(target.zones(target.sample(noise)) != noise["component"])
        assert abs(missed - 50_000 * p) < 5 * np.sqrt(50_000 * p * (1 - p))


class AreaRings(Rings):
    """The classical mistake: p_r(|x|) without the factor 1 / (2 pi |x|), made to integrate to 1 on the rings."""
    def log_prob(self, x: Any) -> Any:
        mean_radius = (self.rings + 1) / 2
        return super().log_prob(x) + np.log(np.sqrt(np.sum(x**2, axis=1)) / mean_radius)


def test_the_test_sees_a_missing_radius() -> None:
    assert p_value(Rings(), AreaRings()) < 1e-6
