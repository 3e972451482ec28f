"""What image_saef.py and glow_objectives.py share: which images, the row of one training, and what is written after each row.

Judged by the first JUDGED held-out images, as judged.py has it, but the Frechet distance is one of these features:

    with classes     the last hidden layer of metrics.digit_classifier, learned from the first CLASSIFIED images trained on
    without classes  FILTERS random 5 x 5 filters N(0, 1 / (25 c)), stride 2, rectified, the mean of each quarter of the image

Each row is kept beside its training, with images drawn from it. After each, results.json and the pictures are made anew of the
rows that are there: whatever stops a run, it leaves what is done, and goes on with --resume.
"""
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments import judged
from evenflow.experiments.ebm_trainings import spent
from evenflow.experiments.image_data import SHIPPED, images
from evenflow.experiments.results import Row, kept
from evenflow.reference.app.shaped_pictures import image_grid
from evenflow.reference.core import Array, fetched, lookup, placed
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.evaluation import compare, footing
from evenflow.reference.work.files import write_aside
from evenflow.reference.work.folders import LOG, read_log
from evenflow.reference.work.images import BATCHES
from evenflow.reference.work.metrics import digit_features, frechet_distance
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained

JUDGED, CLASSIFIED, FILTERS, EDGE = 1000, 10_000, 32, 5
TIMED, ROUNDS = 500, 5  # images sampled and inverted in a round
SHOWN = 10              # images of each model in the picture
REAL = "real images"    # training images in the place of samples
QUALITY = {"d_loss": "D-loss", "frechet": "Frechet", "energy_score": "energy score", "bits_per_dim": "bits per dim"}
FIELDS = ("parameters", *QUALITY, "round_trip_error", "best_step", "stopped_at", "time")

Call = Callable[[], object]


def set_for(how: Mapping[str, Any], data: Path | None) -> str:
    """Which images a preset is of: those of a library, or those in the user's folder. ValueError where it knows none such."""
    if data is None:
        return next(name for name in how if name in SHIPPED)
    kind = "cifar" if any((data / name).exists() for name in BATCHES) else "fashion"
    name = next((name for name in how if name.startswith(kind)), kind)
    lookup("images", name, dict(how))
    return name


@cache
def dataset_of(name: str, data: Path | None) -> Dataset:
    return images(name, data)


def few(dataset: Dataset) -> Dataset:
    """With the held-out images that are judged, under a name of which `compare` trains no classifier."""
    labels = dataset.held_out_labels
    return dataset._replace(
        name="images", held_out=dataset.held_out[:JUDGED], held_out_labels=None if labels is None else labels[:JUDGED])


@cache
def features_of(name: str, data: Path | None) -> Callable[[Array], Array]:
    """The features at the top of this file, of images (n, d) in the model's units."""
    dataset = dataset_of(name, data)
    if dataset.train_labels is None:
        assert dataset.shape is not None
        h, w = dataset.shape.axes[:2]
        return filtered((h, w, dataset.shape.channels))
    x = footing(dataset, dataset.train[:CLASSIFIED], np.random.default_rng(0))
    return digit_features(x, dataset.train_labels[:CLASSIFIED])


def filtered(shape: tuple[int, int, int]) -> Callable[[Array], Array]:
    """Images (n, h w c) -> (n, 4 FILTERS); the same filters always.

    >>> filtered((8, 8, 3))(np.ones((2, 192))).shape
    (2, 128)
    """
    W = np.random.default_rng(0).standard_normal((shape[2], EDGE, EDGE, FILTERS)) / (EDGE * shape[2] ** 0.5)

    def features(x: Array) -> Array:
        windows = np.lib.stride_tricks.sliding_window_view(x.reshape(-1, *shape), (EDGE, EDGE), axis=(1, 2))[:, ::2, ::2]
        y = np.maximum(np.tensordot(windows, W, axes=3), 0)
        h, w = (size // 2 for size in y.shape[1:3])
        quarters = y[:, : 2 * h, : 2 * w].reshape(len(x), 2, h, 2, w, FILTERS)
        return np.asarray(quarters.mean(axis=(2, 4)).reshape(len(x), -1))

    return features


def learn(
    known: Row, config: Config, name: str, data: Path | None, place: Path, resume: bool,
    train: Callable[[Dataset], Trained], calls: Callable[[Trained], Mapping[str, Call]],
) -> Row:
    """The row of one training: `known`, what is measured, and for each of the calls <name>_time, as a multiple of the first's.

    time: milliseconds for 1,000 images, of the first call. One that broke off has stopped_at and no measurements.
    """
    def measured(trained: Trained) -> Row:
        return measure(trained, name, data, place) | times(calls(trained))

    def make() -> Row:
        row = known | {"data": name, "seed": config.seed, "steps": config.steps, **dict.fromkeys(FIELDS)}
        row |= judged.timed(lambda: train(dataset_of(name, data)), measured)
        return row | {"train_seconds": round(spent(read_log(place / LOG)), 1)}

    there = {"known": known, "config": config.as_json(), "data": name}
    return dict(kept(place / "row.json", {"run": there}, "row", resume, make))


def real(known: Row, name: str, data: Path | None, place: Path, resume: bool, seed: int) -> Row:
    """What a model without fault would get, sampling error included."""
    def make() -> Row:
        dataset, rng = few(dataset_of(name, data)), np.random.default_rng(seed)
        x = dataset.train[rng.choice(len(dataset.train), len(dataset.held_out), replace=False)]
        told = {"d_loss": compare(dataset, x, rng, seed)["d_loss"], "frechet": frechet(x, name, data, rng)}
        draw(place, dataset.held_out[shown(dataset.held_out_labels)])
        return known | {"data": name, "seed": seed, **dict.fromkeys(FIELDS), **told, "train_seconds": None}

    return dict(kept(place / "row.json", {"run": {"data": name}}, "row", resume, make))


def measure(trained: Trained, name: str, data: Path | None, place: Path) -> Row:
    """QUALITY and what else judged.py measures; a few images into the folder, of each class one."""
    dataset, seed = few(dataset_of(name, data)), trained.config.seed
    row, rng = judged.measure(trained, dataset, seed), np.random.default_rng(seed)
    labels = dataset.held_out_labels if trained.classes else None
    row["frechet"] = frechet(trained.sample(len(dataset.held_out), rng, labels), name, data, rng)
    draw(place, trained.sample(SHOWN, rng, None if labels is None else labels[shown(labels)]))
    return row | judged.bits(row, trained.d)


def frechet(samples: Array, name: str, data: Path | None, rng: np.random.Generator) -> float:
    dataset, features = few(dataset_of(name, data)), features_of(name, data)
    return frechet_distance(*(features(footing(dataset, x, rng)) for x in (dataset.held_out, samples)))


def shown(labels: Array | None) -> Array:
    """The first SHOWN, in the order of their classes, each the first of its own where there are as many."""
    if labels is None:
        return np.arange(SHOWN)
    first = np.unique(labels, return_index=True)[1]
    return np.resize(first, SHOWN)


def draw(place: Path, samples: Array) -> None:
    place.mkdir(parents=True, exist_ok=True)
    write_aside(place / "drawn.npz", lambda file: np.savez_compressed(file, images=samples.astype(np.uint8)))


def sampling(trained: Trained) -> tuple[Array, Array | None, Call]:
    """Noise and context of TIMED images, and the call that samples them, in the model's units."""
    model, rng = trained.flow_model(), np.random.default_rng(0)
    z = placed(model.flow.noise(rng, TIMED), trained.config.dtype)
    labels = np.resize(np.arange(len(trained.classes)), TIMED) if trained.classes else None
    context = trained.context(labels, TIMED)
    return z, context, lambda: fetched(model.flow.sample(trained.params, z, context))


def inversion(trained: Trained) -> Mapping[str, Call]:
    """The way back from TIMED samples, of a model that has one."""
    z, context, _ = sampling(trained)
    model = trained.flow_model()
    x = model.flow.sample(trained.params, z, context)
    call: Call = lambda: fetched(model.inverse(trained.params, x, context))
    return {"inversion": call} if trained.can("inverse") else {}


def times(calls: Mapping[str, Call]) -> Row:
    """All in turn, round after round, the first round to warm up; medians."""
    taken = np.array([[judged.seconds(call) for call in calls.values()] for _ in range(1 + ROUNDS)])[1:]
    ratios = np.median(taken / taken[:, :1], axis=0).tolist()
    told = {f"{name}_time": ratio for name, ratio in zip(calls, ratios, strict=True)}
    return {"time": float(np.median(taken[:, 0])) * 1e6 / TIMED, **told}


def report(
    out: Path, experiment: str, preset: str, how: Row, places: Mapping[str, Sequence[Path]], data: Path | None
) -> list[Row]:
    """Write results.json and samples.png of the rows that are there, and return them.  places: model -> a folder a seed."""
    there = [place / "row.json" for mine in places.values() for place in mine if (place / "row.json").exists()]
    rows = [json.loads(path.read_text())["row"] for path in there]
    judged.write_rows(out / "results.json", experiment, preset, how, rows)
    dataset = dataset_of(rows[0]["data"], data)
    drawn = {model: mine[0] / "drawn.npz" for model, mine in places.items() if (mine[0] / "drawn.npz").exists()}
    assert dataset.shape is not None
    strips = {model: np.load(path)["images"] for model, path in drawn.items()}
    image_grid(out / "samples.png", strips, dataset.shape, dataset.units.levels)
    return rows
