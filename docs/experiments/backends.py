"""One row of each table on the definitions and on the fastest backend: whether it matters what computes.

Every other page was made with the fastest backend of the host. Here one training of each, preset quick, seed 0, is made twice,
with `reference` and with each other backend of the host, from the same data, start and noise. Sums round differently, in
float32, and after some hundred steps the courses are no longer the same: what should agree are the results, to within what
another seed changes.

    evenflow reproduce backends

writes results.json and gaps.png. The preset quick is the only one; it takes much longer than those of the other experiments,
for `reference` is what it is about.
"""
import json
import math
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from evenflow import accel
from evenflow.experiments.judged import markdown
from evenflow.experiments.pool import OnStep, side_by_side
from evenflow.experiments.results import write_json, write_results
from evenflow.reference.app.pictures import COLOURS, new_figure, write
from evenflow.reference.core import lookup

PRESETS = {"quick": {"preset": "quick", "seed": 0}}
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
) -> list[dict[str, Any]]:
    """Each case with each backend of the host, one seed; write into `out`; return the rows."""
    lookup("preset", preset, PRESETS)
    if list(seeds) != [0]:
        raise ValueError(f"seeds must be 1: backends compares one training of each, got {len(seeds)}")
    out = Path(out)
    backends = [row.backend for row in accel.available() if row.available and row.backend != "cupy"]
    jobs = [(name, backend, out, resume) for backend in backends for name in CASES]
    rows = side_by_side(learn, jobs, on_step)
    write_results(out / "results.json", {"experiment": "backends", "preset": preset, "rows": rows}, "scikit-learn")
    draw(out / "gaps.png", rows, spreads())
    return rows


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the terminal shows of each row."""
    return [{name: value for name, value in row.items() if name != "values"} | row["values"] for row in rows]


def learn(name: str, backend: str, out: Path, resume: bool, on_step: OnStep) -> dict[str, Any]:
    """The row of one training."""
    path = out / f"{name}-{backend}" / "backend.json"
    if resume and path.exists():
        return dict(json.loads(path.read_text()))
    from evenflow.experiments import EXPERIMENTS
    script: Any = import_module(EXPERIMENTS[name])
    where, measures = CASES[name]
    study = (script.STUDY,) if hasattr(script, "STUDY") else ()
    trainer = import_module("evenflow.experiments.planar") if study else script
    with accel.use(backend):
        told = trainer.learn(*study, *where.values(), "quick", 0, path.parent, resume,
                             lambda job, progress: on_step(f"{job}, {backend}", progress))
    values = getattr(told, "row", told)  # two modes' has pictures beside it
    row = {"experiment": name, "backend": backend, "values": {field: values[field] for field in measures}}
    write_json(path, row)
    return row


def spreads() -> dict[tuple[str, str], float]:
    """Experiment, measure -> its standard deviation over the seeds of the committed quick results, where there are several."""
    found = {}
    for name, (where, measures) in CASES.items():
        path = Path(__file__).resolve().parents[1] / f"results/{name}-quick.json"
        rows = json.loads(path.read_text())["rows"] if path.exists() else []
        mine = [row for row in rows if all(row.get(key) == value for key, value in where.items())]
        for field in measures:
            values = [row[field] for row in mine if row.get(field) is not None]
            if len(values) > 1:
                found[name, field] = float(np.std(values, ddof=1))
    return found


def gaps(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], tuple[float, float]]:
    """Experiment, measure, backend other than reference -> the values of reference and of the backend."""
    at = {(row["experiment"], row["backend"]): row["values"] for row in rows}
    return {
        (name, field, backend): (at[name, "reference"][field], values[field])
        for (name, backend), values in at.items() if backend != "reference" for field in values
    }


def draw(path: Path, rows: Sequence[Mapping[str, Any]], spread: Mapping[tuple[str, str], float]) -> None:
    """A dot a measure and backend: the gap to the reference, in standard deviations over the seeds."""
    figure = new_figure(7.5, 4.2)
    axes, names = figure.subplots(), [f"{name}: {CASES[name][1][field]}" for name, field in spread]
    colours = dict(zip(dict.fromkeys(row["backend"] for row in rows if row["backend"] != "reference"), COLOURS, strict=False))
    for (name, field, backend), (a, b) in gaps(rows).items():
        if (name, field) in spread:
            at = list(spread).index((name, field))
            axes.plot((b - a) / spread[name, field], at, "o", color=colours[backend], alpha=0.7)
    for backend, colour in colours.items():
        axes.plot([], [], "o", color=colour, label=backend)
    axes.axvspan(-1, 1, color="black", alpha=0.08, label="one standard deviation over seeds")
    axes.set(xlabel="gap to reference, in standard deviations over the seeds", yticks=range(len(names)), yticklabels=names)
    axes.legend()
    write(figure, path)


HEAD = """# Backends: one row of each table, computed by the definitions

The other pages were made with `compiled`, or `numpy`, as stands beside their commands. `docs/experiments/backends.py` makes one
training of each also with `reference`, plain autograd of the definitions: same data, start and noise, preset `quick`, seed 0.
Sums round differently in float32, and a training of some hundred steps makes another course out of that; so the numbers are not
equal, and the question is whether they are further apart than those of two seeds. *spread*: the standard deviation over the
seeds of that page's `quick`, where it has several.
"""


def page(results: Mapping[str, Any]) -> str:
    """docs/experiments/backends.md, from results.json."""
    spread, lines = spreads(), []
    for name, (where, measures) in CASES.items():
        at = {row["backend"]: row["values"] for row in results["rows"] if row["experiment"] == name}
        for field, said in measures.items():
            known = f"{spread[name, field]:.2g}" if (name, field) in spread else "-"
            shown = [f"{values[field]:.4g}" for values in at.values()]
            lines.append([f"[{name}]({name}.md)", ", ".join(map(str, where.values())), said, *shown, known])
    backends = list(dict.fromkeys(row["backend"] for row in results["rows"]))
    known_gaps = {key: pair for key, pair in gaps(results["rows"]).items() if key[:2] in spread}
    far = [abs(b - a) / spread[key[:2]] for key, (a, b) in known_gaps.items()]
    said = (
        f"Of {len(far)} gaps that can be compared with a spread, {sum(gap <= 1 for gap in far)} are within one standard "
        f"deviation, {sum(gap <= 2 for gap in far)} within two; the largest is {max(far, default=math.nan):.2f}. Two seeds "
        "differ by 1.4 (root mean square)."
    )
    versions = ", ".join(f"{package} {number}" for package, number in results["versions"].items())
    return "\n".join([
        HEAD, "    evenflow reproduce backends --out backends",
        "    python -m evenflow.experiments.backends backends/results.json > backends.md", "",
        f"Python {results['python']}, {versions}.", "",
        markdown(["page", "row", "measure", *backends, "spread"], lines), "", said, "",
        "![gaps between backends](../images/backends.png)",
    ]) + "\n"


if __name__ == "__main__":
    print(page(json.loads(Path(sys.argv[1]).read_text())), end="")
