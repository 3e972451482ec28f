"""Sums over pairs, sorting and scores: what accel does against the reference in float64, on the same numbers.

How far a sum over pairs may be off is bounded pair by pair. With ROUNDINGS roundings of u, of the unit

    s = |a - b|^2      u s, or u (|a|^2 + |b|^2) where it is expanded; sqrt(u) s where that is more: closer pairs are recomputed
    f(s)               |f'(s)| times that, and u f(s)
    gradient w (a - b) what s does to w, and u w (|a| + |b|) from the products, a and b taken from their centre
"""
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad, make_vjp, value_and_grad
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.accel import scores_each, scores_pairs, sorting
from evenflow.accel.scores import REPLACEMENTS, logsumexp
from evenflow.reference import special
from evenflow.reference.dispatch import replacing
from evenflow.reference.scores import (
    crps,
    distance_kernel,
    energy_distance,
    energy_score,
    kernel_score,
    linear_kernel,
    mmd,
    quantile_score,
    random_directions,
    rbf_kernel,
    sliced_energy_distance,
    sliced_energy_score,
)
from evenflow.reference.scores.energy import EPS, Distance
from evenflow.reference.scores.kernels import RBF
from evenflow.reference.scores.pairs import cross_sums, within_sum
from evenflow.reference.scores.quantile import pinball
from evenflow.reference.scores.sliced import project
from evenflow.reference.scores.sorting import sorted_cross, sorted_within
from tests.tolerances import ROUNDINGS, eps

few = settings(deadline=None, derandomize=True, max_examples=60)
seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from([np.float32, np.float64])
betas = st.sampled_from([0.5, 1.0, 1.5])
estimators = st.sampled_from(["U", "V"])
radial = st.sampled_from([Distance(0.5), Distance(1.0), Distance(1.5), RBF((-0.5 / 0.3**2, -0.5 / 2**2))])
layouts = st.sampled_from(["each", "shared"])
sizes = st.integers(1, 12)
SCALES = {"ordinary": (0.0, 1.0), "far": (1e3, 1.0), "tiny": (0.0, 1e-4), "below EPS": (0.0, 1e-8), "far and small": (1e3, 1e-2)}
scales = st.sampled_from(sorted(SCALES))
ties = st.booleans()


def points(seed: int, scale: str, ties: bool, dtype: Any, *shapes: tuple[int, ...]) -> list[Any]:
    """Points offset and scaled; where `ties`, many coincide, within a sample and between two."""
    (offset, size), rng = SCALES[scale], np.random.default_rng(seed)
    drawn = [rng.integers(-1, 2, shape) if ties else rng.standard_normal(shape) for shape in shapes]
    return [(offset + size * numbers).astype(dtype) for numbers in drawn]


@contextmanager
def small_blocks(size: int) -> Iterator[None]:
    with (mock.patch.multiple(scores_pairs, ROWS=size, COLUMNS=size + 2, GATHERED=2 * size),
          mock.patch.object(scores_each, "BLOCK", 16 * size), mock.patch.object(sorting, "BLOCK", 16 * size)):
        yield


def both_ways(f: Callable[..., Any], g: Any, *args: Any) -> list[Any]:
    """The value, and the vector-Jacobian products of all arguments at once and of each alone."""
    together, value = make_vjp(f, tuple(range(len(args))))(*args)
    alone = [make_vjp(f, k)(*args)[0](g) for k in range(len(args))]
    products = together(g)
    for a, b in zip(products, alone, strict=True):
        np.testing.assert_array_equal(a, b)
    return [value, *products]


def against(f: Callable[..., Any], seed: int, *args: Any, even: bool = False, block: int = 3) -> list[tuple[Any, Any]]:
    """(fast, reference in float64) for values and VJPs; fast keeps the dtype and the inputs. even: equal cotangents."""
    shape, before = np.shape(f(*args)), [a.copy() for a in args]
    g = np.random.default_rng(seed).standard_normal(shape).astype(args[0].dtype)
    g = np.full_like(g, 1.5) if even else g
    expected = both_ways(f, g.astype(float), *(a.astype(float) for a in args))
    with replacing(REPLACEMENTS), small_blocks(block):
        fast = both_ways(f, g, *args)
        np.testing.assert_allclose(f(*args), fast[0], rtol=1e-6)  # nothing traced, no gradients made
        assert np.shape(f(*args)) == shape
    for a, b in zip(args, before, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, e in zip(fast, expected, strict=True):
        assert a.dtype == args[0].dtype
        assert np.shape(a) == np.shape(e)
    return list(zip(fast, expected, strict=True))


def pair_errors(f: Any, a: Any, b: Any, unit: float, expanded: bool) -> tuple[Any, Any]:
    """Bounds for value and gradient of every pair, a and b (..., d) that broadcast: the module's docstring."""
    a, b = a.astype(float), b.astype(float)
    s = np.sum((a - b) ** 2, axis=-1)
    middle = np.mean(b, axis=tuple(range(b.ndim - 1)))
    lengths = np.sum((a - middle) ** 2, axis=-1) + np.sum((b - middle) ** 2, axis=-1)
    off = unit * s + (np.minimum(unit * lengths, np.sqrt(unit) * s) if expanded else 0)
    if isinstance(f, Distance):
        smooth = s + EPS**2
        value, w = smooth ** (f.beta / 2), f.beta * smooth ** (f.beta / 2 - 1)
        bend = w / smooth
    else:
        value, w, bend = (sum(abs(c) ** k * np.exp(c * s) for c in f.scales) * 2**k for k in (0, 1, 2))
    r = np.sqrt(s)
    far = np.sqrt(2 * lengths) if expanded else r
    near = s <= np.sqrt(unit) * lengths  # such a pair may be multiplied out or recomputed: the larger w r of both
    return w * off + unit * value, bend * off * r + unit * w * np.where(near & (s == 0), 0, far)


def check(pairs: list[tuple[Any, Any]], *bounds: Any) -> None:
    for (fast, expected), bound in zip(pairs, bounds, strict=True):
        assert np.all(np.abs(fast - expected) <= bound), np.max(np.abs(fast - expected) / bound)


# --------------------------------------------------------------------------------------------------- sums over pairs


@few
@given(seeds, radial, layouts, scales, ties, dtypes, st.booleans(), sizes, sizes, st.sampled_from([1, 2, 3, 4, 7]))
def test_cross_sums(
    seed: int, f: Any, layout: str, scale: str, ties: bool, dtype: Any, even: bool, m: int, n: int, d: int
) -> None:
    x, y = points(seed, scale, ties, dtype, (m, n, d) if layout == "each" else (m, d), (n, d))
    if layout == "shared":
        x[0] = y[0]
    pairs = against(lambda x, y: cross_sums(f, x, y), seed, x, y, even=even)
    g = np.abs(np.full(n, 1.5) if even else np.random.default_rng(seed).standard_normal(n))
    value, slope = pair_errors(f, x[:, None] if x.ndim == 2 else x, y, ROUNDINGS * eps(dtype), layout == "shared" and d > 3)
    slope = slope * g
    check(pairs, np.sum(value, axis=0), (slope if layout == "each" else np.sum(slope, axis=1))[..., None],
          np.sum(slope, axis=0)[:, None])


@few
@given(seeds, radial, layouts, scales, ties, dtypes, sizes, sizes, st.sampled_from([1, 2, 3, 4, 7]))
def test_within_sum(
    seed: int, f: Any, layout: str, scale: str, ties: bool, dtype: Any, m: int, n: int, d: int
) -> None:
    x, = points(seed, scale, ties, dtype, (m + 1, n, d) if layout == "each" else (m + 1, d))
    pairs = against(lambda x: within_sum(f, x), seed, x)
    g = np.abs(np.random.default_rng(seed).standard_normal(n if layout == "each" else ()))
    value, slope = pair_errors(f, x[:, None], x[None], ROUNDINGS * eps(dtype), layout == "shared" and d > 3)
    check(pairs, np.sum(value, axis=(0, 1)), (np.sum(slope, axis=1) * g)[..., None])
