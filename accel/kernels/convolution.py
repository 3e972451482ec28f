"""Convolutions and what stands between them on the device: convolution.cu. Arguments and meaning as in core/convolution.py."""
import math
from functools import partial
from typing import Any

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels.layers import launch, solid
from evenflow.reference.core import Array

run = partial(launch, file="convolution")


def geometry(window: Any, c: int) -> list[np.int32]:
    """h, w, c, k, stride, padding, height, width."""
    return [np.int32(v) for v in (window.h, window.w, c, window.k, window.stride, window.padding, window.height, window.width)]


def patches(window: Any, x: Array) -> Array:
    """[patches(x), 1]: x (n, h, w, c) -> (n height width, k k c + 1)."""
    n, c = len(x), x.shape[3]
    P = module_of(x).empty((n * window.height * window.width, window.k**2 * c + 1), x.dtype)
    run("patches", P.size, x, solid(x), np.int64(P.size), *geometry(window, c), P)
    return P


def unpatched(window: Any, covered: Array, shape: tuple[int, ...]) -> Array:
    """covered (n height width, k k c) -> `shape` (n, h, w, c)."""
    x = module_of(covered).empty(shape, covered.dtype)
    run("unpatched", x.size, x, covered, np.int64(x.size), *geometry(window, shape[3]), x)
    return x


def activated(a: Array, kind: int) -> Array:
    y = module_of(a).empty(a.shape, a.dtype)
    run("activated", a.size, a, a, np.int64(a.size), np.int32(kind), y)
    return y


def activated_back(g: Array, a: Array, kind: int) -> Array:
    out = module_of(g).empty(g.shape, g.dtype)
    run("activated_back", g.size, g, g, a, np.int64(g.size), np.int32(kind), out)
    return out


def gated(a: Array) -> Array:
    """a (..., 2 k) -> (..., k)."""
    k = a.shape[-1] // 2
    y = module_of(a).empty((*a.shape[:-1], k), a.dtype)
    run("gated", y.size, a, a, np.int64(y.size), np.int32(k), y)
    return y


def gated_back(a: Array, g: Array) -> Array:
    out = module_of(a).empty(a.shape, a.dtype)
    run("gated_back", g.size, a, g, a, np.int64(math.prod(g.shape)), np.int32(g.shape[-1]), out)
    return out
