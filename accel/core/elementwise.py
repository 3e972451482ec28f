r"""The small operations between matrix products: one pass each on the host, one kernel each (kernels/layers.cu) on the device.

Layers keep a column of ones beside their activations, so that the bias is a last row of the weights and its gradient comes
out of the same product:

$$a = [h, 1]\, [W; b], \qquad [\bar W; \bar b] = [h, 1]^T \bar a$$

On the host these arrays lie column by column: without its ones, h is then still one piece of memory, which NumPy passes over
in one go and not row by row. (But row by row where a context is added, which several draws may share.) Slopes at a kink are
those of the left side, as in the reference.
"""
from typing import Any

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels import layers
from evenflow.accel.products import product
from evenflow.reference.core import Array

ACTIVATIONS = ("tanh", "relu", "leaky_relu", "softplus", "silu", "elu")
BY_INPUT = ("softplus", "silu", "elu")  # whose slope is told from a (on the host, elu's from h); that of the others from h
LEAK = 0.05                             # of leaky_relu, below zero


def with_ones(x: Array, columns: list[int]) -> Array:
    """[x[:, columns], 1]: x (n, d) -> (n, len(columns) + 1)."""
    xp, n, k = module_of(x), x.shape[0], len(columns)
    if xp is not np:
        return layers.with_ones(x, columns)
    h = empty(n, k + 1, x.dtype)
    h[:, :k] = x[:, stepwise(columns)]
    h[:, k] = 1
    return h


def empty(n: int, w: int, dtype: Any, by_columns: bool = True) -> Array:
    """An empty (n, w) on the host, one column behind the other, or one row."""
    return np.empty((w, n), dtype).T if by_columns else np.empty((n, w), dtype)


def by_columns(h: Array, W: Array) -> Array:
    """h W, on the host column by column."""
    return product(h, W) if module_of(h) is not np else np.matmul(h, W, out=empty(len(h), W.shape[1], h.dtype))


def stepwise(columns: list[int]) -> Any:
    """The columns as a slice where they are equally far apart: NumPy looks a slice up much faster than a list."""
    if not columns:
        return slice(0, 0)
    step = columns[1] - columns[0] if len(columns) > 1 else 1
    regular = step > 0 and columns == list(range(columns[0], columns[0] + step * len(columns), step))
    return slice(columns[0], columns[-1] + 1, step) if regular else columns


def activate(a: Array, activation: str) -> Array:
    """[act(a), 1]: a (n, w) -> (n, w + 1)."""
    if module_of(a) is not np:
        return layers.activate(a, ACTIVATIONS.index(activation))
    h = empty(a.shape[0], a.shape[1] + 1, a.dtype, a.flags.f_contiguous)
    h[:, -1] = 1
    activate_into(h[:, :-1], a, activation)
    return h


def activate_into(out: Array, a: Array, activation: str) -> None:
    """out = act(a), on the host."""
    if activation == "tanh":
        np.tanh(a, out=out)
    elif activation == "relu":
        out[...] = 0  # two arrays: with a number for one of them, np.maximum goes one by one
        np.maximum(a, out, out=out)
    elif activation == "leaky_relu":
        np.multiply(a, a.dtype.type(LEAK), out=out)
        np.maximum(a, out, out=out)
    elif activation == "softplus":
        np.logaddexp(a, a.dtype.type(0), out=out)
    elif activation == "silu":
        np.multiply(a, sigmoid(a), out=out)
    else:
        np.minimum(a, 0, out=out)
        np.exp(out, out=out)  # NumPy has expm1 one by one
        out -= 1
        out += np.maximum(a, 0)


def activate_back(g: Array, a: Any, h: Array, activation: str) -> Array:
    """g (n, w) times act'(a), written into g; h = [act(a), 1]."""
    if module_of(g) is not np:
        return layers.activate_back(g, a, h, ACTIVATIONS.index(activation))
    g *= slope(a, h[:, :-1], activation)
    return g


def slope(a: Any, y: Array, activation: str) -> Array:
    """act'(a) where y = act(a), on the host. a counts only for those of BY_INPUT."""
    if activation == "softplus":
        return sigmoid(a)
    if activation == "silu":
        s = sigmoid(a)
        return s * (1 + a * (1 - s))
    if activation == "elu":
        return np.minimum(y, 0) + 1
    if activation == "tanh":
        by = y * y
        return np.subtract(1, by, out=by)
    by = np.empty_like(y)
    np.greater(y, 0, out=by, casting="unsafe")  # 0 and 1 in y's own dtype: a product with bools would convert them
    if activation == "leaky_relu":
        by *= y.dtype.type(1 - LEAK)
        by += y.dtype.type(LEAK)  # 1 or LEAK, exactly
    return by


def sigmoid(a: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * a))


def add_context(a: Array, extra: Array) -> None:
    """a (m n, w) += extra (n, w), the same for each of the m."""
    if module_of(a) is not np:
        layers.add_context(a, extra)
    elif len(extra):
        a.reshape(-1, *extra.shape)[...] += extra


def add_over_draws(total: Array, g: Array) -> None:
    """The adjoint of that: total (n, w) += the sum over the m draws of g (m n, w)."""
    if module_of(g) is not np:
        layers.add_over_draws(total, g)
    elif len(g) == len(total):
        total += g
    else:
        total += g.reshape(-1, *total.shape).sum(axis=0)


def add_columns(g: Array, columns: list[int], change: Array) -> None:
    """g[:, columns] += change, written into g (n, d)."""
    if module_of(g) is not np:
        layers.add_columns(g, columns, change)
    else:
        g[:, stepwise(columns)] += change


def couple(z: Array, raw: Array, moved: list[int], limit: float, back: bool) -> tuple[Array, Array, Array]:
    r"""The affine map of the columns `moved`: z (n, d), raw (n, 2k), of each column raw log scale and shift.

    With $s = L \tanh(\text{raw} / L)$: $x = z e^s + t$ and log_det $\sum s$, or `back` $z = (x - t) e^{-s}$ and $-\sum s$.
    Returns the image (n, d), log_det (n,), and s (n, k).
    """
    if module_of(z) is not np:
        return layers.couple(z, raw, moved, limit, back)
    at, s, t = stepwise(moved), raw[:, ::2] / limit, raw[:, 1::2]
    np.tanh(s, out=s)
    s *= limit
    x = z.copy()
    if back:
        x[:, at] = (z[:, at] - t) * np.exp(-s)
        return x, -row_sums(s), s
    x[:, at] = z[:, at] * np.exp(s) + t
    return x, row_sums(s), s


def row_sums(s: Array) -> Array:
    """The sum of each row: over a few columns a product with ones is faster than NumPy's sum."""
    if module_of(s) is not np:
        return s.sum(axis=1)
    return s[:, 0].copy() if s.shape[1] == 1 else s @ np.ones(s.shape[1], s.dtype)


def couple_back(
    g_x: Array, g_log_det: Array | None, z: Array, x: Array, s: Array, moved: list[int], limit: float, back: bool
) -> tuple[Array, Array]:
    r"""The adjoint of `couple`: from those of image and log_det to those of z and raw.

    Forward, with $x = z e^s + t$:     $\bar z = \bar x e^s$, $\bar t = \bar x$, $\bar s = \bar x z e^s + \bar\ell$.
    Back, with image $x = (z - t) e^{-s}$: $\bar z = \bar x e^{-s}$, $\bar t = -\bar z$, $\bar s = -\bar x x - \bar\ell$.
    Then $\overline{\text{raw}} = \bar s (1 - (s / L)^2)$.
    """
    if module_of(g_x) is not np:
        return layers.couple_back(g_x, g_log_det, z, x, s, moved, limit, back)
    at = stepwise(moved)
    g_z, g_raw, g_moved = g_x.copy(), np.empty((len(s), 2 * s.shape[1]), s.dtype), g_x[:, at]
    through = g_moved * np.exp(-s if back else s)
    g_z[:, at] = through
    g_s = -(g_moved * x[:, at]) if back else through * z[:, at]
    if g_log_det is not None:
        g_s += -g_log_det[:, None] if back else g_log_det[:, None]
    scaled = s / limit
    scaled *= scaled
    np.subtract(1, scaled, out=scaled)
    np.multiply(g_s, scaled, out=g_raw[:, ::2])
    g_raw[:, 1::2] = -through if back else g_moved
    return g_z, g_raw
