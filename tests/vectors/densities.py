"""Log densities, from their formulas: mixtures of round Gaussians, independent normals, rings, the uniform on a cube."""
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors.exact import exp, log, mp, sqrt
from tests.vectors.making import Given, Oracle

WITNESS = "closed form, mpmath with 40 digits"
NOTES = {
    "named": "a target of Grenioux et al. 2023: two modes, four modes, eight Gaussians, the mixture in 16 dimensions",
    "tail": "so far out that the density itself underflows, even in float64; its logarithm is finite",
    "overflow": "1e15 away, where the log density is -1e31 and finite; no gradient is asked for",
    "large_scale": "standard deviations from 1e-3 to 1e3",
    "edge": "on the faces of the cube: the lower ones belong to it, the upper ones do not, where the log density is -inf",
    "outside": "outside the cube the log density is -inf",
    "centre": "near the origin, where the far side of each ring counts, p(x) = (p_r(|x|) + p_r(-|x|)) / (2 pi |x|)",
    "one": "n = 1",
    "d1": "d = 1",
}


def normal(x: Array, mean: Array, sd: Array) -> Any:
    """The density of independent normals at one point."""
    return np.prod(exp(-(((x - mean) / sd) ** 2) / 2) / (sd * sqrt(2 * mp.pi)))


def standard_normal_log_prob(z: Array) -> Array:
    """z (n, d) -> (n,)."""
    return -np.sum(z**2 + log(2 * mp.pi), axis=1) / 2


def mixture(i: dict[str, Any]) -> dict[str, Array]:
    components = list(zip(i["weights"], i["means"], i["sds"], strict=True))
    p = [sum(w * normal(x, mean, np.full(len(x), sd)) for w, mean, sd in components) for x in i["x"]]
    return {"log_prob": log(np.array(p))}


def diagonal_normal(i: dict[str, Any]) -> dict[str, Array]:
    return {"log_prob": log(np.array([normal(x, i["mean"], i["sd"]) for x in i["x"]]))}


def rings(i: dict[str, Any]) -> dict[str, Array]:
    sd = mp.mpf(15) / 100
    r = sqrt(np.sum(i["x"] ** 2, axis=1))
    both_sides = sum(exp(-(((side * r - ring) / sd) ** 2) / 2) for ring in range(1, 5) for side in (1, -1))
    p_r = both_sides / (4 * sd * sqrt(2 * mp.pi))
    return {"log_prob": log(p_r / (r * (2 * mp.pi)))}


def uniform(i: dict[str, Any]) -> dict[str, Array]:
    low, high = i["low"], i["high"]
    inside = [all(low <= v < high for v in x) for x in i["x"]]
    here = -log(high - low) * i["x"].shape[1]
    return {"log_prob": np.array([here if each else mp.mpf("-inf") for each in inside], dtype=object)}


def mixture_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, x: Array, weights: Any, means: Any, sds: Any, *flags: str, **asked: Any) -> Given:
        inputs = {"x": x, "weights": np.array(weights), "means": np.array(means, float), "sds": np.array(sds)}
        return Given(id, inputs, flags, **asked)

    angles = 2 * math.pi * np.arange(8) / 8
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    a = 0.591 * math.sqrt(2 * math.log(16))
    half = np.array([-1.0] * 8 + [1.0] * 8)
    corners = a * np.stack([np.ones(16), half, -np.ones(16), -half])
    line = [[-3, 0], [-1, 0], [1, 0], [3, 0]]
    three = ([0.5, 0.25, 0.25], rng.standard_normal((3, 2)), [0.5, 1.0, 0.3])
    return [
        given("plain", rng.standard_normal((4, 2)), *three),
        given("two_modes", 1.5 * rng.standard_normal((4, 2)), [1 / 3, 2 / 3], [[-1.5, -1.5], [1.5, 1.5]],
              [math.sqrt(0.05), math.sqrt(0.1)], "named"),
        given("four_modes", np.array([[-2.9, 0.1], [0.05, 0.3], [3.3, -0.2]]), [0.1, 0.2, 0.3, 0.4], line,
              [math.sqrt(0.05)] * 4, "named"),
        given("eight_gaussians", rng.standard_normal((3, 2)), [1 / 8] * 8, circle, [0.15] * 8, "named"),
        given("high_dimensional", rng.standard_normal((2, 16)) + corners[:2], [0.25] * 4, corners, [1.0] * 4, "named"),
        given("far", np.array([[1e4, -1e4], [-100.0, 0.5]]), *three, "tail"),
        given("overflow", np.array([[1e15, -1e15]]), *three, "overflow", "one", grads=()),
        given("one", np.array([[0.4]]), [0.75, 0.25], [[-1.0], [2.0]], [0.5, 1.5], "one", "d1"),
    ]


def diagonal_normal_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, n: int, d: int, *flags: str, size: float = 1, spread: float = 0.5) -> Given:
        mean, sd = rng.standard_normal(d), np.exp(spread * rng.uniform(-1, 1, d))
        return Given(id, {"x": size * rng.standard_normal((n, d)), "mean": mean, "sd": sd}, flags)

    return [
        given("plain", 4, 3), given("far", 3, 2, "tail", size=1e4),
        given("scales", 3, 4, "large_scale", spread=math.log(1e3)), given("one", 1, 1, "one", "d1"),
    ]


def rings_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, radii: Sequence[float], *flags: str) -> Given:
        angle = rng.uniform(-math.pi, math.pi, len(radii))
        return Given(id, {"x": np.stack([radii * np.cos(angle), radii * np.sin(angle)], axis=1)}, flags)

    return [
        given("plain", (0.8, 1.1, 1.5, 2.3, 4.05)), given("centre", (0.02, 0.05, 0.2), "centre"),
        given("far", (9.0, 60.0), "tail"), given("one", (3.1,), "one"),
    ]


def uniform_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, x: Any, low: float, high: float, *flags: str) -> Given:
        return Given(id, {"x": np.array(x, float), "low": low, "high": high}, flags)

    faces = [[0.0, 0.0], [0.0, 0.5], [0.5, 1.0], [1.0, 1.0], [0.0, 1.0]]
    return [
        given("plain", rng.uniform(-1, 2, (4, 3)), -1.5, 2.5),
        given("faces", faces, 0.0, 1.0, "edge"),
        given("outside", [[0.5, 3.0], [-9.0, 0.5], [0.5, 0.5], [1e30, -1e30]], -1.0, 1.0, "outside"),
        given("one", [[0.25]], -0.5, 0.5, "one", "d1"),
    ]


OUT = {"log_prob": "(n,) in nats"}
ORACLES = (
    Oracle(
        "gaussian_mixture_log_prob", "log sum_k w_k N(x; m_k, s_k^2 I), the weights as they come",
        "Grenioux et al. 2023, section 4", WITNESS,
        {"x": "(n, d)", "weights": "(K,) w", "means": "(K, d) m", "sds": "(K,) s"}, OUT, mixture, mixture_cases,
        (), ("x",), NOTES,
    ),
    Oracle(
        "diagonal_normal_log_prob", "sum_i log N(x_i; mean_i, sd_i^2)", "by definition", WITNESS,
        {"x": "(n, d)", "mean": "(d,)", "sd": "(d,)"}, OUT, diagonal_normal, diagonal_normal_cases,
        (), ("x", "mean", "sd"), NOTES,
    ),
    Oracle(
        "rings_log_prob", "log of (p_r(|x|) + p_r(-|x|)) / (2 pi |x|), p_r an equal mixture of N(i, 0.15^2), i = 1 ... 4",
        "Grenioux et al. 2023, Fig. 2, with the far side of each ring, which the paper leaves out", WITNESS, {"x": "(n, 2)"},
        OUT, rings, rings_cases, (), ("x",), NOTES,
    ),
    Oracle(
        "uniform_log_prob", "-d log(high - low) on the cube [low, high)^d, -inf outside; constant, so no gradient is asked for",
        "by definition", WITNESS, {"x": "(n, d)", "low": "of each edge", "high": "of each edge"}, OUT, uniform, uniform_cases,
        (), (), NOTES,
    ),
)
