r"""FCE, flow contrastive estimation: tell data from a flow's samples, while the flow learns to be mistaken (Gao et al. 2020).

The model is normalised by hand, $\log p(x) = -E(x) - c$ with a learned number c. With $G = \log p - \log\lambda$, $\sigma$ the
logistic function, and as many data as samples in mind,

$$V(\theta, c, \alpha) = \mathbb{E}_{x \sim \text{data}}[\log \sigma(G(x))] + \mathbb{E}_{x \sim \lambda}[\log \sigma(-G(x))]$$

is the log likelihood of a logistic regression: E and c go up, the flow goes down. One training step:

    1.  x+ from the data, x- = T(z) from the flow
    2.  (theta, c) <- (theta, c) + gamma_E grad V
    3.  alpha <- alpha - gamma_flow grad V, through lambda(x+), lambda(x-) and x- = T(z)

Both gradients are taken at the parameters of before. For a fixed $\lambda$ that is nowhere 0, V is highest where p is the
density of the data, normalised, so that c = log Z up to training error. There V + 2 log 2 is twice the Jensen-Shannon
divergence between data and flow, which the flow descends. No chain is run: nothing has to mix.
"""
from dataclasses import dataclass
from typing import NamedTuple

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Adam, Array, Tree, arrays, as_arrays, check_count, told
from evenflow.reference.ebm.contract import Info, Optimiser, Rates, check_dimensions
from evenflow.reference.ebm.energies import Energy, check_points
from evenflow.reference.ebm.updates import Tilted, descend, finite_value_and_gradient
from evenflow.reference.flows import Density, Flow


class State(NamedTuple):
    energy: Tree
    c: Array  # the estimate of log Z, a number
    flow: Tree
    energy_optimiser: Tree  # of energy and c
    flow_optimiser: Tree


@dataclass(frozen=True)
class FCE(Tilted):
    """tilt: of the energy, None as in the paper.

    >>> from evenflow import MLPEnergy, realnvp
    >>> model, rng = FCE(MLPEnergy(2), realnvp(2, layers=2)), onp.random.default_rng(0)
    >>> state, info = model.step(model.init(rng), onp.ones((8, 2)), model.noise(rng), Rates(0.01, 0.01))
    >>> sorted(info)
    ['classifier_loss', 'contrast', 'flow_loss', 'gradient_norm', 'log_z']
    """
    energy: Energy
    flow: Flow
    batch: int = 64  # samples of the flow
    energy_optimiser: Optimiser = Adam()
    flow_optimiser: Optimiser = Adam()
    tilt: Density | None = None

    def __post_init__(self) -> None:
        check_count("batch", self.batch)
        check_dimensions(energy=self.ebm, flow=self.flow)

    def init(self, rng: onp.random.Generator, flow_params: Tree | None = None) -> State:
        """flow_params: of a flow trained beforehand, if there is one."""
        energy, c = self.energy.init(rng), onp.array(0.0)
        flow = self.flow.init(rng) if flow_params is None else flow_params
        memory = self.energy_optimiser.init({"energy": energy, "c": c})
        return State(energy, c, flow, memory, self.flow_optimiser.init(flow))

    def noise(self, rng: onp.random.Generator) -> Tree:
        return {"flow": self.flow.noise(rng, self.batch)}

    @arrays("positives")
    def step(self, state: State, positives: Array, noise: Tree, rates: Rates) -> tuple[State, Info]:
        """positives (n, d): the x+ of the list above."""
        check_points("positives", positives, self.energy.d)
        model = {"energy": state.energy, "c": state.c}
        negatives, at_negatives = self.flow.sample_and_log_prob(state.flow, noise["flow"])       # 1
        at_positives = self.flow.log_prob(state.flow, positives)

        def loss(model: Tree) -> Array:
            return -V(self.log_p(model, positives) - at_positives, self.log_p(model, negatives) - at_negatives)

        def flow_loss(alpha: Tree) -> Array:
            x, log_lambda = self.flow.sample_and_log_prob(alpha, noise["flow"])
            return V(self.log_p(model, positives) - self.flow.log_prob(alpha, positives), self.log_p(model, x) - log_lambda)

        value, gradient = finite_value_and_gradient("the energy's loss", loss, model)            # 2
        after, memory, norm = descend(self.energy_optimiser, model, gradient, state.energy_optimiser, rates.energy)
        flow_value, gradient = finite_value_and_gradient("the flow's loss", flow_loss, state.flow)  # 3
        flow, flow_memory, _ = descend(self.flow_optimiser, state.flow, gradient, state.flow_optimiser, rates.flow)
        mean_E = [np.sum(self.energy(state.energy, x)) / len(x) for x in (positives, negatives)]
        info = {
            "contrast": mean_E[0] - mean_E[1], "gradient_norm": norm, "classifier_loss": value, "flow_loss": flow_value,
            "log_z": after["c"],
        }
        info = {name: told(number) for name, number in info.items()}
        return State(after["energy"], as_arrays(after["c"]), flow, memory, flow_memory), info

    def log_p(self, model: Tree, x: Array) -> Array:
        """-E - c: normalised once trained."""
        return self.ebm.log_density(model["energy"], x) - model["c"]


def V(G_data: Array, G_samples: Array) -> Array:
    r"""mean $\log\sigma(G)$ over data + mean $\log\sigma(-G)$ over samples.  (n,), (m,) -> a number; -2 log 2 where G = 0."""
    return -np.sum(np.logaddexp(-G_data, 0.0)) / len(G_data) - np.sum(np.logaddexp(G_samples, 0.0)) / len(G_samples)
