r"""Sampling in the latent space of a flow, where a target that the flow fits is nearly normal.

The density of $z = T^{-1}(x)$, for x ~ p, is that of p pulled back through the flow's map T,

$$\log p_z(z) = \log p(T(z)) + \log |\det dT/dz|$$

(neural transport, Hoffman et al. 2019). Any kernel can walk there; T carries its positions back. The flow's base density $\rho$
is not part of the formula: where $p = e^f \lambda$ with the flow's own density $\lambda$ (NT-EBM, Nijkamp et al. 2022), the
determinants cancel and what remains is $f(T(z)) + \log\rho(z)$. The target comes as `log_density` and is used as it comes: a
temperature that belongs to it must not be applied a second time here.
"""
from dataclasses import dataclass
from typing import Any, NamedTuple

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core.checks import value
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.flows.flow import Flow
from evenflow.reference.mcmc.contract import Kernel, LogDensity, check_positions, check_start, log_density_at
from evenflow.reference.mcmc.independence import check_dimension


class State(NamedTuple):
    """Where the chains stand in data space, and what the kernel knows in latent space."""
    x: Array    # (chains, d)
    inner: Any  # the kernel's own state; inner.x = z


def pullback(log_density: LogDensity, flow: Flow, params: Tree) -> LogDensity:
    """log p_z as a function of z (chains, d) -> (chains,); -inf where T(z) overflows."""
    def log_p_z(z: Array) -> Array:
        x, log_det = flow.bijection.forward(params["bijection"], z)
        finite = onp.all(onp.isfinite(value(x)), axis=1)
        at_x = log_density(np.where(finite[:, None], x, onp.zeros_like(value(x))))
        return np.where(finite, at_x + log_det, onp.full_like(value(log_det), -onp.inf))

    return log_p_z


@dataclass(frozen=True, eq=False)
class Latent:
    """The kernel: another one, run on z = T^-1(x). Its noise is the other's.

    Step sizes are lengths in latent space. To adapt one, warm the inner kernel up on `pullback(...)`, then wrap it.
    """
    kernel: Kernel
    flow: Flow
    params: Tree

    def noise(self, rng: onp.random.Generator, chains: int, d: int) -> Tree:
        return self.kernel.noise(rng, chains, d)

    def init(self, x: Array, log_density: LogDensity) -> State:
        check_positions(x)
        check_dimension(x, self.flow)
        check_start(x, log_density_at(x, log_density))
        z, _ = self.flow.inverse(self.params, x)
        return State(x, self.kernel.init(z, pullback(log_density, self.flow, self.params)))

    def step(self, state: State, noise: Tree, log_density: LogDensity) -> tuple[State, Any]:
        inner, info = self.kernel.step(state.inner, noise, pullback(log_density, self.flow, self.params))
        x, _ = self.flow.bijection.forward(self.params["bijection"], inner.x)
        return State(onp.where(info.accepted[:, None], x, state.x), inner), info  # who stays, stays to the last bit
