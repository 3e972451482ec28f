r"""Sums over pairs of points: what the energy and the kernel scores have in common.

$$\text{cross}_j = \sum_i f(x_i, y_j), \qquad \text{within} = \sum_{i<j} f(x_i, x_j)$$

Two samples of n and m points have n m pairs. They are visited in blocks of rows, and what a block computed is thrown
away and computed again when its gradient is due, so memory is linear in the samples, in the backward pass too.
"Within" never counts the pair of a point with itself.
"""
from collections.abc import Callable
from typing import Any, TypeAlias

import autograd.numpy as np
import numpy as onp
from autograd.core import make_vjp
from autograd.extend import defvjp_argnums, primitive
from autograd.util import subvals

from evenflow.reference.core import Array, beside, check_finite, check_shape, lookup, replaceable, value

PairFunction: TypeAlias = Callable[[Array, Array], Array]  # symmetric, over the last axis: (..., d), (..., d) -> (...)

BLOCK = 2**19  # coordinates that a block of pairs may hold: 4 MiB in float64

# What the sum over i < j is multiplied by to estimate E f(X, X') / 2 from m points.
ESTIMATORS: dict[str, Callable[[int], float]] = {
    "U": lambda m: 1 / (m * (m - 1)),  # unbiased: the mean over pairs of different points
    "V": lambda m: 1 / m**2,           # biased: a point and itself count as a pair, at distance 0
}


@replaceable
def pair_score(f: PairFunction, draws: Array, y: Array, estimator: str) -> Array:
    """E f(X, y) - E f(X, X') / 2, estimated for every y: draws (m, n, d) or (m, d), y (n, d) -> (n,)."""
    m = draws.shape[0]
    return cross_sums(f, draws, y) / m - within_sum(f, draws) * lookup("estimator", estimator, ESTIMATORS)(m)


def pair_distance(f: PairFunction, x: Array, y: Array, estimator: str) -> Array:
    """2 E f(X, Y) - E f(X, X') - E f(Y, Y'): x (n, d), y (m, d) -> a scalar."""
    n, m, weight = x.shape[0], y.shape[0], lookup("estimator", estimator, ESTIMATORS)
    return 2 * (np.sum(cross_sums(f, x, y)) / (n * m) - within_sum(f, x) * weight(n) - within_sum(f, y) * weight(m))


@replaceable
def cross_sums(f: PairFunction, draws: Array, y: Array) -> Array:
    """sum_i f(x_i, y_j) for every j: draws (m, n, d), m for each y_j, or (m, d), shared by all; y (n, d) -> (n,)."""
    if draws.ndim == 3:
        return np.sum(f(draws, y), axis=0)
    return np.concatenate([recomputed(cross_block, f, draws, y[rows]) for rows in blocks(y.shape[0], draws)])


def cross_block(f: PairFunction, draws: Array, y: Array) -> Array:
    return np.sum(f(draws[:, None], y[None]), axis=0)


@replaceable
def within_sum(f: PairFunction, draws: Array) -> Array:
    """sum_{i<j} f(x_i, x_j): draws (m, n, d) -> (n,), or (m, d) -> a scalar."""
    later = [(draws[rows], draws[rows.start + 1:]) for rows in blocks(draws.shape[0] - 1, draws)]
    return sum(recomputed(within_block, f, a, b) for a, b in later)


def within_block(f: PairFunction, a: Array, b: Array) -> Array:
    """a are consecutive rows, b all rows after the first of a: b_j comes later than a_i in the whole where j >= i."""
    later = beside(onp.triu(onp.ones((a.shape[0], b.shape[0]), dtype=bool)), a)
    return np.sum(f(a[:, None], b[None]) * later.reshape(*later.shape, *(1,) * (a.ndim - 2)), axis=(0, 1))


def blocks(rows: int, partners: Array) -> list[slice]:
    """Consecutive rows, as many at a time as BLOCK allows when each meets all partners."""
    step = max(1, BLOCK // max(1, value(partners).size))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def call(g: Callable[..., Array], *args: Any) -> Array:
    return g(*args)


# As autograd.checkpoint is meant to be. That one (1.9) runs the forward pass a second time at once and keeps all of it.
recomputed = primitive(call)


def pull_back(argnums: tuple[int, ...], ans: Array, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[Array], Any]:
    again = lambda picked: call(*subvals(args, zip(argnums, picked, strict=True)))
    return lambda g: make_vjp(again, tuple(args[i] for i in argnums))[0](g)


defvjp_argnums(recomputed, pull_back)


def check_draws(draws: Array, y: Array) -> None:
    """Raise ValueError unless y is a finite (n, d) and draws are (m >= 2, n, d) or (m >= 2, d)."""
    check_sample("y", y, least=1)
    shape = onp.shape(value(draws))
    if len(shape) not in (2, 3) or shape[0] < 2 or shape[1:] not in (y.shape, y.shape[1:]):
        n, d = y.shape
        raise ValueError(f"draws must have shape (m >= 2, {n}, {d}) or, shared by all y, (m >= 2, {d}), got {shape}")
    check_finite("y", y)


def check_samples(x: Array, y: Array) -> None:
    """Raise ValueError unless x is (n >= 2, d) and y is a finite (m >= 2, d)."""
    check_sample("y", y, least=2)
    check_sample("x", x, least=2)
    check_shape("x", x, "n", y.shape[1])
    check_finite("y", y)


def check_sample(name: str, array: Array, least: int) -> None:
    shape = onp.shape(value(array))
    if len(shape) != 2 or shape[0] < least or shape[1] < 1:
        raise ValueError(f"{name} must have shape (rows >= {least}, d >= 1), got {shape}")
