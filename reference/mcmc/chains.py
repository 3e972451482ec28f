"""Running a kernel: the outermost loop, which alone holds the generator.

TIME FIRST: x[t, i] is chain i at time t, as the diagnostics expect it (published R-hats have had the two swapped). Noise is
drawn in float64 and takes the dtype of the positions. A uniform number in [0, 1) may so round to 1: the kernels allow for it.
"""
from typing import Any, NamedTuple

import numpy as np

from evenflow.reference.core import Array, arrays, check_count, replayed
from evenflow.reference.mcmc.contract import Kernel, LogDensity, noise_like, walk


class Chains(NamedTuple):
    """What a run leaves.

    >>> Chains(np.zeros((10, 4, 2)), np.ones((10, 4), dtype=bool)).x[-1].shape
    (4, 2)
    """
    x: Array         # (kept, chains, d); the start is not among them, the last state is
    accepted: Array  # (steps, chains) bool, of every step, kept or not


@arrays("x")
def run(kernel: Kernel, x: Array, log_density: LogDensity, steps: int, rng: np.random.Generator, every: int = 1) -> Chains:
    """`steps` steps from x (chains, d); kept are the states after every, 2 every, ..., steps of them.

    Raises ValueError where a chain starts outside the support, and unless `steps` is a multiple of `every`.

    >>> from evenflow.reference.mcmc import MALA
    >>> log_p = lambda x: -np.sum(x**2, axis=1) / 2
    >>> run(MALA(0.1), np.zeros((4, 2)), log_p, 10, np.random.default_rng(0), every=5).x.shape
    (2, 4, 2)
    """
    check_count("steps", steps)
    check_count("every", every)
    if steps % every:
        raise ValueError(f"steps must be a multiple of every, so that the last state is kept, got {steps} and {every}")
    def to_next(rng: np.random.Generator, state: Any) -> tuple[Any, Array]:
        state, _, took = walk(kernel, state, [noise_like(x, kernel, rng) for _ in range(every)], log_density)
        return state, took

    state, kept, accepted, go = kernel.init(x, log_density), [], [], replayed(to_next)
    for _ in range(steps // every):
        state, took = go(rng, state)
        kept.append(state.x)
        accepted.append(took)
    return Chains(np.stack(kept), np.concatenate(accepted))
