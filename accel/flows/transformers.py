"""The affine and the spline transformer as pairs of functions, forth and back, for whole columns: parts of a coupling."""
from typing import Any, NamedTuple

from evenflow.accel.backends import module_of
from evenflow.accel.core import elementwise as e
from evenflow.accel.flows.spline import inverse, inverse_back, knots, knots_back, spline, spline_back
from evenflow.reference.core import Array
from evenflow.reference.flows.spline import SLOPE_LIMIT


class Affine(NamedTuple):
    """The affine transformer with limit L, of the columns `moved`."""
    limit: float

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

    def forward(self, z: Array, raw: Array, moved: list[int], back: bool) -> tuple[Array, Array, Any]:
        """z (n, d), raw (n, k (3 K - 1)) -> image (n, d), log_det (n,), saved."""
        xp, K, L = module_of(z), self.bins, SLOPE_LIMIT
        v, r = z[:, moved].reshape(-1), raw.reshape(-1, 3 * K - 1)
        X, p_x = knots(r[:, :K], -self.bound, self.bound)
        Y, p_y = knots(r[:, K : 2 * K], -self.bound, self.bound)
        t = xp.tanh(r[:, 2 * K :] / L)
        S = xp.ones(X.shape, z.dtype)
        S[:, 1:-1] = xp.exp(L * t)
        out, log_slope, saved = (inverse if back else spline)(v, X, Y, S)
        x = z.copy()
        x[:, moved] = out.reshape(-1, len(moved))
        return x, log_slope.reshape(-1, len(moved)).sum(axis=1), (z, saved, p_x, p_y, t, S)

    def backward(self, kept: Any, g_x: Array, g_log_det: Array | None, moved: list[int], back: bool) -> tuple[Array, Array]:
        """The adjoints of z (n, d) and raw."""
        z, saved, p_x, p_y, t, S = kept
        xp, n, k = module_of(z), len(z), len(moved)
        g_l = xp.zeros(n * k, z.dtype) if g_log_det is None else xp.repeat(g_log_det, k)
        g_v, g_X, g_Y, g_S = (inverse_back if back else spline_back)(saved, g_x[:, moved].reshape(-1), g_l)
        g_z = g_x.copy()
        g_z[:, moved] = g_v.reshape(n, k)
        g_raw = xp.concatenate([
            knots_back(p_x, g_X, -self.bound, self.bound), knots_back(p_y, g_Y, -self.bound, self.bound),
            g_S[:, 1:-1] * S[:, 1:-1] * (1 - t * t),
        ], axis=1)
        return g_z, g_raw.reshape(n, -1)
