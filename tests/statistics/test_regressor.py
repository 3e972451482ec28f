"""FlowRegressor: its intervals hold what they promise, and they widen where the data do."""
import math

import numpy as np
import pytest

from evenflow import FlowRegressor
from evenflow.reference.core import Array
from evenflow.reference.scores import crps_normal

ROWS = 1000
Z = 4.0      # of a binomial share: a right model is beyond it in 6 of 100,000 seeds
OFF = 0.02   # how far a trained model itself may be off, in coverage; measured on seeds 0 to 4: at most 0.012


def data(seed: int) -> tuple[Array, Array]:
    """y = sin 3 x_1 + e^{x_2} eps / 4."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (ROWS, 2))
    return X, np.sin(3 * X[:, 0]) + sd(X) * rng.standard_normal(ROWS)


def sd(X: Array) -> Array:
    return np.exp(X[:, 1]) / 4


@pytest.mark.slow
@pytest.mark.parametrize(("family", "choices"), [
    ("saef", {}), ("spline", {}), ("maf", {}), ("aqf", {"transformer": "spline"}), ("dense", {"objective": "likelihood"}),
    ("dense", {}),
])
def test_intervals_hold_what_they_promise_and_follow_the_spread(family: str, choices: dict[str, str]) -> None:
    """Coverage within Z binomial errors and OFF on all new rows, and twice OFF on the third of the least noise and of the most;
    widths within a quarter of the true ones there; CRPS within 6 % of the truth's. Fixed seeds."""
    (X, y), (X_new, y_new) = data(0), data(1)
    model = FlowRegressor(family, random_state=0, **choices).fit(X, y)
    quiet, loud = X_new[:, 1] < -1 / 3, X_new[:, 1] > 1 / 3
    for level in (0.5, 0.9, 0.95):
        low, high = model.predict_interval(X_new, level).T
        inside, z = (low <= y_new) & (y_new <= high), math.sqrt(2) * erfinv(level)
        for rows, off in ((np.full(ROWS, True), OFF), (quiet, 2 * OFF), (loud, 2 * OFF)):
            error = Z * math.sqrt(level * (1 - level) / rows.sum())
            assert inside[rows].mean() == pytest.approx(level, abs=error + off), level
            assert (high - low)[rows].mean() == pytest.approx(2 * z * sd(X_new)[rows].mean(), rel=0.25), level
    truth = crps_normal(np.sin(3 * X_new[:, 0]), sd(X_new), y_new).mean()
    assert -model.score(X_new, y_new) < 1.06 * truth


def erfinv(p: float) -> float:
    from scipy.special import erfinv
    return float(erfinv(p))
