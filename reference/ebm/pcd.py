r"""PCD-ULA: maximum likelihood with persistent, unadjusted Langevin chains (Tieleman 2008; Grenioux et al. 2023, Algorithm 3).

One training step, for an energy E without a tilt, $p \propto e^{-E}$:

    1.  x+ from the data
    2.  x- = a random subset of the persistent chains, after L steps of ULA on log p = -E
    3.  chains <- x-
    4.  theta <- theta - gamma_E (mean grad E(x+) - mean grad E(x-))

Two biases: ULA's own, of order $\eta$, and that of chains which cannot leave a mode: the mass that E gives to a mode then has
no bearing on how many chains are there, and drifts. flowmc.py differs in step 2, in the flow it needs there, and in its tilt.
"""
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from evenflow.reference.core.checks import check_count
from evenflow.reference.core.optim import Adam
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.ebm.contract import Info, Rates, check_buffer
from evenflow.reference.ebm.energies import EBM, Energy, contrast
from evenflow.reference.ebm.updates import check_moves, descend, started
from evenflow.reference.flows.densities import Density
from evenflow.reference.mcmc.contract import walk
from evenflow.reference.mcmc.langevin import ULA


class State(NamedTuple):
    energy: Tree
    energy_optimiser: Tree
    chains: Array  # (buffer, d), persistent


@dataclass(frozen=True)
class PCD:
    """start: where the chains come from, not a tilt; steps: L."""
    energy: Energy
    start: Density
    steps: int = 10
    step_size: float = 0.01
    batch: int = 64     # chains moved in a step
    buffer: int = 1024  # chains in all
    optimiser: Adam = Adam()

    def __post_init__(self) -> None:
        check_buffer(self.batch, self.buffer)
        check_count("steps", self.steps)
        if self.energy.d != self.start.d:
            raise ValueError(f"energy and start must agree in d, got {self.energy.d} and {self.start.d}")
        ULA(self.step_size)  # says what a step size may be

    @property
    def ebm(self) -> EBM:
        return EBM(self.energy)

    def init(self, rng: np.random.Generator) -> State:
        energy = self.energy.init(rng)
        chains = self.start.sample(self.start.init(rng), self.start.noise(rng, self.buffer))
        return State(energy, self.optimiser.init(energy), chains)

    def noise(self, rng: np.random.Generator) -> Tree:
        chosen, kernel = rng.choice(self.buffer, size=self.batch, replace=False), ULA(self.step_size)
        return {"chosen": chosen, "moves": [kernel.noise(rng, self.batch, self.energy.d) for _ in range(self.steps)]}

    def step(self, state: State, positives: Array, noise: Tree, rates: Rates) -> tuple[State, Info]:
        """positives (n, d): the x+ of the list above."""
        kernel, log_density, chosen = ULA(self.step_size), partial(self.ebm.log_density, state.energy), noise["chosen"]
        check_moves(noise["moves"], self.steps)
        after, _, _ = walk(kernel, started(kernel, state.chains[chosen], log_density), noise["moves"], log_density)
        negatives, chains = after.x, state.chains.copy()
        chains[chosen] = negatives

        difference, gradient = contrast(self.energy, state.energy, positives, negatives)
        energy, optimiser, norm = descend(self.optimiser, state.energy, gradient, state.energy_optimiser, rates.energy)
        return State(energy, optimiser, chains), {"contrast": difference, "gradient_norm": norm}

    def log_density(self, state: State, x: Array) -> Array:
        return self.ebm.log_density(state.energy, x)
