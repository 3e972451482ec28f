"""What block_sweep.py and objectives.py share: one training with what is measured after it, kept as a row.

A training lives in a folder of its own (a checkpoint every 100 steps), with row.json beside it once it has been measured; so a
run that was stopped goes on where it was, and what is over is read and not made again.
"""
import json
import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments.pool import OnStep
from evenflow.experiments.results import write_json, write_results
from evenflow.reference.core import named_leaves
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.evaluation import COMPARED, compare, held_out_energy_score, likelihood_and_round_trip
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained, train_on
from evenflow.reference.work.stretches import TrainingStopped

Row = dict[str, Any]
Z_ORDER = "digits in Z-order"
MEASURED = ("d_loss", "frechet", "energy_score", "nll", "round_trip_error")


def z_order(side: int) -> list[int]:
    """The pixels of a side x side image, numbered line by line, so that each aligned square, and each half of one, is one run.

    >>> z_order(4)[:8]
    [0, 1, 4, 5, 2, 3, 6, 7]
    """
    if side == 1:
        return [0]
    half = side // 2
    corner = [side * (i // half) + i % half for i in z_order(half)]
    return [i + right + below for below in (0, side * half) for right in (0, half) for i in corner]


def dataset_of(name: str) -> Dataset:
    """By name; in Z-order all numbers of blocks 2^k cut the same line of pixels, each into halves of those before."""
    if name != Z_ORDER:
        return load(name)
    digits, order = load("digits"), z_order(8)
    return digits._replace(name=name, train=digits.train[:, order], held_out=digits.held_out[:, order])


def kept(folder: Path, there: Row) -> Row | None:
    """The row of a run that is over, None where it is not. Raises ValueError for one of another run than `there`."""
    path = folder / "row.json"
    if not path.exists():
        return None
    before = json.loads(path.read_text())
    if before["run"] != there:
        raise ValueError(f"{folder} holds another run: go on with the preset it was begun with, or choose another folder")
    return dict(before["row"])


def learn(name: str, known: Row, config: Config, data: str, folder: Path, resume: bool, on_step: OnStep) -> Row:
    """The row of one training: `known`, then what is measured. One that broke off has stopped_at and no measurements."""
    there = {"config": config.as_json(), "data": data}
    if resume and (whole := kept(folder, there)):
        return whole
    dataset, start = dataset_of(data), time.perf_counter()
    row = known | {"seed": config.seed, "parameters": None, **dict.fromkeys(MEASURED), "best_step": None, "stopped_at": None}
    try:
        trained = train_on(config, dataset, folder, resume, lambda progress: on_step(name, progress))
        row["train_seconds"] = time.perf_counter() - start
        row |= measure(trained, dataset, config.seed)
    except TrainingStopped as stopped:
        row |= {"train_seconds": time.perf_counter() - start, "stopped_at": stopped.step}
    write_json(folder / "row.json", {"run": there, "row": row})
    return row


def measure(trained: Trained, dataset: Dataset, seed: int, scored: bool = True) -> Row:
    """On held-out data, as evaluation.py has it; nll in nats a row and the user's units. None for what is not finite.

    scored: also by the energy score; where blocks are many, its draws take longer than all the rest.
    """
    if dataset.name == Z_ORDER:
        dataset = dataset._replace(name="digits")  # so that the Frechet distance is one of features, whatever the order
    rng, labels = np.random.default_rng(seed), dataset.held_out_labels if trained.class_shares else None
    samples = trained.sample(min(len(dataset.held_out), COMPARED), rng, None if labels is None else labels[:COMPARED])
    told: Row = {"held_out_energy_score": math.nan} | compare(dataset, samples, rng, seed)
    if scored:
        told |= held_out_energy_score(trained, dataset, labels, rng)
    uniforms = rng.random(dataset.held_out.shape) if dataset.units.levels else None
    told |= {"held_out_log_likelihood": None, "round_trip_error": math.nan}  # of a head without a way back
    if trained.can("inverse"):
        told |= likelihood_and_round_trip(trained, dataset, labels, uniforms)
    told |= {"energy_score": told["held_out_energy_score"], "nll": -float(told["held_out_log_likelihood"] or math.nan)}
    row = {field: told[field] if math.isfinite(told[field]) else None for field in MEASURED}
    counted = sum(leaf.size for _, leaf in named_leaves(trained.params))
    return row | {"parameters": int(counted), "best_step": trained.best.step if trained.best else None}


def write_rows(path: Path, name: str, preset: str, settings: Any, rows: list[Row]) -> None:
    seeds = sorted({row["seed"] for row in rows})
    results = {"experiment": name, "preset": preset, "settings": settings, "seeds": seeds, "rows": rows}
    write_results(path, results, "scikit-learn")


def column(rows: Iterable[Row], field: str, **where: Any) -> list[float]:
    """The values of a field over the seeds, where there are any, in rows in which `where` holds."""
    mine = (row for row in rows if all(row[name] == value for name, value in where.items()))
    return [row[field] for row in mine if row.get(field) is not None]


def mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def deviation(values: list[float]) -> float:
    """Of one value: 0."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def cell(values: list[float]) -> str:
    """Mean and, in brackets, the standard deviation over the seeds."""
    beside = f" ({deviation(values):.1g})" if len(values) > 1 else ""
    return f"{mean(values):.3g}{beside}" if values else "-"


def markdown(heads: list[str], lines: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *lines])


def made_by(results: Mapping[str, Any]) -> str:
    """The command and what it ran with."""
    name, n, versions = results["experiment"], len(results["seeds"]), results["versions"]
    minutes = sum(row["train_seconds"] or 0 for row in results["rows"]) / 60
    return (
        f"    EVENFLOW_BACKEND={results['backend']} evenflow reproduce {name} --preset {results['preset']} --seeds {n}\n\n"
        f"Python {results['python']}, " + ", ".join(f"{package} {number}" for package, number in versions.items())
        + f".\nModels in float32; {minutes:.0f} minutes of training, summed over the rows; other work ran on the same cores."
    )
