"""The kernels for pairs of points, run on the CPU by tests/cuda_on_cpu.py, against the energy score of the reference."""
from typing import Any

import numpy as np
import pytest
from autograd import make_vjp
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.accel import backends, kernels
from evenflow.accel.kernels import pairs
from evenflow.reference.core.trees import Array
from evenflow.reference.scores.energy import EPS, distance, energy_score
from tests.standin import xp
from tests.strategies import generator, seeds
from tests.tolerances import ROUNDINGS, eps

backends.register(xp)
dtypes = st.sampled_from([np.float32, np.float64])
betas = st.sampled_from([1.0, 0.3, 1.7])


def plain_sums(a: Array, b: Array, beta: float, weights: Array) -> Array:
    return (distance(a[:, None], b[None], beta) * weights).sum(axis=1)


def sizes_of_terms(a: Array, b: Array, beta: float, weights: Array) -> tuple[Array, Array]:
    """What one rounding of every term may change, in units of eps: for the sums (n,) and for the gradient (n, 1)."""
    s = ((a[:, None].astype(float) - b[None]) ** 2).sum(axis=2)
    f = (s + EPS**2) ** (beta / 2) * (s > 0)
    return (f * abs(weights)).sum(axis=1), (f / np.sqrt(s + EPS**2) * beta * abs(weights)).sum(axis=1)[:, None]


def agree_on_pairs(a: Array, b: Array, beta: float, weights: Array | None) -> None:
    w = np.ones(len(b), a.dtype) if weights is None else weights
    sums, gradient = kernels.pair_sums(xp.asarray(a), xp.asarray(b), beta, None if weights is None else xp.asarray(weights))
    vjp, expected = make_vjp(lambda a: plain_sums(a, b, beta, w))(a)
    assert gradient is not None
    assert sums.dtype == gradient.dtype == a.dtype
    of_sums, of_gradient = (ROUNDINGS * eps(a.dtype) * size for size in sizes_of_terms(a, b, beta, w))
    assert (abs(sums.get() - expected) <= of_sums).all()
    assert (abs(gradient.get() - vjp(np.ones_like(expected))) <= of_gradient).all()


@settings(deadline=None, derandomize=True, max_examples=60)
@given(seeds, st.integers(1, 140), st.integers(1, 300), st.sampled_from([1, 3, 33, 50]), betas, st.booleans(), dtypes)
def test_pair_sums_are_the_reference_s(seed: int, n: int, m: int, d: int, beta: float, weighted: bool, dtype: Any) -> None:
    """Far from the origin, where |a|^2 - 2 ab + |b|^2 would have no digits left, and with coincident points."""
    rng = generator(seed)
    a, b = ((rng.choice([0.0, 1000.0]) + rng.standard_normal((k, d))).astype(dtype) for k in (n, m))
    same = min(n, m) // 2
    a[:same] = b[:same]
    agree_on_pairs(a, b, beta, rng.standard_normal(m).astype(dtype) if weighted else None)


@pytest.mark.parametrize("processors", [1, 132])
@pytest.mark.parametrize(("n", "m"), [(128, 128), (129, 257), (1, 1000), (300, 1)])
@pytest.mark.parametrize("d", [3, 33])
def test_however_the_partners_are_split(processors: int, n: int, m: int, d: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "attribute", lambda xp, name: processors)
    rng = generator(n)
    agree_on_pairs(rng.standard_normal((n, d)), rng.standard_normal((m, d)), 1.0, rng.standard_normal(m))


@pytest.mark.parametrize("d", [3, 33])
@pytest.mark.parametrize("beta", [1.0, 0.3, 1.7])
def test_pairs_at_the_edges(d: int, beta: float) -> None:
    """Equal points give exactly 0; a distance that overflows is inf with gradient 0; NaN stays NaN."""
    a = np.zeros((3, d), np.float32)
    a[1], a[2, 0] = 3e25, np.nan
    sums, gradient = kernels.pair_sums(xp.asarray(a), xp.zeros((5, d), np.float32), beta)
    assert gradient is not None
    assert np.array_equal(sums.get(), np.array([0, np.inf, np.nan], np.float32), equal_nan=True)
    assert not gradient.get()[:2].any()
    assert np.isnan(gradient.get()[2]).any()
    assert kernels.pair_sums(xp.asarray(a), xp.asarray(a), beta, gradient=False)[1] is None


@settings(deadline=None, derandomize=True, max_examples=15)
@given(seeds, st.integers(2, 150), st.integers(1, 150), st.sampled_from([3, 33]), betas)
def test_three_calls_are_the_energy_score_and_its_gradient(seed: int, m: int, n: int, d: int, beta: float) -> None:
    rng = generator(seed)
    draws, y, g = rng.standard_normal((m, d)), rng.standard_normal((n, d)), rng.standard_normal(n)
    vjp, score = make_vjp(lambda both: energy_score(both[0], both[1], beta))([draws, y])
    x_, y_, g_ = map(xp.asarray, (draws, y, g))
    (cross, dy), (within, dw) = kernels.pair_sums(y_, x_, beta), kernels.pair_sums(x_, x_, beta)
    _, dx = kernels.pair_sums(x_, y_, beta, weights=g_)
    assert dx is not None and dy is not None and dw is not None  # noqa: PT018
    weight = 1 / (m * (m - 1))
    assert np.allclose((cross / m - within.sum() / 2 * weight).get(), score, rtol=1e-12, atol=1e-12)
    expected = vjp(g)
    assert np.allclose((dx / m - g_.sum() * weight * dw).get(), expected[0], rtol=1e-11, atol=1e-12)
    assert np.allclose((g_[:, None] * dy / m).get(), expected[1], rtol=1e-11, atol=1e-12)
