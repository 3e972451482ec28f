"""What becomes of a file's columns: some are modelled, some given, one may hold labels or weights, the rest is left out.

Columns go by their names; where the file has none, by their numbers from 1. A first column without a name that holds no
measurements is an index and left out, and so is a column without a name and without anything in it. A column of words is one of
classes, kept as their numbers 0 ... K - 1 in alphabetical order. A missing value is refused, and all of them are counted.
`notes` says what was decided.
"""
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from evenflow.reference.core import Array, unknown
from evenflow.reference.work.shapes import Shape
from evenflow.reference.work.tables import Raw, Reading, as_table, check_whole, raw_of
from evenflow.reference.work.text_tables import FLAGS, MISSING, is_word, number, numbers, other_sep

UNNAMED = re.compile(r"(Unnamed: \d+|__index_level_\d+__)?")  # as pandas calls them
MOST_CLASSES = 1000

Words = Mapping[str, tuple[str, ...]]  # a column of words -> its classes
NO_WORDS: Words = MappingProxyType({})


class Like(NamedTuple):
    """The columns of a model, of which another file is to be read."""
    columns: tuple[str, ...] | None
    given: tuple[str, ...] = ()
    words: Words = NO_WORDS
    shape: Shape | None = None


class Table(NamedTuple):
    """What a file holds."""
    x: Array                            # (n, d) float64, the columns to model; pixels as few bytes as hold them
    labels: list[Any] | None            # (n,) whole numbers or words
    columns: tuple[str, ...] | None
    notes: tuple[str, ...]
    given: Array | None = None          # (n, k) float64
    given_columns: tuple[str, ...] = ()
    words: Words = NO_WORDS            # of all columns of words
    weights: Array | None = None        # (n,) >= 0, not all 0
    shape: Shape | None = None          # of images and series
    tested: int = 0                     # the last rows are kept for testing


def read(path: Path, reading: Reading, like: Like | None = None) -> Table:
    """A file by its ending; like: of a model, whose columns are then taken by name, and labels only where there are some.

    Raises FileNotFoundError, ValueError, or ModuleNotFoundError for pyarrow.
    """
    asked = [*(reading.columns or ()), *(reading.drop or ()), *(reading.target or ()), *(reading.given or ())]
    known = [*((like.columns or ()) if like else ()), *(like.given if like else ())]
    raw = raw_of(path, reading, {*asked, *known, reading.label_column or "label", reading.weights or ""})
    if raw.shape is not None:
        return of_shape(path, raw, raw.shape, reading, like)
    names = raw.names or tuple(known if len(known) == len(raw.columns) else map(str, range(1, len(raw.columns) + 1)))
    gone = [j for j in range(len(names)) if has_no_name(path, raw, j, asked or known)]
    at = {name: j for j, name in enumerate(names) if j not in gone}
    if len(at) < len(names) - len(gone):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{path}: names of columns must differ, got {twice!r} {names.count(twice)} times")
    label = label_name(path, at, reading, None if like is None else known)
    own = like is None or not (known or raw.names)  # else it is another file than the model's
    modelled, given, weights = roles(path, at, reading, label) if own or like is None else of_model(like, at, raw, label)
    taken = [*modelled, *given]
    check_there(path, at, taken)
    none = np.empty((len(raw.columns[0]) if raw.columns else 0, 0))
    if not (taken or (like and label)):
        as_table(str(path), none)  # says what is wrong with that
    check_no_missing(path, raw, at, [*taken, *([weights] if weights else [])])
    words = words_of(path, raw, at, taken, like.words if like else {})
    columns_of = [as_numbers(path, raw, at, name, words) for name in taken]
    table = as_table(str(path), np.stack(columns_of, axis=1)) if taken else none
    w = None if weights is None else checked_weights(as_numbers(path, raw, at, weights, {}), weights)
    labels = raw.labels if label is None else raw.columns[at[label]]
    if labels is not None:
        labels = label_values(f"{'y' if label is None else label} in {path}", labels, raw.lines)
    left = [f"column {j + 1} (it has no name)" for j in gone] + [repr(k) for k in at if k not in (*taken, label, weights)]
    said = f"{path}: {len(table)} rows" + (f", {len(modelled)} column{'s'[: len(modelled) != 1]}" if modelled else "")
    said += f", given {len(given)}: {', '.join(given[:8])}" if given else ""
    said += "" if raw.lines is None else f", header {'yes' if raw.names else 'no'}"
    said += ("" if label is None else f", labels in {label!r}") + ("" if weights is None else f", weights in {weights!r}")
    said += f"; left out: {', '.join(left)}" if left else ""
    columns, d = tuple(modelled) if raw.names or given else None, len(modelled)
    return Table(table[:, :d], labels, columns, (said,), table[:, d:] if given else None, tuple(given), words, w)


def of_shape(path: Path, raw: Raw, shape: Shape, reading: Reading, like: Like | None) -> Table:
    """Images and series: a row each, and no columns to choose from."""
    if asked := [name for name in reading.as_json() if name not in ("levels", "series")]:
        raise ValueError(f"{', '.join(asked)} mean nothing for {path}: it holds {shape}, and no columns")
    if like is not None and (like.columns or like.given or like.shape not in (None, shape)):
        wanted = like.shape or f"columns {', '.join((*(like.columns or ()), *like.given))}"
        raise ValueError(f"{path} must hold {wanted}, as what the model was trained on, got {shape}")
    (x,) = raw.columns
    if reading.levels is None:
        x = as_table(str(path), x)
    else:
        check_whole(str(path), x, 0, reading.levels)
        x = x.astype(np.min_scalar_type(reading.levels - 1))
    labels = None if raw.labels is None else label_values(f"y in {path}", raw.labels)
    said = f"{path}: {len(x)} {shape}" + ("" if labels is None else ", with labels")
    said += f"; the last {raw.tested}, its test set, are held out" if raw.tested and like is None else ""
    return Table(x, labels, None, (said,), shape=shape, tested=raw.tested)


def roles(
    path: Path, at: dict[str, int], reading: Reading, label: str | None
) -> tuple[Sequence[str], Sequence[str], str | None]:
    """The columns to model, those that are given, and that of the weights, in a file to train on."""
    check_there(path, at, (*(reading.columns or ()), *(reading.drop or ()), *([reading.weights] if reading.weights else [])))
    kept = reading.columns or [k for k in at if k not in (*(reading.drop or ()), label, reading.weights)]
    for role in ("target", "given"):
        if wrong := [name for name in getattr(reading, role) or () if name not in kept]:
            raise ValueError(f"{role} must be among the columns that are taken, {', '.join(kept)}, got {', '.join(wrong)}")
    given = reading.given or ([k for k in kept if k not in reading.target] if reading.target else ())
    modelled = reading.target or [k for k in kept if k not in given]
    if reading.target and not given:
        raise ValueError(f"target must leave columns that are given, got all of {', '.join(kept)}")
    return modelled, given, reading.weights


def of_model(
    like: Like, at: dict[str, int], raw: Raw, label: str | None
) -> tuple[Sequence[str], Sequence[str], None]:
    """Likewise, in another file than the model's."""
    by_name = like.columns is not None and (raw.names or like.given)
    return (like.columns if by_name else [name for name in at if name != label]) or (), like.given, None


def has_no_name(path: Path, raw: Raw, j: int, asked: Sequence[str]) -> bool:
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


def label_name(path: Path, at: dict[str, int], reading: Reading, known: Sequence[str] | None) -> str | None:
    """The column of the labels, None where there is none; in a file for a model of the columns `known` it may be missing."""
    name, asked = reading.label_column, (*(reading.columns or ()), *(reading.drop or ()))
    if name is None:
        taken = (*asked, *(reading.target or ()), *(reading.given or ()), *(known or ()))
        return "label" if "label" in at and "label" not in taken else None
    if name in asked:
        raise ValueError(f"label_column must be none of the columns taken or dropped, got {name!r}")
    if known is None:
        check_there(path, at, (name,))
    return name if name in at else None


def check_there(path: Path, at: dict[str, int], names: Sequence[str]) -> None:
    if missing := [name for name in names if name not in at]:
        known = ", ".join(map(repr, list(at)[:20])) + (", ..." if len(at) > 20 else "")
        raise ValueError(f"{path} has no column {', '.join(map(repr, missing))}: it has {known}")


def check_no_missing(path: Path, raw: Raw, at: dict[str, int], names: Sequence[str]) -> None:
    """Raise ValueError that counts the missing values of each column."""
    found = []
    for name in names:
        cells = raw.columns[at[name]]
        if getattr(cells, "dtype", np.dtype(object)).kind in "biuf":
            gone = np.flatnonzero(cells != cells).tolist()
        else:
            gone = [i for i, cell in enumerate(cells) if str(cell).lower() in MISSING]
        if gone:
            where = f"row {gone[0] + 1}" if raw.lines is None else f"line {raw.lines[gone[0]]}"
            found.append(f"{name!r} {len(gone)}, the first in {where}")
    if found:
        n = len(raw.columns[0])
        raise ValueError(f"{path}: values are missing in {n} rows: {'; '.join(found)}; fill them in, or leave out those rows, "
                         "or the columns (--drop)")


def words_of(path: Path, raw: Raw, at: dict[str, int], names: Sequence[str], known: Words) -> dict[str, tuple[str, ...]]:
    """The columns of words alone, each with its classes; known: those of a model, whose classes hold."""
    words: dict[str, tuple[str, ...]] = {}
    for name in names:
        cells = raw.columns[at[name]]
        if name in known:
            words[name] = known[name]
        elif getattr(cells, "dtype", np.dtype(object)).kind not in "biuf":
            cells = list(map(str, cells))
            if all(map(is_word, cells)) and not {cell.lower() for cell in cells} <= set(FLAGS) and not other_sep(cells):
                words[name] = tuple(sorted(set(cells)))
                check_classes(f"column {name!r} of {path}", len(words[name]), len(cells), f"--drop {shlex.quote(name)}")
    return words


def check_classes(what: str, K: int, n: int, hint: str) -> None:
    """Raise ValueError for so many classes in n rows that they are no classes."""
    if min(MOST_CLASSES, max(20, n // 2)) < K:
        few = f"at most {MOST_CLASSES} classes, with two rows each beyond twenty"
        raise ValueError(f"{what} must hold {few}, got {K} in {n} rows: {hint}")


def as_numbers(path: Path, raw: Raw, at: dict[str, int], name: str, words: Words) -> Array:
    """A column (n,) of finite numbers; of words, those of the classes."""
    cells, column = raw.columns[at[name]], f"column {at[name] + 1}" + (f" ({name!r})" if raw.names else "")
    if name in words:
        codes = {word: float(k) for k, word in enumerate(words[name])}
        for cell in map(str, cells):
            if cell not in codes:
                raise ValueError(f"{path}, {column}: {unknown('class', cell, words[name])}")
        return np.array([codes[str(cell)] for cell in cells])
    if raw.lines is None:
        return as_table(f"{column} of {path}", cells)[:, 0] if len(cells) else np.empty(0)
    return numbers(path, cells, raw.lines, column, name, raw.names is None)


def checked_weights(w: Array, name: str) -> Array:
    if (w < 0).any() or not w.any():
        raise ValueError(f"weights must be at least 0, and not all 0, got {w.min():g} to {w.max():g} in {name}")
    return w


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
