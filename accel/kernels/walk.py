"""All steps of all chains in one launch, for a perceptron energy: walk.cu. The moves are those of reference/mcmc."""
from typing import Any, NamedTuple

import numpy as np

from evenflow.accel.backends import module_of, on_device
from evenflow.accel.kernels.loading import NULL, attribute, blocks, pointer
from evenflow.accel.kernels.network import Target, launch, layout, perceptron, tilt_args
from evenflow.accel.kernels.random import key_args
from evenflow.reference.core import Array, anywhere, check_count, check_shape, lookup

MOVES = {"mala": 0, "ula": 1, "random_walk": 2, "hmc": 3}  # the numbers of walk.cu


class Given(NamedTuple):
    """The noise of K steps, as the reference takes it."""
    normal: Array          # (K, chains, d)
    uniform: Array | None  # (K, chains); None for ULA


class Drawn(NamedTuple):
    """Noise drawn inside the launch: the numbers of normal(xp, seed, (steps, chains, d), ...) and uniform(xp, seed, ...)."""
    steps: int
    seed: int | Array
    call: int | Array = 0


class Walk(NamedTuple):
    """What K steps leave. The state after step k has x[k] and log_p[k]; the last one has `score` as well."""
    x: Array          # (K, chains, d)
    log_p: Array      # (K, chains)
    log_ratio: Array  # (K, chains)
    accepted: Array   # (K, chains) bool
    score: Array | None  # (chains, d); None of a random walk


def persistent(
    move: str, state: tuple[Array, ...], randomness: Given | Drawn, step_size: float | Array, target: Target, leaps: int = 1
) -> Walk:
    """K steps from `state`, x (chains, d), log_p (chains,), and score (chains, d) unless the move is a random walk.

    leaps: HMC's leapfrog steps. Raises ValueError where the network does not fit (see `fits`), FloatingPointError as the
    reference does.
    """
    x, xp, code = state[0], module_of(state[0]), lookup("move", move, MOVES)
    net = perceptron(target.layers, target.activation, x.dtype)
    (chains, d) = x.shape
    for name, array, shape in zip(("x", "log_p", "score"), state, (("chains", net.sizes[0]), (chains,), x.shape), strict=False):
        check_shape(name, array, *shape)
    steps, noise, key = noise_args(randomness, chains, d)
    walk, failed = empty_walk(xp, steps, chains, d, x.dtype, move), xp.empty(chains, np.int32)
    start = [pointer(xp, array, x.dtype) for array in (*state, *[None] * (3 - len(state)), *noise)]
    there = layout(xp, net, blocks(chains, attribute(xp, "multiProcessorCount")), rows(move, d))
    launch(xp, "walk", net, there, blocks(chains, there.columns), (
        *start, *key, *step_size_args(xp, step_size, x.dtype), *tilt_args(target.sd, d, x.dtype), np.int32(chains),
        np.int32(steps), np.int32(leaps), *(NULL if part is None else part for part in walk), failed,
    ), MOVE=code)
    if anywhere(failed):
        explain(walk, failed.get(), leaps, step_size)
    return walk._replace(accepted=walk.accepted.view(np.bool_))


def rows(move: str, d: int) -> int:
    """Of a block's table, besides the network's: x, score, x', the noise with u and, for HMC, m."""
    return (5 if move == "hmc" else 4) * d + 1


def empty_walk(xp: Any, steps: int, chains: int, d: int, dtype: Any, move: str) -> Walk:
    each = (steps, chains)
    return Walk(xp.empty((*each, d), dtype), xp.empty(each, dtype), xp.empty(each, dtype), xp.empty(each, np.uint8),
                None if move == "random_walk" else xp.empty((chains, d), dtype))


def step_size_args(xp: Any, step_size: float | Array, dtype: Any) -> tuple[Any, ...]:
    """As a number, and as a pointer that goes before it unless it is null."""
    there: Any = step_size
    if not on_device(there):
        return dtype.type(there), NULL
    check_shape("step_size", there)
    return dtype.type(0), there.astype(dtype, copy=False)


def noise_args(randomness: Given | Drawn, chains: int, d: int) -> tuple[int, tuple[Any, ...], tuple[Any, ...]]:
    """The number of steps, the arrays of noise if there are any, and the key of those drawn inside."""
    if isinstance(randomness, Drawn):
        check_count("steps", randomness.steps)
        return randomness.steps, (None, None), key_args(randomness.seed, randomness.call)
    steps = len(randomness.normal)
    check_shape("normal", randomness.normal, steps, chains, d)
    if randomness.uniform is not None:
        check_shape("uniform", randomness.uniform, steps, chains)
    return steps, randomness, key_args(0, 0)


def explain(walk: Walk, failed: Array, leaps: int, step_size: float | Array) -> None:
    """Raise the FloatingPointError of the first evaluation that failed; failed (chains,) on the host: 1 + its number, or 0.

    As the definitions do: log densities are looked at first, then gradients, last whether ULA has left the support.
    """
    first = int(failed[failed > 0].min())
    step, chains = (first - 1) // leaps, np.flatnonzero(failed == first)
    log_p, x = walk.log_p[step].get()[chains], walk.x[step].get()[chains].tolist()
    bad = np.flatnonzero(np.isnan(log_p) | (log_p == np.inf))
    if len(bad):
        raise FloatingPointError(f"log_density must be finite, or -inf outside the support, got {log_p[bad[0]]} at {x[bad[0]]}")
    scores = np.zeros((1, 1)) if walk.score is None else walk.score.get()[chains]
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(bad):
        raise FloatingPointError(f"the gradient of log_density must be finite, got {scores[bad[0]]} at {x[bad[0]]}")
    left = f"{len(chains)} chains have left the support"
    raise FloatingPointError(f"{left}: step_size {float(step_size)} is too large for this density")
