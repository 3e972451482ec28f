"""Draws a datum, directions, U and V: the noise of the energy objective (Si et al. 2023, section 3).

At three points of two trainings the gradient's noise is measured with parameters held, draws_measures.py says how: for 2 to 32
draws a datum, for the estimators (1 - eps) U + eps V, and for the sliced score along 1 to 64 directions. A normal forecast,
whose variances are known, checks the measurement. Then draws_trainings.py trains with other draws and eps. Two presets:

    quick   trainings of 200 steps, 6 pairs of gradients, equal steps only
    best    trainings of 800 steps at 4 draws, 32 pairs of gradients

    evenflow reproduce draws --preset best --seeds 1 --out draws

writes results.json, gradients.png, trainings.png and samples.png, and for each training a folder with its checkpoint, log and
row. Times are ratios to 2 draws, taken in turn with them: medians over the batches.
"""
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evenflow.experiments import draws_pictures as draw
from evenflow.experiments import judged
from evenflow.experiments.draws_measures import Batch, Blend, Fixed, Pairs, Reference, normal_check
from evenflow.experiments.draws_pages import page
from evenflow.experiments.draws_trainings import BASE, BATCH, EARLY, PRESETS, Preset, Training, base, learn, stored
from evenflow.experiments.draws_trainings import trainings as trainings_of
from evenflow.experiments.pages import show
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import Row, kept
from evenflow.reference.app.pictures import digit_grid
from evenflow.reference.core import Array
from evenflow.reference.saef.objectives import Energy, Sliced
from evenflow.reference.scores import slicing_constant
from evenflow.reference.work.data import load
from evenflow.reference.work.training import Progress

__all__ = ["PICTURES", "PRESETS", "learn", "page", "run", "summary"]

DRAWS, EPS, DIRECTIONS = (2, 4, 8, 16, 32), (0.0, 0.05, 0.2, 1.0), (1, 4, 16, 64)
REFERENCES = {"digits": (1500, 32, 8), "eight-gaussians": (2048, 2, 32)}  # rows, draws, how often
BLOCK = {"digits": 4, "eight-gaussians": 2}                              # numbers in a block
REPEATS = 4000                                                           # normal forecasts
PICTURES = ("gradients.png", "trainings.png", "samples.png")


class Kind(NamedTuple):
    """Of gradient: draws a datum, directions (None: the full score), and the weight of V."""
    draws: int
    directions: int | None = None
    eps: float = 0.0


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False
) -> list[Row]:
    """Train all, then look into two of them, as many at a time as there are cores; draw and write into `out`."""
    how = asked(preset, PRESETS, seeds)
    out = Path(out)
    trained = side_by_side(learn, [(*one, preset, s, out, resume) for s in seeds for one in trainings_of(how)], on_step)
    whole = {(row["data"], row["seed"]) for row in trained if of_row(row) == base(row["data"]) and row["stopped_at"] is None}
    looks = [(data, step, preset, s, out, resume) for data, s in sorted(whole) for step in points(data, how)]
    looked = side_by_side(look, looks, on_step)
    rows = [*(row for rows in looked for row in rows), *(check(m, seeds[0]) for m in DRAWS), *trained]
    judged.write_rows(out / "results.json", "draws", preset, how._asdict(), rows)
    draw.gradients(out / "gradients.png", rows)
    draw.trainings(out / "trainings.png", rows)
    digit_grid(out / "samples.png", samples(out, how, seeds[0], trained), per_line=20)
    return rows


def summary(rows: list[Row]) -> list[Row]:
    """What the terminal shows: of the gradients those of the fair estimator, and the trainings."""
    noise = ("data", "step", "draws", "draws_noise", "data_noise", "time")
    made = ("plan", "draws", "eps", "steps", "d_loss", "energy_score", "spread", "spread_over_error")
    fair = [row for row in rows if row["kind"] == "gradient" and row["eps"] == 0 and row["directions"] is None]
    shown = [{name: row[name] for name in noise} for row in fair]
    return shown + [{name: row[name] for name in made} for row in rows if row["kind"] == "training"]


def points(data: str, how: Preset) -> list[int]:
    """The steps at which a training is looked into."""
    return [0, EARLY, base(data).steps(how)]


def look(data: str, step: int, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep) -> list[Row]:
    """The rows of the gradient at one point of a training."""
    how = PRESETS[preset]

    def make() -> list[Row]:
        known = {"kind": "gradient", "data": data, "step": step, "seed": seed, "train_seconds": None}
        trained, name = stored(base(data), how, seed, out, step), f"gradients, {data}, step {step}, seed {seed}"
        at = Fixed.of(trained.flow_model(), trained.params, load(data))
        rng = np.random.default_rng([seed, 2, step])
        return [known | row for row in gradient_rows(at, data, how.pairs, rng, name, on_step)]

    folder = out / f"{data}-gradients-step{step}-seed{seed}"
    return list(kept(folder / "row.json", {"run": {"preset": preset, **how._asdict()}}, "made", resume, make))


def reference(at: Fixed, data: str, rng: np.random.Generator) -> Reference:
    rows, m, times = REFERENCES[data]
    batches = (at.batch(rng, rows) for _ in range(times))
    return Reference.of([pair_of(at, Blend(1.0, m), batch, rng, 1)[0] for batch in batches])


def pair_of(at: Fixed, objective: Energy, batch: Batch, rng: np.random.Generator, count: int = 2) -> list[Array]:
    """Gradients with this batch and draws of their own."""
    return [at.gradient(objective, batch, at.noise(objective, len(batch[0]), rng)) for _ in range(count)]


def gradient_rows(at: Fixed, data: str, pairs: int, rng: np.random.Generator, name: str, on_step: OnStep) -> list[Row]:
    """One row for each kind; all see the same batches."""
    known, scale = reference(at, data, rng), slicing_constant(BLOCK[data])
    kinds = [*(Kind(m, None, eps) for m in DRAWS for eps in EPS), *(Kind(BASE, L) for L in DIRECTIONS)]
    sums, biases, times = {kind: Pairs() for kind in kinds}, {m: Pairs() for m in DRAWS}, []
    began = time.perf_counter()
    for j in range(pairs):
        batch, taken = at.batch(rng, BATCH), {}
        for m in DRAWS:
            (fair, biased), taken[Kind(m)] = by_both(at, m, batch, rng)
            for eps in EPS:
                sums[Kind(m, None, eps)].add([(1 - eps) * u + eps * v for u, v in zip(fair, biased, strict=True)], known)
            biases[m].add([v - u for u, v in zip(fair, biased, strict=True)], known)
        for L in DIRECTIONS:
            start = time.perf_counter()
            pair = pair_of(at, Sliced(1.0, BASE, L), batch, rng)
            taken[Kind(BASE, L)] = (time.perf_counter() - start) / 2
            sums[Kind(BASE, L)].add([g / scale for g in pair], known)
        times.append({kind: seconds / taken[Kind(DRAWS[0])] for kind, seconds in taken.items()})
        on_step(name, Progress(j + 1, pairs, 0.0, 0.0, 0.0, None, time.perf_counter() - began, {}))
    bias = {m: math.sqrt(max(one.length_squared, 0.0)) for m, one in biases.items()}
    return [
        {**kind._asdict(), **one.told(known), "time": float(np.median([row[kind._replace(eps=0.0)] for row in times])),
         "bias": kind.eps * bias[kind.draws] if kind.directions is None else None}
        for kind, one in sums.items()
    ]


def by_both(at: Fixed, m: int, batch: Batch, rng: np.random.Generator) -> tuple[tuple[list[Array], list[Array]], float]:
    """A pair of gradients by U, one by V from the same draws; and the seconds that one by U took."""
    noises = [at.noise(Blend(1.0, m), len(batch[0]), rng) for _ in range(2)]
    start = time.perf_counter()
    fair = [at.gradient(Blend(1.0, m), batch, noise) for noise in noises]
    seconds = (time.perf_counter() - start) / 2
    return (fair, [at.gradient(Blend(1.0, m, 1.0), batch, noise) for noise in noises]), seconds


def check(m: int, seed: int) -> Row:
    return {"kind": "check", "seed": seed, "draws": m, **normal_check(m, REPEATS, np.random.default_rng([seed, 3, m])),
            "train_seconds": None}


def samples(out: Path, how: Preset, seed: int, rows: list[Row]) -> dict[str, Array]:
    """A 0 to 9, twice: held-out digits, and samples of the trainings of equal steps by U and by V."""
    labels, drawn = judged.a_few_of_each(load("digits"))
    for one in trainings_of(how):
        over = [row for row in rows if row["seed"] == seed and row["stopped_at"] is None and one == of_row(row)]
        if over and one.data == "digits" and one.plan == "steps" and one.eps in (0, 1):
            name = f"{'V' if one.eps else 'U'}, {one.draws} draws"
            drawn[name] = stored(one, how, seed, out).sample(len(labels), np.random.default_rng(seed), labels)
    return drawn


def of_row(row: Row) -> Training:
    return Training(*(row[name] for name in Training._fields))


if __name__ == "__main__":
    show(page)
