"""What is measured of a trained model of the mixture in many dimensions.

The model's own sampler, its step sizes as the training left them, moves 128 chains 1,152 times; every ninth state is kept. From
the flow start the chains of flowMC (1 move of i-SIR, 8 of MALA in turn), NT (MALA in latent space), CoopFlow (steps without
noise) and FCE (which samples nothing in training: flowMC's sweeps with its own flow); from where they stand those of PCD (ULA)
and Jarzynski (ULA, from walkers drawn by their weights).

    rhat                  the largest R-hat of the coordinates, rank-normalised and split. Chains of small steps raise it, in
                          one mode already
    rhat_mode             the largest of the zones' indicators: do the chains agree on the weights? inf where none moves
    switch_rate           how often a chain is in another zone than nine moves before
    chains_off            the largest difference from 1/4 of the zones' weights: counted over the chains,
    negatives_off         over the last states of a pass of all chains, as in training,
    model_off             and of the model itself, by draws of its flow weighted by p / lambda
    spread                the chains' mean squared distance to the nearest centre, over d; true_spread: of draws of p*;
    plane_spread          and the same in the plane of mu_1 and mu_2, over 2: are there modes? All numbers above are as good
                          for a model that has seen none
    acceptance_global     of i-SIR
    median_squared_error  of log p against log p*, at 10,000 draws of p*; log Z by importance from 20,000 draws of the flow,
                          Jarzynski's by its own weights
    log_z_share           which share of those draws is effective

None where a model has no flow, or less than TRUST of its draws are effective.
"""
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from evenflow.experiments.planar_measures import at_host, chains, weighed
from evenflow.experiments.two_modes_measures import finite_or_text
from evenflow.reference.core import Array, fetched, number, placed
from evenflow.reference.ebm import FCE, NTEBM, PCD, CoopFlow, FlowMCEBM, Jarzynski
from evenflow.reference.ebm.coopflow import revised
from evenflow.reference.ebm.jarzynski import effective_size, softmax
from evenflow.reference.ebm.normalizer import importance
from evenflow.reference.mcmc import ISIR, MALA, ULA, FlowMC, pullback
from evenflow.reference.mcmc.adaptation import warm_up
from evenflow.reference.mcmc.chains import run as run_chains
from evenflow.reference.mcmc.contract import LogDensity, noise_like
from evenflow.reference.mcmc.independence import propose
from evenflow.reference.mcmc.rhat import rhat
from evenflow.reference.mcmc.zones import acceptance, mode_rhat, switch_rate
from evenflow.reference.work.energy_model import TRUST
from evenflow.reference.work.sampling import WARM_UP

CHAINS, KEPT, EVERY = 128, 128, 9
DRAWS, OF_FLOW = 10_000, 20_000
WITHIN, MIXED = 0.02, 1.05  # what is asked for: the error of a zone's weight, R-hat of the mode
MALA_STEP, N = 0.1, 32  # of FCE's sweeps
MEASURED = (
    "rhat", "rhat_mode", "switch_rate", "chains_off", "negatives_off", "model_off", "acceptance_global", "spread",
    "plane_spread", "median_squared_error", "log_z_share", "true_spread", "zones_chains", "zones_negatives", "zones_model",
    "log_z",
)


class Weighed(NamedTuple):
    """log Z, which share of the draws is effective, and the zones' weights that they give, where there are any."""
    log_z: float
    share: float
    zones: Array | None


def measure(target: Any, model: Any, state: Any, buffer: int, seed: int) -> tuple[dict[str, Any], dict[str, Array]]:
    """The numbers of a row; and some of the chains' states in the plane of mu_1 and mu_2, for the pictures."""
    rng = np.random.default_rng([seed, 4])
    x, accepted = walked(model, state, rng)
    _, negatives, weights = chains(replace(model, used=None) if isinstance(model, FlowMCEBM) else model, state, buffer, rng)
    draws = target.sample(target.noise(rng, DRAWS))
    plane = in_plane(target, x[KEPT // 8 - 1 :: KEPT // 8].reshape(-1, target.d)).astype(np.float32)
    row = dict.fromkeys(MEASURED) | mixed(target, x) | weights_of("negatives", weighed(target, negatives, weights))
    row |= {"acceptance_global": accepted, "plane_spread": plane_spread(target, plane)}
    row |= {"true_spread": spread(target.centres, draws)}
    z = log_z(target, model, state, rng)
    if z is not None:
        row["log_z_share"] = z.share
        if z.share >= TRUST:
            errors = at_host(model, state)(draws) - z.log_z - target.log_prob(draws)
            row |= {"log_z": z.log_z, "median_squared_error": float(np.median(errors**2))}
            row |= {} if z.zones is None else weights_of("model", z.zones)
    return row, {"plane": plane}


def mixed(target: Any, x: Array) -> dict[str, Any]:
    """What the chains x (states, chains, d) show."""
    states = x.reshape(-1, target.d)
    zones = target.zones(states).reshape(x.shape[:2])
    return {
        "rhat": finite_or_text(float(np.max(rhat(x)))), "rhat_mode": finite_or_text(mode_rhat(zones, target.count)),
        "switch_rate": switch_rate(zones), "spread": spread(target.centres, states),
        **weights_of("chains", weighed(target, states, None)),
    }


def weights_of(whose: str, zones: Array) -> dict[str, Any]:
    return {f"zones_{whose}": zones.tolist(), f"{whose}_off": float(np.max(np.abs(zones - 1 / len(zones))))}


def spread(centres: Any, x: Array) -> float:
    """The mean squared distance of x (n, d) to the nearest of the centres (k, d), over d: 1 for N(mu_i, I) far apart."""
    distances = [np.sum((x - centre) ** 2, axis=1) for centre in np.asarray(centres)]
    return float(np.mean(np.min(distances, axis=0)) / x.shape[1])


def plane_spread(target: Any, plane: Array) -> float:
    """The same of points (n, 2) of the plane."""
    return spread(in_plane(target, np.array(target.centres)), plane.astype(np.float64))


def in_plane(target: Any, x: Array) -> Array:
    """x (n, d) -> (n, 2): along mu_1 and mu_2, which are orthogonal, in units of length."""
    axes = np.array(target.centres[:2])
    return x @ (axes / np.linalg.norm(axes, axis=1, keepdims=True)).T


def log_z(target: Any, model: Any, state: Any, rng: np.random.Generator) -> Weighed | None:
    """None for a model that has neither a flow nor weights."""
    if isinstance(model, Jarzynski):
        return Weighed(model.log_z(state), float(effective_size(state.log_weights)) / len(state.walkers), None)
    if isinstance(model, PCD):
        return None
    log_p, noise = partial(model.log_density, state), placed(model.flow.noise(rng, OF_FLOW), np.float32)
    drawn = propose(noise, log_p, model.flow, state.flow)
    log_w = fetched(drawn.log_p).astype(np.float64) - fetched(drawn.log_lambda)
    z = importance(fetched(drawn.log_p), fetched(drawn.log_lambda))
    return Weighed(z.log_z, z.ess / OF_FLOW, weighed(target, fetched(drawn.x), np.exp(log_w - log_w.max())))


def walked(model: Any, state: Any, rng: np.random.Generator) -> tuple[Array, float | None]:
    """The states kept (KEPT, CHAINS, d), and how often i-SIR moved a chain."""
    log_p, steps = partial(model.log_density, state), KEPT * EVERY
    if isinstance(model, FlowMCEBM | FCE):
        return swept(model, state, log_p, rng)
    if isinstance(model, NTEBM):
        log_p_z = pullback(lambda x: -model.energy(state.energy, x), model.flow, state.flow, tilted=True)
        z = run_chains(MALA(number(state.step_size)), base_draws(model, rng), log_p_z, steps, rng, EVERY).x
        x, _ = model.flow.bijection.forward(state.flow, z.reshape(-1, model.flow.d))
        return double(x).reshape(z.shape), None
    if isinstance(model, CoopFlow):
        x, _ = model.flow.bijection.forward(state.flow, base_draws(model, rng))
        return repeated(lambda x: revised(x, EVERY, model.step_size, log_p), x), None
    x = state.chains[:CHAINS] if isinstance(model, PCD) else state.walkers[by_weight(state.log_weights, rng)]
    return double(run_chains(ULA(model.step_size), x, log_p, steps, rng, EVERY).x), None


def swept(model: Any, state: Any, log_p: LogDensity, rng: np.random.Generator) -> tuple[Array, float]:
    """Sweeps of 1 i-SIR and 8 MALA, from the flow."""
    x, _ = model.flow.bijection.forward(state.flow, base_draws(model, rng))
    if isinstance(model, FCE):
        local, x = warm_up(MALA(MALA_STEP), x, log_p, WARM_UP, rng)
        kernel = FlowMC(((ISIR(model.flow, state.flow, N), 1), (local, EVERY - 1)))
    else:
        kernel = FlowMC(model.kernel(state.flow, state.step_size).blocks[:2])
    now, kept, jumped = kernel.init(x, log_p), [], []
    for _ in range(KEPT):
        now, sweep = kernel.step(now, noise_like(x, kernel, rng), log_p)
        kept.append(now.x)
        jumped.append(acceptance(sweep.blocks[0]))
    return double(np.stack(kept)), float(np.mean(jumped))


def repeated(move: Callable[[Array], Array], x: Array) -> Array:
    """The positions after 1, 2, ... KEPT moves."""
    kept = []
    for _ in range(KEPT):
        x = move(x)
        kept.append(x)
    return double(np.stack(kept))


def base_draws(model: Any, rng: np.random.Generator) -> Array:
    return model.flow.base.sample(placed(model.flow.noise(rng, CHAINS), np.float32))


def by_weight(log_weights: Array, rng: np.random.Generator) -> Array:
    weights = double(softmax(log_weights))
    return rng.choice(len(weights), CHAINS, p=weights / weights.sum())


def double(x: Array) -> Array:
    return fetched(x).astype(np.float64)
