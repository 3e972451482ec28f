r"""The rational-quadratic spline and its transformer, from Durkan et al. 2019, eq. 4-8.

Between knots, with $\xi = (z - x_k)/w$, $s = h/w$ and $\theta = \xi(1-\xi)$,

$$x = y_k + h\,\frac{s \xi^2 + d_k \theta}{s + (d_{k+1} + d_k - 2s)\theta}, \qquad
\frac{dx}{dz} = \frac{s^2 (d_{k+1} \xi^2 + 2 s \theta + d_k (1 - \xi)^2)}{(s + (d_{k+1} + d_k - 2s)\theta)^2}$$

and beyond them straight lines. The inverse takes a root of the quadratic (eq. 6-8), and proves that forward leads back to x.
"""
from collections.abc import Callable
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors.exact import exp, log, mp, sqrt, tanh

Number = Any                                        # an mpmath number
Pair = tuple[Number, Number]                        # out, log of its derivative
Core = Callable[[Number, Array, Array, Array], Pair]

FLOOR = mp.mpf(1) / 1000                            # the least width and height of a bin, as a share of the whole
SLOPE_LIMIT = 5


def spline(z: Number, x: Array, y: Array, d: Array) -> Pair:
    """One number through knots x, y (K + 1,) with slopes d."""
    if not x[0] <= z <= x[-1]:
        return line(z, x, y, d, 0 if z < x[0] else -1)
    k = bin_of(z, x)
    w, h = x[k + 1] - x[k], y[k + 1] - y[k]
    xi, s = (z - x[k]) / w, h / w
    theta = xi * (1 - xi)
    denominator = s + (d[k + 1] + d[k] - 2 * s) * theta
    slope = s**2 * (d[k + 1] * xi**2 + 2 * s * theta + d[k] * (1 - xi) ** 2) / denominator**2
    return y[k] + h * (s * xi**2 + d[k] * theta) / denominator, log(slope)


def spline_inverse(x_: Number, x: Array, y: Array, d: Array) -> Pair:
    """The way back of one number."""
    if not y[0] <= x_ <= y[-1]:
        return line(x_, y, x, 1 / d, 0 if x_ < y[0] else -1)
    k = bin_of(x_, y)
    w, h = x[k + 1] - x[k], y[k + 1] - y[k]
    s, v = h / w, x_ - y[k]
    bend = v * (d[k + 1] + d[k] - 2 * s)
    a, b, c = h * (s - d[k]) + bend, h * d[k] - bend, -s * v
    z = x[k] + w * 2 * c / (-b - sqrt(b**2 - 4 * a * c))
    there, log_slope = spline(z, x, y, d)
    assert abs(there - x_) <= mp.mpf(10) ** -30 * max(1, abs(x_))
    return z, -log_slope


def line(v: Number, from_: Array, to: Array, d: Array, end: int) -> Pair:
    return to[end] + d[end] * (v - from_[end]), log(d[end])


def bin_of(v: Number, knots: Array) -> int:
    """The last k with knots[k] <= v, of those that have a knot after them."""
    return max(k for k in range(len(knots) - 1) if knots[k] <= v)


def knots(raw: Array, low: Number, high: Number) -> Array:
    """K raw numbers -> K + 1 places from low to high: a softmax with a floor."""
    e = exp(raw)
    share = e * ((1 - len(e) * FLOOR) / sum(e)) + FLOOR
    return np.insert(np.cumsum(share) * (high - low) + low, 0, low)


def slopes(raw: Array) -> Array:
    return exp(SLOPE_LIMIT * tanh(raw / SLOPE_LIMIT))


def bounded_spline(v: Number, raw: Array, bound: Number, core: Core = spline) -> Pair:
    """raw (3K - 1,): widths, heights, inner slopes. The outer slopes are 1, so that the tails are the identity."""
    K = (len(raw) + 1) // 3
    d = np.array([mp.mpf(1), *slopes(raw[2 * K :]), mp.mpf(1)], dtype=object)
    return core(v, knots(raw[:K], -bound, bound), knots(raw[K : 2 * K], -bound, bound), d)


def bounded_spline_inverse(v: Number, raw: Array, bound: Number) -> Pair:
    return bounded_spline(v, raw, bound, spline_inverse)
