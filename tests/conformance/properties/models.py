r"""What holds for models that are trained by a score: SAEF's loss is its blocks' scores, AQF's loss half its CRPS.

Teacher forcing by calls alone: with z = SAEF^-1(x) in the blocks before b and the noise in block b, the forward pass gives x
there and T_b(noise; c_b(x_<b)) in block b. The loss is the sum over b of the mean energy score of these draws. A quantile flow
with affine maps has normal conditionals: their mean is the quantile at 1/2, and at Phi(1) it is one deviation more.
"""
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np

from evenflow.conformance.adapter import Adapter
from evenflow.conformance.arrays import Array
from evenflow.conformance.properties.checking import Draw, Property, ask, named, representable, tolerance, within
from evenflow.conformance.properties.inputs import Rest, autoregressive, bijection_inputs
from evenflow.conformance.properties.line import LEVELS, even_levels

SMOOTHING = 1e-6


def teacher_forcing(adapter: Adapter, draw: Draw) -> float:
    given, rng, m = bijection_inputs("saef", "x", draw), draw.rng, 3
    noise = representable({"noise": rng.standard_normal((m, draw.n, draw.d))})["noise"]
    choices = {"beta": float(rng.choice([0.5, 1.0, 1.5]))}
    rest = {k: a for k, a in given.items() if k != "x"}
    z, ends = ask(adapter, "saef_inverse", given)["z"], np.cumsum(given["sizes"])
    total = 0.0
    for size, end in zip(given["sizes"], ends, strict=True):
        before, block = given["order"][: end - size], given["order"][end - size : end]
        draws = []
        for each in noise:
            mixed = each.copy()
            mixed[:, before] = z[:, before]
            draws.append(ask(adapter, "saef", {**rest, "z": mixed})["x"][:, block])
        shared = end == size and "context" not in given  # block 1 then has one forecast for all data
        drawn = np.concatenate(draws) if shared else np.stack(draws)
        forecast = {"draws": drawn, "y": given["x"][:, block], "estimator": np.array("U"), **choices}
        total += float(np.mean(ask(adapter, "energy_score", forecast)["score"]))
    got = ask(adapter, "saef_loss", {**given, "noise": noise, **choices})["loss"]
    return within("the loss", got, np.asarray(total), 100 * tolerance(adapter.dtype, got) + SMOOTHING)


def quantile_inputs(draw: Draw) -> tuple[Rest, Array]:
    """All but the levels, with the smooth limit of log scales that the constructor has; and Phi(1)."""
    rng = draw.rng
    made = autoregressive(2, {"limit": 5.0})(draw, rng)
    return representable({"x": rng.standard_normal((draw.n, draw.d)), **made}), np.asarray(NormalDist().cdf(1.0))


def quantiles(adapter: Adapter, given: Rest, level: Array) -> Array:
    """(n, d), all at one level."""
    return ask(adapter, "aqf_quantiles", {**given, "alpha": np.full((1, *given["x"].shape), level)})["quantiles"][0]


def crps_of_conditionals(adapter: Adapter, draw: Draw) -> float:
    given, one = quantile_inputs(Draw(draw.n, draw.d, 0, draw.seed))
    mean = quantiles(adapter, given, np.asarray(0.5))
    sd = quantiles(adapter, given, one) - mean
    normals = {"mean": mean.ravel(), "sd": sd.ravel(), "y": given["x"].ravel()}
    want = np.sum(ask(adapter, "crps_normal", normals)["score"]) / (2 * draw.n)
    alpha = even_levels(given["x"].size).reshape(LEVELS, *given["x"].shape)
    got = ask(adapter, "aqf_loss", {**given, "alpha": alpha})["loss"]
    size = float(np.sum(sd + np.abs(mean - given["x"]))) / draw.n
    return within("the loss over even levels", got, np.asarray(want), 2e-4 * size + 100 * tolerance(adapter.dtype, got))


def quantiles_in_order(adapter: Adapter, draw: Draw) -> float:
    """They rise with the level; x_j and what comes later in the order leaves that of x_j alone."""
    given, _ = quantile_inputs(Draw(draw.n, draw.d, 0, draw.seed))
    low, high = (quantiles(adapter, given, np.asarray(a)) for a in (0.25, 0.75))
    assert (low < high).all(), f"the quantiles at 0.75 must lie above those at 0.25, they are {high - low} higher"
    worst, order = 0.0, given["order"].tolist()
    for k in range(draw.d):
        x = given["x"].copy()
        x[:, order[k:]] += 1.0
        after = quantiles(adapter, {**given, "x": x}, np.asarray(0.25))
        seen = order[: k + 1]
        worst = max(worst, within(f"the quantiles at {seen}", after[:, seen], low[:, seen], tolerance(adapter.dtype, low)))
    return worst


PROPERTIES: Mapping[str, tuple[Property, ...]] = {
    "saef_loss": named({"teacher_forcing": teacher_forcing}), "aqf_loss": named({"crps": crps_of_conditionals}, 0.4),
    "aqf_quantiles": named({"order": quantiles_in_order}),
}
