r"""Whole steps of MALA, ULA and i-SIR over all chains; formulas as in reference/mcmc.

What is special here: where the log density is a model that energies.py knows, log p and its gradient come from one pass forth
and one back without a tape; everything is looked at once, and only where something is not finite does the definition take
over, which says what and where. On the device each of these is one launch (kernels/density.py), and so are all the steps of a
walk (kernels/walk.py).
"""
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from evenflow.accel.backends import module_of, on_device
from evenflow.accel.core.elementwise import row_sums
from evenflow.accel.energies import density_and_score, recognised, target_of
from evenflow.accel.kernels import Given, Target, Walk, density, persistent
from evenflow.accel.kernels.pieces import stacked
from evenflow.reference.core import Array, Tree, anywhere, check_shape
from evenflow.reference.core.dispatch import definitions
from evenflow.reference.flows.flow import Flow
from evenflow.reference.mcmc.contract import Info, LogDensity
from evenflow.reference.mcmc.hmc import HMC
from evenflow.reference.mcmc.independence import Choice
from evenflow.reference.mcmc.independence import State as Weighed
from evenflow.reference.mcmc.langevin import MALA, ULA, State, drift, spread
from evenflow.reference.mcmc.metropolis import RandomWalk

S = TypeVar("S", bound=tuple[Any, ...])
MOVES = {MALA: "mala", ULA: "ula", RandomWalk: "random_walk", HMC: "hmc"}


def finite(*arrays: Array) -> bool:
    """Whether all numbers in all of them are."""
    return not anywhere(~module_of(*arrays).isfinite(sum(array.sum() for array in arrays)))  # NaN and infinity survive a sum


def on_its_device(log_density: LogDensity, *others: Array) -> Target | None:
    """The model as the kernels take it; None where they do not."""
    model = recognised(log_density) if on_device(others[0]) else None
    return None if model is None else target_of(*model, others)


def density_and_gradient(x: Array, log_density: LogDensity) -> tuple[Array, Array]:
    """mcmc.contract.density_and_gradient."""
    model, target = recognised(log_density), on_its_device(log_density, x)
    if target is not None:
        found = density.density_and_score(target, x)
        if found is not None:
            return found
    elif model is not None:
        with np.errstate(all="ignore"):
            log_p, score = density_and_score(*model, x)
            if finite(x, log_p, score):
                return log_p, score
    return definitions["mcmc.contract.density_and_gradient"](x, log_density)  # type: ignore[return-value]


def ula(state: State, noise: Array, step_size: float, log_density: LogDensity) -> State:
    """mcmc.langevin.ula."""
    check_shape("noise", noise, *state.x.shape)
    target = on_its_device(log_density, *state, noise)
    if target is not None:
        walked = persistent("ula", state, Given(noise[None], None), step_size, target)
        return last(state, walked)
    model = recognised(log_density)
    if model is not None:
        with np.errstate(all="ignore"):
            x = drift(state, step_size) + spread(step_size) * noise
            log_p, score = density_and_score(*model, x)
            if finite(x, log_p, score):
                return State(x, log_p, score)
    return definitions["mcmc.langevin.ula"](state, noise, step_size, log_density)  # type: ignore[return-value]


def mala(
    state: State, noise: Array, uniform: Array, step_size: float, log_density: LogDensity
) -> tuple[State, Info]:
    """mcmc.langevin.mala."""
    check_shape("noise", noise, *state.x.shape)
    check_shape("uniform", uniform, len(state.x))
    target = on_its_device(log_density, *state, noise, uniform)
    if target is not None:
        walked = persistent("mala", state, Given(noise[None], uniform[None]), step_size, target)
        return last(state, walked), Info(walked.accepted[0], walked.log_ratio[0])
    model = recognised(log_density)
    if model is not None:
        xp = module_of(noise)
        with np.errstate(all="ignore"):
            mean = drift(state, step_size)
            x = mean + spread(step_size) * noise
            log_p, score = density_and_score(*model, x)
            there, back = x - mean, state.x - (x + step_size * score)
            log_q = row_sums(there * there - back * back) / (4 * step_size)
            log_ratio = log_p - state.log_p + log_q
            if finite(x, log_p, score):
                accepted = uniform < xp.exp(xp.minimum(log_ratio, 0.0))
                took = accepted[:, None]
                after = State(
                    xp.where(took, x, state.x), xp.where(accepted, log_p, state.log_p), xp.where(took, score, state.score)
                )
                return after, Info(accepted, log_ratio)
    return definitions["mcmc.langevin.mala"](state, noise, uniform, step_size, log_density)  # type: ignore[return-value]


def last(state: S, walked: Walk) -> S:
    """Where a walk from `state` ends."""
    after: tuple[Any, ...] = walked.x[-1], walked.log_p[-1], walked.score
    return type(state)(*after[: len(state)])


def walk(
    kernel: Any, state: Any, noises: Sequence[Tree], log_density: LogDensity
) -> tuple[Any, Array, Array]:
    """mcmc.contract.walk: on the device, all steps of a known kernel in one launch."""
    move = MOVES.get(type(kernel)) if len(noises) else None
    target = None if move is None else on_its_device(log_density, *state, *noises[0].values())
    parts = {} if target is None else {name: [noise[name] for noise in noises] for name in noises[0]}
    if target is not None and all(len({(type(a), a.dtype, a.shape) for a in part}) == 1 for part in parts.values()):
        given = Given(*(stacked(parts[name]) if name in parts else None for name in Given._fields))
        leaps = kernel.leapfrog_steps if type(kernel) is HMC else 1
        walked = persistent(str(move), state, given, kernel.step_size, target, leaps)
        return last(state, walked), walked.x, walked.accepted
    return definitions["mcmc.contract.walk"](kernel, state, noises, log_density)  # type: ignore[return-value]


def isir(
    state: Weighed, noise: Tree, uniform: Array, log_density: LogDensity, flow: Flow, params: Tree
) -> tuple[Weighed, Choice]:
    """mcmc.independence.isir: only the points that were chosen are gathered."""
    with np.errstate(all="ignore"):
        x, log_lambda = flow.sample_and_log_prob(params, noise)
    chains = len(state.x)
    step: tuple[Any, ...] | None = None
    if len(x) and chains and not len(x) % chains and uniform.shape == (chains,) and x.shape[1:] == state.x.shape[1:]:
        target = on_its_device(log_density, *state, x, log_lambda, uniform)
        if target is not None and density.isir_fits(module_of(x), target, x.dtype, len(x) // chains):
            step = density.isir(target, state, x, log_lambda, uniform)
        else:
            step = isir_here(state, x, log_lambda, uniform, log_density)
    if step is None:
        return definitions["mcmc.independence.isir"](  # type: ignore[return-value]
            state, noise, uniform, log_density, flow, params
        )
    return Weighed(*step[:3]), Choice(*step[3:])


def isir_here(
    state: Weighed, x: Array, log_lambda: Array, uniform: Array, log_density: LogDensity
) -> tuple[Array, Array, Array, Array, Array] | None:
    """The next state, which chains moved to it, all log weights; None where something is not finite."""
    chains, xp = len(state.x), module_of(state.x)
    with np.errstate(all="ignore"):
        log_p = log_density(xp.where(xp.isfinite(x), x, 0))  # what overflows is noticed below
    if not finite(x, log_lambda, log_p, state.log_p, state.log_lambda):
        return None
    stays, fresh = state.log_p - state.log_lambda, (log_p - log_lambda).reshape(chains, -1)
    log_w = xp.empty((chains, fresh.shape[1] + 1), np.result_type(stays.dtype, fresh.dtype))
    log_w[:, 0], log_w[:, 1:] = stays, fresh
    reached = xp.cumsum(xp.exp(log_w - log_w.max(axis=1, keepdims=True)), axis=1)
    total = reached[:, -1:]
    chosen = ((uniform[:, None] * total >= reached) & (reached < total)).sum(axis=1)
    moved = chosen > 0
    picked = xp.arange(chains) * fresh.shape[1] + xp.maximum(chosen - 1, 0)
    after = xp.where(moved[:, None], x[picked], state.x), xp.where(moved, log_p[picked], state.log_p)
    return *after, xp.where(moved, log_lambda[picked], state.log_lambda), moved, log_w


REPLACEMENTS = {
    "mcmc.contract.density_and_gradient": density_and_gradient, "mcmc.contract.walk": walk, "mcmc.langevin.ula": ula,
    "mcmc.langevin.mala": mala, "mcmc.independence.isir": isir,
}
