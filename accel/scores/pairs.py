"""The scores' replacements: which sum over pairs is done how, and each as one node on autograd's tape.

Draws shared by all observations are swept in blocks (sweep.py), draws per observation pair by pair (each.py), on the device
both by kernels; on the line there is sorting (sorting.py). Distances and RBF kernels are functions of |a - b|^2; the other two
kernels are sums of these and of what is linear in the number of points. Any other function of pairs goes to the definition.
"""
from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.tracer import isbox

from evenflow.accel import kernels
from evenflow.accel.backends import module_of, on_device
from evenflow.accel.fused import fused
from evenflow.accel.products import product
from evenflow.accel.scores import each as each
from evenflow.accel.scores.sorting import sorted_sums, sorted_within
from evenflow.accel.scores.sweep import Radial, sweep
from evenflow.reference.core import Array, lookup
from evenflow.reference.core.dispatch import definitions
from evenflow.reference.scores.energy import Distance, distance
from evenflow.reference.scores.kernels import RBF, DistanceKernel, Linear
from evenflow.reference.scores.pairs import ESTIMATORS, PairFunction


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


def pair_score(f: PairFunction, draws: Array, y: Array, estimator: str) -> Array:
    """E f(X, y) - E f(X, X') / 2 for every y: on the device cross and within in one operation."""
    if not on_device(draws) or (type(f) is not Distance and type(f) is not RBF):
        return definitions["scores.pairs.pair_score"](f, draws, y, estimator)
    weight = lookup("estimator", estimator, ESTIMATORS)(draws.shape[0])
    return (score_each if draws.ndim == 3 else score_shared)(f, draws, y, weight)


def cross_shared(f: Radial, draws: Array, y: Array) -> Array:
    """The gradient by x_i needs the cotangents g_j, unknown in the sweep. They are nearly always equal (a mean over the
    observations), so the sweep takes them for ones; where they turn out to differ, there is a second one."""
    by_draws, by_y = isbox(draws), isbox(y)

    def forward(x: Array, y: Array) -> Any:
        sums, dy, dx = (kernels.cross if on_device(x) else sweep_cross)(f, y, x, by_y, by_draws)
        return (sums,), (x, y, dx, dy)

    def backward(saved: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
        x, y, dx, dy = saved
        if 0 in wanted and on_device(x):
            dx = kernels.by_draws(f, y, x, g, dx)
        elif 0 in wanted:
            dx = dx * g[0] if (g == g[0]).all() else sweep(f, y, x, (False, True), g)[2]
        return [(dx, None if dy is None else dy * g[:, None])[k] for k in wanted]

    return fused(forward, backward)(draws, y)[0]


def sweep_cross(f: Radial, y: Array, x: Array, by_y: bool, by_x: bool) -> tuple[Array, Array | None, Array | None]:
    return sweep(f, y, x, (by_y, by_x))


def within_shared(f: Radial, draws: Array) -> Array:
    traced = isbox(draws)

    def forward(x: Array) -> Any:
        if on_device(x):
            sums, gradient = kernels.within(f, x, traced)
            return (sums.sum(),), gradient
        sums, early, late = sweep(f, x, None, (traced, traced))
        return (sums.sum(),), None if early is None or late is None else early + late

    return fused(forward, lambda gradient, wanted, g: [gradient * g])(draws)[0]


def score_shared(f: Radial, draws: Array, y: Array, weight: float) -> Array:
    """On the device: cross / m - weight within."""
    by_draws, by_y, scale = isbox(draws), isbox(y), 1 / draws.shape[0]

    def forward(x: Array, y: Array) -> Any:
        values, *gradients = kernels.score(f, y, x, by_y, by_draws, weight)
        return (values,), (x, y, *gradients)

    def backward(saved: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
        x, y, dy, dx, inner = saved
        return [dy * (scale * g[:, None]) if k else kernels.by_draws(f, y, x, g, dx, scale, inner, weight) for k in wanted]

    return fused(forward, backward)(draws, y)[0]


def cross_each(f: Radial, draws: Array, y: Array) -> Array:
    slopes = isbox(draws) or isbox(y)

    def forward(x: Array, y: Array) -> Any:
        sums, gradient = kernels.each(f, x, y, 1.0, 0.0, slopes) if on_device(x) else each.cross(f, x, y, slopes)
        return (sums,), gradient

    def backward(gradient: Array, wanted: tuple[int, ...], g: Array) -> list[Array]:
        dx = gradient * g[:, None]
        return [-dx.sum(axis=0) if k else dx for k in wanted]

    return fused(forward, backward)(draws, y)[0]


def within_each(f: Radial, draws: Array) -> Array:
    traced = isbox(draws)

    def forward(x: Array) -> Any:
        sums, gradient = kernels.each(f, x, None, 0.0, 1.0, traced) if on_device(x) else each.within(f, x, traced)
        return (sums,), gradient

    return fused(forward, lambda gradient, wanted, g: [gradient * g[:, None]])(draws)[0]


def score_each(f: Radial, draws: Array, y: Array, weight: float) -> Array:
    """On the device: cross / m - weight within. The gradient by y is that of cross alone."""
    by_draws, by_y, scale = isbox(draws), isbox(y), 1 / draws.shape[0]

    def forward(x: Array, y: Array) -> Any:
        values, dx = kernels.each(f, x, y, scale, -weight, by_draws)
        return (values,), (dx, kernels.each(f, x, y, scale, 0.0, True)[1] if by_y else None)

    def backward(saved: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
        dx, across = saved
        return [-(across * g[:, None]).sum(axis=0) if k else dx * g[:, None] for k in wanted]

    return fused(forward, backward)(draws, y)[0]


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
    if not on_device(points) and not on_device(directions):
        return (directions @ points.T).T if points.ndim == 2 else points @ directions.T

    def forward(p: Array, v: Array) -> Any:
        flat = p.reshape(-1, v.shape[1])
        out = product(v, flat.T).T if p.ndim == 2 else product(flat, v.T).reshape(*p.shape[:-1], v.shape[0])
        return (out,), (p, v)

    def backward(saved: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
        p, v = saved
        g = g.reshape(-1, v.shape[0])
        return [product(g.T, p.reshape(-1, v.shape[1])) if k else product(g, v).reshape(p.shape) for k in wanted]

    return fused(forward, backward)(points, directions)[0]


REPLACEMENTS: dict[str, Callable[..., Array]] = {
    "scores.pairs.cross_sums": cross_sums,
    "scores.pairs.pair_score": pair_score,
    "scores.pairs.within_sum": within_sum,
    "scores.quantile.pinball": pinball,
    "scores.sliced.project": project,
    "scores.sorting.sorted_sums": sorted_sums,
    "scores.sorting.sorted_within": sorted_within,
    "core.special.logsumexp": logsumexp,
}
