r"""Sums of |x - y| over all pairs on the line, by sorting: O(m log m) where pairs.py needs O(m^2).

$$\sum_{i<j} |x_i - x_j| = \sum_i (2 r_i - m + 1)\, x_i, \qquad
  \sum_i |x_i - y_j| = (2 c_j - m)\, y_j + \sum_i x_i - 2 \sum_{r_i < c_j} x_i$$

where $r_i$ (from 0) is the rank of $x_i$ and $c_j$ counts the $x$ below $y_j$. Ranks and counts are integers that stay
put when the points move a little, so the gradient is exact; among equal points it is one of the subgradients. Nothing
is smoothed. All functions work along axis 0, each column for itself.
"""
import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, replaceable, value


def ranks(x: Array) -> Array:
    """The place, from 0, of every entry in its sorted column; equal entries keep their order."""
    order = onp.argsort(value(x), axis=0, kind="stable")
    return onp.argsort(order, axis=0)


@replaceable
def sorted_within(x: Array) -> Array:
    """sum_{i<j} |x_i - x_j|: x (m, ...) -> (...)."""
    weights = (2 * ranks(x) - x.shape[0] + 1).astype(x.dtype)
    return np.sum(weights * x, axis=0)


@replaceable
def sorted_sums(x: Array, y: Array) -> tuple[Array, Array]:
    """What a score needs of both: x (m, L), y (n, L) -> sorted_cross (n, L) and, of the x alone, sorted_within (L,)."""
    return sorted_cross(x, y), sorted_within(x)


def sorted_cross(x: Array, y: Array) -> Array:
    """sum_i |x_i - y_j| for every j: x (m, L), y (n, L) -> (n, L)."""
    m, columns, middle = x.shape[0], onp.arange(x.shape[1]), onp.mean(value(x), axis=0)
    x, y = x - middle, y - middle  # no difference changes, and the running sums stay small: float32 keeps its digits
    below = ranks(onp.concatenate([value(x), value(y)]))[m:] - ranks(y)  # (n, L), the c_j
    in_order = x[onp.argsort(value(x), axis=0, kind="stable"), columns]  # (m, L)
    sums = np.concatenate([0 * x[:1], np.cumsum(in_order, axis=0)])  # (m + 1, L)
    return (2 * below - m).astype(x.dtype) * y + sums[-1] - 2 * sums[below, columns]
