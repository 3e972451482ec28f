r"""The rational-quadratic spline with its adjoint; letters as in reference/flows/spline.py.

Let $q = N/D$ with $N = s\xi^2 + d_k u$, so that $x = y_k + h q$, and $M = d_{k+1}\xi^2 + 2su + d_k(1-\xi)^2$, so that
$\ell = 2\log s + \log M - 2\log D$. From the adjoints of x and $\ell$, line by line backwards:

$$\bar N = \bar x h / D, \quad \bar M = \bar\ell / M, \quad \bar D = -(\bar x h q + 2\bar\ell) / D, \quad
  \bar u = \bar N d_k + \bar D (d_k + d_{k+1} - 2s) + 2s\bar M$$
$$\bar s = 2\bar\ell / s + \bar N \xi^2 + \bar D (1 - 2u) + 2u\bar M, \qquad
  \bar\xi = 2s\xi\bar N + 2 (d_{k+1}\xi - d_k(1-\xi)) \bar M + (1 - 2\xi)\bar u$$
$$\bar d_k = u\bar N + u\bar D + (1-\xi)^2\bar M, \qquad \bar d_{k+1} = u\bar D + \xi^2\bar M$$
$$\bar z = \bar\xi / w, \quad \bar h = \bar x q + \bar s / w, \quad \bar w = -(\bar s s + \bar\xi\xi) / w, \quad
  \bar x_k = -\bar z - \bar w, \quad \bar x_{k+1} = \bar w, \quad \bar y_k = \bar x - \bar h, \quad \bar y_{k+1} = \bar h$$

The inverse $z = F^{-1}(x;\theta)$ with log slope $-\ell(z;\theta)$ needs no formula of its own: let G be the adjoint of z, what
$-\ell$ adds to it included. As $dz = (dx - F_\theta\, d\theta)/F'$, the adjoint of x is $G/F'$, and that of $\theta$ is what
the formulas above give for $\bar x = -G/F'$ and the sign of $\bar\ell$ turned.
"""
from typing import Any, NamedTuple

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.fused import fused
from evenflow.reference.core import Array
from evenflow.reference.flows.spline import MIN_BIN, check_knots


class Bin(NamedTuple):
    """Where each point lies: all (N,), of the bin, or of the end of the spline for points beyond it."""
    inside: Array
    k: Array
    end: Array     # 0 or K: the knot at which the tail begins
    xi: Array
    u: Array
    s: Array
    w: Array
    h: Array
    d: Array       # d_k
    e: Array       # d_k+1
    x_k: Array
    y_k: Array
    D: Array
    M: Array


def locate(v: Array, knots: Array, x_knots: Array, y_knots: Array, slopes: Array) -> tuple[Array, Array, Array, Bin]:
    """v with what is outside moved onto the first knot, and the bin, its xi still to be found."""
    xp, K = module_of(v), knots.shape[1] - 1
    first, last = knots[:, 0], knots[:, K]
    inside = (v >= first) & (v <= last)
    v_in = xp.where(inside, v, first)
    k = xp.minimum((v_in[:, None] >= knots[:, :-1]).sum(axis=1), K) - 1
    rows = xp.arange(len(v))
    x_k, y_k, d = x_knots[rows, k], y_knots[rows, k], slopes[rows, k]
    w, h, e = x_knots[rows, k + 1] - x_k, y_knots[rows, k + 1] - y_k, slopes[rows, k + 1]
    end = xp.where(v < first, 0, K)
    zero = xp.zeros_like(v)
    return v_in, rows, inside, Bin(inside, k, end, zero, zero, h / w, w, h, d, e, x_k, y_k, zero, zero)


def completed(b: Bin, xi: Array) -> Bin:
    u = xi * (1 - xi)
    D = b.s + (b.d + b.e - 2 * b.s) * u
    M = b.e * xi**2 + 2 * b.s * u + b.d * (1 - xi) ** 2
    return b._replace(xi=xi, u=u, D=D, M=M)


def log_slope(b: Bin) -> Array:
    return 2 * np.log(b.s) + np.log(b.M) - 2 * np.log(b.D)


def spline(z: Array, x_knots: Array, y_knots: Array, slopes: Array) -> tuple[Array, Array, Any]:
    """z (N,), knots and slopes (N, K + 1) -> x, log dx/dz, and what the way back needs."""
    xp = module_of(z)
    z_in, rows, inside, b = locate(z, x_knots, x_knots, y_knots, slopes)
    b = completed(b, (z_in - b.x_k) / b.w)
    x = b.y_k + b.h * (b.s * b.xi**2 + b.d * b.u) / b.D
    slope, off = slopes[rows, b.end], z - x_knots[rows, b.end]
    tail = y_knots[rows, b.end] + slope * off
    out, log_det = xp.where(inside, x, tail), xp.where(inside, log_slope(b), xp.log(slope))
    return out, log_det, (rows, b, slope, off, x_knots.shape)


def spline_back(saved: Any, g_x: Array, g_l: Array) -> tuple[Array, Array, Array, Array]:
    """The adjoints of z, x_knots, y_knots and slopes."""
    rows, b, slope, off, shape = saved
    xp, gx, gl = module_of(g_x), g_x * b.inside, g_l * b.inside
    g_z, *ends = bin_back(b, gx, gl)
    tail_x, tail_l = g_x - gx, g_l - gl
    g_z = g_z + tail_x * slope
    tails = (-tail_x * slope, tail_x, tail_x * off + tail_l / slope)     # of x_end, y_end and slope_end
    return (g_z, *placed(xp, rows, b, ends, tails, shape))


def bin_back(b: Bin, gx: Array, gl: Array) -> tuple[Array, ...]:
    """The formulas above: adjoints of z, then x_k, x_k+1, y_k, y_k+1, d_k, d_k+1."""
    q = (b.s * b.xi**2 + b.d * b.u) / b.D
    gN, gM, gD = gx * b.h / b.D, gl / b.M, -(gx * b.h * q + 2 * gl) / b.D
    gu = gN * b.d + gD * (b.d + b.e - 2 * b.s) + 2 * b.s * gM
    gs = 2 * gl / b.s + gN * b.xi**2 + gD * (1 - 2 * b.u) + 2 * b.u * gM
    gxi = 2 * b.s * b.xi * gN + 2 * (b.e * b.xi - b.d * (1 - b.xi)) * gM + (1 - 2 * b.xi) * gu
    gd, ge = b.u * (gN + gD) + (1 - b.xi) ** 2 * gM, b.u * gD + b.xi**2 * gM
    gz, gh, gw = gxi / b.w, gx * q + gs / b.w, -(gs * b.s + gxi * b.xi) / b.w
    return gz, -gz - gw, gw, gx - gh, gh, gd, ge


def placed(xp: Any, rows: Array, b: Bin, ends: list[Array], tails: tuple[Array, ...], shape: tuple[int, ...]) -> list[Array]:
    """Adjoints of knots and slopes (N, K + 1) from those at both ends of each bin, and where the tails begin."""
    grads = []
    for low, high, tail in zip(ends[::2], ends[1::2], tails, strict=True):
        g = xp.zeros(shape, low.dtype)
        g[rows, b.k] = low          # nought for points outside
        g[rows, b.k + 1] = high
        g[rows, b.end] += tail      # nought for points inside
        grads.append(g)
    return grads


def inverse(x: Array, x_knots: Array, y_knots: Array, slopes: Array) -> tuple[Array, Array, Any]:
    """The way back: z, log dz/dx. The quadratic and its guard against rounding are the reference's."""
    xp = module_of(x)
    x_in, rows, inside, b = locate(x, y_knots, x_knots, y_knots, slopes)
    v = x_in - b.y_k
    bend = v * (b.d + b.e - 2 * b.s)
    qa, qb, qc = b.h * (b.s - b.d) + bend, b.h * b.d - bend, -b.s * v
    square, least = qb**2 - 4 * qa * qc, (float(np.finfo(x.dtype).eps) * qb) ** 2
    xi = 2 * qc / (-qb - xp.sqrt(xp.where(square > least, square, least)))
    b = completed(b, xp.clip(xi, 0.0, 1.0))
    slope, off = slopes[rows, b.end], x - y_knots[rows, b.end]
    z = xp.where(inside, b.x_k + b.w * b.xi, x_knots[rows, b.end] + off / slope)
    log_det = -xp.where(inside, log_slope(b), xp.log(slope))
    return z, log_det, (rows, b, slope, off, log_det, x_knots.shape)


def inverse_back(saved: Any, g_z: Array, g_l: Array) -> tuple[Array, Array, Array, Array]:
    """The adjoints of x, x_knots, y_knots and slopes."""
    rows, b, slope, off, log_det, shape = saved
    xp, gz, gl = module_of(g_z), g_z * b.inside, g_l * b.inside
    bent = 2 * (b.e * b.xi - b.d * (1 - b.xi)) + 2 * b.s * (1 - 2 * b.xi)
    dl_dz = (bent / b.M - 2 * (b.d + b.e - 2 * b.s) * (1 - 2 * b.xi) / b.D) / b.w
    g_x = (gz - gl * dl_dz) * xp.exp(log_det) * b.inside
    _, *ends = bin_back(b, -g_x, -gl)
    tail_z, tail_l = g_z - gz, g_l - gl
    tails = (tail_z, -tail_z / slope, -(tail_z * off / slope + tail_l) / slope)
    return (g_x + tail_z / slope, *placed(xp, rows, b, ends, tails, shape))


def knots(raw: Array, low: float, high: float) -> tuple[Array, Array]:
    """raw (N, K) -> increasing knots (N, K + 1), and the softmax p of which they are made."""
    xp, bins = module_of(raw), raw.shape[1]
    p = xp.exp(raw - raw.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    places = xp.empty((len(raw), bins + 1), raw.dtype)
    places[:, 0] = low
    places[:, 1:] = low + (high - low) * xp.cumsum(MIN_BIN + (1 - MIN_BIN * bins) * p, axis=1)
    return places, p


def knots_back(p: Array, g: Array, low: float, high: float) -> Array:
    r"""With $\bar p_j = c \sum_{k > j} \bar x_k$:  $\overline{\text{raw}} = p (\bar p - \sum p \bar p)$."""
    above = module_of(g).cumsum(g[:, :0:-1], axis=1)[:, ::-1]
    g_p = above * ((high - low) * (1 - MIN_BIN * p.shape[1]))
    return p * (g_p - (p * g_p).sum(axis=1, keepdims=True))


def core(direction: Any, direction_back: Any) -> Any:
    """One of the two cores for arrays of any shape, as an operation on the tape."""
    def forward(v: Array, x_knots: Array, y_knots: Array, slopes: Array) -> tuple[tuple[Array, Array], Any]:
        flat = [a.reshape(-1, x_knots.shape[-1]) for a in (x_knots, y_knots, slopes)]
        out, log_slope, saved = direction(v.reshape(-1), *flat)
        return (out.reshape(v.shape), log_slope.reshape(v.shape)), (saved, v.shape, x_knots.shape)

    def backward(kept: Any, wanted: tuple[int, ...], g: Array | None, g_l: Array | None) -> list[Array]:
        saved, shape, wide = kept
        there = g if g is not None else g_l
        g, g_l = (np.zeros_like(there) if a is None else a for a in (g, g_l))
        grads = direction_back(saved, g.reshape(-1), g_l.reshape(-1))
        return [grads[i].reshape(wide if i else shape) for i in wanted]

    return fused(forward, backward)


_spline, _inverse = core(spline, spline_back), core(inverse, inverse_back)


def rational_quadratic_spline(z: Array, x_knots: Array, y_knots: Array, slopes: Array) -> tuple[Array, Array]:
    check_knots("z", z, x_knots, y_knots, slopes)
    return _spline(z, x_knots, y_knots, slopes)  # type: ignore[no-any-return]


def rational_quadratic_spline_inverse(x: Array, x_knots: Array, y_knots: Array, slopes: Array) -> tuple[Array, Array]:
    check_knots("x", x, x_knots, y_knots, slopes)
    return _inverse(x, x_knots, y_knots, slopes)  # type: ignore[no-any-return]


def _knots_forward(raw: Array, low: float, high: float) -> tuple[tuple[Array], Any]:
    places, p = knots(raw.reshape(-1, raw.shape[-1]), low, high)
    return (places.reshape(*raw.shape[:-1], places.shape[1]),), (p, raw.shape, low, high)


def _knots_backward(kept: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
    p, shape, low, high = kept
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
