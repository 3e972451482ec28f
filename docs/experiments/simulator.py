r"""Posterior of a simulator: $p(\theta \mid x)$ learned from simulated pairs, and tested (Lueckmann et al. 2021).

`FlowRegressor` fitted to x as given and theta as y is a posterior for every x at once. Two tasks with known posteriors
(simulator_tasks.py), simulation budgets of 1,000 and 10,000; SAEF by energy, SAEF and a spline flow by likelihood, and zuko's
neural spline flow by likelihood; the exact posterior as the control. Measured (simulator_measures.py):

    SBC      of 1,000 fresh pairs (theta*, x): the rank of theta* among 39 draws for that x, coordinate by coordinate. Uniform
             if the posterior is right on average over x (Talts et al. 2018); chi^2 over 20 bins
    D-loss   of draws against exact ones, at three x: log 2 = 0.693 if a classifier cannot tell them apart

    pip install zuko
    evenflow reproduce simulator --preset best --seeds 3

writes results.json, ranks.png and posteriors.png. quick: 300 steps, 1,000 simulations, without zuko; long:
12,000 steps of ours, 10,000 simulations.
"""
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenflow.experiments import simulator_pictures as draw
from evenflow.experiments.pages import show
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import Row, kept, write_results
from evenflow.experiments.simulator_measures import MEASURED, d_losses, ranks, sbc
from evenflow.experiments.simulator_models import METHODS, OURS
from evenflow.experiments.simulator_tasks import TASKS

PICTURES = ("ranks.png", "posteriors.png")
EXACT = "exact"
NEEDS = {"zuko NSF, likelihood": "zuko"}


class Preset(NamedTuple):
    methods: tuple[str, ...]
    budgets: tuple[int, ...]
    choices: dict[str, Any]  # of FlowRegressor


PRESETS = {
    "quick": Preset(OURS, (1000,), {"steps": 300}), "best": Preset(tuple(METHODS), (1000, 10_000), {}),
    "long": Preset(OURS, (10_000,), {"steps": 12_000}),
}


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False
) -> list[Row]:
    """Fit all, as many at a time as there are cores; measure, draw and write into `out`; return the rows."""
    how, out = asked(preset, PRESETS, seeds), Path(out)
    models = [(method, n) for method in how.methods for n in how.budgets]
    jobs = [(task, *model, seed, preset, out, resume) for seed in seeds for task in TASKS for model in [(EXACT, 0), *models]]
    rows = side_by_side(learn, jobs, on_step)
    at = {name: i for i, name in enumerate((*TASKS, EXACT, *METHODS))}
    rows.sort(key=lambda row: (at[row["task"]], at[row["method"]], row["simulations"], row["seed"]))
    others = [name for name in ("torch", "zuko") if find_spec(name)] if preset == "best" else []
    results = {"experiment": "simulator", "preset": preset, "settings": how._asdict(), "seeds": list(seeds), "rows": rows}
    write_results(out / "results.json", results, "scikit-learn", *others)
    draw.histograms(out / "ranks.png", rows)
    first = [row for row in rows if row["seed"] == seeds[0] and row["unavailable"] is None]
    draw.posteriors(out / "posteriors.png", {
        (row["task"], row["method"]): np.load(folder_of(out, row) / "drawn.npy")
        for row in first if row["simulations"] in (0, max(how.budgets))})
    return rows


def summary(rows: list[Row]) -> list[Row]:
    """What the terminal shows of each row."""
    return [{name: row[name] for name in ("task", "method", "simulations", "seed", *MEASURED, "unavailable")} for row in rows]


def folder_of(out: Path, row: Row) -> Path:
    return out / "-".join(str(row[name]).replace(", ", "-").replace(" ", "-")
                          for name in ("task", "method", "simulations", "seed"))


def learn(task: str, method: str, n: int, seed: int, preset: str, out: Path, resume: bool, on_step: OnStep) -> Row:
    """One row. One of a package that is not there says which, and has no measurements."""
    row: Row = {"task": task, "method": method, "simulations": n, "seed": seed, **dict.fromkeys(MEASURED), "ranks": None,
                "train_seconds": None, "unavailable": None}
    folder, there = folder_of(out, row), {"preset": preset, "task": task, "method": method, "simulations": n}
    if (package := NEEDS.get(method)) and find_spec(package) is None:
        return row | {"unavailable": package}
    folder.mkdir(parents=True, exist_ok=True)
    make = lambda: row | calibrated(task, method, n, seed, PRESETS[preset].choices, folder)
    return dict(kept(folder / "row.json", {"run": there}, "row", resume, make))


def calibrated(task: str, method: str, n: int, seed: int, choices: dict[str, Any], folder: Path) -> Row:
    """What is measured of one posterior; draws of it go into the folder."""
    rng, known_task, start = np.random.default_rng([seed, n]), TASKS[task], time.perf_counter()
    row: Row = {}
    if method == EXACT:
        posterior = lambda x, m: np.stack([known_task.posterior(each, m, rng) for each in x], axis=1)  # (m, len(x), d)
    else:
        theta = known_task.prior(n, rng)
        x, start = known_task.simulate(theta, rng), time.perf_counter()
        posterior = METHODS[method](x, theta, seed, choices)
        row["train_seconds"] = round(time.perf_counter() - start, 3)
    counts = ranks(known_task, posterior, np.random.default_rng([seed, 1]))
    losses, drawn = d_losses(known_task, posterior, seed)
    np.save(folder / "drawn.npy", drawn)
    return row | {"ranks": counts.tolist(), **sbc(counts), **losses}


if __name__ == "__main__":
    from evenflow.experiments.simulator_pages import page
    show(page)
