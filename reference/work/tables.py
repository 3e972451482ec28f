"""Files of data as people have them, and how to read one. columns.py says what becomes of its columns.

    .csv, .tsv, and both as .gz     text, UTF-8 (text_tables.py); any other ending where `sep` is given
    .npy, .npz                      one array (n, d), a vector as (n, 1); the arrays "x" and, where there are labels, "y";
                                    three axes or four are images (n, h, w) or (n, h, w, c), or with `series` (n, t, c)
    .parquet                        where pyarrow is installed
    a folder                        of images, as MNIST and CIFAR-10 are published (images.py)
"""
import csv
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenflow.reference.core import Array, anywhere, array, check_count, check_finite, check_shape, lookup, numbers, unknown
from evenflow.reference.work.images import read_folder
from evenflow.reference.work.shapes import Shape
from evenflow.reference.work.text_tables import SEPARATORS, read_text

ENDINGS = (".npy", ".npz", ".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")


def several(names: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """a,b on the command line, with quotes where a name has a comma; several names in Python."""
    if isinstance(names, str):
        names = [name.strip() for name in next(csv.reader([names], skipinitialspace=True)) or [names]]
    return None if names is None else tuple(map(str, names))


def bounds_of(given: Any) -> tuple[tuple[str, float, float], ...] | None:
    """age:0:,share:0:1 on the command line; in Python also {"age": (0, None), "share": (0, 1)}.

    >>> bounds_of("age:0:,share:0:1")
    (('age', 0.0, inf), ('share', 0.0, 1.0))
    """
    if given is None:
        return None
    if isinstance(given, str):
        given = [part.rsplit(":", 2) for part in several(given) or ()]
    made = []
    for part in given.items() if isinstance(given, Mapping) else given:
        try:
            name, ends = part if isinstance(given, Mapping) else (part[0], part[1:])
            low, high = (far if end in (None, "") else float(end) for far, end in zip((-math.inf, math.inf), ends, strict=True))
        except (TypeError, ValueError):
            said = f"bounds must say column:low:high for each, low or high left out where there is none, got {given!r}"
            raise ValueError(said) from None
        if not low < high:
            raise ValueError(f"bounds must have low below high, got {low:g} and {high:g} for {name!r}")
        made.append((str(name), low, high))
    return tuple(made)


@dataclass(frozen=True)
class Reading:
    """How to read a table, beyond its ending. A run keeps it, so that its data and others are read the same way."""
    columns: tuple[str, ...] | None = None  # those to take, in this order; None: all
    drop: tuple[str, ...] | None = None     # those to leave out
    label_column: str | None = None         # None: the one called "label", if there is one
    target: tuple[str, ...] | None = None   # those to model, given others
    given: tuple[str, ...] | None = None    # those that are given; None, where there is a target: all others
    weights: str | None = None              # the column of the rows' weights
    bounds: tuple[tuple[str, float, float], ...] | None = None  # column, low, high; -inf and inf where there is none
    levels: int | None = None               # pixels: whole numbers 0 ... levels - 1 in all columns
    series: bool = False                    # an array of three axes is (n, t, c), and no image
    sep: str | None = None                  # None: what the ending says
    header: str = "auto"                    # yes, no; auto: the rule in text_tables.py

    def __post_init__(self) -> None:
        for name in ("columns", "drop", "target", "given"):
            object.__setattr__(self, name, several(getattr(self, name)))
        object.__setattr__(self, "bounds", bounds_of(self.bounds))
        for first, other in (("columns", "drop"), ("target", "given")):
            asked = (*(getattr(self, first) or ()), *(getattr(self, other) or ()))
            if len(set(asked)) < len(asked):
                raise ValueError(f"{first} and {other} must name each column once, got {', '.join(asked)}")
        if self.levels is not None:
            check_count("levels", self.levels, least=2)
        lookup("header", self.header, {"auto": 0, "yes": 0, "no": 0})
        sep = {"\\t": "\t", **{name: sign for sign, name in SEPARATORS.items()}}.get(self.sep or "", self.sep)
        if sep is not None and (len(sep) != 1 or sep in '\n\r"'):
            raise ValueError(f"sep must be one character, or one of {', '.join(SEPARATORS.values())}, got {self.sep!r}")
        object.__setattr__(self, "sep", sep)

    def as_json(self) -> dict[str, Any]:
        """What was asked for: plain JSON, and arguments that make the same Reading."""
        asked = {name: how for name, how in vars(self).items() if how not in (None, "auto", False)}
        return {name: plain(how) for name, how in asked.items()}


PLAIN = Reading()  # by the ending alone


def plain(part: Any) -> Any:
    """As JSON has it: lists, and None for a number that is not finite, such as a bound that is not there."""
    if isinstance(part, np.ndarray | list | tuple):
        return [plain(each) for each in (part.tolist() if isinstance(part, np.ndarray) else part)]
    return None if isinstance(part, float) and not math.isfinite(part) else part


class Raw(NamedTuple):
    """A file before it is said what its columns are."""
    names: tuple[str, ...] | None
    columns: list[Any]                 # of equally many cells, or numbers, each
    lines: list[int] | None = None     # of a text, where each row stands
    labels: Any = None
    shape: Shape | None = None         # images or series: the columns are one array (n, d) then
    tested: int = 0                    # the last rows, which are kept for testing


def raw_of(path: Path, reading: Reading, asked: Collection[str]) -> Raw:
    """A file by its ending; asked: names of columns that are asked for.

    Raises FileNotFoundError, ValueError, or ModuleNotFoundError for pyarrow.
    """
    if path.is_dir():
        x, labels, tested, shape = read_folder(path)
        return Raw(None, [x.reshape(len(x), -1)], labels=labels, shape=shape, tested=tested)
    suffix = ending(path)
    if reading.sep or suffix.removesuffix(".gz") in (".csv", ".tsv"):
        sep = reading.sep or ("\t" if suffix.startswith(".tsv") else ",")
        return Raw(*read_text(path, sep, reading.header, asked))
    if suffix not in ENDINGS:
        raise ValueError(unknown("file ending", suffix, [*ENDINGS, "or any text with --sep"]))
    return read_parquet(path) if suffix == ".parquet" else read_numpy(path, reading.series)


def ending(path: Path) -> str:
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() + suffix if suffix == ".gz" else suffix


def read_numpy(path: Path, series: bool = False) -> Raw:
    """An .npy or .npz file. Nothing is read that would have to be unpickled."""
    with open(path, "rb") as file:
        try:
            content = np.load(file, allow_pickle=False)
            arrays = {"x": content} if isinstance(content, np.ndarray) else dict(content)
        except Exception as error:  # numpy, zip and zlib each have their own for a damaged file
            raise ValueError(f"{path} must be a whole NumPy file without Python objects (pickles): {error}") from error
    if "x" not in arrays:
        raise ValueError(f"{path} must hold an array 'x', got {sorted(arrays)}")
    x, labels = numbers(f"x in {path}", arrays["x"]), arrays.get("y")
    if labels is not None:
        check_shape(f"y in {path}", labels, len(x) if x.ndim else 1)
    if series and x.ndim != 3:
        raise ValueError(f"x in {path} must have the axes (n, t, c) to be series, got shape {x.shape}")
    if x.ndim in (3, 4) and x.size:
        return Raw(None, [x.reshape(len(x), -1)], labels=labels, shape=Shape(x.shape[1:], series))
    return Raw(None, list(as_table(f"x in {path}", x, whole=False).T), labels=labels)


def read_parquet(path: Path) -> Raw:
    import pyarrow
    from pyarrow import parquet
    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path} must be a whole Parquet file: {error}") from error
    return Raw(tuple(table.column_names), [column.to_numpy() for column in table.columns])


def as_table(name: str, x: Array, whole: bool = True) -> Array:
    """x as a float64 table (n, d), a vector as one column. Refuses what is empty or not numbers; whole: or not finite."""
    x = array(name, x)
    x = x.reshape(-1, 1) if x.ndim == 1 else x
    if x.ndim != 2 or x.size == 0:
        raise ValueError(f"{name} must be a table (n >= 1, d >= 1), got shape {x.shape}")
    if whole:
        check_finite(name, x)
    return x.astype(np.float64)


def check_whole(name: str, x: Array, least: float, most: float) -> None:
    """Raise ValueError unless x holds whole numbers least ... most - 1."""
    x = numbers(name, x)
    bad = ~((np.floor(x) == x) & (x >= least) & (x < most))
    if anywhere(bad):
        between = "" if least == -math.inf else f" from {least} to {most - 1}"
        raise ValueError(f"{name} must hold whole numbers{between}, got {x[bad][0]}")
