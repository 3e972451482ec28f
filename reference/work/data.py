"""Data sets: digits, toys, and the user's files, shuffled and split into rows to train on and rows held out."""
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenflow.reference.core import Array, unknown
from evenflow.reference.targets.toys import TARGETS
from evenflow.reference.work.columns import NO_WORDS, Table, Words, read
from evenflow.reference.work.far import FAR, middle_and_width
from evenflow.reference.work.given import Given
from evenflow.reference.work.images import LEVELS
from evenflow.reference.work.shapes import Shape
from evenflow.reference.work.tables import ENDINGS, PLAIN, Reading
from evenflow.reference.work.units import Units, check_between

DIGITS_TRAIN, TOY_TRAIN, TOY_HELD_OUT = 1_500, 10_000, 2_000
FEW = 20  # rows a dimension that are little


class Dataset(NamedTuple):
    """A data set in the user's units, in two parts: one to train on, one held out."""
    name: str
    train: Array                      # (n, d) float64; pixels as few bytes as hold them
    held_out: Array                   # (k, d)
    train_labels: Array | None        # (n,) whole numbers, 0 ... K - 1
    held_out_labels: Array | None     # (k,)
    units: Units                      # from the training part alone
    columns: tuple[str, ...] | None   # their names, where the file gives them
    classes: tuple[Any, ...] = ()     # (K,) what the file calls the labels; empty: 0, 1, ...
    reading: Reading = PLAIN          # how the file was read
    notes: tuple[str, ...] = ()       # what was decided on the way, and what to doubt
    given: Given | None = None        # what the rows are given, where they are to be modelled given others
    train_given: Array | None = None     # (n, k) in the user's units
    held_out_given: Array | None = None
    train_weights: Array | None = None   # (n,) positive
    held_out_weights: Array | None = None
    words: Words = NO_WORDS           # the classes of columns of words, modelled or given
    shape: Shape | None = None        # what a row stands for, where it is an image or a series

    @property
    def digest(self) -> str:
        """A fingerprint of the numbers and labels in both parts: of the data, and of how they are split."""
        parts = [part for part in (*self[1:5], *self[11:15]) if part is not None]
        return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def load(source: str | Path, seed: int = 0, held_out: float = 0.2, **how: Any) -> Dataset:
    """A data set by name ("digits", or one of TARGETS) or from a file (tables.py).

    seed shuffles before the split and draws the toy sets; held_out is the share of a file's rows that is held out (the
    digits are split 1,500 to 297, the toys 10,000 to 2,000, a folder of images as it is published). how: columns, drop, levels
    and what else is in `Reading`.
    """
    rng, name, reading = np.random.default_rng(seed), str(source), Reading(**how)
    if name in ("digits", *TARGETS) and reading != PLAIN:
        raise ValueError(f"{', '.join(how)} say how to read a file, and {name} is none")
    if name == "digits":
        return digits(rng)
    if name in TARGETS:
        target, n = TARGETS[name](), TOY_TRAIN
        x = target.sample(target.noise(rng, TOY_TRAIN + TOY_HELD_OUT))
        return Dataset(name, x[:n], x[n:], None, None, Units.standardised(x[:n]), None)
    path = Path(name)
    if name and path.is_dir():  # Path("") is the folder where one stands
        reading = replace(reading, levels=reading.levels or LEVELS)
    elif not (path.suffix or reading.sep):
        raise ValueError(unknown("data set", name, ["digits", *TARGETS, f"or a folder or a file: {', '.join(ENDINGS)}"]))
    table = read(path, reading)
    return split(name, reading, table if table.weights is None else weighed(table), rng, held_out)


def split(name: str, reading: Reading, table: Table, rng: np.random.Generator, held_out: float) -> Dataset:
    """A file's rows in two parts, with the units of the first."""
    x, columns, given = table.x, table.columns, table.given
    labels, classes = (None, ()) if table.labels is None else numbered(f"the labels in {name}", table.labels)
    n = len(x) - (table.tested or round(held_out * len(x)))
    if not 2 <= n < len(x):
        raise ValueError(f"held_out must leave rows on both sides, got {held_out} of the {len(x)} rows in {name}")
    if table.tested:
        order = np.append(rng.permutation(n), np.arange(n, len(x)))
    else:
        order = shuffled(x if given is None else np.column_stack([x, given]), labels, rng)
    first, rest = order[:n], order[n:]
    units = units_for(x, first, columns, reading, table.shape)
    notes = (*table.notes, *decided(units, columns, table), *doubts(x, n, columns, units, table.shape))
    known = None if given is None else Given.fitted(given[first], table.given_columns, table.words)
    (y, y_rest), (c, c_rest), (w, w_rest) = (
        (None, None) if part is None else (part[first], part[rest]) for part in (labels, given, table.weights))
    return Dataset(
        name, x[first], x[rest], y, y_rest, units, columns, classes, reading, notes, known, c, c_rest, w, w_rest, table.words,
        table.shape)


def weighed(table: Table) -> Table:
    """Without the rows of weight 0, which are as if they were not there."""
    assert table.weights is not None
    rows = np.flatnonzero(table.weights)
    if len(rows) == len(table.x):
        return table
    labels = table.labels and [table.labels[i] for i in rows]
    said = f"{len(table.x) - len(rows)} rows of weight 0 are left out"
    given = None if table.given is None else table.given[rows]
    return table._replace(
        x=table.x[rows], labels=labels, given=given, weights=table.weights[rows], notes=(*table.notes, said))


def units_for(
    x: Array, train: Array, columns: tuple[str, ...] | None, reading: Reading, shape: Shape | None = None, count: bool = True
) -> Units:
    """Those of the rows to train on, x[train] of a table x (n, d): a column of whole numbers has no others in any row.

    count: whether there may be such columns; else all numbers are real.
    """
    bounds = bounds_of_columns(x.shape[1], columns, reading.bounds)
    if reading.levels is None:
        constant = 0 if shape is None else int((x[train] == x[train[0]]).all(axis=0).sum())
        if constant:
            same = f"{constant} of {x.shape[1]} numbers are the same in all {len(train)} {shape}"
            raise ValueError(f"{same}: real numbers must vary; pixels, whole numbers 0 ... 255, need levels, --levels 256")
        whole = (np.floor(x) == x).all(axis=0) & count
        check_between(x, bounds, whole, columns)
        return Units.whitened(x[train], columns, whole, bounds)
    if bounds is not None:
        raise ValueError("bounds mean nothing for pixels: levels say what they lie between")
    return Units.whole_numbers(x[train], reading.levels)


def bounds_of_columns(
    d: int, columns: tuple[str, ...] | None, bounds: tuple[tuple[str, float, float], ...] | None
) -> Array | None:
    """Low and high (2, d) from `Reading.bounds`; None where there are none."""
    if bounds is None:
        return None
    pair, names = np.tile([[-np.inf], [np.inf]], d), columns or tuple(str(j + 1) for j in range(d))
    for name, *ends in bounds:
        if name not in names:
            raise ValueError(f"bounds must be of columns that are modelled: {unknown('column', name, names)}")
        pair[:, names.index(name)] = ends
    return pair


def decided(units: Units, columns: tuple[str, ...] | None, table: Table) -> list[str]:
    """How each column is seen, where it is not simply a real number."""
    names = np.array(columns or [str(j + 1) for j in range(len(units.shift))], dtype=object)
    said = [f"column {name!r}: words, {len(words)} classes ({listed(words)})" for name, words in table.words.items()]
    if units.levels is not None:
        return [*said, f"pixels: whole numbers 0 to {units.levels - 1}, in one unit"]
    counted = [name for name in names[units.counted if units.counted is not None else []] if name not in table.words]
    if counted:
        said.append(f"whole numbers, dequantised, and whole in samples: {listed(counted)}")
    if units.bounds is not None:
        ends = zip(names, *units.bounds, strict=True)
        bounded = [f"{name} {low:g}:{high:g}" for name, low, high in ends if low > -np.inf or high < np.inf]
        said.append(f"between bounds: {listed(bounded)}")
    return said


def listed(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (f", ... ({len(names)} in all)" if len(names) > 12 else "")


def shuffled(x: Array, labels: Array | None, rng: np.random.Generator) -> Array:
    """A random order of the rows in which the first ones hold every label, and vary in every column that does.

    Were it random alone, a rare label or a flag might be in the held-out rows only, and nothing could be learned of it.
    """
    order = rng.permutation(len(x))
    first = np.append((x[order] != x[order[0]]).argmax(axis=0), 0)
    if labels is not None:
        first = np.append(first, np.unique(labels[order], return_index=True)[1])
    first = np.unique(first)
    return np.concatenate([order[first], np.delete(order, first)])


def doubts(x: Array, n: int, columns: tuple[str, ...] | None, units: Units, shape: Shape | None = None) -> list[str]:
    """What should be looked at before a model is trained on n of the rows x (m, d), in these units. No pixel by itself."""
    said, (m, d) = [], x.shape
    if n < FEW * d:
        said.append(few(n, d, shape))
    if shape is not None or units.levels is not None:
        return said
    for j, column in enumerate(x.T):
        (middle, width), name = middle_and_width(column), columns[j] if columns else str(j + 1)
        if m > 2 and column[0] in (0, 1) and (np.diff(column) == 1).all():
            said.append(f"column {name!r} counts the rows: where that is no measurement, --drop {name}")
        bounded = units.bounds is not None and np.isfinite(units.bounds[:, j]).any()
        if (far := int(np.sum(np.abs(column - middle) > FAR * width))) and not bounded:
            i = int(np.abs(column - middle).argmax())
            where = f"{far} of {m} rows lie far from all others (median {middle:.3g}; row {i + 1}: {column[i]:.3g})"
            seen = units.far is not None and units.far[0, j] == units.far[0, j]
            so = "they are brought in, by asinh: if they are mistakes" if seen else "none is trained on: if they are mistakes"
            said.append(f"column {name!r}: {where}; {so}, mend or leave out those rows, or --drop {name}")
    return said


def few(n: int, d: int, shape: Shape | None = None) -> str:
    fewer = "" if shape else "fewer --columns, or "
    return f"{n} rows to train on in {d} dimensions is little: {fewer}a smaller model (--layers, --hidden)"


def numbered(name: str, values: list[Any], known: tuple[Any, ...] = ()) -> tuple[Array, tuple[Any, ...]]:
    """Labels, whole numbers or words, as 0 ... K - 1 (n,), and the K classes, in order; known: the classes of a model."""
    classes = known or tuple(sorted(set(values)))
    number = {str(label): k for k, label in enumerate(classes)}
    for value in values:
        if str(value) not in number:
            raise ValueError(unknown("label", f"{value} in {name}", map(str, classes)))
    return np.array([number[str(value)] for value in values], dtype=np.int64), classes


def digits(rng: np.random.Generator) -> Dataset:
    """scikit-learn's 8x8 digits: whole numbers 0 ... 16, labels 0 ... 9."""
    from sklearn.datasets import load_digits
    x, labels = load_digits(return_X_y=True)
    order, n = rng.permutation(len(x)), DIGITS_TRAIN
    x, labels = x[order].astype(np.float64), labels[order].astype(np.int64)
    units = Units.whole_numbers(x[:n], levels=17)
    return Dataset("digits", x[:n], x[n:], labels[:n], labels[n:], units, columns=None, shape=Shape((8, 8)))
