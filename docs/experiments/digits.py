"""SAEF on 8x8 digits: what the number of blocks buys (Si et al. 2023; the demo of this project).

The same class-conditional model with B = 1, 4 and 16 blocks (square patches), trained with the energy score, and with B = 16
by maximum likelihood for comparison: same architecture, start, batches, steps and learning rates. B sequential steps to
sample, one pass to invert. 1,500 digits to train and 297 held out; the first row of the table judges *training digits of the
same classes* as if they were samples: what a perfect model would get, sampling error included.

    evenflow demo --seed 0

writes results.json, samples.png, loss.png and posterior.png.
"""
import json
import sys
import time
from pathlib import Path

import numpy as np

from evenflow.experiments.judged import a_few_of_each, bits, cell, column
from evenflow.experiments.pages import markdown
from evenflow.experiments.pool import OnStep
from evenflow.experiments.results import Row, write_results
from evenflow.reference.app.pictures import digit_grid, loss_picture, posterior_picture
from evenflow.reference.core import Array
from evenflow.reference.scores import energy_score
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.evaluation import DRAWS, OF_FLOWS, compare, evaluate, footing
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained, train_on
from evenflow.reference.work.training import Progress

RUNS = ((1, "energy"), (4, "energy"), (16, "energy"), (16, "likelihood"))
STEPS = 800
FIELDS = ("held_out_energy_score", "d_loss", "frechet", "nll_bits_per_dim", *OF_FLOWS)


def run(out: Path, on_step: OnStep | None = None, seed: int = 0) -> list[Row]:
    """Train, measure, draw into the folder `out`; returns the rows of the table, the real digits' first.

    seed: of the models, batches, noise and measurements; the split of the digits is always the same.
    """
    out = Path(out)
    dataset = load("digits")
    rows = [real_row(dataset, seed)]
    models: dict[str, Trained] = {}
    curves: dict[str, list[Row]] = {}
    for blocks, objective in RUNS:
        name = f"B = {blocks}, {objective}"
        choices = {"objective": objective, "blocks": blocks, "steps": STEPS, "learning_rate": 1e-3, "seed": seed}
        config = Config("saef", class_conditional=True, **choices)
        curves[name] = []

        def watch(progress: Progress, name: str = name) -> None:
            curves[name].append(progress._asdict())
            if on_step is not None:
                on_step(name, progress)

        start = time.perf_counter()
        models[name] = train_on(config, dataset, callback=watch)
        took = time.perf_counter() - start
        told = evaluate(models[name], dataset, seed)
        told["nll_bits_per_dim"] = bits({"nll": -told["held_out_log_likelihood"]})["bits_per_dim"]
        rows.append({"blocks": blocks, "objective": objective, **{k: told[k] for k in FIELDS}, "train_seconds": took})
    write_results(out / "results.json", {"rows": rows, "seed": seed, "steps": STEPS}, "scikit-learn")
    loss_picture(out / "loss.png", curves, {f"B = {blocks}, {objective}": objective for blocks, objective in RUNS})
    digit_grid(out / "samples.png", sample_rows(dataset, models, seed))
    draw_posterior(out / "posterior.png", dataset, models["B = 16, energy"], seed)
    return rows


def real_row(dataset: Dataset, seed: int) -> Row:
    """Training digits in the place of samples, of the held-out digits' classes, none twice for one digit."""
    rng = np.random.default_rng(seed)
    assert dataset.train_labels is not None
    assert dataset.held_out_labels is not None
    of_class = [np.flatnonzero(dataset.train_labels == k) for k in range(10)]
    chosen = np.stack([rng.choice(of_class[k], size=DRAWS, replace=False) for k in dataset.held_out_labels], axis=1)
    draws = footing(dataset, dataset.train[chosen.ravel()], rng).reshape(*chosen.shape, -1)
    score = float(np.mean(energy_score(draws, footing(dataset, dataset.held_out, rng))))
    known = {"held_out_energy_score": score, **compare(dataset, dataset.train[chosen[0]], rng, seed)}
    return {"blocks": None, "objective": "real digits", **{k: known.get(k) for k in FIELDS}, "train_seconds": None}


def sample_rows(dataset: Dataset, models: dict[str, Trained], seed: int) -> dict[str, Array]:
    """For each model and for the data, thirty digits: 0 to 9, three times."""
    labels, rows = a_few_of_each(dataset, 3)
    for name, trained in models.items():
        rows[name] = trained.sample(len(labels), np.random.default_rng(seed), labels)
    return rows


def draw_posterior(path: Path, dataset: Dataset, trained: Trained, seed: int) -> None:
    """Ten held-out digits, their z, the way back; and straight lines in z between digits of one class."""
    rng = np.random.default_rng(seed)
    assert dataset.held_out_labels is not None
    pairs = [np.flatnonzero(dataset.held_out_labels == k)[:2] for k in range(10)]
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    labels = np.arange(10)
    ends = [trained.encode(dataset.held_out[rows], labels, rng.random((10, 64))) for rows in (first, second)]
    path_in_z = [(1 - t) * ends[0] + t * ends[1] for t in np.linspace(0, 1, 9).astype(ends[0].dtype)]
    between = np.stack([trained.decode(z, labels) for z in path_in_z], axis=1)  # (10, 9, 64)
    posterior_picture(path, dataset.held_out[first], ends[0], trained.decode(ends[0], labels), between)


def table(runs: list[list[Row]]) -> str:
    """Rows of several seeds -> a Markdown table of means and, in brackets, standard deviations over the seeds.

    Times depend on the machine, so they are given as ratios to B = 1 within each run.
    """
    heads = ["blocks, objective", "energy score", "D-loss", "Frechet", "bits per dim", "sampling time", "inversion time"]
    lines = []
    for rows in zip(*runs, strict=True):
        name = rows[0]["objective"] if rows[0]["blocks"] is None else f"B = {rows[0]['blocks']}, {rows[0]['objective']}"
        cells = [cell(column(rows, field)) for field in FIELDS[:4]]
        for field in ("sampling_ms_per_1000", "inversion_ms_per_1000"):
            first = [run[1][field] for run in runs]
            cells.append(cell([row[field] / one for row, one in zip(rows, first, strict=True) if row[field]]))
        lines.append([name, *cells])
    return markdown(heads, lines)


if __name__ == "__main__":
    runs = [json.loads(Path(path).read_text())["rows"] for path in sys.argv[1:]]
    print(table([[row for row in rows if "blocks" in row] for rows in runs]))  # the demo adds rows of another experiment
