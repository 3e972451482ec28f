r"""flowMC: local and global moves in turn (Gabrie et al. 2022; Samsonov et al. 2022; Grenioux et al. 2023, section 3).

$$x \to K_1^{k_1} \to K_2^{k_2} \to \cdots \qquad \text{such as 4 MALA, 2 i-SIR, 4 MALA}$$

Local moves (MALA, HMC) see the shape of a mode, global ones (i-SIR, independent MH with a flow) carry weight between modes. A
composition of kernels that each leave p invariant leaves p invariant. Each block begins with a fresh evaluation of all that its
kernel keeps: the block before has moved the chains.
"""
from dataclasses import dataclass
from typing import NamedTuple

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, Tree, arrays, check_count
from evenflow.reference.mcmc.contract import Kernel, LogDensity, check_positions, check_start, log_density_at, walk


class State(NamedTuple):
    """Positions alone: whatever else there is to know belongs to one block."""
    x: Array  # (chains, d)


class Sweep(NamedTuple):
    """What one pass over all blocks did."""
    accepted: Array           # (chains,) bool: whether the chain moved at all
    blocks: tuple[Array, ...]  # for each block its acceptances (steps, chains)
    trace: Array              # (steps of all blocks, chains, d): every state on the way, the last one included


@dataclass(frozen=True)
class FlowMC:
    """Blocks (kernel, how many steps of it), in order; a step of this kernel is one pass over all of them.

    >>> from evenflow.reference.mcmc import MALA, RandomWalk
    >>> kernel = FlowMC(((MALA(0.1), 2), (RandomWalk(1.0), 1)))
    >>> [len(block) for block in kernel.noise(onp.random.default_rng(0), 5, 2)]
    [2, 1]
    """
    blocks: tuple[tuple[Kernel, int], ...]

    def __post_init__(self) -> None:
        if not self.blocks:
            raise ValueError("blocks must hold at least one (kernel, steps), got none")
        for _, steps in self.blocks:
            check_count("steps", steps)

    def noise(self, rng: onp.random.Generator, chains: int, d: int) -> Tree:
        return [[kernel.noise(rng, chains, d) for _ in range(steps)] for kernel, steps in self.blocks]

    @arrays("x")
    def init(self, x: Array, log_density: LogDensity) -> State:
        check_positions(x)
        check_start(x, log_density_at(x, log_density))
        return State(x)

    def step(self, state: State, noise: Tree, log_density: LogDensity) -> tuple[State, Sweep]:
        x, trace, accepted = state.x, [], []
        for (kernel, steps), draws in zip(self.blocks, noise, strict=True):
            if len(draws) != steps:
                raise ValueError(f"noise must be for the {steps} steps of each block, got {len(draws)}")
            _, path, took = walk(kernel, kernel.init(x, log_density), draws, log_density)
            trace.append(path)
            accepted.append(took)
            x = path[-1]
        return State(x), Sweep(np.any(np.concatenate(accepted), axis=0), tuple(accepted), np.concatenate(trace))
