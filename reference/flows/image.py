r"""Flows of images: RealNVP's multi-scale architecture (Dinh et al. 2017, section 3.6) and Glow (Kingma & Dhariwal 2018).

A row of d = h w c numbers is an image (h, w, c), line by line, channels last. From noise to data, one scale is

    Inside    the smaller scales, on half of the channels; the other half is noise that enters here
    steps     at (h/2, w/2, 4 c): of Glow actnorm, 1 x 1 convolution, coupling; of RealNVP couplings by channel halves
    squeeze   (h/2, w/2, 4 c) -> (h, w, c): each 2 x 2 square is one place with four times the channels
    pixels    at (h, w, c), of RealNVP alone: couplings by checkerboard

An affine coupling with a convolutional network, for a mask m (0/1), is

$$x = m z + (1 - m)(z\, e^{s} + t), \qquad (s, t) = \text{net}(m z, c), \qquad
\log |\det dx/dz| = \textstyle\sum (1 - m)\, s$$

and a map of the c channels, the same at all h w places, has h w times its log_det: actnorm, $x = z\, e^s + t$, and the 1 x 1
convolution, $x = W z$ with W free (`Dense`) or factored (`PLU`).
"""
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, ConvNet, Shape, Tree, arrays, beside, check_count, check_image, lookup, put, take
from evenflow.reference.flows.affine import AffineTransformer
from evenflow.reference.flows.compose import Chain
from evenflow.reference.flows.contract import Bijection, check_input
from evenflow.reference.flows.dense import PLU, Dense
from evenflow.reference.flows.densities import Density, Normal
from evenflow.reference.flows.flow import Flow
from evenflow.reference.flows.permutation import Permutation, reversal

Mask = tuple[bool, ...]


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


@dataclass(frozen=True)
class Inside:
    """A bijection of some of the coordinates, `part`; the others pass.

    >>> layer = Inside(Dense(2), (0, 3), 4)
    >>> layer.forward(layer.init(onp.random.default_rng(0)), np.ones((1, 4)))[0][:, 1:3]
    array([[1., 1.]])
    """
    bijection: Bijection
    part: tuple[int, ...]
    d: int

    def __post_init__(self) -> None:
        if len(set(self.part)) != self.bijection.d or not set(self.part) <= set(range(self.d)):
            raise ValueError(f"part must be {self.bijection.d} different ones of the {self.d} coordinates, got {self.part}")

    @property
    def context_dim(self) -> int:
        return self.bijection.context_dim

    def init(self, rng: onp.random.Generator) -> Tree:
        return self.bijection.init(rng)

    @arrays("z", "context")
    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "z", z, context)
        x, log_det = self.bijection.forward(params, take(z, self.part), context)
        return put(z, self.part, x), log_det

    @arrays("x", "context")
    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "x", x, context)
        z, log_det = self.bijection.inverse(params, take(x, self.part), context)
        return put(x, self.part, z), log_det


@dataclass(frozen=True)
class EachPlace:
    """A bijection of c channels, the same at every place of the image; of a dense layer, the invertible 1 x 1 convolution.

    >>> layer = EachPlace((2, 2, 3), PLU((2, 1, 0)))
    >>> layer.forward(layer.init(onp.random.default_rng(0)), np.arange(12.0)[None])[0][:, :6]
    array([[2., 1., 0., 5., 4., 3.]])
    """
    shape: Shape
    bijection: Bijection
    context_dim = 0

    def __post_init__(self) -> None:
        check_image("shape", self.shape)
        if self.bijection.d != self.shape[2] or self.bijection.context_dim:
            raise ValueError(f"bijection must be one of the {self.shape[2]} channels without a context, got {self.bijection}")

    @property
    def d(self) -> int:
        return int(onp.prod(self.shape))

    def init(self, rng: onp.random.Generator) -> Tree:
        return self.bijection.init(rng)

    @arrays("z", "context")
    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "z", z, context)
        return self.gathered(*self.bijection.forward(params, np.reshape(z, (-1, self.shape[2]))))

    @arrays("x", "context")
    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "x", x, context)
        return self.gathered(*self.bijection.inverse(params, np.reshape(x, (-1, self.shape[2]))))

    def gathered(self, out: Array, log_det: Array) -> tuple[Array, Array]:
        return np.reshape(out, (-1, self.d)), np.sum(np.reshape(log_det, (-1, self.shape[0] * self.shape[1])), axis=1)


@dataclass(frozen=True)
class ActNorm:
    """x = z e^s + t for each of d numbers. `start` takes s and t from data, so that the noise begins standardised.

    >>> ActNorm(2).start(np.array([[0.0, 1.0], [2.0, 1.5]]))["shift"]
    array([1.  , 1.25])
    """
    d: int
    context_dim = 0

    def init(self, rng: onp.random.Generator) -> Tree:
        return {"log_scale": onp.zeros(self.d), "shift": onp.zeros(self.d)}

    def start(self, x: Array) -> Tree:
        """The params that turn x (n, d) into noise of mean 0 and variance 1; a number that does not vary keeps its scale."""
        sd = np.std(x, axis=0)
        return {"log_scale": np.log(np.where(sd > 0, sd, np.ones_like(sd))), "shift": np.mean(x, axis=0)}

    @arrays("z", "context")
    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "z", z, context)
        s = params["log_scale"]
        return z * np.exp(s) + params["shift"], np.sum(s) + np.zeros_like(z[:, 0])

    @arrays("x", "context")
    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "x", x, context)
        s = params["log_scale"]
        return (x - params["shift"]) * np.exp(-s), np.zeros_like(x[:, 0]) - np.sum(s)


@dataclass(frozen=True)
class ConvCoupling:
    """The coupling above. mask[i] is True where coordinate i passes unchanged; width, blocks: of the network.

    >>> layer = ConvCoupling((2, 2, 1), checkerboard((2, 2, 1), odd=False), width=8)
    >>> x, log_det = layer.forward(layer.init(onp.random.default_rng(0)), np.ones((5, 4)))
    >>> x[0, [0, 3]], log_det.shape
    (array([1., 1.]), (5,))
    """
    shape: Shape
    mask: Mask
    width: int = 64
    blocks: int = 2
    context_dim: int = 0
    transformer: AffineTransformer = AffineTransformer()
    final_scale: float = 0.01

    def __post_init__(self) -> None:
        if len(self.mask) != onp.prod(self.shape) or all(self.mask):
            raise ValueError(f"mask must be for the {onp.prod(self.shape)} numbers of {self.shape} and leave one to transform,"
                             f" got {len(self.mask)}, of which {sum(self.mask)} pass")

    @property
    def d(self) -> int:
        return len(self.mask)

    @cached_property
    def passes(self) -> Array:
        return onp.array(self.mask)

    @cached_property
    def net(self) -> ConvNet:
        return ConvNet(self.shape, 2 * self.shape[2], self.width, self.blocks, context_dim=self.context_dim,
                       final_scale=self.final_scale)

    def init(self, rng: onp.random.Generator) -> Tree:
        return self.net.init(rng)

    @arrays("z", "context")
    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "z", z, context)
        x, log_slope = self.transformer.forward(self.raw(params, z, context), z)
        return x, np.sum(log_slope, axis=1)

    @arrays("x", "context")
    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "x", x, context)
        z, log_slope = self.transformer.inverse(self.raw(params, x, context), x)
        return z, np.sum(log_slope, axis=1)

    def raw(self, params: Tree, z: Array, context: Array | None) -> Array:
        """(n, d, 2), zero where the mask is True: there the transformer is the identity, to the last bit."""
        m = beside(self.passes, z)
        passing = np.where(m, z, np.zeros_like(z))
        raw = self.net(params, np.reshape(passing, (-1, *self.shape)), context)
        return np.reshape(raw, (-1, self.d, 2)) * ~m[:, None]


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
    def three(mask: Callable[[Shape, bool], Mask]) -> Callable[[Shape], tuple[Bijection, ...]]:
        return lambda shape: tuple(
            ConvCoupling(shape, mask(shape, k % 2 == 1), width, blocks, context_dim, final_scale=final_scale) for k in range(3)
        )

    return Flow(base or Normal(int(onp.prod(shape))), scale(shape, scales, three(channel_half), three(checkerboard)))


def scale(
    shape: Shape, scales: int, steps: Callable[[Shape], tuple[Bijection, ...]], pixels: Callable[[Shape], tuple[Bijection, ...]]
) -> Chain:
    """The list at the top of this file, and in it the smaller scales."""
    check_count("scales", scales)
    h, w, c = shape
    small = squeeze(shape), (h // 2, w // 2, 4 * c)
    layers = (*steps(small[1]), small[0], *pixels(shape))
    if scales == 1:
        return Chain(layers)
    half = onp.flatnonzero(onp.logical_not(channel_half(small[1], second=True))).tolist()
    return Chain((Inside(scale((h // 2, w // 2, 2 * c), scales - 1, steps, pixels), tuple(half), h * w * c), *layers))


def started(bijection: Bijection, params: Tree, x: Array, context: Array | None = None) -> tuple[Tree, Array]:
    """The params with every ActNorm started at data x (n, d), from the data side on, and the noise that x then is."""
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
