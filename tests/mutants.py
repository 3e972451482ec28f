"""Kernels with a planted mistake each, most of them made by published code. Each must fail `samplers.check_invariance`."""
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.mcmc.contract import Kernel, LogDensity, metropolis
from evenflow.reference.mcmc.flowmc import FlowMC, State, Sweep
from evenflow.reference.mcmc.hmc import HMC, kinetic, leapfrog
from evenflow.reference.mcmc.independence import ISIR, IndependentMH, propose, resample
from evenflow.reference.mcmc.langevin import MALA, drift, evaluate, log_q
from evenflow.reference.mcmc.metropolis import RandomWalk
from evenflow.reference.mcmc.metropolis import State as WalkState
from tests.samplers import Latent, flow

# -------------------------------------------------------------------------------------------------------- local kernels


class WrongWayMALA(MALA):
    """Proposes down the gradient, while the ratio believes that it went up."""
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]:
        eta = self.step_size
        proposal = evaluate(state.x - eta * state.score + math.sqrt(2 * eta) * noise["normal"], log_density)
        ratio = proposal.log_p - state.log_p + log_q(state, proposal, eta) - log_q(proposal, state, eta)
        return metropolis(ratio, noise["uniform"], proposal, state)


class NoProposalRatioMALA(MALA):
    """q(x' | x) and q(x | x') taken for equal."""
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]:
        eta = self.step_size
        proposal = evaluate(drift(state, eta) + math.sqrt(2 * eta) * noise["normal"], log_density)
        return metropolis(proposal.log_p - state.log_p, noise["uniform"], proposal, state)


class HalfNoiseMALA(MALA):
    """sqrt(eta) for sqrt(2 eta): another library's step size."""
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]:
        return super().step(state, {**noise, "normal": noise["normal"] / math.sqrt(2)}, log_density)


class StaleGradientMALA(MALA):
    """Goes on with the gradient of the point before."""
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]:
        after, info = super().step(state, noise, log_density)
        return after._replace(score=state.score), info


class StaleDensityWalk(RandomWalk):
    """Goes on with the log density of the point before."""
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]:
        after, info = super().step(state, noise, log_density)
        return after._replace(log_p=state.log_p), info


class EagerWalk(RandomWalk):
    """Takes every proposal inside the support."""
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]:
        return super().step(state, {**noise, "uniform": 0 * noise["uniform"]}, log_density)


class BackwardsWalk(RandomWalk):
    """Accepts where it should refuse."""
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]:
        x = state.x + self.step_size * noise["normal"]
        proposal = WalkState(x, log_density(x))
        return metropolis(state.log_p - proposal.log_p, noise["uniform"], proposal, state)


class RestlessWalk(RandomWalk):
    """A step size that answers to where the chain is, as one does that is never frozen: the way back has another."""
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]:
        stride = 0.5 + (state.x > 0)
        return super().step(state, {**noise, "normal": stride * noise["normal"]}, log_density)


class NoMomentumHMC(HMC):
    """The ratio of the densities alone, without the kinetic energy."""
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]:
        proposal, _ = leapfrog(state, noise["normal"], self.step_size, self.leapfrog_steps, log_density)
        return metropolis(proposal.log_p - state.log_p, noise["uniform"], proposal, state)


class HalfKickHMC(HMC):
    """The last half kick is forgotten, so the way back is another."""
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]:
        proposal, final = leapfrog(state, noise["normal"], self.step_size, self.leapfrog_steps, log_density)
        final = final - self.step_size / 2 * proposal.score
        ratio = proposal.log_p - state.log_p + kinetic(noise["normal"]) - kinetic(final)
        return metropolis(ratio, noise["uniform"], proposal, state)


class HotHMC(HMC):
    """Momenta of another temperature than the Hamiltonian's."""
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]:
        return super().step(state, {**noise, "normal": 1.5 * noise["normal"]}, log_density)


# ------------------------------------------------------------------------------------------------------- global kernels

class NoFlowRatioMH(IndependentMH):
    """p(x') / p(x) without lambda."""
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]:
        proposal = propose(noise["flow"], log_density, self.flow, self.params)
        return metropolis(proposal.log_p - state.log_p, noise["uniform"], proposal, state)


class UpsideDownMH(IndependentMH):
    """lambda(x') / lambda(x) for its inverse."""
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]:
        proposal = propose(noise["flow"], log_density, self.flow, self.params)
        ratio = proposal.log_p + proposal.log_lambda - state.log_p - state.log_lambda
        return metropolis(ratio, noise["uniform"], proposal, state)


@dataclass(frozen=True, eq=False)
class WrongISIR(ISIR):
    """i-SIR with other weights, or another choice among the slots; subclasses say which."""
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]:
        n = len(state.x)
        fresh = propose(noise["flow"], log_density, self.flow, self.params)
        slots = type(state)(*(
            np.concatenate([old[:, None], new.reshape(n, -1, *new.shape[1:])], axis=1)
            for old, new in zip(state, fresh, strict=True)
        ))
        chosen = self.choice(slots, noise["uniform"])
        return type(state)(*(entry[np.arange(n), chosen] for entry in slots)), None

    def choice(self, slots: Any, uniform: Array) -> Array:
        raise NotImplementedError


class NoFlowISIR(WrongISIR):
    """Weights p, not p / lambda."""
    def choice(self, slots: Any, uniform: Array) -> Array:
        return resample(slots.log_p, uniform)


class ForgetfulISIR(WrongISIR):
    """Chooses among the fresh points only: importance resampling, biased for every N."""
    def choice(self, slots: Any, uniform: Array) -> Array:
        return 1 + resample((slots.log_p - slots.log_lambda)[:, 1:], uniform)


class GreedyISIR(WrongISIR):
    """Takes the largest weight."""
    def choice(self, slots: Any, uniform: Array) -> Array:
        return np.argmax(slots.log_p - slots.log_lambda, axis=1)


class ShiftedISIR(WrongISIR):
    """Off by one slot."""
    def choice(self, slots: Any, uniform: Array) -> Array:
        return (resample(slots.log_p - slots.log_lambda, uniform) + 1) % slots.log_p.shape[1]


class StaleISIR(ISIR):
    """Moves, and keeps the weight of where it was."""
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]:
        after, info = super().step(state, noise, log_density)
        return after._replace(log_p=state.log_p, log_lambda=state.log_lambda), info


class StaleFlowMC(FlowMC):
    """Each block goes on with what its kernel knew when the sweep began; only the positions are handed over."""
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]:
        x, states = state.x, [kernel.init(state.x, log_density) for kernel, _ in self.blocks]
        for i, ((kernel, _), draws) in enumerate(zip(self.blocks, noise, strict=True)):
            now = states[i]._replace(x=x)
            for draw in draws:
                now, _ = kernel.step(now, draw, log_density)
            x = now.x
        return State(x), None


@dataclass(frozen=True)
class UntiltedFlowMC(FlowMC):
    """The local blocks act on -E alone, as if the base that tilts the model were not there."""
    log_base: Callable[[Array], Array] = np.zeros_like

    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Sweep]:
        (local, _), *rest = self.blocks
        now, _ = local.step(local.init(state.x, self.untilted(log_density)), noise[0][0], self.untilted(log_density))
        return FlowMC(tuple(rest)).step(State(now.x), noise[1:], log_density)

    def untilted(self, log_density: LogDensity) -> LogDensity:
        return lambda x: log_density(x) - self.log_base(x)


# -------------------------------------------------------------------------------------------------------- latent space

class NoDetLatent(Latent):
    """log p(T(z)) without the determinant."""
    def pulled(self, log_density: LogDensity) -> LogDensity:
        return lambda z: log_density(self.flow.bijection.forward(self.params, z)[0])


class MinusDetLatent(Latent):
    """The inverse's determinant."""
    def pulled(self, log_density: LogDensity) -> LogDensity:
        def log_p_z(z: Array) -> Array:
            x, log_det = self.flow.bijection.forward(self.params, z)
            return log_density(x) - log_det
        return log_p_z


class BaseTwiceLatent(Latent):
    """log rho(z) added to a density that has it already."""
    def pulled(self, log_density: LogDensity) -> LogDensity:
        def log_p_z(z: Array) -> Array:
            x, log_det = self.flow.bijection.forward(self.params, z)
            return log_density(x) + log_det + self.flow.base.log_prob(z)
        return log_p_z


class TemperedTwiceLatent(Latent):
    """The target comes tempered, p = q^(1/2), and the temperature is applied again."""
    def pulled(self, log_density: LogDensity) -> LogDensity:
        def log_p_z(z: Array) -> Array:
            x, log_det = self.flow.bijection.forward(self.params, z)
            return 0.5 * log_density(x) + log_det
        return log_p_z


def log_standard_normal(x: Array) -> Array:
    return -(x**2).sum(axis=1) / 2


MUTANTS: dict[str, Callable[[int], Kernel]] = {
    "mala: wrong way": lambda d: WrongWayMALA(0.2),
    "mala: no proposal ratio": lambda d: NoProposalRatioMALA(0.4),
    "mala: half the noise": lambda d: HalfNoiseMALA(0.4),
    "mala: stale gradient": lambda d: StaleGradientMALA(0.4),
    "walk: stale density": lambda d: StaleDensityWalk(0.7),
    "walk: eager": lambda d: EagerWalk(0.7),
    "walk: backwards": lambda d: BackwardsWalk(0.7),
    "walk: restless": lambda d: RestlessWalk(0.7),
    "hmc: no momentum": lambda d: NoMomentumHMC(0.5, 3),
    "hmc: half a kick short": lambda d: HalfKickHMC(0.5, 3),
    "hmc: hot momenta": lambda d: HotHMC(0.5, 3),
    "mh: no flow ratio": lambda d: NoFlowRatioMH(*flow(d)),
    "mh: upside down": lambda d: UpsideDownMH(*flow(d)),
    "isir: no flow": lambda d: NoFlowISIR(*flow(d), N=4),
    "isir: forgetful": lambda d: ForgetfulISIR(*flow(d), N=4),
    "isir: greedy": lambda d: GreedyISIR(*flow(d), N=4),
    "isir: shifted": lambda d: ShiftedISIR(*flow(d), N=4),
    "isir: stale": lambda d: StaleISIR(*flow(d), N=4),
    "flowmc: stale weights": lambda d: StaleFlowMC(((MALA(0.3), 2), (IndependentMH(*flow(d)), 1))),
    "flowmc: stale weights of i-SIR": lambda d: StaleFlowMC(((RandomWalk(1.0), 2), (ISIR(*flow(d), N=4), 1))),
    "flowmc: stale gradient": lambda d: StaleFlowMC(((ISIR(*flow(d), N=4), 1), (MALA(0.3), 1))),
    "flowmc: untilted": lambda d: UntiltedFlowMC(((MALA(0.3), 1), (ISIR(*flow(d), N=2), 1)), log_standard_normal),
    "latent: no determinant": lambda d: NoDetLatent(MALA(0.3), *flow(d)),
    "latent: minus determinant": lambda d: MinusDetLatent(MALA(0.3), *flow(d)),
    "latent: base twice": lambda d: BaseTwiceLatent(MALA(0.3), *flow(d)),
    "latent: tempered twice": lambda d: TemperedTwiceLatent(MALA(0.3), *flow(d)),
}
