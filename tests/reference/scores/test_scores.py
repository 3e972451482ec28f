"""The scores against loops that spell out their definitions; gradients, dtypes, memory and bad input."""
import math
import tracemalloc
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from itertools import combinations
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import elementwise_grad, grad, value_and_grad
from hypothesis import given
from hypothesis import strategies as st

from evenflow.reference.scores import (
    crps,
    crps_normal,
    distance_kernel,
    energy_distance,
    energy_score,
    kernel_score,
    linear_kernel,
    mmd,
    pairs,
    quantile_score,
    random_directions,
    rbf_kernel,
    sliced_energy_distance,
    sliced_energy_score,
    slicing_constant,
)
from evenflow.reference.scores.energy import EPS
from evenflow.reference.scores.sorting import sorted_cross, sorted_within

Score = Callable[..., Any]
Pair = Callable[[Any, Any], float]

seeds = st.integers(0, 2**32 - 1)
betas = st.sampled_from([0.5, 1.0, 1.5])
estimators = st.sampled_from(["U", "V"])
forms = st.sampled_from(["per datum", "shared"])
DIRECTIONS = random_directions(np.random.default_rng(0).standard_normal((5, 4)))


def directions(d: int) -> Any:
    return random_directions(DIRECTIONS[:, :d])


# Every score of draws against observations, and every distance of two samples, as functions of (., y, beta, estimator).
SCORES: dict[str, Score] = {
    "energy": energy_score,
    "sliced": lambda x, y, beta, e: sliced_energy_score(x, y, directions(y.shape[1]).astype(y.dtype), beta, e),
    "rbf": lambda x, y, beta, e: kernel_score(x, y, rbf_kernel((0.5, 2)), e),
    "linear": lambda x, y, beta, e: kernel_score(x, y, linear_kernel(), e),
    "distance kernel": lambda x, y, beta, e: kernel_score(x, y, distance_kernel(beta), e),
}
DISTANCES: dict[str, Score] = {
    "energy": energy_distance,
    "sliced": lambda x, y, beta, e: sliced_energy_distance(x, y, directions(y.shape[1]).astype(y.dtype), beta, e),
    "rbf": lambda x, y, beta, e: mmd(x, y, rbf_kernel((0.5, 2)), e),
    "linear": lambda x, y, beta, e: mmd(x, y, linear_kernel(), e),
    "distance kernel": lambda x, y, beta, e: mmd(x, y, distance_kernel(beta), e),
}


def sample(seed: int, *shapes: tuple[int, ...]) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def spread_out(seed: int, *shapes: tuple[int, ...]) -> list[Any]:
    """Arrays in which no two numbers are closer than 0.25, so that no |u| is near its kink."""
    rng = np.random.default_rng(seed)
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    numbers = (rng.permutation(ends[-1]) + 0.5 * rng.random(ends[-1]) - ends[-1] / 2) * 0.5
    return [part.reshape(shape) for part, shape in zip(np.split(numbers, ends[:-1]), shapes, strict=True)]


def draws_shape(form: str, m: int, n: int, d: int) -> tuple[int, ...]:
    return (m, n, d) if form == "per datum" else (m, d)


# ------------------------------------------------------------------------------------------------ definitions, by loops


def loop_score(f: Pair, x: Any, y: Any, estimator: str) -> float:
    """E f(X, y) - E f(X, X') / 2 for one observation, x (m, d)."""
    m = len(x)
    others = sum(f(x[i], x[j]) for i in range(m) for j in range(m) if i != j or estimator == "V")
    return sum(f(x[i], y) for i in range(m)) / m - others / (2 * m * (m - 1 if estimator == "U" else m))


def loop_distance(f: Pair, x: Any, y: Any, estimator: str) -> float:
    def within(z: Any) -> float:
        pairs = [f(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j or estimator == "V"]
        return sum(pairs) / len(pairs)

    return 2 * sum(f(a, b) for a in x for b in y) / (len(x) * len(y)) - within(x) - within(y)


def power(beta: float) -> Pair:
    return lambda a, b: float(np.linalg.norm(a - b) ** beta)


def sliced_power(V: Any, beta: float) -> Pair:
    return lambda a, b: float(np.mean(np.abs(V @ (a - b)) ** beta))


def rbf(a: Any, b: Any) -> float:
    return sum(math.exp(-float((a - b) @ (a - b)) / (2 * s**2)) for s in (0.5, 2))


@given(seeds, betas, estimators, forms, st.integers(2, 5), st.integers(1, 4), st.integers(1, 4))
def test_scores_are_their_definitions(
    seed: int, beta: float, estimator: str, form: str, m: int, n: int, d: int
) -> None:
    draws, y = sample(seed, draws_shape(form, m, n, d), (n, d))
    per_datum = np.broadcast_to(draws if draws.ndim == 3 else draws[:, None], (m, n, d))
    V = directions(d)

    def loops(f: Pair) -> Any:
        return np.array([loop_score(f, per_datum[:, j], y[j], estimator) for j in range(n)])

    def check(ours: Any, expected: Any) -> None:
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-7)  # the smoothing: EPS^2 / |u|^(2 - beta)

    check(energy_score(draws, y, beta, estimator), loops(power(beta)))
    check(sliced_energy_score(draws, y, V, beta, estimator), loops(sliced_power(V, beta)))
    check(kernel_score(draws, y, rbf_kernel((0.5, 2)), estimator), 1 - loops(rbf))  # k(y, y) = 2
    check(kernel_score(draws, y, linear_kernel(), estimator), np.sum(y**2, axis=1) / 2 - loops(np.dot))


@given(seeds, betas, estimators, st.integers(2, 5), st.integers(2, 5), st.integers(1, 4))
def test_distances_are_their_definitions(seed: int, beta: float, estimator: str, n: int, m: int, d: int) -> None:
    x, y = sample(seed, (n, d), (m, d))
    V = directions(d)

    def check(ours: Any, f: Pair, sign: int = 1) -> None:
        np.testing.assert_allclose(ours, sign * loop_distance(f, x, y, estimator), rtol=1e-6, atol=1e-6)

    check(energy_distance(x, y, beta, estimator), power(beta))
    check(sliced_energy_distance(x, y, V, beta, estimator), sliced_power(V, beta))
    check(mmd(x, y, rbf_kernel((0.5, 2)), estimator), rbf, -1)
    check(mmd(x, y, linear_kernel(), estimator), np.dot, -1)


def test_energy_score_by_hand() -> None:
    draws, y = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(energy_score(draws, y), [(4 + 3) / 2 - 5 / 2, (0 + 5) / 2 - 5 / 2], atol=1e-11)
    np.testing.assert_allclose(energy_score(draws, y, estimator="V"), [3.5 - 5 / 4, 2.5 - 5 / 4], atol=1e-11)


@given(seeds, betas, estimators, st.sampled_from(sorted(SCORES)))
def test_a_shared_forecast_is_the_same_draws_for_each_observation(
    seed: int, beta: float, estimator: str, name: str
) -> None:
    draws, y = sample(seed, (6, 3), (5, 3))
    each = np.repeat(draws[:, None], 5, axis=1)
    shared, repeated = (SCORES[name](x, y, beta, estimator) for x in (draws, each))
    np.testing.assert_allclose(shared, repeated, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("block", [1, 40, 100, 2**19])
@pytest.mark.parametrize("name", sorted(SCORES))
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, block: int, name: str) -> None:
    """One row, a few rows (with a remainder) and all rows at a time give the same values and gradients."""
    draws, y, x = sample(7, (9, 3), (7, 3), (5, 3))

    def everything() -> list[Any]:
        total: Score = lambda x, y: anp.sum(SCORES[name](x, y, 1.5, "U") ** 2)
        apart: Score = lambda x, y: DISTANCES[name](x, y, 1.5, "V")
        return [total(draws, y), grad(total, 0)(draws, y), grad(total, 1)(draws, y),
                apart(x, y), grad(apart, 0)(x, y), grad(apart, 1)(x, y), grad(total)(np.stack([y, 2 * y, -y]), y)]

    whole = everything()
    monkeypatch.setattr(pairs, "BLOCK", block)
    for a, b in zip(everything(), whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


@given(seeds, estimators, st.integers(2, 30), st.integers(2, 30), st.booleans())
def test_sorting_gives_the_sums_over_pairs_exactly(seed: int, estimator: str, m: int, n: int, ties: bool) -> None:
    """Integers, with many ties where `ties`, and halves: sums are exact in floating point, so they must be equal."""
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(-4 if ties else -10**6, 5 if ties else 10**6, (k, 3)) + 0.5 for k in (m, n))
    x[0] -= np.sum(x, axis=0) % m  # a mean that is exact, too
    np.testing.assert_array_equal(sorted_within(x), sum(np.abs(a - b) for a, b in combinations(x, 2)))
    np.testing.assert_array_equal(sorted_cross(x, y), np.sum(np.abs(x[:, None] - y), axis=0))


@pytest.mark.parametrize("form", ["per datum", "shared"])
def test_sliced_sorts_at_beta_1(form: str) -> None:
    """Points as close as EPS: sorting scales with them, smoothed pairs would not."""
    draws, y, x = sample(9, draws_shape(form, 5, 4, 3), (4, 3), (6, 3))
    for score, forecast in ((SCORES["sliced"], draws), (DISTANCES["sliced"], x)):
        small, large = score(EPS * forecast, EPS * y, 1, "U"), score(forecast, y, 1, "U")
        np.testing.assert_allclose(small / EPS, large, rtol=1e-9, atol=1e-9)


@given(seeds, estimators, st.integers(2, 8), st.integers(1, 5))
def test_crps_is_the_energy_score_on_the_line(seed: int, estimator: str, m: int, n: int) -> None:
    draws, y = sample(seed, (m, n), (n,))
    full = energy_score(draws[..., None], y[:, None], 1.0, estimator)
    np.testing.assert_allclose(crps(draws, y, estimator), full, atol=2 * EPS)  # each smoothed distance is off by <= EPS


# ------------------------------------------------------------------------------------------------------------ gradients


def check_gradient(f: Callable[[Any], Any], x: Any, seed: int) -> None:
    """autograd's derivative of f along one random direction against a central difference."""
    direction = np.random.default_rng(seed).standard_normal(np.shape(x))
    direction /= np.linalg.norm(direction)
    numeric = (f(x + 1e-5 * direction) - f(x - 1e-5 * direction)) / 2e-5
    np.testing.assert_allclose(np.sum(grad(f)(x) * direction), numeric, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", sorted(SCORES))
@given(seeds, betas, estimators, forms, st.integers(2, 5), st.integers(1, 3), st.integers(1, 3))
def test_gradients_of_scores(
    name: str, seed: int, beta: float, estimator: str, form: str, m: int, n: int, d: int
) -> None:
    draws, y = spread_out(seed, draws_shape(form, m, n, d), (n, d))
    draws, y = (0.2 * draws, 0.2 * y) if name == "rbf" else (draws, y)
    weights = 1.0 + np.arange(n)  # so that one observation is not taken for another
    check_gradient(lambda x: anp.sum(weights * SCORES[name](x, y, beta, estimator)), draws, seed)
    check_gradient(lambda t: anp.sum(weights * SCORES[name](draws, t, beta, estimator)), y, seed)


@pytest.mark.parametrize("name", sorted(DISTANCES))
@given(seeds, betas, estimators, st.integers(2, 5), st.integers(2, 5), st.integers(1, 3))
def test_gradients_of_distances(name: str, seed: int, beta: float, estimator: str, n: int, m: int, d: int) -> None:
    x, y = spread_out(seed, (n, d), (m, d))
    x, y = (0.2 * x, 0.2 * y) if name == "rbf" else (x, y)
    check_gradient(lambda x: DISTANCES[name](x, y, beta, estimator), x, seed)
    check_gradient(lambda y: DISTANCES[name](x, y, beta, estimator), y, seed)
    check_gradient(lambda both: DISTANCES[name](both[:n], both[n:], beta, estimator), np.concatenate([x, y]), seed)


@given(seeds, estimators, st.integers(2, 6), st.integers(1, 4))
def test_gradients_on_the_line(seed: int, estimator: str, m: int, n: int) -> None:
    draws, y, mean, log_sd, alpha = spread_out(seed, (m, n), (n,), (n,), (n,), (n,))
    sd, level = np.exp(0.2 * log_sd), 1 / (1 + np.exp(-alpha))
    weights = 1.0 + np.arange(n)
    check_gradient(lambda x: anp.sum(weights * crps(x, y, estimator)), draws, seed)
    check_gradient(lambda t: anp.sum(weights * crps(draws, t, estimator)), y, seed)
    w = sample(seed, (n,))[0]  # the observation in standard deviations from the mean
    check_gradient(lambda mu: anp.sum(weights * crps_normal(mu, sd, mean + sd * w)), mean, seed)
    check_gradient(lambda s: anp.sum(weights * crps_normal(mean, s, mean + sd * (w + 1))), sd, seed)
    check_gradient(lambda t: anp.sum(weights * crps_normal(mean, sd, t)), mean + sd * w, seed)
    check_gradient(lambda q: anp.sum(weights * quantile_score(q, y, 0.3)), mean, seed)
    check_gradient(lambda t: anp.sum(weights * quantile_score(mean, t, level)), y, seed)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("beta", [0.1, 0.5, 1.0, 1.5])
@pytest.mark.parametrize("name", sorted(SCORES))
def test_gradients_are_finite_where_points_coincide(name: str, beta: float, dtype: type) -> None:
    """All draws and observations at one point, at 0, and apart by less than EPS."""
    for y in (np.ones((3, 2)), np.zeros((3, 2)), 1e-9 * np.arange(6.0).reshape(3, 2)):
        y = y.astype(dtype)
        for draws in (np.stack([y, y, y]), y):
            for estimator in ("U", "V"):
                total: Score = lambda x, y, e=estimator: anp.sum(SCORES[name](x, y, beta, e))
                for value in (total(draws, y), grad(total, 0)(draws, y), grad(total, 1)(draws, y)):
                    assert np.all(np.isfinite(value))
        assert np.all(np.isfinite(grad(DISTANCES[name])(y, y, beta, "U")))


def test_coincident_points_are_at_distance_zero() -> None:
    """Not at EPS^beta, which is 0.03 here."""
    y = np.array([[1.0, 2.0], [3.0, 5.0]])
    np.testing.assert_array_equal(energy_score(np.stack([y, y]), y, 0.25, "V"), [0.0, 0.0])
    assert energy_distance(y, y, 0.25, "V") == 0.0
    assert mmd(y, y, distance_kernel(0.25), "V") == 0.0


def test_gradients_of_gradients_pass_through_the_recomputed_blocks() -> None:
    draws, y, v = spread_out(3, (5, 2), (4, 2), (5, 2))
    slope = grad(lambda x: anp.sum(energy_score(x, y, 1.5)))
    check_gradient(lambda x: anp.sum(slope(x) * v), draws, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("energy", SCORES), ("energy", DISTANCES), ("rbf", DISTANCES),
                                            ("sliced", SCORES), ("sliced", DISTANCES)])
def test_memory_is_linear_in_the_batch(name: str, kind: dict[str, Score]) -> None:
    """2200 against 2200: one 2200 x 2200 array of float64 takes 39 MB; value and gradient together stay below 30 MB."""
    x, y = sample(0, (2200, 2), (2200, 2))
    tracemalloc.start()
    value_and_grad(lambda x: anp.sum(kind[name](x, y, 1.0, "U")))(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6


# --------------------------------------------------------------------------------------------------------------- dtypes


@pytest.mark.parametrize("estimator", ["U", "V"])
@pytest.mark.parametrize("beta", [0.5, 1, 1.0, np.float64(1.0), np.float64(1.5)])
def test_dtype_in_is_dtype_out(beta: float, estimator: str) -> None:
    draws, y, shared = sample(1, (3, 4, 2), (4, 2), (5, 2))
    for dtype in (np.float32, np.float64):
        a, t, x = draws.astype(dtype), y.astype(dtype), shared.astype(dtype)
        for name in SCORES:
            assert SCORES[name](a, t, beta, estimator).dtype == dtype, name
            assert SCORES[name](x, t, beta, estimator).dtype == dtype, name
            assert DISTANCES[name](x, t, beta, estimator).dtype == dtype, name
        assert random_directions(t).dtype == dtype
        assert crps(a[:, :, 0], t[:, 0], estimator).dtype == dtype
        assert crps_normal(t, np.exp(t), 2 * t).dtype == dtype
        assert quantile_score(t, 2 * t, np.float64(0.3)).dtype == dtype
        assert mmd(x, t, rbf_kernel([np.float64(2.0), 3]), estimator).dtype == dtype


def test_float32_keeps_its_digits_far_from_zero() -> None:
    """2000 points around 1000: running sums of 2e6, where float32 steps by 0.25, would put the mean off by 2e-3."""
    x, y = ((1000 + s).astype(np.float32) for s in sample(2, (2000, 3), (1000, 3)))
    exact = sorted_cross(x.astype(np.float64), y.astype(np.float64)) / 2000
    np.testing.assert_allclose(sorted_cross(x, y) / 2000, exact, atol=1e-5)
    exact = sorted_within(x.astype(np.float64)) / (2000 * 1999 / 2)
    np.testing.assert_allclose(sorted_within(x) / (2000 * 1999 / 2), exact, atol=1e-4)


def test_inputs_are_untouched() -> None:
    x, y = sample(5, (4, 2), (3, 2))
    before = x.copy(), y.copy()
    for name in SCORES:
        SCORES[name](x, y, 1.0, "V"), DISTANCES[name](x, y, 1.0, "V")
    crps(x, y[0]), quantile_score(x, x, 0.5)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


# -------------------------------------------------------------------------------------------------------- closed values


def test_slicing_constant_known_values() -> None:
    for beta in (0.3, 1.0, 1.7):
        assert slicing_constant(1, beta) == pytest.approx(1, rel=1e-14)
    assert slicing_constant(2) == pytest.approx(2 / math.pi, rel=1e-14)  # the mean of |cos|
    assert slicing_constant(3) == pytest.approx(1 / 2, rel=1e-14)        # Archimedes: v . u is uniform on [-1, 1]
    assert slicing_constant(3, 0.5) == pytest.approx(2 / 3, rel=1e-14)
    assert 0 < slicing_constant(10**6, 1.5) < 1e-4                       # no overflow


def test_random_directions_are_unit_and_along_the_noise() -> None:
    noise = sample(6, (50, 3))[0]
    v = random_directions(noise)
    np.testing.assert_allclose(np.linalg.norm(v, axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(np.sum(v * noise, axis=1), np.linalg.norm(noise, axis=1), rtol=1e-14)


def test_kernels_by_hand() -> None:
    a, b = np.array([3.0, 0.0]), np.array([0.0, 4.0])
    default = sum(math.exp(-25 / (2 * s**2)) for s in (2, 5, 10, 20, 40, 80))
    assert rbf_kernel()(a, b) == pytest.approx(default, rel=1e-14)
    assert linear_kernel()(a, a) == 9.0
    assert distance_kernel(1.0)(a, b) == pytest.approx(3 + 4 - 5, rel=1e-11)


def test_kernels_are_their_choices() -> None:
    """Equal and of one hash where these are equal; they cannot be changed."""
    for build in (rbf_kernel, linear_kernel, distance_kernel):
        kernel: Any = build()
        assert kernel == build()
        assert hash(kernel) == hash(build())
    assert rbf_kernel((2, 5)) == rbf_kernel([2.0, 5.0]) != rbf_kernel((5, 2))
    assert distance_kernel() == distance_kernel(1) != distance_kernel(1.5)
    with pytest.raises(FrozenInstanceError):
        rbf_kernel().scales = ()  # type: ignore[attr-defined]
    with pytest.raises(FrozenInstanceError):
        distance_kernel().beta = 0.5  # type: ignore[attr-defined]
    with pytest.raises(FrozenInstanceError):
        linear_kernel().beta = 0.5  # type: ignore[attr-defined]


def test_quantile_score_by_hand() -> None:
    np.testing.assert_allclose(quantile_score(np.array([1.0, 3.0, 2.0]), np.full(3, 2.0), 0.9), [0.9, 0.1, 0.0])
    assert quantile_score(1.0, 3.0, 0.25) == 0.5
    slope = elementwise_grad(lambda q: quantile_score(q, np.full(3, 2.0), np.array([0.1, 0.2, 0.3])))
    np.testing.assert_allclose(slope(np.array([1.0, 3.0, 0.0])), [-0.1, 0.8, -0.3], rtol=1e-14)


# ------------------------------------------------------------------------------------------------------------ bad input

Y, X, X3, V2 = np.zeros((4, 2)), np.zeros((3, 2)), np.zeros((3, 4, 2)), np.eye(2)
BAD: list[tuple[str, Callable[[Any], Any], str]] = [
    ("draws of one row", lambda b: energy_score(b(X[:1]), Y), r"draws must .*\(m >= 2, 4, 2\) or.*got \(1, 2\)"),
    ("one draw each", lambda b: energy_score(b(X3[:1]), Y), r"draws must have shape .*got \(1, 4, 2\)"),
    ("other width", lambda b: energy_score(b(X[:, :1]), Y), r"draws .*got \(3, 1\)"),
    ("other n", lambda b: energy_score(b(X3[:, :3]), Y), r"draws .*got \(3, 3, 2\)"),
    ("n = 1 is not broadcast", lambda b: energy_score(b(X3[:, :1]), Y), r"draws .*got \(3, 1, 2\)"),
    ("draws of 1 dimension", lambda b: energy_score(b(X[0]), Y), r"draws .*got \(2,\)"),
    ("draws of 4 dimensions", lambda b: energy_score(b(X3[None]), Y), r"draws .*got \(1, 3, 4, 2\)"),
    ("y of 1 dimension", lambda b: energy_score(b(X), Y[0]), r"y must have shape .*got \(2,\)"),
    ("no y", lambda b: energy_score(b(X), Y[:0]), r"y must have shape .*got \(0, 2\)"),
    ("no coordinates", lambda b: energy_score(b(X[:, :0]), Y[:, :0]), r"y must have .*d >= 1\), got \(4, 0\)"),
    ("x without coordinates", lambda b: energy_distance(b(X[:, :0]), Y), r"x must have .*d >= 1\), got \(3, 0\)"),
    ("NaN in y", lambda b: energy_score(b(X), Y + np.nan), r"y must be finite, got 8 NaN"),
    ("beta 2", lambda b: energy_score(b(X), Y, 2.0), r"beta must lie strictly between 0 and 2 .*got 2.0"),
    ("beta 0", lambda b: energy_score(b(X), Y, 0), r"beta must .*got 0"),
    ("beta NaN", lambda b: energy_distance(b(X), Y, math.nan), r"beta must .*got nan"),
    ("beta a word", lambda b: DISTANCES["energy"](b(X), Y, "1", "U"), r"beta must .*got '1'"),
    ("beta of a kernel", lambda b: distance_kernel(b(np.zeros(1)).size + 1.0), r"beta must .*got 2.0"),
    ("estimator", lambda b: energy_score(b(X), Y, 1.0, "UV"), r"unknown estimator 'UV', did you mean 'V'"),
    ("estimator of a distance", lambda b: energy_distance(b(X), Y, 1.0, "u"), r"unknown estimator 'u'.*Known: U, V"),
    ("estimator, sliced", lambda b: sliced_energy_score(b(X), Y, V2, 1.0, "W"), r"unknown estimator 'W'"),
    ("estimator, sliced distance", lambda b: sliced_energy_distance(b(X), Y, V2, 1.0, "W"), r"unknown estimator 'W'"),
    ("estimator of a kernel score", lambda b: kernel_score(b(X), Y, linear_kernel(), "W"), r"unknown estimator 'W'"),
    ("estimator of mmd", lambda b: mmd(b(X), Y, linear_kernel(), "W"), r"unknown estimator 'W'"),
    ("one x", lambda b: energy_distance(b(X[:1]), Y), r"x must have shape \(rows >= 2, d >= 1\), got \(1, 2\)"),
    ("one y", lambda b: energy_distance(b(X), Y[:1], estimator="V"), r"y must have shape .*got \(1, 2\)"),
    ("x of other width", lambda b: energy_distance(b(X[:, :1]), Y), r"x must have shape \(n, 2\), got \(3, 1\)"),
    ("x of 3 dimensions", lambda b: mmd(b(X3), Y, linear_kernel()), r"x must have shape .*got \(3, 4, 2\)"),
    ("inf in y", lambda b: mmd(b(X), Y + np.inf, linear_kernel()), r"y must be finite"),
    ("kernel score of one draw", lambda b: kernel_score(b(X[:1]), Y, linear_kernel()), r"draws must"),
    ("directions of other width", lambda b: sliced_energy_score(b(X), Y, np.eye(3)), r"directions .*\(L, 2\), got"),
    ("directions of other length", lambda b: sliced_energy_distance(b(X), Y, 2 * V2), r"directions must .*unit.*2"),
    ("no directions", lambda b: sliced_energy_score(b(X), Y, V2[:0]), r"directions must be one or more"),
    ("NaN directions", lambda b: sliced_energy_score(b(X), Y, V2 * np.nan), r"directions must .*nan"),
    ("zero noise", lambda b: random_directions(b(Y)), r"noise must not have a row of zeros"),
    ("noise of 1 dimension", lambda b: random_directions(b(Y[0])), r"noise must have shape \(L, d\)"),
    ("slicing in 0 dimensions", lambda b: slicing_constant(b(Y).ndim - 2, 1.0), r"d must be an integer >= 1, got 0"),
    ("slicing with beta 2", lambda b: slicing_constant(b(Y).ndim, 2.0), r"beta must"),
    ("bandwidth 0", lambda b: rbf_kernel((1.0, 0.0 * b(Y).ndim)), r"bandwidths must be positive"),
    ("no bandwidth", lambda b: rbf_kernel(()), r"bandwidths must hold at least one"),
    ("crps, one draw", lambda b: crps(b(Y[:1]), Y[0]), r"draws must have shape \(m >= 2, 2\), got \(1, 2\)"),
    ("crps, other n", lambda b: crps(b(Y), np.zeros(3)), r"draws must have shape \(m, 3\), got \(4, 2\)"),
    ("crps, n = 1", lambda b: crps(b(Y[:, :1]), Y[0]), r"draws must have shape \(m, 2\), got \(4, 1\)"),
    ("crps, y of 2 dimensions", lambda b: crps(b(Y), Y), r"y must have shape \(n,\)"),
    ("crps, estimator", lambda b: crps(b(Y), Y[0], "W"), r"unknown estimator 'W'"),
    ("crps, NaN", lambda b: crps(b(Y), Y[0] * np.nan), r"y must be finite"),
    ("sd 0", lambda b: crps_normal(b(Y), Y, Y), r"sd must be positive, got 0"),
    ("sd negative", lambda b: crps_normal(Y, b(Y) - 1, Y), r"sd must be positive, got -1"),
    ("sd of other shape", lambda b: crps_normal(b(Y), np.ones(2), Y), r"sd must have shape \(4, 2\), got \(2,\)"),
    ("mean of other shape", lambda b: crps_normal(b(X), Y + 1, Y), r"mean must have shape \(4, 2\), got \(3, 2\)"),
    ("alpha 1", lambda b: quantile_score(b(Y), Y, 1.0), r"alpha must lie strictly between 0 and 1, got 1"),
    ("alpha 0 among others", lambda b: quantile_score(b(Y[0]), Y[0], np.array([0.0, 0.5])), r"alpha must lie"),
    ("alpha of other shape", lambda b: quantile_score(b(Y), Y, np.array([0.2, 0.5])), r"alpha must have shape"),
    ("alpha NaN", lambda b: quantile_score(b(Y), Y, np.nan), r"alpha must lie"),
    ("quantile of other shape", lambda b: quantile_score(b(X), Y, 0.5), r"quantile must have .*got \(3, 2\)"),
]


@pytest.mark.parametrize(("call", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_named(call: Callable[[Any], Any], message: str) -> None:
    """In a plain call, and in one that autograd is differentiating."""
    with pytest.raises(ValueError, match=message):
        call(lambda array: array)
    with pytest.raises(ValueError, match=message):
        grad(lambda scale: anp.sum(call(lambda array: array * scale)))(1.0)
