r"""Scores on the line: the CRPS from draws and of a normal, the quantile score, and the quantiles of a normal.

$$CRPS(F, y) = \int (F(t) - 1\{t \ge y\})^2\, dt = E|X - y| - \tfrac12 E|X - X'|$$

(Gneiting & Raftery 2007, section 4.2). The "V" form of draws is held against the integral. For a normal

$$CRPS = s\,\big(w\,(2\Phi(w) - 1) + 2\phi(w) - 1/\sqrt\pi\big), \qquad w = (y - \mu)/s.$$

The quantile score is $\rho_\alpha(u) = \max(\alpha u, (\alpha - 1) u)$ at $u = y - q$ (Koenker & Bassett 1978).
"""
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors.exact import mp
from tests.vectors.making import Given, Oracle
from tests.vectors.scores import ESTIMATOR, NEAR, WITNESS, Number, across, length, points, squared_gap, within


def crps(i: dict[str, Any]) -> dict[str, Any]:
    each = []
    for xs, y in zip(i["draws"].T[:, :, None], i["y"][:, None], strict=True):
        f = partial(length, mp.mpf(1))
        each.append(across(f, xs, [y]) - within(f, xs, i["estimator"]) / 2)
        assert i["estimator"] == "U" or mp.almosteq(each[-1], squared_gap(xs, [y]), NEAR)
    return {"score": np.array(each, dtype=object)}


def crps_normal(i: dict[str, Any]) -> dict[str, Any]:
    def one(mean: Number, sd: Number, y: Number) -> Number:
        w = (y - mean) / sd
        return sd * (w * mp.erf(w / mp.sqrt(2)) + 2 * mp.npdf(w) - 1 / mp.sqrt(mp.pi))

    return {"score": np.frompyfunc(one, 3, 1)(i["mean"], i["sd"], i["y"])}


def quantile_score(i: dict[str, Any]) -> dict[str, Any]:
    u = i["y"] - i["quantile"]
    return {"score": np.maximum(i["alpha"] * u, (i["alpha"] - 1) * u)}


@cache
def phi_inverse(alpha: Number) -> Number:
    """z with Phi(z) = alpha; in so many digits that 1 - 2 alpha keeps 40 of them."""
    with mp.workdps(100):
        z = -mp.sqrt(2) * mp.erfinv(1 - 2 * alpha)
        assert mp.almosteq(mp.ncdf(z), alpha, NEAR, 0)
        return z


def normal_quantile(i: dict[str, Any]) -> dict[str, Any]:
    return {"z": np.frompyfunc(phi_inverse, 1, 1)(i["alpha"])}


def draws_cases(rng: np.random.Generator) -> Sequence[Given]:
    plain, square = {"draws": points(rng, 4, 3), "y": points(rng, 3)}, {"draws": points(rng, 3, 3), "y": points(rng, 3)}
    on, tied = {"draws": points(rng, 3, 2), "y": points(rng, 2)}, {"draws": points(rng, 4, 2), "y": points(rng, 2)}
    on["draws"][1, 0] = on["y"][0] = 0
    tied["draws"][1] = tied["draws"][3]
    tied["draws"][0, 1] = tied["draws"][2, 1]
    return [
        Given("unbiased", {**plain, "estimator": "U"}, ("estimator",)),
        Given("biased", {**plain, "estimator": "V"}, ("estimator",)),
        Given("square", {**square, "estimator": "U"}, ("square",)),
        Given("two_draws", {"draws": points(rng, 2, 1), "y": points(rng, 1), "estimator": "U"}, ("two_draws",)),
        Given("far_out", {"draws": 1e4 * points(rng, 3, 2), "y": 1e4 * points(rng, 2), "estimator": "V"}, ("large_scale",)),
        Given("at_the_observation", {**on, "estimator": "U"}, ("tie",)),
        Given("equal_draws", {**tied, "estimator": "U"}, ("equal_draws",), grads=("y",)),
    ]


def normal_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, mean: Array, sd: Array, y: Array, *flags: str) -> Given:
        return Given(id, {"mean": mean, "sd": sd, "y": y}, flags)

    mean, sd = points(rng, 4), np.exp(points(rng, 4) / 2)
    return [
        given("plain", mean, sd, points(rng, 4)),
        given("centre", mean, sd, mean, "centre"),
        given("tail", mean[:2], sd[:2], mean[:2] + np.array([-40, 25]) * sd[:2], "tail"),
        given("far_out", 1e4 * mean, 1e4 * sd, 1e4 * points(rng, 4), "large_scale"),
        given("narrow", mean[:2], np.array([1e-3, 1e-4]), mean[:2] + np.array([1e-3, 0.5]), "narrow"),
    ]


def pinball_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, quantile: Array, y: Array, alpha: Any, *flags: str, **how: Any) -> Given:
        return Given(id, {"quantile": quantile, "y": y, "alpha": alpha}, flags, **how)

    q, y, alpha = points(rng, 5), points(rng, 5), rng.uniform(0.1, 0.9, 5)
    return [
        given("plain", q, y, alpha),
        given("one_level", q, y, np.float64(0.25), "one_level"),
        given("extreme", q, y, np.array([1e-7, 1 - 2.0**-20, 1e-3, 0.999, 1e-30]), "extreme"),
        given("far_out", 1e4 * q, 1e4 * y, alpha, "large_scale"),
        given("exactly", y, y, alpha, "tie", grads=("alpha",)),
    ]


def level_cases(rng: np.random.Generator) -> Sequence[Given]:
    return [
        Given("plain", {"alpha": rng.uniform(0.02, 0.98, 6)}),
        Given("middle", {"alpha": np.array([0.5, 0.5 - 2.0**-20, 0.5 + 2.0**-20])}, ("middle",)),
        Given("extreme", {"alpha": np.array([1e-30, 1e-12, 1e-7, 2.0**-23, 1 - 2.0**-20])}, ("extreme",)),
        Given("array", {"alpha": rng.uniform(0.02, 0.98, (2, 3, 1))}),
    ]


LINE_NOTES = {"large_scale": "numbers of the size 1e4"}
ORACLES = (
    Oracle(
        "crps", "CRPS = E|X - y| - E|X - X'| / 2 of draws on the line, smaller is better",
        "Gneiting & Raftery 2007, section 4.2", WITNESS, {"draws": "(m, n)", "y": "(n,)", **ESTIMATOR},
        {"score": "(n,)"}, crps, draws_cases, grads=("draws", "y"),
        notes={
            **LINE_NOTES, "estimator": "the same numbers, unbiased (fair) and biased: libraries differ in which is the default",
            "square": "m = n: axes that are exchanged do not show in a shape", "two_draws": "as few as there can be",
            "tie": "a draw at the observation: the pair counts 0, and so does its gradient",
            "equal_draws": "draws that coincide; their gradient is any of the subgradients, and is not asked for",
        },
    ),
    Oracle(
        "crps_normal", "CRPS of N(mean, sd^2) at y: sd (w (2 Phi(w) - 1) + 2 phi(w) - 1/sqrt(pi)), w = (y - mean) / sd",
        "Gneiting & Raftery 2007, section 4.2", WITNESS, {"mean": "(n,)", "sd": "(n,) > 0", "y": "(n,)"}, {"score": "(n,)"},
        crps_normal, normal_cases, grads=("mean", "sd", "y"),
        notes={
            **LINE_NOTES, "centre": "y = mean: sd (2 phi(0) - 1/sqrt(pi)), the gradient in y is 0",
            "tail": "25 and 40 deviations off: |y - mean| - sd/sqrt(pi)", "narrow": "sd down to 1e-4",
        },
    ),
    Oracle(
        "quantile_score", "max(alpha u, (alpha - 1) u) of u = y - quantile, the pinball loss", "Koenker & Bassett 1978",
        WITNESS, {"quantile": "(n,)", "y": "(n,)", "alpha": "(n,), or one number ()"}, {"score": "(n,)"},
        quantile_score, pinball_cases, grads=("quantile", "y", "alpha"),
        notes={
            **LINE_NOTES, "one_level": "alpha is one number, a choice", "extreme": "alpha near 0 and 1",
            "tie": "the quantile is the observation: 0; the slope in either, any from alpha - 1 to alpha, is not asked for",
        },
    ),
    Oracle(
        "normal_quantile", "z with Phi(z) = alpha; no gradient, it only meets noise", "Si et al. 2022", WITNESS,
        {"alpha": "any shape, 0 < alpha < 1"}, {"z": "the same shape"}, normal_quantile, level_cases,
        notes={"middle": "alpha near 1/2", "extreme": "alpha near 0 and 1: -11.5 at 1e-30, not infinite"},
    ),
)
