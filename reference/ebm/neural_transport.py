r"""NT-EBM: an energy that corrects a trained flow, sampled in the flow's latent space (Nijkamp et al. 2022).

The model is tilted by the flow's own density $\lambda$, not by its base $\rho$ (flowmc.py). The flow was trained beforehand
and stays as it is:

$$p(x) = e^{-E(x)} \lambda(x) / Z, \qquad x = T(z): \quad \log p_z(z) = -E(T(z)) + \log\rho(z) - \log Z.$$

The Jacobian of T is in $\lambda$ and cancels against that of the change of variables: neither $\log\lambda$ nor a determinant
appears in latent space. Where E is small $p_z$ is nearly normal, whatever the modes of the data.

One training step:

    1.  x+ from the data
    2.  z from rho, moved by L steps of MALA or HMC on log p_z; x- = T(z)
    3.  theta <- theta - gamma_E (mean grad E(x+) - mean grad E(x-))

No chain outlives the step. What the flow has missed, the chains must reach within L steps.
"""
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from evenflow.reference.core import Adam, Array, Tree, beside, check_count, number, told
from evenflow.reference.ebm.contract import Info, Optimiser, Rates, check_dimensions, check_unbounded
from evenflow.reference.ebm.energies import EBM, Energy
from evenflow.reference.ebm.updates import energy_step, moved
from evenflow.reference.flows import Flow
from evenflow.reference.mcmc import MALA, ULA, pullback
from evenflow.reference.mcmc.adaptation import Adaptable, adapted


class State(NamedTuple):
    energy: Tree
    flow: Tree              # trained beforehand; never moved
    energy_optimiser: Tree
    step_size: Array        # of the kernel, a length in latent space


@dataclass(frozen=True)
class NTEBM:
    """kernel: MALA, HMC or RandomWalk, with the step size to begin with; steps: L; adapt: let it follow the acceptance.

    >>> from evenflow import MLPEnergy, realnvp
    >>> model, rng = NTEBM(MLPEnergy(2), realnvp(2, layers=2), steps=2), np.random.default_rng(0)
    >>> state = model.init(rng, model.flow.init(rng))
    >>> state, info = model.step(state, np.ones((8, 2)), model.noise(rng), Rates(0.01))
    >>> sorted(info)
    ['acceptance_local', 'contrast', 'gradient_norm', 'step_size']
    """
    energy: Energy
    flow: Flow
    kernel: Adaptable = MALA(0.1)
    steps: int = 10
    batch: int = 64  # chains
    adapt: bool = True
    energy_optimiser: Optimiser = Adam()

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_count("batch", self.batch)
        check_dimensions(energy=self.energy, flow=self.flow)
        if isinstance(self.kernel, ULA):
            check_unbounded("flow", self.flow.base)

    def init(self, rng: np.random.Generator, flow_params: Tree) -> State:
        """flow_params: of the trained flow."""
        energy = self.energy.init(rng)
        return State(energy, flow_params, self.energy_optimiser.init(energy), np.array(self.kernel.step_size))

    def noise(self, rng: np.random.Generator) -> Tree:
        moves = [self.kernel.noise(rng, self.batch, self.flow.d) for _ in range(self.steps)]
        return {"flow": self.flow.noise(rng, self.batch), "moves": moves}

    def step(self, state: State, positives: Array, noise: Tree, rates: Rates) -> tuple[State, Info]:
        """positives (n, d): the x+ of the list above. rates.flow is not used."""
        step_size, z = number(state.step_size), self.flow.base.sample(noise["flow"])
        kernel = replace(self.kernel, step_size=step_size)  # type: ignore[type-var]
        log_p_z = pullback(partial(EBM(self.energy).log_density, state.energy), self.flow, state.flow, tilted=True)
        z, accepted = moved(kernel, z, noise["moves"], self.steps, log_p_z)
        negatives, _ = self.flow.bijection.forward(state.flow, z)                                # 2
        theta, info = energy_step(self, state, positives, negatives, rates.energy)               # 3
        acceptance = np.sum(accepted) / accepted.size
        if self.adapt:
            step_size = adapted(step_size, acceptance)
        info |= {"acceptance_local": told(acceptance), "step_size": told(step_size)}
        step_size = beside(step_size, state.step_size).astype(state.step_size.dtype)
        return state._replace(**theta, step_size=step_size), info

    def log_density(self, state: State, x: Array) -> Array:
        return -self.energy(state.energy, x) + self.flow.log_prob(state.flow, x)
