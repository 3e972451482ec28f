"""What a step asks of the host, the optimisers on buffers, what dense layers need of their matrix: as defined, everywhere."""
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.reference.core import SGD, Array, anywhere, beside, finite, per_step, replayed, told
from evenflow.reference.core.optim import clip_by_global_norm
from evenflow.reference.flows import AffineTransformer, SplineTransformer
from evenflow.reference.flows.dense import applied, log_abs_det, solved
from evenflow.reference.saef.aqf import images
from evenflow.reference.work.checkpoints import State
from evenflow.reference.work.stretches import Report, stretched
from tests.agreement.backends import BACKENDS, ON_DEVICE, backend, here, host, on_its_device
from tests.agreement.comparison import agree, agreement, cotangents, dtypes, few
from tests.agreement.test_gradients import close
from tests.standin import counting
from tests.strategies import generator, seeds


@agreement("core.looking.anywhere", "core.looking.finite", "core.looking.told")
@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("x", [0.5, [], [1.0, 2.0], [[1.0, np.inf]], [np.nan], -np.inf, [3e38, 3e38]])
def test_looks(where: str, x: Any) -> None:
    """Sums that overflow are no harm."""
    array = np.array(x, np.float32)
    with backend(where):
        placed = here(array)
        assert finite(placed) == bool(np.isfinite(array).all())
        assert anywhere(placed > 1.5) == bool((array > 1.5).any())
        if array.ndim == 0:
            assert type(told(placed)) is float
            assert told(placed) == float(array)


@agreement("core.looking.per_step", "core.looking.replayed", "work.stretches.stretched")
@pytest.mark.parametrize("where", BACKENDS)
def test_what_changes_from_step_to_step_and_what_is_called_again(where: str) -> None:
    """Arrays as arguments, and noise drawn inside; a state that nobody's device holds is advanced one by one."""
    def move(rng: np.random.Generator, x: Array) -> tuple[Array, Array]:
        return x * 2, x + here(rng.standard_normal(x.shape))

    def advance(state: State) -> tuple[State, Report]:
        x = state.params["x"] + per_step(lambda step: 0.5 ** (step + 1), state.step)
        return state._replace(step=state.step + 1, params={"x": x}), Report(told(x.sum()), 0.1, 1.0)

    rng, expected = generator(0), []
    x = np.arange(3.0)
    for _ in range(4):
        expected.append((x * 2, x + rng.standard_normal(3)))
        x = x * 2
    with backend(where):
        rng, again, y = generator(0), replayed(move), here(np.arange(3.0))
        for e in expected:
            y, moved = again(rng, y)
            assert all(map(np.array_equal, host([y, moved]), e))
        start = State(0, {"x": here(np.zeros(2))}, {}, None, generator(1))
        made = list(stretched(advance)(start, 5))
    assert [report.loss for _, report in made] == [2 * (1 - 0.5**k) for k in range(1, 6)]
    assert made[-1][0] is not None
    assert made[-1][0].step == 5
    assert host(made[-1][0].params)["x"].tolist() == [1 - 0.5**5] * 2


@agreement("core.placement.beside")
@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("constant", [2.5, [1, 2], np.arange(6.0).reshape(2, 3), np.zeros(2**14)])
def test_constants(where: str, constant: Any) -> None:
    with backend(where):
        x = here(np.ones(3))
        placed = beside(constant, x)
        assert on_its_device(where, [placed])
        found = host(placed)
        assert found.dtype == np.asarray(constant).dtype
        assert np.array_equal(found, np.asarray(constant))
        assert np.array_equal(host(beside(placed, x)), found)


def test_what_is_large_and_cannot_change_is_sent_over_once() -> None:
    """What may change is sent each time."""
    with backend("standin"):
        x, constant = here(np.ones(3)), np.zeros(2**16)
        for writeable, uploads in ((True, 3), (False, 1)):
            constant.flags.writeable = writeable
            with counting() as count:
                for _ in range(3):
                    there = beside(constant, x)
            assert count.uploads == uploads
            assert np.array_equal(host(there), constant)


@agreement("core.optim.SGD.update", "core.optim.clip_by_global_norm")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, st.sampled_from([0.0, 0.9]), st.sampled_from([1e-3, 1.0, 1e6]))
def test_heavy_balls_and_clipping(where: str, seed: int, dtype: Any, momentum: float, size: float) -> None:
    rng, optimiser = generator(seed), SGD(momentum)
    draw: Any = lambda *shape: np.asarray(rng.standard_normal(shape), dtype)
    numbers: list[Any] = [{"W": draw(3, 4), "b": [draw(4)]} for _ in range(4)]
    params, *grads = numbers

    def walk(place: Any) -> Any:
        theta, states = place(params), []
        memory = optimiser.init(theta)
        for k, g in enumerate(grads):
            clipped, norm = clip_by_global_norm(place({"W": size * g["W"], "b": [size * g["b"][0]]}), 2.0)
            theta, memory = optimiser.update(theta, clipped, memory, 0.1 / (k + 1))
            states.append([theta, memory, np.array(norm)])
        return host(states)

    expected = walk(lambda tree: tree)
    with backend(where):
        found = walk(here)
        with pytest.raises(ValueError, match="finite norm"):
            clip_by_global_norm(here({"W": np.array([np.nan], dtype)}), 1.0)
        with pytest.raises(ValueError, match=re.escape("a leaf of the gradient must have shape (3, 4), got (4, 3)")):
            optimiser.update(here(params), here({"W": params["W"].T, "b": params["b"]}), optimiser.init(here(params)), 0.1)
    close(found, expected)


@agreement("flows.dense.applied", "flows.dense.log_abs_det", "flows.dense.solved")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, st.sampled_from([1, 2, 5, 40]), st.sampled_from([0, 1, 3]))
def test_dense_matrices(where: str, seed: int, dtype: Any, d: int, n: int) -> None:
    """Rows are exchanged where the diagonal is small."""
    rng = generator(seed)
    W = (np.roll(np.eye(d), 1, axis=0) * (2 + rng.random(d)) + 0.2 * rng.standard_normal((d, d)) / np.sqrt(d)).astype(dtype)
    y = rng.standard_normal((n, d)).astype(dtype)
    agree(where, lambda W: log_abs_det(W), {"W": W})
    if n:
        agree(where, lambda W, y: solved(W, y), {"W": W, "y": y})
        agree(where, lambda W, y: applied(W, y), {"W": W, "y": y})


@pytest.mark.parametrize("where", ON_DEVICE)
def test_a_singular_matrix_has_no_volume(where: str) -> None:
    with backend(where), np.errstate(all="ignore"):
        assert host(log_abs_det(here(np.zeros((3, 3))))) == -np.inf


@agreement("saef.aqf.images")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, st.sampled_from([AffineTransformer(5.0), SplineTransformer()]), cotangents)
def test_several_draws_through_one_transformer(where: str, seed: int, dtype: Any, transformer: Any, used: str) -> None:
    rng = generator(seed)
    raw, z = rng.standard_normal((3, 2, transformer.width)).astype(dtype), rng.standard_normal((4, 3, 2)).astype(dtype)
    agree(where, lambda raw, z: images(transformer, raw, z), {"raw": raw, "z": z}, used)
