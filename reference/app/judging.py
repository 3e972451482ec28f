"""The commands that judge a trained model: evaluate, and score, row by row."""
import csv
import io
import sys

import numpy as np

from evenflow.reference.app import console
from evenflow.reference.app import options as o
from evenflow.reference.app.errors import reporting
from evenflow.reference.app.figures import print_figures
from evenflow.reference.core import Array, lookup
from evenflow.reference.work import runs
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.files import write_aside
from evenflow.reference.work.matching import other_data, own_data
from evenflow.reference.work.runs import Trained
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
        for line in dict.fromkeys((*dataset.notes, *warnings(trained, dataset, row))):
            console.say(line)
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
        if out is not None:
            lookup("file ending", out.suffix.lower(), {".csv": None})
            if out.exists():
                raise FileExistsError(f"{out} exists already: choose another name, or remove it")
        trained = runs.load_run(run)
        dataset = other_data(trained, data, sep, header)
        with single_blas_thread():
            values, said = densities(trained, dataset, np.random.default_rng(seed))
        for line in (*dataset.notes, *said):
            console.say(line)
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["row", "log_density"])
        writer.writerows(enumerate(values.tolist(), start=1))
        if out is None:
            sys.stdout.write(text.getvalue())
        else:
            write_aside(out, lambda file: file.write(text.getvalue().encode()))


def densities(trained: Trained, dataset: Dataset, rng: np.random.Generator) -> tuple[Array, list[str]]:
    """log p (n,) of the held-out rows, and what is to be said of it: the log Z of an energy-based model."""
    from evenflow.reference.work.energy_evaluation import normaliser
    from evenflow.reference.work.evaluation import log_densities
    x, levels = dataset.held_out, trained.units.levels
    values = log_densities(trained, x, dataset.held_out_labels, rng.random(x.shape) if levels else None)
    said = ["whole numbers, each with a random fraction: on average no more than their log probability"] if levels else []
    if not trained.can("log_z"):
        return values, said
    log_z, error, how = normaliser(trained, dataset, rng)
    return values - log_z, [*said, f"log Z = {log_z:.4g} +- {error:.2g} nats, in the model's units, {how}"]
