"""The data that a trained model is judged on: its own held-out rows, or all rows of another file, which is not trusted.

Of another file the model's columns are taken, by their names where it has names; its numbers are seen in the model's units, its
labels as the model's classes. What does not fit is refused, what was decided is in `notes`.
"""
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.reference.core import Array
from evenflow.reference.targets.toys import TARGETS
from evenflow.reference.work.columns import Like, Table, read
from evenflow.reference.work.data import Dataset, load, numbered
from evenflow.reference.work.runs import Trained
from evenflow.reference.work.tables import Reading, ending

KNOWN = 0.1  # the share of rows equal to some it was trained on that is worth a word


def own_data(trained: Trained) -> Dataset:
    """The data that the model was trained on, split as they were; a note where they are no longer what they were."""
    dataset = load(trained.data, **trained.reading.as_json())
    if dataset.held_out.shape[1] != trained.d:
        raise ValueError(f"{trained.data} has changed: the model has {trained.d} columns, got {dataset.held_out.shape[1]}")
    if trained.classes and dataset.classes not in ((), trained.classes):
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
    table = read_like(trained, name, sep, header, trained.columns)
    check_width(trained, name, table.x)
    labels, own = labels_of(trained, name, table), own_rows(trained)
    known, notes = {row.tobytes() for row in own.train}, table.notes
    again = sum(row.tobytes() in known for row in np.ascontiguousarray(table.x))
    if again > KNOWN * len(table.x) and table.given is None:  # a y alone, without what it was given, is often the same
        notes = (*notes, f"{again} of {len(table.x)} rows in {name} are equal to rows that the model was trained on")
    return own._replace(
        name=name, held_out=table.x, held_out_labels=labels, held_out_given=table.given, held_out_weights=None,
        units=trained.units, columns=trained.columns, classes=trained.classes, notes=(*notes, *own.notes),
    )


def given_data(trained: Trained, source: str | Path, sep: str | None = None, header: str | None = None) -> Dataset:
    """What a conditional model is given, from a file that need not hold what it models: no held-out rows, but their given."""
    if trained.given is None:
        raise ValueError("the model is given nothing: it was trained without --target, --given or --class-conditional")
    table = read_like(trained, str(source), sep, header, ())
    labels = labels_of(trained, str(source), table)
    none = np.empty((0, trained.d))
    return Dataset(str(source), none, none, None, labels, trained.units, trained.columns, notes=table.notes,
                   given=trained.given, held_out_given=table.given)


def read_like(trained: Trained, name: str, sep: str | None, header: str | None, columns: tuple[str, ...] | None) -> Table:
    """A file as the model's own was read, these columns of it and what is given."""
    path, reading, given = Path(name), trained.reading, trained.given
    same = ending(path) == ending(Path(trained.data))
    how = vars(reading) | {"sep": sep or (reading.sep if same else None), "header": header or reading.header}
    named = () if given is None else given.columns[: len(given.columns) - given.labelled]
    table = read(path, Reading(**how), Like(columns, named, trained.words, trained.shape))
    if columns and not table.columns:
        said = f"{name} names no columns: they are taken for {', '.join(columns)}, in this order"
        return table._replace(notes=(*table.notes, said))
    return table


def labels_of(trained: Trained, name: str, table: Table) -> Array | None:
    """The file's labels as the model's numbers, where it takes labels."""
    if not trained.classes:
        return None
    if table.labels is None:
        raise ValueError(f"{name} has no labels, and the model needs one in every row: {trained.classes}")
    return numbered(name, table.labels, trained.classes)[0]


def own_rows(trained: Trained) -> Dataset:
    """The data that the model was trained on; no rows, and a note, where they are not to be had."""
    none = Dataset(trained.data, np.empty((0, trained.d)), np.empty((0, trained.d)), None, None, trained.units, trained.columns,
                   given=trained.given)
    try:
        dataset = own_data(trained)
    except (ValueError, OSError) as error:
        return none._replace(notes=(f"the data that the model was trained on cannot be read: {error}",))
    if dataset.digest != trained.digest and is_file(trained.data):
        return none._replace(notes=(f"{trained.data} has changed since the model was trained on it",))
    return dataset._replace(notes=())


def whole_set(trained: Trained, dataset: Dataset) -> Dataset:
    """A named data set as another file, all of it."""
    x = np.concatenate([dataset.train, dataset.held_out])
    check_width(trained, dataset.name, x)
    if trained.given is not None:
        raise ValueError(f"{dataset.name} has other labels than the data of the class-conditional model, {trained.data}")
    return Dataset(dataset.name, own_rows(trained).train, x, None, None, trained.units, trained.columns)


def check_width(trained: Trained, name: str, x: Array) -> None:
    if x.shape[1] != trained.d:
        raise ValueError(f"data must have the model's {trained.d} columns, got {x.shape[1]} in {name}")


def is_file(name: Any) -> bool:
    return name not in ("digits", *TARGETS)
