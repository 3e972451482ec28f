"""Mixtures of Gaussians: density against SciPy, mass, zones by brute force, their weights by quadrature, bad input."""
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from autograd import elementwise_grad
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from evenflow.reference.targets.mixtures import (
    READINGS,
    GaussianMixture,
    eight_gaussians,
    four_modes,
    high_dimensional,
    misassignment,
    mixture_log_prob,
    two_modes,
)
from tests.strategies import generator, seeds

OVERLAPPING = GaussianMixture(((0.0, 0.0), (1.0, 2.0), (-1.0, -2.0)), (0.5, 0.2, 0.3), (0.7, 0.9, 0.5))  # on a slanted line
TRIANGLE = GaussianMixture(((0.0, 0.0), (1.0, 0.0), (0.5, math.sqrt(0.75))), (1 / 3,) * 3, (0.6,) * 3)
TWO = {
    "two modes": two_modes(), "four modes": four_modes(), "overlapping": OVERLAPPING, "triangle": TRIANGLE,
    "one": GaussianMixture(((1.0, -1.0),), (1.0,), (0.8,)), "eight": eight_gaussians(sd=0.6),
    "high-dimensional, d = 2": high_dimensional(2, "paper"),
}
plane = pytest.mark.parametrize("name", TWO)
MASS = 1e-12  # midpoint rule at a third of the smallest deviation, on a box that leaves out less than 1e-15
CUT = 1e-3  # of a zone's mass by cells: those that a boundary cuts go to one side whole, and these errors cancel but for this


def lattice(half_width: float, cells: int) -> tuple[Any, float]:
    step = 2 * half_width / cells
    middle = -half_width + step * (np.arange(cells) + 0.5)
    return np.stack(np.meshgrid(middle, middle, indexing="ij"), axis=-1).reshape(-1, 2), step**2


@plane
def test_mass_is_one(name: str) -> None:
    points, area = lattice(10.0, 280)
    assert np.exp(TWO[name].log_prob(points)).sum() * area == pytest.approx(1, abs=MASS)


@pytest.mark.parametrize("mixture", [*TWO.values(), high_dimensional(16), high_dimensional(16, "paper"), GaussianMixture(
    tuple(map(tuple, np.arange(48.0).reshape(3, 16) % 7)), (0.2, 0.5, 0.3), (0.5, 2.0, 1.1))])
def test_density_against_scipy(mixture: GaussianMixture) -> None:
    x = mixture.sample(mixture.noise(generator(0), 60))
    parts = zip(mixture.weights, mixture.centres, mixture.sds, strict=True)
    each = [math.log(w) + multivariate_normal(c, s**2 * np.eye(mixture.d)).logpdf(x) for w, c, s in parts]
    np.testing.assert_allclose(mixture.log_prob(x), logsumexp(each, axis=0), rtol=1e-12)


def test_one_deviation_for_all_is_the_same_as_equal_ones() -> None:
    x, centres, weights = generator(1).standard_normal((9, 3)), generator(2).standard_normal((4, 3)), np.full(4, 0.25)
    assert (mixture_log_prob(x, centres, weights, 0.3) == mixture_log_prob(x, centres, weights, np.full(4, 0.3))).all()


@plane
@pytest.mark.parametrize("distance", [1e3, 1e8])
def test_far_out_the_gradient_is_finite_and_points_home(name: str, distance: float) -> None:
    x = distance * np.array([[1.0, 0.3], [-0.2, -1.0], [0.0, 1.0]])
    gradient = elementwise_grad(TWO[name].log_prob)(x)
    assert np.isfinite(TWO[name].log_prob(x)).all()
    assert np.isfinite(gradient).all()
    assert (np.sum(gradient * x, axis=1) < 0).all()


@pytest.mark.parametrize("mixture", [two_modes(), four_modes(), high_dimensional(16)])
def test_gradient_against_finite_differences(mixture: GaussianMixture) -> None:
    rng, h = generator(3), 1e-5
    x = mixture.sample(mixture.noise(rng, 50))
    direction = rng.standard_normal(x.shape)
    slope = np.sum(elementwise_grad(mixture.log_prob)(x) * direction, axis=1)
    difference = (mixture.log_prob(x + h * direction) - mixture.log_prob(x - h * direction)) / (2 * h)
    assert slope == pytest.approx(difference, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("mixture", [two_modes(), OVERLAPPING, high_dimensional(64)])
def test_float32_is_kept_also_by_the_gradient(mixture: GaussianMixture) -> None:
    noise = mixture.noise(generator(4), 20)
    x = mixture.sample({**noise, "normals": noise["normals"].astype(np.float32)})
    assert x.dtype == mixture.log_prob(x).dtype == elementwise_grad(mixture.log_prob)(x).dtype == np.float32
    np.testing.assert_allclose(mixture.log_prob(x), mixture.log_prob(x.astype(np.float64)), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(mixture.sample(noise), x, rtol=1e-5, atol=1e-5)


def test_samples_are_centre_plus_deviation_times_noise() -> None:
    noise = {"component": np.array([1, 0, 2]), "normals": np.array([[1.0, 2.0], [0.0, -1.0], [3.0, 0.0]])}
    assert OVERLAPPING.sample(noise) == pytest.approx(np.array([[1.9, 3.8], [0.0, -0.7], [0.5, -2.0]]))


def test_the_mixtures_of_the_paper() -> None:
    """Covariances 0.05 I and 0.1 I, so deviations are their roots; the smaller mode is the lower left one, and the narrower."""
    assert two_modes().centres == ((-1.5, -1.5), (1.5, 1.5))
    assert two_modes().weights == (1 / 3, 2 / 3)
    assert np.square(two_modes().sds) == pytest.approx(np.array([0.05, 0.1]))
    assert four_modes().centres == ((-3, 0), (-1, 0), (1, 0), (3, 0))
    assert four_modes().weights == (0.1, 0.2, 0.3, 0.4)
    assert np.square(four_modes().sds) == pytest.approx(np.full(4, 0.05))


# ---------------------------------------------------------------------------------------------------------------- zones

@given(seed=seeds, count=st.integers(1, 6), d=st.integers(1, 5))
def test_zones_by_brute_force(seed: int, count: int, d: int) -> None:
    rng = generator(seed)
    centres = rng.standard_normal((count, d))
    mixture = GaussianMixture(tuple(map(tuple, centres)), (1 / count,) * count, (1.0,) * count)
    x = 3 * rng.standard_normal((20, d))
    zones = mixture.zones(x)
    assert zones.dtype == np.int64
    assert zones.tolist() == [min(range(count), key=lambda k: math.dist(p, centres[k])) for p in x]
    assert mixture.zones(1e200 * centres).shape == (count,)  # no overflow, which would be an error here


def test_zones_have_the_names_of_the_paper() -> None:
    assert two_modes().zones(np.array([[-2.0, -1.0], [3.0, -2.9], [1.0, 1.0], [-3.0, 2.9]])).tolist() == [0, 1, 1, 0]
    assert four_modes().zones(np.array([[-2.1, 50.0], [-1.9, 0.0], [0.1, -9.0], [2.1, 0.0]])).tolist() == [0, 1, 2, 3]
    assert high_dimensional(4).zones(np.array([[1, 1, 1, 1], [-1, -1, 1, 1], [-1, -1, -1, -1], [1, 1, -1, -1.0]])).tolist() == [
        0, 1, 2, 3]


@plane
def test_zone_weights_by_quadrature_in_the_plane(name: str) -> None:
    mixture = TWO[name]
    points, area = lattice(10.0, 800)  # no midpoint lies on a boundary along an axis
    mass = np.exp(mixture.log_prob(points)) * area
    by_grid = np.bincount(mixture.zones(points), mass, mixture.count)
    assert mixture.zone_weights() == pytest.approx(by_grid, abs=CUT)
    assert mixture.zone_weights().sum() == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("mixture", [two_modes(), four_modes(), OVERLAPPING])
def test_zone_weights_by_quadrature_along_the_line(mixture: GaussianMixture) -> None:
    """To 1e-13, by Gauss-Legendre in each zone on the density of the coordinate along the line."""
    centres = np.array(mixture.centres)
    t = centres @ (centres[1] - centres[0]) / math.dist(centres[1], centres[0])
    edges = [t.min() - 15, *((np.sort(t)[1:] + np.sort(t)[:-1]) / 2), t.max() + 15]
    nodes, weights = np.polynomial.legendre.leggauss(400)
    masses = []
    for low, high in pairwise(edges):
        at = low + (high - low) * (nodes + 1) / 2
        density = sum(w * norm.pdf(at, m, s) for w, m, s in zip(mixture.weights, t, mixture.sds, strict=True))
        masses.append((high - low) / 2 * np.sum(weights * density))
    assert mixture.zone_weights() == pytest.approx(np.array(masses)[np.argsort(np.argsort(t))], abs=1e-13)


def test_known_zone_weights() -> None:
    """Of the modes of the paper hardly anything falls into a neighbour's zone, so the zones weigh what the modes weigh."""
    assert two_modes().zone_weights() == pytest.approx(np.array([1, 2]) / 3, abs=1e-10)
    assert four_modes().zone_weights() == pytest.approx(np.array([0.1, 0.2, 0.3, 0.4]), abs=4e-6)
    away = norm.sf(1, scale=math.sqrt(0.05))  # over the boundary at distance 1
    assert four_modes().zone_weights()[0] - 0.1 == pytest.approx(0.2 * away - 0.1 * away, rel=1e-7)
    for d in (2, 16, 64):
        assert (high_dimensional(d).zone_weights() == 0.25).all()
    assert (eight_gaussians().zone_weights() == 0.125).all()


@pytest.mark.parametrize("mixture", [
    GaussianMixture(TRIANGLE.centres, (0.2, 0.4, 0.4), TRIANGLE.sds),
    GaussianMixture(TRIANGLE.centres, TRIANGLE.weights, (0.6, 0.6, 0.5)),
    GaussianMixture(((0.0, 0.0), (1.0, 0.0), (0.5, 1.0)), (1 / 3,) * 3, (0.6,) * 3),
    GaussianMixture((*TRIANGLE.centres, (0.5, math.sqrt(1 / 12))), (0.25,) * 4, (0.6,) * 4),  # and its middle
])
def test_zone_weights_without_a_formula_are_refused(mixture: GaussianMixture) -> None:
    with pytest.raises(ValueError, match="zone weights are known for centres on a line or in a cycle of equals only"):
        mixture.zone_weights()


# ---------------------------------------------------------------------------------------------- the high-dimensional one

@pytest.mark.parametrize(("reading", "d", "q"), [
    ("paper", 16, 4.7e-2), ("paper", 32, 9.0e-3), ("paper", 64, 4.1e-4),
    ("code", 16, 4.1e-5), ("code", 32, 2.4e-10), ("code", 64, 2.7e-22),
])
def test_misassignment(reading: str, d: int, q: float) -> None:
    """q is what goes to each of the two neighbours (less q^2 that goes to the opposite zone): once or the other, or both."""
    assert misassignment(d, reading) == pytest.approx(2 * q - q**2, rel=0.02, abs=0)
    a = high_dimensional(d, reading).centres[0][0]
    assert misassignment(d, reading) == pytest.approx(1 - norm.cdf(a * math.sqrt(d / 2)) ** 2, rel=1e-9, abs=1e-15)


def test_centres_of_the_high_dimensional_mixture() -> None:
    assert READINGS["paper"](16) == 0.5919
    assert READINGS["code"](16) == pytest.approx(1.391699, abs=5e-7)
    for reading in READINGS:
        a = READINGS[reading](6)
        signs = [[1] * 6, [-1] * 3 + [1] * 3, [-1] * 6, [1] * 3 + [-1] * 3]
        assert np.array(high_dimensional(6, reading).centres) == pytest.approx(a * np.array(signs))
    assert high_dimensional(6) == high_dimensional(6, "code") != high_dimensional(6, "paper")
    assert set(high_dimensional(6).sds) == {1.0}


# -------------------------------------------------------------------------------------------------------------- choices

def test_mixtures_print_compare_and_hash_whatever_they_were_made_from() -> None:
    same = GaussianMixture(np.array(two_modes().centres), list(two_modes().weights), np.array(two_modes().sds))  # type: ignore[arg-type]
    assert same == two_modes()
    assert hash(same) == hash(two_modes())
    assert eval(repr(same)) == same
    assert (four_modes().d, four_modes().count, high_dimensional(16).d, high_dimensional(16).count) == (2, 4, 16, 4)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: GaussianMixture((), (), ()), r"centres must be different points of one dimension d >= 1, got \(\)"),
    (lambda: GaussianMixture(((),), (1.0,), (1.0,)), "centres must be different points"),
    (lambda: GaussianMixture(((0.0,), (1.0, 2.0)), (0.5, 0.5), (1.0, 1.0)), "centres must be different points"),
    (lambda: GaussianMixture(((0.0,), ()), (0.5, 0.5), (1.0, 1.0)), "centres must be different points"),
    (lambda: GaussianMixture(((1.0,), (1.0,)), (0.5, 0.5), (1.0, 1.0)), "centres must be different points"),
    (lambda: GaussianMixture(((math.nan,), (1.0,)), (0.5, 0.5), (1.0, 1.0)), "centres must be finite"),
    (lambda: GaussianMixture(((0.0,), (1.0,)), (1.0,), (1.0, 1.0)), r"weights must have shape \(2,\), got \(1,\)"),
    (lambda: GaussianMixture(((0.0,), (1.0,)), (0.5, 0.5), (1.0,)), r"sds must have shape \(2,\), got \(1,\)"),
    (lambda: GaussianMixture(((0.0,), (1.0,)), (0.0, 1.0), (1.0, 1.0)), "weights must be positive and finite, got 0.0"),
    (lambda: GaussianMixture(((0.0,), (1.0,)), (0.4, 0.5), (1.0, 1.0)), "weights must sum to 1, got .* with sum 0.9"),
    (lambda: GaussianMixture(((0.0,), (1.0,)), (0.5, 0.5), (1.0, -1.0)), "sds must be positive and finite, got -1.0"),
    (lambda: two_modes().log_prob(np.zeros((3, 1))), r"x must have shape \(n, 2\), got \(3, 1\)"),
    (lambda: two_modes().zones(np.zeros(2)), r"x must have shape \(n, 2\), got \(2,\)"),
    (lambda: two_modes().zones(np.array([[0.0, math.nan]])), "x must be finite"),
    (lambda: two_modes().sample({"component": np.array([2]), "normals": np.zeros((1, 2))}), "whole numbers from 0 to 1"),
    (lambda: two_modes().sample({"component": np.array([0.0]), "normals": np.zeros((1, 2))}), "whole numbers from 0 to 1"),
    (lambda: two_modes().sample({"component": np.array([0]), "normals": np.zeros((2, 2))}),
     r"normals must have shape \(1, 2\), got \(2, 2\)"),
    (lambda: eight_gaussians(radius=0.0), "centres must be different points"),
    (lambda: eight_gaussians(sd=math.inf), "sds must be positive"),
    (lambda: high_dimensional(7), "d must be even, got 7"),
    (lambda: high_dimensional(0), "d must be an integer >= 2, got 0"),
    (lambda: high_dimensional(4, "papers"), "unknown reading 'papers', did you mean 'paper'"),
    (lambda: misassignment(3), "d must be even, got 3"),
])
def test_bad_input_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
