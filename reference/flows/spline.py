r"""The monotone rational-quadratic spline (Gregory & Delbourgo 1982; Durkan et al. 2019, section 3.1).

Between knots $(x_k, y_k)$ and $(x_{k+1}, y_{k+1})$ with slopes $d_k, d_{k+1} > 0$, let

$$\xi = \frac{z - x_k}{x_{k+1} - x_k}, \quad \eta = \frac{x_{k+1} - z}{x_{k+1} - x_k} = 1 - \xi, \quad
  s = \frac{y_{k+1} - y_k}{x_{k+1} - x_k}, \quad u = \xi \eta$$
$$x = y_k + \frac{(y_{k+1} - y_k)(s \xi^2 + d_k u)}{D}, \qquad D = s (\xi^2 + \eta^2) + (d_k + d_{k+1}) u$$
$$\frac{dx}{dz} = \frac{s^2 (d_{k+1} \xi^2 + 2 s u + d_k \eta^2)}{D^2}$$

The way back is a root of a quadratic in $\xi$. With the place in the bin, from below and from above,

$$q = \frac{x - y_k}{y_{k+1} - y_k}, \qquad p = \frac{y_{k+1} - x}{y_{k+1} - y_k} = 1 - q, \qquad A = d_k p - d_{k+1} q$$

its discriminant (Durkan et al., eq. 29-32) is $(y_{k+1} - y_k)^2 (A^2 + 4 s^2 p q)$, a sum of squares, and with
$T = |A| + \sqrt{A^2 + 4 s^2 p q}$

$$A \ge 0: \quad \xi = \frac{2sq}{T + 2sq}, \quad \eta = \frac{T}{T + 2sq}; \qquad
  A < 0: \quad \xi = \frac{T}{T + 2sp}, \quad \eta = \frac{2sp}{T + 2sp}$$

No difference of rounded numbers is left but A, $D > 0$ as a sum, and neither $\xi$ nor $\eta$ can leave [0, 1]. In the papers'
form both the discriminant and the root cancel where s and the slopes at the ends are far apart. Outside the knots the spline
goes on as a straight line with the slope at its end. The *core* takes knots and slopes; the *transformers* turn raw numbers
into legal ones. The names $x_k$ (places on the way in) and $y_k$ (places on the way out) are the literature's.
"""
from dataclasses import dataclass

import autograd.numpy as np

from evenflow.reference.core import Array, arrays, bounded, check_count, check_positive, check_shape, replaceable, value
from evenflow.reference.flows.contract import check_same_shape

MIN_BIN = 1e-3      # the least width and height of a bin, as a share of the whole
SLOPE_LIMIT = 5.0   # slopes stay within e^-5 and e^5


@arrays("z", "x_knots", "y_knots", "slopes")
@replaceable
def rational_quadratic_spline(z: Array, x_knots: Array, y_knots: Array, slopes: Array) -> tuple[Array, Array]:
    """z (...), increasing knots (..., K + 1), positive slopes (..., K + 1) -> x (...), log dx/dz (...).

    >>> ends, slopes = np.array([[0.0, 1.0]]), np.array([[1.0, 1.0]])
    >>> rational_quadratic_spline(np.array([0.5]), ends, 2 * ends, slopes)[0]
    array([1.])
    """
    check_knots("z", z, x_knots, y_knots, slopes)
    inside, z_in = clamp(z, x_knots)
    (x_k, x_next), (y_k, y_next), (d_k, d_next) = segment(z_in, x_knots, x_knots, y_knots, slopes)
    w, h = x_next - x_k, y_next - y_k
    xi, eta, s = (z_in - x_k) / w, (x_next - z_in) / w, h / w
    u = xi * eta
    D = s * (xi**2 + eta**2) + (d_k + d_next) * u
    x = y_k + h * (s * xi**2 + d_k * u) / D
    tail, log_slope = line(z, x_knots, y_knots, slopes)
    return inside * x + ~inside * tail, inside * log_derivative(xi, eta, s, d_k, d_next) + ~inside * log_slope


@arrays("x", "x_knots", "y_knots", "slopes")
@replaceable
def rational_quadratic_spline_inverse(x: Array, x_knots: Array, y_knots: Array, slopes: Array) -> tuple[Array, Array]:
    """The way back: z (...), log dz/dx (...).

    >>> ends, slopes = np.array([[0.0, 1.0]]), np.array([[1.0, 1.0]])
    >>> rational_quadratic_spline_inverse(np.array([1.0]), ends, 2 * ends, slopes)[0]
    array([0.5])
    """
    check_knots("x", x, x_knots, y_knots, slopes)
    inside, x_in = clamp(x, y_knots)
    (x_k, x_next), (y_k, y_next), (d_k, d_next) = segment(x_in, y_knots, x_knots, y_knots, slopes)
    w, h = x_next - x_k, y_next - y_k
    q, p, s = (x_in - y_k) / h, (y_next - x_in) / h, h / w
    A = d_k * p - d_next * q
    low = A >= 0
    T = np.where(low, A, -A) + np.sqrt(A**2 + 4 * s**2 * p * q)
    near = 2 * s * np.where(low, q, p)
    xi, eta = np.where(low, near, T) / (T + near), np.where(low, T, near) / (T + near)
    tail, log_slope = line(x, y_knots, x_knots, 1 / slopes)
    return inside * (x_k + w * xi) + ~inside * tail, ~inside * log_slope - inside * log_derivative(xi, eta, s, d_k, d_next)


def log_derivative(xi: Array, eta: Array, s: Array, d_k: Array, d_next: Array) -> Array:
    u = xi * eta
    D = s * (xi**2 + eta**2) + (d_k + d_next) * u
    return 2 * np.log(s) + np.log(d_next * xi**2 + 2 * s * u + d_k * eta**2) - 2 * np.log(D)


def clamp(v: Array, knots: Array) -> tuple[Array, Array]:
    """Which v lie between the knots, and v with the others moved onto the first knot, so that the branch not taken
    has finite values and gradients too."""
    first, last = value(knots)[..., 0], value(knots)[..., -1]
    inside = (v >= first) & (v <= last)
    return inside, inside * v + ~inside * first


def line(v: Array, from_knots: Array, to_knots: Array, slopes: Array) -> tuple[Array, Array]:
    """The straight continuation beyond the first or the last knot, and its log slope."""
    low = (v < value(from_knots)[..., 0])[..., None]
    nowhere = np.zeros_like(value(from_knots)[..., 1:-1], dtype=bool)
    end = np.concatenate([low, nowhere, ~low], axis=-1)
    slope = pick(slopes, end)
    return pick(to_knots, end) + slope * (v - pick(from_knots, end)), np.log(slope)


def segment(v: Array, knots: Array, x_knots: Array, y_knots: Array, slopes: Array) -> list[tuple[Array, Array]]:
    """(x_k, x_k+1), (y_k, y_k+1), (d_k, d_k+1) of the bin of `knots` in which each v lies."""
    passed = value(v)[..., None] >= value(knots)[..., :-1]                 # (..., K) T..TF..F
    never = np.zeros_like(passed[..., :1])
    here = passed & ~np.concatenate([passed[..., 1:], never], axis=-1)     # one True in each row, at k
    k, k_next = np.concatenate([here, never], axis=-1), np.concatenate([never, here], axis=-1)
    return [(pick(a, k), pick(a, k_next)) for a in (x_knots, y_knots, slopes)]


def pick(a: Array, one_hot: Array) -> Array:
    """The entry of each row where one_hot is True."""
    return np.sum(a * one_hot, axis=-1)


def check_knots(name: str, v: Array, x_knots: Array, y_knots: Array, slopes: Array) -> None:
    check_same_shape(x_knots=x_knots, y_knots=y_knots, slopes=slopes)
    if x_knots.shape[:-1] != v.shape or x_knots.shape[-1] < 2:
        raise ValueError(f"x_knots must have shape (*{name}.shape, K + 1), K >= 1; {name} has {v.shape}, got {x_knots.shape}")


@replaceable
def knots(raw: Array, low: float, high: float) -> Array:
    """K raw numbers -> K + 1 increasing knots from low to high, by a softmax with the floor MIN_BIN. raw = 0: equal bins."""
    bins = raw.shape[-1]
    e = np.exp(raw - np.max(value(raw), axis=-1, keepdims=True))
    share = MIN_BIN + (1 - MIN_BIN * bins) * e / np.sum(e, axis=-1, keepdims=True)
    start = np.zeros_like(value(raw)[..., :1]) + low
    return np.concatenate([start, low + (high - low) * np.cumsum(share, axis=-1)], axis=-1)


@dataclass(frozen=True)
class SplineTransformer:
    """A spline on [-bound, bound], the identity outside. raw (..., 3K - 1): K widths, K heights, K - 1 inner slopes.

    >>> SplineTransformer(bins=4).forward(np.zeros((1, 11)), np.array([0.5]))[0].round(6)
    array([0.5])
    """
    bins: int = 8
    bound: float = 5.0

    def __post_init__(self) -> None:
        check_count("bins", self.bins, least=2)  # one bin between fixed ends with slopes 1 is the identity
        if self.bins * MIN_BIN >= 1:
            raise ValueError(f"bins must be fewer than {round(1 / MIN_BIN)}, got {self.bins}")
        check_positive("bound", self.bound)

    @property
    def width(self) -> int:
        return 3 * self.bins - 1

    def shape(self, raw: Array) -> tuple[Array, Array, Array]:
        """Knots and slopes. The outer slopes are exactly 1, so that the tails are the identity."""
        widths, heights, inner = np.split(raw, [self.bins, 2 * self.bins], axis=-1)
        one = np.ones_like(value(raw)[..., :1])
        slopes = np.concatenate([one, np.exp(bounded(inner, SLOPE_LIMIT)), one], axis=-1)
        return knots(widths, -self.bound, self.bound), knots(heights, -self.bound, self.bound), slopes

    @arrays("raw", "z")
    @replaceable
    def forward(self, raw: Array, z: Array) -> tuple[Array, Array]:
        check_shape("raw", raw, *z.shape, self.width)
        return rational_quadratic_spline(z, *self.shape(raw))

    @arrays("raw", "x")
    @replaceable
    def inverse(self, raw: Array, x: Array) -> tuple[Array, Array]:
        check_shape("raw", raw, *x.shape, self.width)
        return rational_quadratic_spline_inverse(x, *self.shape(raw))
