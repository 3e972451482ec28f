"""Energy or likelihood at sixteen blocks: what it takes for equal samples (Si et al. 2023).

At equal parameters and steps an energy-trained SAEF should have samples no worse than a likelihood-trained one. block-sweep
leaves a gap at B = 16 that is about as large as the error of one judgement. Here the same model (splines, pixels in Z-order) is
trained by likelihood and by the energy score with more draws, another beta, and for longer, and each is judged by the mean of
JUDGES D-losses, each of its own 297 samples. Two presets:

    quick   60 steps, 120 where others have 800 and 2,400
    best    800 and 2,400 steps of 128, Adam 1e-3 decaying linearly to zero, as in block-sweep

    evenflow reproduce sixteen-blocks --preset best --seeds 3

writes results.json and judged.png.
"""
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments import judged
from evenflow.experiments.judged import Row, cell, column, deviation, mean
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import write_json
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


def summary(rows: list[Row]) -> list[Row]:
    """What the terminal shows of each row."""
    return [{name: row[name] for name in ("run", "seed", *MEASURES)} for row in rows]


def learn(name: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep) -> Row:
    longer, choices = RUNS[name]
    folder = out / f"{list(RUNS).index(name)}-seed{seed}"
    config = Config("saef", blocks=16, block_map="spline", class_conditional=True, learning_rate=1e-3, seed=seed,
                    steps=PRESETS[preset][longer], **choices)
    row = judged.learn(f"{name}, seed {seed}", {"run": name}, config, judged.Z_ORDER, folder, resume, on_step)
    row["bits_per_dim"] = None if row["nll"] is None else row["nll"] / (64 * math.log(2))
    return row | (judgements(folder, seed, resume) if row["stopped_at"] is None else {})


def judgements(folder: Path, seed: int, resume: bool) -> Row:
    """D-loss and Frechet distance as means over JUDGES sets of samples; kept beside the training."""
    path = folder / "judged.json"
    if resume and path.exists():
        return dict(json.loads(path.read_text()))
    trained, dataset = load_run(folder), judged.dataset_of(judged.Z_ORDER)._replace(name="digits")
    told = []
    for judge in range(JUDGES):
        rng = np.random.default_rng([seed, judge])
        samples = trained.sample(len(dataset.held_out), rng, dataset.held_out_labels)
        told.append(compare(dataset, samples, rng, judge))
    row = {field: float(np.mean([one[field] for one in told])) for field in ("d_loss", "frechet")}
    row["d_loss_sd"] = float(np.std([one["d_loss"] for one in told], ddof=1))
    write_json(path, row)
    return row


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


HEAD = """# Sixteen blocks: energy or likelihood

Si et al. 2023 (arXiv 2206.06672) report of energy-trained flows samples that compete with those of likelihood-trained ones.
[block-sweep](block-sweep.md) has the two side by side at B = 16, one judgement a seed, and the energy is behind by about as
much as such a judgement errs. `docs/experiments/sixteen_blocks.py` asks what it takes: more draws a datum, beta = 0.5,
three times the steps. Same model throughout (SAEF, B = 16, splines, pixels in Z-order, digits), so equal parameters; each
line is compared with likelihood at as many steps. More draws cost more time at equal steps (*time*, of the training, as a
multiple of the first line's).

*D-loss* and *Frechet*: means over 8 sets of 297 samples, against the 297 held-out digits; larger and smaller is better. *energy
score* at beta = 1, *bits per dim*: smaller is better. Means over the seeds and, in brackets, standard deviations.
"""
NOTES = """What to make of it (of `best`). No line is ahead of likelihood. More draws do not close the gap, and
[draws](draws.md) finds the noise of the draws below that of the data from two draws on; three times the steps make no
samples better, under either objective. beta = 0.5 costs nothing and gives more than half of the lost bits per dim back.
After 60 steps (`quick`, one seed) each energy line is ahead. What is left of the gap is small beside what B or the block
map make of the samples ([block-sweep](block-sweep.md), [generators](generators.md)). That energy can be ahead at equal
parameters and steps, and clearly, [tabular](tabular.md) shows on 16,000 patches of photographs, with one block and with
three. Why there and not here is not known; a guess is that 16 blocks of four pixels leave to splines little that they
cannot bend, so that likelihood has no need to choose, as it has where one block holds all.
"""


def table(rows: list[Row]) -> str:
    first, lines = mean(column(rows, "train_seconds", run="likelihood")), []
    for name in RUNS:
        cells = [cell(column(rows, field, run=name)) for field in MEASURES]
        lines.append([name, *cells, f"{mean(column(rows, 'train_seconds', run=name)) / first:.1f}"])
    return judged.markdown(["trained on", *MEASURES.values(), "time"], lines)


def page(all_results: list[Row]) -> str:
    """docs/experiments/sixteen-blocks.md, from the results.json of one or more presets."""
    parts = [HEAD]
    for results in all_results:
        parts += [f"## {results['preset']}\n", judged.made_by(results) + "\n", table(results["rows"]) + "\n"]
        parts += ["\n".join(f"- {line}." for line in findings(results["rows"])) + "\n"]
        if results is all_results[0]:
            parts += ["![D-loss and bits per dim](../images/sixteen-blocks.png)\n", NOTES]
    return "\n".join(parts)


if __name__ == "__main__":
    print(page([json.loads(Path(path).read_text()) for path in sys.argv[1:]]), end="")
