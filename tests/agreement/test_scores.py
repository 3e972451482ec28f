"""Sums over pairs, sorting and scores: what accel does against the reference in float64, on the same numbers.

How far a sum over pairs may be off is bounded pair by pair. With ROUNDINGS roundings of u, of the unit

    s = |a - b|^2        u s where it is made of differences, u (|a|^2 + |b|^2) where it is expanded around the centre
    f(s)                 |f'(s)| times that, and u f(s)
    gradient w (a - b)   what s does to w, and u w |a - b|, or u w (|a| + |b|) where it is expanded
"""
import itertools
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad, make_vjp, value_and_grad
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow import accel
from evenflow.accel.scores import each as scores_each
from evenflow.accel.scores import sorting
from evenflow.accel.scores import sweep as scores_pairs
from evenflow.reference.core.special import logsumexp
from evenflow.reference.core.trees import Array
from evenflow.reference.scores import (
    crps,
    distance_kernel,
    energy_distance,
    energy_score,
    kernel_score,
    linear_kernel,
    mmd,
    quantile_score,
    random_directions,
    rbf_kernel,
    sliced_energy_distance,
    sliced_energy_score,
)
from evenflow.reference.scores.energy import EPS, Distance
from evenflow.reference.scores.kernels import RBF
from evenflow.reference.scores.pairs import ESTIMATORS, cross_sums, pair_score, within_sum
from evenflow.reference.scores.quantile import pinball
from evenflow.reference.scores.sliced import project
from evenflow.reference.scores.sorting import sorted_sums, sorted_within
from tests.agreement.backends import BACKENDS, backend, here, host
from tests.agreement.comparison import agreement
from tests.strategies import generator
from tests.tolerances import ROUNDINGS, eps

few = settings(deadline=None, derandomize=True, max_examples=25)
seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from([np.float32, np.float64])
betas = st.sampled_from([0.5, 1.0, 1.5])
estimators = st.sampled_from(["U", "V"])
radial = st.sampled_from([Distance(0.5), Distance(1.0), Distance(1.5), RBF((-0.5 / 0.3**2, -0.5 / 2**2))])
layouts = st.sampled_from(["each", "shared"])
sizes = st.integers(1, 12)
SCALES = {"ordinary": (0.0, 1.0), "far": (1e3, 1.0), "tiny": (0.0, 1e-4), "below EPS": (0.0, 1e-8),
          "far and small": (1e3, 1e-2)}
scales = st.sampled_from(sorted(SCALES))
ties = st.booleans()


def points(seed: int, scale: str, ties: bool, dtype: Any, *shapes: tuple[int, ...]) -> list[Any]:
    """Points offset and scaled; where `ties`, many coincide, within a sample and between two."""
    (offset, size), rng = SCALES[scale], np.random.default_rng(seed)
    drawn = [rng.integers(-1, 2, shape) if ties else rng.standard_normal(shape) for shape in shapes]
    return [(offset + size * numbers).astype(dtype) for numbers in drawn]


@contextmanager
def small_blocks(size: int) -> Iterator[None]:
    with (mock.patch.multiple(scores_pairs, ROWS=size, COLUMNS=size + 2, GATHERED=2 * size),
          mock.patch.object(scores_each, "BLOCK", 16 * size), mock.patch.object(sorting, "BLOCK", 16 * size)):
        yield


def both_ways(f: Callable[..., Any], g: Any, *args: Any) -> list[Any]:
    """The value, and the vector-Jacobian products of all arguments at once and of each alone."""
    together, value = make_vjp(f, tuple(range(len(args))))(*args)
    alone = [make_vjp(f, k)(*args)[0](g) for k in range(len(args))]
    products = together(g)
    for a, b in zip(products, alone, strict=True):
        np.testing.assert_array_equal(host(a), host(b))
    return [value, *products]


def against(
    where: str, f: Callable[..., Any], seed: int, *args: Any, even: bool = False, block: int = 3,
    rounding: float = 0.0,
) -> list[tuple[Any, Any]]:
    """(fast, reference in float64) for values and VJPs; fast keeps the dtype and the inputs. even: equal cotangents.

    rounding: of the value, where it is what is left of larger terms.
    """
    shape, before = np.shape(f(*args)), [a.copy() for a in args]
    g = np.random.default_rng(seed).standard_normal(shape).astype(args[0].dtype)
    g = np.full_like(g, 1.5) if even else g
    expected = both_ways(f, g.astype(float), *(a.astype(float) for a in args))
    with backend(where), small_blocks(block):
        placed = [here(a) for a in args]
        fast = [host(a) for a in both_ways(f, here(g), *placed)]
        plain = host(f(*placed))  # nothing traced, no gradients made
        untouched = [host(a) for a in placed]
    np.testing.assert_allclose(plain, fast[0], rtol=1e-6, atol=rounding)
    for a, b in zip(untouched, before, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, e in zip(fast, expected, strict=True):
        assert a.dtype == args[0].dtype
        assert np.shape(a) == np.shape(e)
    return list(zip(fast, expected, strict=True))


def compiled(where: str, f: Any, d: int) -> tuple[Any, int]:
    """On a device each f and d is a kernel of its own to compile: here two of each. test_kernels.py has the others."""
    return (f, d) if where == "numpy" else (f if isinstance(f, RBF) else Distance(1.0), 2 if d <= 3 else 9)


def pair_errors(f: Any, a: Any, b: Any, unit: float, expanded: bool) -> tuple[Any, Any]:
    """Bounds for value and gradient of every pair, a and b (..., d) that broadcast: the module's docstring."""
    a, b = a.astype(float), b.astype(float)
    s = np.sum((a - b) ** 2, axis=-1)
    middle = np.mean(b, axis=tuple(range(b.ndim - 1)))
    lengths = np.sum((a - middle) ** 2, axis=-1) + np.sum((b - middle) ** 2, axis=-1)
    anew = s <= np.sqrt(unit / ROUNDINGS) * lengths / 2 if expanded else s >= 0  # from differences
    off = unit * np.where(anew, s, lengths)
    if isinstance(f, Distance):
        smooth = s + EPS**2
        value, w = smooth ** (f.beta / 2), f.beta * smooth ** (f.beta / 2 - 1)
        bend = w / smooth
    else:
        value, w, bend = (sum(abs(c) ** k * np.exp(c * s) for c in f.scales) * 2**k for k in (0, 1, 2))
    r = np.sqrt(s)
    return w * off + unit * value, bend * off * r + unit * w * np.where(anew, r, np.sqrt(2 * lengths))


def check(pairs: list[tuple[Any, Any]], *bounds: Any) -> None:
    for (fast, expected), bound in zip(pairs, bounds, strict=True):
        assert np.all(np.abs(fast - expected) <= bound), np.max(np.abs(fast - expected) / bound)


# --------------------------------------------------------------------------------------------------- sums over pairs


@agreement("scores.pairs.cross_sums")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, radial, layouts, scales, ties, dtypes, st.booleans(), sizes, sizes, st.sampled_from([1, 2, 3, 4, 7]))
def test_cross_sums(
    where: str, seed: int, f: Any, layout: str, scale: str, ties: bool, dtype: Any, even: bool, m: int, n: int, d: int
) -> None:
    f, d = compiled(where, f, d)
    x, y = points(seed, scale, ties, dtype, (m, n, d) if layout == "each" else (m, d), (n, d))
    if layout == "shared":
        x[0] = y[0]
    pairs = against(where, lambda x, y: cross_sums(f, x, y), seed, x, y, even=even)
    g = np.abs(np.full(n, 1.5) if even else np.random.default_rng(seed).standard_normal(n))
    value, slope = pair_errors(f, x[:, None] if x.ndim == 2 else x, y, ROUNDINGS * eps(dtype), layout == "shared" and d > 3)
    slope = slope * g
    check(pairs, np.sum(value, axis=0), (slope if layout == "each" else np.sum(slope, axis=1))[..., None],
          np.sum(slope, axis=0)[:, None])


@agreement("scores.pairs.within_sum")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, radial, layouts, scales, ties, dtypes, sizes, sizes, st.sampled_from([1, 2, 3, 4, 7]))
def test_within_sum(
    where: str, seed: int, f: Any, layout: str, scale: str, ties: bool, dtype: Any, m: int, n: int, d: int
) -> None:
    f, d = compiled(where, f, d)
    x, = points(seed, scale, ties, dtype, (m + 1, n, d) if layout == "each" else (m + 1, d))
    pairs = against(where, lambda x: within_sum(f, x), seed, x)
    g = np.abs(np.random.default_rng(seed).standard_normal(n if layout == "each" else ()))
    value, slope = pair_errors(f, x[:, None], x[None], ROUNDINGS * eps(dtype), layout == "shared" and d > 3)
    check(pairs, np.sum(value, axis=(0, 1)), (np.sum(slope, axis=1) * g)[..., None])


@agreement("scores.pairs.pair_score")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, radial, estimators, layouts, scales, ties, dtypes, st.booleans(), sizes, sizes, st.sampled_from([1, 2, 4, 7]))
def test_pair_score(
    where: str, seed: int, f: Any, estimator: str, layout: str, scale: str, ties: bool, dtype: Any, even: bool, m: int, n: int,
    d: int
) -> None:
    """Both terms: their errors add up, the inner one's times its weight."""
    f, d = compiled(where, f, d)
    x, y = points(seed, scale, ties, dtype, (m + 1, n, d) if layout == "each" else (m + 1, d), (n, d))
    pairs = against(where, lambda x, y: pair_score(f, x, y, estimator), seed, x, y, even=even)
    g = np.abs(np.full(n, 1.5) if even else np.random.default_rng(seed).standard_normal(n))
    unit, weight = ROUNDINGS * eps(dtype), ESTIMATORS[estimator](m + 1)
    among, expanded = (x[:, None] if x.ndim == 2 else x), layout == "shared" and d > 3
    value, slope = pair_errors(f, among, y, unit, expanded)
    inner, bend = pair_errors(f, x[:, None], x[None], unit, expanded)
    by_x = slope * g / (m + 1)
    by_x = by_x + np.sum(bend, axis=1) * g * weight if layout == "each" else np.sum(by_x, 1) + np.sum(bend, 1) * sum(g) * weight
    check(pairs, np.mean(value, axis=0) + np.sum(inner, axis=(0, 1)) * weight, by_x[..., None],
          np.mean(slope * g, axis=0)[:, None])


@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, scales, ties, dtypes, layouts, sizes, sizes, st.integers(1, 5))
def test_linear_and_distance_kernels(
    where: str, seed: int, scale: str, ties: bool, dtype: Any, layout: str, m: int, n: int, d: int
) -> None:
    """Linear in the points: sums of lengths, in which all roundings are of the longest point, squared or not, and smoothed."""
    _, d = compiled(where, Distance(1.0), d)
    x, y = points(seed, scale, ties, dtype, (m + 1, n, d) if layout == "each" else (m + 1, d), (n, d))
    longest = max(float(np.max(np.sum(p.astype(float) ** 2, axis=-1))) for p in (x, y))
    unit = ROUNDINGS * eps(dtype)
    for kernel in (linear_kernel(), distance_kernel(0.5), distance_kernel(1.0)):
        linear = kernel == linear_kernel()
        power = 1.0 if linear else kernel.beta / 2  # type: ignore[attr-defined]
        for f, args in ((lambda x, y, k=kernel: cross_sums(k, x, y), (x, y)), (lambda x, k=kernel: within_sum(k, x), (x,))):
            rounding = unit * (m + 1) * (1 if len(args) == 2 else m) * (longest + EPS**2) ** power
            (value, exact), *gradients = against(where, f, seed, *args, rounding=rounding)
            np.testing.assert_allclose(value, exact, rtol=0, atol=rounding)
            for fast, expected in gradients if linear else []:  # the other one's are of |x| and of distances, tested above
                np.testing.assert_allclose(fast, expected, rtol=0, atol=4 * unit * max(m + 1, n) * longest**0.5)


@pytest.mark.parametrize("where", BACKENDS)
def test_a_function_of_pairs_that_accel_does_not_know_goes_to_the_definition(where: str) -> None:
    cube = lambda a, b: anp.sum(anp.abs(a - b) ** 3, axis=-1)
    x, y = points(0, "ordinary", False, np.float64, (5, 3), (4, 3))
    for f, args in ((lambda x, y: cross_sums(cube, x, y), (x, y)), (lambda x: within_sum(cube, x), (x,))):
        for fast, expected in against(where, f, 0, *args):  # a device sums in another order than the host: a few roundings
            unit = ROUNDINGS * eps(np.float64) * float(np.max(np.abs(expected)))
            np.testing.assert_allclose(fast, expected, rtol=0, atol=unit if where == "cupy" else 0)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("f", [Distance(1.0), Distance(1.5), RBF((-0.5,))])
def test_close_points_far_from_the_middle(where: str, f: Any) -> None:
    """Two heaps 2000 apart, in each of which points are 1e-2 apart: multiplied out, float32 would see nothing of it."""
    x, y = points(4, "far and small", False, np.float32, (40, 8), (40, 8))
    x[::2] -= 2000
    y[1::2] -= 2000
    pairs = against(where, lambda x, y: cross_sums(f, x, y), 0, x, y)
    exact = [np.abs(expected) for _, expected in pairs]
    check(pairs, *(1e-4 * np.max(e) for e in exact))
    (value, expected), (slope, by_x) = against(where, lambda x: within_sum(f, x), 0, x)
    assert abs(value / expected - 1) < 1e-5
    np.testing.assert_allclose(slope, by_x, atol=1e-4 * np.max(np.abs(by_x)))


def test_block_sizes_change_nothing() -> None:
    x, y = points(5, "ordinary", False, np.float64, (23, 5), (19, 5))
    for f in (lambda x, y: cross_sums(Distance(1.0), x, y), lambda x, y: within_sum(Distance(1.0), x) + anp.sum(0 * y)):
        with accel.use("numpy"):
            whole = value_and_grad(lambda x, f=f: anp.sum(f(x, y) * anp.arange(1.0, 20.0)))(x)
        for block in (1, 2, 7, 40):
            with accel.use("numpy"), small_blocks(block):
                parts = value_and_grad(lambda x, f=f: anp.sum(f(x, y) * anp.arange(1.0, 20.0)))(x)
            for a, b in zip(whole, parts, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-11)


# ------------------------------------------------------------------------------------------------------------ sorting


@agreement("scores.sorting.sorted_sums", "scores.sorting.sorted_within")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, scales, ties, dtypes, sizes, sizes, st.integers(1, 4), st.booleans())
def test_sorting(where: str, seed: int, scale: str, ties: bool, dtype: Any, m: int, n: int, L: int, even: bool) -> None:
    """Slopes are sums of cotangents with whole factors, values sums of differences (cross) or of numbers (within)."""
    x, y = points(seed, scale, ties, dtype, (m, L), (n, L))
    x[0] = 0 * x[0] - 0.0
    unit, spread = ROUNDINGS * eps(dtype), float(np.ptp(np.concatenate([x, y])))
    cross = against(where, lambda x, y: sorted_sums(x, y)[0], seed, x, y, even=even)
    check(cross, unit * m * spread, unit * 4 * n, unit * 4 * m)
    both = against(where, lambda x, y: anp.concatenate([f.ravel() for f in sorted_sums(x, y)]), seed, x, y)
    check(both, unit * m**2 * spread, unit * 4 * (m + n), unit * 4 * m)
    check(against(where, lambda x: sorted_sums(x, 2 * x)[1], seed, x), unit * m**2 * spread, unit * 4 * m)
    within = against(where, sorted_within, seed, x)
    check(within, unit * m**2 * np.max(np.abs(x)), unit * 4 * m)


@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, sizes, sizes, st.integers(1, 3))
def test_sorted_within_of_draws_per_observation(where: str, seed: int, dtype: Any, m: int, n: int, L: int) -> None:
    for shape in ((m, n, L), (m,)):
        x, = points(seed, "ordinary", False, dtype, shape)
        check(against(where, sorted_within, seed, x), ROUNDINGS * eps(dtype) * m**2 * 4, ROUNDINGS * eps(dtype) * m * 4)


@few
@given(seeds, st.integers(2, 50), ties)
def test_sorted_keys_are_a_stable_argsort(seed: int, k: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((3, k)).astype(np.float32) * 10.0 ** rng.integers(-40, 30, (3, k))
    rows = rows.astype(np.float32)
    rows[:, ::2] = np.sign(rows[:, ::2]) * (0.0 if ties else 1.0)
    rows[1, 0] = -0.0
    np.testing.assert_array_equal(sorting.sorted_keys(rows), np.argsort(rows, axis=1, kind="stable"))


@agreement("scores.sliced.project")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, layouts, sizes, sizes, st.integers(1, 4))
def test_project(where: str, seed: int, dtype: Any, layout: str, m: int, L: int, d: int) -> None:
    x, v = points(seed, "ordinary", False, dtype, (m, 3, d) if layout == "each" else (m, d), (L, d))
    for fast, expected in against(where, project, seed, x, v):
        np.testing.assert_allclose(fast, expected, rtol=0, atol=ROUNDINGS * eps(dtype) * (m + L) * 4)


# ------------------------------------------------------------------------------------------------------- entry by entry


@agreement("scores.quantile.pinball")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, scales, ties, sizes)
def test_pinball(where: str, seed: int, dtype: Any, scale: str, ties: bool, n: int) -> None:
    u, = points(seed, scale, ties, dtype, (n, 2))
    alpha = (0.01 + 0.98 * np.random.default_rng(seed).random((n, 2))).astype(dtype)
    bound = ROUNDINGS * eps(dtype) * np.maximum(1, np.abs(u))
    check(against(where, pinball, seed, u, alpha), bound, bound * 4, bound * 4)
    check(against(where, lambda u: pinball(u, 0.3), seed, u), bound, bound * 4)


@agreement("core.special.logsumexp")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, st.sampled_from([0.0, 1.0, 1e3]), st.sampled_from([0, 1, -1]), st.booleans())
def test_logsumexp(where: str, seed: int, dtype: Any, size: float, axis: int, holes: bool) -> None:
    a = (size * np.random.default_rng(seed).standard_normal((4, 5))).astype(dtype)
    if holes:
        a[1:, 2], a[0, 3:] = -np.inf, -np.inf
    for fast, expected in against(where, lambda a: logsumexp(a, axis), seed, a):
        np.testing.assert_allclose(fast, expected, rtol=ROUNDINGS * eps(dtype), atol=ROUNDINGS * eps(dtype) * max(1, size))


# -------------------------------------------------------------------------------------------------- whole scores, float64

V = random_directions(np.random.default_rng(0).standard_normal((6, 4)))
SCORES: dict[str, Callable[..., Any]] = {
    "energy": energy_score,
    "sliced": lambda x, y, beta, e: sliced_energy_score(x, y, here(random_directions(V[:, :y.shape[1]])), beta, e),
    "rbf": lambda x, y, beta, e: kernel_score(x, y, rbf_kernel((0.5, 2)), e),
    "linear": lambda x, y, beta, e: kernel_score(x, y, linear_kernel(), e),
    "distance kernel": lambda x, y, beta, e: kernel_score(x, y, distance_kernel(beta), e),
    "on the line": lambda x, y, beta, e: crps(x[..., 0] if x.ndim == 3 else anp.stack([x[:, 0]] * len(y), 1), y[:, 0], e),
    "quantile": lambda x, y, beta, e: quantile_score((x[0] if x.ndim == 3 else x[:1] + 0 * y), y, 0.2),
}
DISTANCES: dict[str, Callable[..., Any]] = {
    "energy": energy_distance,
    "sliced": lambda x, y, beta, e: sliced_energy_distance(x, y, here(random_directions(V[:, :y.shape[1]])), beta, e),
    "rbf": lambda x, y, beta, e: mmd(x, y, rbf_kernel((0.5, 2)), e),
    "linear": lambda x, y, beta, e: mmd(x, y, linear_kernel(), e),
    "distance kernel": lambda x, y, beta, e: mmd(x, y, distance_kernel(beta), e),
}


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("name", sorted(SCORES))
@settings(few, max_examples=15)
@given(seeds, betas, estimators, layouts, st.integers(2, 6), st.integers(2, 6), st.integers(1, 4))
def test_scores(where: str, name: str, seed: int, beta: float, estimator: str, layout: str, m: int, n: int, d: int) -> None:
    if where != "numpy" and name != "sliced":
        beta, d = 1.0, 2 if d < 3 else 4  # see `compiled`
    x, y = points(seed, "ordinary", False, np.float64, (m, n, d) if layout == "each" else (m, d), (n, d))
    for fast, expected in against(where, lambda x, y: SCORES[name](x, y, beta, estimator), seed, x, y):
        np.testing.assert_allclose(fast, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("name", sorted(DISTANCES))
@settings(few, max_examples=15)
@given(seeds, betas, estimators, st.integers(2, 6), st.integers(2, 6), st.integers(1, 4))
def test_distances(where: str, name: str, seed: int, beta: float, estimator: str, m: int, n: int, d: int) -> None:
    if where != "numpy" and name != "sliced":
        beta, d = 1.0, 2 if d < 3 else 4  # see `compiled`
    x, y = points(seed, "ordinary", False, np.float64, (m, d), (n, d))
    for fast, expected in against(where, lambda x, y: DISTANCES[name](x, y, beta, estimator), seed, x, y):
        np.testing.assert_allclose(fast, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["energy", "rbf", "sliced"])
def test_a_draw_that_is_not_finite_shows_in_every_score(name: str) -> None:
    for bad in (np.nan, np.inf):
        for shape in ((3, 4, 4), (3, 4)):
            x, y = points(6, "ordinary", False, np.float32, shape, (4, 4))
            x[1, ..., 0] = bad
            with accel.use("numpy"), np.errstate(invalid="ignore"):
                score = SCORES[name](x, y, 1.0, "U")
            assert (name == "rbf" and bad == np.inf) or not np.any(np.isfinite(score))


def test_second_derivatives_are_refused() -> None:
    x, y = points(7, "ordinary", False, np.float64, (5, 2), (4, 2))
    with accel.use("numpy"), pytest.raises(NotImplementedError, match="first derivatives only"):
        grad(lambda x: anp.sum(grad(lambda x: anp.sum(energy_score(x, y)))(x)))(x)


@pytest.mark.slow
@pytest.mark.parametrize("score", [
    lambda x, y: anp.sum(energy_score(x, y)), energy_distance, lambda x, y: mmd(x, y, rbf_kernel()),
    lambda x, y: sliced_energy_distance(x, y, np.eye(64, dtype=np.float32)),
])
def test_memory_is_far_below_one_array_of_all_pairs(score: Callable[..., Any]) -> None:
    """4096 against 4096 points of 64 coordinates in float32: n x m alone would be 67 MB."""
    x, y = points(8, "ordinary", False, np.float32, (4096, 64), (4096, 64))
    with accel.use("numpy"):
        tracemalloc.start()
        value_and_grad(score)(x, y)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 30e6


SCORES_OF_COPIES: list[Callable[..., Array]] = [  # of draws, y, beta, directions and estimator
    lambda x, y, beta, v, estimator: energy_score(x, y, beta, estimator),
    lambda x, y, beta, v, estimator: sliced_energy_score(x, y, v, beta, estimator),
    lambda x, y, beta, v, estimator: crps(x[..., 0], y[:, 0], estimator),
]


@pytest.mark.parametrize("where", ["reference", *BACKENDS])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 2, 64])
def test_copies_of_an_observation_score_exactly_zero(where: str, d: int, dtype: Any) -> None:
    """Not 10^-16 to the power beta; with gradients. The kernel score is a difference of kernels: to rounding."""
    y, noise = (generator(d).standard_normal((n, d)).astype(dtype) for n in (37, 16))
    betas = (0.25, 1.0) if where in ("standin", "cupy") else (0.25, 0.5, 1.0, 1.5)  # see `compiled`
    for beta, estimator in itertools.product(betas, "UV"):
        with backend(where):
            v = here(random_directions(noise))
            for copies, seen in ((np.stack([y] * 7), y), (np.stack([y[0]] * 7), y[:1])):
                x, seen = here(copies), here(seen)
                for score in SCORES_OF_COPIES[: 3 if d == 1 and x.ndim == 3 else 2]:
                    total: Callable[..., Array] = lambda *args, score=score: anp.sum(score(*args))
                    np.testing.assert_array_equal(host(score(x, seen, beta, v, estimator)), 0)
                    assert np.isfinite(host(grad(total)(x, seen, beta, v, estimator))).all()
                kernel = host(kernel_score(x, seen, distance_kernel(beta), estimator))
                np.testing.assert_allclose(kernel, 0, atol=ROUNDINGS * eps(dtype) * d)
