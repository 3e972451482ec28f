"""Chains of couplings with narrow networks, one launch each way on the device: any widths, masks and tiles."""
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.accel.kernels import chain
from evenflow.reference.core.gradients import value_and_gradient
from evenflow.reference.core.networks import ACTIVATIONS
from evenflow.reference.core.placement import placed
from evenflow.reference.flows import AffineTransformer, Chain, Coupling, SplineTransformer, elementwise
from evenflow.reference.saef.semiautoregressive import draws_of
from tests.agreement.backends import backend
from tests.agreement.comparison import agree, cotangents, dtypes, few
from tests.agreement.test_bijections import in_dtype
from tests.standin import counting, xp
from tests.strategies import generator, randomise, seeds

WHERE = ["standin", pytest.param("cupy", marks=pytest.mark.gpu)]
TRANSFORMERS: dict[str, Any] = {"affine": AffineTransformer(), "spline": SplineTransformer(3, 2.0)}
HIDDEN = [(17, 70), (16,), (3, 33, 20), (68, 68), ()]  # below and above what is thin, and what one pass of a tile takes
DEVICES = {(8, 128): 1, (4, 64): 2, (4, 32): 4, (4, 16): 7, (4, 8): 132}  # tile: multiprocessors, for 65 to 127 rows; or more


@pytest.fixture
def processors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Sets how many multiprocessors the device says it has."""
    def pretend(count: int) -> None:
        known = {"multiProcessorCount": count, "sharedMemPerBlockOptin": 227 * 1024}
        monkeypatch.setattr(chain, "attribute", lambda xp, name: known[name])
        chain.shape_of.cache_clear()

    yield pretend
    chain.shape_of.cache_clear()


def made(d: int, hidden: tuple[int, ...], activation: str, transformer: str, context: int) -> Chain:
    """Two couplings with masks of different lengths, and an elementwise one."""
    T = TRANSFORMERS[transformer]
    masks = tuple(i % 3 == 0 for i in range(d)), tuple(i % 3 > 0 for i in range(d))
    layers = [Coupling(mask, T, hidden, activation, context, final_scale=0.5) for mask in masks]
    return Chain((*layers, elementwise(d, AffineTransformer(), context, final_scale=0.5)))


def arguments(T: Chain, rng: Any, n: int) -> dict[str, Any]:
    args = {"params": T.init(rng), "v": rng.standard_normal((n, T.d))}
    return {**args, "context": rng.standard_normal((n, T.context_dim))} if T.context_dim else args


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("way", ["forward", "inverse"])
@pytest.mark.parametrize("transformer", TRANSFORMERS)
@settings(few, max_examples=12)
@given(
    seeds, dtypes, cotangents, st.sampled_from([2, 3, 8, 64]), st.sampled_from(HIDDEN), st.sampled_from(sorted(ACTIVATIONS)),
    st.sampled_from([0, 1, 19]), st.sampled_from([1, 2, 9, 21]),
)
def test_chains(
    where: str, way: str, transformer: str, seed: int, dtype: Any, used: str, d: int, hidden: tuple[int, ...], activation: str,
    context: int, n: int,
) -> None:
    rng = generator(seed)
    T = made(d, hidden, activation, transformer, context)
    args = arguments(T, rng, n)
    agree(where, lambda params, v, context=None: getattr(T, way)(params, v, context), in_dtype(args, dtype), used)


@pytest.mark.parametrize("tile", DEVICES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("activation", "n"), [("tanh", 127), ("silu", 301)])
def test_every_tile(tile: tuple[int, int], dtype: Any, activation: str, n: int, processors: Any) -> None:
    """Some rows short of a multiple; 301 rows are more tiles than there are blocks."""
    count = DEVICES[tile]
    processors(count)
    T, rng = made(3, (17, 70), activation, "affine", 2), generator(1)
    if n == 127:
        couplings = (chain.Coupling((1, 17, 70, 4), (0,), (1, 2), 2, 0, 0, 3.0),)
        assert chain.shape_of(xp, couplings, np.dtype(dtype), 127 if count == 1 else 66 if count == 2 else n)[:2] == tile
    agree("standin", lambda params, v, context: T.inverse(params, v, context), in_dtype(arguments(T, rng, n), dtype), "both")


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("transformer", TRANSFORMERS)
def test_draws_share_their_contexts(where: str, transformer: str) -> None:
    T, rng = made(3, (20, 5), "relu", transformer, 4), generator(2)
    args = {"params": T.init(rng), "z": rng.standard_normal((3, 7, 3)), "h": rng.standard_normal((7, 4))}
    agree(where, lambda params, z, h: draws_of(T, params, z, h), in_dtype(args, np.float32))


def test_one_launch_forth_two_back_and_the_gradient_lies_in_one_piece() -> None:
    T = made(3, (20,), "relu", "spline", 0)
    with backend("standin"):
        params, x = placed(randomise(T.init(generator(0)), generator(1)), "float32"), placed(np.ones((20, 3)), "float32")
        loss = lambda params: T.inverse(params, x)[1].sum()
        for _ in range(3):
            with counting() as count:
                params = value_and_gradient(loss, params)[1]
        counted = {name: n for name, n in count.by_name.items() if n}
        assert counted == {"chain_forward": 1, "chain_backward": 1, "sum_blocks": 1, "sum": 1, "ones": 1}
        assert (count.uploads, count.synchronisations) == (0, 0)


def test_wide_networks_go_layer_by_layer() -> None:
    for widths, narrow in (((128,), True), ((129,), False)):
        T = Coupling((True, False), hidden=widths)
        with backend("standin"):
            params, x = placed(T.init(generator(0)), "float32"), placed(np.ones((2, 2)), "float32")
            with counting() as count:
                T.forward(params, x)
        assert count.by_name["chain_forward"] == narrow


def test_parameters_of_another_shape_are_refused() -> None:
    T, other = Coupling((True, False), hidden=(4,)), Coupling((True, False, False), hidden=(4,))
    with backend("standin"), pytest.raises(ValueError, match=r"params\[1\]\[\'W\'\] must have shape \(4, 2\), got \(4, 4\)"):
        T.forward(placed(other.init(generator(0)), "float32"), placed(np.ones((2, 2)), "float32"))


def test_parameters_of_one_buffer_in_another_order() -> None:
    """Only those that follow each other are taken where they lie."""
    T, rng = Coupling((True, False), hidden=(3,), final_scale=1.0), generator(3)
    params, x = T.init(rng), rng.standard_normal((4, 2))
    expected, log_det = T.forward(params, x)
    with backend("standin"):
        buffer, at, moved = xp.empty(64, np.float64), 64, []
        for layer in params:
            leaves = {}
            for name, leaf in layer.items():
                at -= leaf.size + 1
                leaves[name] = buffer[at : at + leaf.size].reshape(leaf.shape)
                leaves[name][...] = xp.asarray(leaf)
            moved.append(leaves)
        image, said = T.forward(moved, xp.asarray(x))
    np.testing.assert_allclose(image.get(), expected, rtol=1e-12)
    np.testing.assert_allclose(said.get(), log_det, rtol=1e-12)


def test_no_rows() -> None:
    T = made(3, (4,), "relu", "affine", 0)
    with backend("standin"):
        params, x = placed(T.init(generator(0)), "float32"), placed(np.ones((0, 3)), "float32")
        assert T.forward(params, x)[0].shape == (0, 3)
        value, grads = value_and_gradient(lambda params: T.inverse(params, x)[1].sum(), params)
        assert float(value) == 0
        assert not grads[0][0]["W"].any()
