r"""The affine map of one number.

$$x = z\, e^{s} + t, \qquad \log \frac{dx}{dz} = s$$

with log scale $s$ and shift $t$ (Dinh et al. 2017; Papamakarios et al. 2017). The raw log scale of a network passes through
`bounded` first: $s = L \tanh(\text{raw} / L)$.
"""
from dataclasses import dataclass

import autograd.numpy as np

from evenflow.reference.core import Array, arrays, bounded, check_positive, check_shape, replaceable
from evenflow.reference.flows.contract import check_same_shape


@arrays("z", "log_scale", "shift")
def affine(z: Array, log_scale: Array, shift: Array) -> tuple[Array, Array]:
    """z, log_scale, shift, all of one shape -> x, log derivative of that shape.

    >>> affine(np.array([2.0]), np.array([0.0]), np.array([1.0]))
    (array([3.]), array([0.]))
    """
    check_same_shape(z=z, log_scale=log_scale, shift=shift)
    return z * np.exp(log_scale) + shift, log_scale


@arrays("x", "log_scale", "shift")
def affine_inverse(x: Array, log_scale: Array, shift: Array) -> tuple[Array, Array]:
    """The way back: z, log dz/dx.

    >>> affine_inverse(np.array([3.0]), np.array([0.0]), np.array([1.0]))[0]
    array([2.])
    """
    check_same_shape(x=x, log_scale=log_scale, shift=shift)
    return (x - shift) * np.exp(-log_scale), -log_scale


@dataclass(frozen=True)
class AffineTransformer:
    """raw (..., 2) = raw log scale, shift. The scale stays within e^-limit and e^limit.

    >>> AffineTransformer().forward(np.array([[0.0, 1.0]]), np.array([2.0]))[0]
    array([3.])
    """
    limit: float = 3.0
    width = 2

    def __post_init__(self) -> None:
        check_positive("limit", self.limit)

    def shape(self, raw: Array) -> tuple[Array, Array]:
        """Log scale and shift."""
        log_scale, shift = np.split(raw, 2, axis=-1)
        return bounded(np.squeeze(log_scale, -1), self.limit), np.squeeze(shift, -1)

    @arrays("raw", "z")
    @replaceable
    def forward(self, raw: Array, z: Array) -> tuple[Array, Array]:
        check_shape("raw", raw, *z.shape, self.width)
        return affine(z, *self.shape(raw))

    @arrays("raw", "x")
    @replaceable
    def inverse(self, raw: Array, x: Array) -> tuple[Array, Array]:
        check_shape("raw", raw, *x.shape, self.width)
        return affine_inverse(x, *self.shape(raw))
