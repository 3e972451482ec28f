"""One row of each table on the definitions and on the fastest backends: whether it matters what computes.

Every other page was made with the fastest backend of the host. Here one row of each of these tables, preset quick, is trained
with `reference` and with each other backend of the host, from the same data, starts and noise. Sums round differently, in
float32, and after some tens of steps the courses are no longer the same: what should agree are the results, to within what
other seeds change.

    evenflow reproduce backends --seeds 3

writes results.json and gaps.png. The preset quick is the only one; it takes much longer than those of the other experiments,
for `reference` is what it is about.
"""
import math
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from evenflow import accel
from evenflow.experiments import EXPERIMENTS, ebm_trainings
from evenflow.experiments.judged import cell, mean
from evenflow.experiments.pages import filled, markdown, show, versions
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import Row, remembered, write_results
from evenflow.reference.app.pictures import COLOURS, new_figure, write

PRESETS: dict[str, dict[str, Any]] = {"quick": {}}
PICTURES = ("gaps.png",)
FLOWMC = {"median_squared_error": "median squared error", "model_true": "E vs p*"}
QUALITY = {"d_loss": "D-loss", "energy_score": "energy score"}
CASES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {  # experiment -> which row of its table, which measures of it
    "two-modes": ({"algorithm": "flowmc"}, {"final_weight": "final weight", "chain_weight": "weight of its chains"}),
    "eight-gaussians": ({"algorithm": "flowmc"}, FLOWMC),
    "rings": ({"algorithm": "flowmc"}, FLOWMC),
    "four-modes": ({"algorithm": "flowmc"}, FLOWMC),
    "block-sweep": ({"blocks": 16, "objective": "energy"}, QUALITY),
    "objectives": ({"data": "checkerboard", "objective": "energy, beta = 1"}, QUALITY),
}


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False
) -> list[Row]:
    """Each case with each backend of the host and each seed; write into `out`; return the rows."""
    asked(preset, PRESETS, seeds)
    out = Path(out)
    backends = [row.backend for row in accel.available() if row.available and row.backend != "cupy"]
    jobs = [(name, backend, seed, out, resume) for seed in seeds for backend in backends for name in CASES]
    rows = side_by_side(learn, jobs, on_step)
    write_results(out / "results.json", {"experiment": "backends", "preset": preset, "rows": rows}, "scikit-learn")
    draw(out / "gaps.png", rows)
    return rows


def summary(rows: list[Row]) -> list[Row]:
    """What the terminal shows: each value on each backend."""
    return [
        {name: row[name] for name in ("experiment", "backend", "seed")} | {"measure": CASES[row["experiment"]][1][field],
                                                                            "value": value}
        for row in rows for field, value in row["values"].items()
    ]


def learn(name: str, backend: str, seed: int, out: Path, resume: bool, on_step: OnStep) -> Row:
    """The row of one training."""
    folder, (where, measures) = out / f"{name}-{backend}-seed{seed}", CASES[name]

    def make() -> Row:
        script: Any = import_module(EXPERIMENTS[name])
        study = (script.STUDY,) if hasattr(script, "STUDY") else ()
        with accel.use(backend):
            told = (ebm_trainings if study else script).learn(
                *study, *where.values(), "quick", seed, folder, resume, lambda job, now: on_step(f"{job}, {backend}", now))
        values = getattr(told, "row", told)  # two modes' has pictures beside it
        return {"experiment": name, "backend": backend, "seed": seed, "values": {field: values[field] for field in measures}}

    return remembered(folder / "backend.json", resume, make)


def values_of(rows: list[Row], name: str, field: str) -> dict[str, list[float]]:
    """Backend -> the values of its seeds."""
    mine = [row for row in rows if row["experiment"] == name]
    backends = dict.fromkeys(row["backend"] for row in mine)
    return {one: [row["values"][field] for row in mine if row["backend"] == one] for one in backends}


def gaps(rows: list[Row]) -> dict[tuple[str, str, str], float]:
    """Experiment, measure, backend -> the gap of its mean to reference's, in standard errors of the difference.

    The errors are those of the seeds, with one variance for all backends.
    """
    found = {}
    for name, (_, measures) in CASES.items():
        for field in measures:
            values = values_of(rows, name, field)
            n = min(map(len, values.values()), default=0)
            if n > 1:
                error = math.sqrt(2 / n * float(np.mean([np.var(mine, ddof=1) for mine in values.values()])))
                for backend, mine in values.items():
                    if backend != "reference" and error > 0:
                        found[name, field, backend] = (mean(mine) - mean(values["reference"])) / error
    return found


def draw(path: Path, rows: list[Row]) -> None:
    """A dot a measure and backend: its gap to the reference."""
    figure, told = new_figure(7.5, 4.2), gaps(rows)
    axes, places = figure.subplots(), list(dict.fromkeys((name, field) for name, field, _ in told))
    backends = list(dict.fromkeys(backend for _, _, backend in told))
    for k, backend in enumerate(backends):
        mine = {(name, field): gap for (name, field, one), gap in told.items() if one == backend}
        axes.plot(list(mine.values()), [places.index(at) for at in mine], "o", color=COLOURS[k], label=backend, alpha=0.7)
    axes.axvspan(-2, 2, color="black", alpha=0.08)
    names = [f"{name}: {CASES[name][1][field]}" for name, field in places]
    axes.set(xlabel="gap to reference, in standard errors over the seeds", yticks=range(len(names)), yticklabels=names)
    if backends:
        axes.legend()
    write(figure, path)


def page(all_results: list[Row]) -> str:
    """docs/experiments/backends.md, from one results.json."""
    (results,) = all_results
    rows, told, lines = results["rows"], gaps(results["rows"]), []
    for name, (where, measures) in CASES.items():
        for field, said in measures.items():
            far = [abs(gap) for at, gap in told.items() if at[:2] == (name, field)]
            shown = [cell(values) for values in values_of(rows, name, field).values()]
            known = f"{max(far):.1f}" if far else "-"
            lines.append([f"[{name}]({name}.md)", ", ".join(map(str, where.values())), said, *shown, known])
    backends = list(dict.fromkeys(row["backend"] for row in rows))
    n = len({row["seed"] for row in rows})
    far = [abs(gap) for gap in told.values()]
    said = (
        f"Of {len(far)} gaps {sum(gap <= 2 for gap in far)} are below 2, {sum(gap <= 3 for gap in far)} below 3; the largest "
        f"is {max(far, default=math.nan):.1f}. With {n} seeds a standard error is itself uncertain."
    )
    made = f"    evenflow reproduce backends --seeds {n} --out backends\n"
    made += "    python -m evenflow.experiments.backends backends/results.json > backends.md"
    table = markdown(["page", "row", "measure", *backends, "gap"], lines)
    return filled("backends", made=made, versions=versions(results), table=table, findings=said)


if __name__ == "__main__":
    show(page)
