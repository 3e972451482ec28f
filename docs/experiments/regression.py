"""p(y | x) side by side: ours, scikit-learn's, engression and zuko, on a known truth and on four real tables.

The same splits and seeds for all, nothing tuned; the methods are in regression_models.py, the data in regression_data.py. Of
each test row every method draws 200 values of y, and all are measured alike, by those (reference/work/forecasts.py): the CRPS,
and the coverage, the width and the PIT of central intervals. Those with a density also by their mean log p(y | x). Presets:

    quick   ours with 300 steps, and scikit-learn's
    best    ours with all defaults, and all others; one whose package is not installed is a row that says `unavailable`

Heteroscedastic and pixels take the first of the seeds alone, tables all.

    pip install engression zuko
    evenflow reproduce regression --preset best --seeds 5

writes results.json, crps.png and pit.png.
"""
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenflow.experiments import regression_pictures as draw
from evenflow.experiments.pages import show
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.regression_data import DATA, TABLES, TRUTH, Parts, parts
from evenflow.experiments.regression_models import METHODS, NEEDS, OURS, SCIKIT, Fitted
from evenflow.experiments.results import Row, kept, write_results
from evenflow.reference.work.energy_evaluation import mean_and_error
from evenflow.reference.work.forecasts import DRAWS, LEVELS, forecast_figures

LARGE_SEEDS = 1
FIELDS = ("crps", "crps_se", *(f"{what}_{level}" for what in ("coverage", "width") for level in LEVELS), "pit",
          "log_likelihood", "log_likelihood_se", "train_seconds")
PICTURES = ("crps.png", "pit.png")


class Preset(NamedTuple):
    methods: tuple[str, ...]
    choices: dict[str, Any]  # of FlowRegressor


PRESETS = {
    "quick": Preset((*OURS, *SCIKIT, "truth"), {"steps": 300}),
    "best": Preset(tuple(METHODS), {}),
}


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False
) -> list[Row]:
    """Fit all, as many at a time as there are cores; measure, draw and write into `out`; return the rows."""
    how, out = asked(preset, PRESETS, seeds), Path(out)
    jobs = [
        (data, method, seed, preset, out, resume) for seed in seeds for data in DATA for method in how.methods
        if (data in TABLES or seed in seeds[:LARGE_SEEDS]) and (method != "truth" or data == TRUTH)
    ]
    rows = side_by_side(learn, jobs, on_step)
    rows.sort(key=lambda row: (DATA.index(row["data"]), list(METHODS).index(row["method"]), row["seed"]))
    others = [name for name in ("torch", *NEEDS.values()) if find_spec(name)] if preset == "best" else []
    results = {"experiment": "regression", "preset": preset, "settings": how._asdict(), "seeds": list(seeds), "rows": rows}
    write_results(out / "results.json", results, "scikit-learn", *others)
    draw.crps(out / "crps.png", rows)
    draw.pit(out / "pit.png", rows)
    return rows


def summary(rows: list[Row]) -> list[Row]:
    """What the terminal shows of each row."""
    fields = ("data", "method", "seed", "crps", "log_likelihood", "coverage_50", "coverage_90", "width_90", "unavailable")
    return [{name: row[name] for name in fields} for row in rows]


def learn(data: str, method: str, seed: int, preset: str, out: Path, resume: bool, on_step: OnStep) -> Row:
    """One row. One of a package that is not there says which, and has no measurements."""
    folder = out / f"{data}-{list(METHODS).index(method)}-seed{seed}"
    there = {"preset": preset, "data": data, "method": method, "choices": PRESETS[preset].choices}
    package, row = NEEDS.get(method), {"data": data, "method": method, "seed": seed}
    row |= dict.fromkeys(("rows", "columns", *FIELDS, "unavailable"))
    if package and find_spec(package) is None:
        return row | {"unavailable": package}

    def make() -> Row:
        split, start = parts(data, seed), time.perf_counter()
        fitted = METHODS[method](split.X, split.y, seed, PRESETS[preset].choices)
        return row | {"train_seconds": round(time.perf_counter() - start, 3), **measure(fitted, split)}

    folder.mkdir(parents=True, exist_ok=True)
    return dict(kept(folder / "row.json", {"run": there}, "row", resume, make))


def measure(fitted: Fitted, split: Parts) -> Row:
    told = forecast_figures(
        split.y_test[:, None], lambda rows: fitted.draw(split.X_test[rows], DRAWS)[:, :, None], lambda y: y,
        np.random.default_rng(0))
    if fitted.log_density is not None:
        told |= mean_and_error("log_likelihood", np.asarray(fitted.log_density(split.X_test, split.y_test), dtype=np.float64))
    known = {name: told[name] for name in FIELDS if name in told}
    return {"rows": len(split.y), "columns": split.X.shape[1], **known}


if __name__ == "__main__":
    from evenflow.experiments.regression_pages import page
    show(page)
