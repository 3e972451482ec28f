r"""Coupling layers (Dinh et al. 2017, section 3.2; Durkan et al. 2019 for splines).

A mask says which coordinates A pass unchanged. They condition the map of the others, B:

$$x_A = z_A, \qquad x_B = \tau(z_B;\, \mathrm{net}(z_A, c)), \qquad \log |\det dx/dz| = \sum_{i \in B} \log \tau'(z_i)$$

with a transformer $\tau$ (affine or spline). With an empty A nothing conditions but the context: the elementwise layer. In the
code A and B are 0/1 matrices: `z @ B` picks the coordinates B of each row, and `x_B @ B.T` puts them back in their places.
"""
from dataclasses import dataclass

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import MLP, Array, Tree, arrays, beside, replaceable
from evenflow.reference.flows.affine import AffineTransformer
from evenflow.reference.flows.contract import Transformer, check_input


@dataclass(frozen=True)
class Coupling:
    """mask[i] is True where coordinate i passes unchanged; any mask that leaves something to transform.

    >>> layer = Coupling((True, False))
    >>> x, log_det = layer.forward(layer.init(onp.random.default_rng(0)), np.ones((1, 2)))
    >>> x[:, 0], log_det.shape
    (array([1.]), (1,))
    """
    mask: tuple[bool, ...]
    transformer: Transformer = AffineTransformer()
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "relu"
    context_dim: int = 0
    final_scale: float = 0.01  # of the network's last weights at the start; 0: exactly the identity

    def __post_init__(self) -> None:
        if not self.mask or all(self.mask):
            raise ValueError(f"mask must leave at least one coordinate to transform, got {self.mask}")

    @property
    def d(self) -> int:
        return len(self.mask)

    @property
    def net(self) -> MLP:
        """Starts near zero, where every transformer is the identity."""
        passing = sum(self.mask)
        outputs = (self.d - passing) * self.transformer.width
        return MLP(passing, outputs, self.hidden, self.activation, self.context_dim, self.final_scale)

    def init(self, rng: onp.random.Generator) -> Tree:
        return self.net.init(rng)

    @arrays("z", "context")
    @replaceable
    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "z", z, context)
        A, B = self.select(z)
        x_B, log_slope = self.transformer.forward(self.raw(params, z @ A, context), z @ B)
        return z * beside(self.mask, z) + x_B @ B.T, np.sum(log_slope, axis=1)

    @arrays("x", "context")
    @replaceable
    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "x", x, context)
        A, B = self.select(x)
        z_B, log_slope = self.transformer.inverse(self.raw(params, x @ A, context), x @ B)
        return x * beside(self.mask, x) + z_B @ B.T, np.sum(log_slope, axis=1)

    def select(self, like: Array) -> tuple[Array, Array]:
        mask, one = onp.array(self.mask), onp.eye(self.d, dtype=bool)
        return beside(one[:, mask], like), beside(one[:, ~mask], like)

    def raw(self, params: Tree, passing: Array, context: Array | None) -> Array:
        shape = (passing.shape[0], self.d - sum(self.mask), self.transformer.width)
        return np.reshape(self.net(params, passing, context), shape)


def elementwise(
    d: int, transformer: Transformer = AffineTransformer(), context_dim: int = 0, hidden: tuple[int, ...] = (),
    final_scale: float = 0.01,
) -> Coupling:
    """Each coordinate on its own: learned transformers, functions of the context where there is one.

    >>> elementwise(2).mask
    (False, False)
    """
    return Coupling((False,) * d, transformer, hidden, context_dim=context_dim, final_scale=final_scale)
