r"""Hamiltonian Monte Carlo: far moves along the gradient (Duane et al. 1987; Neal 2011, section 5.3).

With a fresh momentum $m \sim N(0, I)$ and $H(x, m) = -\log p(x) + |m|^2/2$, L leapfrog steps of size $\epsilon$,

$$m \leftarrow m + \tfrac\epsilon2 \nabla\log p(x), \qquad x \leftarrow x + \epsilon\, m, \qquad
m \leftarrow m + \tfrac\epsilon2 \nabla\log p(x),$$

lead to (x', m'), and x' is taken with probability $\min\{1,\; e^{H(x, m) - H(x', m')}\}$. Each of the three moves is undone by
reversing the momentum and keeps volume, so no proposal density appears in the ratio. With L = 1 this is MALA with
$\eta = \epsilon^2/2$.

Outside the support the gradient counts as zero: the trajectory goes straight on, still reversible, and only where it ends
decides. One that runs off to infinity is refused.
"""
from dataclasses import dataclass

import numpy as np

from evenflow.reference.core import Array, Tree, arrays, check_count, check_shape
from evenflow.reference.mcmc.contract import Info, LogDensity, metropolis
from evenflow.reference.mcmc.langevin import Local, State, evaluate


@arrays("momentum", "uniform")
def hmc(
    state: State, momentum: Array, uniform: Array, step_size: float, leapfrog_steps: int, log_density: LogDensity
) -> tuple[State, Info]:
    """One step.  momentum (chains, d), standard normal; uniform (chains,) in [0, 1); step_size is epsilon, leapfrog_steps L."""
    check_shape("momentum", momentum, *state.x.shape)
    with np.errstate(over="ignore", invalid="ignore"):  # a trajectory that diverges
        proposal, final = leapfrog(state, momentum, step_size, leapfrog_steps, log_density)
        log_ratio = proposal.log_p - state.log_p - kinetic(final) + kinetic(momentum)
    return metropolis(log_ratio, uniform, proposal, state)


def leapfrog(
    state: State, momentum: Array, step_size: float, leapfrog_steps: int, log_density: LogDensity
) -> tuple[State, Array]:
    """Where position and momentum are after L steps. From there, momentum reversed, L steps lead back."""
    for _ in range(leapfrog_steps):
        momentum = momentum + step_size / 2 * state.score
        state = evaluate(state.x + step_size * momentum, log_density)
        momentum = momentum + step_size / 2 * state.score
    return state, momentum


def kinetic(momentum: Array) -> Array:
    return np.sum(momentum**2, axis=1) / 2


@dataclass(frozen=True)
class HMC(Local):
    """The kernel.

    >>> from evenflow.reference.mcmc import run
    >>> kernel, log_p = HMC(0.1, leapfrog_steps=5), lambda x: -np.sum(x**2, axis=1) / 2
    >>> run(kernel, np.zeros((3, 2)), log_p, 10, np.random.default_rng(0)).x.shape
    (10, 3, 2)
    """
    leapfrog_steps: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("leapfrog_steps", self.leapfrog_steps)

    def step(self, state: State, noise: Tree, log_density: LogDensity) -> tuple[State, Info]:
        return hmc(state, noise["normal"], noise["uniform"], self.step_size, self.leapfrog_steps, log_density)
