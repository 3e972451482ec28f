"""The scores' replacements: which sum over pairs is done how, and each as one node on autograd's tape.

Draws shared by all observations are swept in blocks (scores_pairs.py), draws per observation pair by pair (scores_each.py),
and on the line there is sorting (sorting.py). Distances and RBF kernels are functions of |a - b|^2; the other two kernels
are sums of these and of what is linear in the number of points. Any other function of pairs goes to the definition.
"""
from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.tracer import isbox

from evenflow.accel import kernels
from evenflow.accel.backends import module_of, on_device
from evenflow.accel.fused import fused
from evenflow.accel.scores import each as each
from evenflow.accel.scores.sorting import sorted_sums, sorted_within
from evenflow.accel.scores.sweep import Radial, sweep
from evenflow.reference.core import Array
from evenflow.reference.core.dispatch import definitions
from evenflow.reference.scores.energy import Distance, distance
from evenflow.reference.scores.kernels import RBF, DistanceKernel, Linear
from evenflow.reference.scores.pairs import PairFunction


def cross_sums(f: PairFunction, draws: Array, y: Array) -> Array:
    """sum_i f(x_i, y_j) for every j: draws (m, n, d) or (m, d), y (n, d) -> (n,)."""
    if type(f) is Linear:
        return anp.sum(anp.sum(draws, axis=0) * y, axis=-1)
    if type(f) is DistanceKernel:
        lengths = anp.sum(distance(draws, 0.0, f.beta), axis=0) + draws.shape[0] * distance(y, 0.0, f.beta)
        return lengths - cross_sums(Distance(f.beta), draws, y)
    if type(f) is not Distance and type(f) is not RBF:  # a subclass too: it may mean something else
        return definitions["scores.pairs.cross_sums"](f, draws, y)
    return (cross_each if draws.ndim == 3 else cross_shared)(f, draws, y)


def within_sum(f: PairFunction, draws: Array) -> Array:
    """sum_{i<j} f(x_i, x_j): draws (m, n, d) -> (n,), or (m, d) -> a scalar."""
    if type(f) is Linear:
        return (anp.sum(anp.sum(draws, axis=0) ** 2, axis=-1) - anp.sum(anp.sum(draws**2, axis=-1), axis=0)) / 2
    if type(f) is DistanceKernel:
        lengths = anp.sum(distance(draws, 0.0, f.beta), axis=0)
        return (draws.shape[0] - 1) * lengths - within_sum(Distance(f.beta), draws)
    if type(f) is not Distance and type(f) is not RBF:
        return definitions["scores.pairs.within_sum"](f, draws)
    return (within_each if draws.ndim == 3 else within_shared)(f, draws)


def cross_shared(f: Radial, draws: Array, y: Array) -> Array:
    """The gradient by x_i needs the cotangents g_j, unknown in the sweep. They are nearly always equal (a mean over the
    observations), so the sweep takes them for ones; where they turn out to differ, there is a second one."""
    by_draws, by_y = isbox(draws), isbox(y)
    if on_device(draws) and type(f) is Distance:
        return cross_by_kernel(f.beta, draws, y)

    def forward(x: Array, y: Array) -> Any:
        sums, dy, dx = sweep(f, y, x, (by_y, by_draws))
        return (sums,), (x, y, dx, dy)

    def backward(saved: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
        x, y, dx, dy = saved
        if 0 in wanted:
            dx = dx * g[0] if (g == g[0]).all() else sweep(f, y, x, (False, True), g)[2]
        return [(dx, None if dy is None else dy * g[:, None])[k] for k in wanted]

    return fused(forward, backward)(draws, y)[0]


def cross_by_kernel(beta: float, draws: Array, y: Array) -> Array:
    by_y = isbox(y)

    def forward(x: Array, y: Array) -> Any:
        sums, dy = kernels.pair_sums(y, x, beta, gradient=by_y)
        return (sums,), (x, y, dy)

    def backward(saved: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
        x, y, dy = saved
        return [dy * g[:, None] if k else kernels.pair_sums(x, y, beta, weights=g)[1] for k in wanted]

    return fused(forward, backward)(draws, y)[0]


def within_shared(f: Radial, draws: Array) -> Array:
    traced = isbox(draws)

    def forward(x: Array) -> Any:
        if on_device(x) and type(f) is Distance:
            sums, gradient = kernels.pair_sums(x, x, f.beta, gradient=traced)
            return (sums.sum() / 2,), gradient
        sums, early, late = sweep(f, x, None, (traced, traced))
        return (sums.sum(),), None if early is None or late is None else early + late

    return fused(forward, lambda gradient, wanted, g: [gradient * g])(draws)[0]


def cross_each(f: Radial, draws: Array, y: Array) -> Array:
    slopes = isbox(draws) or isbox(y)

    def forward(x: Array, y: Array) -> Any:
        sums, gradient = each.cross(f, x, y, slopes)
        return (sums,), gradient

    def backward(gradient: Array, wanted: tuple[int, ...], g: Array) -> list[Array]:
        dx = gradient * g[:, None]
        return [-dx.sum(axis=0) if k else dx for k in wanted]

    return fused(forward, backward)(draws, y)[0]


def within_each(f: Radial, draws: Array) -> Array:
    traced = isbox(draws)

    def forward(x: Array) -> Any:
        sums, gradient = each.within(f, x, traced)
        return (sums,), gradient

    return fused(forward, lambda gradient, wanted, g: [gradient * g[:, None]])(draws)[0]


def pinball(u: Array, alpha: Array) -> Array:
    """max(alpha u, (alpha - 1) u); the slope in u is alpha, less 1 below 0, and in alpha it is u."""
    def forward(u: Array, alpha: Array) -> Any:
        slope = alpha - (u < 0).astype(u.dtype)  # a plain alpha less a bool would be float64
        return (u * slope,), (u, slope)

    return fused(forward, lambda saved, wanted, g: [g * saved[0 if k else 1] for k in wanted])(u, alpha)[0]


def logsumexp(a: Array, axis: int) -> Array:
    """log sum exp(a) along an axis; its gradient is exp(a) / sum exp(a)."""
    def forward(a: Array) -> Any:
        xp = module_of(a)
        top = xp.max(a, axis=axis, keepdims=True)
        none, far = top == -np.inf, xp.where(xp.isfinite(top), top, xp.zeros_like(top))
        e = xp.exp(a - far)
        total = e.sum(axis=axis, keepdims=True) + none             # where all are -inf, so is the answer, with gradient 0
        return (xp.squeeze(xp.where(none, top, far) + xp.log(total), axis),), (e, total)

    def backward(saved: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
        e, total = saved
        return [e * (module_of(g).expand_dims(g, axis) / total)]

    return fused(forward, backward)(a)[0]


def project(points: Array, directions: Array) -> Array:
    """(..., d), (L, d) -> (..., L), laid down direction by direction where it will be sorted so."""
    return (directions @ points.T).T if points.ndim == 2 else points @ directions.T


REPLACEMENTS: dict[str, Callable[..., Array]] = {
    "scores.pairs.cross_sums": cross_sums,
    "scores.pairs.within_sum": within_sum,
    "scores.quantile.pinball": pinball,
    "scores.sliced.project": project,
    "scores.sorting.sorted_sums": sorted_sums,
    "scores.sorting.sorted_within": sorted_within,
    "core.special.logsumexp": logsumexp,
}
