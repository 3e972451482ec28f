r"""Adam and what a training step does beside it, on one flat buffer instead of leaf by leaf.

The formulas are those of reference/core/optim.py. On the host the buffer is passed over in pieces that stay in the cache, all
operations of a piece one after the other; on the device it is one kernel.
"""
import math
from typing import Any

import numpy as np

from evenflow.accel.backends import module_of, on_device
from evenflow.accel.buffers import flat, joined, paired, plain_leaves, start_of, unpacked
from evenflow.accel.kernels import optim as kernel
from evenflow.accel.recording import finite, told
from evenflow.reference.core import SGD, Adam, Array, Tree, check_fraction, check_positive, tree_map
from evenflow.reference.core.arrays import NATIVE
from evenflow.reference.core.dispatch import definitions
from evenflow.reference.core.optim import like_leaf

PIECE = 2**14  # numbers


def adam(optimiser: Adam, params: Tree, grads: Tree, state: Tree, learning_rate: float) -> tuple[Tree, Tree]:
    """core.optim.Adam.update."""
    leaves = paired(params, grads, state["m"], state["v"])
    if [leaf.shape for leaf in leaves[0]] != [leaf.shape for leaf in leaves[1]]:
        tree_map(like_leaf, grads, params)  # which says where
    buffers: list[Any] = [joined(parts) for parts in leaves]
    if any(buffer is None or buffer.dtype != buffers[0].dtype or buffer.dtype not in NATIVE for buffer in buffers):
        return definitions["core.optim.Adam.update"](optimiser, params, grads, state, learning_rate)  # type: ignore[return-value]
    moved, t = (adam_device if on_device(buffers[0]) else adam_host)(optimiser, buffers, state["t"], learning_rate)
    theta, m, v = (unpacked(buffer, params, leaves[0]) for buffer in moved)
    return theta, {"t": t, "m": m, "v": v}


def adam_device(optimiser: Adam, buffers: list[Array], t: Array, learning_rate: Any) -> tuple[tuple[Array, ...], Array]:
    """buffers: theta, g, m, v -> the next theta, m, v; and t."""
    xp = module_of(buffers[0])
    theta, g, m, v = buffers
    at, rate = xp.asarray(t, np.int64), xp.asarray(learning_rate, np.float64)
    *moved, after = kernel.adam(theta, g, m, v, at, rate, optimiser.beta1, optimiser.beta2, optimiser.eps)
    return tuple(moved), after


def adam_host(optimiser: Adam, buffers: list[Array], t: Array, learning_rate: Any) -> tuple[tuple[Array, ...], Array]:
    """Likewise."""
    theta, g, m, v = buffers
    t, kind = int(t) + 1, theta.dtype.type
    rate, second = float(learning_rate) * (1 / (1 - optimiser.beta1**t)), 1 / (1 - optimiser.beta2**t)
    beta1, beta2, eps = kind(optimiser.beta1), kind(optimiser.beta2), kind(optimiser.eps)
    rest1, rest2 = kind(1 - optimiser.beta1), kind(1 - optimiser.beta2)
    after = [np.empty_like(theta) for _ in range(3)]
    work = np.empty(min(PIECE, theta.size), theta.dtype)
    for start in range(0, theta.size, PIECE):
        piece = slice(start, min(start + PIECE, theta.size))
        t1, m1, v1 = (a[piece] for a in after)
        w, g1 = work[: len(t1)], g[piece]
        np.multiply(g1, rest1, out=w)
        np.multiply(m[piece], beta1, out=m1)
        m1 += w
        np.multiply(g1, g1, out=w)
        w *= rest2
        np.multiply(v[piece], beta2, out=v1)
        v1 += w
        np.multiply(v1, kind(second), out=w)
        np.sqrt(w, out=w)
        w += eps
        np.divide(m1, w, out=w)
        w *= kind(rate)
        np.subtract(theta[piece], w, out=t1)
    return tuple(after), np.array(t)


def sgd(optimiser: SGD, params: Tree, grads: Tree, state: Tree, learning_rate: Any) -> tuple[Tree, Tree]:
    """core.optim.SGD.update: on the device, buffer by buffer."""
    leaves = paired(params, grads, state["u"])
    buffers: list[Any] = [joined(parts) for parts in leaves]
    alike = all(buffer is not None and buffer.dtype == buffers[0].dtype and on_device(buffer) for buffer in buffers)
    if not alike or [leaf.shape for leaf in leaves[0]] != [leaf.shape for leaf in leaves[1]]:
        return definitions["core.optim.SGD.update"](optimiser, params, grads, state, learning_rate)  # type: ignore[return-value]
    theta, g, u = buffers
    u = optimiser.momentum * u + g
    rate = learning_rate.astype(theta.dtype) if on_device(learning_rate) else float(learning_rate)
    moved, u = (unpacked(buffer, params, leaves[0]) for buffer in (theta - rate * u, u))
    return moved, {"u": u}


def global_norm(grads: Tree) -> Any:
    """core.optim.global_norm: one sum of squares, in float64."""
    buffer = flat(grads)
    if buffer is None:
        return definitions["core.optim.global_norm"](grads)
    if on_device(buffer):
        return told(kernel.norm(buffer))
    wide = buffer.astype(np.float64)
    with np.errstate(over="ignore"):
        return math.sqrt(float(wide @ wide))


def clip_by_global_norm(grads: Tree, limit: float) -> tuple[Tree, Any]:
    """core.optim.clip_by_global_norm: on the device buffer by buffer."""
    buffer = flat(grads)
    if buffer is None or not on_device(buffer):
        return definitions["core.optim.clip_by_global_norm"](grads, limit)  # type: ignore[return-value]
    check_positive("limit", limit)
    norm = told(kernel.norm(buffer))
    if not finite(norm):
        raise ValueError(f"grads must have a finite norm to be clipped, got {float(norm)}")
    if isinstance(norm, float):
        return (grads if norm <= limit else unpacked(buffer * (limit / norm), grads)), norm
    shrunk = limit / module_of(buffer).maximum(norm, limit)
    return unpacked(buffer * shrunk.astype(buffer.dtype), grads), norm


def moving_average(average: Tree, params: Tree, decay: float, t: int) -> Tree:
    """core.optim.moving_average."""
    theta, a = map(joined, paired(params, average))
    if a is None or theta is None:
        return definitions["core.optim.moving_average"](average, params, decay, t)
    if on_device(a) and a.dtype == theta.dtype:
        check_fraction("decay", decay)
        after = kernel.moving_average(a, theta, decay, module_of(a).asarray(t, np.int64))
    else:
        after = definitions["core.optim.moving_average"](a, theta, decay, t)
    return unpacked(after, params)


def check_all_finite(what: str, tree: Tree) -> None:
    """core.optim.check_all_finite: one look at everything; only where it finds something, leaf by leaf for the name."""
    parts = [leaf for leaf in plain_leaves(tree) if leaf.size]
    whole = [leaf if start_of(leaf) is None else leaf.base for leaf in parts]  # a buffer is looked at once for all its leaves
    buffers = list({id(array): array for array in whole}.values())
    if any(map(on_device, buffers)):
        found = not all(finite(array) for array in buffers if array.dtype.kind == "f")
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            sums = [float(array.sum()) for array in buffers]
        found = not all(map(math.isfinite, sums))  # NaN and infinity survive a sum; one that only overflowed is no harm
    if found:
        definitions["core.optim.check_all_finite"](what, tree)


REPLACEMENTS = {
    "core.optim.Adam.update": adam, "core.optim.SGD.update": sgd, "core.optim.global_norm": global_norm,
    "core.optim.clip_by_global_norm": clip_by_global_norm, "core.optim.moving_average": moving_average,
    "core.optim.check_all_finite": check_all_finite,
}
