r"""The quantile (pinball) score: a proper score for a single quantile.

$$\rho_\alpha(y - q) = \max\{\alpha (y - q),\; (\alpha - 1)(y - q)\}, \qquad 0 < \alpha < 1.$$

Its mean is least where $q$ is the alpha-quantile of $y$ (Koenker & Bassett 1978). Averaged over all alpha it is half
the CRPS, the objective of autoregressive quantile flows (Si et al. 2022).
"""
import numpy as onp

from evenflow.reference.core import Array, anywhere, arrays, check_finite, check_shape, replaceable, value


@arrays("quantile", "y", "alpha")
def quantile_score(quantile: Array, y: Array, alpha: Array) -> Array:
    """rho_alpha(y - quantile): quantile and y of one shape, alpha one number or of that shape too -> the same shape.

    Raises ValueError unless 0 < alpha < 1.

    >>> quantile_score(onp.array([1.0, 3.0]), onp.array([2.0, 2.0]), 0.9).round(6)
    array([0.9, 0.1])
    """
    check_shape("quantile", quantile, *onp.shape(value(y)))
    check_finite("y", y)
    if onp.ndim(value(alpha)) == 0:
        alpha = float(alpha)  # a plain number leaves float32 arrays float32
    else:
        check_shape("alpha", alpha, *onp.shape(value(y)))
    if anywhere(onp.logical_not((value(alpha) > 0) & (value(alpha) < 1))):
        raise ValueError(f"alpha must lie strictly between 0 and 1, got {value(alpha)}")
    return pinball(y - quantile, alpha)


@replaceable
def pinball(u: Array, alpha: Array) -> Array:
    """rho_alpha(u) = max(alpha u, (alpha - 1) u), entry by entry."""
    return alpha * u - u * (u < 0)
