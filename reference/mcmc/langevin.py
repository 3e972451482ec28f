r"""Langevin kernels: local moves along the gradient of the log density, with noise.

$$\text{ULA} \qquad x' = x + \eta\,\nabla \log p(x) + \sqrt{2\eta}\,\xi, \qquad \xi \sim N(0, I)$$

(Grenioux et al. 2023, Algorithm 2). MALA (Algorithm 4) takes the same x' as a proposal, with the Metropolis-Hastings ratio of

$$q(x' \mid x) \propto \exp\big(-\|x' - x - \eta\,\nabla \log p(x)\|^2 / 4\eta\big).$$

$\eta$ is `step_size`; libraries that call $\sqrt{2\eta}$ the step have $\eta = dt^2/2$. ULA leaves p invariant only in the
limit of small $\eta$, MALA always. One evaluation of p and its gradient a step: the state keeps both.
"""
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evenflow.reference.core import Array, Tree, anywhere, arrays, check_positive, check_shape, replaceable
from evenflow.reference.mcmc.contract import Info, LogDensity, check_positions, check_start, density_and_gradient, metropolis


class State(NamedTuple):
    """Where the chains stand and what is known there."""
    x: Array      # (chains, d)
    log_p: Array  # (chains,)
    score: Array  # (chains, d), the gradient of log p


def evaluate(x: Array, log_density: LogDensity) -> State:
    return State(x, *density_and_gradient(x, log_density))


@arrays("x")
def start(x: Array, log_density: LogDensity) -> State:
    """The state of chains that begin at x. Raises ValueError for a point outside the support."""
    check_positions(x)
    state = evaluate(x, log_density)
    check_start(x, state.log_p)
    return state


@arrays("noise")
@replaceable
def ula(state: State, noise: Array, step_size: float, log_density: LogDensity) -> State:
    """One unadjusted step. noise (chains, d), standard normal. Raises FloatingPointError where it leaves the support."""
    check_shape("noise", noise, *state.x.shape)
    with np.errstate(over="ignore"):
        after = evaluate(drift(state, step_size) + spread(step_size) * noise, log_density)
    gone = ~np.isfinite(after.log_p)
    if anywhere(gone):
        left = f"{int(np.sum(gone))} chains have left the support"
        raise FloatingPointError(f"{left}: step_size {step_size} is too large for this density")
    return after


@arrays("noise", "uniform")
@replaceable
def mala(state: State, noise: Array, uniform: Array, step_size: float, log_density: LogDensity) -> tuple[State, Info]:
    """One adjusted step. noise (chains, d), standard normal; uniform (chains,) in [0, 1)."""
    check_shape("noise", noise, *state.x.shape)
    with np.errstate(over="ignore", invalid="ignore"):  # a proposal or a way back that overflows: refused
        proposal = evaluate(drift(state, step_size) + spread(step_size) * noise, log_density)
        there, back = log_q(proposal, state, step_size), log_q(state, proposal, step_size)
        log_ratio = np.where(proposal.log_p > -np.inf, proposal.log_p - state.log_p + back - there, proposal.log_p)
    return metropolis(log_ratio, uniform, proposal, state)


def drift(state: State, step_size: float) -> Array:
    return state.x + step_size * state.score


def spread(step_size: float) -> float:
    """The standard deviation sqrt(2 eta), of a number or of an array without axes."""
    return math.sqrt(2 * step_size) if isinstance(step_size, int | float) else np.sqrt(2 * step_size)


def log_q(to: State, start: State, step_size: float) -> Array:
    """log q(to | start), up to a constant that cancels."""
    return -np.sum((to.x - drift(start, step_size)) ** 2, axis=1) / (4 * step_size)


@dataclass(frozen=True)
class Local:
    """What the local kernels share: a step size, and noise {"normal": (chains, d), "uniform": (chains,)}."""
    step_size: float

    def __post_init__(self) -> None:
        check_positive("step_size", self.step_size)

    def noise(self, rng: np.random.Generator, chains: int, d: int) -> Tree:
        return {"normal": rng.standard_normal((chains, d)), "uniform": rng.random(chains)}

    def init(self, x: Array, log_density: LogDensity) -> State:
        return start(x, log_density)


@dataclass(frozen=True)
class ULA(Local):
    """The kernel: every chain moves; noise {"normal": (chains, d)}.

    >>> kernel, log_p = ULA(0.5), lambda x: -np.sum(x**2, axis=1) / 2
    >>> kernel.step(kernel.init(np.ones((1, 2)), log_p), {"normal": np.ones((1, 2))}, log_p)[0].x
    array([[1.5, 1.5]])
    """

    def noise(self, rng: np.random.Generator, chains: int, d: int) -> Tree:
        return {"normal": rng.standard_normal((chains, d))}

    def step(self, state: State, noise: Tree, log_density: LogDensity) -> tuple[State, Info]:
        after = ula(state, noise["normal"], self.step_size, log_density)
        return after, Info(np.ones(len(after.x), dtype=bool), np.zeros_like(after.log_p))


@dataclass(frozen=True)
class MALA(Local):
    """The kernel.

    >>> kernel, log_p = MALA(0.1), lambda x: -np.sum(x**2, axis=1) / 2
    >>> state = kernel.init(np.zeros((3, 2)), log_p)
    >>> state, info = kernel.step(state, kernel.noise(np.random.default_rng(0), 3, 2), log_p)
    >>> info.accepted
    array([ True,  True,  True])
    """

    def step(self, state: State, noise: Tree, log_density: LogDensity) -> tuple[State, Info]:
        return mala(state, noise["normal"], noise["uniform"], self.step_size, log_density)
