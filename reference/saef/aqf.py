r"""Autoregressive quantile flows (Si, Bishop & Kuleshov 2022), the ancestor of SAEF.

$$x_j = Q_j(\alpha_j;\, x_{<j}), \qquad \alpha_j \sim U(0, 1), \qquad Q_j \text{ increasing in } \alpha_j$$

Each conditional quantile function is learned with the quantile (pinball) score, by teacher forcing,

$$\text{loss} = \sum_j E_\alpha\, \rho_\alpha\big(x_j - Q_j(\alpha; x_{<j})\big), \qquad
  \rho_\alpha(u) = \max(\alpha u, (\alpha - 1) u)$$

which is half the sum of the CRPS of the conditionals: the energy score of one coordinate at beta = 1. Here
$Q_j(\alpha) = \tau(\Phi^{-1}(\alpha))$ with an increasing transformer $\tau$ of normal noise: affine (normal conditionals) or
spline. So the model is also a masked autoregressive flow, with its inverse and its density.
"""
from dataclasses import dataclass

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, Tree, arrays, check_finite, check_shape, normal_quantile, replaceable
from evenflow.reference.flows import AffineTransformer, Flow, MaskedAutoregressive, Normal, Transformer
from evenflow.reference.scores import quantile_score


@dataclass(frozen=True)
class AQF(Flow):
    """A flow with one masked autoregressive layer, which can say its conditional quantiles.

    >>> model = aqf(2, hidden=(8,))
    >>> params, x = model.init(onp.random.default_rng(0)), onp.zeros((3, 2))
    >>> model.quantiles(params, onp.full((1, 3, 2), 0.5), x).shape
    (1, 3, 2)
    """
    base: Normal
    bijection: MaskedAutoregressive

    @arrays("alpha", "x", "context")
    def quantiles(self, params: Tree, alpha: Array, x: Array, context: Array | None = None) -> Array:
        """Q_j(alpha_j; x_<j) for levels alpha (m, n, d) in (0, 1), given the true x (n, d): (m, n, d)."""
        check_finite("x", x)
        check_shape("alpha", alpha, "m", *x.shape)
        raw = self.bijection.raw(params, x, context)   # (n, d, width), the same for all m levels
        return images(self.bijection.transformer, raw, normal_quantile(alpha).astype(x.dtype))

    @arrays("x", "alpha")
    def quantile_loss(self, params: Tree, x: Array, alpha: Array, context: Array | None = None) -> Array:
        """The pinball objective: summed over coordinates, averaged over the n data and m levels."""
        q = self.quantiles(params, alpha, x, context)
        return np.sum(quantile_score(q, np.broadcast_to(x[None], alpha.shape), alpha)) / (alpha.shape[0] * alpha.shape[1])

    def levels(self, rng: onp.random.Generator, m: int, n: int) -> Array:
        """Uniform levels (m, n, d) strictly between 0 and 1, on a grid that float32 holds exactly."""
        return (rng.integers(2**22, size=(m, n, self.d)) + 0.5) / 2**22


@replaceable
def images(transformer: Transformer, raw: Array, z: Array) -> Array:
    """z (m, n, d) through the n d transformers of raw (n, d, width), the same for all m: (m, n, d)."""
    return np.stack([transformer.forward(raw, z_i)[0] for z_i in z])


def aqf(
    d: int, order: tuple[int, ...] | None = None, hidden: tuple[int, ...] = (64, 64), context_dim: int = 0,
    transformer: Transformer = AffineTransformer(5.0),
) -> AQF:
    """Build one: affine or spline quantile functions, any order of the coordinates.

    >>> aqf(3, order=(2, 0, 1)).bijection.order
    (2, 0, 1)
    """
    order = tuple(range(d)) if order is None else order
    return AQF(Normal(d), MaskedAutoregressive(order, transformer, hidden, context_dim=context_dim))
