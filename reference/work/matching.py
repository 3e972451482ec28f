"""The data that a trained model is judged on: its own held-out rows, or all rows of another file, which is not trusted.

Of another file the model's columns are taken, by their names where it has names; its numbers are seen in the model's units, its
labels as the model's classes. What does not fit is refused, what was decided is in `notes`.
"""
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.reference.core import Array
from evenflow.reference.targets.toys import TARGETS
from evenflow.reference.work.data import Dataset, load, numbered
from evenflow.reference.work.runs import Trained
from evenflow.reference.work.tables import Reading, ending, read

KNOWN = 0.1  # the share of rows equal to some it was trained on that is worth a word


def own_data(trained: Trained) -> Dataset:
    """The data that the model was trained on, split as they were; a note where they are no longer what they were."""
    dataset = load(trained.data, **trained.reading.as_json())
    if dataset.held_out.shape[1] != trained.d:
        raise ValueError(f"{trained.data} has changed: the model has {trained.d} columns, got {dataset.held_out.shape[1]}")
    if trained.class_shares and dataset.classes not in ((), trained.classes):
        raise ValueError(f"{trained.data} has changed: the model's labels are {trained.classes}, got {dataset.classes}")
    if dataset.digest != trained.digest and is_file(trained.data):
        changed = f"{trained.data} has changed since the model was trained on it: held-out rows may be among those it has seen"
        dataset = dataset._replace(notes=(*dataset.notes, f"{changed}; judge it on rows kept apart: --data"))
    return dataset._replace(units=trained.units)


def other_data(trained: Trained, source: str | Path, sep: str | None = None, header: str | None = None) -> Dataset:
    """All rows of another file as held-out ones, beside the rows that the model was trained on (none, where they are gone).

    sep, header: as in `Reading`, where the file differs from the model's own. Raises ValueError where columns or labels do not
    fit, and what `tables.read` raises.
    """
    name = str(source)
    if not is_file(name):
        return own_data(trained) if name == trained.data else whole_set(trained, load(name))
    path, reading = Path(name), trained.reading
    same = ending(path) == ending(Path(trained.data))
    how = vars(reading) | {"sep": sep or (reading.sep if same else None), "header": header or reading.header}
    x, values, columns, notes = read(path, Reading(**how), trained.columns or ())
    check_width(trained, name, x)
    if trained.columns and not columns:
        notes = (*notes, f"{name} names no columns: they are taken for {', '.join(trained.columns)}, in this order")
    labels = None
    if trained.class_shares:
        if values is None:
            raise ValueError(f"{name} has no labels, and the model needs one in every row: {trained.classes}")
        labels, _ = numbered(name, values, trained.classes)
    train, seen = own_rows(trained)
    known = {row.tobytes() for row in train}
    again = sum(row.tobytes() in known for row in np.ascontiguousarray(x))
    if again > KNOWN * len(x):
        notes = (*notes, f"{again} of {len(x)} rows in {name} are equal to rows that the model was trained on")
    return Dataset(name, train, x, None, labels, trained.units, trained.columns, trained.classes, notes=(*notes, *seen))


def own_rows(trained: Trained) -> tuple[Array, tuple[str, ...]]:
    """The rows that the model was trained on; none, and a note, where they are not to be had."""
    try:
        dataset = own_data(trained)
    except (ValueError, OSError) as error:
        return np.empty((0, trained.d)), (f"the data that the model was trained on cannot be read: {error}",)
    if dataset.digest != trained.digest and is_file(trained.data):
        return np.empty((0, trained.d)), (f"{trained.data} has changed since the model was trained on it",)
    return dataset.train, ()


def whole_set(trained: Trained, dataset: Dataset) -> Dataset:
    """A named data set as another file, all of it."""
    x = np.concatenate([dataset.train, dataset.held_out])
    check_width(trained, dataset.name, x)
    if trained.class_shares:
        raise ValueError(f"{dataset.name} has other labels than the data of the class-conditional model, {trained.data}")
    return Dataset(dataset.name, own_rows(trained)[0], x, None, None, trained.units, trained.columns)


def check_width(trained: Trained, name: str, x: Array) -> None:
    if x.shape[1] != trained.d:
        raise ValueError(f"data must have the model's {trained.d} columns, got {x.shape[1]} in {name}")


def is_file(name: Any) -> bool:
    return name not in ("digits", *TARGETS)
