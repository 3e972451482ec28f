r"""Coupling layers (Dinh et al. 2017, eq. 9; Durkan et al. 2019 for splines).

A mask $b \in \{0, 1\}^d$ says which coordinates pass unchanged. They condition the map of the others:

$$x = b \odot z + (1 - b) \odot \tau(z;\, \mathrm{net}(b \odot z, c)), \qquad
\log |\det dx/dz| = \sum_i (1 - b_i) \log \tau_i'(z_i)$$

with an elementwise transformer $\tau$ (affine or spline). With an empty mask nothing conditions but the context: that is the
elementwise layer.
"""
from dataclasses import dataclass

import autograd.numpy as np
import numpy as onp

from evenflow.reference.bijections.affine import AffineTransformer
from evenflow.reference.bijections.contract import Transformer, check_input
from evenflow.reference.networks import MLP
from evenflow.reference.trees import Array, Tree


@dataclass(frozen=True)
class Coupling:
    """mask[i] is True where coordinate i passes unchanged; any mask that leaves something to transform."""
    mask: tuple[bool, ...]
    transformer: Transformer = AffineTransformer()
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "relu"
    context_dim: int = 0

    def __post_init__(self) -> None:
        if not self.mask or all(self.mask):
            raise ValueError(f"mask must leave at least one coordinate to transform, got {self.mask}")

    @property
    def d(self) -> int:
        return len(self.mask)

    @property
    def net(self) -> MLP:
        """Starts near zero, where every transformer is the identity."""
        outputs = self.d * self.transformer.width
        return MLP(self.d, outputs, self.hidden, self.activation, self.context_dim, final_scale=0.01)

    def init(self, rng: onp.random.Generator) -> Tree:
        return self.net.init(rng)

    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "z", z, context)
        return self.merge(z, *self.transformer.forward(self.raw(params, z, context), z))

    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "x", x, context)  # b * x = b * z: the same network input both ways
        return self.merge(x, *self.transformer.inverse(self.raw(params, x, context), x))

    def raw(self, params: Tree, v: Array, context: Array | None) -> Array:
        raw = self.net(params, v * onp.array(self.mask), context)
        return np.reshape(raw, (*v.shape, self.transformer.width))

    def merge(self, kept: Array, moved: Array, log_slope: Array) -> tuple[Array, Array]:
        b = onp.array(self.mask)
        return b * kept + ~b * moved, np.sum(~b * log_slope, axis=1)


def elementwise(
    d: int, transformer: Transformer = AffineTransformer(), context_dim: int = 0, hidden: tuple[int, ...] = ()
) -> Coupling:
    """Each coordinate on its own: learned transformers, functions of the context where there is one."""
    return Coupling((False,) * d, transformer, hidden, context_dim=context_dim)
