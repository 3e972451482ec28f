r"""Masked autoregressive layers (Papamakarios et al. 2017, eq. 3-5).

$$x_i = \tau(z_i;\, \mathrm{net}_i(x_{<i}, c)), \qquad \log |\det dx/dz| = \sum_i \log \tau'(z_i)$$

where $<$ is any order of the coordinates. Inverse, data -> noise, takes one pass of the masked network; forward takes d.
Inverted (`Invert(...)`) it is the inverse autoregressive flow: forward in one pass, inverse in d.
"""
from dataclasses import dataclass

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, MaskedMLP, Tree, arrays
from evenflow.reference.flows.affine import AffineTransformer
from evenflow.reference.flows.contract import Transformer, check_input
from evenflow.reference.flows.permutation import check_order


@dataclass(frozen=True)
class MaskedAutoregressive:
    """order[0] is the coordinate that comes first.

    >>> layer = MaskedAutoregressive((1, 0))
    >>> layer.inverse(layer.init(onp.random.default_rng(0)), np.ones((5, 2)))[0].shape
    (5, 2)
    """
    order: tuple[int, ...]
    transformer: Transformer = AffineTransformer()
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "relu"
    context_dim: int = 0

    def __post_init__(self) -> None:
        check_order("order", self.order)

    @property
    def d(self) -> int:
        return len(self.order)

    @property
    def net(self) -> MaskedMLP:
        degrees = tuple(int(i) + 1 for i in onp.argsort(self.order))
        outputs = tuple(k for k in degrees for _ in range(self.transformer.width))
        return MaskedMLP(degrees, outputs, self.hidden, self.activation, self.context_dim, final_scale=0.01)

    def init(self, rng: onp.random.Generator) -> Tree:
        return self.net.init(rng)

    @arrays("z", "context")
    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "z", z, context)
        x = z
        for _ in range(self.d):  # each pass makes one more coordinate right
            x, log_slope = self.transformer.forward(self.raw(params, x, context), z)
        return x, np.sum(log_slope, axis=1)

    @arrays("x", "context")
    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "x", x, context)
        z, log_slope = self.transformer.inverse(self.raw(params, x, context), x)
        return z, np.sum(log_slope, axis=1)

    def raw(self, params: Tree, x: Array, context: Array | None = None) -> Array:
        """net(x, c) (n, d, width): row i of it is a function of the coordinates before i."""
        return np.reshape(self.net(params, x, context), (*x.shape, self.transformer.width))
