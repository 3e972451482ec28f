"""What `Samples.to_arviz` hands over: ArviZ finds the same R-hat and effective sample size in it."""
import warnings
from typing import Any

import numpy as np
import pytest

import evenflow

pytestmark = pytest.mark.peers


@pytest.mark.slow  # the first import takes seconds
def test_arviz_gets_the_chains() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        az: Any = pytest.importorskip("arviz", reason="the library that to_arviz is for")
    x0 = np.random.default_rng(0).standard_normal((20, 2))
    samples = evenflow.sample(lambda x: -np.sum(x**2, axis=1) / 2, x0, 1000, rounds=4)
    data = samples.to_arviz()
    assert data.posterior["x"].shape == (20, 50, 2)
    assert np.array_equal(data.posterior["x"].values[3, 7], samples.chains[7, 3])
    assert np.array_equal(data.sample_stats["lp"].values[3, 7], samples.log_p[7, 3])
    np.testing.assert_allclose(az.rhat(data)["x"], samples.rhat, rtol=1e-10)
    np.testing.assert_allclose(az.ess(data)["x"], samples.ess, rtol=1e-10)
