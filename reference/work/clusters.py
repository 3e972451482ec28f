r"""A mixture of normals of one shape, fitted by EM: where the flow of adaptive.py begins.

$$p(x) = \sum_k w_k\, N(x;\, c_k,\, s_k^2\, \Sigma), \qquad \Sigma = W W^T$$

In $u = W^{-1} (x - b)$ every component is round: a step of one size fits all directions of a mode, and the mixture is a base
density that a flow can stand on (targets/mixtures.py). How many components: the least BIC (Schwarz 1978). A tenth of each
weight goes to the same component twice as wide, so that what the chains have not seen of the tails is proposed now and then.
"""
from typing import NamedTuple

import numpy as np

from evenflow.reference.core import Array, Tree, logsumexp
from evenflow.reference.targets import GaussianMixture

COUNTS = (1, 2, 3, 4, 6, 8)  # components that are tried
STEPS, POINTS = 30, 2000     # of EM; points that it looks at
WIDE, SHARE = 2.0, 0.1       # the wider twin of each component: deviations, weight
APART = 1e-9                 # a GaussianMixture wants its centres to differ


class Fit(NamedTuple):
    weights: Array  # (k,)
    centres: Array  # (k, d)
    scales: Array   # (k,)
    W: Array        # (d, d), lower triangular
    log_p: float    # of all points together


def clusters(x: Array, rng: np.random.Generator, most: int = 8) -> tuple[Tree, GaussianMixture]:
    """{"W", "b"} of u, and the mixture in u, from points x (n, d) that vary in every column;
    at most so many components.

    >>> x = np.random.default_rng(0).standard_normal((500, 2)) + 9 * (np.arange(500) % 2)[:, None]
    >>> clusters(x, np.random.default_rng(0))[1].count
    4
    """
    x = x[rng.choice(len(x), min(len(x), POINTS), replace=False)]
    b, scale = x.mean(axis=0), x.std(axis=0)
    v, (n, d) = (x - b) / scale, x.shape
    fits = [em(v, k, rng) for k in COUNTS if k == 1 or k <= min(most, n / (5 * d))]
    best = min(fits, key=lambda fit: -2 * fit.log_p + len(fit.weights) * (d + 2) * np.log(n))
    centres = np.linalg.solve(best.W, best.centres.T).T
    both = [centres, centres + APART * (1 + np.abs(centres))]
    weights, scales = np.r_[(1 - SHARE) * best.weights, SHARE * best.weights], np.r_[best.scales, WIDE * best.scales]
    base = GaussianMixture(tuple(map(tuple, np.concatenate(both))), tuple(weights / weights.sum()), tuple(scales))
    return {"W": scale[:, None] * best.W, "b": b}, base


def em(v: Array, k: int, rng: np.random.Generator) -> Fit:
    """k components for v (n, d) with columns of deviation 1."""
    n, d = v.shape
    log_r = np.log(1e-300 + np.eye(k)[nearest(v, seeds(v, k, rng))])       # (n, k): which component each point belongs to
    W, scales, log_p = np.eye(d), np.ones(k), 0.0
    for _ in range(STEPS):
        r = np.exp(log_r)
        total = r.sum(axis=0) + 1e-12 * n
        centres = r.T @ v / total[:, None]
        away = v[:, None] - centres                                        # (n, k, d)
        weighed = np.sqrt(r)[:, :, None] * away / scales[:, None]
        flat = weighed.reshape(-1, d)
        W = np.linalg.cholesky(flat.T @ flat / n + 1e-6 * np.eye(d))
        square = np.sum(np.linalg.solve(W, away.reshape(-1, d).T) ** 2, axis=0).reshape(n, k)
        scales = np.sqrt(np.sum(r * square, axis=0) / (d * total) + 1e-6)
        weights = np.maximum(total / total.sum(), 1e-6)
        log_parts = np.log(weights) - d * np.log(scales) - square / (2 * scales**2)
        of_all = logsumexp(log_parts, axis=1)
        log_r = log_parts - of_all[:, None]
        log_p = float(np.sum(of_all)) - n * float(np.sum(np.log(np.diag(W))))
    return Fit(weights / weights.sum(), centres, scales, W, log_p)


def seeds(v: Array, k: int, rng: np.random.Generator) -> Array:
    """k points of v, each the likelier the farther from those before it (Arthur & Vassilvitskii 2007)."""
    chosen = v[rng.integers(len(v), size=1)]
    for _ in range(k - 1):
        away = np.min(np.sum((v[:, None] - chosen) ** 2, axis=2), axis=1)
        chosen = np.concatenate([chosen, v[rng.choice(len(v), size=1, p=away / away.sum())]])
    return chosen


def nearest(v: Array, centres: Array) -> Array:
    return np.argmin(np.sum((v[:, None] - centres) ** 2, axis=2), axis=1)
