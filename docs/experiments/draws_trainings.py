"""The trainings of draws.py: a SAEF with a number of draws and an estimator, kept in a folder, measured when it is over."""
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenflow.experiments import judged
from evenflow.experiments.draws_measures import SPREADS, Blend, spreads
from evenflow.experiments.pool import OnStep
from evenflow.experiments.results import Row, kept
from evenflow.reference.core import placed
from evenflow.reference.work.checkpoints import load_checkpoint
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.folders import CHECKPOINT, LOG, Log, describe_run
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained, assemble
from evenflow.reference.work.training import Progress

MODELS: dict[str, dict[str, Any]] = {
    "digits": {"blocks": 16, "class_conditional": True},
    "eight-gaussians": {"blocks": 1, "block_map": "spline", "layers": 4},
}
BASE, EARLY, BATCH = 4, 100, 128  # draws of the trainings that are looked into, and a step at which they are
TRAINED, TRAINED_EPS = (2, 4, 16), (0.0, 0.05, 1.0)


class Preset(NamedTuple):
    """steps: of BASE draws; plans: what is equal, "steps" or "draws"; pairs: of gradients, of each kind."""
    steps: int
    toy_steps: int
    pairs: int
    plans: tuple[str, ...]


PRESETS = {"quick": Preset(200, 200, 6, ("steps",)), "best": Preset(800, 800, 32, ("steps", "draws"))}


class Training(NamedTuple):
    """One of them: its data, draws a datum, estimator, and what it has as many of as that with BASE draws has."""
    data: str
    draws: int
    eps: float
    plan: str

    def steps(self, how: Preset) -> int:
        steps = how.steps if self.data == "digits" else how.toy_steps
        return steps if self.plan == "steps" else steps * BASE // self.draws

    def config(self, how: Preset, seed: int) -> Config:
        choices = {"draws": self.draws, "steps": self.steps(how), "learning_rate": 1e-3, "keep": "last", "seed": seed}
        return Config("saef", objective="energy", batch=BATCH, **MODELS[self.data], **choices)

    def folder(self, out: Path, seed: int) -> Path:
        return out / f"{self.data}-{self.draws}-draws-eps{self.eps:g}-equal-{self.plan}-seed{seed}"


def trainings(how: Preset) -> list[Training]:
    """With BASE draws equal draws are equal steps."""
    plans = [(plan, m) for plan in how.plans for m in TRAINED if plan == "steps" or m != BASE]
    digits = [Training("digits", m, eps, plan) for plan, m in plans for eps in TRAINED_EPS]
    return [*digits, base("eight-gaussians")]


def base(data: str) -> Training:
    """The training that is looked into."""
    return Training(data, BASE, 0.0, "steps")


def model_of(one: Training, config: Config, dataset: Dataset) -> Trained:
    """Without parameters yet."""
    trained = assemble(describe_run(config, dataset))
    return replace(trained, model=replace(trained.flow_model(), objective=Blend(config.beta, one.draws, one.eps)))


def identity(one: Training, config: Config) -> Row:
    return {"config": config.as_json(), "data": one.data, "eps": one.eps}


def learn(
    data: str, draws: int, eps: float, plan: str, preset: str, seed: int, out: Path, resume: bool, on_step: OnStep
) -> Row:
    """The row of one training. One that broke off has stopped_at and no measurements."""
    how, one = PRESETS[preset], Training(data, draws, eps, plan)
    folder = one.folder(out, seed)
    config, dataset = one.config(how, seed), load(one.data)
    name = f"{one.data}, {one.draws} draws, eps = {one.eps:g}, equal {one.plan}, seed {seed}"

    def tell(progress: Progress) -> None:
        if one == base(one.data) and progress.step == EARLY + 1:  # the checkpoint last written is that of EARLY
            shutil.copy(folder / CHECKPOINT, folder / "early.npz")
        on_step(name, progress)

    def make() -> Row:
        row: Row = {"kind": "training", **one._asdict(), "steps": config.steps, "seed": seed, "stopped_at": None}
        row |= dict.fromkeys((*judged.MEASURED, *SPREADS))
        return row | judged.timed(
            lambda: fitted(model_of(one, config, dataset), dataset, folder, identity(one, config), resume, tell),
            lambda trained: measure(trained, dataset, seed))

    return dict(kept(folder / "row.json", {"run": identity(one, config)}, "made", resume, make))


def fitted(
    trained: Trained, dataset: Dataset, folder: Path, identity: Row, resume: bool, tell: Callable[[Progress], None]
) -> Trained:
    """Trained as every run is, whatever its model."""
    log, checkpoint = Log(folder / LOG), folder / CHECKPOINT

    def report(progress: Progress) -> None:
        log(progress)
        tell(progress)

    params, _ = trained.flow_model().fit(
        dataset.units, dataset, trained.given, callback=report, checkpoint=checkpoint,
        resume=resume and checkpoint.exists(), identity=identity)
    return replace(trained, params=params)


def measure(trained: Trained, dataset: Dataset, seed: int) -> Row:
    """Of the digits; the toy is there for its gradients."""
    if dataset.held_out_labels is None or dataset.train_labels is None:
        return {}
    return judged.measure(trained, dataset, seed) | spreads(trained, dataset, np.random.default_rng([seed, 1]))


def stored(one: Training, how: Preset, seed: int, out: Path, step: int | None = None) -> Trained:
    """The model after so many steps: 0, EARLY, or None, all of them."""
    dataset, config = load(one.data), one.config(how, seed)
    trained = model_of(one, config, dataset)
    if step == 0:
        return replace(trained, params=trained.flow_model().init(np.random.default_rng(seed)))  # as `fit` begins
    path = one.folder(out, seed) / ("early.npz" if step == EARLY else CHECKPOINT)
    state = load_checkpoint(path, identity(one, config), trained.flow_model().like())
    if state.step != (step or config.steps):
        raise ValueError(f"{path} must hold step {step or config.steps}, got {state.step}")
    return replace(trained, params=placed(state.params, config.dtype))
