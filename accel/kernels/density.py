"""Log densities of perceptron energies with their gradients (density.cu), and i-SIR's choice (isir.cu), a launch each."""
from typing import Any, NamedTuple

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels.loading import NULL, attribute, blocks, pointer
from evenflow.accel.kernels.network import Layout, Perceptron, Target, fits, launch, layout, perceptron, tilt_args, widths
from evenflow.reference.core import Array, anywhere, check_shape

TURNS = 2      # tables that a multiprocessor may hold at a time
POINTS = 256   # of a block's chains, where one chain has not more


def log_density(target: Target, x: Array) -> Array:
    """log p (n,) at x (n, d), whatever the formula gives."""
    return density(target, x, False, False)[0]


def density_and_score(target: Target, x: Array) -> tuple[Array, Array] | None:
    """log p (n,), -inf where x is not finite, and its gradient (n, d), 0 where log p is -inf.

    None where x is finite but log p is NaN or +inf, or where its gradient is not finite.
    """
    log_p, score, bad = density(target, x, True, True)
    return None if anywhere(bad) else (log_p, score)


def density(target: Target, x: Array, gradient: bool, look: bool) -> tuple[Array, Any, Any]:
    """log p, and what else is asked for: its gradient, and where one of the two is none (the numbers of density.cu)."""
    xp, (n, d), net = module_of(x), x.shape, perceptron(target.layers, target.activation, x.dtype)
    check_shape("x", x, "n", net.sizes[0])
    log_p, score = xp.empty(n, x.dtype), xp.empty((n, d), x.dtype) if gradient else NULL
    bad = xp.empty(n, np.uint8) if look else NULL
    if n:
        processors = attribute(xp, "multiProcessorCount")
        there = layout(xp, net, blocks(n, processors), d)
        grid = min(blocks(n, there.columns), TURNS * processors)
        tilt = tilt_args(target.sd, d, x.dtype)
        launch(xp, "density", net, there, grid, (pointer(xp, x, x.dtype), *tilt, np.int64(n), log_p, score, bad))
    return log_p, score, bad


class Chosen(NamedTuple):
    """An i-SIR step: the next state, which chains moved to it, all log weights (the current state's first)."""
    x: Array           # (chains, d)
    log_p: Array       # (chains,)
    log_lambda: Array  # (chains,)
    moved: Array       # (chains,) bool
    log_w: Array       # (chains, N)


def isir(target: Target, state: tuple[Array, Array, Array], x: Array, log_lambda: Array, uniform: Array) -> Chosen | None:
    """From `state`, x (chains, d), log_p and log_lambda (chains,), to one of N - 1 proposals x (chains (N - 1), d), or nowhere.

    None where log p at a finite proposal is NaN or +inf, or log_lambda there. Raises ValueError where not even the weights of
    one chain fit into shared memory (see `isir_fits`).
    """
    xp, (chains, d), net = module_of(x), state[0].shape, perceptron(target.layers, target.activation, x.dtype)
    M = len(x) // chains
    check_shape("x", x, chains * M, net.sizes[0])
    each, there = share(xp, net, chains, M)
    dtype, given = x.dtype, [pointer(xp, array, x.dtype) for array in (x, log_lambda, *state, uniform)]
    log_p, bad = xp.empty(len(x), dtype), xp.empty(len(x), np.uint8)
    log_w, moved = xp.empty((chains, M + 1), dtype), xp.empty(chains, np.uint8)
    after = xp.empty((chains, d), dtype), xp.empty(chains, dtype), xp.empty(chains, dtype)
    launch(xp, "isir", net, there, blocks(chains, each), (
        *given, *tilt_args(target.sd, d, dtype), np.int32(chains), np.int32(M), np.int32(each),
        log_p, log_w, moved, *after, bad,
    ))
    return None if anywhere(bad) else Chosen(*after, moved.view(np.bool_), log_w)


def isir_fits(xp: Any, target: Target, dtype: Any, M: int) -> bool:
    """Whether `fits`, beside the weights of a chain with M proposals."""
    return fits(xp, widths(target.layers), dtype, M + 2)


def share(xp: Any, net: Perceptron, chains: int, M: int) -> tuple[int, Layout]:
    """How many chains of M proposals a block takes, so that all multiprocessors have some; and its table."""
    each = max(1, min(blocks(chains * M, attribute(xp, "multiProcessorCount")), POINTS) // M)
    return each, layout(xp, net, each * M, 0, each * (M + 2))
