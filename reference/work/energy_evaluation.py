"""What can be said of a trained energy-based model alone.

    log_z                    log Z in the model's units, by importance sampling from the companion flow, or from the base for an
                             algorithm without one (ebm/normalizer.py). FCE's own estimate, c, stands in its log.jsonl
    log_z_ess                their effective sample size, and log_z_draws how many they are: a small share says that log_z is
                             not to be trusted, a large one is no proof
    log_z_standard_error     of log_z, in nats
    log_z_bridge             by bridge sampling, between the same draws and the chains below
    log_z_grid               by the midpoint rule on a box around data and base; d <= 2 only
    held_out_log_likelihood  mean log p of held-out data, nats in the user's units, with log_z_grid or else log_z. Whole numbers
                             with fresh uniforms: a bound (data.py). Z too small makes it too large
    held_out_log_likelihood_se   its standard error, with that of log_z

    moment_gap               how far the model's samples through flowMC are from the data, held-out and other, in the mean of a
                             coordinate or of a product of two, the worst one, in standard deviations of the data;
                             moment_gap_error, its standard error where they agree. Chains that agree with each other (rhat)
                             can still have wrong weights

    zones_true               how much probability the modes of a named target have (targets/), and of the same zones
    zones_held_out           the share of held-out data,
    zones_sampled            of the model's samples through flowMC,
    zones_grid               and the model's probability by the grid; d = 2 only

    acceptance_local         of the local moves, acceptance_global of i-SIR, in a walk of CHAINS chains: SWEEPS sweeps after a
                             warm-up, one state a sweep counted. moment_gap, zones_sampled and all below come from it, too
    rhat                     the largest R-hat of the coordinates: 1.01 or less where the chains agree
    ess                      the least effective sample size of the coordinates, out of CHAINS SWEEPS states
    autocorrelation_time     the largest of the coordinates, in sweeps
    rhat_mode                the largest R-hat of the zones
    switch_rate              how often a chain's zone is another than a sweep before

None where there is no such number.
"""
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from evenflow.reference.core import Array, fetched, placed
from evenflow.reference.ebm.normalizer import Grid, bridge, grid, lattice
from evenflow.reference.mcmc.ess import ess, integrated_time
from evenflow.reference.mcmc.rhat import rhat
from evenflow.reference.mcmc.zones import mode_rhat, switch_rate, zone_weights
from evenflow.reference.targets.toys import TARGETS
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.energy_model import TRUST, flow_params
from evenflow.reference.work.runs import Trained
from evenflow.reference.work.sampling import CHAINS, Walk

DRAWS, SWEEPS = 20_000, 50
AGREE, REFUSED = 1.1, 0.05  # R-hat; acceptance
SIGMAS, SLACK = 4, 0.1      # standard errors, and what no one need mind besides: two estimates that agree differ by less
REACH, CELL, POINTS = 6.0, 0.03, 600  # of the box in the model's units: least extent, cell, most cells along an edge
FIELDS = (
    "log_z", "log_z_ess", "log_z_draws", "log_z_standard_error", "log_z_bridge", "log_z_grid", "held_out_log_likelihood",
    "held_out_log_likelihood_se", "moment_gap", "moment_gap_error", "zones_true", "zones_held_out", "zones_sampled",
    "zones_grid", "acceptance_local", "acceptance_global", "rhat", "ess", "autocorrelation_time", "rhat_mode", "switch_rate",
)


def evaluate_energy(trained: Trained, dataset: Dataset, rng: np.random.Generator) -> dict[str, Any]:
    """The row of numbers above."""
    x = dataset.held_out
    at_data = trained.log_density(x, uniforms=trained.units.uniforms(x, rng)).astype(np.float64)
    z, box = trained.log_z(DRAWS, rng), on_grid(trained, dataset)
    log_z, error = (z.log_z, z.standard_error) if box is None else (box.log_z, 0.0)
    walked = trained.walk(CHAINS, SWEEPS, rng)
    row = dict.fromkeys(FIELDS) | {
        "log_z": z.log_z, "log_z_ess": z.ess, "log_z_draws": DRAWS, "log_z_standard_error": z.standard_error,
        "log_z_bridge": bridged(trained, walked, rng), "log_z_grid": None if box is None else box.log_z,
        **mean_and_error("held_out_log_likelihood", at_data - log_z, error),
        "acceptance_local": walked.acceptance_local, "acceptance_global": walked.acceptance_global,
        "rhat": float(np.max(rhat(walked.x))),
    }
    row |= correlated(walked.x) | in_zones(trained, dataset, walked.x, box)
    u = dataset.units.dequantised(np.concatenate([dataset.train, x]).astype(np.float64), rng)
    gap = moment_gap(u, walked.x.reshape(-1, trained.d).astype(np.float64))
    return row | {"moment_gap": gap, "moment_gap_error": (1 / len(u) + 1 / (row["ess"] or CHAINS)) ** 0.5}


def normaliser(trained: Trained, dataset: Dataset, rng: np.random.Generator) -> tuple[float, float, str]:
    """log Z as the likelihood takes it, its standard error, and how it was found."""
    box = on_grid(trained, dataset)
    if box is not None:
        return box.log_z, 0.0, "on a grid"
    z = trained.log_z(DRAWS, rng)
    doubt = "; not to be trusted: a better flow, more --steps" if z.ess < TRUST * DRAWS else ""
    return z.log_z, z.standard_error, f"by importance sampling: {z.ess:.3g} of {DRAWS} draws are effective{doubt}"


def mean_and_error(name: str, terms: Array, error: float = 0.0) -> dict[str, float | None]:
    """The mean of terms (n,), and its standard error beside another one."""
    n, se = len(terms), None
    if n > 1 and np.isfinite(terms).all():
        se = math.hypot(np.std(terms, ddof=1) / math.sqrt(n), error)
    return {name: float(np.mean(terms)), f"{name}_se": se}


def or_none(f: Callable[[], float]) -> float | None:
    """What f gives; None where the draws allow of no answer."""
    try:
        return f()
    except ValueError:
        return None


def bridged(trained: Trained, walked: Walk, rng: np.random.Generator) -> float | None:
    """log Z by the bridge between the chains' states and as many draws of the flow as for log_z."""
    model, params = trained.energy_model(), trained.params
    x = placed(walked.x.reshape(-1, trained.d), trained.config.dtype)
    at_p = (fetched(model.log_density(params, x)), fetched(model.flow.log_prob(flow_params(params), x)))
    return or_none(lambda: bridge(*at_p, *model.flow_draws(params, DRAWS, rng)).log_z)


def moment_gap(data: Array, samples: Array) -> float:
    """Of data (n, d) and samples (m, d): the largest difference of first and second moments, as at the top of this file."""
    a, b = ((x - data.mean(axis=0)) / data.std(axis=0) for x in (data, samples))
    second = [x.T @ x / len(x) for x in (a, b)]
    spread = np.sqrt(np.maximum((a**2).T @ a**2 / len(a) - second[0] ** 2, 1.0))  # at least 1, lest a constant product weigh
    return float(max(np.abs(b.mean(axis=0)).max(), (np.abs(second[1] - second[0]) / spread).max()))


def correlated(x: Array) -> dict[str, float | None]:
    """Of the chains x (sweeps, chains, d), the worst coordinate."""
    return {
        "ess": or_none(lambda: float(np.min(ess(x)))),
        "autocorrelation_time": or_none(lambda: float(np.max(integrated_time(x, trust=1)))),
    }


def on_grid(trained: Trained, dataset: Dataset) -> Grid | None:
    """The model on a box that holds REACH times the base's deviation and all of the data; None beyond two dimensions."""
    if trained.d > 2:
        return None
    data = np.concatenate([dataset.train, dataset.held_out])
    u = trained.units.to_model(data, None if trained.units.counted is None else np.full(data.shape, 0.5))
    reach = REACH * (trained.config.base_scale or 1.0)
    low, high = np.minimum(u.min(axis=0) - 1, -reach), np.maximum(u.max(axis=0) + 1, reach)
    points = min(int(np.ceil(np.max(high - low) / CELL)), POINTS)
    model, dtype = trained.energy_model(), trained.config.dtype
    box = lattice(low.tolist(), high.tolist(), points)
    return grid(lambda u: fetched(model.log_density(trained.params, placed(u, dtype))), box)


def in_zones(trained: Trained, dataset: Dataset, walked: Array, box: Grid | None) -> dict[str, Any]:
    """The numbers that only a target with zones has.  walked (sweeps, chains, d) in the model's units."""
    target: Any = TARGETS[dataset.name]() if dataset.name in TARGETS else None
    if not hasattr(target, "zones"):
        return {}

    def zones(u: Array) -> Array:
        return target.zones(trained.to_user(u))

    seen = zones(walked.reshape(-1, trained.d)).reshape(walked.shape[:2])
    row = {
        "zones_true": target.zone_weights(), "zones_held_out": zone_weights(target.zones(dataset.held_out), target.count),
        "zones_sampled": zone_weights(seen, target.count), "zones_grid": None,
        "rhat_mode": mode_rhat(seen, target.count), "switch_rate": switch_rate(seen),
    }
    if box is not None:
        row["zones_grid"] = np.bincount(zones(box.lattice.points), box.mass, minlength=target.count)
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in row.items()}


def warnings(row: dict[str, Any]) -> list[str]:
    """What a reader of the row should not overlook, and what to do."""
    said = []
    if row["log_z_ess"] < TRUST * row["log_z_draws"]:
        neither = ", nor is the likelihood" if row["log_z_grid"] is None else ""
        share = f"{row['log_z_ess']:.3g} of {row['log_z_draws']} draws are effective"
        said.append(f"{share}: log_z is not to be trusted{neither}; a better flow: more --steps, --layers or --hidden")
    other = "log_z_bridge" if row["log_z_grid"] is None else "log_z_grid"
    if row[other] is not None and abs(row["log_z"] - row[other]) > SIGMAS * row["log_z_standard_error"] + SLACK:
        said.append(f"log_z is not {other}: its draws miss a part of the model. Take {other}, or train the flow longer")
    if (row["moment_gap"] or 0.0) > SIGMAS * (row["moment_gap_error"] or 0.0) + SLACK:
        apart = f"the samples' moments are {row['moment_gap']:.2g} standard deviations of the data away from the data's"
        said.append(f"{apart}: modes have wrong weights, or are missing. Train longer, with smaller rates, or with flowmc")
    worst = max(row["rhat"], row["rhat_mode"] or 0.0)
    if worst > AGREE:
        said.append(f"R-hat {worst:.3g}: the chains have not mixed; samples and their zone weights are not to be trusted: "
                    "smaller --step-size, more --local-steps, more --steps")
    for kind, do in (("local", "a smaller --step-size"), ("global", "a better flow, more --steps or --layers; a larger --N")):
        if (accepted := row[f"acceptance_{kind}"]) is not None and accepted < REFUSED:
            said.append(f"only {accepted:.1%} of the {kind} moves are taken: {do}")
    return said


def reasons(d: int) -> dict[str, str]:
    """Why a number may not be there, by name."""
    return {
        "log_z_bridge": "the draws and the chains have nothing in common",
        "log_z_grid": f"a grid has 1 or 2 dimensions, not {d}",
        **dict.fromkeys(("ess", "autocorrelation_time"), "the chains stand still, or are too short"),
        **dict.fromkeys(("zones_true", "zones_held_out", "zones_sampled", "rhat_mode", "switch_rate"),
                        "only named targets with modes have zones"),
        "zones_grid": "only named targets in 1 or 2 dimensions with modes have them",
    }
