r"""Data sets, and the units in which a model sees them: column by column, the user's x becomes the model's u,

$$u = (x - \mathrm{shift}) / \mathrm{scale}, \qquad \log|\det du/dx| = -\sum_j \log \mathrm{scale}_j,$$

for real numbers. Whole numbers 0 ... L - 1 are first *dequantised*: x + uniforms, with uniforms in [0, 1), takes the
place of x; on average log p(x + uniforms) is a lower bound on the log probability of the whole number (Theis et al.
2016, section 3.1). Real and generated whole numbers are compared dequantised alike (evaluation.py) or not at all:
raw draws would give themselves away by what they hold between and beyond the levels.
"""
import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evenflow.reference.core import Array, array, arrays, check_count, check_finite, check_shape, lookup, unknown
from evenflow.reference.targets.toys import TARGETS

Table = tuple[Array, Array | None, tuple[str, ...] | None]  # x (n, d), labels (n,), columns
DIGITS_TRAIN, TOY_TRAIN, TOY_HELD_OUT = 1_500, 10_000, 2_000


@dataclass(frozen=True, eq=False)
class Units:
    """How a user's numbers become a model's. levels: None for real numbers; L for whole numbers 0 ... L - 1."""
    shift: Array  # (d,)
    scale: Array  # (d,), positive
    levels: int | None = None

    def __post_init__(self) -> None:
        check_shape("shift", self.shift, "d")
        check_shape("scale", self.scale, len(self.shift))
        check_finite("shift", self.shift)
        if not (np.isfinite(self.scale) & (self.scale > 0)).all():
            raise ValueError(f"scale must be positive and finite, got {self.scale}")
        if self.levels is not None:
            check_count("levels", self.levels, least=2)

    @classmethod
    def standardised(cls, x: Array, columns: tuple[str, ...] | None = None) -> "Units":
        """Units in which each column of x (n, d) has mean 0 and standard deviation 1. Refuses constant columns."""
        x = as_table("x", x)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, sd = x.mean(axis=0), x.std(axis=0)
        check_finite("the columns' standard deviations", sd)  # beyond 1e154 the squares overflow
        constant = np.flatnonzero((x.min(axis=0) == x.max(axis=0)) | (sd == 0))
        if len(constant):
            names = ", ".join(repr(columns[j]) if columns else str(j) for j in constant)
            raise ValueError(f"columns must vary, got constant ones (leave them out): {names}")
        return cls(mean, sd)

    @classmethod
    @arrays("x")
    def whole_numbers(cls, x: Array, levels: int) -> "Units":
        """One shift and one scale for all columns of whole numbers x (n, d): mean and deviation of the dequantised numbers.

        Those are the mean + 1/2 and the variance + 1/12. Column by column, pixels that are always empty would be blown up.
        """
        check_whole("x", x, levels)
        d = x.shape[1]
        return cls(np.full(d, x.mean() + 0.5), np.full(d, math.sqrt(x.var() + 1 / 12)), levels)

    @arrays("x", "uniforms")
    def to_model(self, x: Array, uniforms: Array | None = None) -> Array:
        """x (n, d) in the user's units -> (n, d); uniforms (n, d) in [0, 1) for whole numbers, and only for them."""
        check_shape("x", x, "n", len(self.shift))
        check_finite("x", x)
        if (uniforms is None) == bool(self.levels):
            raise ValueError(f"uniforms must be {'an array' if self.levels else 'None'} where levels is {self.levels}")
        if uniforms is not None and self.levels:
            check_shape("uniforms", uniforms, *x.shape)
            check_whole("x", x, self.levels)
            if not ((uniforms >= 0) & (uniforms < 1)).all():
                raise ValueError(f"uniforms must lie in [0, 1), got {uniforms.min()} to {uniforms.max()}")
            x = x + uniforms
        x = 1.0 * x  # whole numbers become floats
        return (x - self.shift.astype(x.dtype)) / self.scale.astype(x.dtype)

    def dequantised(self, x: Array, rng: np.random.Generator) -> Array:
        """`to_model`; whole numbers with fresh uniforms."""
        return self.to_model(x, rng.random(x.shape) if self.levels else None)

    def to_user(self, u: Array) -> Array:
        """u (n, d) in the model's units -> x (n, d), the inverse; whole numbers by rounding down, then clipping."""
        check_shape("u", u, "n", len(self.shift))
        check_finite("u", u)
        x = u * self.scale.astype(u.dtype) + self.shift.astype(u.dtype)
        return np.clip(np.floor(x), 0, self.levels - 1) if self.levels else x

    def log_det(self) -> float:
        """log |det du/dx|: add it to log p(u) for the log density in the user's units."""
        return -float(np.sum(np.log(self.scale)))


class Dataset(NamedTuple):
    """A data set in the user's units, in two parts: one to train on, one held out."""
    name: str
    train: Array                      # (n, d)
    held_out: Array                   # (k, d)
    train_labels: Array | None        # (n,) whole numbers
    held_out_labels: Array | None     # (k,)
    units: Units                      # from the training part alone
    columns: tuple[str, ...] | None   # their names, where the file gives them


def load(source: str | Path, seed: int = 0, held_out: float = 0.2) -> Dataset:
    """A data set by name ("digits", or one of TARGETS) or from a file that ends in .npy, .npz or .csv.

    seed shuffles before the split and draws the toy sets; held_out is the share of a file's rows that is held out (the
    digits are split 1,500 to 297, the toys 10,000 to 2,000). Files hold tables (n, d); a vector is a column (n, 1).
    .npy  one array        .npz  the array "x" and, where there are labels, whole numbers "y"
    .csv  a first line without any number is a header, and a column that it calls "label" holds the labels
    """
    rng, name = np.random.default_rng(seed), str(source)
    if name == "digits":
        return digits(rng)
    if name in TARGETS:
        target = TARGETS[name]()
        x, labels, columns, n = target.sample(target.noise(rng, TOY_TRAIN + TOY_HELD_OUT)), None, None, TOY_TRAIN
    else:
        x, labels, columns = read(Path(name))
        n = len(x) - round(held_out * len(x))
        if not 2 <= n < len(x):
            raise ValueError(f"held_out must leave rows on both sides, got {held_out} of the {len(x)} rows in {name}")
        order = rng.permutation(len(x))
        x, labels = x[order], None if labels is None else labels[order]
    y, k = (None, None) if labels is None else (labels[:n], labels[n:])
    return Dataset(name, x[:n], x[n:], y, k, Units.standardised(x[:n], columns), columns)


def digits(rng: np.random.Generator) -> Dataset:
    """scikit-learn's 8x8 digits: whole numbers 0 ... 16, labels 0 ... 9."""
    from sklearn.datasets import load_digits
    x, labels = load_digits(return_X_y=True)
    order, n = rng.permutation(len(x)), DIGITS_TRAIN
    x, labels = x[order].astype(np.float64), labels[order].astype(np.int64)
    units = Units.whole_numbers(x[:n], levels=17)
    return Dataset("digits", x[:n], x[n:], labels[:n], labels[n:], units, columns=None)


def read(path: Path) -> Table:
    """A file by its ending. Raises FileNotFoundError, or ValueError where it does not hold what it should."""
    if not path.suffix:
        raise ValueError(unknown("data set", str(path), ["digits", *TARGETS, "or a file: .npy, .npz, .csv"]))
    return lookup("file ending", path.suffix.lower(), {".npy": read_numpy, ".npz": read_numpy, ".csv": read_csv})(path)


def read_numpy(path: Path) -> Table:
    """An .npy or .npz file. Nothing is read that would have to be unpickled."""
    with open(path, "rb") as file:
        try:
            content = np.load(file, allow_pickle=False)
            arrays = {"x": content} if isinstance(content, np.ndarray) else dict(content)
        except Exception as error:  # numpy, zip and zlib each have their own for a damaged file
            raise ValueError(f"{path} must be a whole NumPy file without Python objects (pickles): {error}") from error
    if "x" not in arrays:
        raise ValueError(f"{path} must hold an array 'x', got {sorted(arrays)}")
    x = as_table(f"x in {path}", arrays["x"])
    return x, as_labels(f"y in {path}", arrays["y"], len(x)) if "y" in arrays else None, None


def read_csv(path: Path) -> Table:
    """A .csv file, UTF-8, comma separated."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} must be comma-separated text in UTF-8: {error}") from error
    first = lines[0][1] if lines else []
    header = None if np.isfinite([number(cell) for cell in first]).any() else tuple(cell.strip() for cell in first)
    rows = [csv_row(path, *line, len(first), header) for line in (lines if header is None else lines[1:])]
    table = np.array(rows).reshape(len(rows), len(first))
    if header is None or "label" not in header:
        return as_table(str(path), table), None, header
    at = header.index("label")
    x = as_table(str(path), np.delete(table, at, axis=1))
    return x, as_labels(f"label in {path}", table[:, at], len(x)), header[:at] + header[at + 1 :]


def csv_row(path: Path, line: int, cells: list[str], width: int, header: tuple[str, ...] | None) -> list[float]:
    if len(cells) != width:
        raise ValueError(f"{path}, line {line}: expected {width} cells as in the first line, got {len(cells)}")
    row = [number(cell) for cell in cells]
    for j in np.flatnonzero(~np.isfinite(row)):
        column = f"column {j + 1}" + (f" ({header[j]!r})" if header else "")
        raise ValueError(f"{path}, line {line}, {column}: expected a finite number, got {cells[j]!r}")
    return row


def number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def as_table(name: str, x: Array) -> Array:
    """x as a float64 table (n, d), a vector as one column. Refuses what is empty, not finite or not numbers."""
    x = array(name, x)
    x = x.reshape(-1, 1) if x.ndim == 1 else x
    if x.ndim != 2 or x.size == 0:
        raise ValueError(f"{name} must be a table (n >= 1, d >= 1), got shape {x.shape}")
    check_finite(name, x)
    return x.astype(np.float64)


def as_labels(name: str, y: Array, n: int) -> Array:
    """y (n,) as int64. Refuses all but whole numbers >= 0."""
    check_shape(name, y, n)
    check_whole(name, y)
    return array(name, y).astype(np.int64)


def check_whole(name: str, x: Array, levels: float = math.inf) -> None:
    """Raise ValueError unless x holds whole numbers 0 ... levels - 1."""
    if np.asarray(x).dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold whole numbers, got dtype {np.asarray(x).dtype}")
    bad = ~((np.floor(x) == x) & (x >= 0) & (x < levels))
    if bad.any():
        raise ValueError(f"{name} must hold whole numbers from 0 to {levels - 1}, got {x[bad][0]}")


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
