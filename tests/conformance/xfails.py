"""Known failures: a file with one a line, `operation kind case  # why`.

kind is values, log_det, vjp, properties or statistics; case an id, the name of a property, or * for all. A failure that is
listed is "known" and does not fail the run. One that is listed but passes does: the list must stay true.
"""
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evenflow.conformance.compare import FAIL, PASS, Row

KNOWN, GONE = "known", "gone"


@dataclass(frozen=True)
class Known:
    operation: str
    kind: str
    case: str
    why: str

    def matches(self, row: Row) -> bool:
        return (self.operation, self.kind) == (row.operation, row.kind) and self.case in ("*", row.case)


def read(path: Path) -> list[Known]:
    """Raises ValueError for a line that cannot be read, and for one without a reason."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words, _, why = line.partition("#")
        if not words.strip():
            continue
        parts = words.split()
        if len(parts) != 3 or not why.strip():
            raise ValueError(f"{path} line {number}: expected `operation kind case  # why`, got {line!r}")
        operation, kind, case = parts
        found.append(Known(operation, kind, case, why.strip()))
    return found


def applied(rows: Iterable[Row], known: Sequence[Known]) -> list[Row]:
    """The rows: failures that are listed become "known"; what is listed and does not fail at all becomes "gone"."""
    rows = list(rows)
    marked = [
        replace(row, status=KNOWN) if row.status == FAIL and any(k.matches(row) for k in known) else row for row in rows
    ]
    for k in known:
        those = [row for row in rows if k.matches(row)]
        if not any(row.status == FAIL for row in those) and (not those or any(row.status == PASS for row in those)):
            reason = "is listed as known, but passes" if those else "is listed as known, but there is no such case"
            marked.append(Row(k.operation, k.kind, k.case, (), GONE, float("inf"), reason))
    return marked
