"""What is measured of a trained model in the plane: planar.py says what each number is.

`judged` and `zone_errors` take log densities and weights, whoever made them: of the truth itself all errors are 0.
"""
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from evenflow.reference.core import Array, fetched, number, placed
from evenflow.reference.ebm import FCE, NTEBM, PCD, CoopFlow, FlowMCEBM, Jarzynski
from evenflow.reference.ebm.coopflow import revised
from evenflow.reference.ebm.jarzynski import softmax
from evenflow.reference.ebm.normalizer import Grid, Lattice, grid
from evenflow.reference.ebm.updates import moved
from evenflow.reference.mcmc import MALA, ULA, flowmc, pullback
from evenflow.reference.mcmc.contract import LogDensity

DRAWS = 10_000  # of p*, at which log densities are compared
SHOWN = 2_000   # negatives that the pictures show
ERRORS = ("median_squared_error", "median_squared_error_box", "kl", "model_true", "negatives_model", "starts_model")
ZONES = ("zones_model", "zones_negatives", "zones_starts")


def measure(
    target: Any, box: Lattice, model: Any, state: Any, buffer: int, seed: int
) -> tuple[dict[str, Any], dict[str, Array]]:
    """The numbers of a row, and what the pictures need."""
    rng = np.random.default_rng([seed, 4])
    log_density = at_host(model, state)
    x = target.sample(target.noise(rng, DRAWS))
    on_box = grid(log_density, box)
    starts, negatives, weights = chains(model, state, buffer, rng)
    seen = {
        "zones_model": weighed(target, box.points, on_box.mass), "zones_negatives": weighed(target, negatives, weights),
        "zones_starts": weighed(target, starts, weights),
    }
    row = judged(target, on_box, log_density, x) | zone_errors(target.zone_weights(), *seen.values())
    row |= {"log_z_grid": on_box.log_z, **{name: value.tolist() for name, value in seen.items()}}
    picked = rng.choice(len(negatives), SHOWN, p=weights)
    return row, {"log_p": on_box.log_p - on_box.log_z, "negatives": negatives[picked]}


def judged(target: Any, on_box: Grid, log_density: LogDensity, x: Array) -> dict[str, float]:
    """The errors of log p, with the box's log Z, at draws x (n, 2) of p* and on the box; KL(p* || p) there."""
    log_p, truth = on_box.log_p - on_box.log_z, grid(target.log_prob, on_box.lattice)
    true = truth.log_p - truth.log_z
    return {
        "median_squared_error": float(np.median((log_density(x) - on_box.log_z - target.log_prob(x)) ** 2)),
        "median_squared_error_box": float(np.median((log_p - truth.log_p) ** 2)),
        "kl": float(np.sum(truth.mass * (true - log_p))),
    }


def zone_errors(true: Array, model: Array, negatives: Array, starts: Array) -> dict[str, float]:
    """Mean squared errors of weights (zones,) each."""
    return {
        "model_true": float(np.mean((model - true) ** 2)), "negatives_model": float(np.mean((negatives - model) ** 2)),
        "starts_model": float(np.mean((starts - model) ** 2)),
    }


def weighed(target: Any, x: Array, weights: Array | None) -> Array:
    """The weight of each zone: of points (n, 2) with weights (n,), counted where those are None."""
    found = np.bincount(target.zones(x), weights, minlength=target.count)
    return found / found.sum()


def at_host(model: Any, state: Any) -> LogDensity:
    """The model's log density from points (n, 2) to numbers (n,), both on the host."""
    return lambda x: fetched(model.log_density(state, placed(x, np.float32))).astype(np.float64)


def chains(model: Any, state: Any, buffer: int, rng: np.random.Generator) -> tuple[Array, Array, Array | None]:
    """Where `buffer` chains start, the negatives that they leave, and the weights of both, if they have any."""
    if isinstance(model, Jarzynski):
        walkers = fetched(state.walkers).astype(np.float64)
        weights = fetched(softmax(state.log_weights)).astype(np.float64)
        return walkers, walkers, weights / weights.sum()
    parts = [[fetched(x).astype(np.float64) for x in part] for part in passes(model, state, buffer, rng)]
    starts, negatives = (np.concatenate(side) for side in zip(*parts, strict=True))
    return starts, negatives, None


def passes(model: Any, state: Any, buffer: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """Starts and negatives, a batch of chains at a time."""
    log_p = partial(model.log_density, state)
    for k in range(buffer // model.batch):
        noise = placed(model.noise(rng), np.float32)
        mine = slice(k * model.batch, (k + 1) * model.batch)
        if isinstance(model, FlowMCEBM):
            x = state.chains[mine]
            _, sweep = model.kernel(state.flow, state.step_size).step(flowmc.State(x), noise["moves"], log_p)
            yield x, model.negatives(sweep.trace)
        elif isinstance(model, PCD):
            x = state.chains[mine]
            yield x, moved(ULA(model.step_size), x, noise["moves"], model.steps, log_p)[0]
        elif isinstance(model, NTEBM):
            yield latent_pass(model, state, noise)
        elif isinstance(model, CoopFlow):
            x = model.flow.sample(state.flow, noise["flow"])
            yield x, revised(x, model.steps, model.step_size, log_p)
        elif isinstance(model, FCE):
            x = model.flow.sample(state.flow, noise["flow"])
            yield x, x


def latent_pass(model: NTEBM, state: Any, noise: Any) -> tuple[Array, Array]:
    """NT-EBM's chains walk in the flow's latent space."""
    z, kernel = model.flow.base.sample(noise["flow"]), MALA(number(state.step_size))
    log_p_z = pullback(lambda x: -model.energy(state.energy, x), model.flow, state.flow, tilted=True)
    after, _ = moved(kernel, z, noise["moves"], model.steps, log_p_z)
    x, y = (model.flow.bijection.forward(state.flow, place)[0] for place in (z, after))
    return x, y
