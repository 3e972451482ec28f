"""Perceptrons: the formula, the masks' exact zeros and the paths they leave open, activations, context, bad input."""
import math
import warnings
from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import elementwise_grad, grad, jacobian
from hypothesis import given
from hypothesis import strategies as st

from evenflow.reference.core.networks import ACTIVATIONS, MLP, MaskedMLP, made_masks
from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array, Tree, leaves
from tests import tolerances
from tests.strategies import generator, randomise, seeds

widths = st.lists(st.integers(1, 8), max_size=3).map(tuple)
inner = st.lists(st.integers(-1, 6), max_size=5).map(tuple)             # degrees: any order, ties, gaps, none at all
outer = st.lists(st.integers(0, 6), min_size=1, max_size=5).map(tuple)
contexts = st.sampled_from([0, 2])


# ---------------------------------------------------------------------------------------------------------- the masks

@given(seed=seeds, ins=inner, outs=outer, hidden=widths, c=contexts)
def test_masked_outputs_see_only_inputs_of_lower_degree(
    seed: int, ins: tuple[int, ...], outs: tuple[int, ...], hidden: tuple[int, ...], c: int
) -> None:
    """Exact zeros, in autograd's Jacobian and, without autograd, in the values after a forbidden input has moved."""
    rng = generator(seed)
    net = MaskedMLP(ins, outs, hidden, "tanh", c)
    params = randomise(net.init(rng), rng)
    x = rng.standard_normal((1, len(ins)))
    context = rng.standard_normal((1, c)) if c else None
    forbidden = np.array(ins)[None, :] >= np.array(outs)[:, None]
    if ins:
        J = jacobian(lambda v: net(params, v[None], context)[0])(x[0])
        assert np.all(J[forbidden] == 0)
    here = net(params, x, context)[0]
    for i in range(len(ins)):
        moved = x.copy()
        moved[0, i] += 10.0
        assert np.array_equal(net(params, moved, context)[0][forbidden[:, i]], here[forbidden[:, i]])


@given(seed=seeds, ins=inner.filter(len), outs=outer, depth=st.integers(0, 3), spare=st.integers(0, 3))
def test_every_input_of_lower_degree_reaches_the_output_where_the_width_allows(
    seed: int, ins: tuple[int, ...], outs: tuple[int, ...], depth: int, spare: int
) -> None:
    """A unit of each degree from min(out) - 1 to max(out) - 1 is enough."""
    rng = generator(seed)
    net = MaskedMLP(ins, outs, (max(outs) - min(outs) + 1 + spare,) * depth, "tanh")
    params = randomise(net.init(rng), rng)
    J = jacobian(lambda v: net(params, v[None])[0])(rng.standard_normal(len(ins)))
    assert np.array_equal(J != 0, np.array(ins)[None, :] < np.array(outs)[:, None])


@given(seed=seeds, ins=inner, outs=outer, hidden=widths.filter(len))
def test_every_masked_output_depends_on_the_context_in_every_layer(
    seed: int, ins: tuple[int, ...], outs: tuple[int, ...], hidden: tuple[int, ...]
) -> None:
    """Some libraries' first output does not. With the context kept out of all layers but one, it still arrives."""
    rng = generator(seed)
    net = MaskedMLP(ins, outs, hidden, "tanh", 3)
    params = randomise(net.init(rng), rng)
    x, context = rng.standard_normal((1, len(ins))), rng.standard_normal(3)
    for depth in range(len(params)):
        alone = [layer if k == depth else {**layer, "C": 0 * layer["C"]} for k, layer in enumerate(params)]
        J = jacobian(lambda c, alone=alone: net(alone, x, c[None])[0])(context)
        assert np.all(J != 0), depth


def test_masks_by_hand() -> None:
    first, last = made_masks((1, 2), (3,), (1, 2, 3))  # units of degree 0, 1, 2
    assert first.tolist() == [[False, True, True], [False, False, True]]
    assert last.tolist() == [[True, True, True], [False, True, True], [False, False, True]]


# --------------------------------------------------------------------------------------------------------- the formula

@given(seed=seeds, inputs=st.integers(0, 4), outputs=st.integers(1, 3), hidden=widths, c=contexts)
def test_mlp_is_the_formula(seed: int, inputs: int, outputs: int, hidden: tuple[int, ...], c: int) -> None:
    rng = generator(seed)
    net = MLP(inputs, outputs, hidden, "tanh", c)
    params = randomise(net.init(rng), rng)
    x = rng.standard_normal((3, inputs))
    context = rng.standard_normal((3, c)) if c else None
    for i in range(3):
        h = list(x[i])
        for depth, layer in enumerate(params):
            fan_out = layer["W"].shape[1]
            h = [
                sum(h[k] * layer["W"][k, j] for k in range(len(h))) + layer["b"][j]
                + sum(context[i, k] * layer["C"][k, j] for k in range(c) if context is not None)
                for j in range(fan_out)
            ]
            h = [math.tanh(a) for a in h] if depth < len(hidden) else h
        said = net(params, x, context)[i]
        np.testing.assert_allclose(said, h, rtol=0, atol=tolerances.value(np.float64, np.abs(h).max()))


def test_a_masked_network_with_nothing_forbidden_is_the_plain_one() -> None:
    rng = generator(5)
    plain, masked = MLP(3, 2, (6, 5), "silu", 2), MaskedMLP((1, 1, 1), (2, 2), (6, 5), "silu", 2)
    params = randomise(plain.init(rng), rng)
    x, context = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    assert np.array_equal(plain(params, x, context), masked(params, x, context))


def test_a_last_layer_may_do_without_a_bias() -> None:
    net, x = MLP(2, 1, (4,)), generator(6).standard_normal((5, 2))
    *layers, last = randomise(net.init(generator(7)), generator(8))
    without, zero = [*layers, {"W": last["W"]}], [*layers, {"W": last["W"], "b": np.zeros(1)}]
    np.testing.assert_array_equal(net(without, x), net(zero, x))
    assert np.abs(net(without, x) - net([*layers, last], x)).min() > 0


def test_start() -> None:
    """Weights N(0, 1 / fan_in), where the context counts as input; the last layer times final_scale; biases 0.

    The mean square of k weights has a relative standard deviation of sqrt(2 / k); 4.9 of them fail once in 1e6 seeds.
    """
    params = MLP(60, 50, (80, 70), context_dim=20, final_scale=0.01).init(generator(1))
    assert [sorted(layer) for layer in params] == [["C", "W", "b"]] * 3
    for layer, (fan_in, fan_out), scale in zip(params, [(60, 80), (80, 70), (70, 50)], [1, 1, 0.01], strict=True):
        assert layer["W"].shape == (fan_in, fan_out)
        assert layer["C"].shape == (20, fan_out)
        assert not layer["b"].any()
        weights = np.concatenate([layer["W"], layer["C"]])
        assert abs(np.mean(weights**2) * (fan_in + 20) / scale**2 - 1) <= 4.9 * math.sqrt(2 / weights.size)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_float32_is_kept_in_values_and_gradients(name: str) -> None:
    rng = generator(2)
    for net in (MLP(3, 2, (4, 4), name, 2), MaskedMLP((1, 2, 3), (1, 3), (4, 4), name, 2)):
        params = placed(net.init(rng), np.float32)
        x, context = (rng.standard_normal((5, k)).astype(np.float32) for k in (3, 2))
        for array in (*leaves(params), x, context):
            array.flags.writeable = False
        assert net(params, x, context).dtype == np.float32

        def total(params: Tree, x: Array, net: Any = net, context: Array = context) -> Array:
            return anp.sum(net(params, x, context))

        assert {g.dtype for g in leaves(grad(total)(params, x))} == {np.dtype(np.float32)}
        assert grad(total, 1)(params, x).dtype == np.float32


# --------------------------------------------------------------------------------------------------------- activations

EXPECTED: dict[str, Callable[[float], float]] = {
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0.0),
    "leaky_relu": lambda x: x if x > 0 else 0.05 * x,
    "softplus": lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "elu": lambda x: x if x > 0 else math.expm1(x),
}
POINTS = np.array([-30.0, -3.0, -0.7, -1e-3, 1e-3, 0.4, 2.0, 30.0])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_values(name: str) -> None:
    said = ACTIVATIONS[name](np.concatenate([POINTS, [0.0, -0.0]]))
    truth = [*map(EXPECTED[name], POINTS), EXPECTED[name](0.0), EXPECTED[name](0.0)]
    np.testing.assert_allclose(said, truth, rtol=0, atol=tolerances.value(np.float64, 1.0))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_gradients(name: str) -> None:
    f = EXPECTED[name]
    numeric = [(f(x + 1e-6) - f(x - 1e-6)) / 2e-6 for x in POINTS]
    said = elementwise_grad(ACTIVATIONS[name])(POINTS)
    np.testing.assert_allclose(said, numeric, rtol=tolerances.GRADIENT_RTOL, atol=tolerances.GRADIENT_ATOL)


@pytest.mark.parametrize(("name", "slope"), [
    ("tanh", 1.0), ("relu", 0.0), ("leaky_relu", 0.05), ("softplus", 0.5), ("silu", 0.5), ("elu", 1.0),
])
def test_activations_gradients_at_zero(name: str, slope: float) -> None:
    """At a kink (relu, leaky_relu) the slope on the left; elsewhere there is only one."""
    assert elementwise_grad(ACTIVATIONS[name])(np.array([0.0, -0.0])).tolist() == [slope, slope]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_activations_far_out(name: str, dtype: type) -> None:
    """Finite, with finite gradients, in the given dtype, and without a warning."""
    x: Array = np.array([-1e4, -800.0, -100.0, 100.0, 800.0, 1e4], dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out, slopes = ACTIVATIONS[name](x), elementwise_grad(ACTIVATIONS[name])(x)
    assert out.dtype == slopes.dtype == dtype
    assert np.isfinite(out).all()
    assert np.all((slopes >= 0) & (slopes <= 1))
    ends = {"tanh": (0, 0), "leaky_relu": (0.05, 1)}.get(name, (0, 1))
    np.testing.assert_allclose(slopes[[0, -1]], ends, rtol=tolerances.value(dtype, 1.0))


# ----------------------------------------------------------------------------------------------------------- bad input

@pytest.mark.parametrize(("build", "message"), [
    (lambda: MLP(2, 0), "outputs must be an integer >= 1, got 0"),
    (lambda: MLP(-1, 1), "inputs must be an integer >= 0, got -1"),
    (lambda: MLP(2.0, 1), "inputs must be an integer >= 0, got 2.0"),  # type: ignore[arg-type]
    (lambda: MLP(2, 1, (4, 0)), "hidden must be an integer >= 1, got 0"),
    (lambda: MLP(2, 1, context_dim=-1), "context_dim must be an integer >= 0, got -1"),
    (lambda: MLP(2, 1, activation="softpuls"), "unknown activation 'softpuls', did you mean 'softplus'"),
    (lambda: MaskedMLP((1,), ()), "outputs must be an integer >= 1, got 0"),
    (lambda: MaskedMLP((1,), (1,), (0,)), "hidden must be an integer >= 1, got 0"),
    (lambda: MaskedMLP((1,), (1,), activation="rel"), "unknown activation 'rel', did you mean 'relu'"),
])
def test_bad_choices(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("net", [MLP(3, 2, (4,), context_dim=2), MaskedMLP((1, 2, 3), (1, 2), (4,), context_dim=2)])
def test_bad_input(net: MLP | MaskedMLP) -> None:
    params = net.init(generator(0))
    x, context = np.zeros((5, 3)), np.zeros((5, 2))
    with pytest.raises(ValueError, match=r"x must have shape \(n, 3\), got \(5, 4\)"):
        net(params, np.zeros((5, 4)), context)
    with pytest.raises(ValueError, match=r"x must have shape \(n, 3\), got \(3,\)"):
        net(params, x[0], context)
    with pytest.raises(ValueError, match=r"context must have shape \(5, 2\), got None"):
        net(params, x)
    with pytest.raises(ValueError, match=r"context must have shape \(5, 2\), got \(1, 2\)"):
        net(params, x, context[:1])
    without = MLP(3, 2, (4,))
    with pytest.raises(ValueError, match=r"context must be None .* shape \(5, 2\)"):
        without(without.init(generator(0)), x, context)
