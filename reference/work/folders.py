"""The folder of a run, the same for flows and for energy-based models.

    config.json       the choices, the data's place, its units, columns and classes: all that is needed to build the model
                      again; how the data are read, and their digest
    checkpoint.npz    the parameters and all else that training needs to go on bit for bit
    log.jsonl         one line a step: step, loss, learning_rate, gradient_norm, held_out, seconds, and what the algorithm adds

A file of data is kept by its absolute path and known again by what it holds: it may move, the run be resumed from anywhere.
Whatever ends a training, its folder can be resumed: before its first checkpoint it begins anew, and comes out the same.
"""
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.reference.work.checkpoints import check_same
from evenflow.reference.work.columns import check_classes
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.files import CorruptFileError, naming, remove_parts, write_aside
from evenflow.reference.work.given import LABEL, Given
from evenflow.reference.work.options import Config
from evenflow.reference.work.training import Progress

PathLike = str | os.PathLike[str]
FORMAT = 4  # of config.json
CONFIG, CHECKPOINT, LOG = "config.json", "checkpoint.npz", "log.jsonl"
LOGGED = {"step", "loss", "held_out", "seconds"}  # in every line at least


def describe_run(config: Config, dataset: Dataset) -> dict[str, Any]:
    """All of a run but its numbers, as JSON.  steps: as many as are to be made; in config, as many as it was begun with."""
    units, columns, shape = dataset.units, dataset.columns, dataset.shape
    config = config.for_data(len(dataset.train), shape, dataset.given is not None)
    given = given_to(config, dataset)
    return {
        "format": FORMAT, "config": config.as_json(), "steps": config.steps, "given": given and given.as_json(),
        "data": os.path.abspath(dataset.name) if on_disk(dataset) else dataset.name,
        "digest": dataset.digest, "reading": dataset.reading.as_json(), "columns": None if columns is None else list(columns),
        "units": units.as_json(), "words": {name: list(words) for name, words in dataset.words.items()},
        "shape": shape and {"axes": list(shape.axes), "series": shape.series},
    }


def on_disk(dataset: Dataset) -> bool:
    """Whether it was read from a file, or from a folder of images."""
    path = Path(dataset.name)
    return bool(path.suffix and path.is_file()) or (dataset.shape is not None and path.is_dir() and dataset.name != "digits")


def given_to(config: Config, dataset: Dataset) -> Given | None:
    """What a model of these choices is given: columns, labels if it is class-conditional, both, or nothing.

    A class that the held-out rows alone have has the share 0. Raises ValueError where there are no labels, or too many.
    """
    if not vars(config).get("class_conditional"):
        if dataset.given is not None and config.family == "ebm":
            raise ValueError("target and given mean nothing for an energy-based model: its p(x) has no context; take a flow")
        return dataset.given
    labels, judged = dataset.train_labels, dataset.held_out_labels
    if labels is None or judged is None:
        raise ValueError(f"class_conditional needs labels, and {dataset.name} has none")
    classes = dataset.classes or tuple(range(1 + int(max(labels.max(), judged.max(initial=0)))))
    check_classes(f"class_conditional: the labels of {dataset.name}", len(classes), len(labels), "is that column the label?")
    if dataset.given is not None:
        return Given((*dataset.given.columns, LABEL), dataset.given.units, (*dataset.given.classes, classes), labelled=True)
    shares = np.bincount(labels, minlength=len(classes)) / len(labels)
    return Given((LABEL,), None, (classes,), True, tuple(shares.tolist()))


def identity(described: dict[str, Any]) -> dict[str, Any]:
    """What of a run's description must agree before it may be resumed: all but where its data are and how long it will be."""
    return {name: part for name, part in described.items() if name not in ("data", "steps")}


def open_run(folder: PathLike, described: dict[str, Any], there: dict[str, Any] | None = None, extend: bool = False) -> None:
    """Write what is described, and remove what a killed process had begun to write.  there: of a run to go on with, as it was.

    Raises FileExistsError rather than write over another run; ValueError where the run in the folder is another.
    """
    folder = Path(folder)
    if there is not None:
        go_on(folder, described, there, extend)
    elif not never_began(folder):
        raise FileExistsError(f"{folder} holds a run already: resume it, or choose another folder")
    remove_parts(folder)
    if described != there:
        text = json.dumps(described, indent=2) + "\n"
        write_aside(folder / CONFIG, lambda file: file.write(text.encode()))


def go_on(folder: Path, described: dict[str, Any], there: dict[str, Any], extend: bool) -> None:
    """Mark the description as that of the run that is there. Raises ValueError where it is of another one."""
    before, now = there["steps"], described["steps"]
    if now < before or (now > before and not extend):
        longer = "; to make more, extend it" if now > before else ""
        raise ValueError(f"{folder} was begun with steps {before}, not {now}{longer}")
    described["config"]["steps"] = there["config"]["steps"]
    differ = {name for name, part in identity(described).items() if part != there.get(name)}
    if differ - {"config"}:
        raise ValueError(f"{folder} was trained on other data than {described['data']}: {', '.join(sorted(differ))} differ")
    check_same(folder / CHECKPOINT, {"config": there["config"]}, {"config": described["config"]})


def read_description(folder: PathLike, assemble: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The config.json of a run, which `assemble` must be able to make into a model.

    Raises FileNotFoundError or CorruptFileError.
    """
    path = Path(folder) / CONFIG
    if not path.exists():
        raise FileNotFoundError(f"{folder} holds no run: there is no {path}; a training begins one, without resume")
    try:
        described = json.loads(path.read_text())
        if described["format"] != FORMAT:
            raise ValueError(f"format must be {FORMAT}, got {described['format']}")
        assemble(described)  # whatever is missing or out of place shows here
    except KeyError as error:
        raise CorruptFileError(f"{path} is not the description of a run (put back a copy): there is no {error}") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptFileError(f"{path} is not the description of a run (put back a copy): {error}") from error
    return described  # type: ignore[no-any-return]


def find_checkpoint(folder: PathLike) -> Path:
    """Raises FileNotFoundError where there is none."""
    checkpoint = Path(folder) / CHECKPOINT
    if not checkpoint.exists():
        wanted = "resume the run" if never_began(folder) else "put it back, or begin another run"
        raise FileNotFoundError(f"{folder} holds no checkpoint: there is no {checkpoint}; {wanted}")
    return checkpoint


def never_began(folder: PathLike) -> bool:
    """Whether the run in the folder was stopped before it left anything."""
    return not (Path(folder) / CHECKPOINT).exists() and not read_log(Path(folder) / LOG)


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
        line = {**line.pop("info"), **line}
        with naming(self.path), open(self.path, "a") as file:
            file.write(json.dumps(line) + "\n")


def read_log(path: PathLike) -> list[dict[str, Any]]:
    """The lines of a log; none where there is no log. From the first that is damaged or cut short on, they are left out."""
    if not Path(path).exists():
        return []
    lines = []
    for line in Path(path).read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(entry, dict) or not entry.keys() >= LOGGED or not isinstance(entry["held_out"], dict | None):
            break
        lines.append(entry)
    return lines
