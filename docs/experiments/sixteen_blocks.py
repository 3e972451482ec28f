"""Energy or likelihood at sixteen blocks: what it takes for equal samples (Si et al. 2023).

The model of block-sweep at B = 16 is trained by likelihood and by the energy score with more draws, another beta, and for
longer, and each is judged by the mean of JUDGES D-losses, each of its own 297 samples. Two presets:

    quick   60 steps, 120 where others have 800 and 2,400
    best    800 and 2,400 steps of 128, Adam 1e-3 decaying linearly to zero, as in block-sweep

    evenflow reproduce sixteen-blocks --preset best --seeds 3

writes results.json and judged.png.
"""
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments import judged
from evenflow.experiments.judged import cell, column, deviation, mean
from evenflow.experiments.pages import bullets, filled, made_by, markdown, show
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import Row, only, remembered
from evenflow.reference.app.pictures import COLOURS, new_figure, write
from evenflow.reference.work.evaluation import compare
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import load_run

PRESETS: dict[str, tuple[int, int]] = {"quick": (60, 120), "best": (800, 2400)}  # fewer and more steps
RUNS: dict[str, tuple[int, dict[str, Any]]] = {  # name -> whether it has more steps, and what it is trained on
    "likelihood": (0, {"objective": "likelihood", "draws": None}),
    "energy": (0, {"beta": 1.0, "draws": 4}),
    "energy, beta = 0.5": (0, {"beta": 0.5, "draws": 4}),
    "energy, 16 draws": (0, {"beta": 1.0, "draws": 16}),
    "energy, beta = 0.5, 16 draws": (0, {"beta": 0.5, "draws": 16}),
    "likelihood, longer": (1, {"objective": "likelihood", "draws": None}),
    "energy, longer": (1, {"beta": 1.0, "draws": 4}),
    "energy, beta = 0.5, longer": (1, {"beta": 0.5, "draws": 4}),
}
MEASURES = {"d_loss": "D-loss", "frechet": "Frechet", "energy_score": "energy score", "bits_per_dim": "bits per dim"}
JUDGES = 8
PICTURES = ("judged.png",)
summary = partial(only, ("run", "seed", *MEASURES))


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False
) -> list[Row]:
    """Train all, as many at a time as there are cores; judge, draw, write into `out`; return the rows."""
    asked(preset, PRESETS, seeds)
    out = Path(out)
    rows = side_by_side(learn, [(name, preset, seed, out, resume) for seed in seeds for name in RUNS], on_step)
    settings = {"steps": PRESETS[preset], "judges": JUDGES}
    judged.write_rows(out / "results.json", "sixteen-blocks", preset, settings, rows)
    draw(out / "judged.png", rows)
    return rows


def learn(name: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep) -> Row:
    longer, choices = RUNS[name]
    folder = out / f"{list(RUNS).index(name)}-seed{seed}"
    config = Config("saef", blocks=16, block_map="spline", class_conditional=True, learning_rate=1e-3, seed=seed,
                    steps=PRESETS[preset][longer], **choices)
    row = judged.learn(f"{name}, seed {seed}", {"run": name}, config, judged.Z_ORDER, folder, resume, on_step)
    return row | judged.bits(row) | (judgements(folder, seed, resume) if row["stopped_at"] is None else {})


def judgements(folder: Path, seed: int, resume: bool) -> Row:
    """D-loss and Frechet distance as means over JUDGES sets of samples; kept beside the training."""
    def make() -> Row:
        trained, dataset = load_run(folder), judged.dataset_of(judged.Z_ORDER)._replace(name="digits")
        told = []
        for judge in range(JUDGES):
            rng = np.random.default_rng([seed, judge])
            samples = trained.sample(len(dataset.held_out), rng, dataset.held_out_labels)
            told.append(compare(dataset, samples, rng, judge))
        means = {field: mean(column(told, field)) for field in ("d_loss", "frechet")}
        return means | {"d_loss_sd": deviation(column(told, "d_loss"))}

    return remembered(folder / "judged.json", resume, make)


def gaps(rows: list[Row], name: str, against: str, field: str) -> list[float]:
    """Seed by seed, what `name` has more than `against`."""
    return [a - b for a, b in zip(column(rows, field, run=name), column(rows, field, run=against), strict=True)]


def findings(rows: list[Row]) -> list[str]:
    """Each against likelihood with as many steps: ahead or behind, if the mean gap is more than two standard errors."""
    said = []
    for name, (longer, choices) in RUNS.items():
        if choices.get("objective") != "likelihood":
            against = "likelihood, longer" if longer else "likelihood"
            gap = gaps(rows, name, against, "d_loss")
            one = mean(column(rows, "d_loss_sd", run=name)) * math.sqrt(2 / JUDGES)  # of the judgement of one seed
            error = max(deviation(gap), one) / math.sqrt(len(gap))
            verdict = "ahead" if mean(gap) > 2 * error else "behind" if mean(gap) < -2 * error else "not to be told apart"
            told = ", ".join(f"{value:+.3f}" for value in gap)
            by = f"D-loss {mean(gap):+.3f}, standard error {error:.3f} ({told})"
            said.append(f"**{name}** against {against}: {verdict}, {by}")
    return said


def draw(path: Path, rows: list[Row]) -> None:
    """A panel for D-loss, one for bits per dim; a dot a seed."""
    figure = new_figure(10.0, 4.2)
    for axes, field in zip(figure.subplots(1, 2, sharey=True), ("d_loss", "bits_per_dim"), strict=True):
        for at, name in enumerate(RUNS):
            colour = COLOURS[1 if name.startswith("likelihood") else 0]
            values = column(rows, field, run=name)
            axes.plot(values, [at] * len(values), "o", color=colour, alpha=0.7)
        axes.set(xlabel=MEASURES[field], yticks=range(len(RUNS)), yticklabels=list(RUNS))
        axes.locator_params(axis="x", nbins=5)
        axes.grid(alpha=0.3)
    write(figure, path)


def table(rows: list[Row]) -> str:
    first, lines = mean(column(rows, "train_seconds", run="likelihood")), []
    for name in RUNS:
        cells = [cell(column(rows, field, run=name)) for field in MEASURES]
        lines.append([name, *cells, f"{mean(column(rows, 'train_seconds', run=name)) / first:.1f}"])
    return markdown(["trained on", *MEASURES.values(), "time"], lines)


def page(all_results: list[Row]) -> str:
    """docs/experiments/sixteen-blocks.md, from the results.json of one or more presets."""
    return filled("sixteen-blocks", lambda one: {
        "made_by": made_by(one), "table": table(one["rows"]), "findings": bullets(findings(one["rows"]))}, all_results)


if __name__ == "__main__":
    show(page)
