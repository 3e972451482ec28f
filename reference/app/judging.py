"""The commands that ask a trained model: evaluate; score and predict, row by row."""
import csv
import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.reference.app import console
from evenflow.reference.app import options as o
from evenflow.reference.app.errors import reporting
from evenflow.reference.app.figures import print_figures
from evenflow.reference.core import Array, lookup
from evenflow.reference.work import predictions, runs
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.files import write_aside
from evenflow.reference.work.matching import given_data, other_data, own_data
from evenflow.reference.work.runs import Trained
from evenflow.reference.work.text_tables import number
from evenflow.reference.work.threads import single_blas_thread


def evaluate(
    run: o.Run, data: o.OtherData = None, sep: o.Sep = None, header: o.Header = None, seed: o.Seed = 0, as_json: o.JSON = False
) -> None:
    """Judge a trained model on the rows that its training held out, or on all rows of another file.

    All: likelihood beside a Gaussian's, energy score, D-loss, Frechet distance. Flows: speed.
    Energy-based models: log Z, weights of the modes, acceptances, R-hat.
    """
    with reporting(as_json):
        from evenflow.reference.work.evaluation import evaluate as judge
        from evenflow.reference.work.evaluation import reasons, warnings
        trained = runs.load_run(run)
        dataset = own_data(trained) if data is None else other_data(trained, data, sep, header)
        with single_blas_thread():
            row = judge(trained, dataset, seed)
        console.say(*dict.fromkeys((*dataset.notes, *warnings(trained, dataset, row))))
        if as_json:
            console.print_json({"run": str(run), **row})
        else:
            how = trained.config.algorithm if trained.can("log_z") else trained.config.objective
            print_figures(f"{run}: {trained.config.family}, {how}", row, reasons(trained, dataset, row))


def score(
    run: o.Run, data: o.ScoredData, out: o.ScoreOut = None, sep: o.Sep = None, header: o.Header = None, seed: o.Seed = 0
) -> None:
    """Write the log density of every row of a file, nats in the units of the data: row (from 1), log_density."""
    with reporting():
        check_new(out, ".csv")
        trained = runs.load_run(run)
        dataset = other_data(trained, data, sep, header)
        with single_blas_thread():
            values, said = densities(trained, dataset, np.random.default_rng(seed))
        console.say(*dataset.notes, *said)
        write_table(out, ["row", "log_density"], enumerate(values.tolist(), start=1))


def predict(
    run: o.Run, data: o.GivenData, quantiles: o.Quantiles = ".05,.5,.95", out: o.ScoreOut = None, sep: o.Sep = None,
    header: o.Header = None,
) -> None:
    """Predict what a model of p(target | given) was trained on: the mean and quantiles of each target, a line a row."""
    with reporting():
        check_new(out, ".csv")
        levels, trained = levels_of(quantiles), runs.load_run(run)
        if words := [name for name in trained.columns or () if name in trained.words]:
            no = "they have no mean and no quantiles; draw them: sample --given"
            raise ValueError(f"{run} models words, {', '.join(words)}: {no}")
        dataset = given_data(trained, data, sep, header)
        console.say(*dataset.notes)
        given = trained.given.table(dataset.held_out_given, dataset.held_out_labels)  # type: ignore[union-attr]
        with single_blas_thread():
            mean, others = predictions.mean(trained, given)[:, None], predictions.quantiles(trained, given, levels)
        targets = trained.columns or tuple(f"x{j}" for j in range(trained.d))
        heads = [f"{name}_{kind}" for name in targets for kind in ("mean", *(f"q{level:g}" for level in levels))]
        rows = np.moveaxis(np.concatenate([mean, others], axis=1), 2, 1).reshape(len(mean), -1).tolist()
        write_table(out, ["row", *heads], ([i, *row] for i, row in enumerate(rows, start=1)))


def levels_of(text: str) -> Array:
    """What --quantiles may be."""
    levels = np.array([number(cell.strip()) for cell in text.split(",")])
    if not ((levels > 0) & (levels < 1)).all():
        raise ValueError(f"--quantiles must be numbers strictly between 0 and 1, with commas between them, got {text!r}")
    return levels


def check_new(out: Path | None, *endings: str) -> None:
    """Raise where a file of one of these endings cannot be begun."""
    if out is not None:
        lookup("file ending", out.suffix.lower(), dict.fromkeys(endings))
        if out.exists():
            raise FileExistsError(f"{out} exists already: choose another name, or remove it")


def write_table(out: Path | None, head: list[str], rows: Iterable[Any]) -> None:
    """As .csv, into a file or on standard output."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    if out is None:
        sys.stdout.write(text.getvalue())
    else:
        write_aside(out, lambda file: file.write(text.getvalue().encode()))


def densities(trained: Trained, dataset: Dataset, rng: np.random.Generator) -> tuple[Array, list[str]]:
    """log p (n,) of the held-out rows, and what is to be said of it: the log Z of an energy-based model."""
    from evenflow.reference.work.energy_evaluation import normaliser
    from evenflow.reference.work.evaluation import log_densities
    x, given = dataset.held_out, trained.given
    table = None if given is None else given.table(dataset.held_out_given, dataset.held_out_labels)
    values = log_densities(trained, x, table, trained.units.uniforms(x, rng))
    counted = trained.units.counted is not None
    said = ["whole numbers, each with a random fraction: on average no more than their log probability"] if counted else []
    if not trained.can("log_z"):
        return values, said
    log_z, error, how = normaliser(trained, dataset, rng)
    return values - log_z, [*said, f"log Z = {log_z:.4g} +- {error:.2g} nats, in the model's units, {how}"]
