r"""flowMC-EBM: maximum likelihood, with a companion flow that keeps the chains mixing (Grenioux et al. 2023, Algorithm 1).

One training step, for an energy E tilted by the flow's base density $\rho$ and a flow $\lambda$:

    1.  x+ from the data
    2.  x- = flowMC(p, chains, flow): a random subset of the persistent chains, local and global moves, flow held fixed
    3.  chains <- x-
    4.  theta <- theta - gamma_E (mean grad E(x+) - mean grad E(x-))
    5.  alpha <- alpha + gamma_flow mean grad log lambda(x-), the forward divergence from p to lambda

with Adam in the place of plain steps; the paper does not name its optimiser. The chains start from the flow. At the start
E = 0 and the flow is its base: p, $\rho$ and $\lambda$ are one density, and every global move is as good as any other.
"""
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from evenflow.reference.core.checks import check_count, lookup
from evenflow.reference.core.optim import Adam
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.ebm.contract import Info, Rates, check_buffer
from evenflow.reference.ebm.energies import EBM, Energy, contrast
from evenflow.reference.ebm.updates import descend, forward_divergence, started
from evenflow.reference.flows.flow import Flow
from evenflow.reference.mcmc.adaptation import adapted
from evenflow.reference.mcmc.contract import Kernel
from evenflow.reference.mcmc.flowmc import FlowMC
from evenflow.reference.mcmc.independence import ISIR
from evenflow.reference.mcmc.langevin import MALA

LOCAL, GLOBAL = "local", "global"


class State(NamedTuple):
    energy: Tree
    flow: Tree
    energy_optimiser: Tree
    flow_optimiser: Tree
    chains: Array     # (buffer, d), persistent
    step_size: Array  # of MALA


@dataclass(frozen=True)
class FlowMCEBM:
    """moves: blocks ("local" or "global", how many), in order; N: slots of i-SIR; used: every how many-th state of a chain is a
    negative, None for the last alone (1: all of them); adapt: let MALA's step size follow its acceptance."""
    energy: Energy
    flow: Flow
    moves: tuple[tuple[str, int], ...] = ((LOCAL, 4), (GLOBAL, 2), (LOCAL, 4))
    N: int = 32
    step_size: float = 0.01
    batch: int = 64       # chains moved in a step
    buffer: int = 1024    # chains in all
    used: int | None = None
    adapt: bool = False
    optimiser: Adam = Adam()

    def __post_init__(self) -> None:
        check_buffer(self.batch, self.buffer)
        if self.energy.d != self.flow.d:
            raise ValueError(f"energy and flow must agree in d, got {self.energy.d} and {self.flow.d}")
        self.kernel({}, self.step_size)  # what moves, N and step_size may be is for the kernels to say
        EBM(self.energy, tilt=self.flow.base)
        moves = sum(steps for _, steps in self.moves)
        if self.used is not None:
            check_count("used", self.used)
            if self.used > moves:
                raise ValueError(f"used must be at most the number of moves, {moves}, got {self.used}")
        if self.adapt and LOCAL not in dict(self.moves):
            raise ValueError(f"moves must have local ones for a step size to adapt, got {self.moves}")

    @property
    def ebm(self) -> EBM:
        return EBM(self.energy, tilt=self.flow.base)

    def init(self, rng: np.random.Generator) -> State:
        energy, flow = self.energy.init(rng), self.flow.init(rng)
        chains = self.flow.sample(flow, self.flow.noise(rng, self.buffer))
        return State(
            energy, flow, self.optimiser.init(energy), self.optimiser.init(flow), chains, np.array(self.step_size)
        )

    def kernel(self, flow: Tree, step_size: float) -> FlowMC:
        """flowMC with the flow held fixed."""
        kernels: dict[str, Kernel] = {LOCAL: MALA(step_size), GLOBAL: ISIR(self.flow, flow, self.N)}
        return FlowMC(tuple((lookup("move", kind, kernels), steps) for kind, steps in self.moves))

    def noise(self, rng: np.random.Generator) -> Tree:
        chosen = rng.choice(self.buffer, size=self.batch, replace=False)
        return {"chosen": chosen, "moves": self.kernel({}, self.step_size).noise(rng, self.batch, self.flow.d)}

    def step(self, state: State, positives: Array, noise: Tree, rates: Rates) -> tuple[State, Info]:
        """positives (n, d): the x+ of Algorithm 1."""
        step_size, chosen = float(state.step_size), noise["chosen"]
        kernel, log_density = self.kernel(state.flow, step_size), partial(self.ebm.log_density, state.energy)
        after, sweep = kernel.step(started(kernel, state.chains[chosen], log_density), noise["moves"], log_density)
        negatives, chains = self.negatives(sweep.trace), state.chains.copy()
        chains[chosen] = after.x

        difference, gradient = contrast(self.energy, state.energy, positives, negatives)
        energy, energy_optimiser, norm = descend(
            self.optimiser, state.energy, gradient, state.energy_optimiser, rates.energy
        )
        flow_loss, gradient = forward_divergence(self.flow, state.flow, negatives)
        flow, flow_optimiser, _ = descend(self.optimiser, state.flow, gradient, state.flow_optimiser, rates.flow)

        acceptance = self.acceptance(sweep.blocks)
        if self.adapt:
            step_size = adapted(step_size, acceptance[f"acceptance_{LOCAL}"])
        info = {"contrast": difference, "gradient_norm": norm, "flow_loss": flow_loss, "step_size": step_size, **acceptance}
        kept = np.array(step_size, state.step_size.dtype)
        return State(energy, flow, energy_optimiser, flow_optimiser, chains, kept), info

    def negatives(self, trace: Array) -> Array:
        """The states used, (m, d), out of all on the way (steps, chains, d)."""
        every = len(trace) if self.used is None else self.used
        return np.reshape(trace[every - 1 :: every], (-1, self.flow.d))

    def acceptance(self, blocks: tuple[Array, ...]) -> dict[str, float]:
        kinds = [kind for kind, _ in self.moves]
        return {
            f"acceptance_{kind}": float(np.mean(np.concatenate([b for b, k in zip(blocks, kinds, strict=True) if k == kind])))
            for kind in dict.fromkeys(kinds)
        }

    def log_density(self, state: State, x: Array) -> Array:
        return self.ebm.log_density(state.energy, x)
