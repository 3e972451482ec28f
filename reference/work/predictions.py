r"""What a conditional model predicts for each row: means and quantiles of $p(y \mid \mathrm{given})$, no chance in them.

All rows share the noise, M points z that stand for the base: of one coordinate its quantiles at the midpoints of M equal
parts, of several a Sobol sequence. Of one column that is modelled by a bijection, y = T(z), which rises or falls, quantiles are
exact:

$$Q_y(p) = T(Q_z(p)) \quad\text{or}\quad T(Q_z(1 - p)).$$
"""
from collections.abc import Callable

import numpy as np

from evenflow.reference.core import Array, normal_quantile
from evenflow.reference.flows import Flow, Normal, Uniform
from evenflow.reference.work.runs import Trained

M = 256    # a power of two, as Sobol's sequences like it
ROWS = 64  # at a time


def mean(trained: Trained, given: Array) -> Array:
    """given (n, k) -> (n, d), in the user's units."""
    return of_draws(trained, given, lambda x: x.mean(axis=0))


def quantiles(trained: Trained, given: Array, levels: Array) -> Array:
    """Of each column of y: given (n, k), levels (q,) strictly between 0 and 1 -> (n, q, d)."""
    if trained.d > 1 or not trained.can("inverse"):
        return of_draws(trained, given, lambda x: np.moveaxis(np.quantile(x, levels, axis=0, method="hazen"), 0, 1))
    low, high = (trained.decode(of_base(trained, np.array([[u]])), given[:1])[0, 0] for u in (0.25, 0.75))
    z = of_base(trained, np.asarray(levels if low <= high else 1 - levels)[:, None])
    return np.stack([trained.decode(np.repeat(one[None], len(given), axis=0), given) for one in z], axis=1)


def of_draws(trained: Trained, given: Array, f: Callable[..., Array], y: Array | None = None, m: int = M) -> Array:
    """f of draws (m, rows, d), and of the rows of y (n, d), if any, for all rows of given (n, k), some at a time."""
    z, parts = points(trained, m), []
    for start in range(0, len(given), ROWS):
        rows = slice(start, start + ROWS)
        k = len(given[rows])
        x = trained.decode(np.repeat(z, k, axis=0), np.tile(given[rows], (m, 1))).reshape(m, k, trained.d)
        parts.append(f(x) if y is None else f(x, y[rows]))
    return np.concatenate(parts)


def points(trained: Trained, m: int) -> Array:
    """z (m, d) that stand for the base."""
    if trained.d == 1:
        return of_base(trained, (np.arange(m)[:, None] + 0.5) / m)
    from scipy.stats import qmc
    return of_base(trained, qmc.Sobol(trained.d, rng=0).random(m))


def of_base(trained: Trained, u: Array) -> Array:
    """The base at uniforms u (m, d)."""
    flow = trained.flow_model().flow
    base = flow.base if isinstance(flow, Flow) else Normal(flow.d)
    return base.sample(u if isinstance(base, Uniform) else normal_quantile(u))
