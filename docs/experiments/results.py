"""results.json, as every experiment writes it, and what is kept beside a training."""
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from evenflow import accel
from evenflow.reference.work.files import write_aside

Row = dict[str, Any]


def write_results(path: Path, document: Mapping[str, Any], *packages: str) -> None:
    """`document`, and what it was computed with: backend, Python, versions (ours, of NumPy, autograd and `packages`), and the
    BLAS with the processor whose kernels it takes: sums round by them, and a training that refuses steps follows."""
    versions = {name: version(name) for name in ("evenflow", "numpy", "autograd", *packages)}
    blas = sorted({f"{one['internal_api']} {one['version']} for {one.get('architecture', 'any')}" for one in threadpool_info()
                   if one["user_api"] == "blas"})
    write_json(path, {
        **document, "backend": accel.active(), "python": platform.python_version(), "versions": versions, "blas": blas})


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    write_aside(path, lambda file: file.write(lines(document).encode()))


def lines(document: Mapping[str, Any]) -> str:
    """JSON with a line for each entry of what the document holds: for each row.

    >>> print(lines({"seed": 0, "rows": [{"x": 1.0, "y": [2, 3]}, {"x": 4.0}], "settings": {}}), end="")
    {
     "seed": 0,
     "rows": [
      {"x": 1.0, "y": [2, 3]},
      {"x": 4.0}
     ],
     "settings": {}
    }
    """
    dump = partial(json.dumps, allow_nan=False, ensure_ascii=False)

    def entry(value: Any) -> str:
        if isinstance(value, dict) and value:
            return "{\n  " + ",\n  ".join(f"{dump(name)}: {dump(one)}" for name, one in value.items()) + "\n }"
        if isinstance(value, list | tuple) and value:
            return "[\n  " + ",\n  ".join(map(dump, value)) + "\n ]"
        return dump(value)

    return "{\n " + ",\n ".join(f"{dump(name)}: {entry(value)}" for name, value in document.items()) + "\n}\n"


def add_rows(path: Path, rows: Sequence[Row]) -> None:
    """Append to the rows of a results.json."""
    document = json.loads(path.read_text())
    write_json(path, document | {"rows": document["rows"] + list(rows)})


def only(fields: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    """These fields of each row, None where it has no such: what the terminal shows."""
    return [{name: row.get(name) for name in fields} for row in rows]


def remembered(path: Path, resume: bool, make: Callable[[], Row]) -> Row:
    """What was made before, if it is to be gone on with; else what is made now, and written there."""
    if not (resume and path.exists()):
        write_json(path, make())
    return dict(json.loads(path.read_text()))


def kept(path: Path, there: Row, field: str, resume: bool, make: Callable[[], Any]) -> Any:
    """The same of `field` of a file that says beside it how it was made. Raises ValueError if not by `there`."""
    document = remembered(path, resume, lambda: {**there, field: make()})
    check_same({name: document.get(name) for name in there}, json.loads(json.dumps(there)), path.parent)
    return document[field]


def check_same(before: Row, now: Row, place: Path) -> None:
    """Raises ValueError that says what differs."""
    for name in {**before, **now}:
        a, b = before.get(name), now.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            check_same(a, b, place)
        elif a != b:
            other = "go on with the preset it was begun with, or choose another folder"
            raise ValueError(f"{name} is {a} there, {b} here: {place} holds another run: {other}")
