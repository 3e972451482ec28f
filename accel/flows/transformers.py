"""The affine and the spline transformer, forth and back: for whole columns, as parts of a coupling, and each number alone."""
import math
from typing import Any, NamedTuple

import numpy as np

from evenflow.accel.backends import module_of, on_device
from evenflow.accel.core import elementwise as e
from evenflow.accel.flows.spline import inverse, inverse_back, knots, knots_back, spline, spline_back
from evenflow.accel.fused import fused
from evenflow.accel.kernels.spline import spline_columns, spline_columns_back
from evenflow.reference.core import Array, check_shape
from evenflow.reference.core.dispatch import definitions
from evenflow.reference.flows import AffineTransformer, SplineTransformer
from evenflow.reference.flows.spline import SLOPE_LIMIT


class Affine(NamedTuple):
    """The affine transformer with limit L, of the columns `moved`."""
    limit: float

    @property
    def width(self) -> int:
        return 2

    def forward(self, z: Array, raw: Array, moved: list[int], back: bool) -> tuple[Array, Array, Any]:
        """z (n, d), raw (n, 2 k) -> image (n, d), log_det (n,), saved."""
        x, log_det, s = e.couple(z, raw, moved, self.limit, back)
        return x, log_det, (z, x, s)

    def backward(self, saved: Any, g_x: Array, g_log_det: Array | None, moved: list[int], back: bool) -> tuple[Array, Array]:
        """The adjoints of z (n, d) and raw."""
        z, x, s = saved
        return e.couple_back(g_x, g_log_det, z, x, s, moved, self.limit, back)


class Spline(NamedTuple):
    """The spline transformer of the columns `moved`: K bins on [-bound, bound], the identity outside."""
    bins: int
    bound: float

    @property
    def width(self) -> int:
        return 3 * self.bins - 1

    def forward(self, z: Array, raw: Array, moved: list[int], back: bool) -> tuple[Array, Array, Any]:
        """z (n, d), raw (n, k (3 K - 1)) -> image (n, d), log_det (n,), saved."""
        if on_device(z):
            return *spline_columns(z, raw, moved, self.bins, self.bound, back), (z, raw)
        K, L, at = self.bins, SLOPE_LIMIT, e.stepwise(moved)
        v, r = z[:, at].reshape(-1), raw.reshape(-1, 3 * K - 1)
        X, p_x = knots(r[:, :K], -self.bound, self.bound)
        Y, p_y = knots(r[:, K : 2 * K], -self.bound, self.bound)
        t = np.tanh(r[:, 2 * K :] / L)
        S = np.ones(X.shape, z.dtype)
        S[:, 1:-1] = np.exp(L * t)
        out, log_slope, saved = (inverse if back else spline)(v, X, Y, S)
        x = z.copy()
        x[:, at] = out.reshape(-1, len(moved))
        return x, e.row_sums(log_slope.reshape(-1, len(moved))), (z, saved, p_x, p_y, t, S)

    def backward(self, kept: Any, g_x: Array, g_log_det: Array | None, moved: list[int], back: bool) -> tuple[Array, Array]:
        """The adjoints of z (n, d) and raw."""
        if on_device(g_x):
            z, raw = kept
            return spline_columns_back(g_x, g_log_det, z, raw, moved, self.bins, self.bound, back)
        z, saved, p_x, p_y, t, S = kept
        K, n, k, at = self.bins, len(z), len(moved), e.stepwise(moved)
        g_l = np.zeros(n * k, z.dtype) if g_log_det is None else np.repeat(g_log_det, k)
        g_v, g_X, g_Y, g_S = (inverse_back if back else spline_back)(saved, g_x[:, at].reshape(-1), g_l)
        g_z, g_raw = g_x.copy(), np.empty((n * k, self.width), z.dtype)
        g_z[:, at] = g_v.reshape(n, k)
        g_raw[:, :K] = knots_back(p_x, g_X, -self.bound, self.bound)
        g_raw[:, K : 2 * K] = knots_back(p_y, g_Y, -self.bound, self.bound)
        g_raw[:, 2 * K :] = g_S[:, 1:-1] * S[:, 1:-1] * (1 - t * t)
        return g_z, g_raw.reshape(n, -1)


Transformer = Affine | Spline


def fast(transformer: Any) -> Transformer | None:
    """The transformer in the terms of this file; None for what has no fused twin; a subclass may mean something else."""
    if type(transformer) is AffineTransformer:
        return Affine(transformer.limit)
    return Spline(transformer.bins, transformer.bound) if type(transformer) is SplineTransformer else None


def _forward(transformer: Transformer, back: bool, raw: Array, v: Array) -> tuple[tuple[Array, Array], Any]:
    out, log_slope, saved = transformer.forward(v.reshape(-1, 1), raw.reshape(-1, transformer.width), [0], back)
    return (out.reshape(v.shape), log_slope.reshape(v.shape)), (transformer, back, saved, v.shape)


def _backward(kept: Any, wanted: tuple[int, ...], g: Array | None, g_l: Array | None) -> list[Array]:
    transformer, back, saved, shape = kept
    g = np.zeros_like(saved[0]) if g is None else g.reshape(-1, 1)
    g_v, g_raw = transformer.backward(saved, g, None if g_l is None else g_l.reshape(-1), [0], back)
    return [g_v.reshape(shape) if i == 3 else g_raw.reshape(*shape, transformer.width) for i in wanted]


elementwise = fused(_forward, _backward)


def _shared(transformer: Transformer, raw: Array, z: Array) -> tuple[tuple[Array], Any]:
    """All z of the m sets (m, ...) through the transformers of raw (..., width); on the host one set after the other."""
    flat = raw.reshape(-1, transformer.width)
    if on_device(z):
        out, _, saved = transformer.forward(z.reshape(-1, 1), flat, [0], False)
        return (out.reshape(z.shape),), (transformer, z.shape, raw.shape, saved)
    out, kept = np.empty(z.shape, z.dtype), []
    for i, z_i in enumerate(z):
        x, _, saved = transformer.forward(z_i.reshape(-1, 1), flat, [0], False)
        out[i] = x.reshape(z_i.shape)
        kept.append(saved)
    return (out,), (transformer, z.shape, raw.shape, kept)


def _shared_back(kept: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
    transformer, shape, raw_shape, saved = kept
    if on_device(g):
        g_z, each = transformer.backward(saved, g.reshape(-1, 1), None, [0], False)
        g_raw = module_of(g).zeros(raw_shape, g.dtype)
        e.add_over_draws(g_raw, each)
    else:
        g_z, g_raw = np.empty(shape, g.dtype), np.zeros((math.prod(shape[1:]), transformer.width), g.dtype)
        for i, saved_i in enumerate(saved):
            of_z, of_raw = transformer.backward(saved_i, g[i].reshape(-1, 1), None, [0], False)
            g_z[i] = of_z.reshape(shape[1:])
            g_raw += of_raw
    return [g_raw.reshape(raw_shape) if i == 1 else g_z.reshape(shape) for i in wanted]


sharing = fused(_shared, _shared_back)


def images(transformer: Any, raw: Array, z: Array) -> Array:
    """saef.aqf.images."""
    fit = fast(transformer)
    if fit is None or raw.dtype != z.dtype:
        return definitions["saef.aqf.images"](transformer, raw, z)
    return sharing(fit, raw, z)[0]


def alone(name: str, back: bool, transformer: Any, raw: Array, v: Array) -> tuple[Array, Array]:
    fit = fast(transformer)
    if fit is None or raw.dtype != v.dtype:
        return definitions[name](transformer, raw, v)  # type: ignore[return-value]
    check_shape("raw", raw, *v.shape, fit.width)
    out, log_slope = elementwise(fit, back, raw, v)
    return out, log_slope


def affine_forward(transformer: AffineTransformer, raw: Array, z: Array) -> tuple[Array, Array]:
    """flows.affine.AffineTransformer.forward."""
    return alone("flows.affine.AffineTransformer.forward", False, transformer, raw, z)


def affine_inverse(transformer: AffineTransformer, raw: Array, x: Array) -> tuple[Array, Array]:
    """flows.affine.AffineTransformer.inverse."""
    return alone("flows.affine.AffineTransformer.inverse", True, transformer, raw, x)


def spline_forward(transformer: SplineTransformer, raw: Array, z: Array) -> tuple[Array, Array]:
    """flows.spline.SplineTransformer.forward."""
    return alone("flows.spline.SplineTransformer.forward", False, transformer, raw, z)


def spline_inverse(transformer: SplineTransformer, raw: Array, x: Array) -> tuple[Array, Array]:
    """flows.spline.SplineTransformer.inverse."""
    return alone("flows.spline.SplineTransformer.inverse", True, transformer, raw, x)


REPLACEMENTS: dict[str, Any] = {
    "flows.affine.AffineTransformer.forward": affine_forward,
    "flows.affine.AffineTransformer.inverse": affine_inverse,
    "flows.spline.SplineTransformer.forward": spline_forward,
    "flows.spline.SplineTransformer.inverse": spline_inverse,
    "saef.aqf.images": images,
}
