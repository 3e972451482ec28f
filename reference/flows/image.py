r"""Flows of images: RealNVP's multi-scale architecture (Dinh et al. 2017, section 3.6) and Glow (Kingma & Dhariwal 2018).

A row of d = h w c numbers is an image (h, w, c), line by line, channels last. From noise to data, one scale is

    Inside    the smaller scales, on half of the channels; the other half is noise that enters here
    steps     at (h/2, w/2, 4 c): of Glow actnorm, 1 x 1 convolution, coupling; of RealNVP couplings by channel halves
    squeeze   (h/2, w/2, 4 c) -> (h, w, c): each 2 x 2 square is one place with four times the channels
    pixels    at (h, w, c), of RealNVP alone: couplings by checkerboard

The layers are those of convolutional.py.
"""
from collections.abc import Callable

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, Shape, Tree, arrays, check_count, check_image, lookup, put, take
from evenflow.reference.flows.compose import Chain
from evenflow.reference.flows.contract import Bijection
from evenflow.reference.flows.convolutional import ActNorm, ConvCoupling, EachPlace, Inside, Mask
from evenflow.reference.flows.dense import PLU, Dense
from evenflow.reference.flows.densities import Density, Normal
from evenflow.reference.flows.flow import Flow
from evenflow.reference.flows.permutation import Permutation, reversal

Layers = Callable[[Shape], tuple[Bijection, ...]]  # those at an image of this shape


def squeeze(shape: Shape, side: int = 2) -> Permutation:
    """From (h / side, w / side, side^2 c) to (h, w, c): x in the places of its squares. Its inverse squeezes.

    >>> squeeze((2, 4, 1)).inverse({}, np.arange(8.0)[None])[0]
    array([[0., 1., 4., 5., 2., 3., 6., 7.]])
    """
    check_image("shape", shape)
    check_count("side", side)
    h, w, c = shape
    if h % side or w % side:
        raise ValueError(f"side must divide h and w of {shape}, got {side}")
    squares = onp.arange(h * w * c).reshape(h // side, side, w // side, side, c).transpose(0, 2, 1, 3, 4)
    return Permutation(tuple(onp.argsort(squares, axis=None).tolist()))


def checkerboard(shape: Shape, odd: bool) -> Mask:
    """True where i + j is odd, or even."""
    i, j, _ = onp.indices(shape)
    return tuple(((i + j) % 2 == odd).ravel().tolist())


def channel_half(shape: Shape, second: bool) -> Mask:
    """True for the second half of the channels, or the first."""
    return tuple(((onp.indices(shape)[2] >= shape[2] // 2) == second).ravel().tolist())


def glow(
    shape: Shape, scales: int = 2, steps: int = 4, width: int = 64, blocks: int = 1, matrix: str = "plu", context_dim: int = 0,
    base: Density | None = None,
) -> Flow:
    """Glow. steps: on each scale; width, blocks: of the networks; matrix: of the 1 x 1 convolutions, free or plu.

    Start it on data with `started`. Raises ValueError where h or w cannot be halved so many times.

    >>> flow = glow((4, 4, 1), steps=1, width=8)
    >>> params = flow.init(onp.random.default_rng(0))
    >>> flow.log_prob(params, onp.zeros((3, 16))).shape
    (3,)
    """
    check_count("steps", steps)

    def step(shape: Shape, k: int) -> tuple[Bijection, ...]:
        c = shape[2]
        kinds: dict[str, Bijection] = {"free": Dense(c), "plu": PLU(reversal(c).order)}
        coupling = ConvCoupling(shape, channel_half(shape, k % 2 == 1), width, blocks, context_dim)
        return coupling, EachPlace(shape, lookup("matrix", matrix, kinds)), EachPlace(shape, ActNorm(c))

    one = lambda shape: tuple(layer for k in range(steps) for layer in step(shape, k))
    return Flow(base or Normal(int(onp.prod(shape))), scale(shape, scales, one, lambda shape: ()))


def image_realnvp(
    shape: Shape, scales: int = 2, width: int = 64, blocks: int = 2, context_dim: int = 0, final_scale: float = 0.01,
    base: Density | None = None,
) -> Flow:
    """The multi-scale RealNVP: three couplings by checkerboard, three by channels, on each scale.

    final_scale: of the networks' last weights at the start; 0 makes the flow begin as exactly its base.

    >>> flow = image_realnvp((4, 4, 1), scales=1, width=8, final_scale=0.0)
    >>> flow.log_prob(flow.init(onp.random.default_rng(0)), np.zeros((1, 16))).round(3)
    array([-14.703])
    """
    def three(mask: Callable[[Shape, bool], Mask]) -> Layers:
        return lambda shape: tuple(
            ConvCoupling(shape, mask(shape, k % 2 == 1), width, blocks, context_dim, final_scale=final_scale) for k in range(3)
        )

    return Flow(base or Normal(int(onp.prod(shape))), scale(shape, scales, three(channel_half), three(checkerboard)))


def scale(shape: Shape, scales: int, steps: Layers, pixels: Layers) -> Chain:
    """The list at the top of this file, and in it the smaller scales."""
    check_image("shape", shape)
    check_count("scales", scales)
    h, w, c = shape
    if h % 2**scales or w % 2**scales:
        raise ValueError(f"scales must be few enough to halve h and w of {shape} so often, got {scales}")
    small = squeeze(shape), (h // 2, w // 2, 4 * c)
    layers = (*steps(small[1]), small[0], *pixels(shape))
    if scales == 1:
        return Chain(layers)
    half = onp.flatnonzero(onp.logical_not(channel_half(small[1], second=True))).tolist()
    return Chain((Inside(scale((h // 2, w // 2, 2 * c), scales - 1, steps, pixels), tuple(half), h * w * c), *layers))


@arrays("x", "context")
def started(bijection: Bijection, params: Tree, x: Array, context: Array | None = None) -> tuple[Tree, Array]:
    """The params with every ActNorm started at data x (n, d), from the data side on, and the noise that x then is.

    >>> layer = EachPlace((1, 2, 1), ActNorm(1))
    >>> started(layer, layer.init(onp.random.default_rng(0)), np.array([[1.0, 5.0]]))[1]
    array([[-1.,  1.]])
    """
    if isinstance(bijection, Chain):
        found = []
        for layer, p in zip(reversed(bijection.layers), reversed(params), strict=True):
            p, x = started(layer, p, x, context if layer.context_dim else None)
            found.append(p)
        return found[::-1], x
    if isinstance(bijection, Inside):
        params, z = started(bijection.bijection, params, take(x, bijection.part), context)
        return params, put(x, bijection.part, z)
    if isinstance(bijection, EachPlace) and isinstance(bijection.bijection, ActNorm):
        params = bijection.bijection.start(np.reshape(x, (-1, bijection.shape[2])))
    return params, bijection.inverse(params, x, context)[0]
