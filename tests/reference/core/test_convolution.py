"""Convolutions against the plain loop and differences; masks by exact zeros; one place after the other as all at once."""
import math
from collections.abc import Callable
from itertools import product
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad, jacobian
from autograd.test_util import check_grads
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

from evenflow.reference.core.convolution import ConvNet, causal_mask, conv2d, conv_at, gated, patches, unpatched
from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array, leaves
from tests import tolerances
from tests.strategies import generator, randomise, seeds

few = settings(max_examples=15)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], int, int | None]:
    """Shapes of x and W, stride, padding: kernels odd and even, 1 x 1 too; images that the stride does not divide."""
    k, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    padding = draw(st.none() | st.integers(0, 2))
    least = max(1, k - 2 * (k // 2 if padding is None else padding))
    h, w = draw(st.integers(least, least + 4)), draw(st.integers(least, least + 4))
    c, o = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return (2, h, w, c), (k, k, c, o), stride, padding


def close(said: Array, truth: Array, size: float = 100.0) -> None:
    assert said.shape == truth.shape
    np.testing.assert_allclose(said, truth, rtol=0, atol=tolerances.value(np.float64, size))


def drawn(seed: int, *shapes: tuple[int, ...]) -> list[Array]:
    rng = generator(seed)
    return [rng.standard_normal(shape) for shape in shapes]


# ------------------------------------------------------------------------------------------------------ the convolution

@few
@given(seed=seeds, case=convolutions())
def test_conv2d_is_a_loop_over_the_formula(seed: int, case: Any) -> None:
    """And scipy's correlation, summed over the channels."""
    x_shape, W_shape, stride, padding = case
    x, W, b = drawn(seed, x_shape, W_shape, W_shape[3:])
    (n, h, w, c), (k, _, _, o) = x_shape, W_shape
    p = k // 2 if padding is None else padding
    said = conv2d(x, W, b, stride, padding)
    truth = np.zeros((n, (h + 2 * p - k) // stride + 1, (w + 2 * p - k) // stride + 1, o))
    for r, i, j, to in np.ndindex(truth.shape):
        truth[r, i, j, to] = b[to]
        for u, v, channel in np.ndindex(k, k, c):
            y, z = stride * i + u - p, stride * j + v - p
            if 0 <= y < h and 0 <= z < w:
                truth[r, i, j, to] += x[r, y, z, channel] * W[u, v, channel, to]
    close(said, truth)
    around = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    for r, to in np.ndindex(n, o):
        channels = [correlate(around[r, :, :, channel], W[:, :, channel, to], "valid") for channel in range(c)]
        close(said[r, :, :, to], b[to] + np.sum(channels, axis=0)[::stride, ::stride])


@few
@given(seed=seeds, case=convolutions())
def test_first_and_second_derivatives_against_differences(seed: int, case: Any) -> None:
    x_shape, W_shape, stride, padding = case
    x, W, b = drawn(seed, x_shape, W_shape, W_shape[3:])
    check_grads(lambda x, W, b: anp.tanh(conv2d(x, W, b, stride, padding)), modes=["rev"], order=2)(x, W, b)


@few
@given(seed=seeds, case=convolutions())
def test_patches_and_unpatched_are_each_others_adjoints(seed: int, case: Any) -> None:
    """<patches(x), y> = <x, unpatched(y)>; and each patch is what it says."""
    x_shape, (k, *_), stride, padding = case
    p = k // 2 if padding is None else padding
    (x,) = drawn(seed, x_shape)
    rows = patches(x, k, stride, p)
    (y,) = drawn(seed + 1, rows.shape)
    close(np.sum(rows * y), np.sum(x * unpatched(y, x_shape, k, stride, p)))
    last = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))[:, stride * (rows.shape[1] - 1) :][:, :k, :k]
    assert np.array_equal(rows[:, -1, 0].reshape(last.shape), last)


def test_same_keeps_the_size_for_every_odd_kernel() -> None:
    for k in (1, 3, 5):
        assert conv2d(np.ones((1, 4, 6, 2)), np.ones((k, k, 2, 3)), np.zeros(3)).shape == (1, 4, 6, 3)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_dtype_is_kept_in_values_and_gradients_and_inputs_are_untouched(dtype: Any) -> None:
    x, W, b = (a.astype(dtype) for a in drawn(0, (2, 5, 4, 2), (3, 3, 2, 3), (3,)))
    net = ConvNet((4, 3, 2), 2, width=4, blocks=1, context_dim=2, groups=1)
    params, image, context = (placed(tree, dtype) for tree in (net.init(generator(1)), *drawn(2, (2, 4, 3, 2), (2, 2))))
    for array in (x, W, b, image, context, *leaves(params)):
        array.flags.writeable = False
    assert conv2d(x, W, b, 2).dtype == gated(x).dtype == net(params, image, context).dtype == dtype
    assert conv2d(x[:0], W, b).shape == (0, 5, 4, 3)
    slopes = grad(lambda W: anp.sum(conv2d(x, W, b)))(W)
    of_net = grad(lambda params: anp.sum(net(params, image, context)))(params)
    assert {leaf.dtype for leaf in (slopes, *leaves(of_net))} == {np.dtype(dtype)}
    assert net.walker(params, context)((0, 0), image[:, 0, 0]).dtype == dtype


# ------------------------------------------------------------------------------------------------------------ the masks

def test_masks_by_hand() -> None:
    assert causal_mask(3, "A", 1, 1)[:, :, 0, 0].astype(int).tolist() == [[1, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert causal_mask(3, "B", 1, 1)[:, :, 0, 0].astype(int).tolist() == [[1, 1, 1], [1, 1, 0], [0, 0, 0]]
    assert causal_mask(1, "A", 3, 6, 3)[0, 0].astype(int).tolist() == [[0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1], [0] * 6]
    assert causal_mask(1, "B", 3, 3, 3)[0, 0].astype(int).tolist() == [[1, 1, 1], [0, 1, 1], [0, 0, 1]]


def seen(net: ConvNet, seed: int) -> tuple[Array, Array, Array]:
    """Whether output (i, j, o) moves with input (y, z, c), flat; and the order in which places and groups of both are read."""
    rng = generator(seed)
    params = randomise(net.init(rng), rng)
    h, w, c = net.shape
    J = jacobian(lambda x: net(params, anp.reshape(x, (1, h, w, c)))[0])(rng.standard_normal(h * w * c))
    groups = net.groups or 1

    def rank(channels: int) -> Array:
        i, j, channel = np.indices((h, w, channels))
        return ((i * w + j) * groups + channel * groups // channels).ravel()

    return J.reshape(-1, h * w * c) != 0, rank(net.outputs), rank(c)


@pytest.mark.parametrize(("shape", "outputs", "groups", "blocks", "kernel"), [
    ((3, 4, 1), 2, 1, 0, 3), ((3, 4, 2), 2, 1, 2, 3), ((3, 3, 3), 6, 3, 2, 3), ((4, 3, 3), 3, 3, 0, 3), ((3, 4, 2), 3, 1, 1, 5),
    ((2, 3, 2), 1, 1, 1, 1),
])
def test_a_masked_network_sees_what_comes_before_and_nothing_else(
    shape: Any, outputs: int, groups: int, blocks: int, kernel: int
) -> None:
    """Exact zeros for every pair of places and groups; and what lies before, in reach of W_0, is not zero: its own place's
    earlier groups, the places to the left and above."""
    net = ConvNet(shape, outputs, width=6, blocks=blocks, kernel=kernel, groups=groups)
    moves, after, before = seen(net, 3)
    assert not np.any(moves & (before[None, :] >= after[:, None]))
    (h, w, c), r = shape, kernel // 2
    for (i, j), (y, z), (o, channel) in product(np.ndindex(h, w), np.ndindex(h, w), np.ndindex(outputs, c)):
        to, of = (i * w + j) * outputs + o, (y * w + z) * c + channel
        if max(abs(i - y), abs(j - z)) <= r and before[of] < after[to]:
            assert moves[to, of], ((i, j, o), (y, z, channel))


def test_a_plain_network_sees_its_whole_neighbourhood() -> None:
    moves, _, _ = seen(ConvNet((3, 3, 2), 2, width=6, blocks=1), 4)
    assert moves.all()


def test_a_stack_of_small_kernels_has_the_blind_spot_that_is_spoken_of() -> None:
    moves, _, _ = seen(ConvNet((2, 6, 1), 1, width=6, blocks=6, groups=1), 5)
    line = moves.reshape(2, 6, 2, 6)[1, 2, 0]
    assert line.tolist() == [True, True, True, True, False, False]  # the line above ends one column to the right


# ---------------------------------------------------------------------------------------------------------- the network

@pytest.mark.parametrize("groups", [None, 1])
def test_the_network_is_its_formula(groups: int | None) -> None:
    net = ConvNet((3, 4, 2), 3, width=4, blocks=2, context_dim=2, groups=groups)
    params = randomise(net.init(generator(0)), generator(1))
    x, context = drawn(2, (2, 3, 4, 2), (2, 2))
    masks: list[Any] = [1.0 if m is None else m for m in net.masks]

    def conv(depth: int, h: Array) -> Array:
        layer = params["layers"][depth]
        return conv2d(h, layer["W"] * masks[depth], layer["b"]) + (context @ layer["C"])[:, None, None, :]

    def elu(a: Array) -> Array:
        return np.where(a > 0, a, np.expm1(np.minimum(a, 0)))

    h = conv(0, x) + params["places"]
    for depth in (1, 3):
        u, v = np.split(conv(depth, elu(h)), 2, axis=3)
        h = h + conv(depth + 1, np.tanh(u) / (1 + np.exp(-v)))
    close(net(params, x, context), conv(5, elu(h)), 1e3)


@pytest.mark.parametrize("groups", [None, 1, 2])
def test_every_layer_takes_the_context_to_every_place(groups: int | None) -> None:
    """The first place too, which sees no pixel. With the context kept out of all layers but one, it still arrives."""
    net = ConvNet((2, 3, 2), 2, width=8, blocks=1, context_dim=3, groups=groups)
    params = randomise(net.init(generator(0)), generator(1))
    x, context = drawn(2, (1, 2, 3, 2), (3,))
    for depth in range(len(params["layers"])):
        alone = {**params, "layers": [
            layer if i == depth else {**layer, "C": 0 * layer["C"]} for i, layer in enumerate(params["layers"])
        ]}
        J = jacobian(lambda c, alone=alone: net(alone, x, c[None])[0])(context)
        assert np.all(np.abs(J).max(axis=3) > 0), depth


def test_gradients_of_the_network_against_differences() -> None:
    """In every parameter, x and the context. elu has a second derivative that jumps at 0: first order alone."""
    net = ConvNet((3, 2, 1), 2, width=2, blocks=1, context_dim=1, groups=1)
    params, (x, context) = randomise(net.init(generator(0)), generator(1)), drawn(2, (2, 3, 2, 1), (2, 1))
    check_grads(net, modes=["rev"], order=1)(params, x, context)


@few
@given(seed=seeds, h=st.integers(1, 4), w=st.integers(1, 4), blocks=st.integers(0, 2), kernel=st.sampled_from([1, 3, 5]),
       c=st.sampled_from([0, 2]))
def test_one_place_after_the_other_is_the_whole_network(seed: int, h: int, w: int, blocks: int, kernel: int, c: int) -> None:
    net = ConvNet((h, w, 2), 3, width=4, blocks=blocks, kernel=kernel, context_dim=c, groups=1)
    rng = generator(seed)
    params = randomise(net.init(rng), rng)
    x, context = rng.standard_normal((2, h, w, 2)), rng.standard_normal((2, c)) if c else None
    step, last = net.walker(params, context), rng.standard_normal((2, 2))  # what comes before the first place counts nothing
    for i, j in np.ndindex(h, w):
        close(step((i, j), last), net(params, x, context)[:, i, j], 1e3)
        last = x[:, i, j]


def test_conv_at_is_conv2d_at_one_place_where_all_is_known() -> None:
    x, W, b = drawn(0, (2, 3, 4, 2), (3, 3, 2, 3), (3,))
    known = {(i, j): x[:, i, j] for i, j in np.ndindex(3, 4)}
    for place in np.ndindex(3, 4):
        close(conv_at(place, known, W, b), conv2d(x, W, b)[:, place[0], place[1]])


def test_start() -> None:
    """Weights N(0, 1 / fan in), the context counted in, the last layer's times final_scale; biases and places 0.

    The mean square of k weights has a relative standard deviation of sqrt(2 / k); 4.9 of them fail once in 1e6 seeds.
    """
    net = ConvNet((5, 4, 12), 40, width=40, blocks=1, context_dim=20, final_scale=0.01)
    params = net.init(generator(1))
    assert params["places"].shape == (5, 4, 40)
    assert not params["places"].any()
    for layer, (k, fan_in, fan_out), scale in zip(params["layers"], net.sizes, (1, 1, 1, 0.01), strict=True):
        assert layer["W"].shape == (k, k, fan_in, fan_out)
        assert not layer["b"].any()
        weights = np.concatenate([layer["W"].reshape(-1, fan_out), layer["C"]])
        assert abs(np.mean(weights**2) * (k * k * fan_in + 20) / scale**2 - 1) <= 4.9 * math.sqrt(2 / weights.size)


def test_gated_by_hand() -> None:
    u, v = drawn(0, (3, 4), (3, 4))
    close(gated(np.concatenate([u, v], axis=1)), np.tanh(u) / (1 + np.exp(-v)))
    with np.errstate(all="raise"):
        assert gated(np.array([1e4, -1e4])).tolist() == [0.0]
    check_grads(gated, modes=["rev"], order=2)(u)


# ------------------------------------------------------------------------------------------------------------ bad input

X, W, B = np.zeros((2, 4, 3, 2)), np.zeros((3, 3, 2, 5)), np.zeros(5)
NET = ConvNet((4, 3, 2), 2, width=4, blocks=1, context_dim=1, groups=1)


@pytest.mark.parametrize(("act", "message"), [
    (lambda: conv2d(X[0], W, B), r"x must have shape \(n, h, w, c\), got \(4, 3, 2\)"),
    (lambda: conv2d(X, W[..., 0], B), r"W must have shape \(k, k, 2, o\), got \(3, 3, 2\)"),
    (lambda: conv2d(X, np.array(1.0), B), r"W must have shape \(k, k, 2, o\), got \(\)"),
    (lambda: conv2d(X, W[:2], B), r"W must have shape \(2, 2, 2, o\), got \(2, 3, 2, 5\)"),
    (lambda: conv2d(X, W[:, :, :1], B), r"W must have shape \(k, k, 2, o\), got \(3, 3, 1, 5\)"),
    (lambda: conv2d(X, W[:0, :0], B), "the edge of W must be an integer >= 1, got 0"),
    (lambda: conv2d(X, W, B[:4]), r"b must have shape \(5,\), got \(4,\)"),
    (lambda: conv2d(X, W, B, 0), "stride must be an integer >= 1, got 0"),
    (lambda: conv2d(X, W, B, 1, -1), "padding must be an integer >= 0, got -1"),
    (lambda: conv2d(X, W, B, 1, 0.5), "padding must be an integer >= 0, got 0.5"),  # type: ignore[arg-type]
    (lambda: conv2d(X[:, :, :2], W, B, 1, 0),
     r"x must be at least as large as the kernel, got \(4, 2\) with 0 zeros around it for an edge of 3"),
    (lambda: conv2d(1j * X, W, B), "x must hold real numbers, got dtype complex128"),
    (lambda: causal_mask(3, "a", 1, 1), "unknown kind 'a'. Known: A, B"),
    (lambda: causal_mask(2, "A", 1, 1), "k must be odd, and groups divide channels and outputs, got 2, 1, 1, 1"),
    (lambda: causal_mask(3, "A", 4, 3, 3), "k must be odd, and groups divide channels and outputs, got 3, 3, 4, 3"),
    (lambda: causal_mask(3, "A", 1, 1, 0), "groups must be an integer >= 1, got 0"),
    (lambda: gated(np.zeros((2, 3))), r"a must have shape \(\.\.\., 2 k\), got \(2, 3\)"),
    (lambda: ConvNet((4, 3), 2), r"shape must be \(h, w, c\), got \(4, 3\)"),  # type: ignore[arg-type]
    (lambda: ConvNet((4, 0, 1), 2), "shape must be an integer >= 1, got 0"),
    (lambda: ConvNet((4, 3, 1), 0), "outputs must be an integer >= 1, got 0"),
    (lambda: ConvNet((4, 3, 1), 1, width=0), "width must be an integer >= 1, got 0"),
    (lambda: ConvNet((4, 3, 1), 1, blocks=-1), "blocks must be an integer >= 0, got -1"),
    (lambda: ConvNet((4, 3, 1), 1, context_dim=-1), "context_dim must be an integer >= 0, got -1"),
    (lambda: ConvNet((4, 3, 1), 1, kernel=2), "kernel must be odd, so that a place is the middle of what it sees, got 2"),
    (lambda: ConvNet((4, 3, 1), 2, groups=2), "k must be odd, and groups divide channels and outputs, got 3, 2, 1, 64"),
    (lambda: ConvNet((4, 3, 1), 2).walker({}), "groups must be 1 for a network that can be walked, got None"),
    (lambda: ConvNet((4, 3, 2), 2, groups=2).walker({}), "groups must be 1 for a network that can be walked, got 2"),
    (lambda: NET(NET.init(generator(0)), X[:, :3], B[:2, None]), r"x must have shape \(n, 4, 3, 2\), got \(2, 3, 3, 2\)"),
    (lambda: NET(NET.init(generator(0)), X), r"context must have shape \(2, 1\), got None"),
    (lambda: NET(NET.init(generator(0)), X, np.zeros((3, 1))), r"context must have shape \(2, 1\), got \(3, 1\)"),
])
def test_bad_input(act: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        act()
