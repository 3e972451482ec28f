r"""PCD-ULA: maximum likelihood with persistent, unadjusted Langevin chains (Tieleman 2008; Grenioux et al. 2023, Algorithm 3).

One training step, for an energy E without a tilt, $p \propto e^{-E}$:

    1.  x+ from the data
    2.  x- = a random subset of the persistent chains, after L steps of ULA on log p = -E
    3.  chains <- x-
    4.  theta <- theta - gamma_E (mean grad E(x+) - mean grad E(x-))

Two biases: ULA's own, of order $\eta$, and that of chains which cannot leave a mode: the mass that E gives to a mode then has
no bearing on how many chains are there, and drifts. flowmc.py differs in step 2, in the flow it needs there, and in its tilt.
`tilt` gives PCD the same: a base density beside E, without which Z need not be finite. Step 4 is taken as printed; with Adam
in its place E can change faster than chains follow that have no global moves, and then runs away
(docs/experiments/two-modes.md).
"""
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from evenflow.reference.core import SGD, Array, Tree, check_count
from evenflow.reference.ebm.contract import Info, Optimiser, Rates, check_buffer, check_dimensions, check_unbounded
from evenflow.reference.ebm.energies import Energy, check_penalty
from evenflow.reference.ebm.updates import Tilted, energy_step, moved, written
from evenflow.reference.flows import Density
from evenflow.reference.mcmc import ULA


class State(NamedTuple):
    energy: Tree
    energy_optimiser: Tree
    chains: Array  # (buffer, d), persistent


@dataclass(frozen=True)
class PCD(Tilted):
    """start: where the chains come from; steps: L; tilt: of the energy, None as in the paper.

    >>> from evenflow import MLPEnergy, Normal
    >>> model, rng = PCD(MLPEnergy(2), Normal(2), steps=2), np.random.default_rng(0)
    >>> state, info = model.step(model.init(rng), np.ones((8, 2)), model.noise(rng), Rates(0.01))
    >>> sorted(info)
    ['contrast', 'gradient_norm']
    """
    energy: Energy
    start: Density
    steps: int = 10
    step_size: float = 0.01
    batch: int = 64     # chains moved in a step
    buffer: int = 1024  # chains in all
    energy_optimiser: Optimiser = SGD()
    tilt: Density | None = None
    penalty: float = 0.0  # of large energies, 1e-4 for images

    def __post_init__(self) -> None:
        check_buffer(self.batch, self.buffer)
        check_penalty(self.penalty)
        check_count("steps", self.steps)
        check_dimensions(energy=self.ebm, start=self.start)
        check_unbounded("tilt", self.tilt)
        ULA(self.step_size)  # says what a step size may be

    def init(self, rng: np.random.Generator) -> State:
        energy = self.energy.init(rng)
        return State(energy, self.energy_optimiser.init(energy), self.start.sample(self.start.noise(rng, self.buffer)))

    def noise(self, rng: np.random.Generator) -> Tree:
        chosen, kernel = rng.choice(self.buffer, size=self.batch, replace=False), ULA(self.step_size)
        return {"chosen": chosen, "moves": [kernel.noise(rng, self.batch, self.energy.d) for _ in range(self.steps)]}

    def step(self, state: State, positives: Array, noise: Tree, rates: Rates) -> tuple[State, Info]:
        """positives (n, d): the x+ of the list above. rates.flow is not used."""
        kernel, chosen, log_p = ULA(self.step_size), noise["chosen"], partial(self.ebm.log_density, state.energy)
        negatives, _ = moved(kernel, state.chains[chosen], noise["moves"], self.steps, log_p)    # 2
        chains = written(state.chains, chosen, negatives)                                        # 3
        theta, info = energy_step(self, state, positives, negatives, rates.energy, None, self.penalty)  # 4
        return state._replace(**theta, chains=chains), info
