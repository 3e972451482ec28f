"""Training a flow on a data set, keeping the run in a folder (folders.py), and coming back to it.

A Trained model takes and gives data in the user's units; the standardisation is part of it. What comes back from a folder
may also be an energy-based model (ebm_runs.py).
"""
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.reference.core.checks import check_count, check_finite, check_shape
from evenflow.reference.core.placement import fetched, placed, streams
from evenflow.reference.core.trees import Array, Tree, cast
from evenflow.reference.flows.flow import Flow
from evenflow.reference.saef.objectives import Model, Objective
from evenflow.reference.saef.semiautoregressive import SAEF
from evenflow.reference.work.checkpoints import load_checkpoint
from evenflow.reference.work.data import Dataset, Units, one_hot, patch_order
from evenflow.reference.work.ebm_models import EBMConfig
from evenflow.reference.work.ebm_runs import TrainedEBM, assemble_ebm, load_ebm
from evenflow.reference.work.folders import (
    CHECKPOINT,
    FORMAT,
    LOG,
    Log,
    PathLike,
    describe_data,
    described_columns,
    described_units,
    find_checkpoint,
    open_run,
    read_description,
)
from evenflow.reference.work.models import Config, build
from evenflow.reference.work.training import Progress, train, weights

HELD_OUT = 500  # as many held-out rows at most judge the training as it goes on


@dataclass(frozen=True)
class Trained:
    """A model with its parameters and the units of its data."""
    config: Config
    data: str                          # the data set's name, or its path
    units: Units
    class_shares: tuple[float, ...]    # how frequent each label is in the training data; empty where there are none
    columns: tuple[str, ...] | None
    model: Model
    params: Tree

    @property
    def d(self) -> int:
        return self.model.d

    @property
    def invertible(self) -> bool:
        """Whether there are an inverse and a density."""
        return isinstance(self.model, Flow | SAEF)

    def sample(self, n: int, rng: np.random.Generator, labels: Array | None = None) -> Array:
        """n samples (n, d) in the user's units; labels (n,) for a class-conditional model, else drawn as in the data."""
        check_count("n", n)
        if labels is None and self.config.class_conditional:
            labels = rng.choice(len(self.class_shares), size=n, p=self.class_shares)
        noise = placed(self.model.noise(streams(rng, self.config.dtype), n), self.config.dtype)
        return self.to_user(self.model.sample(self.params, noise, self.context(labels, n)))

    def log_prob(self, x: Array, labels: Array | None = None, uniforms: Array | None = None) -> Array:
        """x (n, d) in the user's units -> (n,) nats in those units. Whole-number data need uniforms (n, d) in [0, 1)."""
        u, model = self.to_model(x, uniforms), self.invertible_model()
        return fetched(model.log_prob(self.params, u, self.context(labels, len(u)))) + self.units.log_det()

    def encode(self, x: Array, labels: Array | None = None, uniforms: Array | None = None) -> Array:
        """x (n, d) in the user's units -> z (n, d), standard normal if the model is right."""
        u, model = self.to_model(x, uniforms), self.invertible_model()
        return fetched(model.inverse(self.params, u, self.context(labels, len(u)))[0])

    def decode(self, z: Array, labels: Array | None = None) -> Array:
        """z (n, d) -> x (n, d) in the user's units."""
        check_shape("z", z, "n", self.d)
        u = self.model.sample(self.params, placed(z, self.config.dtype), self.context(labels, len(z)))
        return self.to_user(u)

    def invertible_model(self) -> Flow | SAEF:
        if isinstance(self.model, Flow | SAEF):
            return self.model
        raise ValueError("a model with a free-form head has no inverse and no density, only samples")

    def to_model(self, x: Array, uniforms: Array | None = None) -> Array:
        check_shape("x", x, "n", self.d)
        check_finite("x", x)
        return placed(self.units.to_model(x, uniforms), self.config.dtype)

    def to_user(self, u: Array) -> Array:
        """In float64: in float32, data of 1.6e9 +- 10 would all come out as one number."""
        return self.units.to_user(fetched(u).astype(np.float64))

    def context(self, labels: Array | None, n: int) -> Array | None:
        """The one-hot labels that a class-conditional model takes; None for any other."""
        if not self.config.class_conditional:
            if labels is not None:
                raise ValueError("labels must be None: the model is not class-conditional")
            return None
        if labels is None:
            raise ValueError(f"labels must be given, one of 0, ..., {len(self.class_shares) - 1} for each of {n} rows")
        check_shape("labels", labels, n)
        return placed(one_hot(np.asarray(labels), len(self.class_shares)), self.config.dtype)


def train_on(
    config: Config, dataset: Dataset, folder: PathLike | None = None, resume: bool = False,
    callback: Callable[[Progress], None] | None = None,
) -> Trained:
    """Train on a data set; with a folder, keep the run there, and with resume go on with the run that it holds.

    Raises ValueError for choices that do not fit the data, FileExistsError for a folder that holds a run already, and
    what `train` raises.
    """
    described = describe(config, dataset)
    trained = assemble(described)
    objective = build(config, trained.d, len(trained.class_shares))[1]
    n = len(dataset.train)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        chosen = rng.choice(n, size=min(config.batch, n), replace=False)
        return arguments(trained, objective, rng, *rows(dataset.train, dataset.train_labels, chosen))

    def loss(params: Tree, u: Array, noise: Tree, context: Array | None) -> Array:
        return objective(params, trained.model, u, noise, context)

    judged = rows(dataset.held_out, dataset.held_out_labels, np.arange(min(HELD_OUT, len(dataset.held_out))))
    fixed = arguments(trained, objective, np.random.default_rng(config.seed), *judged)
    log = None if folder is None else Log(open_run(folder, described, resume) / LOG)

    def report(progress: Progress) -> None:
        for tell in (log, callback):
            if tell is not None:
                tell(progress)

    rng = np.random.default_rng(config.seed)
    state = train(
        loss, draw, placed(trained.model.init(rng), config.dtype), config.settings(), rng, callback=report, resume=resume,
        evaluate=lambda params: {"loss": float(loss(params, *fixed))}, identity=described,
        checkpoint=None if folder is None else Path(folder) / CHECKPOINT,
    )
    return replace(trained, params=weights(state))


def rows(x: Array, labels: Array | None, chosen: Array) -> tuple[Array, Array | None]:
    return x[chosen], None if labels is None else labels[chosen]


def arguments(
    trained: Trained, objective: Objective, rng: np.random.Generator, x: Array, labels: Array | None
) -> tuple[Array, Tree, Array | None]:
    """What the loss takes: x in the model's units, freshly dequantised; the objective's noise; the one-hot labels."""
    u, dtype = trained.to_model(x, rng.random(x.shape) if trained.units.levels else None), trained.config.dtype
    context = trained.context(labels, len(x)) if trained.config.class_conditional else None
    return u, placed(objective.noise(streams(rng, dtype), trained.model, len(x)), dtype), context


def describe(config: Config, dataset: Dataset) -> dict[str, Any]:
    """All of a run but its numbers, as JSON: what must agree before it may be resumed."""
    if config.class_conditional and dataset.train_labels is None:
        raise ValueError(f"class_conditional needs labels, and {dataset.name} has none")
    shares: list[float] = []
    if config.class_conditional and dataset.train_labels is not None:
        shares = (np.bincount(dataset.train_labels) / len(dataset.train_labels)).tolist()
    return {"format": FORMAT, "config": config.as_json(), "class_shares": shares, **describe_data(dataset)}


def assemble(described: dict[str, Any]) -> Trained:
    """The model that `describe` described, without parameters."""
    config, units, shares = Config.from_json(described["config"]), described_units(described), described["class_shares"]
    model, _ = build(config, len(units.shift), len(shares), block_order(config, described["data"]))
    return Trained(config, described["data"], units, tuple(shares), described_columns(described), model, {})


def block_order(config: Config, data: str) -> tuple[int, ...] | None:
    """Digits in 1, 4, 16 or 64 blocks are cut into square patches; all other coordinates stay as they come."""
    sides = {0: 4, 1: 8, 4: 4, 16: 2, 64: 1}
    return patch_order(8, sides[config.blocks]) if data == "digits" and config.blocks in sides else None


def assemble_any(described: dict[str, Any]) -> Trained | TrainedEBM:
    """The model of either kind that config.json describes, without parameters."""
    return assemble_ebm(described) if described["config"].get("family") == "ebm" else assemble(described)


def load_description(folder: PathLike) -> tuple[Config | EBMConfig, str]:
    """The choices and the data's name of a run. Raises FileNotFoundError or CorruptFileError."""
    run = assemble_any(read_description(folder, assemble_any))
    return run.config, run.data


def load_run(folder: PathLike) -> Trained | TrainedEBM:
    """The model of a run, as its last checkpoint has it. Raises FileNotFoundError, CorruptFileError or ValueError."""
    described = read_description(folder, assemble_any)
    return load_ebm(folder, described) if described["config"]["family"] == "ebm" else load_flow(folder)


def load_flow(folder: PathLike) -> Trained:
    """The same for a run that must be of a flow. Raises CorruptFileError for one of an energy-based model."""
    described = read_description(folder, assemble)
    trained, checkpoint = assemble(described), find_checkpoint(folder)
    like = cast(trained.model.init(np.random.default_rng(0)), trained.config.dtype)
    return replace(trained, params=placed(weights(load_checkpoint(checkpoint, described, like)), trained.config.dtype))
