r"""The kernel score and the squared MMD, from their definitions: loops over pairs.

$$KS(P, y) = \tfrac12 E\,k(X, X') - E\,k(X, y) + \tfrac12 k(y, y) \qquad
  MMD^2 = E\,k(X, X') - 2 E\,k(X, Y) + E\,k(Y, Y')$$

(Gneiting & Raftery 2007, section 5; Gretton et al. 2012). The kernels are
rbf $\sum_s \exp(-|x - y|^2 / 2 s^2)$, linear $x \cdot y$, and distance $|x|^\beta + |y|^\beta - |x - y|^\beta$. With the last
the two are the energy score and the energy distance, and they are held against these.
"""
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array
from tests.tolerances import SMOOTHING
from tests.vectors import scores
from tests.vectors.exact import mp
from tests.vectors.making import Given, Oracle
from tests.vectors.scores import (
    DRAWS,
    ESTIMATOR,
    NEAR,
    ROOM,
    SAMPLES,
    WITNESS,
    Kernel,
    Number,
    across,
    choices,
    forecasts,
    length,
    points,
    within,
)

KERNEL = {
    "kernel": '"rbf": sum_s exp(-|x - y|^2 / 2 s^2), "linear": x . y, "distance": |x|^beta + |y|^beta - |x - y|^beta',
    "bandwidths": "(S,) s, with rbf alone", "beta": "0 < beta < 2, with distance alone", **ESTIMATOR,
}


def kernel_of(i: dict[str, Any]) -> Kernel:
    if i["kernel"] == "rbf":
        return partial(rbf, i["bandwidths"])
    return partial(distance, i["beta"]) if i["kernel"] == "distance" else lambda a, b: sum(a * b)


def rbf(bandwidths: Array, a: Array, b: Array) -> Number:
    return sum(mp.exp(-sum((a - b) ** 2) / (2 * s**2)) for s in bandwidths)


def distance(beta: Number, a: Array, b: Array) -> Number:
    return length(beta, a, 0 * a) + length(beta, b, 0 * b) - length(beta, a, b)


def kernel_score(i: dict[str, Any]) -> dict[str, Any]:
    k, estimator = kernel_of(i), i["estimator"]
    each = [within(k, xs, estimator) / 2 - across(k, xs, [y]) + k(y, y) / 2 for xs, y in forecasts(i)]
    if i["kernel"] == "distance":
        assert all(mp.almosteq(a, b, NEAR) for a, b in zip(each, scores.energy_score(i)["score"], strict=True))
    return {"score": np.array(each, dtype=object)}


def mmd(i: dict[str, Any]) -> dict[str, Any]:
    k, x, y, estimator = kernel_of(i), i["x"], i["y"], i["estimator"]
    squared = within(k, x, estimator) - 2 * across(k, x, y) + within(k, y, estimator)
    assert i["kernel"] != "distance" or mp.almosteq(squared, scores.energy_distance(i)["distance"], NEAR)
    return {"distance": squared}


def of_rbf(estimator: str, *bandwidths: float) -> dict[str, Any]:
    return {"kernel": "rbf", "bandwidths": np.array(bandwidths), "estimator": estimator}


def of_distance(beta: float, estimator: str) -> dict[str, Any]:
    return {"kernel": "distance", **choices(beta, estimator)}


def linear(estimator: str) -> dict[str, Any]:
    return {"kernel": "linear", "estimator": estimator}


def score_cases(rng: np.random.Generator) -> Sequence[Given]:
    plain = {"draws": points(rng, 3, 2, 2), "y": points(rng, 2, 2)}
    y, shared = points(rng, 3, 2), {"draws": points(rng, 3, 2), "y": points(rng, 3, 2)}
    tied = {"draws": points(rng, 3, 2), "y": points(rng, 2, 2)}
    tied["draws"][:2], tied["y"][0] = 0, 0

    def given(id: str, i: dict[str, Array], how: dict[str, Any], *flags: str) -> Given:
        return Given(id, {**i, **how}, flags, slack=SMOOTHING if how["kernel"] == "distance" else 0)

    return [
        given("unbiased", plain, of_rbf("U", 0.5, 1, 2), "estimator"),
        given("biased", plain, of_rbf("V", 0.5, 1, 2), "estimator"),
        given("nearer", {"draws": y + (plain["draws"][:, :1] - y) / 4, "y": y}, of_rbf("U", 1), "sign"),
        given("published", {"draws": 10 * points(rng, 3, 2), "y": 10 * points(rng, 2, 2)}, of_rbf("U", 2, 5, 10, 20, 40, 80)),
        given("linear", plain, linear("U"), "linear"),
        given("linear_biased", shared, linear("V"), "linear", "square"),
        given("distance", plain, of_distance(1, "V"), "energy"),
        given("distance_shared", shared, of_distance(1.5, "U"), "energy", "square"),
        given("ties_at_zero", tied, of_distance(0.5, "U"), "tie"),
        given("ties", tied, of_rbf("V", 0.5, 2), "tie"),
        given("far_out", {name: 1e4 * a for name, a in plain.items()}, of_rbf("U", 1e4, 1), "large_scale"),
    ]


def mmd_cases(rng: np.random.Generator) -> Sequence[Given]:
    plain = {"x": points(rng, 3, 2), "y": points(rng, 2, 2)}
    tied = {"x": points(rng, 3, 2), "y": points(rng, 3, 2)}
    tied["x"][:2], tied["y"][1] = 0, 0
    grid = np.arange(6.0)[:, None] * [1.0, 0.5]
    same = points(rng, 3, 2)

    def given(id: str, i: dict[str, Array], how: dict[str, Any], *flags: str) -> Given:
        return Given(id, {**i, **how}, flags, slack=SMOOTHING if how["kernel"] == "distance" else 0)

    return [
        given("unbiased", plain, of_rbf("U", 0.5, 1, 2), "estimator", "squared"),
        given("biased", plain, of_rbf("V", 0.5, 1, 2), "estimator", "squared"),
        given("published", {name: 10 * a for name, a in plain.items()}, of_rbf("U", 2, 5, 10, 20, 40, 80)),
        given("interleaved", {"x": grid[::2], "y": grid[1::2]}, of_rbf("U", 1, 2), "negative"),
        given("linear", plain, linear("U"), "linear"),
        given("linear_biased", plain, linear("V"), "linear"),
        given("distance", plain, of_distance(1, "V"), "energy"),
        given("distance_unbiased", plain, of_distance(1.5, "U"), "energy"),
        given("ties_at_zero", tied, of_distance(0.5, "U"), "tie"),
        given("same_sample", {"x": same, "y": same}, of_rbf("V", 1), "tie"),
    ]


NOTES = {
    "estimator": '"unbiased" and "biased" have the same numbers: "V" counts k(x, x), "U" does not',
    "linear": "x . y: sees nothing but the mean",
    "tie": "points coincide, and lie at 0, where the distance kernel has a kink: slope 0",
    "energy": "with the distance kernel, its factor 1 and not 1/2: the energy score and the energy distance",
}
ORACLES = (
    Oracle(
        "kernel_score", f"KS = E k(X, X') / 2 - E k(X, y) + k(y, y) / 2, smaller is better. With the kernel distance: {ROOM}",
        "Gneiting & Raftery 2007, section 5", WITNESS, {**DRAWS, **KERNEL}, {"score": "(n,)"},
        kernel_score, score_cases, grads=("draws", "y"),
        notes={
            **NOTES, "sign": "smaller is better: draws near the observation score low (a published code has the sign reversed)",
            "square": "m = n: axes that are exchanged or broadcast do not show in a shape",
            "large_scale": "points of the size 1e4: one bandwidth as large, beside the other the kernel is 0",
        },
    ),
    Oracle(
        "mmd", f"MMD^2 = E k(X, X') - 2 E k(X, Y) + E k(Y, Y'). With the kernel distance: {ROOM}",
        "Gretton et al. 2012, eq. 3 and 5", WITNESS, {**SAMPLES, **KERNEL}, {"distance": "()"},
        mmd, mmd_cases, grads=("x", "y"),
        notes={
            **NOTES, "squared": "the square, not its root",
            "negative": "the unbiased estimate of a small distance is negative; it is not cut off at 0",
        },
    ),
)
