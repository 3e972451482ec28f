r"""Do the chains agree? R-hat, counted from the draws alone.

TIME FIRST. draws are (steps, chains) of one number or (steps, chains, d) of positions; other libraries put chains first.
Where both shapes make sense nothing here can notice that axes were swapped, and every answer is wrong.

Split R-hat (Gelman et al. 2013; Vehtari et al. 2021, section 3.1). Each chain is cut in two, which leaves chains of n draws;
B / n is the variance of their means, W the mean of their variances:

$$\hat R = \sqrt{\big((n - 1) / n \cdot W + B / n\big) / W}.$$

Rank normalisation (section 4.1) replaces each of the S draws by a normal quantile of its rank r among all, ties sharing the
mean of their ranks; folding takes $|x - \mathrm{median}|$ first, which shows chains that differ in spread:

$$z = \Phi^{-1}\big((r - 3/8) / (S + 1/4)\big).$$

R-hat alone misleads twice: small steps inside one mode raise it, and a mode that no chain has seen does not (zones.py).
All is computed and returned in float64, whatever the dtype of the draws.
"""
import math
from collections.abc import Callable

import numpy as np

from evenflow.reference.core import Array, array, check_finite, check_shape, fetched, normal_quantile


def rhat(draws: Array) -> Array:
    """Rank-normalised split R-hat, the larger of bulk and folded: near 1 where chains agree, asked to be below 1.01.

    draws (steps, chains) -> a float, (steps, chains, d) -> (d,). One chain will do: its halves are compared. Special cases and
    errors as for `split_rhat`.

    >>> bool(rhat(np.random.default_rng(0).standard_normal((1000, 4))) < 1.01)
    True
    """
    return each_coordinate(ranked_rhat, check_draws(draws))


def ranked_rhat(x: Array) -> float:
    x = split(x)
    return max(plain_rhat(normal_scores(x)), plain_rhat(normal_scores(np.abs(x - np.median(x)))))


def split_rhat(draws: Array) -> Array:
    """Split R-hat of the draws as they are; for tables that quote it, and for draws of 0 and 1.

    draws (steps, chains) -> a float, (steps, chains, d) -> (d,). 1.0 where all draws are equal, B = W = 0: the chains agree;
    whether they have seen everything R-hat cannot say. math.inf where no half chain moves but they differ, W = 0 < B. Raises
    ValueError for fewer than 4 steps and for NaN.

    >>> split_rhat(np.array([[0.0, 1.0]] * 4))
    inf
    """
    return each_coordinate(lambda x: plain_rhat(split(x)), check_draws(draws))


def plain_rhat(x: Array) -> float:
    """R-hat of x (n, chains) without a split."""
    n = len(x)
    x = x - x[0, 0]  # equal draws become exact zeros; their mean would be off by a rounding
    B = n * np.var(np.mean(x, axis=0), ddof=1)
    W = np.mean(np.var(x - x[0], axis=0, ddof=1))
    if W == 0:
        return math.inf if B > 0 else 1.0
    return math.sqrt(((n - 1) / n * W + B / n) / W)


def split(x: Array) -> Array:
    """(steps, chains) -> (steps // 2, 2 chains): first halves, then second; the middle step of an odd number is left out."""
    n = len(x) // 2
    return np.concatenate([x[:n], x[-n:]], axis=1)


def normal_scores(x: Array) -> Array:
    """z for every entry, ranked among all: any shape -> the same."""
    return normal_quantile((average_ranks(x) - 3 / 8) / (x.size + 1 / 4))


def average_ranks(x: Array) -> Array:
    """The place of every entry among all, from 1; equal entries share the mean of their places."""
    _, level, ties = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(ties) - (ties - 1) / 2)[level].reshape(x.shape)


def each_coordinate(f: Callable[[Array], float], draws: Array) -> Array:
    """f of (steps, chains) for one number, for every coordinate of positions."""
    return f(draws) if draws.ndim == 2 else np.array([f(draws[:, :, i]) for i in range(draws.shape[2])])


def check_draws(draws: Array, least: int = 4) -> Array:
    """The draws as float64, every coordinate within -1 and 1: no square overflows, and nothing here depends on the scale."""
    draws = fetched(array("draws", draws))
    if np.ndim(draws) not in (2, 3) or draws.size == 0:
        wanted = "(steps, chains) or (steps, chains, d), at least one of each"
        raise ValueError(f"draws must be real numbers {wanted}, got shape {np.shape(draws)}")
    check_steps("draws", draws[..., 0] if draws.ndim == 3 else draws, least)
    draws = draws.astype(np.float64)
    check_finite("draws", draws)
    return np.ldexp(draws, -np.frexp(np.max(np.abs(draws), axis=(0, 1)))[1])  # by powers of two: nothing is rounded


def check_steps(name: str, array: Array, least: int) -> None:
    check_shape(name, array, "steps", "chains")
    if array.shape[0] < least:
        raise ValueError(f"{name} must have at least {least} steps, got shape {array.shape} (time comes first)")
