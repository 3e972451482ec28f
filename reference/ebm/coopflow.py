r"""CoopFlow: the flow proposes, short Langevin runs revise, both learn (Xie et al. 2022).

One training step, for an energy E (in the paper without a tilt) and a flow $\lambda$ that was trained on the data beforehand:

    1.  x+ from the data
    2.  x0 ~ lambda;  x- = x0 after K steps of  x <- x - eta grad E(x):  no noise, no Metropolis
    3.  theta <- theta - gamma_E (mean grad E(x+) - mean grad E(x-))
    4.  alpha <- alpha + gamma_flow mean grad log lambda(x-)

Without noise step 2 is gradient descent: the x- are no samples of $p \propto e^{-E}$ for any $\eta$ or K. What matches the data
is what flow and revisions make together; E by itself need not, and `log_density` is given for comparison.

For the first 5 % of the training the flow is left alone: the outer loop hands in rates.flow = 0. Nothing of the flow is moved
then, not even Adam's moments, which would else remember the energies of the beginning.
"""
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from evenflow.reference.core import Adam, Array, Tree, arrays, check_count, check_positive, told
from evenflow.reference.ebm.contract import Info, Optimiser, Rates, check_dimensions, check_unbounded
from evenflow.reference.ebm.energies import Energy
from evenflow.reference.ebm.updates import Tilted, check_alive, energy_step, flow_step
from evenflow.reference.flows import Density, Flow
from evenflow.reference.mcmc.contract import LogDensity
from evenflow.reference.mcmc.langevin import drift, evaluate


class State(NamedTuple):
    energy: Tree
    flow: Tree
    energy_optimiser: Tree
    flow_optimiser: Tree


@dataclass(frozen=True)
class CoopFlow(Tilted):
    """steps: K; step_size: eta; tilt: of the energy, None as in the paper.

    >>> from evenflow import MLPEnergy, realnvp
    >>> model, rng = CoopFlow(MLPEnergy(2), realnvp(2, layers=2), steps=2), np.random.default_rng(0)
    >>> state = model.init(rng, model.flow.init(rng))
    >>> state, info = model.step(state, np.ones((8, 2)), model.noise(rng), Rates(0.01, 0.01))
    >>> sorted(info)
    ['contrast', 'flow_loss', 'gradient_norm', 'revision']
    """
    energy: Energy
    flow: Flow
    steps: int = 30
    step_size: float = 5e-4
    batch: int = 64  # samples of the flow
    energy_optimiser: Optimiser = Adam()
    flow_optimiser: Optimiser = Adam()
    tilt: Density | None = None

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_positive("step_size", self.step_size)
        check_count("batch", self.batch)
        check_dimensions(energy=self.ebm, flow=self.flow)
        check_unbounded("tilt", self.tilt)
        check_unbounded("flow", self.flow.base)

    def init(self, rng: np.random.Generator, flow_params: Tree) -> State:
        """flow_params: of the trained flow."""
        energy = self.energy.init(rng)
        return State(energy, flow_params, self.energy_optimiser.init(energy), self.flow_optimiser.init(flow_params))

    def noise(self, rng: np.random.Generator) -> Tree:
        return {"flow": self.flow.noise(rng, self.batch)}

    def step(self, state: State, positives: Array, noise: Tree, rates: Rates) -> tuple[State, Info]:
        """positives (n, d): the x+ of the list above. rates.flow = 0 leaves the flow alone."""
        proposed, log_p = self.flow.sample(state.flow, noise["flow"]), partial(self.ebm.log_density, state.energy)
        negatives = revised(proposed, self.steps, self.step_size, log_p)                         # 2
        theta, info = energy_step(self, state, positives, negatives, rates.energy)               # 3
        alpha, of_flow = flow_step(self, state, negatives, rates.flow)                              # 4
        revision = np.sqrt(np.mean(np.sum((negatives - proposed) ** 2, axis=1)))
        return state._replace(**theta, **alpha), {**info, **of_flow, "revision": told(revision)}


@arrays("x")
def revised(x: Array, steps: int, step_size: float, log_density: LogDensity) -> Array:
    """x (n, d) after `steps` steps uphill: Langevin's drift without its noise."""
    for _ in range(steps):
        now = evaluate(x, log_density)
        check_alive(now.log_p)
        with np.errstate(over="ignore"):
            x = drift(now, step_size)
    check_alive(np.sum(x, axis=1))
    return x
