"""One row of each table on the definitions and on the fastest backends: whether it matters what computes.

Every other page was made with the fastest backend of the host. Here one row of each of these tables, preset quick, is trained
with `reference` and with each other backend of the host, from the same data, starts and noise. Sums round differently, in
float32; where Markov chains run in the training, the courses are no longer the same after some tens of steps, and what should
agree are the results, to within what other seeds change.

    evenflow reproduce backends --seeds 3

writes results.json and gaps.png. The preset quick is the only one; it takes much longer than those of the other experiments,
for `reference` is what it is about.
"""
import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from evenflow import accel
from evenflow.experiments import EXPERIMENTS
from evenflow.experiments.judged import cell, having, mean
from evenflow.experiments.pages import filled, markdown, show, versions
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import Row, remembered, write_results
from evenflow.reference.app.pictures import COLOURS, new_figure, write

PRESETS: dict[str, dict[str, Any]] = {"quick": {}}
PICTURES = ("gaps.png",)


class Case(NamedTuple):
    """One row of a table. row: the columns that its script's `learn` makes it from; measures: those that are compared, and what
    they are called; among: what tells it from others that the same `learn` makes."""
    row: dict[str, Any]
    measures: dict[str, str]
    among: Mapping[str, Any] = MappingProxyType({})

    def __str__(self) -> str:
        return ", ".join(f"{column} {value}" for column, value in {**self.row, **self.among}.items())


FLOWMC, QUALITY = {"algorithm": "flowmc"}, {"d_loss": "D-loss", "energy_score": "energy score"}
DENSITY = {"median_squared_error": "median squared error", "model_true": "E vs p*"}
CASES = {  # experiment -> the row
    "two-modes": Case(FLOWMC, {"final_weight": "final weight", "chain_weight": "weight of its chains"}),
    "eight-gaussians": Case(FLOWMC, DENSITY),
    "rings": Case(FLOWMC, DENSITY),
    "four-modes": Case(FLOWMC, DENSITY),
    "latent-chains": Case({"algorithm": "fce"}, {"kl": "KL of E", "kl_flow": "KL of its flow"}),
    "mixture-16": Case(
        {"reading": "paper", "algorithm": "fce"}, {"rhat": "R-hat", "median_squared_error": "median squared error"}),
    "block-sweep": Case({"blocks": 16, "objective": "energy"}, QUALITY),
    "objectives": Case({"data": "checkerboard", "objective": "energy, beta = 1"}, QUALITY),
    "draws": Case({"data": "digits", "draws": 4, "eps": 0.0, "plan": "steps"}, QUALITY),
    "generators": Case({"head": "free form", "blocks": 16, "noise": 16, "draws": 4, "beta": 1.0}, QUALITY),
    "likelihood-vs-quality": Case(
        {"data": "digits", "family": "SAEF spline", "blocks": 4, "size": "large", "objective": "energy"},
        {"d_loss": "D-loss", "likelihood": "minus bits per dim"}, {"steps": 150}),
    "posterior": Case({"blocks": 4, "objective": "energy"}, {"z_distance": "distance of z", "z_d_loss": "D-loss of z"}),
    "tabular": Case({"data": "patches", "model": "SAEF, B = 3, energy"}, QUALITY | {"log_density": "log density"}),
    "image-saef": Case({"data": "digits", "model": "coupling, energy, b = 4"}, QUALITY),
    "glow-objectives": Case({"data": "digits", "model": "likelihood"}, {"d_loss": "D-loss", "bits_per_dim": "bits per dim"}),
    "image-ebm": Case({"algorithm": "pcd"}, {"contrast": "contrast", "switches": "switches"}),
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
        {name: row[name] for name in ("experiment", "backend", "seed")} | {
            "measure": CASES[row["experiment"]].measures[field], "value": value}
        for row in rows for field, value in row["values"].items()
    ]


def learn(name: str, backend: str, seed: int, out: Path, resume: bool, on_step: OnStep) -> Row:
    """The row of one training."""
    folder, case = out / f"{name}-{backend}-seed{seed}", CASES[name]

    def make() -> Row:
        script: Any = import_module(EXPERIMENTS[name])
        with accel.use(backend):
            told = script.learn(
                *case.row.values(), "quick", seed, folder, resume, lambda job, now: on_step(f"{job}, {backend}", now))
        rows = told if isinstance(told, list) else [getattr(told, "row", told)]  # two modes' has pictures beside it
        (row,) = having(rows, **case.row, **case.among)
        return {"experiment": name, "backend": backend, "seed": seed, "values": {field: row[field] for field in case.measures}}

    return remembered(folder / "backend.json", resume, make)


def values_of(rows: list[Row], name: str, field: str) -> dict[str, list[float]]:
    """Backend -> the values of its seeds."""
    mine = [row for row in rows if row["experiment"] == name]
    backends = dict.fromkeys(row["backend"] for row in mine)
    return {one: [row["values"][field] for row in mine if row["backend"] == one] for one in backends}


def seeds_of(values: dict[str, list[float]]) -> int:
    return min(map(len, values.values()), default=0)


def deviation(values: dict[str, list[float]]) -> float:
    """Over the seeds, one for all backends."""
    return math.sqrt(float(np.mean([np.var(mine, ddof=1) for mine in values.values()])))


def same_seed(values: dict[str, list[float]]) -> float:
    """The largest difference from reference at the same seed, in deviations over the seeds."""
    return float(np.max(np.abs(np.array(list(values.values())) - values["reference"]))) / deviation(values)


def gaps(rows: list[Row]) -> dict[tuple[str, str, str], float]:
    """Experiment, measure, backend -> the gap of its mean to reference's, in standard errors of the difference.

    The errors are those of the seeds, with one variance for all backends.
    """
    found = {}
    for name, case in CASES.items():
        for field in case.measures:
            values = values_of(rows, name, field)
            n = seeds_of(values)
            if n > 1:
                error = math.sqrt(2 / n) * deviation(values)
                for backend, mine in values.items():
                    if backend != "reference" and error > 0:
                        found[name, field, backend] = (mean(mine) - mean(values["reference"])) / error
    return found


def draw(path: Path, rows: list[Row]) -> None:
    """A dot a measure and backend: its gap to the reference."""
    told, places = gaps(rows), list(farthest(rows))
    figure = new_figure(7.5, 1.2 + 0.25 * len(places))
    axes = figure.subplots()
    backends = list(dict.fromkeys(backend for _, _, backend in told))
    for k, backend in enumerate(backends):
        mine = {(name, field): gap for (name, field, one), gap in told.items() if one == backend}
        axes.plot(list(mine.values()), [places.index(at) for at in mine], "o", color=COLOURS[k], label=backend, alpha=0.7)
    axes.axvspan(-2, 2, color="black", alpha=0.08)
    names = [f"{name}: {CASES[name].measures[field]}" for name, field in places]
    axes.set(xlabel="gap to reference, in standard errors over the seeds", yticks=range(len(names)), yticklabels=names)
    if backends:
        axes.legend()
    write(figure, path)


def farthest(rows: list[Row]) -> dict[tuple[str, str], float]:
    """Experiment, measure -> the largest gap of a backend."""
    found: dict[tuple[str, str], float] = {}
    for (name, field, _), gap in gaps(rows).items():
        found[name, field] = max(abs(gap), found.get((name, field), 0.0))
    return found


def findings(rows: list[Row]) -> str:
    """Whether backends differ by less than seeds, line by line."""
    far, beyond = farthest(rows), []
    for (name, field), gap in far.items():
        n = seeds_of(values_of(rows, name, field))
        if gap * math.sqrt(2 / n) > 1:  # standard errors of a difference, in deviations
            beyond.append(f"{name}, {CASES[name].measures[field]} ({gap * math.sqrt(2 / n):.1f})")
    not_so = f"; it is not, deviations in brackets, in {'; '.join(beyond)}" if beyond else ""
    every = [abs(gap) for gap in gaps(rows).values()]
    return (
        f"In {len(far) - len(beyond)} of {len(far)} lines the largest difference of a backend's mean from reference's is "
        f"smaller than the standard deviation over the seeds{not_so}.\n\n"
        f"Of the {len(every)} gaps of single backends {sum(gap <= 2 for gap in every)} are below 2, "
        f"{sum(gap <= 3 for gap in every)} below 3; the largest is {max(every, default=math.nan):.1f}. With so few seeds a "
        "standard error is itself uncertain."
    )


def page(all_results: list[Row]) -> str:
    """docs/experiments/backends.md, from one results.json."""
    (results,) = all_results
    rows, far, lines = results["rows"], farthest(results["rows"]), []
    for name, case in CASES.items():
        for field, said in case.measures.items():
            values = values_of(rows, name, field)
            shown = [cell(mine) for mine in values.values()]
            known = [f"{same_seed(values):.1g}", f"{far[name, field]:.1f}"] if (name, field) in far else ["-", "-"]
            lines.append([f"[{name}]({name.removesuffix('-16')}.md)", str(case), said, str(seeds_of(values)), *shown, *known])
    backends = list(dict.fromkeys(row["backend"] for row in rows))
    made = f"    evenflow reproduce backends --seeds {len({row['seed'] for row in rows})} --out backends\n"
    made += "    python -m evenflow.experiments.backends backends/results.json > backends.md"
    table = markdown(["page", "row", "measure", "seeds", *backends, "same seed", "gap"], lines)
    return filled("backends", made=made, versions=versions(results), table=table, findings=findings(rows))


if __name__ == "__main__":
    show(page)
