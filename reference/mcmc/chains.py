"""Running a kernel: the outermost loop, which alone holds the generator.

Time comes first, then the chains: x[t, i] is chain i at time t, as the diagnostics expect it (published R-hats have had the two
swapped). Noise is drawn in float64 and takes the dtype of the positions, so that float32 chains stay float32. A uniform number
in [0, 1) may thereby round to 1: the kernels allow for it.
"""
from typing import NamedTuple

import numpy as np

from evenflow.reference.core import Array, check_count
from evenflow.reference.mcmc.contract import Kernel, LogDensity, noise_like, walk


class Chains(NamedTuple):
    """What a run leaves."""
    x: Array         # (kept, chains, d); the start is not among them, the last state is
    accepted: Array  # (steps, chains) bool, of every step, kept or not


def run(
    kernel: Kernel, x: Array, log_density: LogDensity, steps: int, rng: np.random.Generator, every: int = 1
) -> Chains:
    """`steps` steps from x (chains, d); kept are the states after every, 2 every, ..., steps of them.

    Of a kernel that is made of several moves, such as FlowMC, one state a step is kept: that after the last move.
    Raises ValueError where a chain starts outside the support, and unless `steps` is a multiple of `every`.
    """
    check_count("steps", steps)
    check_count("every", every)
    if steps % every:
        raise ValueError(f"steps must be a multiple of every, so that the last state is kept, got {steps} and {every}")
    state, kept, accepted = kernel.init(x, log_density), [], []
    for _ in range(steps // every):
        state, _, took = walk(kernel, state, [noise_like(x, kernel, rng) for _ in range(every)], log_density)
        kept.append(state.x)
        accepted.append(took)
    return Chains(np.stack(kept), np.concatenate(accepted))
