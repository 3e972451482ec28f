r"""A mixture of normals, fitted by EM: where the flow of adaptive.py begins.

$$p(x) = \sum_k w_k\, N(x;\, m_k,\, L_k L_k^T)$$

How many components: as many as a third of the points, held out, like best. A tenth of each weight goes to the same component
twice as wide, so that what the chains have not seen of the tails is proposed now and then. W of u = W^-1 (x - b) is a root of
the mean of all $L_k L_k^T$: in u the modes are round, as far as one matrix can make them so, and a local step of one size fits
all directions.
"""
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, Tree, arrays, beside, check_shape, logsumexp

COUNTS = (1, 2, 3, 4, 6, 8)  # components that are tried
TRIES = 8                    # points that may become the next centre to begin from
STEPS, POINTS = 30, 3000     # of EM; points that are looked at
WIDE, SHARE = 2.0, 0.1       # the wider twin of each component: deviations, weight
FLOOR = 1e-4                 # of the mean covariance, is in each: none collapses onto a state that a chain repeats
LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class NormalMixture:
    """A base density (flows/densities.py): K normals, of means (K, d) and lower triangular factors (K, d, d), as tuples.

    >>> mixture = NormalMixture((0.5, 0.5), ((0.0,), (4.0,)), (((1.0,),), ((2.0,),)))
    >>> mixture.log_prob(onp.array([[0.0]])).round(3)
    array([-1.547])
    """
    weights: tuple[float, ...]
    means: tuple[tuple[float, ...], ...]
    factors: tuple[tuple[tuple[float, ...], ...], ...]

    @property
    def d(self) -> int:
        return len(self.means[0])

    def noise(self, rng: onp.random.Generator, n: int) -> Tree:
        component = rng.choice(len(self.weights), n, p=self.weights)
        return {"component": component, "normals": rng.standard_normal((n, self.d))}

    def sample(self, noise: Tree) -> Array:
        z, k = noise["normals"], noise["component"]
        check_shape("normals", z, "n", self.d)
        means, factors = beside(onp.array(self.means, z.dtype), z), beside(onp.array(self.factors, z.dtype), z)
        return means[k] + np.sum(factors[k] * z[:, None, :], axis=2)

    @arrays("x")
    def log_prob(self, x: Array) -> Array:
        """x (n, d) -> (n,)."""
        check_shape("x", x, "n", self.d)
        A, c, constant = (beside(part.astype(x.dtype), x) for part in self.parts)
        z = np.reshape(x @ A - c, (x.shape[0], len(self.weights), self.d))  # L_k^-1 (x - m_k), for all k at once
        return logsumexp(constant - np.sum(z**2, axis=2) / 2, axis=1)

    @cached_property
    def parts(self) -> tuple[Array, Array, Array]:
        """[L_1^-T ... L_K^-T] (d, K d), (L_k^-1 m_k) (K d,), log w_k less half of log |2 pi L_k L_k^T| (K,)."""
        L, means = onp.array(self.factors), onp.array(self.means)
        back = onp.linalg.inv(L)
        log_diagonal = onp.log(onp.diagonal(L, axis1=1, axis2=2)).sum(axis=1)
        A = back.transpose(2, 0, 1).reshape(self.d, -1)
        return A, (back @ means[:, :, None]).ravel(), onp.log(self.weights) - log_diagonal - self.d * LOG_2PI / 2


class Fit(NamedTuple):
    weights: Array  # (k,)
    means: Array    # (k, d)
    factors: Array  # (k, d, d)


def clusters(x: Array, rng: onp.random.Generator, most: int = 8) -> tuple[Tree, NormalMixture]:
    """{"W", "b"} of u, and the mixture in u, from points x (n, d) that vary in every column; at most so many components.

    >>> x = onp.random.default_rng(0).standard_normal((500, 2)) + 9 * (onp.arange(500) % 2)[:, None]
    >>> len(clusters(x, onp.random.default_rng(0))[1].weights)
    4
    """
    x = x[rng.choice(len(x), min(len(x), POINTS), replace=False)]
    b, scale, d = x.mean(axis=0), x.std(axis=0), x.shape[1]
    held_out, v = onp.split((x - b) / scale, [len(x) // 3])
    fits = [em(v, k, rng) for k in COUNTS if k == 1 or k <= min(most, len(v) / (5 * d))]
    best = max(fits, key=lambda fit: float(onp.sum(logsumexp(log_parts(held_out, fit), axis=1))))
    W = onp.linalg.cholesky(onp.einsum("k,kij,klj->il", best.weights, best.factors, best.factors))
    weights = onp.concatenate([(1 - SHARE) * best.weights, SHARE * best.weights])
    means, L = onp.linalg.solve(W, best.means.T).T, onp.linalg.solve(W, best.factors)
    twice = onp.concatenate([means, means]).tolist(), onp.concatenate([L, WIDE * L]).tolist()
    base = NormalMixture(tuple((weights / weights.sum()).tolist()), *map(nested, twice))
    return {"W": scale[:, None] * W, "b": b}, base


def nested(numbers: list[Any]) -> tuple[Any, ...]:
    return tuple(nested(one) if isinstance(one, list) else one for one in numbers)


def em(v: Array, k: int, rng: onp.random.Generator) -> Fit:
    """k components for v (n, d) with columns of deviation 1. Few points make a covariance the more diagonal."""
    n, d = v.shape
    r = onp.eye(k)[onp.argmin(squares(v, seeds(v, k, rng)), axis=1)]        # (n, k): the share of each component in each point
    for _ in range(STEPS):
        total = r.sum(axis=0) + 1e-9 * n
        means = r.T @ v / total[:, None]
        away = (v[:, None] - means).transpose(1, 2, 0)                      # (k, d, n)
        scatter = (r.T[:, None] * away) @ away.transpose(0, 2, 1)           # (k, d, d)
        pooled = scatter.sum(axis=0) / n + 1e-9 * onp.eye(d)
        S, a = scatter / total[:, None, None], (d / (d + total))[:, None, None]
        L = onp.linalg.cholesky((1 - a) * S + a * S * onp.eye(d) + FLOOR * pooled)
        fit = Fit(total / total.sum(), means, L)
        parts = log_parts(v, fit)
        r = onp.exp(parts - logsumexp(parts, axis=1)[:, None])
    return fit


def log_parts(v: Array, fit: Fit) -> Array:
    """log w_k N(v; m_k, L_k L_k^T) + d/2 log 2 pi, (n, k)."""
    z = onp.linalg.solve(fit.factors, (v[:, None] - fit.means).transpose(1, 2, 0))  # (k, d, n)
    log_det = onp.log(onp.diagonal(fit.factors, axis1=1, axis2=2)).sum(axis=1)
    return onp.log(fit.weights) - log_det - onp.sum(z**2, axis=1).T / 2


def seeds(v: Array, k: int, rng: onp.random.Generator) -> Array:
    """k points of v, each the best of a few drawn the likelier the farther they are from those before (k-means++, greedy;
    Arthur & Vassilvitskii 2007)."""
    chosen = v[rng.integers(len(v), size=1)]
    for _ in range(k - 1):
        away = onp.min(squares(v, chosen), axis=1)
        drawn = v[rng.choice(len(v), size=TRIES, p=away / away.sum())]
        left = onp.minimum(away[:, None], squares(v, drawn)).sum(axis=0)
        chosen = onp.concatenate([chosen, drawn[[onp.argmin(left)]]])
    return chosen


def squares(v: Array, centres: Array) -> Array:
    """(n, k) squared distances."""
    return onp.sum((v[:, None] - centres) ** 2, axis=2)
