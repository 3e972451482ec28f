r"""The rational-quadratic spline with its adjoint; letters as in reference/flows/spline.py.

With $N = s\xi^2 + d_k u$ and $R = s\eta^2 + d_{k+1} u$, so that $D = N + R$, the places in the bin are $q = N/D$, $p = R/D$ and
$x = y_k + h q$; with $M = d_{k+1}\xi^2 + 2su + d_k\eta^2$ it is $\ell = 2\log s + \log M - 2\log D$. Derivatives, in $\xi$ as
$\eta = 1 - \xi$ moves with it, written so that little cancels:

$$q_\xi = \frac{sM}{D^2}, \quad q_s = \frac{u (d_{k+1}\xi^2 - d_k\eta^2)}{D^2}, \quad q_{d_k} = \frac{up}{D}, \quad
  q_{d_{k+1}} = -\frac{uq}{D}$$
$$\ell_\xi = 2\,\frac{d_{k+1}\xi - d_k\eta + s(\eta - \xi)}{M} - 2\,\frac{(d_k + d_{k+1} - 2s)(\eta - \xi)}{D}, \quad
  \ell_s = \frac{2u}{M} + \frac{2u (d_k + d_{k+1})}{sD}$$
$$\ell_{d_k} = \frac{\eta^2}{M} - \frac{2u}{D}, \qquad \ell_{d_{k+1}} = \frac{\xi^2}{M} - \frac{2u}{D}$$

Adjoints, forth: $a = h\bar x$ is that of q, $\bar\theta = a q_\theta + \bar\ell\,\ell_\theta$ for each
$\theta = \xi, s, d_k, d_{k+1}$, and with $\bar z = \bar\xi / w$ and $b = -\bar z$

$$\bar x_k = \eta b + s\bar s / w, \quad \bar x_{k+1} = \xi b - s\bar s / w, \quad
  \bar y_k = p a / h - \bar s / w, \quad \bar y_{k+1} = q a / h + \bar s / w.$$

Back, z and $-\ell$ from x: q is given and $\xi$ follows, so that $a = (\bar\ell\,\ell_\xi - w\bar z) / q_\xi$,
$\bar x = -a / h$, and the rest as above with $b = \bar z$ and the sign of $\bar\ell$ turned.

Here in NumPy, whole arrays at a time; on the device one thread a point (kernels/spline.cuh).
"""
from typing import Any, NamedTuple

import numpy as np

from evenflow.accel.backends import on_device
from evenflow.accel.fused import fused
from evenflow.accel.kernels import spline as kernel
from evenflow.reference.core import Array
from evenflow.reference.flows.spline import MIN_BIN, check_knots


class Bin(NamedTuple):
    """Where each point lies: all (N,), of the bin, or of the end of the spline for points beyond it."""
    inside: Array
    k: Array
    end: Array     # 0 or K: the knot at which the tail begins
    xi: Array
    eta: Array     # 1 - xi, with its own digits
    u: Array
    s: Array
    w: Array
    h: Array
    d: Array       # d_k
    e: Array       # d_k+1
    x_k: Array
    y_k: Array
    x_next: Array  # x_k+1
    y_next: Array
    q: Array
    p: Array       # 1 - q
    D: Array
    M: Array


def locate(v: Array, knots: Array, x_knots: Array, y_knots: Array, slopes: Array) -> tuple[Array, Array, Array, Bin]:
    """v with what is outside moved onto the first knot, and the bin, its xi still to be found."""
    K = knots.shape[1] - 1
    first, last = knots[:, 0], knots[:, K]
    inside = (v >= first) & (v <= last)
    v_in = np.where(inside, v, first)
    k = np.minimum((v_in[:, None] >= knots[:, :-1]).sum(axis=1), K) - 1
    rows = np.arange(len(v))
    (x_k, x_next), (y_k, y_next), (d, e) = ((a[rows, k], a[rows, k + 1]) for a in (x_knots, y_knots, slopes))
    w, h, zero = x_next - x_k, y_next - y_k, np.zeros_like(v)
    end = np.where(v < first, 0, K)
    found = Bin(inside, k, end, zero, zero, zero, h / w, w, h, d, e, x_k, y_k, x_next, y_next, zero, zero, zero, zero)
    return v_in, rows, inside, found


def completed(b: Bin, xi: Array, eta: Array) -> Bin:
    u = xi * eta
    N, R = b.s * xi**2 + b.d * u, b.s * eta**2 + b.e * u
    D, M = N + R, b.e * xi**2 + 2 * b.s * u + b.d * eta**2
    return b._replace(xi=xi, eta=eta, u=u, q=N / D, p=R / D, D=D, M=M)


def log_slope(b: Bin) -> Array:
    return 2 * np.log(b.s) + np.log(b.M) - 2 * np.log(b.D)


def spline(z: Array, x_knots: Array, y_knots: Array, slopes: Array) -> tuple[Array, Array, Any]:
    """z (N,), knots and slopes (N, K + 1) -> x, log dx/dz, and what the way back needs."""
    z_in, rows, inside, b = locate(z, x_knots, x_knots, y_knots, slopes)
    b = completed(b, (z_in - b.x_k) / b.w, (b.x_next - z_in) / b.w)
    x = b.y_k + b.h * b.q
    slope, off = slopes[rows, b.end], z - x_knots[rows, b.end]
    tail = y_knots[rows, b.end] + slope * off
    out, log_det = np.where(inside, x, tail), np.where(inside, log_slope(b), np.log(slope))
    return out, log_det, (rows, b, slope, off, x_knots.shape)


def spline_back(saved: Any, g_x: Array, g_l: Array) -> tuple[Array, Array, Array, Array]:
    """The adjoints of z, x_knots, y_knots and slopes."""
    rows, b, slope, off, shape = saved
    gx, gl = g_x * b.inside, g_l * b.inside
    q_xi, l_xi = in_xi(b)
    a = b.h * gx
    g_z = (a * q_xi + gl * l_xi) / b.w
    ends = bin_back(b, a, -g_z, gl)
    tail_x, tail_l = g_x - gx, g_l - gl
    g_z = g_z + tail_x * slope
    tails = (-tail_x * slope, tail_x, tail_x * off + tail_l / slope)     # of x_end, y_end and slope_end
    return (g_z, *placed(rows, b, ends, tails, shape))


def in_xi(b: Bin) -> tuple[Array, Array]:
    """The derivatives of q and l in xi."""
    bent = b.e * b.xi - b.d * b.eta + b.s * (b.eta - b.xi)
    return b.s * b.M / b.D**2, 2 * bent / b.M - 2 * (b.d + b.e - 2 * b.s) * (b.eta - b.xi) / b.D


def bin_back(b: Bin, a: Array, gz: Array, gl: Array) -> tuple[Array, ...]:
    """The formulas above: from the adjoints a of q, b of z and that of l, those of x_k, x_k+1, y_k, y_k+1, d_k, d_k+1."""
    v = b.u / b.D
    gs = a * v * (b.e * b.xi**2 - b.d * b.eta**2) / b.D + 2 * gl * (b.u / b.M + v * (b.d + b.e) / b.s)
    gd, ge = a * v * b.p + gl * (b.eta**2 / b.M - 2 * v), gl * (b.xi**2 / b.M - 2 * v) - a * v * b.q
    by_w, by_h, gy = gs * b.s / b.w, gs / b.w, a / b.h
    return b.eta * gz + by_w, b.xi * gz - by_w, b.p * gy - by_h, b.q * gy + by_h, gd, ge


def placed(
    rows: Array, b: Bin, ends: tuple[Array, ...], tails: tuple[Array, ...], shape: tuple[int, ...]
) -> list[Array]:
    """Adjoints of knots and slopes (N, K + 1) from those at both ends of each bin, and where the tails begin."""
    grads = []
    for low, high, tail in zip(ends[::2], ends[1::2], tails, strict=True):
        g = np.zeros(shape, low.dtype)
        g[rows, b.k] = low          # nought for points outside
        g[rows, b.k + 1] = high
        g[rows, b.end] += tail      # nought for points inside
        grads.append(g)
    return grads


def inverse(x: Array, x_knots: Array, y_knots: Array, slopes: Array) -> tuple[Array, Array, Any]:
    """The way back: z, log dz/dx."""
    x_in, rows, inside, b = locate(x, y_knots, x_knots, y_knots, slopes)
    q, p = (x_in - b.y_k) / b.h, (b.y_next - x_in) / b.h
    A = b.d * p - b.e * q
    low, T = A >= 0, np.abs(A) + np.sqrt(A**2 + 4 * b.s**2 * p * q)
    near = 2 * b.s * np.where(low, q, p)
    small, large = near / (T + near), T / (T + near)
    b = completed(b, np.where(low, small, large), np.where(low, large, small))
    slope, off = slopes[rows, b.end], x - y_knots[rows, b.end]
    z = np.where(inside, b.x_k + b.w * b.xi, x_knots[rows, b.end] + off / slope)
    log_det = -np.where(inside, log_slope(b), np.log(slope))
    return z, log_det, (rows, b, slope, off, x_knots.shape)


def inverse_back(saved: Any, g_z: Array, g_l: Array) -> tuple[Array, Array, Array, Array]:
    """The adjoints of x, x_knots, y_knots and slopes."""
    rows, b, slope, off, shape = saved
    gz, gl = g_z * b.inside, g_l * b.inside
    q_xi, l_xi = in_xi(b)
    a = (gl * l_xi - b.w * gz) / q_xi
    ends = bin_back(b, a, gz, -gl)
    tail_z, tail_l = g_z - gz, g_l - gl
    tails = (tail_z, -tail_z / slope, -(tail_z * off / slope + tail_l) / slope)
    return (tail_z / slope - a / b.h, *placed(rows, b, ends, tails, shape))


def knots(raw: Array, low: float, high: float) -> tuple[Array, Array]:
    """raw (N, K) -> increasing knots (N, K + 1), and the softmax p of which they are made."""
    bins = raw.shape[1]
    p = np.exp(raw - raw.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    places = np.empty((len(raw), bins + 1), raw.dtype)
    places[:, 0] = low
    places[:, 1:] = low + (high - low) * np.cumsum(MIN_BIN + (1 - MIN_BIN * bins) * p, axis=1)
    return places, p


def knots_back(p: Array, g: Array, low: float, high: float) -> Array:
    r"""With $\bar p_j = c \sum_{k > j} \bar x_k$:  $\overline{\text{raw}} = p (\bar p - \sum p \bar p)$."""
    above = np.cumsum(g[:, :0:-1], axis=1)[:, ::-1]
    g_p = above * ((high - low) * (1 - MIN_BIN * p.shape[1]))
    return p * (g_p - (p * g_p).sum(axis=1, keepdims=True))


def core(direction: Any, direction_back: Any, back: bool) -> Any:
    """One of the two cores for arrays of any shape, as an operation on the tape."""
    def forward(v: Array, x_knots: Array, y_knots: Array, slopes: Array) -> tuple[tuple[Array, Array], Any]:
        if on_device(v):
            return kernel.spline_of_knots(v, x_knots, y_knots, slopes, back), (v, x_knots, y_knots, slopes)
        flat = [a.reshape(-1, x_knots.shape[-1]) for a in (x_knots, y_knots, slopes)]
        out, log_slope, saved = direction(v.reshape(-1), *flat)
        return (out.reshape(v.shape), log_slope.reshape(v.shape)), (saved, v.shape, x_knots.shape)

    def backward(kept: Any, wanted: tuple[int, ...], g: Array | None, g_l: Array | None) -> list[Array]:
        there = g if g is not None else g_l
        if on_device(there):
            v, x_knots, y_knots, slopes = kept
            grads: Any = kernel.spline_of_knots_back(g, g_l, v, x_knots, y_knots, slopes, back)
            return [grads[i] for i in wanted]
        saved, shape, wide = kept
        g, g_l = (np.zeros_like(there) if a is None else a for a in (g, g_l))
        grads = direction_back(saved, g.reshape(-1), g_l.reshape(-1))
        return [grads[i].reshape(wide if i else shape) for i in wanted]

    return fused(forward, backward)


_spline, _inverse = core(spline, spline_back, False), core(inverse, inverse_back, True)


def rational_quadratic_spline(z: Array, x_knots: Array, y_knots: Array, slopes: Array) -> tuple[Array, Array]:
    check_knots("z", z, x_knots, y_knots, slopes)
    return _spline(z, x_knots, y_knots, slopes)  # type: ignore[no-any-return]


def rational_quadratic_spline_inverse(x: Array, x_knots: Array, y_knots: Array, slopes: Array) -> tuple[Array, Array]:
    check_knots("x", x, x_knots, y_knots, slopes)
    return _inverse(x, x_knots, y_knots, slopes)  # type: ignore[no-any-return]


def _knots_forward(raw: Array, low: float, high: float) -> tuple[tuple[Array], Any]:
    if on_device(raw):
        return (kernel.knots(raw, low, high),), (raw, raw.shape, low, high)
    places, p = knots(raw.reshape(-1, raw.shape[-1]), low, high)
    return (places.reshape(*raw.shape[:-1], places.shape[1]),), (p, raw.shape, low, high)


def _knots_backward(kept: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
    p, shape, low, high = kept
    if on_device(g):
        return [kernel.knots_back(p, g, low, high)]
    return [knots_back(p, g.reshape(-1, g.shape[-1]), low, high).reshape(shape)]


_knots = fused(_knots_forward, _knots_backward)


def knots_of(raw: Array, low: float, high: float) -> Array:
    """flows.spline.knots."""
    return _knots(raw, low, high)[0]


REPLACEMENTS = {
    "flows.spline.knots": knots_of,
    "flows.spline.rational_quadratic_spline": rational_quadratic_spline,
    "flows.spline.rational_quadratic_spline_inverse": rational_quadratic_spline_inverse,
}
