"""Data sets: digits, toys, and the user's files, shuffled and split into rows to train on and rows held out."""
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenflow.reference.core import Array, check_count, check_shape, unknown
from evenflow.reference.targets.toys import TARGETS
from evenflow.reference.work.tables import ENDINGS, PLAIN, Reading, read
from evenflow.reference.work.units import Units, check_whole

DIGITS_TRAIN, TOY_TRAIN, TOY_HELD_OUT = 1_500, 10_000, 2_000
FEW, FAR = 20, 50  # rows a dimension that are little; interquartile ranges that are far


class Dataset(NamedTuple):
    """A data set in the user's units, in two parts: one to train on, one held out."""
    name: str
    train: Array                      # (n, d)
    held_out: Array                   # (k, d)
    train_labels: Array | None        # (n,) whole numbers, 0 ... K - 1
    held_out_labels: Array | None     # (k,)
    units: Units                      # from the training part alone
    columns: tuple[str, ...] | None   # their names, where the file gives them
    classes: tuple[Any, ...] = ()     # (K,) what the file calls the labels; empty: 0, 1, ...
    reading: Reading = PLAIN          # how the file was read
    notes: tuple[str, ...] = ()       # what was decided on the way, and what to doubt

    @property
    def digest(self) -> str:
        """A fingerprint of the numbers and labels in both parts: of the data, and of how they are split."""
        parts = [part for part in self[1:5] if part is not None]
        return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def load(source: str | Path, seed: int = 0, held_out: float = 0.2, **how: Any) -> Dataset:
    """A data set by name ("digits", or one of TARGETS) or from a file (tables.py).

    seed shuffles before the split and draws the toy sets; held_out is the share of a file's rows that is held out (the
    digits are split 1,500 to 297, the toys 10,000 to 2,000). how: columns, drop, label_column, sep, header, as in `Reading`.
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
    if not (path.suffix or reading.sep):
        raise ValueError(unknown("data set", name, ["digits", *TARGETS, f"or a file: {', '.join(ENDINGS)}"]))
    x, values, columns, notes = read(path, reading)
    labels, classes = (None, ()) if values is None else numbered(f"the labels in {name}", values)
    n = len(x) - round(held_out * len(x))
    if not 2 <= n < len(x):
        raise ValueError(f"held_out must leave rows on both sides, got {held_out} of the {len(x)} rows in {name}")
    order = shuffled(x, labels, rng)
    units = Units.whitened(x[order[:n]], columns)
    notes, x = (*notes, *doubts(x, n, columns)), x[order]
    y, k = (None, None) if labels is None else (labels[order[:n]], labels[order[n:]])
    return Dataset(name, x[:n], x[n:], y, k, units, columns, classes, reading, notes)


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


def doubts(x: Array, n: int, columns: tuple[str, ...] | None) -> list[str]:
    """What should be looked at before a model is trained on n of the rows x (m, d).

    Far out is what lies FAR interquartile ranges from the median (where half of a column is one value: FAR times as far from it
    as half of the others). A few such rows set the column's unit, its standard deviation, and all else becomes a point.
    """
    said, (m, d) = [], x.shape
    if n < FEW * d:
        said.append(few(n, d))
    for j, column in enumerate(x.T):
        middle, name = float(np.median(column)), columns[j] if columns else str(j + 1)
        if m > 2 and column[0] in (0, 1) and (np.diff(column) == 1).all():
            said.append(f"column {name!r} counts the rows: where that is no measurement, --drop {name}")
        away = np.abs(column - middle)
        scale = np.subtract(*np.quantile(column, [0.75, 0.25])) or np.median(away[away > 0])
        if far := int(np.sum(away > FAR * scale)):
            i = int(away.argmax())
            where = f"{far} of {m} rows lie far from all others (median {middle:.3g}; row {i + 1}: {column[i]:.3g})"
            said.append(f"column {name!r}: {where}, and set its unit: mend or leave out those rows, or --drop {name}")
    return said


def few(n: int, d: int) -> str:
    return f"{n} rows to train on in {d} dimensions is little: fewer --columns, or a smaller model (--layers, --hidden)"


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
    return Dataset("digits", x[:n], x[n:], labels[:n], labels[n:], units, columns=None)


def one_hot(labels: Array, classes: int) -> Array:
    """labels (n,), whole numbers 0 ... classes - 1 -> (n, classes), row i with its 1 at labels[i]."""
    check_shape("labels", labels, "n")
    check_whole("labels", labels, classes)
    return (labels[:, None] == np.arange(classes)).astype(np.float64)


def patch_order(side: int, patch: int) -> tuple[int, ...]:
    """The pixels of a side x side image, numbered line by line, so ordered that each patch x patch square is one run.

    Blocks of patch^2 are then squares, as in the paper's MNIST model; line by line within and between: x[:, order].
    """
    check_count("side", side)
    check_count("patch", patch)
    if side % patch:
        raise ValueError(f"patch must divide side = {side}, got {patch}")
    squares = np.arange(side * side).reshape(side // patch, patch, side // patch, patch)
    return tuple(squares.transpose(0, 2, 1, 3).ravel().tolist())
