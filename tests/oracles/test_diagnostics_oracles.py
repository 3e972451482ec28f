"""The diagnostics of chains against ArviZ (R-hat, ESS; chains first, hence the transposes) and emcee (integrated time)."""
import warnings
from typing import Any

import numpy as np
import pytest

from evenflow.reference.core.trees import Array
from evenflow.reference.mcmc.ess import autocorrelation, ess, integrated_time
from evenflow.reference.mcmc.rhat import normal_scores, rhat, split_rhat
from tests.strategies import generator

pytestmark = pytest.mark.peers

SAME = 1e-10  # relative, the same sums in another order: 2e-13 at most in 3000 trials
TRIALS = 60


@pytest.fixture(scope="module")
def az() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # on the day's first import ArviZ announces its next major version
        return pytest.importorskip("arviz", reason="the oracle for R-hat and the effective sample size")


def chains(seed: int, kind: str) -> Array:
    """AR(1) chains of a random length, odd or even, down to 10, with coefficients from antithetic to slow."""
    rng = generator(seed)
    steps = int(rng.integers(10, 40) if seed % 2 else rng.integers(40, 300))
    x = rng.standard_normal((steps, int(rng.integers(2, 6))))
    a = rng.uniform(-0.95, 0.0) if kind == "antithetic" else rng.uniform(0.0, 0.99)
    for t in range(1, steps):
        x[t] += a * x[t - 1]
    if kind == "ties":
        return np.round(x)
    if kind == "apart":
        return x + 3 * rng.standard_normal(x.shape[1])
    return np.sinh(5 * x) if kind == "heavy" else x


every = pytest.mark.parametrize("kind", ["plain", "antithetic", "ties", "apart", "heavy"])


@pytest.mark.slow  # the first import takes seconds
@every
def test_arviz(az: Any, kind: str) -> None:
    for seed in range(TRIALS):
        x = chains(seed, kind)
        np.testing.assert_allclose(rhat(x), az.rhat(x.T, method="rank"), rtol=SAME)
        np.testing.assert_allclose(split_rhat(x), az.rhat(x.T, method="split"), rtol=SAME)
        np.testing.assert_allclose(ess(x), az.ess(x.T, method="bulk"), rtol=SAME)


@pytest.mark.slow
def test_arviz_parts(az: Any) -> None:
    """The autocorrelation; the z of ranks with ties; chains that stand still in different places; 4 steps."""
    x = chains(1, "ties")
    np.testing.assert_allclose(autocorrelation(x), az.autocorr(x.T).T, rtol=0, atol=1e-13)
    np.testing.assert_allclose(normal_scores(x), az.stats.diagnostics._z_scale(x), rtol=1e-13)
    stuck = np.zeros((30, 4)) + np.arange(4)
    np.testing.assert_allclose(ess(stuck), az.ess(stuck.T, method="bulk"), rtol=SAME)
    short = generator(2).standard_normal((10, 2))  # the last pair is positive and its first half negative, which is rare
    np.testing.assert_allclose(ess(short), az.ess(short.T, method="bulk"), rtol=SAME)
    np.testing.assert_allclose(rhat(x[:4, :2]), az.rhat(x[:4, :2].T, method="rank"), rtol=SAME)


@every
def test_emcee(kind: str) -> None:
    """Where ours refuses to answer theirs is below 2 / 5: the window closed after one step."""
    emcee = pytest.importorskip("emcee", reason="the oracle for the integrated autocorrelation time")
    answered = 0
    for seed in range(TRIALS):
        x, window = chains(seed, kind), (3.0, 5.0, 8.0)[seed % 3]
        theirs = emcee.autocorr.integrated_time(x, c=window, tol=0)[0]
        try:
            ours = integrated_time(x, window, trust=1)
        except ValueError:
            assert theirs < 2 / window
            continue
        np.testing.assert_allclose(ours, theirs, rtol=SAME)
        answered += 1
    assert answered > (10 if kind == "antithetic" else 50)


def test_emcee_of_positions_and_what_is_too_short() -> None:
    """Their 3-dimensional arrays are (steps, chains, d) too; they refuse at 50 tau as well."""
    emcee = pytest.importorskip("emcee", reason="the oracle for the integrated autocorrelation time")
    x = generator(0).standard_normal((400, 5, 3))
    np.testing.assert_allclose(integrated_time(x), emcee.autocorr.integrated_time(x), rtol=SAME)
    slow = np.cumsum(x, axis=0)
    with pytest.raises(emcee.autocorr.AutocorrError):
        emcee.autocorr.integrated_time(slow)
    with pytest.raises(ValueError, match=r"draws must be at least trust = 50\.0 tau long"):
        integrated_time(slow)
