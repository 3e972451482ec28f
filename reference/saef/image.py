r"""SAEF over a grid of square blocks, with masked convolutions for contexts (Si et al. 2023: their image models).

An image (h, w, c) is a grid of blocks of b x b pixels, k = b^2 c numbers each, generated line by line. One masked network on
the grid makes all contexts, one map T is shared by all blocks:

$$x_{ij} = T(z_{ij};\, h_{ij}), \qquad h_{ij} = \text{net}(x_{<ij})$$

What is said of `SemiAutoregressive` holds; what is different is how it is computed. Training and inversion are one pass of
the network and one of T, over the blocks of all images together. Sampling takes B steps, and each runs the network at the next
place alone (`ConvNet.walker`): all steps together cost one pass, where the whole network in every step costs B.

The authors' networks let block b see $z_{<b}$ too, and end in heads that cannot be inverted; here T sees its own noise alone.
"""
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, ConvNet, Shape, Tree, arrays, check_count, check_image, check_shape, take
from evenflow.reference.core.convolution import one_width
from evenflow.reference.flows.contract import Bijection, check_input, draws_each
from evenflow.reference.flows.densities import Density, Normal
from evenflow.reference.flows.flow import Flow
from evenflow.reference.flows.image import squeeze
from evenflow.reference.saef.maps import block_map_of
from evenflow.reference.saef.semiautoregressive import SAEF, FreeForm, SemiAutoregressive, draws_of


@dataclass(frozen=True)
class OnGrid(SemiAutoregressive):
    """A semi-autoregressive model whose blocks are squares. hidden: one width for each residual block, all the same."""
    grid: Shape = (1, 1, 1)  # of blocks: lines, columns, numbers in a block
    kernel: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        one_width("hidden", self.hidden)
        (lines, columns, k), sizes = self.grid, tuple(T.d for T in self.different)
        if lines * columns != len(self.blocks) or sizes != (k,):
            raise ValueError(f"grid must be that of {len(self.blocks)} blocks that share one map, of the sizes {sizes},"
                             f" got {self.grid}")

    @cached_property
    def net(self) -> ConvNet:  # type: ignore[override]
        width, blocks = one_width("hidden", self.hidden)
        return ConvNet(self.grid, self.context_width, width, blocks, self.kernel, self.context_dim, groups=1)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Block after block."""
        return tuple(i for block in self.blocks for i in block)

    @property
    def T(self) -> Bijection:
        return cast(Bijection, self.maps[0])

    def squares(self, x: Array) -> Array:
        """x (n, d) -> all blocks, one below the other: (n B, k)."""
        return np.reshape(take(x, self.order), (-1, self.grid[2]))

    def whole(self, y: Array) -> Array:
        """The way back."""
        return take(np.reshape(y, (-1, self.d)), onp.argsort(self.order).tolist())

    def contexts(self, params: Tree, x: Array, context: Array | None) -> Array:
        """x (n, d) -> h (n, B, context_width); h[:, b] is a function of the blocks before b."""
        h = self.net(params["contexts"], np.reshape(self.squares(x), (-1, *self.grid)), context)
        return np.reshape(h, (-1, len(self.blocks), self.context_width))

    @arrays("z", "context")
    def generate(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, list[Array | None]]:
        """B steps from noise to data: x (n, d) and what T said of the log_det of each block."""
        check_input(self, "z", z, context)
        (_, columns, k), step, parts, log_dets = self.grid, self.net.walker(params["contexts"], context), [], []
        z = take(z, self.order)
        x = np.zeros_like(z[:, :k])
        for b in range(len(self.blocks)):
            h = step(divmod(b, columns), x)
            x, log_det = self.T.forward(params["maps"][0], z[:, b * k : (b + 1) * k], h)
            parts.append(x)
            log_dets.append(log_det)
        return self.whole(np.concatenate(parts, axis=1)), log_dets

    @arrays("x", "z", "context")
    def forecasts(self, params: Tree, x: Array, z: Array, context: Array | None = None) -> list[tuple[Array, Array]]:
        """Teacher forcing: x (n, d), noise z (m n, d) -> m draws (m, n B, k) of every block, and the true blocks (n B, k)."""
        check_input(self, "x", x, context)
        check_shape("noise", z, "m n", self.d)
        m, y = draws_each(z, x), self.squares(x)
        h = np.reshape(self.contexts(params, x, context), (-1, self.context_width))
        return [(draws_of(self.T, params["maps"][0], np.reshape(self.squares(z), (m, *y.shape)), h), y)]


@dataclass(frozen=True)
class ImageSAEF(OnGrid, SAEF):
    """The bijection.

    >>> flow = image_saef((4, 4, 1), patch=2, block_map="affine", hidden=(8,))
    >>> type(flow.bijection).__name__, flow.bijection.grid
    ('ImageSAEF', (2, 2, 4))
    """

    @arrays("x", "context")
    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        """x (n, d) -> z (n, d), log_det (n,), in one pass."""
        check_input(self, "x", x, context)
        h = np.reshape(self.contexts(params, x, context), (-1, self.context_width))
        z, log_det = self.T.inverse(params["maps"][0], self.squares(x), h)
        return self.whole(z), np.sum(np.reshape(log_det, (-1, len(self.blocks))), axis=1)


@dataclass(frozen=True)
class ImageFreeForm(OnGrid, FreeForm):
    """The model with a free-form head, as the authors' are: samples alone.

    >>> image_saef((4, 4, 1), patch=2, block_map="free_form", hidden=(8,)).blocks[0]
    (0, 1, 4, 5)
    """


def image_saef(
    shape: Shape, patch: int, block_map: str = "coupling", hidden: tuple[int, ...] = (64, 64), context_width: int = 64,
    map_hidden: tuple[int, ...] = (64, 64), map_layers: int = 4, context_dim: int = 0, base: Density | None = None,
    kernel: int = 3,
) -> Flow | ImageFreeForm:
    """Build one. patch: b; hidden: one width for each residual block of the network, all the same; the rest as in `saef`.

    Raises ValueError where patch does not divide h and w.

    >>> model = image_saef((4, 4, 1), patch=2, block_map="affine", hidden=(8,))
    >>> params = model.init(onp.random.default_rng(0))
    >>> model.sample(params, model.noise(onp.random.default_rng(1), 5)).shape
    (5, 16)
    """
    check_image("shape", shape)
    check_count("patch", patch)
    h, w, c = shape
    if h % patch or w % patch:
        raise ValueError(f"patch must divide h and w of {shape}, got {patch}")
    grid = h // patch, w // patch, patch**2 * c
    blocks = tuple(map(tuple, onp.reshape(squeeze(shape, patch).back, (-1, grid[2])).tolist()))
    T = block_map_of(block_map, grid[2], context_width, map_hidden, map_layers)
    choices = blocks, (T,) * len(blocks), context_width, hidden, context_dim, "relu", grid, kernel
    return ImageFreeForm(*choices) if block_map == "free_form" else Flow(base or Normal(h * w * c), ImageSAEF(*choices))
