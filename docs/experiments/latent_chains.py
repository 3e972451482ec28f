"""Chains of trained samplers in data and latent space: Grenioux et al. 2023, Fig. 5 and the chains of Fig. 4.

All six algorithms learn the four modes on a line, with the settings of four_modes.py; then each runs its own sampler from where
its training would, and controls change one thing at a time (SAMPLERS of latent_chains_samplers.py). prose/latent-chains.md says
what is measured; beside it zones_chains are the zones' weights by counting states, zones_density by the density's mass on the
grid, chains_density the mean squared error between them, and kl_flow is of p* to the trained flow.

Presets quick, best and paper train as those of four-modes do (best: flowMC, PCD and NT alone; paper: not run here). A seed of
quick takes a minute or two on two cores.

    evenflow reproduce latent-chains --preset quick --seeds 3

writes results.json, chains.png, weights.png and latent.png, and for each training a folder.
"""
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments import ebm_trainings, four_modes
from evenflow.experiments import latent_chains_pictures as draw
from evenflow.experiments.latent_chains_measures import barriers, divergence, of_chains, pulled_back
from evenflow.experiments.latent_chains_samplers import CHAINS, evaluations, samplers, step_size, to_data, walked
from evenflow.experiments.pages import show
from evenflow.experiments.planar import CELLS
from evenflow.experiments.planar_measures import at_host, weighed
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import Row, kept, only, write_results
from evenflow.reference.core import Array, fetched, placed
from evenflow.reference.ebm.normalizer import grid
from evenflow.reference.mcmc.contract import LogDensity
from evenflow.reference.work.files import write_aside
from evenflow.reference.work.stretches import TrainingStopped

STUDY, TARGET = four_modes.STUDY, four_modes.STUDY.target
PRESETS = {"quick": 2_000, "best": 4_000, "paper": 4_000}  # steps of each chain; the trainings are those of STUDY
LONGER = 5
PICTURES = ("chains.png", "weights.png", "latent.png")
ROW = (
    "algorithm", "sampler", "seed", "switch_rate", "rhat_mode", "rhat", "chains_density", "tau", "tau_evaluations",
    "ess_per_1000", "barriers", "acceptance_local", "acceptance_global", "step_size", "evaluations", "steps", "kl", "kl_flow",
    "zones_chains", "zones_density", "stopped_at",
)
summary = partial(only, (*ROW[1:10], "stopped_at"))


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False
) -> list[Row]:
    """Train each algorithm with each seed, run its samplers, draw the first seed's into `out`; return a row a sampler."""
    asked(preset, PRESETS, seeds)
    out, how = Path(out), STUDY.presets[preset]
    jobs = [(algorithm, preset, seed, out, resume) for seed in seeds for algorithm in how.algorithms]
    rows = [row for rows in side_by_side(learn, jobs, on_step) for row in rows]
    settings = asdict(how) | {"chains": CHAINS, "steps": PRESETS[preset], "longer": LONGER}
    write_results(out / "results.json", {"experiment": "latent-chains", "preset": preset, "settings": settings, "rows": rows})
    first = [row for row in rows if row["seed"] == seeds[0] and row["stopped_at"] is None]
    draw.pictures(out, TARGET, first, drawn(out, first), STUDY.base_sd)
    return rows


def learn(algorithm: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep) -> list[Row]:
    """One training and its samplers, kept beside its checkpoint; their rows, or that of a training that broke off."""
    folder, how = out / f"{algorithm}-seed{seed}", STUDY.presets[preset]
    identity = {"study": "latent-chains", "algorithm": algorithm, "preset": preset, "seed": seed}

    def make() -> list[Row]:
        known = dict.fromkeys(ROW) | {"algorithm": algorithm, "seed": seed}
        try:
            model, state = ebm_trainings.trained(STUDY, algorithm, how, seed, folder, resume, identity, on_step)
            found, shown = measured(model, state, PRESETS[preset], np.random.default_rng([seed, 5]))
        except TrainingStopped as stopped:
            return [known | {"sampler": algorithm, "stopped_at": stopped.step}]
        write_aside(folder / "drawn.npz", lambda file: np.savez_compressed(file, **shown))
        return [known | row for row in found]

    return list(kept(folder / "rows.json", {"identity": identity}, "rows", resume, make))


def measured(model: Any, state: Any, steps: int, rng: np.random.Generator) -> tuple[list[Row], dict[str, Array]]:
    """A row for each sampler of a trained model, and what the pictures need."""
    box, true, own = STUDY.box, grid(TARGET.log_prob, STUDY.box), grid(at_host(model, state), STUDY.box)
    zones = TARGET.zones(box.points)
    flow = divergence(true, grid(flow_at_host(model, state), box)) if hasattr(model, "flow") else None
    rows: list[Row] = []
    shown: dict[str, Array] = {}
    for sampler in samplers(STUDY, model, state, LONGER, rng):
        density, moves, each = true if sampler.exact else own, steps * sampler.longer, evaluations(sampler.kernel)
        x, accepted = walked(sampler, moves, rng)
        row, log_p = dict[str, Any](accepted), density.log_p
        if sampler.latent:
            shown |= {} if sampler.longer > 1 else draw.in_latent_space(sampler, x, STUDY.base_sd)
            x, log_p = to_data(model, state, x), pulled_back(model, state, box, log_p)
        row |= {"sampler": sampler.name, "steps": moves, "evaluations": each, "step_size": step_size(sampler.kernel)}
        row |= {"kl": divergence(true, density), "kl_flow": flow}
        row |= of_chains(TARGET, x, weighed(TARGET, box.points, density.mass), each)
        rows.append(row | {"barriers": barriers(log_p.reshape(CELLS, CELLS), zones.reshape(CELLS, CELLS))})
        shown[f"{sampler.name} x"] = x[: draw.STATES, : draw.SHOWN].astype(np.float32)
    return rows, shown


def flow_at_host(model: Any, state: Any) -> LogDensity:
    return lambda x: fetched(model.flow.log_prob(state.flow, placed(x, np.float32))).astype(np.float64)


def drawn(out: Path, rows: Sequence[Row]) -> dict[str, Array]:
    """What the pictures need, of all samplers of one seed."""
    folders = dict.fromkeys(out / f"{row['algorithm']}-seed{row['seed']}" for row in rows)
    return {name: array for folder in folders for name, array in np.load(folder / "drawn.npz").items()}


if __name__ == "__main__":
    from evenflow.experiments.latent_chains_pages import page
    show(page)
