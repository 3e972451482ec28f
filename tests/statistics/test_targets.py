"""Samplers against densities: Pearson's chi-square over cells, one test of level 0.1 % a target, fixed seed.

A right sampler fails with probability 0.001, five of them with 0.005; the seed is fixed, so each fails always or never.
"""
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from evenflow.reference.targets import TARGETS, Checkerboard, EightGaussians, Rings, Spirals, TwoMoons

HALF_WIDTH, CELLS, N = 6.0, 30, 20_000
WITH_DENSITY = [name for name in TARGETS if name != "pinwheel"]


def p_value(sampler: Any, density: Any) -> float:
    """Of 20,000 draws in 30 x 30 cells and one for all else; cells that expect fewer than 5 are put together."""
    x = sampler.sample(sampler.noise(np.random.default_rng(0), N))
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
@pytest.mark.parametrize("name", WITH_DENSITY)
def test_sampler_and_density_agree(name: str) -> None:
    assert p_value(TARGETS[name](), TARGETS[name]()) > 1e-3


@pytest.mark.parametrize(("target", "wrong"), [
    (EightGaussians(), {"sd": 0.16}), (EightGaussians(), {"radius": 1.02}), (Rings(), {"sd": 0.17}), (Rings(), {"rings": 3}),
    (TwoMoons(), {"sd": 0.11}), (Spirals(), {"turns": 1.45}), (Checkerboard(), {"squares": 5}),
])
@pytest.mark.slow
def test_the_test_sees_a_slightly_wrong_density(target: Any, wrong: dict[str, Any]) -> None:
    """Power: the same test refuses its own sampler against a density that is off by a little."""
    density = replace(target, **wrong)
    assert p_value(target, density) < 1e-6


class AreaRings(Rings):
    """The classical mistake: p_r(|x|) without the factor 1 / (2 pi |x|), made to integrate to 1 on the rings."""
    def log_prob(self, x: Any) -> Any:
        mean_radius = (self.rings + 1) / 2
        return super().log_prob(x) + np.log(np.sqrt(np.sum(x**2, axis=1)) / mean_radius)


def test_the_test_sees_a_missing_radius() -> None:
    assert p_value(Rings(), AreaRings()) < 1e-6
