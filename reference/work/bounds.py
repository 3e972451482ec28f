r"""From a bounded interval to the whole real line and back, column by column: for what lives on the line (chains, flows).

$$t = [\text{low finite}]\,\log(y - \text{low}) - [\text{high finite}]\,\log(\text{high} - y), \qquad
t = y \text{ where neither is}$$

With $a = y - \text{low}$, $b = \text{high} - y$, $w = \text{high} - \text{low}$, each 1 where a bound that it needs is missing,

$$\log\Big|\frac{dt}{dy}\Big| = \log w - \log a - \log b.$$

The way back is $y = \text{low} + e^t$ or $\text{high} - e^{-t}$ from one bound, and between two
$y = \text{low} + w / (1 + e^{-t})$, counted from the nearer one: neither end loses digits.
"""
import math

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, anywhere, arrays, beside, check_finite, check_shape, fetched, value


@arrays("y", "low", "high")
def to_line(y: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """y (n, d) between low and high (d,), -inf and inf where there is no bound -> t (n, d), log |det dt/dy| (n,).

    Raises ValueError for a y on a bound or beyond it: there t is infinite.

    >>> to_line(np.array([[0.5, 1.0, 3.0]]), [0.0, 0.0, -np.inf], [1.0, np.inf, np.inf])[0]
    array([[0., 0., 3.]])
    """
    check_bounds("y", y, low, high)
    check_inside("y", y, low, high)
    low, high, has_low, has_high, w = sides(y, low, high)
    log_a = np.log(np.where(has_low, y - low, np.ones_like(y)))
    log_b = np.log(np.where(has_high, high - y, np.ones_like(y)))
    return np.where(has_low | has_high, log_a - log_b, y), np.sum(np.log(w) - log_a - log_b, axis=1)


@arrays("t", "low", "high")
def from_line(t: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """t (n, d), any finite numbers -> y (n, d), strictly inside, log |det dy/dt| (n,): the way back.

    Where rounding would put y on a bound it is the next number inside, and no longer tells t.

    >>> from_line(np.array([[0.0, 0.0, 3.0]]), [0.0, 0.0, -np.inf], [1.0, np.inf, np.inf])[0]
    array([[0.5, 1. , 3. ]])
    """
    low, high = check_bounds("t", t, low, high)
    least, most = beside(onp.nextafter(low, high), t), beside(onp.nextafter(high, low), t)
    low, high, has_low, has_high, w = sides(t, low, high)
    one, both, nothing = has_low ^ has_high, has_low & has_high, np.zeros_like(t)
    log_far = np.where(one, np.where(has_low, t, -t), nothing)       # of the distance from the one bound
    far = np.exp(np.minimum(log_far, math.floor(math.log(onp.finfo(t.dtype).max))))
    size = np.where(both, np.where(t < 0, -t, t), nothing)           # |t|, whose derivative at 0 autograd takes to be 0
    near = w * np.exp(-size) / (1 + np.exp(-size))                   # the distance from the nearer of two
    y = np.where(one, np.where(has_low, low + far, high - far), t)
    y = np.where(both, np.where(t < 0, low + near, high - near), y)
    log_slope = np.where(both, np.log(w) - size - 2 * np.log(1 + np.exp(-size)), log_far)
    return np.clip(y, least, most), np.sum(log_slope, axis=1)


def sides(like: Array, low: Array, high: Array) -> tuple[Array, ...]:
    """low and high, 0 where there is none; which of them there are; w: each (d,), where `like` is and in its dtype."""
    has_low, has_high = onp.isfinite(low), onp.isfinite(high)
    low, high = onp.where(has_low, low, 0.0), onp.where(has_high, high, 0.0)
    w = onp.where(has_low & has_high, high - low, 1.0)
    low, high, w = (beside(each.astype(like.dtype), like) for each in (low, high, w))
    return low, high, beside(has_low, like), beside(has_high, like), w


def check_bounds(name: str, x: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """low and high in x's dtype. Raises ValueError unless they are (d,) for a finite x (n, d), and a number fits between."""
    check_shape("low", low, "d")
    check_shape("high", high, len(low))
    check_shape(name, x, "n", len(low))
    check_finite(name, x)
    low, high = low.astype(x.dtype), high.astype(x.dtype)
    with onp.errstate(over="ignore"):
        w = onp.where(onp.isfinite(low) & onp.isfinite(high), high - low, 1.0)
    wrong = ~(onp.nextafter(low, high) < high) | ~onp.isfinite(w)
    if wrong.any():
        j = onp.flatnonzero(wrong)[0]
        raise ValueError(f"low must be below high, with numbers between that can be told apart, got {low[j]} and {high[j]} "
                         f"in column {j}")
    return low, high


def check_inside(name: str, y: Array, low: Array, high: Array) -> None:
    plain = value(y)
    outside = (plain <= beside(low, plain)) | (plain >= beside(high, plain))
    if anywhere(outside):
        i, j = (int(k) for k in onp.argwhere(fetched(outside))[0])
        raise ValueError(f"{name} must lie strictly between low and high, got {plain[i, j]} in row {i}, column {j}, "
                         f"whose bounds are {low[j]} and {high[j]}")
