"""Special functions that NumPy or autograd lack, or differentiate badly."""
from statistics import NormalDist

import autograd.numpy as np
import numpy as onp
from autograd.extend import defvjp, primitive

from evenflow.reference.core.arrays import arrays
from evenflow.reference.core.dispatch import replaceable
from evenflow.reference.core.looking import value
from evenflow.reference.core.trees import Array

# autograd differentiates tanh as 1 / cosh^2, which overflows far out; 1 - tanh^2 is the same and cannot.
tanh = primitive(onp.tanh)
defvjp(tanh, lambda ans, x: lambda g: g * (1 - ans**2))


@arrays("raw")
def bounded(raw: Array, limit: float = 5.0) -> Array:
    """limit * tanh(raw / limit): the identity near 0, never beyond +-limit. For every log scale that is learned.

    exp of a raw number overflows, or collapses the density onto a point, after one bad step; exp of this cannot.

    >>> bounded(np.array([0.1, 100.0])).round(2)
    array([0.1, 5. ])
    """
    return limit * tanh(raw / limit)


@arrays("a")
@replaceable
def logsumexp(a: Array, axis: int) -> Array:
    """log sum exp(a) along an axis, without overflow.

    >>> logsumexp(np.array([[1000.0, 1000.0]]), axis=1).round(3)
    array([1000.693])
    """
    top = np.max(value(a), axis=axis, keepdims=True)
    none = np.squeeze(top, axis) == -np.inf                    # where all are -inf, so is the answer, with gradient 0
    far = np.where(np.isfinite(top), top, np.zeros_like(top))
    total = np.sum(np.exp(a - far), axis=axis)
    return np.squeeze(np.where(top == -np.inf, top, far), axis) + np.log(total + none)


@arrays("alpha")
@replaceable
def normal_quantile(alpha: Array) -> Array:
    """Phi^-1 of plain numbers in (0, 1), any shape. Not differentiable: it only ever meets noise.

    >>> normal_quantile([0.5, 0.975]).round(2)
    array([0.  , 1.96])
    """
    alpha = onp.asarray(alpha)
    if not ((alpha > 0) & (alpha < 1)).all():
        raise ValueError(f"alpha must lie strictly between 0 and 1, got values from {alpha.min()} to {alpha.max()}")
    inverse = NormalDist().inv_cdf
    return onp.array([inverse(a) for a in alpha.ravel().tolist()], dtype=alpha.dtype).reshape(alpha.shape)
