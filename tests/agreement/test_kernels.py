"""The kernels for pairs of points, run on the CPU by tests/cuda_on_cpu.py, against brute force in float64.

A point of 3 coordinates is swept directly, one of 9 in slices, one of 33 or 70 by products.
"""
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.accel import backends
from evenflow.accel.kernels import pairs
from evenflow.reference.core.trees import Array
from evenflow.reference.scores.energy import EPS, Distance
from evenflow.reference.scores.kernels import RBF
from tests.standin import counting, xp
from tests.strategies import generator, seeds
from tests.tolerances import ROUNDINGS, eps

backends.register(xp)
dtypes = st.sampled_from([np.float32, np.float64])
FORMS = [Distance(1.0), Distance(0.5), Distance(1.5), Distance(0.3), Distance(1.7), RBF((-0.5, -0.02, -2.0))]
forms = st.sampled_from(FORMS)
DIMENSIONS = [1, 3, 9, 33, 70]
few_forms, few_dimensions = st.sampled_from([FORMS[0], FORMS[3], FORMS[5]]), st.sampled_from([3, 9, 33])  # each a kernel


def brute(f: Any, a: Array, b: Array) -> tuple[Array, Array, Array, Array]:
    """f and its slope for all pairs, (n, m), differences u (n, m, d), and what one rounding of s may change f by."""
    u = a[:, None].astype(float) - b[None].astype(float)
    s = (u**2).sum(axis=2)
    if isinstance(f, RBF):
        values, slope = (sum((2 * c) ** k * np.exp(c * s) for c in f.scales) for k in (0, 1))
    else:
        t = s + EPS**2
        values, slope = t ** (f.beta / 2) * (s > 0), f.beta * t ** (f.beta / 2 - 1) * (s > 0)
    return values, slope, u, abs(values) + abs(slope) * s


def expected(f: Any, a: Array, b: Array, weights: Any = 1.0) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
    """Sums, gradients by a and by b, and what a rounding of every term adds up to in each."""
    values, slope, u, size = brute(f, a, b)
    slope = slope * weights
    sums = values.sum(axis=1), (slope[..., None] * u).sum(axis=1), -(slope[..., None] * u).sum(axis=0)
    lengths = abs(slope) * np.sqrt((u**2).sum(axis=2)) * 3  # of w, and of u
    return sums, (size.sum(axis=1), lengths.sum(axis=1)[:, None], lengths.sum(axis=0)[:, None])


def check(results: Any, exact: Any, sizes: Any, dtype: Any) -> None:
    for result, e, size in zip(results, exact, sizes, strict=True):
        assert result.dtype == dtype
        assert result.shape == e.shape
        off = abs(result.get() - e)
        assert (off <= ROUNDINGS * eps(dtype) * size).all(), (off / size).max() / eps(dtype)


def two_samples(seed: int, n: int, m: int, d: int, dtype: Any) -> tuple[Array, Array]:
    """Perhaps far from the origin, where |a|^2 - 2 ab + |b|^2 would have no digits left, and with coincident points."""
    rng = generator(seed)
    offset = rng.choice([0.0, 1000.0])
    a, b = ((offset + rng.standard_normal((k, d))).astype(dtype) for k in (n, m))
    same = min(n, m) // 3
    a[:same] = b[:same]
    return a, b


@settings(deadline=None, derandomize=True, max_examples=60)
@given(seeds, st.integers(1, 140), st.integers(1, 140), st.sampled_from(DIMENSIONS), forms, dtypes)
def test_one_sweep_gives_sums_and_both_gradients(seed: int, n: int, m: int, d: int, f: Any, dtype: Any) -> None:
    a, b = two_samples(seed, n, m, d, dtype)
    check(pairs.cross(f, xp.asarray(a), xp.asarray(b), True, True), *expected(f, a, b), dtype)


@pytest.mark.parametrize("d", [3, 9, 33])
@pytest.mark.parametrize("f", [Distance(1.0), RBF((-0.5, -0.02))])
def test_gradients_that_are_not_asked_for_change_nothing(f: Any, d: int) -> None:
    a, b = map(xp.asarray, two_samples(d, 70, 140, d, np.float32))
    both = pairs.cross(f, a, b, True, True)
    for by_a, by_b in ((True, False), (False, True), (False, False)):
        some = pairs.cross(f, a, b, by_a, by_b)
        assert np.array_equal(some[0].get(), both[0].get()) or d > 8  # there P and Q differ, so does the order of the sums
        for asked, part, whole in zip((True, by_a, by_b), some, both, strict=True):
            assert (part is not None) == asked
            if part is not None and whole is not None:
                np.testing.assert_allclose(part.get(), whole.get(), rtol=1e-5, atol=1e-4)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seeds, st.integers(1, 300), few_dimensions, few_forms, dtypes)
def test_pairs_within_a_sample_count_once(seed: int, m: int, d: int, f: Any, dtype: Any) -> None:
    x, _ = two_samples(seed, m, m, d, dtype)
    x[m // 2:m // 2 + 2] = x[0]
    values, slope, u, size = brute(f, x, x)
    later = np.triu(np.ones((m, m)), 1)
    lengths = (abs(slope) * np.sqrt((u**2).sum(axis=2)) * 3).sum(axis=1)[:, None]
    exact = (values * later).sum(axis=1), (slope[..., None] * u).sum(axis=1)
    check(pairs.within(f, xp.asarray(x), True), exact, ((size * later).sum(axis=1), lengths), dtype)
    assert pairs.within(f, xp.asarray(x), False)[1] is None


@pytest.mark.parametrize("d", [3, 9, 33])
def test_a_point_is_no_pair_with_itself(d: int) -> None:
    """Which a kernel would show that is not 0 there."""
    f = RBF((-0.5, -0.02))
    x = generator(d).standard_normal((70, d))
    exact = (np.triu(np.ones((70, 70)), 1) * brute(f, x, x)[0]).sum(axis=1)
    np.testing.assert_allclose(pairs.within(f, xp.asarray(x), True)[0].get(), exact, rtol=1e-12)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seeds, st.integers(1, 140), st.integers(1, 140), few_dimensions, few_forms, dtypes, st.booleans())
def test_the_gradient_by_draws_whatever_the_cotangents(
    seed: int, n: int, m: int, d: int, f: Any, dtype: Any, even: bool
) -> None:
    y, x = two_samples(seed, n, m, d, dtype)
    g = np.full(n, 1.5, dtype) if even else generator(seed).standard_normal(n).astype(dtype)
    y_, x_ = xp.asarray(y), xp.asarray(x)
    ones = pairs.cross(f, y_, x_, False, True)[2]
    inner = pairs.within(f, x_, True)[1]
    assert ones is not None
    (_, dx, _), (_, size, _) = expected(f, x, y, g)
    (_, dw, _), (_, more, _) = expected(f, x, x)
    result = pairs.by_draws(f, y_, x_, xp.asarray(g), ones, 0.5, inner, 0.25)
    weight = 0.25 * g.astype(float).sum()
    check([result], [0.5 * dx - weight * dw], [size + 0.25 * abs(g).sum() * more], dtype)
    with counting() as count:
        pairs.by_draws(f, y_, x_, xp.asarray(g), ones)
    assert count.synchronisations == 0


def test_the_sweep_with_weights_is_idle_where_cotangents_are_the_same() -> None:
    """It then leaves its sums as they were made: NaN on the stand-in."""
    a, b = map(xp.asarray, two_samples(0, 30, 40, 2, np.float64))
    for g, idle in ((np.ones(40), True), (np.arange(40.0), False), (np.full(40, np.nan), False)):
        same, total = pairs.look(xp.asarray(g))
        parts = pairs.sweep(Distance(1.0), a, b, True, False, xp.asarray(g), same)
        assert np.isnan(parts.sums.get()).all() == idle
        np.testing.assert_array_equal(total.get(), g.sum())


@pytest.mark.parametrize("processors", [1, 132])
@pytest.mark.parametrize(("n", "m"), [(512, 64), (513, 129), (1, 1000), (300, 1), (257, 257)])
@pytest.mark.parametrize("d", [1, 5, 9, 33])
def test_however_the_pairs_are_split(processors: int, n: int, m: int, d: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles full and not, one block for all or a block for each."""
    monkeypatch.setattr(pairs, "attribute", lambda xp, name: processors)
    a, b = two_samples(n, n, m, d, np.float64)
    f = Distance(1.0)
    check(pairs.cross(f, xp.asarray(a), xp.asarray(b), True, True), *expected(f, a, b), np.float64)
    sums, gradient = pairs.within(f, xp.asarray(b), True)
    assert gradient is not None
    values, slope, u, _ = brute(f, b, b)
    np.testing.assert_allclose(sums.get().sum(), values.sum() / 2, rtol=1e-12)
    np.testing.assert_allclose(gradient.get(), (slope[..., None] * u).sum(axis=1), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("d", [33, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_close_pairs_are_computed_from_differences(d: int, dtype: Any) -> None:
    """Heaps 1e-3 wide, 1000 apart: multiplied out, float32 would see nothing of a heap. Or some pairs among far ones."""
    rng = generator(d)
    for heaps in (5, 200):
        centres = 1000 * rng.standard_normal((heaps, d))
        a, b = ((centres[np.arange(n) % heaps] + 1e-3 * rng.standard_normal((n, d))).astype(dtype) for n in (150, 130))
        check(pairs.cross(Distance(1.0), xp.asarray(a), xp.asarray(b), True, True), *expected(Distance(1.0), a, b), dtype)


@pytest.mark.parametrize("d", [3, 9, 33])
@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5, 0.3])
def test_pairs_at_the_edges(d: int, beta: float) -> None:
    """Equal points give exactly 0; a distance that overflows is inf with gradient 0; NaN stays NaN."""
    a = np.zeros((3, d), np.float32)
    a[1], a[2, 0] = 3e25, np.nan
    sums, gradient, _ = pairs.cross(Distance(beta), xp.asarray(a), xp.zeros((5, d), np.float32), True, True)
    assert gradient is not None
    assert np.array_equal(sums.get(), np.array([0, np.inf, np.nan], np.float32), equal_nan=True)
    assert not gradient.get()[:2].any()
    assert np.isnan(gradient.get()[2]).any()


@pytest.mark.parametrize("d", [2, 40])
def test_the_score_and_its_gradients_in_few_launches(d: int) -> None:
    y, x = two_samples(3, 90, 80, d, np.float64)
    g, f, weight = generator(4).standard_normal(90), Distance(1.0), 1 / (80 * 79)
    y_, x_, g_ = map(xp.asarray, (y, x, g))
    with counting() as count:
        values, dy, dx, dw = pairs.score(f, y_, x_, True, True, weight)
        assert dx is not None
        total = pairs.by_draws(f, y_, x_, g_, dx, 1 / 80, dw, weight)
    assert count.launches <= {2: 12, 40: 30}[d]
    assert count.synchronisations == 0
    cross, slope, u, _ = brute(f, y, x)
    inner, among, v, _ = brute(f, x, x)
    assert dy is not None
    np.testing.assert_allclose(values.get(), cross.mean(axis=1) - weight * inner.sum() / 2, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(dy.get(), (slope[..., None] * u).sum(axis=1), rtol=1e-10, atol=1e-11)
    exact = -((g[:, None] * slope)[..., None] * u).sum(axis=0) / 80 - g.sum() * weight * (among[..., None] * v).sum(axis=1)
    np.testing.assert_allclose(total.get(), exact, rtol=1e-10, atol=1e-11)
