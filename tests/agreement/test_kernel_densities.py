"""The kernels for log densities, for i-SIR's choice and for arrays behind each other, run on the CPU, against the reference."""
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.accel import backends
from evenflow.accel.kernels import Target, density, network, pieces
from evenflow.reference.core.networks import MLP
from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array
from evenflow.reference.flows.densities import Normal
from evenflow.reference.mcmc import independence
from evenflow.reference.mcmc.contract import density_and_gradient
from tests.agreement.kernel_forms import COMPILED, NETWORKS, of_form
from tests.standin import counting, xp
from tests.strategies import generator, randomise, seeds
from tests.tolerances import ROUNDINGS, eps

backends.register(xp)
TILTS = st.sampled_from([None, 1.7])
DTYPES = st.sampled_from([np.float32, np.float64])


def model(seed: int, hidden: tuple[int, ...], activation: str, sd: float | None, d: int, dtype: Any) -> Any:
    """An energy as the kernels take it, and its log density in float64 on the host."""
    net, rng = MLP(d, 1, hidden, activation), generator(seed)
    params = placed(randomise(net.init(rng), rng, 0.1), dtype)
    layers = [(xp.asarray(layer["W"]), xp.asarray(layer["b"])) for layer in params]
    base, wide = None if sd is None else Normal(d, sd), placed(params, np.float64)
    return Target(layers, activation, sd), lambda x: -net(wide, x)[:, 0] + (0.0 if base is None else base.log_prob(x))


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seeds, NETWORKS, COMPILED, TILTS, st.integers(0, 41), st.sampled_from([1, 3, 16]), DTYPES)
def test_log_densities_and_gradients(
    seed: int, hidden: tuple[int, ...], compiled: tuple[str, int], sd: float | None, n: int, d: int, dtype: Any
) -> None:
    target, log_density = model(seed, hidden, compiled[0], sd, d, dtype)
    x = generator(seed).standard_normal((n, d)).astype(dtype)
    with of_form(compiled[1], dtype):
        found = density.density_and_score(target, xp.asarray(x))
        alone = density.log_density(target, xp.asarray(x)).get()
    assert found is not None
    log_p, score = (part.get() for part in found)
    assert (log_p.dtype, score.dtype, score.shape) == (dtype, dtype, (n, d))
    assert np.array_equal(alone, log_p)
    expected = density_and_gradient(x.astype(float), log_density)
    error = ROUNDINGS * eps(dtype) * (1 + sum(abs(part).max(initial=0) for part in expected))
    assert (abs(log_p - expected[0]) <= error).all()
    assert (abs(score - expected[1]) <= error).all()


def test_more_points_than_all_tables_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block takes one table after the other; what it says of a point does not depend on that."""
    target, _ = model(1, (6,), "tanh", 1.7, 2, np.float64)
    x = xp.asarray(generator(1).standard_normal((900, 2)))
    expected = density.density_and_score(target, x)
    monkeypatch.setattr(density, "attribute", lambda xp, name: 1)
    assert expected is not None
    found = density.density_and_score(target, x)
    assert found is not None
    assert all(np.array_equal(a.get(), b.get()) for a, b in zip(found, expected, strict=True))


def test_points_out_of_the_world() -> None:
    """Infinite ones and ones where E overflows: -inf, gradient 0, no error; the formula itself says what it says."""
    layers = [(xp.asarray(np.full((1, 1), w, np.float32)), xp.zeros(1, np.float32)) for w in (1e20, 1e20)]
    x = xp.asarray(np.array([[np.inf], [np.nan], [0.0], [1.0]], np.float32))
    found = density.density_and_score(Target(layers, "relu", None), x)
    assert found is not None
    assert found[0].get().tolist() == [-np.inf, -np.inf, 0.0, -np.inf]
    assert not found[1].get().any()
    assert np.isnan(density.log_density(Target(layers, "relu", None), x).get()[1])
    assert density.density_and_score(Target(layers, "relu", None), xp.full((1, 1), 1e-30, np.float32)) is None  # the gradient
    downwards = Target([layers[0], (-layers[1][0], layers[1][1])], "relu", None)
    assert density.density_and_score(downwards, xp.ones((1, 1), np.float32)) is None  # +inf


class Fixed:
    """A flow that proposes what it is told."""

    def __init__(self, x: Array, log_lambda: Array) -> None:
        self.proposal = x, log_lambda

    def sample_and_log_prob(self, params: Any, noise: Any) -> tuple[Array, Array]:
        return self.proposal


def isir_case(seed: int, chains: int, M: int, d: int, dtype: Any) -> tuple[Any, Array, Array, Array]:
    """A state, proposals, their log lambda, uniform numbers."""
    rng = generator(seed)
    state = independence.State(*(rng.standard_normal(shape).astype(dtype) for shape in ((chains, d), chains, chains)))
    x, log_lambda = (rng.standard_normal(shape).astype(dtype) for shape in ((chains * M, d), chains * M))
    return state, x, log_lambda, rng.random(chains).astype(dtype)


def compare_isir(target: Target, log_density: Callable[[Array], Array], case: Any) -> None:
    state, x, log_lambda, uniform = case
    chosen = density.isir(target, tuple(map(xp.asarray, state)), *map(xp.asarray, (x, log_lambda, uniform)))
    assert chosen is not None
    wide = [part.astype(float) for part in (*state, x, log_lambda, uniform)]
    flow: Any = Fixed(*wide[3:5])
    after, choice = independence.isir(independence.State(*wide[:3]), {}, wide[5], log_density, flow, {})
    w, dtype = choice.log_weights, x.dtype
    error = ROUNDINGS * eps(dtype) * (1 + abs(w[np.isfinite(w)]).max(initial=0))
    assert np.array_equal(np.isfinite(chosen.log_w.get()), np.isfinite(w))
    np.testing.assert_allclose(chosen.log_w.get(), w, rtol=0, atol=error)
    with np.errstate(invalid="ignore"):
        p = np.exp(np.where(w == w.max(axis=1, keepdims=True), 0, w - w.max(axis=1, keepdims=True)))
    reached = np.cumsum(p, axis=1) / p.sum(axis=1, keepdims=True)
    clear = (abs(reached - wide[5][:, None]) > error).all(axis=1)
    assert np.array_equal(chosen.moved.get()[clear], choice.accepted[clear])
    for part, expected in zip(chosen[:3], after, strict=True):
        np.testing.assert_allclose(part.get()[clear], expected[clear], rtol=0, atol=error)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seeds, NETWORKS, COMPILED, TILTS, st.integers(1, 6), st.sampled_from([1, 2, 31]), st.sampled_from([1, 3]), DTYPES)
def test_isir_chooses_as_the_reference(
    seed: int, hidden: tuple[int, ...], compiled: tuple[str, int], sd: float | None, chains: int, M: int, d: int, dtype: Any
) -> None:
    target, log_density = model(seed, hidden, compiled[0], sd, d, dtype)
    with of_form(compiled[1], dtype):
        compare_isir(target, log_density, isir_case(seed, chains, M, d, dtype))


@pytest.mark.parametrize("processors", [1, 3, 132])
def test_isir_however_many_chains_a_block_takes(processors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(density, "attribute", lambda xp, name: processors)
    target, log_density = model(3, (6, 5), "tanh", 1.0, 2, np.float64)
    for M in (3, 31):
        compare_isir(target, log_density, isir_case(2, 40, M, 2, np.float64))


def test_isir_at_the_edges() -> None:
    """Proposals that overflow or where lambda = 0 weigh nothing; a current state where lambda = 0 stays; u rounded to 1."""
    target, log_density = model(4, (6,), "tanh", 1.0, 2, np.float64)
    state, x, log_lambda, uniform = isir_case(4, 5, 3, 2, np.float64)
    x[0:3], log_lambda[1] = np.inf, np.nan      # chain 0: all of them
    log_lambda[3:5], log_lambda[5] = -np.inf, -5000.0
    state.log_lambda[2], uniform[1], uniform[3], uniform[4] = -np.inf, 0.0, 1.0, 0.0
    compare_isir(target, log_density, (state, x, log_lambda, uniform))
    chosen = density.isir(target, tuple(map(xp.asarray, state)), *map(xp.asarray, (x, log_lambda, uniform)))
    assert chosen is not None
    assert chosen.moved.get().tolist() == [False, True, False, True, False]
    assert np.array_equal(chosen.x.get()[[1, 3]], x[[5, 11]])  # the last of their slots


@pytest.mark.parametrize("wrong", ["log_p", "nan", "inf"])
def test_isir_says_that_something_is_none(wrong: str) -> None:
    target, _ = model(5, (6,), "tanh", 1.0, 2, np.float64)
    state, x, log_lambda, uniform = isir_case(5, 5, 3, 2, np.float64)
    if wrong == "log_p":
        target = target._replace(layers=[(W * np.nan, b) for W, b in target.layers])
    else:
        log_lambda[7] = float(wrong)
    assert density.isir(target, tuple(map(xp.asarray, state)), *map(xp.asarray, (x, log_lambda, uniform))) is None


# -------------------------------------------------------------------------------------------------- one array behind the other


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 16, 17, 40])
def test_arrays_behind_each_other(count: int, dtype: Any) -> None:
    rng = generator(count)
    parts = [rng.standard_normal((k % 5, 300 if k == 3 else 2)).astype(dtype) for k in range(count)]
    placed = [xp.asarray(part) for part in parts]
    with counting() as launched:
        got = pieces.in_one(placed)
    assert np.array_equal(got.get(), np.concatenate([part.ravel() for part in parts]))
    assert launched.by_name["pieces"] == (count > 1) + (count > 20)  # a fifth of the parts is empty
    turned = [xp.asarray(part.T) for part in parts[3:5]]
    if turned:
        assert np.array_equal(pieces.in_one([t.T for t in turned]).get(), np.concatenate([p.ravel() for p in parts[3:5]]))


def test_nothing_is_copied_that_lies_so() -> None:
    whole = xp.asarray(np.arange(24.0))
    parts = [whole[4:8], whole[8:20].reshape(4, 3), whole[20:]]
    with counting() as launched:
        assert pieces.in_one(parts).get().tolist() == list(range(4, 24))
        table = whole.reshape(2, 3, 4)
        assert np.array_equal(pieces.stacked([table[0], table[1]]).get(), table.get())
    assert launched.by_name["pieces"] == 0
    for others in ([parts[1], parts[0]], [parts[0], parts[2]], [parts[0], xp.asarray(np.arange(8.0, 20.0))]):
        with counting() as launched:
            assert np.array_equal(pieces.in_one(others).get(), np.concatenate([part.get().ravel() for part in others]))
        assert launched.by_name["pieces"] == 1


def test_a_last_layer_without_bias() -> None:
    target, _ = model(6, (7, 3), "tanh", 1.0, 2, np.float64)
    x = xp.asarray(generator(6).standard_normal((5, 2)))
    *most, (W, b) = target.layers
    none, zero = (target._replace(layers=[*most, (W, c)]) for c in (None, xp.zeros_like(b)))
    assert np.array_equal(density.log_density(none, x).get(), density.log_density(zero, x).get())
    assert not np.array_equal(density.log_density(none, x).get(), density.log_density(target, x).get())
    with pytest.raises(ValueError, match=r"layers\[0\]\[1\] must have shape \(7,\), got \(\)"):
        network.perceptron([(target.layers[0][0], None), *target.layers[1:]], "tanh", np.float64)
