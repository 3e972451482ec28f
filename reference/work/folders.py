"""The folder of a run, the same for flows and for energy-based models.

    config.json       the choices, the data's name, its units, columns and classes: all that is needed to build the model again;
                      how the data are read, and their digest
    checkpoint.npz    the parameters and all else that training needs to go on bit for bit
    log.jsonl         one line a step: step, loss, learning_rate, gradient_norm, held_out, seconds, and what the algorithm adds
"""
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.reference.work.data import Dataset, Units
from evenflow.reference.work.files import CorruptFileError, write_aside
from evenflow.reference.work.training import Progress

PathLike = str | os.PathLike[str]
FORMAT = 3  # of config.json
MOST_CLASSES = 1000
CONFIG, CHECKPOINT, LOG = "config.json", "checkpoint.npz", "log.jsonl"


def describe_run(config: dict[str, Any], dataset: Dataset, class_conditional: bool) -> dict[str, Any]:
    """All of a run but its numbers, as JSON: what must agree before it may be resumed."""
    units, columns = dataset.units, dataset.columns
    shares, classes = shares_of(dataset) if class_conditional else ([], ())
    return {
        "format": FORMAT, "config": config, "class_shares": shares, "classes": list(classes), "data": dataset.name,
        "digest": dataset.digest, "reading": dataset.reading.as_json(), "columns": None if columns is None else list(columns),
        "units": {"shift": units.shift.tolist(), "scale": units.scale.tolist(), "levels": units.levels,
                  "L": None if units.L is None else units.L.tolist()},
    }


def shares_of(dataset: Dataset) -> tuple[list[float], tuple[Any, ...]]:
    """How frequent each class is among the rows to train on, and what the classes are called.

    A class that the held-out rows alone have has the share 0. Raises ValueError where there are no labels, or too many.
    """
    labels, judged = dataset.train_labels, dataset.held_out_labels
    if labels is None or judged is None:
        raise ValueError(f"class_conditional needs labels, and {dataset.name} has none")
    classes = dataset.classes or tuple(range(1 + int(max(labels.max(), judged.max(initial=0)))))
    if len(classes) > min(MOST_CLASSES, max(20, len(labels) // 2)):
        few = f"at most {MOST_CLASSES} classes, with two rows each beyond twenty"
        raise ValueError(f"class_conditional takes {few}, got {len(classes)} in {len(labels)} rows: is that column the label?")
    return (np.bincount(labels, minlength=len(classes)) / len(labels)).tolist(), classes


def units_of(described: dict[str, Any]) -> Units:
    units = described["units"]
    L = None if units["L"] is None else np.array(units["L"])
    return Units(np.array(units["shift"]), np.array(units["scale"]), units["levels"], L)


def open_run(folder: PathLike, described: dict[str, Any], resume: bool) -> Path:
    """Make the folder of a new run. Raises FileExistsError rather than write over another run."""
    folder = Path(folder)
    config = folder / CONFIG
    if config.exists() and not resume:
        raise FileExistsError(f"{folder} holds a run already: resume it, or choose another folder")
    if not resume:
        text = json.dumps(described, indent=2) + "\n"
        write_aside(config, lambda file: file.write(text.encode()))
    return folder


def read_description(folder: PathLike, assemble: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The config.json of a run, which `assemble` must be able to make into a model.

    Raises FileNotFoundError or CorruptFileError.
    """
    path = Path(folder) / CONFIG
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


def find_checkpoint(folder: PathLike) -> Path:
    """Raises FileNotFoundError where there is none."""
    checkpoint = Path(folder) / CHECKPOINT
    if not checkpoint.exists():
        raise FileNotFoundError(f"{folder} holds no checkpoint: there is no {checkpoint}")
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
        with open(self.path, "a") as file:
            file.write(json.dumps(line) + "\n")


def read_log(path: PathLike) -> list[dict[str, Any]]:
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
