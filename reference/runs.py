"""Training a model on a data set, keeping the run in a folder, and coming back to it.

    config.json       the choices, the data's name, its units and columns: all that is needed to build the model again
    checkpoint.npz    the parameters and all else that training needs to go on bit for bit
    log.jsonl         one line a step: step, loss, learning_rate, gradient_norm, held_out, seconds

A Trained model takes and gives data in the user's units; the standardisation is part of it.
"""
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.reference.checks import check_count, check_finite, check_shape
from evenflow.reference.data import Dataset, Units, one_hot, patch_order
from evenflow.reference.flows import Flow
from evenflow.reference.models import Config, build
from evenflow.reference.objectives import Model, Objective
from evenflow.reference.saef import SAEF
from evenflow.reference.training import Progress, load_checkpoint, train, weights
from evenflow.reference.trees import Array, CorruptFileError, Tree, cast, write_aside

FORMAT = 1      # of config.json
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
        noise = cast(self.model.noise(rng, n), self.config.dtype)
        return self.to_user(self.model.sample(self.params, noise, self.context(labels, n)))

    def log_prob(self, x: Array, labels: Array | None = None, uniforms: Array | None = None) -> Array:
        """x (n, d) in the user's units -> (n,) nats in those units. Whole-number data need uniforms (n, d) in [0, 1)."""
        u, model = self.to_model(x, uniforms), self.invertible_model()
        return model.log_prob(self.params, u, self.context(labels, len(u))) + self.units.log_det()

    def encode(self, x: Array, labels: Array | None = None, uniforms: Array | None = None) -> Array:
        """x (n, d) in the user's units -> z (n, d), standard normal if the model is right."""
        u, model = self.to_model(x, uniforms), self.invertible_model()
        return model.inverse(self.params, u, self.context(labels, len(u)))[0]

    def decode(self, z: Array, labels: Array | None = None) -> Array:
        """z (n, d) -> x (n, d) in the user's units."""
        check_shape("z", z, "n", self.d)
        return self.to_user(self.model.sample(self.params, z, self.context(labels, len(z))))

    def invertible_model(self) -> Flow | SAEF:
        if isinstance(self.model, Flow | SAEF):
            return self.model
        raise ValueError("a model with a free-form head has no inverse and no density, only samples")

    def to_model(self, x: Array, uniforms: Array | None = None) -> Array:
        check_shape("x", x, "n", self.d)
        check_finite("x", x)
        return self.units.to_model(x, uniforms).astype(self.config.dtype)

    def to_user(self, u: Array) -> Array:
        """In float64: in float32, data of 1.6e9 +- 10 would all come out as one number."""
        return self.units.to_user(u.astype(np.float64))

    def context(self, labels: Array | None, n: int) -> Array | None:
        """The one-hot labels that a class-conditional model takes; None for any other."""
        if not self.config.class_conditional:
            if labels is not None:
                raise ValueError("labels must be None: the model is not class-conditional")
            return None
        if labels is None:
            raise ValueError(f"labels must be given, one of 0, ..., {len(self.class_shares) - 1} for each of {n} rows")
        check_shape("labels", labels, n)
        return one_hot(np.asarray(labels), len(self.class_shares)).astype(self.config.dtype)


def train_on(
    config: Config, dataset: Dataset, folder: str | os.PathLike[str] | None = None, resume: bool = False,
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
    log = None if folder is None else Log(open_run(folder, described, resume) / "log.jsonl")

    def report(progress: Progress) -> None:
        for tell in (log, callback):
            if tell is not None:
                tell(progress)

    rng = np.random.default_rng(config.seed)
    state = train(
        loss, draw, cast(trained.model.init(rng), config.dtype), config.settings(), rng, callback=report, resume=resume,
        evaluate=lambda params: {"loss": float(loss(params, *fixed))}, identity=described,
        checkpoint=None if folder is None else Path(folder) / "checkpoint.npz",
    )
    return replace(trained, params=weights(state))


def rows(x: Array, labels: Array | None, chosen: Array) -> tuple[Array, Array | None]:
    return x[chosen], None if labels is None else labels[chosen]


def arguments(
    trained: Trained, objective: Objective, rng: np.random.Generator, x: Array, labels: Array | None
) -> tuple[Array, Tree, Array | None]:
    """What the loss takes: x in the model's units, freshly dequantised; the objective's noise; the one-hot labels."""
    u = trained.to_model(x, rng.random(x.shape) if trained.units.levels else None)
    context = trained.context(labels, len(x)) if trained.config.class_conditional else None
    return u, cast(objective.noise(rng, trained.model, len(x)), trained.config.dtype), context


def describe(config: Config, dataset: Dataset) -> dict[str, Any]:
    """All of a run but its numbers, as JSON: what must agree before it may be resumed."""
    if config.class_conditional and dataset.train_labels is None:
        raise ValueError(f"class_conditional needs labels, and {dataset.name} has none")
    shares: list[float] = []
    if config.class_conditional and dataset.train_labels is not None:
        shares = (np.bincount(dataset.train_labels) / len(dataset.train_labels)).tolist()
    units = {"shift": dataset.units.shift.tolist(), "scale": dataset.units.scale.tolist(), "levels": dataset.units.levels}
    return {
        "format": FORMAT, "config": config.as_json(), "data": dataset.name, "units": units, "class_shares": shares,
        "columns": None if dataset.columns is None else list(dataset.columns),
    }


def assemble(described: dict[str, Any]) -> Trained:
    """The model that `describe` described, without parameters."""
    config, units = Config.from_json(described["config"]), described["units"]
    units = Units(np.array(units["shift"]), np.array(units["scale"]), units["levels"])
    shares, columns = tuple(described["class_shares"]), described["columns"]
    order = block_order(config, described["data"])
    model, _ = build(config, len(units.shift), len(shares), order)
    return Trained(config, described["data"], units, shares, None if columns is None else tuple(columns), model, {})


def block_order(config: Config, data: str) -> tuple[int, ...] | None:
    """Digits in 1, 4, 16 or 64 blocks are cut into square patches; all other coordinates stay as they come."""
    sides = {0: 4, 1: 8, 4: 4, 16: 2, 64: 1}
    return patch_order(8, sides[config.blocks]) if data == "digits" and config.blocks in sides else None


def open_run(folder: str | os.PathLike[str], described: dict[str, Any], resume: bool) -> Path:
    """Make the folder of a new run. Raises FileExistsError rather than write over another run."""
    folder = Path(folder)
    config = folder / "config.json"
    if config.exists() and not resume:
        raise FileExistsError(f"{folder} holds a run already: resume it, or choose another folder")
    if not resume:
        text = json.dumps(described, indent=2) + "\n"
        write_aside(config, lambda file: file.write(text.encode()))
    return folder


class Log:
    """Appends one line of JSON a step. A resumed run drops the lines from its first step on, which it makes again."""

    def __init__(self, path: Path) -> None:
        self.path, self.opened = path, False

    def __call__(self, progress: Progress) -> None:
        if not self.opened:
            kept = [line for line in read_log(self.path) if line["step"] < progress.step]
            text = "".join(json.dumps(line) + "\n" for line in kept)
            write_aside(self.path, lambda file: file.write(text.encode()))
            self.opened = True
        line = progress._asdict()
        del line["steps"]
        with open(self.path, "a") as file:
            file.write(json.dumps(line) + "\n")


def read_log(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The lines of a log; none where there is no log. A last line cut short by a power cut is left out."""
    if not Path(path).exists():
        return []
    lines = []
    for line in Path(path).read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines


def load_description(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The config.json of a run. Raises FileNotFoundError or CorruptFileError."""
    path = Path(folder) / "config.json"
    if not path.exists():
        raise FileNotFoundError(f"{folder} holds no run: there is no {path}")
    try:
        described = json.loads(path.read_text())
        if described["format"] != FORMAT:
            raise ValueError(f"format must be {FORMAT}, got {described['format']}")
        assemble(described)  # whatever is missing or out of place shows here
    except KeyError as error:
        raise CorruptFileError(f"{path} is not the description of a run: there is no {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CorruptFileError(f"{path} is not the description of a run: {error}") from error
    return described  # type: ignore[no-any-return]


def load_run(folder: str | os.PathLike[str]) -> Trained:
    """The model of a run, as its last checkpoint has it. Raises FileNotFoundError, CorruptFileError or ValueError."""
    described = load_description(folder)
    trained = assemble(described)
    like = cast(trained.model.init(np.random.default_rng(0)), trained.config.dtype)
    checkpoint = Path(folder) / "checkpoint.npz"
    if not checkpoint.exists():
        raise FileNotFoundError(f"{folder} holds no checkpoint: there is no {checkpoint}")
    return replace(trained, params=weights(load_checkpoint(checkpoint, described, like)))
