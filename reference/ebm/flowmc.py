r"""flowMC-EBM: maximum likelihood, with a companion flow that keeps the chains mixing (Grenioux et al. 2023, Algorithm 1).

One training step, for an energy E tilted by the flow's base density $\rho$ and a flow $\lambda$:

    1.  x+ from the data
    2.  x- = flowMC(p, chains, flow): a random subset of the persistent chains, local and global moves, flow held fixed
    3.  chains <- x-
    4.  theta <- theta - gamma_E (mean grad E(x+) - mean grad E(x-))
    5.  alpha <- alpha + gamma_flow mean grad log lambda(x-), the forward divergence from p to lambda

The chains start from the flow. At the start E = 0 and the flow is its base: p, $\rho$ and $\lambda$ are one density, and
every global move is as good as any other. The paper names no optimiser; step 4 is taken as printed, step 5 by Adam: plain
steps make the flow diverge (docs/experiments/two-modes.md).
"""
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from evenflow.reference.core import SGD, Adam, Array, Tree, check_count, number, told
from evenflow.reference.ebm.contract import Info, Optimiser, Rates, check_buffer, check_dimensions, check_unbounded
from evenflow.reference.ebm.energies import EBM, Energy, check_penalty
from evenflow.reference.ebm.updates import Tilted, alive, energy_step, flow_step, written
from evenflow.reference.flows import Flow
from evenflow.reference.mcmc import ISIR, MALA, ULA, FlowMC, Kernel, flowmc
from evenflow.reference.mcmc.adaptation import Adaptable, adapted

Global: TypeAlias = Callable[[Flow, Tree], Kernel]  # a kernel that waits for the flow and its parameters


class State(NamedTuple):
    energy: Tree
    flow: Tree
    energy_optimiser: Tree
    flow_optimiser: Tree
    chains: Array     # (buffer, d), persistent
    step_size: Array  # of each different local kernel


@dataclass(frozen=True)
class FlowMCEBM(Tilted):
    """moves: blocks (kernel, how many), in order; a local kernel (MALA, HMC, RandomWalk), or a global one that waits for its
    flow, `partial(ISIR, N=32)` or `IndependentMH`. used: every how many-th state of a chain is a negative, None for the last
    alone (1: all of them); adapt: let the local kernels' step sizes follow their acceptance.

    >>> from evenflow import MLPEnergy, realnvp
    >>> moves, rng = ((MALA(0.1), 1), (partial(ISIR, N=4), 1)), np.random.default_rng(0)
    >>> model = FlowMCEBM(MLPEnergy(2), realnvp(2, layers=2), moves)
    >>> state, info = model.step(model.init(rng), np.ones((8, 2)), model.noise(rng), Rates(0.01, 0.01))
    >>> sorted(info)
    ['acceptance_global', 'acceptance_local', 'contrast', 'flow_loss', 'gradient_norm', 'step_size']
    """
    energy: Energy
    flow: Flow
    moves: tuple[tuple[Adaptable | Global, int], ...] = ((MALA(0.01), 4), (partial(ISIR, N=32), 2), (MALA(0.01), 4))
    batch: int = 64       # chains moved in a step
    buffer: int = 1024    # chains in all
    used: int | None = None
    adapt: bool = False
    energy_optimiser: Optimiser = SGD()
    flow_optimiser: Optimiser = Adam()
    penalty: float = 0.0  # of large energies, 1e-4 for the paper's images

    def __post_init__(self) -> None:
        check_buffer(self.batch, self.buffer)
        check_penalty(self.penalty)
        check_dimensions(energy=self.energy, flow=self.flow)
        self.kernel({}, self.step_sizes)  # what moves may be is for the kernels to say
        if any(isinstance(kernel, ULA) for kernel in self.local):
            check_unbounded("flow", self.flow.base)
        if self.used is not None:
            check_count("used", self.used)
            if self.used > (moves := sum(steps for _, steps in self.moves)):
                raise ValueError(f"used must be at most the number of moves, {moves}, got {self.used}")
        if self.adapt and (not self.local or any(isinstance(kernel, ULA) for kernel in self.local)):
            raise ValueError(f"moves must have local ones that may be refused for a step size to adapt, got {self.moves}")

    @cached_property
    def local(self) -> list[Any]:
        """The different local kernels, in the order of the moves."""
        return list(dict.fromkeys(kernel for kernel, _ in self.moves if not callable(kernel)))

    @property
    def step_sizes(self) -> Array:
        return np.array([kernel.step_size for kernel in self.local])

    @property
    def ebm(self) -> EBM:
        return EBM(self.energy, tilt=self.flow.base)

    def init(self, rng: np.random.Generator) -> State:
        energy, flow = self.energy.init(rng), self.flow.init(rng)
        chains = self.flow.sample(flow, self.flow.noise(rng, self.buffer))
        memories = self.energy_optimiser.init(energy), self.flow_optimiser.init(flow)
        return State(energy, flow, *memories, chains, self.step_sizes)

    def kernel(self, flow: Tree, step_size: Array) -> FlowMC:
        """flowMC with the flow held fixed, its local kernels with these step sizes."""
        tuned = {kernel: replace(kernel, step_size=s) for kernel, s in zip(self.local, map(number, step_size), strict=True)}
        return FlowMC(tuple((k(self.flow, flow) if callable(k) else tuned[k], steps) for k, steps in self.moves))

    def noise(self, rng: np.random.Generator) -> Tree:
        chosen = rng.choice(self.buffer, size=self.batch, replace=False)
        return {"chosen": chosen, "moves": self.kernel({}, self.step_sizes).noise(rng, self.batch, self.flow.d)}

    def step(self, state: State, positives: Array, noise: Tree, rates: Rates) -> tuple[State, Info]:
        """positives (n, d): the x+ of Algorithm 1."""
        kernel, chosen = self.kernel(state.flow, state.step_size), noise["chosen"]
        x, log_p = state.chains[chosen], partial(self.ebm.log_density, state.energy)
        with alive(x, log_p):
            after, sweep = kernel.step(flowmc.State(x), noise["moves"], log_p)  # its first block looks at x
        negatives = self.negatives(sweep.trace)                                                  # 2
        chains = written(state.chains, chosen, after.x)                                          # 3
        theta, info = energy_step(self, state, positives, negatives, rates.energy, None, self.penalty)  # 4
        alpha, of_flow = flow_step(self, state, negatives, rates.flow)                              # 5
        step_size, moved = self.adaptation(state.step_size, sweep.blocks)
        return state._replace(**theta, **alpha, chains=chains, step_size=step_size), {**info, **of_flow, **moved}

    def negatives(self, trace: Array) -> Array:
        """The states used, (m, d), out of all on the way (steps, chains, d)."""
        every = len(trace) if self.used is None else self.used
        return np.reshape(trace[every - 1 :: every], (-1, self.flow.d))

    def adaptation(self, step_size: Array, blocks: tuple[Array, ...]) -> tuple[Array, Info]:
        """The next step sizes; acceptances and step sizes, to be told."""
        def acceptance(chosen: Callable[[Any], bool]) -> Array | None:
            took = [block for block, (kernel, _) in zip(blocks, self.moves, strict=True) if chosen(kernel)]
            return sum(np.sum(block) for block in took) / sum(block.size for block in took) if took else None

        sizes = list(map(number, step_size))
        if self.adapt:
            each = [acceptance(lambda k, own=own: k == own) for own in self.local]  # type: ignore[misc]
            sizes = [adapted(s, a) for s, a in zip(sizes, each, strict=True) if a is not None]
        info = {"acceptance_local": acceptance(lambda k: not callable(k)), "acceptance_global": acceptance(callable)}
        info |= {f"step_size{i or ''}": s for i, s in enumerate(sizes)}
        return like_vector(sizes, step_size), {name: told(value) for name, value in info.items() if value is not None}


def like_vector(entries: list[Any], like: Array) -> Array:
    vector = np.empty_like(like)
    for i, entry in enumerate(entries):
        vector[i] = entry
    return vector
