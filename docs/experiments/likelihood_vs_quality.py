"""Does likelihood tell good samples? Bits per dim against D-loss and Frechet over many models (Si et al. 2023).

Many models of one data set are trained, that differ in family, number of blocks, size, objective and length of training:

    digits           class-conditional, in Z-order: SAEF with affine, dense and spline maps in 1, 4, 16 and 64 blocks, AQF, MAF,
                     RealNVP, spline and dense flows; bits per dim
    eight-gaussians  the same in the plane, SAEF in 1 and 2 blocks; nats a row

The learning rate is constant and the last weights are the model, so a training that is measured at several lengths gives the
models that as many trainings would have given, bit for bit. They resemble each other: each correlation is also given for the
longest trainings alone, and its interval is a bootstrap of whole trainings (ranks.py). Two presets:

    quick   28 trainings, at 50 and 150 steps
    best    72 trainings, at 100 and 500 steps

    evenflow reproduce likelihood-vs-quality --preset best --out decorrelation

writes results.json and scatter.png. A training's folder has a row for each length.
"""
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenflow.experiments import block_sweep, judged
from evenflow.experiments import likelihood_vs_quality_pictures as draw
from evenflow.experiments.likelihood_vs_quality_pages import page
from evenflow.experiments.pages import show
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import Row, kept, only
from evenflow.reference.targets.toys import TARGETS
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.evaluation import compare
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained, train_on
from evenflow.reference.work.threads import single_blas_thread

DATA = {"digits": judged.Z_ORDER, "eight-gaussians": "eight-gaussians"}
BLOCKS = {"digits": (1, 4, 16, 64), "eight-gaussians": (1, 2)}
MAPS = ("affine", "dense", "spline")
OTHERS = {  # family, as it is called here -> objectives
    "AQF affine": ("quantile", "likelihood"), "AQF spline": ("quantile", "likelihood"), "MAF": ("likelihood",),
    "RealNVP": ("energy", "likelihood"), "spline flow": ("energy", "likelihood"), "dense flow": ("energy", "likelihood"),
}
WIDE = {"AQF affine": (256, 256), "AQF spline": (256, 256), "MAF": (256, 256), "RealNVP": (128, 128)}  # networks, of digits
SMALL = {"context_hidden": (64, 64), "context_width": 16, "hidden": (16,)}


class Training(NamedTuple):
    data: str
    family: str
    blocks: int | None  # of a SAEF
    size: str           # small or large
    objective: str

    @property
    def name(self) -> str:
        return "-".join(str(part).replace(" ", "-") for part in self if part is not None)

    def config(self, **given: Any) -> Config:
        """Of the large size: the family's own widths, on digits wider for those that have no blocks."""
        family, _, kind = self.family.lower().partition(" ")
        if family == "saef":
            given |= {"blocks": self.blocks, "block_map": kind} | (SMALL if self.size == "small" else {})
        elif family == "aqf":
            given |= {"transformer": kind}
        if self.data == "digits" and self.family in WIDE:
            given |= {"hidden": WIDE[self.family]}
        return Config(family, objective=self.objective, class_conditional=self.data == "digits", **given)


def of(data: str) -> list[Training]:
    """All of a data set. In blocks of one number a dense map is a spline: not made twice. MMD: not of all, for its time."""
    saefs = [(kind, B) for kind in MAPS for B in BLOCKS[data] if kind != "dense" or max(BLOCKS[data]) > B]
    found = [Training(data, f"SAEF {kind}", B, "large", o) for kind, B in saefs for o in ("energy", "likelihood")]
    found += [Training(data, f"SAEF {kind}", B, "large", "mmd") for kind, B in saefs if kind != "dense" and B < 64]
    if data == "digits":
        small = [(kind, B) for kind in ("affine", "spline") for B in (4, 16)]
        found += [Training(data, f"SAEF {kind}", B, "small", o) for kind, B in small for o in ("energy", "likelihood")]
    return found + [Training(data, name, None, "large", o) for name, objectives in OTHERS.items() for o in objectives]


class Preset(NamedTuple):
    lengths: tuple[int, ...]  # steps at which a training is measured
    whole: bool               # or only some of the trainings
    learning_rate: float = 1e-3

    def trainings(self) -> list[Training]:
        """The longest first."""
        found = [training for data in DATA for training in of(data) if self.whole or few(training)]
        return sorted(found, key=lambda training: -(training.blocks or 16))


def few(training: Training) -> bool:
    of_these = training.family in ("SAEF affine", "SAEF spline", "RealNVP", "AQF affine") and training.objective != "mmd"
    return of_these and training.size == "large" and (training.blocks or 1) <= 16


PRESETS = {"quick": Preset((50, 150), False), "best": Preset((100, 500), True)}
PICTURES = ("scatter.png",)
summary = partial(only, (
    "data", "family", "blocks", "size", "objective", "steps", "seed", "likelihood", "d_loss", "frechet"))


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False
) -> list[Row]:
    """Train all, as many at a time as there are cores; measure, draw into `out`; return the rows, the real data's first."""
    how = asked(preset, PRESETS, seeds)
    out = Path(out)
    jobs = [(*training, preset, seed, out, resume) for seed in seeds for training in how.trainings()]
    taken = side_by_side(learn, jobs, on_step)
    with single_blas_thread():
        rows = [real(data, seed) for data in DATA for seed in seeds]
    rows += sorted((row for mine in taken for row in mine), key=lambda row: list(DATA).index(row["data"]))
    judged.write_rows(out / "results.json", "likelihood-vs-quality", preset, how._asdict(), rows)
    draw.scatter(out / "scatter.png", rows)
    return rows


def learn(
    data: str, family: str, blocks: int | None, size: str, objective: str, preset: str, seed: int, out: Path, resume: bool,
    on_step: OnStep,
) -> list[Row]:
    """The rows of one training, one a length. A length that it does not reach has stopped_at and no measurements."""
    training, how = Training(data, family, blocks, size, objective), PRESETS[preset]
    folder, name = out / f"{training.name}-seed{seed}", f"{training.name}, seed {seed}"
    dataset, rows = judged.dataset_of(DATA[data]), []
    for steps in how.lengths:
        config = training.config(steps=steps, seed=seed, learning_rate=how.learning_rate, schedule="constant", keep="last")
        there = {"run": {"config": config.as_json(), "lengths": how.lengths}}
        known = {**training._asdict(), "training": folder.name, "steps": steps, "seed": seed}
        make = partial(measured, known, config, dataset, folder, resume, steps > how.lengths[0], partial(on_step, name))
        rows.append(dict(kept(folder / f"row-{steps}.json", there, "row", resume, make)))
    return rows


def measured(known: Row, config: Config, dataset: Dataset, folder: Path, resume: bool, extend: bool, callback: Any) -> Row:
    def measure(trained: Trained) -> Row:
        row = judged.measure(trained, dataset, config.seed, scored=False)
        return row | {"likelihood": None if row["nll"] is None else -row["nll"] / per_unit(dataset)}

    row = known | dict.fromkeys(("parameters", *judged.MEASURED, "likelihood", "stopped_at"))
    return row | judged.timed(lambda: train_on(config, dataset, folder, resume, callback, extend), measure)


def per_unit(dataset: Dataset) -> float:
    """Nats a row in a unit of likelihood: bits a pixel of whole numbers, nats a row else."""
    return dataset.held_out.shape[1] * math.log(2) if dataset.units.levels else 1.0


def real(data: str, seed: int) -> Row:
    """Real data in the place of samples: what a perfect model would get. Of the toy, whose density is known, its likelihood."""
    known: Row = {"data": data, "family": "real", "objective": "real", "seed": seed, "train_seconds": None}
    if data == "digits":
        judged_so = block_sweep.real(seed)
        return known | {"d_loss": judged_so["d_loss"], "frechet": judged_so["frechet"], "likelihood": None}
    rng, dataset, target = np.random.default_rng(seed), load(data), TARGETS[data]()
    x = target.sample(target.noise(rng, len(dataset.held_out)))
    told = compare(dataset, x, rng, seed)
    likelihood = float(np.mean(target.log_prob(dataset.held_out)))
    return known | {"d_loss": told["d_loss"], "frechet": told["frechet"], "likelihood": likelihood}


if __name__ == "__main__":
    show(page)
