"""Glow by likelihood, by MMD and by the energy score (Si et al. 2023: Glow trained with a multi-bandwidth MMD).

The same multi-scale Glow (reference/flows/image.py), the same start, batches of 100; but for the likelihood, 100 images against
100 samples in every step, all samples one forecast: the U-statistics of the kernel score and of the energy score. The kernels
are sums of exp(-|x - y|^2 / (2 s^2)) in the model's units, in which the pixels of all images together have deviation 1. The
bandwidths s are those of the authors' code, 2 to 80, or SCALED times the median distance of two images. Presets:

    quick   digits; with --data DIR, a folder with MNIST's files, 14 x 14 of them: minutes
    paper   32 x 32 photographs, or CIFAR-10; with MNIST's files 28 x 28; 8,000 steps: for a device

    evenflow reproduce glow-objectives --preset paper --data DIR --backend cupy

writes results.json and samples.png. Times are multiples of what the same model takes to sample, in turn.
"""
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments import image_study as study
from evenflow.experiments.image_study import QUALITY, REAL
from evenflow.experiments.pages import show
from evenflow.experiments.pool import OnStep, asked, side_by_side
from evenflow.experiments.results import Row, only
from evenflow.reference.core import Array, Tree
from evenflow.reference.flows import Flow
from evenflow.reference.scores import energy_score, kernel_score, rbf_kernel
from evenflow.reference.work import folders
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained, assemble
from evenflow.reference.work.training import Progress

PRINTED = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0)
SCALED = (0.125, 0.25, 0.5, 1.0, 2.0)
PAIRS = 1000  # whose median distance is taken
Score = Callable[[Array, Array], Array]
OBJECTIVES: dict[str, Callable[[Dataset], Score] | None] = {  # None: as FlowModel has it, the likelihood
    "likelihood": None,
    "MMD, as printed": lambda dataset: partial(kernel_score, kernel=rbf_kernel(PRINTED)),
    "MMD, scaled": lambda dataset: partial(kernel_score, kernel=rbf_kernel([s * median_distance(dataset) for s in SCALED])),
    "energy, beta = 1": lambda dataset: partial(energy_score, beta=1.0),
}
SMALL = {"hidden": (32,), "steps": 1000, "learning_rate": 1e-3}
LARGE = {"hidden": (64,), "steps": 8000, "learning_rate": 1e-3}
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "quick": {"digits": SMALL, "fashion-14": SMALL | {"steps": 500}},
    "paper": {"photographs": LARGE, "cifar": LARGE, "fashion": LARGE},
}
PICTURES = ("samples.png",)
summary = partial(only, ("model", "seed", *QUALITY, "inversion_time"))


@dataclass(frozen=True)
class Batches:
    """As many samples as there are data: one forecast for all of them, and the mean score of it."""
    score: Score

    def noise(self, rng: np.random.Generator, model: Flow, n: int) -> Tree:
        return {"z": model.noise(rng, n)}

    def __call__(self, params: Tree, model: Flow, x: Array, noise: Tree, context: Array | None = None) -> Array:
        return model.loss(params, x, noise["z"], self.score, context)


def median_distance(dataset: Dataset) -> float:
    """Of two of the first images, in the model's units."""
    u = dataset.units.dequantised(dataset.train[: 2 * PAIRS].astype(np.float64), np.random.default_rng(0))
    a, b = np.array_split(u, 2)
    return float(np.median(np.linalg.norm(a[: len(b)] - b, axis=1)))


def run(
    out: Path, preset: str = "quick", seeds: Sequence[int] = (0,), on_step: OnStep | None = None, resume: bool = False,
    data: Path | None = None,
) -> list[Row]:
    """Train all, as many at a time as there are cores; measure, draw and write into `out` after each; return the rows.

    data: a folder with MNIST's or CIFAR-10's files, whose images then take the place of the shipped ones.
    """
    how, out = asked(preset, PRESETS, seeds), Path(out)
    name = study.set_for(how, data)
    jobs = [(name, model, preset, seed, out, resume) for seed in seeds for model in (REAL, *OBJECTIVES)]
    side_by_side(partial(learn, seeds=tuple(seeds), data=data), jobs, on_step)
    return report(name, preset, seeds, out, data)


def learn(
    name: str, model: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep, seeds: Sequence[int] = (),
    data: Path | None = None,
) -> Row:
    """The row of one training; what is written of it, and of those of the other seeds that are over, is written anew."""
    place, of_this = places((seed,), out)[model][0], f"{name}, {model}, seed {seed}"
    if model == REAL:
        row = study.real({"model": model}, name, data, place, resume, seed)
    else:
        config = Config("glow", batch=100, seed=seed, **PRESETS[preset][name])
        row = study.learn(
            {"model": model}, config, name, data, place, resume,
            lambda dataset: train(model, config, dataset, place, resume, partial(on_step, of_this)),
            lambda trained: {"sampling": study.sampling(trained)[2], **study.inversion(trained)})
    report(name, preset, seeds or (seed,), out, data)
    return row


def train(
    model: str, config: Config, dataset: Dataset, place: Path, resume: bool, callback: Callable[[Progress], None]
) -> Trained:
    """As `train_on`, by the objective of this name."""
    described = folders.describe_run(config, dataset)
    trained, score = assemble(described), OBJECTIVES[model]
    if score is not None:
        trained = replace(trained, model=replace(trained.flow_model(), objective=Batches(score(dataset))))
    began = resume and not folders.never_began(place)
    folders.open_run(place, described, folders.read_description(place, assemble) if began else None)
    tell = (folders.Log(place / folders.LOG), callback)
    params, best = trained.flow_model().fit(
        trained.units, dataset, trained.given, callback=lambda progress: [told(progress) for told in tell], resume=began,
        checkpoint=place / folders.CHECKPOINT, identity=folders.identity(described) | {"objective": model})
    return replace(trained, params=params, best=best)


def places(seeds: Sequence[int], out: Path) -> dict[str, list[Path]]:
    return {model: [out / f"{k}-seed{seed}" for seed in seeds] for k, model in enumerate((REAL, *OBJECTIVES))}


def report(name: str, preset: str, seeds: Sequence[int], out: Path, data: Path | None) -> list[Row]:
    """Of the rows that are there."""
    how = {"data": name, "median_distance": median_distance(study.dataset_of(name, data)), **PRESETS[preset][name]}
    return study.report(out, "glow-objectives", preset, how, places(seeds, out), data)


if __name__ == "__main__":
    from evenflow.experiments.image_pages import glow_page
    show(glow_page)
