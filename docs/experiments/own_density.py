"""One's own density: `evenflow.sample` beside emcee, dynesty, blackjax and flowMC, on five densities that are known exactly.

The densities are those of own_density_targets.py, the samplers those of own_density_peers.py: all with their own defaults where
they have any, from the same starts, asked for 10,000 draws (`quick`) or 40,000 (`best`); emcee makes as many calls of the
density as `sample` needs for that. Measured of each:

    weights          largest error of a mode's weight, a point belonging to the nearest mode
    mean, sd         largest error of a coordinate's mean, in its deviations; of its deviation, as a share (of the funnel of v
                     alone: the others' deviations are made by draws too rare for any sampler)
    log_z, told      error of log Z, and the standard error that the sampler states
    ess              of the worst coordinate (mcmc/ess.py); of weighted draws (sum w)^2 / sum w^2; of SMC's particles unknown
    per_call         ess for 1,000 calls of the density or its gradient, adaptation and all; likewise
    per_second       ess a second, compilation and all; the page shows both as a ratio to evenflow's

A sampler that is not installed is `unavailable`. The rest of a run goes on.

    evenflow reproduce own-density --preset quick --seeds 3

writes results.json and own-density.png.
"""
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments.own_density_pages import page
from evenflow.experiments.own_density_peers import SAMPLERS, Found, installed
from evenflow.experiments.own_density_pictures import draw, written
from evenflow.experiments.own_density_targets import TARGETS, Target, modes_of
from evenflow.experiments.pages import show
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import write_results
from evenflow.reference.core import Array
from evenflow.reference.mcmc.ess import ess

Row = dict[str, Any]
PRESETS = {"quick": 10_000, "best": 40_000}  # draws
LONGEST = 2000                               # states of a chain that the effective sample size is counted from
SLOW = ("dynesty", "flowmc")                 # minutes a density: with the first seed alone
PICTURES = ("own-density.png",)


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False
) -> list[Row]:
    """A row a target, sampler and seed; those that `out` holds already are not made again."""
    n, out = asked(preset, PRESETS, seeds), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    done = {(row["target"], row["sampler"], row["seed"]) for row in rows_of(out)}
    there = {name: installed(name) for name in SAMPLERS}
    jobs = [(t, s, seed, n, out) for s in sorted(SAMPLERS, key=SLOW.__contains__) for seed in seeds for t in TARGETS
            if there[s] is not None and (t, s, seed) not in done and (s not in SLOW or seed == seeds[0])]
    side_by_side(measure, jobs, on_step)
    order = {name: i for i, name in enumerate((*TARGETS, *SAMPLERS))}
    rows = sorted((row for row in rows_of(out) if row["seed"] in seeds),
                  key=lambda row: (order[row["target"]], order[row["sampler"]], row["seed"]))
    write_results(out / "results.json", {"preset": preset, "n": n, "samplers": there, "rows": rows})
    draw(out / "own-density.png", written(out))
    return rows


def rows_of(out: Path) -> list[Row]:
    path = out / "rows.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def measure(target: str, sampler: str, seed: int, n: int, out: Path, tell: OnStep) -> None:
    """One row, written to the file of rows; what a peer raises is in it."""
    known, began = TARGETS[target](), time.perf_counter()
    row: Row = {"target": target, "sampler": sampler, "seed": seed}
    try:
        found = SAMPLERS[sampler][0](known, n, seed)
        row |= measured(known, found, time.perf_counter() - began)
        if (sampler, seed) == ("evenflow", 0):
            np.save(out / f"{target}.npy", found.x)
    except Exception as error:
        if SAMPLERS[sampler][1] is None:
            raise
        row["raised"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    with open(out / "rows.jsonl", "a") as file:
        file.write(json.dumps(row) + "\n")


def measured(target: Target, found: Found, seconds: float) -> Row:
    """Errors against what is known, and what the draws are worth."""
    w = np.full(len(found.x), 1 / len(found.x)) if found.w is None else found.w / np.sum(found.w)
    mean = w @ found.x
    sd, looked = np.sqrt(w @ (found.x - mean) ** 2), slice(0, target.looked)
    worth = effective(found, w)
    calls = found.calls + found.gradient_calls
    row = {
        "weights": None, "mean": worst((mean - target.mean) / target.sd, looked), "sd": worst(sd / target.sd - 1, looked),
        "log_z": None if found.log_z is None else found.log_z - target.log_z, "told": found.log_z_error, "ess": worth,
        "calls": found.calls, "gradient_calls": found.gradient_calls, "seconds": seconds, "warned": found.warned,
        "per_call": worth and 1000 * worth / calls, "per_second": worth and worth / seconds,
    }
    if target.weights is not None:
        seen = np.bincount(modes_of(target, found.x), weights=w, minlength=len(target.weights))
        row["weights"] = float(np.max(np.abs(seen - target.weights)))
    return row


def worst(errors: Array, looked: slice) -> float:
    return float(np.max(np.abs(errors[looked])))


def effective(found: Found, w: Array) -> float | None:
    """Effective draws; None where nobody knows."""
    if found.chains is None:
        return None if found.w is None or found.gradient_calls else float(1 / np.sum(w**2))
    thin = found.chains[:: -(-len(found.chains) // LONGEST)]
    return None if (np.ptp(thin, axis=(0, 1)) == 0).any() else float(np.min(ess(thin)))


def summary(rows: Sequence[Row]) -> list[Row]:
    """One row a target and sampler: means over the seeds of what was measured."""
    shown = ("weights", "log_z", "mean", "sd", "per_call")
    found = []
    for target in TARGETS:
        for sampler in SAMPLERS:
            of = [row for row in rows if (row["target"], row["sampler"]) == (target, sampler) and "raised" not in row]
            means = {name: [abs(row[name]) for row in of if row[name] is not None] for name in shown}
            found.append({"target": target, "sampler": sampler if of else f"{sampler}: unavailable",
                          **{name: float(np.mean(values)) if values else None for name, values in means.items()}})
    return found


if __name__ == "__main__":
    show(page)
