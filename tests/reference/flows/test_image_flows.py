"""Flows of images: what the layers do by hand, whole flows against the full Jacobian, the start of Glow at data."""
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from autograd import jacobian

from evenflow.reference.core.convolution import ConvNet
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.flows import PLU, Bijection, Chain, Dense, Normal, Uniform
from evenflow.reference.flows.convolutional import ActNorm, ConvCoupling, EachPlace, Inside
from evenflow.reference.flows.flow import Flow
from evenflow.reference.flows.image import channel_half, checkerboard, glow, image_realnvp, squeeze, started
from tests import tolerances
from tests.strategies import generator, randomise

SHAPE = (4, 4, 3)
FLOWS: dict[str, Callable[[int], Flow]] = {
    "glow-plu": lambda c: glow(SHAPE, 2, 2, 4, 1, "plu", c),
    "glow-free": lambda c: glow(SHAPE, 1, 2, 4, 1, "free", c),
    "realnvp": lambda c: image_realnvp(SHAPE, 2, 4, 1, c),
}


def close(said: Array, truth: Array, size: float = 100.0) -> None:
    assert np.shape(said) == np.shape(truth)
    np.testing.assert_allclose(said, truth, rtol=0, atol=tolerances.value(np.float64, size))


# --------------------------------------------------------------------------------------------------------------- layers

@pytest.mark.parametrize(("shape", "side"), [((4, 6, 2), 2), ((2, 2, 3), 1), ((6, 3, 1), 3)])
def test_squeeze_puts_each_square_into_the_channels_of_its_place(shape: Any, side: int) -> None:
    """Line by line within a square, the channels last; a plain loop."""
    (h, w, c), layer = shape, squeeze(shape, side)
    x = generator(0).standard_normal((2, h * w * c))
    image = x.reshape(2, h, w, c)
    z, log_det = layer.inverse({}, x)
    squeezed = z.reshape(2, h // side, w // side, side * side * c)
    for i, j, u, v, channel in np.ndindex(h // side, w // side, side, side, c):
        at = squeezed[:, i, j, (u * side + v) * c + channel]
        assert np.array_equal(at, image[:, side * i + u, side * j + v, channel])
    assert np.array_equal(layer.forward({}, z)[0], x)
    assert not log_det.any()


def test_masks_by_hand() -> None:
    even = np.array(checkerboard((2, 3, 2), odd=False)).reshape(2, 3, 2)
    assert even.astype(int).tolist() == [[[1, 1], [0, 0], [1, 1]], [[0, 0], [1, 1], [0, 0]]]
    assert np.array_equal(~even.ravel(), checkerboard((2, 3, 2), odd=True))
    assert channel_half((1, 2, 4), second=True) == (False, False, True, True) * 2
    assert channel_half((1, 1, 3), second=False) == (True, False, False)


def test_inside_moves_its_part_in_its_order_and_lets_the_others_pass() -> None:
    layer, z = Inside(Dense(2), (3, 1), 4), generator(0).standard_normal((5, 4))
    params = {"W": np.array([[2.0, 1.0], [0.0, 3.0]]), "b": np.array([0.0, 10.0])}
    x, log_det = layer.forward(params, z)
    close(x, np.stack([z[:, 0], 3 * z[:, 1] + 10, z[:, 2], 2 * z[:, 3] + z[:, 1]], axis=1))
    assert np.array_equal(x[:, [0, 2]], z[:, [0, 2]])
    close(log_det, np.full(5, math.log(6)))


@pytest.mark.parametrize("inner", [Dense(3), PLU((2, 0, 1)), ActNorm(3)])
def test_each_place_is_the_same_map_of_the_channels_everywhere(inner: Bijection) -> None:
    """And its log_det is h w times that of the channels."""
    layer, rng = EachPlace((2, 5, 3), inner), generator(1)
    params = randomise(layer.init(rng), rng)
    z = rng.standard_normal((4, 30))
    x, log_det = layer.forward(params, z)
    for i in range(10):
        at, of_one = inner.forward(params, z[:, 3 * i : 3 * i + 3])
        close(x[:, 3 * i : 3 * i + 3], at)
        close(log_det, 10 * of_one)
    back, log_det_back = layer.inverse(params, x)
    close(back, z, 1e4)
    close(log_det_back, -log_det)


def test_the_one_by_one_convolution_is_a_convolution() -> None:
    """PLU's W is the kernel of the convolution, transposed; with the log_det h w log|det W| (Glow, eq. 9)."""
    layer, rng = EachPlace((3, 2, 4), PLU((3, 2, 1, 0))), generator(2)
    params = randomise(layer.init(rng), rng)
    W = np.stack([layer.bijection.forward(params, np.eye(4)[[k]])[0][0] - params["b"] for k in range(4)])
    z = rng.standard_normal((2, 24))
    x, log_det = layer.forward(params, z)
    close(x.reshape(2, 3, 2, 4), np.einsum("nijc,co->nijo", z.reshape(2, 3, 2, 4), W) + params["b"])
    close(log_det, np.full(2, 6 * np.linalg.slogdet(W)[1]))


def test_actnorm_is_its_formula_and_starts_standardised() -> None:
    layer, x = ActNorm(3), generator(3).standard_normal((50, 3)) * [0.1, 2.0, 30.0] + [5.0, 0.0, -40.0]
    params = layer.start(x)
    close(np.exp(params["log_scale"]), x.std(axis=0))
    z, log_det = layer.inverse(params, x)
    close(z.mean(axis=0), np.zeros(3))
    close(z.std(axis=0), np.ones(3))
    close(log_det, np.full(50, -np.log(x.std(axis=0)).sum()))
    s, t = params["log_scale"], params["shift"]
    close(layer.forward(params, z)[0], z * np.exp(s) + t)
    assert not any(leaf.any() for leaf in layer.init(generator(0)).values())


@pytest.mark.parametrize("constant", [0.1, 0.0, 7.0])
def test_a_channel_that_does_not_vary_keeps_its_scale(constant: float) -> None:
    """np.std of three times 0.1 is not 0, and its logarithm is -39."""
    x = np.stack([np.full(3, constant), np.arange(3.0)], axis=1)
    params = ActNorm(2).start(x)
    assert params["log_scale"][0] == 0
    close(ActNorm(2).inverse(params, x)[0][:, 0], np.zeros(3))
    assert ActNorm(2).start(x.astype(np.float32))["log_scale"].dtype == np.float32


@pytest.mark.parametrize("c", [0, 2])
@pytest.mark.parametrize("mask", [checkerboard(SHAPE, True), checkerboard(SHAPE, False), channel_half(SHAPE, True)])
def test_the_coupling_is_its_formula(mask: tuple[bool, ...], c: int) -> None:
    """What passes is the same to the last bit, the network sees it alone, and log_det sums the log scales of the others."""
    layer, rng = ConvCoupling(SHAPE, mask, 4, 1, c), generator(4)
    params = randomise(layer.init(rng), rng)
    z, context = rng.standard_normal((3, 48)), rng.standard_normal((3, c)) if c else None
    m = np.array(mask)
    net = ConvNet(SHAPE, 6, 4, 1, context_dim=c)
    raw = net(params, (m * z).reshape(3, *SHAPE), context).reshape(3, 48, 2)
    s, t = 3 * np.tanh(raw[..., 0] / 3), raw[..., 1]
    x, log_det = layer.forward(params, z, context)
    close(x, m * z + (1 - m) * (z * np.exp(s) + t), 1e4)
    close(log_det, np.sum((1 - m) * s, axis=1))
    assert np.array_equal(x[:, m], z[:, m])
    assert not np.any(x[:, ~m] == z[:, ~m])
    assert np.array_equal(layer.inverse(params, x, context)[0][:, m], z[:, m])


# ---------------------------------------------------------------------------------------------------------- whole flows

@pytest.mark.parametrize("c", [0, 2])
@pytest.mark.parametrize("name", FLOWS)
def test_log_det_is_that_of_the_full_jacobian_both_ways(name: str, c: int) -> None:
    flow, rng = FLOWS[name](c), generator(5)
    params = randomise(flow.init(rng), rng, 0.1)
    z, context = rng.standard_normal((1, 48)), rng.standard_normal((1, c)) if c else None
    x, log_det = flow.bijection.forward(params, z, context)
    back, log_det_back = flow.bijection.inverse(params, x, context)
    J = jacobian(lambda z: flow.bijection.forward(params, z[None], context)[0][0])(z[0])
    J_back = jacobian(lambda x: flow.bijection.inverse(params, x[None], context)[0][0])(x[0])
    truth, steep = np.linalg.slogdet(J)[1], float(np.linalg.cond(J))
    assert abs(truth) > 0.1
    assert steep < 1e5
    np.testing.assert_allclose([log_det[0], -log_det_back[0]], truth, rtol=tolerances.JACOBIAN_RTOL * steep)
    np.testing.assert_allclose(np.linalg.slogdet(J_back)[1], -truth, rtol=tolerances.JACOBIAN_RTOL * steep)
    assert np.abs(back - z).max() <= tolerances.round_trip(np.float64, steep, float(np.abs(x).max()))


@pytest.mark.parametrize("name", FLOWS)
def test_all_pixels_depend_on_one_another(name: str) -> None:
    """With noise that enters at the largest scale on half of the channels: what the smaller scale sees of the image."""
    flow, rng = FLOWS[name](0), generator(6)
    params = randomise(flow.init(rng), rng)
    J = jacobian(lambda x: flow.bijection.inverse(params, x[None])[0][0])(rng.standard_normal(48))
    assert np.mean(J != 0) > 0.9


def test_the_scales_are_where_they_should_be() -> None:
    """The noise of the first half of the channels, at half the size, goes through the smaller scale; the other half enters
    later and does not: with the steps of the larger scale at the identity, it is the squeezed image's."""
    flow = image_realnvp(SHAPE, 2, 4, 1, final_scale=0.0)
    assert isinstance(flow.bijection, Chain)
    small, *_ = flow.bijection.layers
    assert isinstance(small, Inside)
    half = [i for i in range(48) if i % 12 < 6]
    assert list(small.part) == half
    params, z = flow.init(generator(0)), generator(1).standard_normal((3, 48))
    x = squeeze(SHAPE).forward({}, z)[0]
    twice = squeeze((2, 2, 6)).forward({}, z[:, half])[0]
    other = [i for i in range(48) if i % 12 >= 6]
    squeezed = squeeze(SHAPE).inverse({}, flow.sample(params, z))[0]
    assert np.array_equal(squeezed[:, other], squeeze(SHAPE).inverse({}, x)[0][:, other])
    assert np.array_equal(squeezed[:, half], twice)


def test_what_a_flow_is_made_of() -> None:
    """Glow: from data to noise actnorm, 1 x 1 convolution, coupling (table 1). RealNVP: three and three (section 3.6)."""
    layers = glow((4, 4, 1), 1, 2, 4).bijection.layers  # type: ignore[attr-defined]
    kinds = [layer.bijection if isinstance(layer, EachPlace) else layer for layer in reversed(layers)]
    assert [type(kind).__name__ for kind in kinds] == ["Permutation", *2 * ["ActNorm", "PLU", "ConvCoupling"]]
    masks = [np.array(layer.mask).reshape(2, 2, 4)[0, 0].tolist() for layer in layers if isinstance(layer, ConvCoupling)]
    assert masks == [[True, True, False, False], [False, False, True, True]]
    assert isinstance(glow((4, 4, 1), 1, 1, matrix="free").bijection.layers[1].bijection, Dense)  # type: ignore[attr-defined]
    layers = image_realnvp((4, 4, 1), 1, 4).bijection.layers  # type: ignore[attr-defined]
    assert [getattr(layer, "shape", None) for layer in layers] == [*3 * [(2, 2, 4)], None, *3 * [(4, 4, 1)]]
    assert [layer.mask[0] for layer in layers if isinstance(layer, ConvCoupling)] == [True, False, True] * 2
    assert glow((4, 4, 1)).base == Normal(16)
    assert glow((4, 4, 1), base=Uniform(16)).base == Uniform(16)
    assert image_realnvp((4, 4, 1)).base == Normal(16)


@pytest.mark.parametrize("c", [0, 2])
def test_a_whole_glow_starts_with_standardised_noise_behind_every_actnorm(c: int) -> None:
    flow, rng = glow(SHAPE, 2, 2, 4, 1, "plu", c), generator(7)
    x, context = 5 * rng.standard_normal((40, 48)) ** 3 + 2, rng.standard_normal((40, c)) if c else None
    params, z = started(flow.bijection, flow.init(rng), x, context)
    found = []

    def down(layer: Bijection, p: Tree, x: Array) -> Array:
        """The way to the noise, by hand, with a look behind each actnorm."""
        if isinstance(layer, Chain):
            for one, of_it in zip(reversed(layer.layers), reversed(p), strict=True):
                x = down(one, of_it, x)
            return x
        if isinstance(layer, Inside):
            inner, out = list(layer.part), x.copy()
            out[:, inner] = down(layer.bijection, p, x[:, inner])
            return out
        z = layer.inverse(p, x, context if layer.context_dim else None)[0]
        if isinstance(layer, EachPlace) and isinstance(layer.bijection, ActNorm):
            found.append(z.reshape(-1, layer.shape[2]))
        return z

    close(down(flow.bijection, params, x), z)
    assert len(found) == 4
    for noise in found:
        close(noise.mean(axis=0), np.zeros(noise.shape[1]), 1e3)
        close(noise.var(axis=0), np.ones(noise.shape[1]), 1e3)
    close(z, flow.inverse(params, x, context)[0])


def test_started_leaves_a_flow_without_actnorm_as_it_is() -> None:
    flow, x = image_realnvp((2, 2, 1), 1, 4), generator(8).standard_normal((5, 4))
    params = randomise(flow.init(generator(9)), generator(10))
    after, z = started(flow.bijection, params, x)
    assert np.array_equal(z, flow.inverse(params, x)[0])
    assert np.array_equal(flow.inverse(after, x)[0], z)


def test_a_flow_that_starts_as_its_base() -> None:
    flow, x = image_realnvp(SHAPE, 2, 4, final_scale=0.0), generator(11).standard_normal((5, 48))
    close(flow.log_prob(flow.init(generator(0)), x), Normal(48).log_prob(x))


# ------------------------------------------------------------------------------------------------------------ bad input

COUPLING = ConvCoupling((2, 2, 1), checkerboard((2, 2, 1), odd=False), 4)


@pytest.mark.parametrize(("act", "message"), [
    (lambda: squeeze((3, 4, 1)), r"side must divide h and w of \(3, 4, 1\), got 2"),
    (lambda: squeeze((4, 4, 1), 0), "side must be an integer >= 1, got 0"),
    (lambda: squeeze((4, 4)), r"shape must be \(h, w, c\), got \(4, 4\)"),  # type: ignore[arg-type]
    (lambda: Inside(Dense(2), (0, 0), 4), r"part must be 2 different ones of the 4 coordinates, got \(0, 0\)"),
    (lambda: Inside(Dense(2), (0, 4), 4), r"part must be 2 different ones of the 4 coordinates, got \(0, 4\)"),
    (lambda: Inside(Dense(2), (0, 1, 2), 4), r"part must be 2 different ones of the 4 coordinates, got \(0, 1, 2\)"),
    (lambda: EachPlace((2, 2, 3), Dense(2)), "bijection must be one of the 3 channels without a context, got Dense"),
    (lambda: EachPlace((2, 2, 2), Dense(2, 1)), "bijection must be one of the 2 channels without a context, got Dense"),
    (lambda: EachPlace((2, 2), Dense(2)), r"shape must be \(h, w, c\), got \(2, 2\)"),  # type: ignore[arg-type]
    (lambda: ActNorm(0), "d must be an integer >= 1, got 0"),
    (lambda: ActNorm(2).start(np.zeros((3, 3))), r"x must have shape \(n, 2\), got \(3, 3\)"),
    (lambda: ActNorm(2).start(np.zeros((0, 2))), "the length of x must be an integer >= 1, got 0"),
    (lambda: ConvCoupling((2, 2), (True, False)), r"shape must be \(h, w, c\), got \(2, 2\)"),  # type: ignore[arg-type]
    (lambda: ConvCoupling((2, 2, 1), (True, False)),
     r"mask must be for the 4 numbers of \(2, 2, 1\) and leave one to transform, got 2, of which 1 pass"),
    (lambda: ConvCoupling((1, 2, 1), (True, True)),
     r"mask must be for the 2 numbers of \(1, 2, 1\) and leave one to transform, got 2, of which 2 pass"),
    (lambda: COUPLING.forward(COUPLING.init(generator(0)), np.zeros((3, 5))), r"z must have shape \(n, 4\), got \(3, 5\)"),
    (lambda: glow((6, 8, 1)), r"scales must be few enough to halve h and w of \(6, 8, 1\) so often, got 2"),
    (lambda: image_realnvp((8, 6, 1)), r"scales must be few enough to halve h and w of \(8, 6, 1\) so often, got 2"),
    (lambda: glow((4, 4, 1), 0), "scales must be an integer >= 1, got 0"),
    (lambda: glow((4, 4, 1), steps=0), "steps must be an integer >= 1, got 0"),
    (lambda: glow((4, 4, 1), matrix="lu"), "unknown matrix 'lu', did you mean 'plu'"),
    (lambda: glow((4, 4, 1), base=Normal(3)), "base and bijection must agree in d, got 3 and 16"),
    (lambda: glow((4, 4)), r"shape must be \(h, w, c\), got \(4, 4\)"),  # type: ignore[arg-type]
    (lambda: started(COUPLING, COUPLING.init(generator(0)), np.zeros((3, 5))), r"x must have shape \(n, 4\), got \(3, 5\)"),
])
def test_bad_input(act: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        act()
