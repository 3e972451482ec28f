"""What simulator.py compares: each is fitted to x (n, k) and theta (n, d), and then draws (x (n, k), m) -> theta (m, n, d)."""
from collections.abc import Callable
from typing import Any

import numpy as np

from evenflow.experiments.regression_models import early_stopped, tensor, without_gradient
from evenflow.reference.core import Array
from evenflow.reference.work.regressor import FlowRegressor

Posterior = Callable[[Array, int], Array]
Fit = Callable[[Array, Array, int, dict[str, Any]], Posterior]


def ours(family: str, **choices: Any) -> Fit:
    def fit(x: Array, theta: Array, seed: int, preset: dict[str, Any]) -> Posterior:
        model = FlowRegressor(family, random_state=seed, **choices, **preset).fit(x, theta)
        return lambda x, m: np.moveaxis(model.sample(x, m, random_state=seed), 1, 0)

    return fit


def zuko(x: Array, theta: Array, seed: int, preset: dict[str, Any]) -> Posterior:
    """As in regression_models.py, in the coordinates' order."""
    from zuko.flows import NSF
    (at, scale), (mean, sd) = ((part.mean(axis=0), part.std(axis=0)) for part in (x, theta))
    flow = early_stopped(
        lambda: NSF(theta.shape[1], x.shape[1]), tensor((x - at) / scale), tensor((theta - mean) / sd), seed)
    return without_gradient(lambda x, m: flow(tensor((x - at) / scale)).sample((m,)).numpy() * sd + mean)


OURS = ("SAEF, energy", "SAEF, likelihood", "spline, likelihood")
METHODS: dict[str, Fit] = {
    "SAEF, energy": ours("saef"), "SAEF, likelihood": ours("saef", objective="likelihood"),
    "spline, likelihood": ours("spline"), "zuko NSF, likelihood": zuko,
}
