r"""The energy score and the energy distance, from their definitions: loops over pairs, nothing smoothed.

$$ES_\beta(P, y) = E\|X - y\|^\beta - \tfrac12 E\|X - X'\|^\beta \qquad
  D = 2 E\|X - Y\|^\beta - E\|X - X'\|^\beta - E\|Y - Y'\|^\beta$$

(Gneiting & Raftery 2007, section 4.3; Szekely & Rizzo 2013). E f(X, X') is the mean over the pairs of different points ("U")
or over all pairs ("V"). On the line, at beta = 1, the "V" forms are integrals of squared differences of distribution
functions, and they are held against these. At a tie the mean of the two one-sided slopes is 0: that is the convention.
"""
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array
from tests.tolerances import SMOOTHING
from tests.vectors.exact import mp
from tests.vectors.making import Given, Oracle

Number = Any
Kernel = Callable[[Array, Array], Number]  # of two points (d,)

NEAR = mp.mpf(10) ** -30  # two exact answers may differ by their last digits
WITNESS = "closed form, mpmath with 40 digits"
DRAWS = {"draws": "(m, n, d), m for each observation, or (m, d), one forecast shared by all", "y": "(n, d) observations"}
SAMPLES = {"x": "(n, d)", "y": "(m, d)"}
ESTIMATOR = {"estimator": '"U", unbiased: pairs of different draws, or "V": all pairs'}
BETA = {"beta": "0 < beta < 2", **ESTIMATOR}
ROOM = "The tolerance leaves 1e-9 to norms that are smoothed at zero, sqrt(|u|^2 + 1e-12)."


def length(beta: Number, a: Array, b: Array) -> Number:
    """|a - b|^beta."""
    squared = sum((a - b) ** 2)
    return squared ** (beta / 2) if squared else mp.mpf(0)


def across(f: Kernel, xs: Sequence[Array], ys: Sequence[Array]) -> Number:
    """E f(X, Y)."""
    return sum(f(x, y) for x in xs for y in ys) / (len(xs) * len(ys))


def within(f: Kernel, xs: Sequence[Array], estimator: str) -> Number:
    """E f(X, X') for a symmetric f."""
    m, pairs = len(xs), 2 * sum(f(a, b) for a, b in combinations(xs, 2))
    return pairs / (m * (m - 1)) if estimator == "U" else (pairs + sum(f(a, a) for a in xs)) / m**2


def forecasts(i: dict[str, Any]) -> list[tuple[Array, Array]]:
    """(draws (m, d), observation (d,)) for each observation."""
    return [(i["draws"] if i["draws"].ndim == 2 else i["draws"][:, j], y) for j, y in enumerate(i["y"])]


def energy_score(i: dict[str, Any]) -> dict[str, Any]:
    f, estimator = partial(length, i["beta"]), i["estimator"]
    each = [across(f, xs, [y]) - within(f, xs, estimator) / 2 for xs, y in forecasts(i)]
    if on_the_line(i, "y"):
        assert all(mp.almosteq(s, squared_gap(xs, [y]), NEAR) for s, (xs, y) in zip(each, forecasts(i), strict=True))
    return {"score": np.array(each, dtype=object)}


def energy_distance(i: dict[str, Any]) -> dict[str, Any]:
    f, x, y, estimator = partial(length, i["beta"]), i["x"], i["y"], i["estimator"]
    distance = 2 * across(f, x, y) - within(f, x, estimator) - within(f, y, estimator)
    if on_the_line(i, "y"):
        assert mp.almosteq(distance, 2 * squared_gap(x, y), NEAR)
    return {"distance": distance}


def on_the_line(i: dict[str, Any], name: str) -> bool:
    return bool(i[name].shape[1] == 1 and i["beta"] == 1 and i["estimator"] == "V")


def squared_gap(xs: Sequence[Array], ys: Sequence[Array]) -> Number:
    """The integral of (F - G)^2, F and G the distribution functions of two samples of points (1,)."""
    places = sorted([*(x[0] for x in xs), *(y[0] for y in ys)])
    return sum((b - a) * (share(xs, a) - share(ys, a)) ** 2 for a, b in pairwise(places))


def share(points: Sequence[Array], t: Number) -> Number:
    """The distribution function of a sample."""
    return mp.mpf(sum(p[0] <= t for p in points)) / len(points)


def points(rng: np.random.Generator, *shape: int) -> Array:
    return 1.5 * rng.standard_normal(shape)


def choices(beta: float, estimator: str) -> dict[str, Any]:
    return {"beta": np.float64(beta), "estimator": estimator}


def score_cases(rng: np.random.Generator) -> Sequence[Given]:
    plain = {"draws": points(rng, 3, 2, 3), "y": points(rng, 2, 3)}
    far, tied, zero = 1e4 * points(rng, 3, 2, 2), points(rng, 3, 2, 2), points(rng, 3, 2, 2)
    tied[1, 0], zero[:2, 0], zero[2, 1] = tied[2, 0], 0, 0
    tied_y, zero_y = points(rng, 2, 2), np.zeros((2, 2))
    tied_y[1] = tied[0, 1]

    def given(id: str, draws: Array, y: Array, beta: float, estimator: str, *flags: str) -> Given:
        return Given(id, {"draws": draws, "y": y, **choices(beta, estimator)}, flags, slack=SMOOTHING)

    return [
        given("unbiased", plain["draws"], plain["y"], 1, "U", "estimator"),
        given("biased", plain["draws"], plain["y"], 1, "V", "estimator"),
        given("small_beta", plain["draws"], plain["y"], 0.5, "U", "beta"),
        given("large_beta", plain["draws"], plain["y"], 1.5, "V", "beta"),
        given("shared", points(rng, 3, 2), points(rng, 3, 2), 1, "U", "shared", "square"),
        given("of_its_own", points(rng, 3, 3, 3), points(rng, 3, 3), 1, "U", "square"),
        given("two_draws", points(rng, 2, 3, 2), points(rng, 3, 2), 1.5, "U", "two_draws"),
        given("line", points(rng, 4, 3, 1), points(rng, 3, 1), 1, "V", "line"),
        given("one_row", points(rng, 4, 2), points(rng, 1, 2), 0.5, "V", "shared"),
        given("far_out", far, 1e4 * points(rng, 2, 2), 1.5, "U", "large_scale"),
        given("ties", tied, tied_y, 1, "U", "tie"),
        given("ties_at_zero", zero, zero_y, 0.5, "U", "tie"),
    ]


def distance_cases(rng: np.random.Generator) -> Sequence[Given]:
    x, y, same = points(rng, 4, 2), points(rng, 3, 2), points(rng, 3, 2)
    grid = np.arange(6.0)[:, None] * [1.0, 0.5]
    zero_x, zero_y = points(rng, 3, 2), points(rng, 4, 2)
    zero_x[:2], zero_y[2] = 0, 0

    def given(id: str, x: Array, y: Array, beta: float, estimator: str, *flags: str) -> Given:
        return Given(id, {"x": x, "y": y, **choices(beta, estimator)}, flags, slack=SMOOTHING)

    return [
        given("unbiased", x, y, 1, "U", "estimator", "plain"),
        given("biased", x, y, 1, "V", "estimator", "plain"),
        given("small_beta", x, y, 0.5, "V", "beta"),
        given("large_beta", x, y, 1.5, "U", "beta"),
        given("interleaved", grid[::2], grid[1::2], 1, "U", "negative"),
        given("line", points(rng, 4, 1), points(rng, 3, 1), 1, "V", "line"),
        given("two_points", points(rng, 2, 3), points(rng, 2, 3), 1, "U", "two_draws"),
        given("far_out", 1e4 * points(rng, 3, 2), 1e4 * points(rng, 3, 2), 0.5, "U", "large_scale"),
        given("same_sample", same, same, 1, "V", "tie"),
        given("ties_at_zero", zero_x, zero_y, 0.5, "U", "tie"),
    ]


NOTES = {
    "estimator": '"unbiased" and "biased" have the same numbers: what differs is the estimator',
    "beta": "beta = 0.5 and 1.5, not 1", "two_draws": "as few as there can be", "large_scale": "points of the size 1e4",
    "line": "d = 1: at beta = 1 the integral of a squared difference of distribution functions",
    "tie": "points coincide: their pair counts 0, and so does its gradient (where a norm has none)",
}
ORACLES = (
    Oracle(
        "energy_score", f"ES = E|X - y|^beta - E|X - X'|^beta / 2, smaller is better. {ROOM}",
        "Gneiting & Raftery 2007, section 4.3; Si et al. 2023", WITNESS, {**DRAWS, **BETA}, {"score": "(n,)"},
        energy_score, score_cases, grads=("draws", "y"),
        notes={
            **NOTES, "shared": "draws (m, d): one forecast, every observation against all of it",
            "square": "m = n (and m = n = d): axes that are exchanged or broadcast do not show in a shape",
        },
    ),
    Oracle(
        "energy_distance", f"D = 2 E|X - Y|^beta - E|X - X'|^beta - E|Y - Y'|^beta. {ROOM}",
        "Szekely & Rizzo 2013", WITNESS, {**SAMPLES, **BETA}, {"distance": "()"},
        energy_distance, distance_cases, grads=("x", "y"),
        notes={
            **NOTES, "plain": "not its root (scipy.stats takes it), not half of it (geomloss does)",
            "negative": "the unbiased estimate of a small distance is negative; it is not cut off at 0",
        },
    ),
)
