"""Convolutions: shapes, strides, paddings, kernels of one pixel, no images, pieces; activations and gates, on kinks too.

What is not asked for is not computed; the kernels on the CPU, forth and back each other's adjoints.
"""
from collections.abc import Callable
from typing import Any
from unittest import mock

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from hypothesis import given
from hypothesis import strategies as st

from evenflow.accel.core import convolution
from evenflow.accel.core.convolution import Window
from evenflow.accel.kernels import convolution as kernels
from evenflow.reference.core import activated, conv2d
from evenflow.reference.core.convolution import ConvNet, gated
from evenflow.reference.core.convolution import patches as patches_by_definition
from evenflow.reference.core.networks import ACTIVATIONS
from evenflow.reference.core.trees import Array, Tree, tree_map
from tests.agreement.backends import BACKENDS, backend, here, host
from tests.agreement.comparison import agree, agreement, dtypes, few
from tests.standin import counting, xp
from tests.strategies import generator, randomise, seeds

edges, channels, images = st.integers(1, 6), st.integers(1, 3), st.sampled_from([0, 1, 2, 5])
kernel_sizes, strides, paddings = st.integers(1, 4), st.integers(1, 3), st.sampled_from([None, 0, 1, 3])
bytes_of_a_piece = st.sampled_from([1, 2000, 2**20])
any_shape = st.lists(st.integers(0, 5), max_size=4).map(tuple)


def arguments(seed: int, dtype: Any, x: tuple[int, ...], k: int, outputs: int) -> dict[str, Array]:
    rng = generator(seed)
    args = {"x": rng.standard_normal(x), "W": rng.standard_normal((k, k, x[3], outputs)), "b": rng.standard_normal(outputs)}
    return {name: a.astype(dtype) for name, a in args.items()}


@agreement("core.convolution.conv2d")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, images, edges, edges, channels, channels, kernel_sizes, strides, paddings, bytes_of_a_piece)
def test_conv2d(
    where: str, seed: int, dtype: Any, n: int, h: int, w: int, c: int, o: int, k: int, stride: int, padding: int | None,
    piece: int,
) -> None:
    around = k // 2 if padding is None else padding
    h, w = (max(edge, k - 2 * around) for edge in (h, w))
    with mock.patch.object(convolution, "PIECE", piece):
        agree(where, lambda x, W, b: conv2d(x, W, b, stride, padding), arguments(seed, dtype, (n, h, w, c), k, o))


@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, images, edges, edges, channels, channels, kernel_sizes, strides, bytes_of_a_piece, st.floats(0, 1))
def test_masks(
    where: str, seed: int, dtype: Any, n: int, h: int, w: int, c: int, o: int, k: int, stride: int, piece: int, share: float,
) -> None:
    """Any mask: of nothing, of all, with what comes last or without; weights that count nothing may be anything."""
    args, rng = arguments(seed, dtype, (n, max(h, k), max(w, k), c), k, o), generator(seed)
    mask = (rng.random(args["W"].shape) < share) & (np.arange(k * k) < rng.integers(0, k * k + 1)).reshape(k, k, 1, 1)
    with mock.patch.object(convolution, "PIECE", piece):
        agree(where, lambda x, W, b: conv2d(x, W, b, stride, mask=mask), args)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("piece", [1, 2**20])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, None), (2, 0), (1, 1)])
def test_a_kernel_of_one_pixel(where: str, piece: int, stride: int, padding: int | None) -> None:
    """With stride 1 and no zeros around, there are no patches."""
    for dtype in (np.float32, np.float64):
        with mock.patch.object(convolution, "PIECE", piece):
            agree(where, lambda x, W, b: conv2d(x, W, b, stride, padding), arguments(0, dtype, (3, 4, 5, 2), 1, 3))


@agreement("core.networks.activated")
@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("name", ACTIVATIONS)
@few
@given(seeds, dtypes, any_shape, st.sampled_from([1.0, 30.0]), st.sampled_from([3, 4096]))
def test_activated(where: str, name: str, seed: int, dtype: Any, shape: tuple[int, ...], size: float, numbers: int) -> None:
    h = size * np.asarray(generator(seed).standard_normal(shape), dtype)
    with mock.patch.object(convolution, "NUMBERS", numbers):
        agree(where, lambda h: activated(h, name), {"h": h.astype(dtype)})


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "softplus"])
def test_on_kinks_the_slope_is_the_reference_s(where: str, dtype: Any, name: str) -> None:
    agree(where, lambda h: activated(h, name), {"h": np.array([0.0, -1.0, 1.0, 0.0], dtype)}, rounded=False)


@agreement("core.convolution.gated")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, st.lists(st.integers(0, 4), max_size=3).map(tuple), st.integers(1, 5), st.sampled_from([1.0, 30.0]))
def test_gated(where: str, seed: int, dtype: Any, shape: tuple[int, ...], k: int, size: float) -> None:
    a = size * generator(seed).standard_normal((*shape, 2 * k))
    agree(where, gated, {"a": a.astype(dtype)})


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("groups", [None, 1, 2])
@pytest.mark.parametrize("context_dim", [0, 3])
def test_networks(where: str, groups: int | None, context_dim: int) -> None:
    """Masked, with a context at every place, all leaves in one buffer."""
    net, rng = ConvNet((4, 3, 2), 4, 6, 1, context_dim=context_dim, groups=groups), generator(0)
    args: dict[str, Tree] = {"params": randomise(net.init(rng), rng), "x": rng.standard_normal((3, 4, 3, 2))}
    if context_dim:
        args["context"] = rng.standard_normal((3, context_dim))
    for dtype in (np.float32, np.float64):
        agree(where, net, tree_map(lambda leaf, to=dtype: leaf.astype(to), args))


@pytest.mark.parametrize("where", BACKENDS)
def test_shapes_that_do_not_fit_are_refused_as_by_the_reference(where: str) -> None:
    args = arguments(0, np.float64, (1, 4, 4, 2), 3, 2)
    with backend(where):
        x, W, b = (here(args[name]) for name in "xWb")
        calls: list[tuple[Callable[[], Any], str]] = [
            (lambda: conv2d(x[:, :, :, :1], W, b), "W must"), (lambda: conv2d(x, W, b[:1]), "b must"),
            (lambda: conv2d(x[:, :2], W, b, padding=0), "x must be at least as large as the kernel"),
            (lambda: activated(x, "elo"), "unknown activation 'elo', did you mean 'elu'"),
            (lambda: gated(x[..., :1]), "a must have shape"),
        ]
        for call, message in calls:
            with pytest.raises(ValueError, match=message):
                call()


@pytest.mark.parametrize("wanted", ["x", "W", "b"])
def test_what_is_not_asked_for_is_not_computed(wanted: str) -> None:
    """MALA asks for x alone: one product and a gather back; training at the data for the weights alone: patches, a product."""
    args = arguments(0, np.float32, (2, 5, 5, 2), 3, 4)
    with backend("standin"):
        placed = {name: here(a) for name, a in args.items()}
        slope: Callable[[Array], Array] = grad(lambda a: anp.sum(conv2d(**{**placed, wanted: a})))
        slope(placed[wanted])
        with counting() as count:
            slope(placed[wanted])
    back = {"x": {"unpatched": 1, "patches": 1}, "W": {"patches": 2}, "b": {"patches": 2}}[wanted]  # one is the way forth
    assert {name: count.by_name[name] for name in ("patches", "unpatched") if count.by_name[name]} == back
    assert count.uploads == count.synchronisations == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("k", "stride", "padding"), [(3, 1, 1), (4, 2, 1), (2, 3, 2), (1, 1, 0), (5, 1, 0)])
def test_the_kernels_are_each_other_s_adjoints(dtype: Any, k: int, stride: int, padding: int) -> None:
    """And patches are those of the definition, to the last bit."""
    rng, window, c = generator(0), Window(k, stride, padding, 6, 5, k * k), 2
    x = rng.standard_normal((3, 6, 5, c)).astype(dtype)
    P = kernels.patches(window, xp.asarray(x)).get()
    assert np.array_equal(P[:, :-1], patches_by_definition(x, k, stride, padding).reshape(len(P), -1))
    assert (P[:, -1] == 1).all()
    y = rng.standard_normal((len(P), k * k * c)).astype(dtype)
    back = kernels.unpatched(window, xp.asarray(y), x.shape).get()
    np.testing.assert_allclose(np.vdot(P[:, :-1], y), np.vdot(x, back), rtol=1e-4 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("where", BACKENDS)
def test_gradients_that_repeat_one_number(where: str) -> None:
    """The gradient of a sum is a view of one number; images may be views, too."""
    args = arguments(0, np.float64, (4, 5, 5, 2), 3, 4)
    x = np.ascontiguousarray(args["x"].transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
    loss = lambda x, W, b: anp.sum(gated(activated(conv2d(x, W, b), "elu")))
    expected = [grad(loss, i)(*args.values()) for i in range(3)]
    with backend(where):
        given = here(x).transpose(0, 1, 2, 3), here(args["W"]), here(args["b"])
        for i, e in enumerate(expected):
            np.testing.assert_allclose(host(grad(loss, i)(*given)), e, rtol=1e-12, atol=1e-12)
