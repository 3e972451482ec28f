"""MALA for a perceptron energy, all steps of all chains in one launch: mala.cu. The steps are those of mcmc/langevin.py."""
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels.loading import PLAIN_SHARED, attribute, blocks, function, pointer
from evenflow.accel.kernels.random import key_args
from evenflow.reference.core import Array, check_count, check_shape, lookup
from evenflow.reference.flows.densities import LOG_2PI

ACTIVATIONS = {"tanh": 0, "relu": 1, "leaky_relu": 2, "softplus": 3}  # the numbers of perceptron.cuh
LANES, CHAINS = 16, 4                                                 # as there
PITCHES = (64, 32, 16, 8, 4)                                          # chains of a block: the most that still fill the device


class Given(NamedTuple):
    """The noise of K steps, as the reference takes it."""
    normal: Array   # (K, chains, d)
    uniform: Array  # (K, chains)


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
    score: Array      # (chains, d)


def mala(
    state: tuple[Array, Array, Array], randomness: Given | Drawn, step_size: float,
    layers: Sequence[tuple[Array, Array]], activation: str, sd: float | None,
) -> Walk:
    """K steps from `state`, x (chains, d), log_p (chains,), score (chains, d), with log p = -E + log N(0, sd^2 I), or -E.

    layers: W (fan_in, fan_out) and b (fan_out,) of the perceptron E, the last fan_out 1. Raises ValueError where the network
    does not fit (see `fits`), FloatingPointError as the reference does. Synchronises once.
    """
    x, xp = state[0], module_of(state[0])
    (chains, d), sizes = x.shape, check_layers(layers)
    check_shape("x", x, "chains", sizes[0])
    check_shape("log_p", state[1], chains)
    check_shape("score", state[2], chains, d)
    steps, noise, key = noise_args(randomness, chains, d)
    code = lookup("activation of this kernel", activation, ACTIVATIONS)
    weights = xp.concatenate([pointer(xp, part, x.dtype).reshape(-1) for layer in layers for part in layer])
    numbers = (step_size, math.sqrt(2 * step_size), *tilt(sd, d))
    walk, failed = empty_walk(xp, steps, chains, d, x.dtype), xp.zeros(chains, np.int32)
    launch(xp, sizes, x.dtype, chains, (
        *(pointer(xp, array, x.dtype) for array in (*state, *noise)), *key, weights,
        xp.asarray(np.array(sizes, np.int32)), np.int32(len(layers)), np.int32(code),
        *map(x.dtype.type, numbers), np.int32(chains), np.int32(steps), *walk, failed,
    ))
    check_walk(walk, failed)
    return walk._replace(accepted=walk.accepted.view(np.bool_))


def launch(xp: Any, sizes: Sequence[int], dtype: Any, chains: int, args: tuple[Any, ...]) -> None:
    pitch = pitch_of(xp, sizes, dtype, chains)
    kernel, shared = function(xp, "mala", "mala", dtype), shared_bytes(sizes, dtype, pitch)
    if shared > PLAIN_SHARED:
        kernel.max_dynamic_shared_size_bytes = shared
    kernel((blocks(chains, pitch),), (LANES, pitch // CHAINS), args, shared_mem=shared)


def empty_walk(xp: Any, steps: int, chains: int, d: int, dtype: Any) -> Walk:
    each = (steps, chains)
    return Walk(xp.empty((*each, d), dtype), xp.empty(each, dtype), xp.empty(each, dtype), xp.empty(each, np.uint8),
                xp.empty((chains, d), dtype))


def check_layers(layers: Sequence[tuple[Array, Array]]) -> tuple[int, ...]:
    """The widths (d, *hidden, 1). Raises ValueError unless each layer takes what the one before gives, the last 1 number."""
    sizes = (*(W.shape[0] for W, _ in layers), 1)
    for i, ((W, b), (fan_in, fan_out)) in enumerate(zip(layers, pairwise(sizes), strict=True)):
        check_shape(f"layers[{i}][0]", W, fan_in, fan_out)
        check_shape(f"layers[{i}][1]", b, fan_out)
    return sizes


def tilt(sd: float | None, d: int) -> tuple[float, float, float]:
    """Whether there is a tilt, 1 / sd, and the constant of log N(x; 0, sd^2 I)."""
    return (0.0, 1.0, 0.0) if sd is None else (1.0, 1 / sd, -d * (math.log(sd) + LOG_2PI / 2))


def noise_args(randomness: Given | Drawn, chains: int, d: int) -> tuple[int, tuple[Any, ...], tuple[Any, ...]]:
    """The number of steps, the arrays of noise if there are any, and the key of those drawn inside."""
    if isinstance(randomness, Drawn):
        check_count("steps", randomness.steps)
        return randomness.steps, (None, None), key_args(randomness.seed, randomness.call)
    steps = len(randomness.normal)
    check_shape("normal", randomness.normal, steps, chains, d)
    check_shape("uniform", randomness.uniform, steps, chains)
    return steps, randomness, key_args(0, 0)


def shared_bytes(sizes: Sequence[int], dtype: Any, pitch: int) -> int:
    """Shared memory of a block of `pitch` chains: rows of x, units, output, and x, score, proposal; weights in odd rows."""
    weights = sum(fan_in * (fan_out | 1) + fan_out for fan_in, fan_out in pairwise(sizes))
    return int(np.dtype(dtype).itemsize) * (pitch * (sum(sizes) + 3 * sizes[0]) + weights)


def fits(xp: Any, sizes: Sequence[int], dtype: Any) -> bool:
    """Whether a network with these widths (d, *hidden, 1) can stay in shared memory, with one group of chains."""
    return shared_bytes(sizes, dtype, CHAINS) <= attribute(xp, "sharedMemPerBlockOptin")


def pitch_of(xp: Any, sizes: Sequence[int], dtype: Any, chains: int) -> int:
    """Chains of a block: as many as fit, but few enough for one block on each multiprocessor."""
    if not fits(xp, sizes, dtype):
        raise ValueError(f"layers must fit into the device's shared memory, got widths {tuple(sizes)} in {np.dtype(dtype)}")
    most = attribute(xp, "sharedMemPerBlockOptin")
    fitting = [pitch for pitch in PITCHES if shared_bytes(sizes, dtype, pitch) <= most]
    return next((p for p in fitting if blocks(chains, p) >= attribute(xp, "multiProcessorCount")), fitting[-1])


def check_walk(walk: Walk, failed: Array) -> None:
    """Raise FloatingPointError for the first step at which a log density, or a gradient, was none."""
    if not failed.any():
        return
    step = int(failed[failed > 0].min()) - 1
    chain = int((failed == step + 1).argmax())
    x, log_p, score = walk.x[step, chain].tolist(), float(walk.log_p[step, chain]), walk.score[chain].tolist()
    if math.isfinite(log_p):
        raise FloatingPointError(f"the gradient of log_density must be finite, got {score} at {x}")
    raise FloatingPointError(f"log_density must be finite, or -inf outside the support, got {log_p} at {x}")
