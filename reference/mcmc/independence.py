r"""Global moves: a flow $\lambda$ proposes, wherever the chain stands.

Independent Metropolis-Hastings (Grenioux et al. 2023, Algorithm 5) takes $x' \sim \lambda$ with probability

$$\min\{1,\; p(x')\,\lambda(x) \,/\, p(x)\,\lambda(x')\}.$$

i-SIR (Algorithm 6; Samsonov et al. 2022): iterated sampling importance resampling. Slot 1 is the current state, slots
$2, \dots, N$ are drawn from $\lambda$, and the next state is slot i with probability

$$w_i / \textstyle\sum_j w_j, \qquad w_i = p(x_i) / \lambda(x_i).$$

"Accepted" means that another slot than the first was chosen: where p and $\lambda$ are equal, with probability 1 - 1/N. Where
$\lambda(x) = 0$ at the current state its weight is infinite, and the chain stays until a local move brings it back.
"""
from dataclasses import dataclass
from typing import Any, NamedTuple

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, Tree, anywhere, arrays, beside, check_count, check_shape, replaceable
from evenflow.reference.flows.flow import Flow
from evenflow.reference.mcmc.contract import Info, LogDensity, check_positions, check_start, choose, log_density_at, metropolis


class State(NamedTuple):
    """Where the chains stand, and both densities there."""
    x: Array           # (chains, d)
    log_p: Array       # (chains,)
    log_lambda: Array  # (chains,)


class Choice(NamedTuple):
    """What an i-SIR step did."""
    accepted: Array     # (chains,) bool: another slot than the current state's
    log_weights: Array  # (chains, N), slot 1 first; not normalised


@arrays("x")
def start(x: Array, log_density: LogDensity, flow: Flow, params: Tree) -> State:
    """The state of chains that begin at x. Raises ValueError for a point outside p's support, or of another dimension."""
    check_positions(x)
    check_dimension(x, flow)
    state = State(x, log_density_at(x, log_density), check_flow(flow.log_prob(params, x)))
    check_start(x, state.log_p)
    return state


def propose(noise: Tree, log_density: LogDensity, flow: Flow, params: Tree) -> State:
    """Fresh points from the flow. Points that overflowed or that rounding put where lambda = 0 get weight 0: never chosen."""
    with np.errstate(all="ignore"):
        x, log_lambda = flow.sample_and_log_prob(params, noise)
    finite = np.all(np.isfinite(x), axis=1)
    log_lambda = check_flow(np.where(finite, log_lambda, np.zeros_like(log_lambda)))
    possible, log_p = finite & (log_lambda > -np.inf), log_density_at(x, log_density)
    log_p = np.where(possible, log_p, np.full_like(log_p, -np.inf))
    return State(x, log_p, np.where(possible, log_lambda, np.zeros_like(log_lambda)))


@arrays("uniform")
def independent_mh(
    state: State, noise: Tree, uniform: Array, log_density: LogDensity, flow: Flow, params: Tree
) -> tuple[State, Info]:
    """One step.  noise: the flow's, for as many points as chains; uniform (chains,) in [0, 1)."""
    proposal = propose(noise, log_density, flow, params)
    check_shape("the flow's samples from noise", proposal.x, *state.x.shape)
    log_ratio = (proposal.log_p - proposal.log_lambda) - (state.log_p - state.log_lambda)
    return metropolis(log_ratio, uniform, proposal, state)


@arrays("uniform")
@replaceable
def isir(state: State, noise: Tree, uniform: Array, log_density: LogDensity, flow: Flow, params: Tree) -> tuple[State, Choice]:
    """One step.  noise: the flow's, for (N - 1) points a chain, chain by chain; uniform (chains,) in [0, 1)."""
    chains = len(state.x)
    check_shape("uniform", uniform, chains)
    fresh = propose(noise, log_density, flow, params)
    check_shape("the flow's samples from noise", fresh.x, "chains (N - 1)", state.x.shape[1])
    if len(fresh.x) % chains or len(fresh.x) == 0:
        raise ValueError(f"noise must be for (N - 1) points for each of {chains} chains, got {len(fresh.x)} points")
    log_w = np.concatenate([
        (state.log_p - state.log_lambda)[:, None],
        np.reshape(fresh.log_p - fresh.log_lambda, (chains, -1)),
    ], axis=1)                                                                  # (chains, N)
    chosen = resample(log_w, uniform)                                           # (chains,) in 0 ... N - 1
    moved = chosen > 0
    picked = beside(np.arange(chains), log_w) * (log_w.shape[1] - 1) + np.maximum(chosen - 1, 0)
    return choose(moved, State(*(entry[picked] for entry in fresh)), state), Choice(moved, log_w)


def resample(log_w: Array, uniform: Array) -> Array:
    """One slot for each row, with probability w_i / sum w: where the running sum of the w first exceeds uniform.

    log_w (chains, N), the first column above -inf; uniform (chains,) -> (chains,) whole numbers.
    """
    top = np.max(log_w, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        w = np.exp(np.where(log_w == top, np.zeros_like(log_w), log_w - top))   # an infinite weight takes all
    reached = np.cumsum(w, axis=1)
    total = reached[:, -1:]
    return np.sum((uniform[:, None] * total >= reached) & (reached < total), axis=1)  # the second: a last slot without weight


@dataclass(frozen=True, eq=False)
class IndependentMH:
    """The kernel, with a flow and its parameters held fixed; noise {"flow": for `chains` points, "uniform": (chains,)}.

    >>> from evenflow.reference.flows import realnvp
    >>> flow, rng = realnvp(2), onp.random.default_rng(0)
    >>> IndependentMH(flow, flow.init(rng)).noise(rng, 5, 2)["flow"].shape
    (5, 2)
    """
    flow: Flow
    params: Tree

    def noise(self, rng: onp.random.Generator, chains: int, d: int) -> Tree:
        return {"flow": self.flow.noise(rng, chains), "uniform": rng.random(chains)}

    def init(self, x: Array, log_density: LogDensity) -> State:
        return start(x, log_density, self.flow, self.params)

    def step(self, state: State, noise: Tree, log_density: LogDensity) -> tuple[State, Any]:
        return independent_mh(state, noise["flow"], noise["uniform"], log_density, self.flow, self.params)


@dataclass(frozen=True, eq=False)
class ISIR(IndependentMH):
    """Likewise; N >= 2 slots, the current state's among them; noise for (N - 1) points a chain.

    >>> from evenflow.reference.flows import realnvp
    >>> flow, rng = realnvp(2), onp.random.default_rng(0)
    >>> ISIR(flow, flow.init(rng), N=4).noise(rng, 5, 2)["flow"].shape
    (15, 2)
    """
    N: int

    def __post_init__(self) -> None:
        check_count("N", self.N, least=2)

    def noise(self, rng: onp.random.Generator, chains: int, d: int) -> Tree:
        return {"flow": self.flow.noise(rng, chains * (self.N - 1)), "uniform": rng.random(chains)}

    def step(self, state: State, noise: Tree, log_density: LogDensity) -> tuple[State, Choice]:
        return isir(state, noise["flow"], noise["uniform"], log_density, self.flow, self.params)


def check_dimension(x: Array, flow: Flow) -> None:
    if flow.d != x.shape[1]:
        raise ValueError(f"flow must have the chains' dimension {x.shape[1]}, got a flow of dimension {flow.d}")


def check_flow(log_lambda: Array) -> Array:
    if anywhere(np.isnan(log_lambda) | (log_lambda == np.inf)):
        raise FloatingPointError("the flow's log density must be finite, or -inf outside its support, got NaN or +inf")
    return log_lambda
