"""The kernels that sort, and draws per observation, run on the CPU by tests/cuda_on_cpu.py, against NumPy in float64."""
from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.accel import backends, recording
from evenflow.accel.kernels import each, joint_order, slopes_of_order, sorting, sums_of_order
from evenflow.reference.core.gradients import value_and_gradient
from evenflow.reference.core.trees import Array
from evenflow.reference.scores import (
    crps,
    crps_normal,
    energy_distance,
    energy_score,
    mmd,
    quantile_score,
    random_directions,
    rbf_kernel,
    sliced_energy_distance,
    sliced_energy_score,
)
from evenflow.reference.scores.energy import Distance
from evenflow.reference.scores.kernels import RBF
from tests import standin_count
from tests.agreement.backends import backend, here
from tests.standin import xp
from tests.strategies import generator, seeds
from tests.tolerances import ROUNDINGS, eps

backends.register(xp)
few = settings(deadline=None, derandomize=True, max_examples=25)
dtypes = st.sampled_from([np.float32, np.float64])


def rows_of(seed: int, rows: int, m: int, dtype: Any) -> Array:
    """Many sizes, many equal numbers, both zeros."""
    rng = generator(seed)
    x = rng.choice([0.0, -0.0, 1.0, -1e30, 1e-30, np.inf], (rows, m)) if rng.random() < 0.3 else rng.standard_normal((rows, m))
    return (x if rng.random() < 0.5 else x.round(1)).astype(dtype)


@few
@given(seeds, st.integers(1, 4), st.integers(1, 150), st.integers(0, 150), dtypes, st.sampled_from([2, 16, 2**14]))
def test_the_order_is_the_stable_one(seed: int, rows: int, m: int, n: int, dtype: Any, size: int) -> None:
    """In one piece, or in chunks that several launches merge."""
    x, y = (rows_of(seed + k, rows, length, dtype) for k, length in enumerate((m, n)))
    x[0, 0] = np.nan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "chunk", lambda xp, dtype: size)
        places = joint_order(xp.asarray(x), xp.asarray(y) if n else None).get()
    both = np.concatenate([x, y], axis=1)
    np.testing.assert_array_equal(places[:, : m + n], np.argsort(both + dtype(0), axis=1, kind="stable"))


def test_a_chunk_is_the_most_that_fits() -> None:
    for dtype in (np.float32, np.float64):
        size = sorting.chunk(xp, dtype)
        assert size * (np.dtype(dtype).itemsize + 4) <= 227 * 1024 < 2 * size * (np.dtype(dtype).itemsize + 4)
    assert joint_order(xp.zeros((1, 20_000), np.float32), None).get()[0, :20_000].tolist() == list(range(20_000))


@few
@given(seeds, st.integers(1, 3), st.integers(1, 600), st.integers(0, 600), dtypes, st.booleans(), st.booleans())
def test_sums_and_slopes_of_an_order(
    seed: int, rows: int, m: int, n: int, dtype: Any, crossed: bool, among: bool
) -> None:
    """Far from 0, where running sums of the numbers themselves would have no digits left."""
    rng = generator(seed)
    x, y = (1000 + rng.standard_normal((rows, k)).round(1).astype(dtype) for k in (m, n))
    x, y = x.astype(dtype), y.astype(dtype)
    x_, y_ = xp.asarray(x), xp.asarray(y) if n else None
    places = joint_order(x_, y_)
    cross, within = sums_of_order(x_, y_, places)
    off = x.astype(float)[:, :, None] - y.astype(float)[:, None]
    inner = x.astype(float)[:, :, None] - x.astype(float)[:, None]
    np.testing.assert_allclose(cross.get(), abs(off).sum(axis=1), rtol=ROUNDINGS * eps(dtype), atol=m * eps(dtype))
    np.testing.assert_allclose(within.get(), abs(inner).sum(axis=(1, 2)) / 2, rtol=ROUNDINGS * eps(dtype), atol=m * eps(dtype))
    g, g_within = rng.standard_normal((rows, n)).astype(dtype), rng.standard_normal(rows).astype(dtype)
    given = xp.asarray(g) if crossed and n else None, xp.asarray(g_within) if among else None
    dx, dy = slopes_of_order(places, m, n, *given, x.dtype, True)
    later = np.sign(off) + (off == 0) * -1.0  # an x that equals a y stands before it
    stand = np.argsort(np.argsort(x, axis=1, kind="stable"), axis=1)
    g_, h_ = g * (crossed and n > 0), g_within * among
    exact = (later * g_[:, None]).sum(axis=2) + (2 * stand - m + 1) * h_[:, None]
    np.testing.assert_allclose(dx.get(), exact, rtol=0, atol=ROUNDINGS * eps(dtype) * (abs(g_).sum() + m * abs(h_).max()))
    assert dy is not None
    np.testing.assert_allclose(dy.get(), -later.sum(axis=1) * g_, rtol=ROUNDINGS * eps(dtype), atol=1e-30)


@few
@given(seeds, st.integers(1, 140), st.integers(1, 40), st.sampled_from([1, 4, 5, 70, 200]), dtypes,
       st.sampled_from([Distance(1.0), RBF((-0.5, -0.01))]), st.sampled_from([(0.5, -0.25), (1.0, 0.0), (0.0, 1.0)]))
def test_draws_per_observation(seed: int, m: int, n: int, d: int, dtype: Any, f: Any, weights: tuple[float, float]) -> None:
    """One lane a draw or a whole warp, one observation a block or many; coincident points."""
    n = min(n, 1 + 400 // m)  # of many draws two observations: the check by autograd sees all pairs
    rng, (c, w) = generator(seed), weights
    x, y = rng.standard_normal((m, n, d)).astype(dtype), rng.standard_normal((n, d)).astype(dtype)
    x[0], x[m // 2] = y, x[m // 3]
    values, gradient = each(f, xp.asarray(x), xp.asarray(y) if c else None, c, w, True)

    def exact(x: Array) -> Array:
        total = c * anp.sum(f(x, y.astype(float)), axis=0)
        for i in range(1, m):
            total = total + w * anp.sum(f(x[i:i + 1], x[:i]), axis=0)
        return total

    wide = x.astype(float)
    slopes = value_and_gradient(lambda x: anp.sum(exact(x)), wide)[1]
    unit = ROUNDINGS * eps(dtype) * (m + 1)
    np.testing.assert_allclose(values.get(), exact(wide), rtol=0, atol=unit * d * m)
    assert gradient is not None
    np.testing.assert_allclose(gradient.get(), slopes, rtol=0, atol=unit)
    assert each(f, xp.asarray(x), xp.asarray(y), c, w, False)[1] is None


Y, X, EACH = (generator(k).standard_normal(shape) for k, shape in enumerate(((31, 2), (30, 2), (4, 31, 2))))
CASES: dict[str, tuple[Any, Array]] = {
    "energy, shared": (lambda x, y, v: energy_score(x, y), X), "energy, each": (lambda x, y, v: energy_score(x, y), EACH),
    "energy, beta": (lambda x, y, v: energy_score(x, y, 0.7), X), "distance": (lambda x, y, v: energy_distance(x, y), X),
    "mmd": (lambda x, y, v: mmd(x, y, rbf_kernel()), X),
    "sliced, shared": (lambda x, y, v: sliced_energy_score(x, y, v), X),
    "sliced, each": (lambda x, y, v: sliced_energy_score(x, y, v), EACH),
    "sliced distance": (lambda x, y, v: sliced_energy_distance(x, y, v), X),
    "sliced, beta": (lambda x, y, v: sliced_energy_score(x, y, v, 0.7), EACH),
    "crps": (lambda x, y, v: crps(x[..., 0], y[:, 0]), EACH),
    "crps of a normal": (lambda x, y, v: crps_normal(x[0], anp.exp(x[1]), y), EACH),
    "quantile": (lambda x, y, v: quantile_score(x[0], y, 0.2), EACH),
    "directions": (lambda x, y, v: random_directions(x), X),
}


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("wide", [False, True])
def test_nothing_in_a_score_asks_what_a_recording_refuses(name: str, wide: bool) -> None:
    """No copy to the device, no wait for it, no sorting or product of CuPy's own: value and gradient, the cotangents uneven.

    wide: in 40 coordinates, where points are expanded. Played back, the recording gives the same.
    """
    score, like = CASES[name]
    shapes = [(*p.shape[:-1], 40 if wide else 2) for p in (like, Y, np.eye(2))]
    with backend("standin"):
        x, y, v = (here(generator(9).standard_normal(shape).astype(np.float32)) for shape in shapes)
        v = random_directions(v)
        f: Callable[[Array], Array] = lambda x: anp.sum(score(x, y, v) ** 2)
        expected = value_and_gradient(f, x)
        recorder, stream = recording.Recorder(xp, np.random.default_rng(0), 0), xp.cuda.Stream()
        with recording.noting(recorder), xp.cuda.using_allocator(None), stream:
            stream.begin_capture()
            try:
                again = value_and_gradient(f, x)
                assert standin_count.recording
            finally:
                graph = stream.end_capture()
        graph.launch(stream)
    for a, b in zip(expected, again, strict=True):
        np.testing.assert_array_equal(a if isinstance(a, float) else a.get(), b if isinstance(b, float) else b.get())
