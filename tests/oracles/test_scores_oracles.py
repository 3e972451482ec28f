"""The scores against other people's libraries. Ours are smoothed by EPS = 1e-6, hence the tolerance; sorting is not."""
from typing import Any

import numpy as np
import pytest

from evenflow.reference.scores import crps, crps_normal, energy_distance, energy_score, quantile_score
from evenflow.reference.scores.energy import distance

pytestmark = pytest.mark.peers

SMOOTHING = 1e-9  # EPS^2 / |u|^(2 - beta) for the closest pair of these samples


def sample(*shapes: tuple[int, ...]) -> list[Any]:
    rng = np.random.default_rng(11)
    return [rng.standard_normal(shape) for shape in shapes]


@pytest.mark.slow  # the first import compiles for seconds where numba is installed, and dcor needs it
@pytest.mark.parametrize(("estimator", "theirs"), [("U", "fair"), ("V", "nrg")])
def test_scoringrules(estimator: str, theirs: str) -> None:
    sr = pytest.importorskip("scoringrules", reason="the oracle for ensemble scores")
    draws, y = sample((7, 12, 3), (12, 3))
    expected = sr.es_ensemble(y, np.moveaxis(draws, 0, 1), estimator=theirs, backend="numpy")
    np.testing.assert_allclose(energy_score(draws, y, 1.0, estimator), expected, atol=SMOOTHING)
    expected = sr.es_ensemble(y, np.broadcast_to(draws[:, 0], (12, 7, 3)), estimator=theirs, backend="numpy")
    np.testing.assert_allclose(energy_score(draws[:, 0], y, 1.0, estimator), expected, atol=SMOOTHING)
    expected = sr.crps_ensemble(y[:, 0], draws[..., 0].T, estimator=theirs, backend="numpy")
    np.testing.assert_allclose(crps(draws[..., 0], y[:, 0], estimator), expected, rtol=1e-12)


def test_scoringrules_closed_forms() -> None:
    sr = pytest.importorskip("scoringrules", reason="the oracle for closed forms")
    mean, y, log_sd = sample((20,), (20,), (20,))
    sd = np.exp(log_sd)
    np.testing.assert_allclose(crps_normal(mean, sd, y), sr.crps_normal(y, mean, sd, backend="numpy"), rtol=1e-10)
    expected = sr.quantile_score(y, mean, 0.3, backend="numpy")
    np.testing.assert_allclose(quantile_score(mean, y, 0.3), expected, rtol=1e-12)


@pytest.mark.slow  # the first import compiles for seconds
@pytest.mark.parametrize("estimator", ["U", "V"])
@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5])
def test_dcor(beta: float, estimator: str) -> None:
    dcor = pytest.importorskip("dcor", reason="the oracle for the energy distance at any beta")
    x, y = sample((15, 4), (11, 4))
    expected = dcor.energy_distance(x, y + 0.3, exponent=beta, estimation_stat=f"{estimator}_statistic")
    np.testing.assert_allclose(energy_distance(x, y + 0.3, beta, estimator), expected, atol=SMOOTHING)


def test_scipy_energy_distance() -> None:
    stats = pytest.importorskip("scipy.stats", reason="the oracle for the energy distance on the line")
    x, y = sample((40,), (30,))
    expected = stats.energy_distance(x, y) ** 2  # theirs is the root
    np.testing.assert_allclose(energy_distance(x[:, None], y[:, None], 1.0, "V"), expected, atol=SMOOTHING)


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5])
def test_scipy_distances(beta: float) -> None:
    spatial = pytest.importorskip("scipy.spatial.distance", reason="the oracle for distances")
    x, y = sample((20, 5), (10, 5))
    np.testing.assert_allclose(distance(x[:, None], y[None], beta), spatial.cdist(x, y) ** beta, rtol=1e-11)


def test_scipy_erf() -> None:
    special = pytest.importorskip("scipy.special", reason="the oracle for the normal distribution function")
    y = np.linspace(-8, 8, 101)
    zero, one = np.zeros(101), np.ones(101)
    phi = np.exp(-(y**2) / 2) / np.sqrt(2 * np.pi)
    expected = y * (2 * special.ndtr(y) - 1) + 2 * phi - 1 / np.sqrt(np.pi)
    np.testing.assert_allclose(crps_normal(zero, one, y), expected, rtol=1e-13)
