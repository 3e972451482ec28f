r"""Random-walk Metropolis: local moves that need no gradient (Metropolis et al. 1953).

$$x' = x + s\,\xi, \qquad \xi \sim N(0, I), \qquad \text{taken with probability } \min\{1,\; p(x') / p(x)\}$$

The step size s is the standard deviation of the move, not its variance (Langevin's $\eta$ corresponds to $s^2/2$). The move is
as likely as the way back, so no proposal density appears in the ratio.
"""
from dataclasses import dataclass
from typing import NamedTuple

from evenflow.reference.core import Array, Tree, arrays, check_shape
from evenflow.reference.mcmc.contract import Info, LogDensity, check_positions, check_start, log_density_at, metropolis
from evenflow.reference.mcmc.langevin import Local


class State(NamedTuple):
    """Where the chains stand, and the log density there."""
    x: Array      # (chains, d)
    log_p: Array  # (chains,)


@arrays("x")
def start(x: Array, log_density: LogDensity) -> State:
    """The state of chains that begin at x. Raises ValueError for a point outside the support."""
    check_positions(x)
    state = State(x, log_density_at(x, log_density))
    check_start(x, state.log_p)
    return state


@arrays("noise", "uniform")
def random_walk(state: State, noise: Array, uniform: Array, step_size: float, log_density: LogDensity) -> tuple[State, Info]:
    """One step.  noise (chains, d), standard normal; uniform (chains,) in [0, 1); step_size a standard deviation."""
    check_shape("noise", noise, *state.x.shape)
    x = state.x + step_size * noise
    proposal = State(x, log_density_at(x, log_density))
    return metropolis(proposal.log_p - state.log_p, uniform, proposal, state)


@dataclass(frozen=True)
class RandomWalk(Local):
    """The kernel.

    >>> import numpy as np
    >>> from evenflow.reference.mcmc import run
    >>> run(RandomWalk(1.0), np.zeros((3, 2)), lambda x: -np.abs(x[:, 0]), 10, np.random.default_rng(0)).x.shape
    (10, 3, 2)
    """

    def init(self, x: Array, log_density: LogDensity) -> State:  # type: ignore[override]
        return start(x, log_density)

    def step(self, state: State, noise: Tree, log_density: LogDensity) -> tuple[State, Info]:
        return random_walk(state, noise["normal"], noise["uniform"], self.step_size, log_density)
