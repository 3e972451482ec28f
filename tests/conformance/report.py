"""What came out: a table on the terminal, a document for machines."""
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evenflow.conformance.adapter import installed
from evenflow.conformance.arrays import number
from evenflow.conformance.compare import FAIL, PASS, UNSUPPORTED, Row
from evenflow.conformance.xfails import GONE, KNOWN

COUNTED = (PASS, FAIL, KNOWN, UNSUPPORTED)
KINDS = ("values", "log_det", "vjp", "properties", "statistics")


def failed(rows: Iterable[Row]) -> list[Row]:
    """Those that make the exit status 1."""
    return [row for row in rows if row.status in (FAIL, GONE)]


def grouped(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """By operation and kind, in the order of the table."""
    keys = sorted({(row.operation, row.kind) for row in rows}, key=lambda key: (key[0], KINDS.index(key[1])))
    return {key: [row for row in rows if (row.operation, row.kind) == key] for key in keys}


def counts(rows: Sequence[Row]) -> dict[str, int]:
    return {status: sum(row.status == status for row in rows) for status in COUNTED}


def worst(rows: Sequence[Row]) -> Row | None:
    """The row with the largest error / tolerance among those that were answered."""
    answered = [row for row in rows if row.status != UNSUPPORTED]
    return max(answered, key=lambda row: row.worst, default=None)


def show(title: str, rows: Sequence[Row], notes: Mapping[str, Mapping[str, str]]) -> None:
    """The table, the failures with their reasons and what their flags mean, one line of sums. notes: by operation, by flag."""
    from rich.console import Console
    from rich.table import Table
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)  # into a file or a pipe: nothing is cut
    table = Table("operation", "kind", *COUNTED, "worst error / tolerance", title=title, title_justify="left", box=None)
    for column in table.columns[2:6]:
        column.justify = "right"
    for (operation, kind), group in grouped(rows).items():
        numbers = [str(n) if n else "" for n in counts(group).values()]
        table.add_row(operation, kind, *numbers, described(worst(group)))
    console.print(table, markup=False)
    said = dict.fromkeys(line for row in failed(rows) for line in explained(row, notes.get(row.operation, {})))
    sums = ", ".join(f"{n} {status}" for status, n in counts(rows).items())
    for line in (*said, f"{title}: {sums}"):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def explained(row: Row, notes: Mapping[str, str]) -> list[str]:
    """A failure in a line, and one for each of its flags."""
    flags = f" [{', '.join(row.flags)}]" if row.flags else ""
    first = f"{row.status.upper()}  {row.operation} {row.kind} {row.case}{flags}: {row.reason}"
    return [first, *(f"      {row.operation} [{flag}]: {notes[flag]}" for flag in row.flags if flag in notes)]


def described(row: Row | None) -> str:
    if row is None:
        return ""
    flags = f" [{', '.join(row.flags)}]" if row.flags else ""
    return f"{row.worst:.2g} ({row.case}{flags})"


def report(name: str, dtype: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The document: what was checked with what, and every row."""
    return {
        "adapter": name, "dtype": dtype, "evenflow": installed("evenflow"), "python": platform.python_version(),
        "numpy": installed("numpy"), "machine": platform.machine(), "counts": counts(rows), "passed": not failed(rows),
        "rows": [{**asdict(row), "worst": number(row.worst)} for row in rows],
    }


def write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """A document of `write`, its rows as Row again."""
    document = json.loads(path.read_text(encoding="utf-8"))
    rows = [Row(**{**row, "flags": tuple(row["flags"]), "worst": float(row["worst"])}) for row in document["rows"]]
    return {**document, "rows": rows}
