"""What is measured of a model of two modes once it is trained: does its own sampler find both, in the model's proportions?"""
import math
from functools import partial
from typing import Any

import numpy as np

from evenflow.experiments.planar_measures import chains, weighed
from evenflow.reference.core import Array, fetched, number, placed
from evenflow.reference.ebm import NTEBM, PCD, FlowMCEBM
from evenflow.reference.ebm.normalizer import LogZ, annealed, importance
from evenflow.reference.flows.densities import Normal
from evenflow.reference.mcmc import MALA, ULA, pullback
from evenflow.reference.mcmc.chains import run as run_chains
from evenflow.reference.mcmc.contract import LogDensity
from evenflow.reference.mcmc.zones import mode_rhat, switch_rate
from evenflow.reference.targets.mixtures import two_modes

TARGET = two_modes()
UPPER_RIGHT = 1                       # its zone
CHAINS, SWEEPS = 64, 200              # that tell whether the trained sampler mixes
BUFFER = 1_024                        # samples of those that have no chains
DRAWS = 20_000                        # of the flow, for log Z
PARTICLES, TEMPERATURES = 2_000, 200  # of the annealing, for log Z without a flow


def measure(model: Any, state: Any, rng: np.random.Generator) -> tuple[dict[str, Any], Array | None]:
    """Fields of the row, and the chains (SWEEPS, CHAINS, 2) of an algorithm that has any."""
    log_density = partial(model.log_density, state)
    estimate = log_z(model, state, log_density, rng)
    walked = walk(model, state, log_density, rng)
    row = {"log_z": estimate.log_z, "log_z_ess": estimate.ess, "log_z_standard_error": estimate.standard_error}
    if walked is None:
        _, negatives, weights = chains(model, state, BUFFER, rng)
        return row | {"chain_weight": float(weighed(TARGET, negatives, weights)[UPPER_RIGHT])}, None
    zones = TARGET.zones(walked.reshape(-1, 2)).reshape(walked.shape[:2])
    return row | {
        "rhat_mode": finite_or_text(mode_rhat(zones, TARGET.count)), "switch_rate": switch_rate(zones),
        "chain_weight": float(np.mean(zones == UPPER_RIGHT)),
    }, walked


def finite_or_text(value: float) -> float | str:
    """Infinity as a word, which JSON can hold."""
    return value if math.isfinite(value) else str(value)


def walk(model: Any, state: Any, log_density: LogDensity, rng: np.random.Generator) -> Array | None:
    """Chains of the kernel that the model was trained with, a state for each of its training steps; NT's from the flow."""
    kernel: Any
    if isinstance(model, FlowMCEBM):
        kernel, every, start = model.kernel(state.flow, model.step_sizes), 1, state.chains[:CHAINS]
    elif isinstance(model, PCD):
        kernel, every, start = ULA(model.step_size), model.steps, state.chains[:CHAINS]
    elif isinstance(model, NTEBM):
        kernel, every = MALA(number(state.step_size)), model.steps
        start = model.flow.base.sample(placed(model.flow.noise(rng, CHAINS), np.float32))
        log_density = pullback(lambda x: -model.energy(state.energy, x), model.flow, state.flow, tilted=True)
    else:
        return None
    x = run_chains(kernel, start, log_density, SWEEPS * every, rng, every).x
    if isinstance(model, NTEBM):
        x = np.stack([fetched(model.flow.bijection.forward(state.flow, z)[0]) for z in x])
    return fetched(x)


def log_z(model: Any, state: Any, log_density: LogDensity, rng: np.random.Generator) -> LogZ:
    """By importance sampling from the flow; without a flow, by annealing N(0, I)."""
    if hasattr(model, "flow"):
        x, log_lambda = model.flow.sample_and_log_prob(state.flow, placed(model.flow.noise(rng, DRAWS), np.float32))
        return importance(fetched(log_density(x)), fetched(log_lambda))
    base = Normal(2)
    kernel, x = MALA(model.step_size), placed(base.noise(rng, PARTICLES), np.float32)
    noise = [placed(kernel.noise(rng, PARTICLES, 2), np.float32) for _ in range(TEMPERATURES - 1)]
    b = np.linspace(0, 1, TEMPERATURES + 1).tolist()
    return annealed(log_density, lambda x: base.log_prob(x), x, b, kernel, noise)[0]
