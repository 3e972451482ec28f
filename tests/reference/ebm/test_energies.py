"""Energies: the gradient of the likelihood against the exact one, its sign above all; energies whose constant is known."""
import math
from functools import partial
from typing import Any

import numpy as np
import pytest

from evenflow.reference.core.placement import placed
from evenflow.reference.core.special import logsumexp
from evenflow.reference.core.trees import Array, Tree, leaves, size, tree_map
from evenflow.reference.ebm.energies import EBM, MLPEnergy, contrast
from evenflow.reference.ebm.normalizer import grid, lattice
from evenflow.reference.flows.densities import Normal, Uniform
from evenflow.reference.mcmc.contract import density_and_gradient
from evenflow.reference.targets.mixtures import GaussianMixture
from tests import tolerances
from tests.energies import MixtureEnergy, NormalEnergy
from tests.strategies import directional_check, generator, randomise

TILTS: dict[str, Any] = {
    "untilted": lambda d: None,
    "standard": Normal,
    "scaled": lambda d: Normal(d, 0.7),
    "uniform": lambda d: Uniform(d, -2, 2),
}


def case(d: int, seed: int = 0) -> tuple[MLPEnergy, Tree]:
    """A network that is not zero, its last layer neither; tanh, so that no kink comes between finite differences."""
    energy = MLPEnergy(d, (8, 8), "tanh")
    return energy, randomise(energy.init(generator(seed)), generator(seed + 1), 0.5)


def mixture(d: int, log_z: float) -> MixtureEnergy:
    return MixtureEnergy(GaussianMixture(((-0.7, 1.1)[:d], (1.3, -0.2)[:d]), (0.4, 0.6), (0.8, 1.2)), log_z)


# ------------------------------------------------------------------------------------------------------------ energies

def test_the_network_of_the_paper() -> None:
    energy = MLPEnergy(2)
    params = energy.init(generator(0))
    x = generator(1).standard_normal((50, 2))
    assert size(params) == 10_592
    assert "b" not in params[-1]  # its gradient is 0, and in rounding it is not: Adam made full steps of that
    assert np.array_equal(energy(params, x), np.zeros(50))
    _, gradient = contrast(energy, params, x[:25], x[25:])
    assert max(np.abs(leaf).max() for leaf in leaves(gradient)) > 1e-3  # the zero is no trap
    h = 3 * x @ params[0]["W"]
    assert (h < 0).any()
    first = MLPEnergy(2, (32,)).net([params[0], {"W": np.eye(32, 1), "b": np.zeros(1)}], 3 * x)[:, 0]
    np.testing.assert_allclose(first, np.where(h > 0, h, 0.05 * h)[:, 0], rtol=1e-12)  # the slope of the rectifier


@pytest.mark.parametrize("name", TILTS)
@pytest.mark.parametrize("d", [1, 2])
def test_the_model_is_its_tilt_at_the_start_and_tilted_later(name: str, d: int) -> None:
    energy, tilt = MLPEnergy(d), TILTS[name](d)
    x = 1.5 * generator(2).standard_normal((40, d))
    log_rho = np.zeros(40) if tilt is None else tilt.log_prob(x)
    model = EBM(energy, tilt)
    assert model.d == d
    assert np.array_equal(model.log_density(model.init(generator(0)), x), log_rho)
    bent, params = case(d)
    np.testing.assert_allclose(EBM(bent, tilt).log_density(params, x), log_rho - bent(params, x), rtol=1e-12)


@pytest.mark.parametrize("log_z", [0.0, -1.3, 2.5])
@pytest.mark.parametrize("d", [1, 2])
def test_the_mixture_energy_has_the_mass_it_says(log_z: float, d: int) -> None:
    """Within the error of the midpoint rule on normals."""
    energy = mixture(d, log_z)
    model = grid(lambda x: EBM(energy).log_density({}, x), lattice((-12,) * d, (12,) * d, 480))
    assert abs(model.log_z - log_z) <= tolerances.MASS
    x = generator(1).standard_normal((20, d))
    np.testing.assert_allclose(energy({}, x), -energy.mixture.log_prob(x) - log_z, rtol=1e-14)


@pytest.mark.parametrize("d", [1, 3])
def test_what_samplers_see_of_an_energy(d: int) -> None:
    """-E and its gradient. One normal, E = |(x - m) / s|^2 / 2 + constant, and the network along random directions."""
    one = NormalEnergy(d, 0.4)
    mean, log_sd = generator(0).standard_normal(d), 0.3 * generator(1).standard_normal(d)
    x = generator(2).standard_normal((30, d))
    params, sd = {"mean": mean, "log_sd": log_sd}, np.exp(log_sd)
    log_p, score = density_and_gradient(x, partial(EBM(one).log_density, params))
    constant = np.sum(np.log(sd)) + d * math.log(2 * math.pi) / 2 - 0.4
    np.testing.assert_allclose(-log_p, np.sum(((x - mean) / sd) ** 2, axis=1) / 2 + constant, rtol=1e-12)
    np.testing.assert_allclose(-score, (x - mean) / sd**2, rtol=1e-10)

    bent, weights = case(d)
    log_density = partial(EBM(bent).log_density, weights)
    numeric, analytic = directional_check(
        lambda x: np.sum(log_density(x)), lambda x: density_and_gradient(x, log_density)[1], x, generator(3)
    )
    np.testing.assert_allclose(analytic, numeric, rtol=tolerances.GRADIENT_RTOL, atol=tolerances.GRADIENT_ATOL)


# ------------------------------------------------------------------------------------------- the gradient of the likelihood

@pytest.mark.parametrize("name", TILTS)
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_the_contrast_is_the_gradient_of_the_exact_likelihood(name: str, d: int, seed: int) -> None:
    """On a lattice the model, its constant and its expectations are finite sums: no approximation but that of differences."""
    energy, params = case(d, seed)
    model: Any = EBM(energy, TILTS[name](d))
    box = lattice((-2,) * d, (2,) * d, 60 if d == 1 else 24)
    data = generator(seed + 2).uniform(-1.5, 1.5, (37, d)) + 0.4

    def negative_log_likelihood(theta: Tree) -> float:
        inside = data[np.all(np.abs(data) < 2, axis=1)]
        log_z = float(logsumexp(model.log_density(theta, box.points), axis=0)) + math.log(box.cell)
        return log_z - float(np.mean(model.log_density(theta, inside)))

    def gradient(theta: Tree) -> Tree:
        mass = grid(lambda x: model.log_density(theta, x), box).mass
        return contrast(energy, theta, data[np.all(np.abs(data) < 2, axis=1)], box.points, mass)[1]

    for direction in range(3):
        numeric, analytic = directional_check(negative_log_likelihood, gradient, params, generator(direction))
        assert abs(numeric) > 1e-3  # else a wrong sign would go unnoticed
        np.testing.assert_allclose(analytic, numeric, rtol=tolerances.GRADIENT_RTOL, atol=tolerances.GRADIENT_ATOL)


def test_a_step_down_the_contrast_lowers_energy_at_the_data() -> None:
    energy, params = case(2)
    positives, negatives = generator(3).normal(1, 1, (40, 2)), generator(4).normal(-1, 1, (50, 2))
    before, gradient = contrast(energy, params, positives, negatives)
    after, _ = contrast(energy, tree_map(lambda p, g: p - 1e-3 * g, params, gradient), positives, negatives)
    assert after < before
    np.testing.assert_allclose(before, energy(params, positives).mean() - energy(params, negatives).mean(), rtol=1e-12)


def test_weights_weigh_the_negatives() -> None:
    energy, params = case(2)
    positives, negatives = generator(3).normal(1, 1, (4, 2)), generator(4).normal(-1, 1, (6, 2))
    w = generator(5).dirichlet(np.ones(6))
    value, _ = contrast(energy, params, positives, negatives, w)
    np.testing.assert_allclose(value, energy(params, positives).mean() - w @ energy(params, negatives), rtol=1e-12)
    equal = contrast(energy, params, positives, negatives, np.full(6, 1 / 6))
    plain = contrast(energy, params, positives, negatives)
    assert equal[0] == plain[0]
    tree_map(np.testing.assert_array_equal, equal[1], plain[1])
    twice = contrast(energy, params, positives, negatives[[0, 0, 1]], np.array([0.25, 0.25, 0.5]))
    once = contrast(energy, params, positives, negatives[[0, 1]])
    tree_map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-14), twice[1], once[1])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_dtypes_are_kept_and_inputs_untouched(dtype: Any) -> None:
    energy = MLPEnergy(2)
    params = placed(randomise(energy.init(generator(0)), generator(1)), dtype)
    positives, negatives = (generator(s).standard_normal((5, 2)).astype(dtype) for s in (2, 3))
    kept = [leaf.copy() for leaf in (*leaves(params), positives, negatives)]
    for weights in (None, np.full(5, 0.2, dtype)):
        value, gradient = contrast(energy, params, positives, negatives, weights)
        assert isinstance(value, float)
        assert all(leaf.dtype == dtype for leaf in leaves(gradient))
    assert all(part.dtype == dtype for part in density_and_gradient(positives, partial(EBM(energy).log_density, params)))
    assert EBM(energy, Normal(2)).log_density(params, positives).dtype == dtype
    assert all(np.array_equal(a, b) for a, b in zip(kept, (*leaves(params), positives, negatives), strict=True))


# --------------------------------------------------------------------------------------------------------------- refusals

def test_points_that_are_refused() -> None:
    energy, params = case(2)
    good = np.zeros((3, 2))
    bad: list[tuple[Array, Array, Array | None, str]] = [
        (np.zeros((3, 1)), good, None, r"positives must have shape \(n, 2\), got \(3, 1\)"),
        (good, np.zeros((3, 3)), None, r"negatives must have shape \(n, 2\), got \(3, 3\)"),
        (np.zeros((0, 2)), good, None, "the length of positives must be an integer >= 1, got 0"),
        (good, np.zeros((0, 2)), None, "the length of negatives must be an integer >= 1, got 0"),
        (good, good * math.nan, None, "negatives must be finite"),
        (good, good, np.ones(2), r"weights must have shape \(3,\), got \(2,\)"),
    ]
    for positives, negatives, weights, match in bad:
        with pytest.raises(ValueError, match=match):
            contrast(energy, params, positives, negatives, weights)


@pytest.mark.parametrize("huge", [math.nan, math.inf, 1e200])
def test_an_energy_that_is_not_finite_is_an_error(huge: float) -> None:
    energy = MLPEnergy(2, (4,))
    params = tree_map(lambda p: p + huge, energy.init(generator(0)))
    x = 1e200 * np.ones((3, 2))
    with pytest.raises(FloatingPointError, match="the energy must be finite"):
        contrast(energy, params, x, -x)


def test_tilts_that_are_refused() -> None:
    with pytest.raises(ValueError, match="energy and tilt must agree in d, got 2 and 3"):
        EBM(MLPEnergy(2), Normal(3))
