"""Chains of trained samplers in data and latent space: Grenioux et al. 2023, Fig. 5 and the chains of Fig. 4.

All six algorithms learn the four modes on a line, with the settings of four_modes.py; then each runs its own sampler from where
its training would, with 64 chains. The figures themselves could not be had: they are rebuilt from their description.
Controls change one thing at a time:

    flowmc-local    flowMC's energy by MALA alone, in the data space
    flowmc-latent   the same in the latent space of its flow, flowmc-exact: p* there
    nt-longer       NT's chains five times as long
    nt-exact        p* in the latent space of NT's flow, by MALA as NT: a perfect energy, the same flow
    exact-local     p* by MALA in the data space, from the same starts
    exact-flowmc    p* by flowMC with NT's flow: the same flow, another sampler

Measured of each, whatever the chain has for a step (of flowMC one move, local or global):

    switch_rate           how often a chain's zone differs from that a step before
    rhat_mode, rhat       R-hat of the zones' indicators, and of the positions: the larger of both coordinates
    zones_chains          the zones' weights by counting states; zones_density: of the density, by its mass on a grid;
    chains_density        and the mean squared error between the two
    tau                   autocorrelation time of x_1 in steps, states per effective one: chains that disagree count as slow
    tau_evaluations       the same in evaluations of the log density, with its gradient or without
    ess_per_1000          effective states for 1,000 evaluations
    barriers              for each two neighbouring modes: how far below the lower of their tops the best path between them
                          dips, in nats, in the space in which the sampler walks
    kl, kl_flow           of p* to that density, and to the trained flow, on the grid

Presets quick, best and paper train as those of four-modes do (best: flowMC, PCD and NT alone; paper: not run here). A seed of
quick takes a minute or two on two cores.

    evenflow reproduce latent-chains --preset quick --seeds 3

writes results.json, chains.png, weights.png and latent.png, and for each training a folder.
"""
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments import four_modes, planar
from evenflow.experiments import latent_chains_pictures as draw
from evenflow.experiments.latent_chains_measures import barriers, divergence, of_chains, pulled_back
from evenflow.experiments.latent_chains_samplers import CHAINS, evaluations, samplers, step_size, to_data, walked
from evenflow.experiments.planar import CELLS
from evenflow.experiments.planar_measures import at_host, weighed
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import write_json, write_results
from evenflow.reference.core import Array, fetched, placed
from evenflow.reference.ebm.normalizer import grid
from evenflow.reference.mcmc.contract import LogDensity
from evenflow.reference.work.files import write_aside
from evenflow.reference.work.stretches import TrainingStopped

Row = dict[str, Any]
STUDY, TARGET = four_modes.STUDY, four_modes.STUDY.target
PRESETS = {"quick": 2_000, "best": 4_000, "paper": 4_000}  # steps of each chain; the trainings are those of STUDY
LONGER = 5
PICTURES = ("chains.png", "weights.png", "latent.png")
ROW = (
    "algorithm", "sampler", "seed", "switch_rate", "rhat_mode", "rhat", "chains_density", "tau", "tau_evaluations",
    "ess_per_1000", "barriers", "acceptance_local", "acceptance_global", "step_size", "evaluations", "steps", "kl", "kl_flow",
    "zones_chains", "zones_density", "stopped_at",
)


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


def summary(rows: list[Row]) -> list[Row]:
    """What the terminal shows of each row."""
    return [{name: row[name] for name in (*ROW[1:10], "stopped_at")} for row in rows]


def learn(algorithm: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep) -> list[Row]:
    """One training and its samplers, kept beside its checkpoint; their rows, or that of a training that broke off."""
    folder, how = out / f"{algorithm}-seed{seed}", STUDY.presets[preset]
    identity = {"study": "latent-chains", "algorithm": algorithm, "preset": preset, "seed": seed}
    if resume and (folder / "rows.json").exists():
        kept = json.loads((folder / "rows.json").read_text())
        for name, value in identity.items():
            if kept["identity"][name] != value:
                raise ValueError(f"{name} is {kept['identity'][name]} there, {value} here: {folder} holds another training")
        return list(kept["rows"])
    known = {"algorithm": algorithm, "seed": seed}
    try:
        model, state = planar.trained(STUDY, algorithm, how, seed, folder, resume, identity, on_step)
        found, shown = measured(model, state, PRESETS[preset], np.random.default_rng([seed, 5]))
        rows = [dict.fromkeys(ROW) | known | row for row in found]
        write_aside(folder / "drawn.npz", lambda file: np.savez_compressed(file, **shown))
    except TrainingStopped as stopped:
        rows = [dict.fromkeys(ROW) | known | {"sampler": algorithm, "stopped_at": stopped.step}]
    write_json(folder / "rows.json", {"identity": identity, "rows": rows})
    return rows


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
    print(page(sys.argv[1:]), end="")
