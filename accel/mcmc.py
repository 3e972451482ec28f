r"""Whole steps of MALA, ULA and i-SIR over all chains; formulas as in reference/mcmc.

What is special here: where the log density is a model that energies.py knows, log p and its gradient come from one pass forth
and one back without a tape; everything is looked at once, and only where something is not finite does the definition take
over, which says what and where. On the device, all the steps of a walk with MALA are one launch (kernels/mala.cu).
"""
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from evenflow.accel.backends import module_of, on_device
from evenflow.accel.core.elementwise import row_sums
from evenflow.accel.energies import density_and_score, recognised
from evenflow.accel.kernels import Given, fits
from evenflow.accel.kernels import mala as persistent
from evenflow.accel.kernels.walk import ACTIVATIONS as WALKING
from evenflow.reference.core import Array, Tree, check_shape
from evenflow.reference.core.dispatch import definitions
from evenflow.reference.flows.flow import Flow
from evenflow.reference.mcmc.contract import Info, LogDensity
from evenflow.reference.mcmc.independence import Choice
from evenflow.reference.mcmc.independence import State as Weighed
from evenflow.reference.mcmc.langevin import MALA, State, drift


def finite(*arrays: Array) -> bool:
    """Whether all numbers in all of them are."""
    xp = module_of(*arrays)
    return bool(xp.isfinite(sum(array.sum() for array in arrays)))  # NaN and infinity survive a sum


def density_and_gradient(x: Array, log_density: LogDensity) -> tuple[Array, Array]:
    """mcmc.contract.density_and_gradient."""
    model = recognised(log_density)
    if model is not None:
        with np.errstate(all="ignore"):
            log_p, score = density_and_score(*model, x)
            if finite(x, log_p, score):
                return log_p, score
    return definitions["mcmc.contract.density_and_gradient"](x, log_density)  # type: ignore[return-value]


def ula(state: State, noise: Array, step_size: float, log_density: LogDensity) -> State:
    """mcmc.langevin.ula."""
    check_shape("noise", noise, *state.x.shape)
    model = recognised(log_density)
    if model is not None:
        with np.errstate(all="ignore"):
            x = drift(state, step_size) + math.sqrt(2 * step_size) * noise
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
    model = recognised(log_density)
    if model is not None:
        xp = module_of(noise)
        with np.errstate(all="ignore"):
            mean = drift(state, step_size)
            x = mean + math.sqrt(2 * step_size) * noise
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


def walk(
    kernel: Any, state: Any, noises: Sequence[Tree], log_density: LogDensity
) -> tuple[Any, Array, Array]:
    """mcmc.contract.walk: on the device, all steps of MALA in one launch."""
    model = recognised(log_density) if on_device(state.x) and type(kernel) is MALA and len(noises) else None
    if model is not None and model[0].net.activation in WALKING:
        (net, sd), leaves, xp = *model, module_of(state.x)
        layers = list(zip(leaves[::2], leaves[1::2], strict=True))
        alike = {getattr(array, "dtype", None) for array in (*state, *leaves, *noises[0].values())} == {state.x.dtype}
        if alike and fits(xp, [*(len(W) for W, _ in layers), 1], state.x.dtype):
            given = Given(*(xp.stack([noise[name] for noise in noises]) for name in ("normal", "uniform")))
            walked = persistent(state, given, kernel.step_size, layers, net.activation, sd)
            return State(walked.x[-1], walked.log_p[-1], walked.score), walked.x, walked.accepted
    return definitions["mcmc.contract.walk"](kernel, state, noises, log_density)  # type: ignore[return-value]


def isir(
    state: Weighed, noise: Tree, uniform: Array, log_density: LogDensity, flow: Flow, params: Tree
) -> tuple[Weighed, Choice]:
    """mcmc.independence.isir: only the points that were chosen are gathered."""
    chains, xp = len(state.x), module_of(state.x)
    with np.errstate(all="ignore"):
        x, log_lambda = flow.sample_and_log_prob(params, noise)
        log_p = log_density(xp.where(xp.isfinite(x), x, 0))  # what overflows is noticed below
    if len(x) == 0 or len(x) % chains or uniform.shape != (chains,) or x.shape[1:] != state.x.shape[1:] or not finite(
        x, log_lambda, log_p, state.log_p, state.log_lambda
    ):
        return definitions["mcmc.independence.isir"](  # type: ignore[return-value]
            state, noise, uniform, log_density, flow, params
        )
    fresh = (log_p - log_lambda).reshape(chains, -1)
    log_w = xp.concatenate([(state.log_p - state.log_lambda)[:, None], fresh], axis=1)
    reached = xp.cumsum(xp.exp(log_w - log_w.max(axis=1, keepdims=True)), axis=1)
    total = reached[:, -1:]
    chosen = ((uniform[:, None] * total >= reached) & (reached < total)).sum(axis=1)
    moved = chosen > 0
    picked = xp.arange(chains) * fresh.shape[1] + xp.maximum(chosen - 1, 0)
    after = Weighed(
        xp.where(moved[:, None], x[picked], state.x), xp.where(moved, log_p[picked], state.log_p),
        xp.where(moved, log_lambda[picked], state.log_lambda),
    )
    return after, Choice(moved, log_w)


REPLACEMENTS = {
    "mcmc.contract.density_and_gradient": density_and_gradient, "mcmc.contract.walk": walk, "mcmc.langevin.ula": ula,
    "mcmc.langevin.mala": mala, "mcmc.independence.isir": isir,
}
