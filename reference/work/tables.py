"""Tables as people have them: a file is read as it is meant, or refused in one line that says where and what to do.

    .csv, .tsv, and both as .gz     text, UTF-8 (text_tables.py); any other ending where `sep` is given
    .npy, .npz                      one array (n, d), a vector as (n, 1); the arrays "x" and, where there are labels, "y"
    .parquet                        where pyarrow is installed

Columns go by their names; where the file has none, by their numbers from 1. A first column without a name that holds no
measurements is an index and left out, and so is a column without a name and without anything in it. `notes` says what was
decided.
"""
import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenflow.reference.core import Array, array, check_finite, check_shape, lookup, unknown
from evenflow.reference.work.text_tables import MISSING, SEPARATORS, number, numbers, read_text

UNNAMED = re.compile(r"(Unnamed: \d+|__index_level_\d+__)?")  # as pandas calls them
ENDINGS = (".npy", ".npz", ".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")


def several(names: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """a,b on the command line, with quotes where a name has a comma; several names in Python."""
    if isinstance(names, str):
        names = [name.strip() for name in next(csv.reader([names], skipinitialspace=True)) or [names]]
    return None if names is None else tuple(map(str, names))


@dataclass(frozen=True)
class Reading:
    """How to read a table, beyond its ending. A run keeps it, so that its data and others are read the same way."""
    columns: tuple[str, ...] | None = None  # those to take, in this order; None: all
    drop: tuple[str, ...] | None = None     # those to leave out
    label_column: str | None = None         # None: the one called "label", if there is one
    sep: str | None = None                  # None: what the ending says
    header: str = "auto"                    # yes, no; auto: the rule in text_tables.py

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", several(self.columns))
        object.__setattr__(self, "drop", several(self.drop))
        asked = (*(self.columns or ()), *(self.drop or ()))
        if len(set(asked)) < len(asked):
            raise ValueError(f"columns and drop must name each column once, got {', '.join(asked)}")
        lookup("header", self.header, {"auto": 0, "yes": 0, "no": 0})
        sep = {"\\t": "\t", **{name: sign for sign, name in SEPARATORS.items()}}.get(self.sep or "", self.sep)
        if sep is not None and (len(sep) != 1 or sep in '\n\r"'):
            raise ValueError(f"sep must be one character, or one of {', '.join(SEPARATORS.values())}, got {self.sep!r}")
        object.__setattr__(self, "sep", sep)

    def as_json(self) -> dict[str, Any]:
        """What was asked for: plain JSON, and arguments that make the same Reading."""
        asked = {name: how for name, how in vars(self).items() if how not in (None, "auto")}
        return {name: list(how) if isinstance(how, tuple) else how for name, how in asked.items()}


PLAIN = Reading()  # by the ending alone


class Table(NamedTuple):
    """What a file holds."""
    x: Array                           # (n, d) float64
    labels: list[Any] | None           # (n,) whole numbers or words
    columns: tuple[str, ...] | None
    notes: tuple[str, ...]


class Raw(NamedTuple):
    """A file before it is said what its columns are."""
    names: tuple[str, ...] | None
    columns: list[Any]                 # of equally many cells, or numbers, each
    lines: list[int] | None = None     # of a text, where each row stands
    labels: Any = None


def read(path: Path, reading: Reading, like: tuple[str, ...] | None = None) -> Table:
    """A file by its ending; like: the columns of a model, which are then taken by name, and labels only where there are some.

    Raises FileNotFoundError, ValueError, or ModuleNotFoundError for pyarrow.
    """
    suffix = ending(path)
    if reading.sep or suffix.removesuffix(".gz") in (".csv", ".tsv"):
        sep = reading.sep or ("\t" if suffix.startswith(".tsv") else ",")
        asked = {*(reading.columns or ()), *(reading.drop or ()), *(like or ()), reading.label_column or "label"}
        raw = Raw(*read_text(path, sep, reading.header, asked))
    else:
        if suffix not in ENDINGS:
            raise ValueError(unknown("file ending", suffix, [*ENDINGS, "or any text with --sep"]))
        raw = read_parquet(path) if suffix == ".parquet" else read_numpy(path)
    return chosen(path, raw, reading, like)


def ending(path: Path) -> str:
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() + suffix if suffix == ".gz" else suffix


def read_numpy(path: Path) -> Raw:
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
    if "y" in arrays:
        check_shape(f"y in {path}", arrays["y"], len(x))
    return Raw(None, list(x.T), labels=arrays.get("y"))


def read_parquet(path: Path) -> Raw:
    import pyarrow
    from pyarrow import parquet
    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path} must be a whole Parquet file: {error}") from error
    return Raw(tuple(table.column_names), [column.to_numpy() for column in table.columns])


def chosen(path: Path, raw: Raw, reading: Reading, like: tuple[str, ...] | None) -> Table:
    """The columns that are asked for, as numbers; the labels; and what was decided."""
    names = raw.names or tuple(str(j + 1) for j in range(len(raw.columns)))
    gone = [j for j in range(len(names)) if has_no_name(path, raw, j, reading.columns or like)]
    at = {name: j for j, name in enumerate(names) if j not in gone}
    if len(at) < len(names) - len(gone):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{path}: names of columns must differ, got {twice!r} {names.count(twice)} times")
    label = label_name(path, at, reading, like)
    own = like is None or not (like or raw.names)  # else it is another file than the model's
    wanted, dropped = (reading.columns, reading.drop or ()) if own else (raw.names and like, ())
    check_there(path, at, (*(wanted or ()), *dropped))
    taken = wanted or [name for name in at if name not in dropped and name != label]
    n = len(raw.columns[0]) if raw.columns else 0
    x = as_table(str(path), np.array([cells_as_numbers(path, raw, at, name) for name in taken]).reshape(len(taken), n).T)
    labels = raw.labels if label is None else raw.columns[at[label]]
    if labels is not None:
        labels = label_values(f"{'y' if label is None else label} in {path}", labels, raw.lines)
    left = [f"column {j + 1} (it has no name)" for j in gone] + [repr(name) for name in at if name not in (*taken, label)]
    said = f"{path}: {len(x)} rows, {len(taken)} columns"
    said += "" if raw.lines is None else f", header {'yes' if raw.names else 'no'}"
    said += "" if label is None else f", labels in {label!r}"
    return Table(x, labels, tuple(taken) if raw.names else None, (said + (f"; left out: {', '.join(left)}" if left else ""),))


def has_no_name(path: Path, raw: Raw, j: int, asked: tuple[str, ...] | None) -> bool:
    """Whether column j is left out for want of a name: an index, or empty. Raises ValueError where it holds measurements."""
    cells = raw.columns[j]
    empty = raw.lines is not None and len(cells) > 0 and not any(cells)
    if raw.names is None or not UNNAMED.fullmatch(raw.names[j]):
        return empty and raw.names is None
    values = [number(str(cell)) for cell in cells]
    words, counted = any(value != value for value in values), all(value.is_integer() for value in values)
    index = (j == 0 or raw.names[j] != "") and (words or (counted and len(set(values)) == len(values)))
    if not (asked or empty or index):
        raise ValueError(f"{path}: column {j + 1} has no name and is no index: name it, or name those to take (--columns)")
    return True


def label_name(path: Path, at: dict[str, int], reading: Reading, like: tuple[str, ...] | None) -> str | None:
    """The column of the labels, None where there is none; for a model's own kind of file it may be missing."""
    name, asked = reading.label_column, (*(reading.columns or ()), *(reading.drop or ()))
    if name is None:
        return "label" if "label" in at and "label" not in (*asked, *(like or ())) else None
    if name in asked:
        raise ValueError(f"label_column must be none of the columns taken or dropped, got {name!r}")
    if like is None:
        check_there(path, at, (name,))
    return name if name in at else None


def check_there(path: Path, at: dict[str, int], names: Sequence[str]) -> None:
    if missing := [name for name in names if name not in at]:
        known = ", ".join(map(repr, list(at)[:20])) + (", ..." if len(at) > 20 else "")
        raise ValueError(f"{path} has no column {', '.join(map(repr, missing))}: it has {known}")


def cells_as_numbers(path: Path, raw: Raw, at: dict[str, int], name: str) -> Array:
    """A column (n,) of finite numbers."""
    cells, column = raw.columns[at[name]], f"column {at[name] + 1}" + (f" ({name!r})" if raw.names else "")
    if raw.lines is None:
        return as_table(f"{column} of {path}", cells)[:, 0] if len(cells) else np.empty(0)
    return numbers(path, cells, raw.lines, column, name, raw.names is None)


def label_values(name: str, cells: Any, lines: list[int] | None = None) -> list[Any]:
    """Labels as whole numbers, or as words where they are not all numbers. Refuses missing ones, and fractions."""
    cells = cells if isinstance(cells, list) else np.asarray(cells).tolist()
    for i, cell in enumerate(cells):
        if str(cell).lower() in MISSING:
            place = f"row {i + 1}" if lines is None else f"line {lines[i]}"
            raise ValueError(f"{name} must hold a label in every row, got {cell!r} in {place}")
    whole = [whole_number(cell) for cell in cells]
    if None not in whole:
        return whole
    values = [number(str(cell)) for cell in cells]
    if not any(value != value for value in values):
        raise ValueError(f"{name} must hold whole numbers or words, got {cells[whole.index(None)]}")
    return [str(cell) for cell in cells]


def whole_number(cell: Any) -> int | None:
    """Exactly: 20 digits stay what they are."""
    if isinstance(cell, str) and re.fullmatch(r"[+-]?[0-9]+", cell):
        return int(cell)
    value = number(str(int(cell) if isinstance(cell, bool) else cell))
    return cell if type(cell) is int else int(value) if value.is_integer() else None


def as_table(name: str, x: Array) -> Array:
    """x as a float64 table (n, d), a vector as one column. Refuses what is empty, not finite or not numbers."""
    x = array(name, x)
    x = x.reshape(-1, 1) if x.ndim == 1 else x
    if x.ndim != 2 or x.size == 0:
        raise ValueError(f"{name} must be a table (n >= 1, d >= 1), got shape {x.shape}")
    check_finite(name, x)
    return x.astype(np.float64)
