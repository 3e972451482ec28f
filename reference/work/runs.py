"""Training a model on a data set, keeping the run in a folder (folders.py), and coming back to it.

A Trained model takes and gives data in the user's units; the standardisation is part of it. What it is made of, a flow or an
energy-based model, shows in what it can do.
"""
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.reference.core import Array, arrays, check_count, check_shape, fetched, placed
from evenflow.reference.ebm.normalizer import LogZ
from evenflow.reference.work import folders
from evenflow.reference.work.checkpoints import Best, load_checkpoint
from evenflow.reference.work.columns import Words
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.energy_model import EnergyModel
from evenflow.reference.work.flow_model import FlowModel
from evenflow.reference.work.given import Given
from evenflow.reference.work.lock import alone
from evenflow.reference.work.options import Config
from evenflow.reference.work.sampling import Walk
from evenflow.reference.work.shapes import Shape
from evenflow.reference.work.tables import PLAIN, Reading
from evenflow.reference.work.training import Progress
from evenflow.reference.work.units import Units


@dataclass(frozen=True)
class Trained:
    """A model with its parameters and the units of its data."""
    config: Config
    data: str                          # the data set's name, or its path
    units: Units
    given: Given | None                # what samples and densities are given, labels for one; None: nothing
    columns: tuple[str, ...] | None
    model: FlowModel | EnergyModel
    params: Any
    words: Words = field(default_factory=dict)  # the classes of columns of words
    digest: str = ""                   # Dataset.digest of what it was trained on
    reading: Reading = PLAIN           # how that was read
    shape: Shape | None = None         # what a row stands for, where it is an image or a series
    best: Best | None = None           # the step whose parameters these are, and its held-out loss; None: the last ones

    @property
    def d(self) -> int:
        return len(self.units.shift)

    @property
    def classes(self) -> tuple[Any, ...]:
        """What the data call the labels 0 ... K - 1; empty where the model is not class-conditional."""
        return self.given.classes[-1] if self.given is not None and self.given.labelled else ()

    @property
    def class_shares(self) -> tuple[float, ...]:
        """How frequent each label is in the training data; empty where labels are not all that is given."""
        return () if self.given is None else self.given.shares

    def can(self, ability: str) -> bool:
        """density: log_density is normalised; inverse: encode, decode; log_z: log_density is log p + log Z, chains walk."""
        return ability in self.model.abilities

    def sample(self, n: int, rng: np.random.Generator, given: Array | None = None) -> Array:
        """n samples (n, d) in the user's units, each given its row of given (n, k), or its label (n,).

        Labels that are not there are drawn as in the data.
        """
        check_count("n", n)
        given = self.some_labels(n, rng) if given is None else given
        return self.to_user(self.model.sample(self.params, n, rng, self.context(given, n)))

    def some_labels(self, n: int, rng: np.random.Generator) -> Array | None:
        """Labels (n,), each as often as in the data; None for a model that is not class-conditional."""
        return rng.choice(len(self.class_shares), size=n, p=self.class_shares) if self.class_shares else None

    def log_density(self, x: Array, given: Array | None = None, uniforms: Array | None = None) -> Array:
        """x (n, d) in the user's units -> (n,) nats in those units; of an energy-based model, log p + log Z.

        Where there are whole numbers uniforms (n, d) in [0, 1) are needed.
        """
        u, log_det = self.steps(x, uniforms)
        return fetched(self.model.log_density(self.params, u, self.context(given, len(u)))) + log_det

    def encode(self, x: Array, given: Array | None = None, uniforms: Array | None = None) -> Array:
        """x (n, d) in the user's units -> z (n, d), distributed as the flow's base if the model is right."""
        u = self.to_model(x, uniforms)
        return fetched(self.flow_model().inverse(self.params, u, self.context(given, len(u))))

    @arrays("z")
    def decode(self, z: Array, given: Array | None = None) -> Array:
        """z (n, d) -> x (n, d) in the user's units."""
        check_shape("z", z, "n", self.d)
        z = placed(z, self.config.dtype)
        return self.to_user(self.flow_model().forward(self.params, z, self.context(given, len(z))))

    def log_z(self, draws: int, rng: np.random.Generator) -> LogZ:
        """log Z of an energy-based model, by importance sampling from its companion flow, or from its base alone."""
        return self.energy_model().log_z(self.params, draws, rng)

    def walk(self, chains: int, sweeps: int, rng: np.random.Generator) -> Walk:
        """The chains of an energy-based model, in the model's units."""
        return self.energy_model().walk(self.params, chains, sweeps, rng)

    def sample_and_walk(self, n: int, rng: np.random.Generator) -> tuple[Array, Walk]:
        """The samples of an energy-based model and the walk they come from."""
        u, walked = self.energy_model().sample_and_walk(self.params, n, rng)
        return self.to_user(u), walked

    def flow_model(self) -> FlowModel:
        if isinstance(self.model, FlowModel):
            return self.model
        raise ValueError("an energy-based model has no inverse")

    def energy_model(self) -> EnergyModel:
        if isinstance(self.model, EnergyModel):
            return self.model
        raise ValueError("a flow is normalised: it has no log Z, and no chains walk")

    def to_model(self, x: Array, uniforms: Array | None = None) -> Array:
        return self.steps(x, uniforms)[0]

    @arrays("x", "uniforms")
    def steps(self, x: Array, uniforms: Array | None = None) -> tuple[Array, Array]:
        """u (n, d) where the model computes, and log |det du/dx| (n,)."""
        u, log_det = self.units.steps(x, uniforms)
        return placed(u, self.config.dtype), log_det.astype(self.config.dtype)

    def to_user(self, u: Array) -> Array:
        """In float64: in float32, data of 1.6e9 +- 10 would all come out as one number."""
        return self.units.to_user(fetched(u).astype(np.float64))

    def context(self, given: Array | None, n: int) -> Array | None:
        """What n rows are given, words and labels as their numbers, as the model takes it; None for a model of x alone."""
        known = self.given
        if known is None:
            if given is not None:
                raise ValueError("given must be None: the model is not class-conditional, and has no target")
            return None
        if given is None:
            what = f"labels must be given, one of 0, ..., {len(self.classes) - 1}" if known.shares else (
                f"given must hold {', '.join(known.columns)}")
            raise ValueError(f"{what} for each of {n} rows")
        given = np.asarray(given)
        if len(known.columns) == 1 and given.ndim < 2:
            check_shape("labels" if known.shares else "given", given, n)
            given = given[:, None]
        check_shape("given", given, n, len(known.columns))
        return placed(known.context(given), self.config.dtype)


def train_on(
    config: Config, dataset: Dataset, folder: folders.PathLike | None = None, resume: bool = False,
    callback: Callable[[Progress], None] | None = None, extend: bool = False,
) -> Trained:
    """Train on a data set; with a folder, keep the run there, and with resume go on with the run that it holds.

    extend: likewise, for more steps than it was begun with, those of config. Along a constant learning rate its last weights
    are those of a run of so many steps, bit for bit (the best may differ: it also looked at the held-out rows where it first
    ended). A rate that decays is from now on what it is in the longer run, higher than it was last: the weights are those of no
    uninterrupted run, but the same whenever the same run is so extended.

    A run that was stopped before its first checkpoint begins anew and comes out the same. Raises ValueError for choices that do
    not fit the data or the run, FileExistsError for a folder that holds a run already, BlockingIOError for one where another
    process trains, and what `training.loop` raises.
    """
    if folder == "":  # Path("") is the folder where one stands
        raise ValueError("folder must name a folder, got ''")
    described = folders.describe_run(config, dataset)
    trained = assemble(described)
    fit = partial(trained.model.fit, trained.units, dataset, trained.given)
    if folder is None:
        params, best = fit(callback=callback)
        return replace(trained, params=params, best=best)
    folder = Path(folder)
    with alone(folder):
        began = (resume or extend) and not folders.never_began(folder)
        folders.open_run(folder, described, folders.read_description(folder, assemble) if began else None, extend)
        tell = (folders.Log(folder / folders.LOG), callback or (lambda progress: None))
        params, best = fit(
            callback=lambda progress: [told(progress) for told in tell], resume=began,
            checkpoint=folders.find_checkpoint(folder) if began else folder / folders.CHECKPOINT,
            identity=folders.identity(described),
        )
    return replace(trained, params=params, best=best)


def assemble(described: dict[str, Any]) -> Trained:
    """The model that a run's description describes, without parameters."""
    check_count("steps", described["steps"])
    if not isinstance(described["data"], str):
        raise TypeError(f"data must be a name or a path, got {described['data']!r}")
    config = Config(**{**described["config"], "steps": described["steps"]})
    units = Units.from_json(described["units"])
    given = None if described["given"] is None else Given.from_json(described["given"])
    kind = EnergyModel if config.family == "ebm" else FlowModel
    width = 0 if given is None else given.width
    shape = described["shape"] and Shape.of(**described["shape"])
    if shape is not None and shape.d != len(units.shift):
        raise ValueError(f"shape must be of {len(units.shift)} numbers, got {shape}")
    model = kind.of(config, len(units.shift), width, units.levels is not None, shape)
    columns = None if described["columns"] is None else tuple(described["columns"])
    words = {name: tuple(each) for name, each in described["words"].items()}
    digest, reading = described["digest"], Reading(**described["reading"])
    if not isinstance(digest, str):
        raise ValueError(f"digest must be a string, got {digest!r}")
    return Trained(config, described["data"], units, given, columns, model, None, words, digest, reading, shape)


def load_run(folder: folders.PathLike) -> Trained:
    """The model of a run, as its last checkpoint has it. Raises FileNotFoundError, CorruptFileError or ValueError.

    >>> import tempfile
    >>> from evenflow.reference.work.data import load
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = train_on(Config("maf", layers=1, steps=1, batch=8), load("rings"), folder)
    ...     load_run(folder).sample(3, np.random.default_rng(0)).shape
    (3, 2)
    """
    described = folders.read_description(folder, assemble)
    trained, checkpoint = assemble(described), folders.find_checkpoint(folder)
    state = load_checkpoint(checkpoint, folders.identity(described), trained.model.like())
    params, best = trained.model.read(state)
    return replace(trained, params=params, best=best)
