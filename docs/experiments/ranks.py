r"""Rank correlations of two measures over many models, and their error where several models come from one training.

Both take a weight for each point, how often it counts. With weights 1 they are the textbook's; a bootstrap is other weights.

    Spearman   the correlation of the ranks; what is tied shares the mean of its ranks
    Kendall    tau-b: (concordant - discordant pairs) / sqrt(pairs not tied in x * pairs not tied in y)
"""
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from evenflow.reference.core import Array

RESAMPLES, COVERED, LEAST = 2000, 0.95, 5  # of the bootstrap; trainings that it needs

Correlation = Callable[[Array, Array, Array], Array]


class Agreement(NamedTuple):
    """A correlation, and the interval that holds the middle 95 % of those of resampled groups; None for few groups."""
    value: float
    interval: tuple[float, float] | None

    @property
    def verdict(self) -> str:
        low, high = self.interval or (-1.0, 1.0)
        return "alike" if low > 0 else "opposed" if high < 0 else "undecided"

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "-"
        return f"{self.value:+.2f}" + (f" [{self.interval[0]:+.2f}, {self.interval[1]:+.2f}]" if self.interval else "")


def ranks(x: Array, weights: Array) -> Array:
    """x (n,), weights (r, n) -> (r, n), 1 for the least.

    >>> ranks(np.array([5.0, 7.0, 5.0]), np.ones((1, 3)))
    array([[1.5, 3. , 1.5]])
    """
    below, tied = (1.0 * (x[:, None] < x), 1.0 * (x[:, None] == x))
    return weights @ below + (weights @ tied + 1) / 2


def spearman(x: Array, y: Array, weights: Array) -> Array:
    """x, y (n,), weights (r, n) -> (r,); NaN where one of them does not vary.

    >>> spearman(np.array([1.0, 2.0, 4.0]), np.array([3.0, 2.0, 1.0]), np.ones((1, 3)))
    array([-1.])
    """
    a, b = (centred(ranks(values, weights), weights) for values in (x, y))
    return ratio(np.sum(weights * a * b, axis=1), np.sum(weights * a**2, axis=1), np.sum(weights * b**2, axis=1))


def centred(values: Array, weights: Array) -> Array:
    return values - np.sum(weights * values, axis=1, keepdims=True) / np.sum(weights, axis=1, keepdims=True)


def kendall(x: Array, y: Array, weights: Array) -> Array:
    """x, y (n,), weights (r, n) -> (r,); NaN where one of them does not vary. A point and its copy are tied."""
    a, b = (np.sign(values[:, None] - values) for values in (x, y))  # (n, n)
    return ratio(*(np.sum((weights @ of_pairs) * weights, axis=1) for of_pairs in (a * b, a**2, b**2)))


def ratio(product: Array, one: Array, other: Array) -> Array:
    root = np.sqrt(one * other)
    return np.where(root > 1e-9, product / np.maximum(root, 1e-9), math.nan)


def resampled(groups: Sequence[str], rng: np.random.Generator) -> Array:
    """How often each point counts where whole groups are drawn with replacement: groups (n,) -> (RESAMPLES, n)."""
    names, of = np.unique(np.asarray(groups), return_inverse=True)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    return drawn[:, of].astype(float)


def correlated(correlation: Correlation, x: Array, y: Array, groups: Sequence[str]) -> Agreement:
    value = float(correlation(x, y, np.ones((1, len(x))))[0]) if len(x) > 1 else math.nan
    if len(set(groups)) < LEAST or math.isnan(value):
        return Agreement(value, None)
    told = correlation(x, y, resampled(groups, np.random.default_rng(0)))
    low, high = np.nanquantile(told, [(1 - COVERED) / 2, (1 + COVERED) / 2])
    return Agreement(value, (float(low), float(high)))
