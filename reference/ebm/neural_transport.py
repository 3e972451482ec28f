r"""NT-EBM: an energy that corrects a trained flow, sampled in the flow's latent space (Nijkamp et al. 2022).

The model is tilted by the flow's own density $\lambda$, not by its base $\rho$ (flowmc.py). The flow was trained beforehand
(pretraining.py) and stays as it is:

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

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core.checks import check_count, value
from evenflow.reference.core.optim import Adam
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.ebm.contract import Info, Rates
from evenflow.reference.ebm.energies import Energy, contrast
from evenflow.reference.ebm.updates import check_moves, descend, started
from evenflow.reference.flows.flow import Flow
from evenflow.reference.mcmc.adaptation import adapted
from evenflow.reference.mcmc.contract import walk
from evenflow.reference.mcmc.hmc import HMC
from evenflow.reference.mcmc.langevin import MALA


class State(NamedTuple):
    energy: Tree
    flow: Tree              # trained beforehand; never moved
    energy_optimiser: Tree
    step_size: Array        # of the kernel, a length in latent space


@dataclass(frozen=True)
class NTEBM:
    """kernel: MALA or HMC, with the step size to begin with; steps: L; adapt: let the step size follow the acceptance."""
    energy: Energy
    flow: Flow
    kernel: MALA | HMC = MALA(0.1)
    steps: int = 10
    batch: int = 64  # chains
    adapt: bool = True
    optimiser: Adam = Adam()

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_count("batch", self.batch)
        if self.energy.d != self.flow.d:
            raise ValueError(f"energy and flow must agree in d, got {self.energy.d} and {self.flow.d}")

    def init(self, rng: onp.random.Generator, flow_params: Tree) -> State:
        """flow_params: of the trained flow."""
        energy = self.energy.init(rng)
        return State(energy, flow_params, self.optimiser.init(energy), onp.array(self.kernel.step_size))

    def noise(self, rng: onp.random.Generator) -> Tree:
        moves = [self.kernel.noise(rng, self.batch, self.flow.d) for _ in range(self.steps)]
        return {"flow": self.flow.noise(rng, self.batch), "moves": moves}

    def step(self, state: State, positives: Array, noise: Tree, rates: Rates) -> tuple[State, Info]:
        """positives (n, d): the x+ of the list above. rates.flow is not used."""
        check_moves(noise["moves"], self.steps)
        step_size, log_p_z = float(state.step_size), partial(self.latent_log_density, state)
        kernel = replace(self.kernel, step_size=step_size)
        now = started(kernel, self.flow.base.sample(state.flow["base"], noise["flow"]), log_p_z)
        after, _, accepted = walk(kernel, now, noise["moves"], log_p_z)
        negatives, _ = self.flow.bijection.forward(state.flow["bijection"], after.x)

        difference, gradient = contrast(self.energy, state.energy, positives, negatives)
        energy, optimiser, norm = descend(self.optimiser, state.energy, gradient, state.energy_optimiser, rates.energy)

        acceptance = float(onp.mean(accepted))
        if self.adapt:
            step_size = adapted(step_size, acceptance)
        info = {"contrast": difference, "gradient_norm": norm, "acceptance_local": acceptance, "step_size": step_size}
        return State(energy, state.flow, optimiser, onp.array(step_size, state.step_size.dtype)), info

    def latent_log_density(self, state: State, z: Array) -> Array:
        """log p_z(z) + log Z.  z (n, d) -> (n,), -inf where T(z) overflows."""
        x, _ = self.flow.bijection.forward(state.flow["bijection"], z)
        finite = onp.all(onp.isfinite(value(x)), axis=1)
        E = self.energy(state.energy, np.where(finite[:, None], x, onp.zeros_like(value(x))))
        log_p_z = -E + self.flow.base.log_prob(state.flow["base"], z)
        return np.where(finite, log_p_z, onp.full_like(value(log_p_z), -onp.inf))

    def log_density(self, state: State, x: Array) -> Array:
        return -self.energy(state.energy, x) + self.flow.log_prob(state.flow, x)
