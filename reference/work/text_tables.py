r"""Text files of rows and cells: which line is a header, what is a number. tables.py says what becomes of the columns.

The first line is a header where its cells are words (no numbers, and none that stands for a missing one), or where they are
whole numbers written otherwise than what is below them: any over columns with decimals throughout, `0,1,2` or `2019,2020` over
one such column. Where there is none, `0,1,2` and years may be either, and the caller must say which. A first line of words and
numbers is a row, unless a word in it is the name of a column that is asked for.
"""
import csv
import gzip
import math
import re
import shlex
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from evenflow.reference.core import Array

MISSING = ("", "na", "<na>", "n/a", "nan", "null", "none", "?", "-", ".")
FLAGS = {"true": 1.0, "false": 0.0}
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}
YEARS = set(range(1800, 2201))

Lines = list[tuple[int, list[str]]]  # the line's number in the file, its cells


def read_text(
    path: Path, sep: str, header: str, asked: Collection[str]
) -> tuple[tuple[str, ...] | None, list[list[str]], list[int]]:
    """The columns' names (None without a header), the columns, and the line where each row stands.

    header: yes, no, or auto, for the rule above; asked: names of columns that are asked for.
    """
    lines = split(path, sep)
    first = lines[0][1] if lines else []
    for line, cells in lines:
        if len(cells) != len(first):
            expected = f"expected {len(first)} cells as in the first line, got {len(cells)}"
            raise ValueError(f"{path}, line {line}: {expected}{other_sep(first + cells)}")
    below = [cells for _, cells in lines[1:]]
    named = header == "yes" or (header == "auto" and is_header(path, first, below, asked))
    rows = lines[1:] if named else lines
    columns = [[cells[j] for _, cells in rows] for j in range(len(first))]
    return (tuple(first) if named else None), columns, [line for line, _ in rows]


def split(path: Path, sep: str) -> Lines:
    """The lines that are not blank, their cells without the spaces around them; a `#` before a first line goes, too."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rt", newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=sep, skipinitialspace=sep == " ")
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(map(str.strip, cells))]
    except (UnicodeDecodeError, csv.Error, EOFError, zlib.error, gzip.BadGzipFile) as error:
        packed = ", packed by gzip" if opened is gzip.open else ""
        raise ValueError(f"{path} must be {SEPARATORS.get(sep, repr(sep))}-separated text in UTF-8{packed}: {error}") from error
    if lines and lines[0][1][0].startswith("# "):
        lines[0][1][0] = lines[0][1][0][2:].strip()
    return lines


def is_header(path: Path, first: list[str], below: list[list[str]], asked: Collection[str]) -> bool:
    """Whether the first line names the columns. Raises ValueError where it may be a header as well as a row."""
    words = [cell for cell in first if is_word(cell)]
    if words:
        return len(words) == len(first) - first.count("") or not set(words).isdisjoint(asked)
    start = int(first[:1] == [""])  # the column of an index has no name
    if not below or not first[start:] or not all(re.fullmatch(r"\d+", cell) for cell in first[start:]):
        return False
    names, columns = [int(cell) for cell in first[start:]], list(zip(*below, strict=True))[start:]
    steps = set(np.diff(names).tolist())
    counted = steps <= {1}
    years = set(names) <= YEARS and (not steps or (len(steps) == 1 and min(steps) > 0))
    decimals = [all(re.search(r"[.eE]", cell) for cell in column) for column in columns]
    if (all(decimals) and len(set(names)) == len(names)) or ((counted or years) and (start or any(decimals))):
        return True
    like_years = {cell for column in columns for cell in column} <= set(map(str, YEARS))
    if len(names) > 1 and ((counted and names[0] == 0) or (years and not like_years)):
        line = ",".join(first[:6]) + (",..." if len(first) > 6 else "")
        raise ValueError(f"{path}: the first line, {line}, may name the columns or be a row: say --header yes or --header no")
    return False


def is_word(cell: str) -> bool:
    """Neither a number nor a sign that one is missing; 2023_01 is one."""
    return cell.lower() not in MISSING and math.isnan(number(cell))


def number(cell: str) -> float:
    """nan where the cell is no number. Python reads 2023_01 as 202301."""
    try:
        return math.nan if "_" in cell else float(cell)
    except ValueError:
        return math.nan


def numbers(path: Path, cells: Sequence[str], lines: Sequence[int], column: str, name: str, headless: bool) -> Array:
    """A column's cells as numbers, or True and False as 1 and 0.

    Raises ValueError naming the place of the first that is not finite, and what can be done.
    """
    if {cell.lower() for cell in cells} <= set(FLAGS):
        return np.array([FLAGS[cell.lower()] for cell in cells])
    x = np.array([number(cell) for cell in cells])
    for i in np.flatnonzero(~np.isfinite(x))[:1]:
        said = f"{path}, line {lines[i]}, {column}: expected a finite number, got {cells[i]!r}"
        if headless and i == 0 and is_word(cells[0]) and not any(map(is_word, cells[1:])):
            raise ValueError(f"{said}; if the first line names the columns: --header yes")
        if hint := other_sep([cells[i]]):
            raise ValueError(said + hint)
        if re.fullmatch(r"[+-]?[\d.]+,[\d,.]*", cells[i]):
            raise ValueError(f"{said}; numbers are written like 1234.5")
        quoted = shlex.quote(name)
        labels = f", and --label-column {quoted} makes it the labels" if is_word(cells[i]) else ""
        raise ValueError(f"{said}; --drop {quoted} leaves the column out{labels}")
    return x


def other_sep(cells: list[str]) -> str:
    """The hint that the cells are separated by something else."""
    for sep in SEPARATORS:
        found = sep != "," and any(sep in cell for cell in cells)
        if found and (sep != " " or all(not math.isnan(number(part)) for cell in cells for part in cell.split())):
            return f"; are they separated by a {SEPARATORS[sep]}? --sep {SEPARATORS[sep]}"
    return ""
