"""Perceptrons, plain and masked: all activations, contexts, widths, no inputs, no hidden layers, rows in pieces, kinks."""
from itertools import product
from typing import Any
from unittest import mock

import numpy as np
import pytest
from autograd import grad, make_vjp
from hypothesis import given
from hypothesis import strategies as st

from evenflow import accel
from evenflow.accel.core import networks
from evenflow.reference.core.networks import ACTIVATIONS, MLP, MaskedMLP
from evenflow.reference.core.trees import Array, Tree, tree_map
from tests.agreement.backends import BACKENDS, backend, here, host
from tests.agreement.comparison import agree, agreement, dtypes, few
from tests.strategies import generator, randomise, seeds

hiddens = st.lists(st.integers(1, 9), max_size=3).map(tuple)
sizes = st.sampled_from([0.0, 1.0, 30.0, 1e4])   # of the inputs: the last ones saturate
activations = st.sampled_from(sorted(ACTIVATIONS))
rows = st.sampled_from([1, 2, 5, 17])
pieces = st.sampled_from([1, 4, 1024])


def arguments(net: Any, d: int, n: int, size: float, seed: int, dtype: Any) -> dict[str, Tree]:
    rng = generator(seed)
    params, x = randomise(net.init(rng), rng), size * rng.standard_normal((n, d))
    args = {"params": params, "x": x, **({"context": rng.standard_normal((n, net.context_dim))} if net.context_dim else {})}
    return tree_map(lambda leaf: leaf.astype(dtype), args)  # type: ignore[no-any-return]


@agreement("core.networks.MLP.__call__")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, activations, hiddens, st.integers(0, 4), st.integers(1, 3), st.integers(0, 2), rows, sizes, pieces)
def test_mlp(
    where: str, seed: int, dtype: Any, activation: str, hidden: tuple[int, ...], inputs: int, outputs: int, context: int,
    n: int, size: float, piece: int,
) -> None:
    net = MLP(inputs, outputs, hidden, activation, context)
    with mock.patch.object(networks, "ROWS", piece):
        agree(where, net, arguments(net, inputs, n, size, seed, dtype))


@agreement("core.networks.MaskedMLP.__call__")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, activations, hiddens, st.permutations([1, 2, 3]), st.integers(0, 2), rows, sizes, pieces)
def test_masked_mlp(
    where: str, seed: int, dtype: Any, activation: str, hidden: tuple[int, ...], degrees: list[int], context: int, n: int,
    size: float, piece: int,
) -> None:
    net = MaskedMLP(tuple(degrees), (2, *degrees, 3), hidden, activation, context)
    with mock.patch.object(networks, "ROWS", piece):
        agree(where, net, arguments(net, 3, n, size, seed, dtype))


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("n", [networks.ROWS, networks.ROWS + 1, 3 * networks.ROWS - 1])
@pytest.mark.parametrize("activation", ["tanh", "silu"])  # slopes told from h, and from a
def test_more_rows_than_one_piece(where: str, n: int, activation: str) -> None:
    net = MLP(2, 2, (4,), activation, 1)
    agree(where, net, arguments(net, 2, n, 1.0, n, np.float32))


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("n", [10, 2000])
def test_dtypes_that_differ_are_promoted_as_in_the_reference(where: str, masked: bool, n: int) -> None:
    """Parameters, points and context, each in float32 or float64, in one piece and in several; a gradient has its array's."""
    net = MaskedMLP((1, 2), (1, 2), (5,), context_dim=2) if masked else MLP(2, 3, (5,), "silu", context_dim=2)
    args = arguments(net, 2, n, 1.0, 0, np.float64)
    for kinds in product([np.float32, np.float64], repeat=3):
        mixed = {k: tree_map(lambda leaf, t=t: leaf.astype(t), v) for (k, v), t in zip(args.items(), kinds, strict=True)}

        def both(mixed: Any = mixed) -> Any:
            given = {k: here(v) for k, v in mixed.items()}
            pull, out = make_vjp(lambda x: net(given["params"], x, given["context"]))(given["x"])
            return host(out), host(pull(0 * out + 1))

        plain = net(**mixed)
        with backend(where):
            out, slope = both()
        assert out.dtype == plain.dtype == np.result_type(*kinds)
        assert slope.dtype == mixed["x"].dtype
        np.testing.assert_allclose(out, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("activation", "hidden"), [("relu", (6, 5)), ("leaky_relu", (7,)), ("elu", (7,)), ("softplus", (7,))])
def test_on_kinks_the_slope_is_the_reference_s(where: str, dtype: Any, activation: str, hidden: tuple[int, ...]) -> None:
    """Small whole numbers: pre-activations are exact in any order of summation, and many are exactly 0."""
    def whole(leaf: Array) -> Array:
        return rng.integers(-1, 2, leaf.shape).astype(dtype)

    rng, net = generator(3), MLP(3, 2, hidden, activation, 1)
    args = tree_map(whole, arguments(net, 3, 40, 1.0, 0, dtype))
    before = args["x"] @ args["params"][0]["W"] + args["params"][0]["b"] + args["context"] @ args["params"][0]["C"]
    assert np.mean(before == 0) > 0.1
    agree(where, net, args, rounded=False)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_what_is_not_finite_shows(where: str, activation: str) -> None:
    """NaN passes through every activation, and stays in its own row."""
    net = MLP(2, 1, (3,), activation)
    args = arguments(net, 2, 3, 1.0, 0, np.float64)
    args["x"][1, 0] = np.nan
    with backend(where), np.errstate(invalid="ignore"):
        out = host(net(**here(args)))
    np.testing.assert_array_equal(np.isnan(out[:, 0]), [False, True, False])


def test_second_derivatives_are_refused() -> None:
    net = MLP(1, 1, (3,))
    args = arguments(net, 1, 2, 1.0, 0, np.float64)
    with accel.use("numpy"), pytest.raises(NotImplementedError, match="first derivatives only"):
        grad(lambda x: grad(lambda x: net(args["params"], x).sum())(x).sum())(args["x"])


@pytest.mark.parametrize("where", BACKENDS)
def test_bad_shapes_are_named(where: str) -> None:
    for net in (MLP(2, 1, context_dim=1), MaskedMLP((1, 2), (1, 2), context_dim=1)):
        args = arguments(net, 2, 3, 1.0, 0, np.float64)
        with backend(where):
            args = here(args)
            with pytest.raises(ValueError, match=r"x must have shape \(n, 2\), got \(3, 1\)"):
                net(args["params"], args["x"][:, :1], args["context"])
            with pytest.raises(ValueError, match=r"context must have shape \(3, 1\), got None"):
                net(args["params"], args["x"])
            with pytest.raises(ValueError, match=r"context must have shape \(3, 1\), got \(2, 1\)"):
                net(args["params"], args["x"], args["context"][:2])
