r"""The layers of flows of images: a row of d = h w c numbers is an image (h, w, c), line by line, channels last.

An affine coupling with a convolutional network, for a mask m (0/1), is

$$x = m z + (1 - m)(z\, e^{s} + t), \qquad (s, t) = \text{net}(m z, c), \qquad
\log |\det dx/dz| = \textstyle\sum (1 - m)\, s$$

and a map of the c channels, the same at all h w places, has h w times its log_det: actnorm, $x = z\, e^s + t$, and the 1 x 1
convolution, $x = W z$ with W free (`Dense`) or factored (`PLU`) (Kingma & Dhariwal 2018, table 1).
"""
from dataclasses import dataclass
from functools import cached_property

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, ConvNet, Shape, Tree, arrays, beside, check_image, put, take
from evenflow.reference.core.checks import check_count, check_shape
from evenflow.reference.flows.affine import AffineTransformer
from evenflow.reference.flows.compose import Around
from evenflow.reference.flows.contract import Bijection, check_input

Mask = tuple[bool, ...]


@dataclass(frozen=True)
class Inside(Around):
    """A bijection of some of the coordinates, `part`; the others pass.

    >>> from evenflow.reference.flows import Dense
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
class EachPlace(Around):
    """A bijection of c channels, the same at every place of the image; of a dense layer, the invertible 1 x 1 convolution.

    >>> from evenflow.reference.flows import PLU
    >>> layer = EachPlace((2, 2, 3), PLU((2, 1, 0)))
    >>> layer.forward(layer.init(onp.random.default_rng(0)), np.arange(12.0)[None])[0][:, :6]
    array([[2., 1., 0., 5., 4., 3.]])
    """
    shape: Shape
    bijection: Bijection

    def __post_init__(self) -> None:
        check_image("shape", self.shape)
        if self.bijection.d != self.shape[2] or self.bijection.context_dim:
            raise ValueError(f"bijection must be one of the {self.shape[2]} channels without a context, got {self.bijection}")

    @property
    def d(self) -> int:
        return int(onp.prod(self.shape))

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

    def __post_init__(self) -> None:
        check_count("d", self.d)

    def init(self, rng: onp.random.Generator) -> Tree:
        return {"log_scale": onp.zeros(self.d), "shift": onp.zeros(self.d)}

    @arrays("x")
    def start(self, x: Array) -> Tree:
        """The params that turn x (n, d) into noise of mean 0 and variance 1; a number that does not vary keeps its scale."""
        check_shape("x", x, "n", self.d)
        check_count("the length of x", len(x))
        varies, sd = np.max(x, axis=0) > np.min(x, axis=0), np.std(x, axis=0)  # of equal numbers sd may be a rounding above 0
        return {"log_scale": np.log(np.where(varies, sd, np.ones_like(sd))), "shift": np.mean(x, axis=0)}

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

    >>> layer = ConvCoupling((2, 2, 1), (True, False, False, True), width=8)
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
        check_image("shape", self.shape)
        if len(self.mask) != onp.prod(self.shape) or all(self.mask):
            raise ValueError(f"mask must be for the {onp.prod(self.shape)} numbers of {self.shape} and leave one to transform,"
                             f" got {len(self.mask)}, of which {sum(self.mask)} pass")

    @property
    def d(self) -> int:
        return len(self.mask)

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
        m = beside(self.mask, z)
        passing = np.where(m, z, np.zeros_like(z))
        raw = self.net(params, np.reshape(passing, (-1, *self.shape)), context)
        return np.reshape(raw, (-1, self.d, 2)) * ~m[:, None]
