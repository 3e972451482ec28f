r"""Columns in which a few values lie far from all others: the unit would be theirs, and make one point of the rest.

$$t = \mathrm{asinh}\,\frac{y - c}{w}, \qquad \log\frac{dt}{dy} = -\log w - \log\sqrt{1 + ((y - c)/w)^2}$$

is nearly straight within w of c, and a logarithm beyond. c is the median, w the interquartile range: neither minds the few.
"""
import numpy as np

from evenflow.reference.core import Array

FAR = 50          # interquartile ranges from the median
STEEPEST = 700.0  # of sinh, in float64


def asinh(y: Array, c: Array, w: Array) -> tuple[Array, Array]:
    """asinh((y - c) / w) (n, d), y where c is NaN, and the logarithm of its slope (n,)."""
    v = np.where(c == c, (y - c) / w, np.zeros_like(y))
    change = np.where(c == c, -np.log(w) - np.log(np.hypot(np.ones_like(v), v)), np.zeros_like(v))
    return np.where(c == c, np.arcsinh(v), y), np.sum(change, axis=1)


def from_asinh(t: Array, c: Array, w: Array) -> Array:
    """The way back."""
    return np.where(np.isnan(c), t, c + w * np.sinh(np.clip(t, -STEEPEST, STEEPEST)))


def far_out(t: Array) -> Array | None:
    """c and w (2, d) of the columns of t (n, d) in which a value is far, NaN for the others; None where none is.

    Far is what lies FAR interquartile ranges from the median (where half of a column is one value: FAR times as far from it as
    half of the others).
    """
    pair = np.full((2, t.shape[1]), np.nan)
    for j, column in enumerate(t.T):
        if (column == column[0]).all():
            continue
        c, w = middle_and_width(column)
        if (np.abs(column - c) > FAR * w).any():
            pair[:, j] = c, w
    return None if np.isnan(pair).all() else pair


def middle_and_width(column: Array) -> tuple[float, float]:
    """Of a column that varies: its median, and its interquartile range or what takes its place."""
    c = float(np.median(column))
    away = np.abs(column - c)
    return c, float(np.subtract(*np.quantile(column, [0.75, 0.25])) or np.median(away[away > 0]))
