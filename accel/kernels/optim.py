"""Adam, the moving average and the norm of a gradient on the device: optim.cu.

t (int64) and the learning rate (float64) are arrays without axes on the device.
"""
from typing import Any

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels.loading import blocks, function
from evenflow.reference.core import Array

THREADS, WIDE = 256, 1024


def adam(
    theta: Array, g: Array, m: Array, v: Array, t: Array, learning_rate: Array, beta1: float, beta2: float, eps: float
) -> tuple[Array, Array, Array, Array]:
    """The next theta, m, v and t."""
    xp = module_of(theta)
    after: list[Any] = [xp.empty_like(theta) for _ in range(3)] + [xp.empty_like(t)]
    numbers = (np.float64(beta1), np.float64(beta2), np.float64(eps))
    if theta.size:
        launch("adam", theta, (theta, g, m, v, np.int64(theta.size), t, learning_rate, *numbers, *after))
    return after[0], after[1], after[2], after[3]


def moving_average(a: Array, theta: Array, decay: float, t: Array) -> Array:
    after = module_of(a).empty_like(a)
    if a.size:
        launch("moving_average", a, (a, theta, np.int64(a.size), np.float64(decay), t, after))
    return after


def norm(g: Array) -> Array:
    """The Euclidean norm of a vector, an array without axes of float64."""
    out = module_of(g).empty((), np.float64)
    function(module_of(g), "optim", "euclidean_norm", g.dtype)((1,), (WIDE,), (g, np.int64(g.size), out))
    return out


def launch(name: str, like: Array, args: tuple[Any, ...]) -> None:
    function(module_of(like), "optim", name, like.dtype)((blocks(like.size, THREADS),), (THREADS,), args)
