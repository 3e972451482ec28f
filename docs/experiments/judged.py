"""What the studies of flows share: one training with what is measured after it, kept as a row, and what is taken from rows.

A training lives in a folder of its own (a checkpoint every 100 steps), with row.json beside it once it has been measured; so a
run that was stopped goes on where it was, and what is over is read and not made again.
"""
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments.pool import OnStep
from evenflow.experiments.results import Row, kept, write_results
from evenflow.reference.core import Array, named_leaves
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.evaluation import COMPARED, compare, held_out_energy_score, likelihood_and_round_trip
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained, train_on
from evenflow.reference.work.stretches import TrainingStopped

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
    digits, order = load("digits"), z_order(8)  # no image any more, whose blocks would be squares
    return digits._replace(name=name, train=digits.train[:, order], held_out=digits.held_out[:, order], shape=None)


def a_few_of_each(data: Dataset, times: int = 2) -> tuple[Array, dict[str, Array]]:
    """The labels 0 to 9, so many times, and beside their name held-out digits with them: the first line of a picture."""
    labels = np.tile(np.arange(10), times)
    seen = [np.flatnonzero(data.held_out_labels == k)[i // 10] for i, k in enumerate(labels)]
    return labels, {"real, held out": data.held_out[seen]}


def learn(name: str, known: Row, config: Config, data: str, folder: Path, resume: bool, on_step: OnStep) -> Row:
    """The row of one training: `known`, then what is measured. One that broke off has stopped_at and no measurements."""
    def make() -> Row:
        dataset = dataset_of(data)
        row = known | {"seed": config.seed, **dict.fromkeys(("parameters", *MEASURED, "best_step", "stopped_at"))}
        return row | timed(
            lambda: train_on(config, dataset, folder, resume, partial(on_step, name)),
            lambda trained: measure(trained, dataset, config.seed))

    return dict(kept(folder / "row.json", {"run": {"config": config.as_json(), "data": data}}, "row", resume, make))


def timed(train: Callable[[], Trained], measure: Callable[[Trained], Row]) -> Row:
    """The seconds of a training, and what is measured after it, or the step at which it broke off."""
    start = time.perf_counter()
    try:
        trained = train()
        return {"train_seconds": time.perf_counter() - start} | measure(trained)
    except TrainingStopped as stopped:
        return {"train_seconds": time.perf_counter() - start, "stopped_at": stopped.step}


def measure(trained: Trained, dataset: Dataset, seed: int, scored: bool = True) -> Row:
    """On held-out data, as evaluation.py has it; nll in nats a row and the user's units. None for what is not finite.

    scored: also by the energy score; where blocks are many, its draws take longer than all the rest.
    """
    if dataset.name == Z_ORDER:
        dataset = dataset._replace(name="digits")  # so that the Frechet distance is one of features, whatever the order
    given = None if trained.given is None else trained.given.table(dataset.held_out_given, dataset.held_out_labels)
    rng = np.random.default_rng(seed)
    samples = trained.sample(min(len(dataset.held_out), COMPARED), rng, None if given is None else given[:COMPARED])
    told: Row = {"held_out_energy_score": math.nan} | compare(dataset, samples, rng, seed)
    if scored:
        told |= held_out_energy_score(trained, dataset, given, rng)
    uniforms = rng.random(dataset.held_out.shape) if dataset.units.levels else None
    told |= {"held_out_log_likelihood": None, "round_trip_error": math.nan}  # of a head without a way back
    if trained.can("inverse"):
        told |= likelihood_and_round_trip(trained, dataset, given, uniforms)
    told |= {"energy_score": told["held_out_energy_score"], "nll": -float(told["held_out_log_likelihood"] or math.nan)}
    row = {field: told[field] if math.isfinite(told[field]) else None for field in MEASURED}
    return row | {"parameters": counted(trained), "best_step": trained.best.step if trained.best else None}


def counted(trained: Trained) -> int:
    """Its parameters."""
    return int(sum(leaf.size for _, leaf in named_leaves(trained.params)))


def bits(row: Row, d: int = 64) -> Row:
    """bits_per_dim of d numbers, from nats a row."""
    return {"bits_per_dim": None if row.get("nll") is None else row["nll"] / (d * math.log(2))}


def against_the_first(calls: Mapping[str, Sequence[Callable[[], object]]], rounds: int) -> dict[str, list[float]]:
    """How long each of the calls takes, as a multiple of the first name's: medians over rounds, all names in turn."""
    taken = [{name: [seconds(call) for call in mine] for name, mine in calls.items()} for _ in range(1 + rounds)]
    first = next(iter(calls))
    ratios = {name: [np.divide(one[name], one[first]) for one in taken[1:]] for name in calls}  # the first round: to warm up
    return {name: np.median(ratio, axis=0).tolist() for name, ratio in ratios.items()}


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def write_rows(path: Path, name: str, preset: str, settings: Any, rows: list[Row], *packages: str) -> None:
    seeds = sorted({row["seed"] for row in rows})
    results = {"experiment": name, "preset": preset, "settings": settings, "seeds": seeds, "rows": rows}
    write_results(path, results, "scikit-learn", *packages)


def having(rows: Iterable[Row], **where: Any) -> list[Row]:
    """The rows in which `where` holds."""
    return [row for row in rows if all(row[name] == value for name, value in where.items())]


def column(rows: Iterable[Row], field: str, **where: Any) -> list[float]:
    """The values of a field over the seeds, where there are any, in rows in which `where` holds."""
    return [row[field] for row in having(rows, **where) if row.get(field) is not None]


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def deviation(values: Sequence[float]) -> float:
    """Of one value: 0."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def cell(values: Sequence[float], form: str = ".3g", beside: str = ".1g") -> str:
    """Mean and, in brackets, the standard deviation over the seeds, by these formats."""
    return f"{mean(values):{form}}" + (f" ({deviation(values):{beside}})" if len(values) > 1 else "") if values else "-"


def trained_of(rows: Sequence[Row]) -> str:
    """How many of the trainings came to their end, where it is not all of them."""
    whole = having(rows, stopped_at=None)
    return "" if len(whole) == len(rows) else f" ({len(whole)} of {len(rows)} trained)"
