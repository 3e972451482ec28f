"""Other people's libraries, and evenflow itself, against the test vectors: what docs/conformance.md shows.

    python -m evenflow.experiments.conformance run [library ...]   asks them, all or some, into docs/results/conformance.json
    python -m evenflow.experiments.conformance page                writes docs/conformance.md from it

Each library is asked by the command that everybody has, `evenflow conform evenflow.conformance.adapters.NAME:adapter --xfails
docs/conformance/known/NAME.txt`. The page explains every failure by its line in that file; one without is an error.
"""
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evenflow.conformance import report, xfails
from evenflow.conformance.compare import FAIL, PASS, UNSUPPORTED, Row
from evenflow.conformance.suites import FOLDER
from evenflow.conformance.xfails import GONE, KNOWN

DOCS = Path(__file__).resolve().parents[1]
RESULTS, PAGE, KNOWN_FAILURES = DOCS / "results/conformance.json", DOCS / "conformance.md", DOCS / "conformance/known"

OURS = {"reference": "reference", "numpy": "numpy", "numpy float32": "numpy_float32"}
THEIRS = (
    "tfp", "zuko", "nflows", "normflows", "flowjax", "distrax", "bijx", "scoringrules", "dcor", "geomloss", "blackjax",
    "flowmc",
)
ADAPTERS = {name: f"evenflow.conformance.adapters.evenflow:{attribute}" for name, attribute in OURS.items()}
ADAPTERS |= {name: f"evenflow.conformance.adapters.{name}:adapter" for name in THEIRS}

HEAD = """# Conformance

Which libraries answer as the papers' formulas say? Every cell is a library asked for an operation: its values, log
determinants and gradients on the test vectors, and the properties that must hold whatever the numbers. **yes**: all that it
could be asked passed. **fails**: how many of the questions failed; below, each with its reason. Empty: the library has no such
operation, or none that an adapter could reach. "(+n)" are questions of that operation that it cannot be asked, such as a
spline whose end slopes it does not admit.

A failure is the library's, not the adapter's: a script in [conformance/](conformance/) shows it with that library alone.

    python -m evenflow.experiments.conformance run
    python -m evenflow.experiments.conformance page
"""


def run(names: Sequence[str]) -> None:
    """Ask the libraries of these names; the others keep what is known of them."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "report.json"
            listed = KNOWN_FAILURES / f"{name}.txt"
            options = ["--xfails", str(listed)] if listed.exists() else []
            code = "from evenflow.conformance.cli import main; main()"
            command = [sys.executable, "-c", code, "conform", ADAPTERS[name], "--json", str(path), *options]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            if not path.exists():
                raise SystemExit(f"{name} could not be asked: exit status {done.returncode}")
            known[name] = condensed(report.read(path))
        print(f"{name}: {known[name]['counts']}", flush=True)
        report.write(RESULTS, {name: known[name] for name in ADAPTERS if name in known})


def condensed(document: dict[str, Any]) -> dict[str, Any]:
    """Counts by operation and kind, and what failed; the rows that passed are left out."""
    rows: list[Row] = document.pop("rows")
    cells: dict[str, dict[str, list[int]]] = {}
    for (operation, kind), group in report.grouped(rows).items():
        if any(row.status != UNSUPPORTED for row in group):
            cells.setdefault(operation, {})[kind] = list(report.counts(group).values())
    failures = [
        {"operation": row.operation, "kind": row.kind, "case": row.case, "flags": list(row.flags), "status": row.status,
         "reason": row.reason}
        for row in rows if row.status in (FAIL, KNOWN, GONE)
    ]
    return {**document, "cells": cells, "failures": failures}


def page(results: dict[str, Any]) -> str:
    """docs/conformance.md. Raises ValueError for a failure without an explanation."""
    parts = [HEAD, *table(results), "## What was asked\n", *asked(results), "\n## Failures, one by one\n"]
    parts += [part for name, result in results.items() if name in THEIRS for part in failures(name, result)]
    return "\n".join(parts).rstrip() + "\n"


def table(results: dict[str, Any]) -> list[str]:
    """Operations x libraries, in parts by whom they concern: a library stands where it has anything."""
    operations = sorted(path.stem for path in FOLDER.glob("*.json"))
    groups: dict[tuple[str, ...], list[str]] = {}
    for operation in operations:
        groups.setdefault(tuple(name for name in results if operation in results[name]["cells"]), []).append(operation)
    lines = []
    for names, members in sorted(groups.items(), key=lambda item: (-len(item[0]), item[1])):
        lines += [f"| | {' | '.join(names)} |", f"| --- |{' --- |' * len(names)}"]
        lines += [f"| {op} | {' | '.join(cell(results[name]['cells'][op]) for name in names)} |" for op in members]
        lines.append("")
    return lines


def cell(kinds: dict[str, list[int]]) -> str:
    passed, failed, known, unsupported = (sum(column) for column in zip(*kinds.values(), strict=True))
    beside = f" (+{unsupported})" if unsupported else ""
    return (f"**fails** {failed + known} of {passed + failed + known}" if failed + known else "yes") + beside


def asked(results: dict[str, Any]) -> list[str]:
    lines = ["| | asked with | passed | failed | not to be asked |", "| --- | --- | --- | --- | --- |"]
    for name, result in results.items():
        n = result["counts"]
        failed = n[FAIL] + n[KNOWN]
        lines.append(f"| {name} | {result['adapter']} ({result['dtype']}) | {n[PASS]} | {failed} | {n[UNSUPPORTED]} |")
    first = next(iter(results.values()))
    versions = f"evenflow {first['evenflow']}, Python {first['python']}, NumPy {first['numpy']}, {first['machine']}"
    return [*lines, "", f"All in one environment: {versions}."]


def failures(name: str, result: dict[str, Any]) -> list[str]:
    """Each line of the file of known failures, with the cases that it explains."""
    if not result["failures"]:
        return []
    listed = xfails.read(KNOWN_FAILURES / f"{name}.txt")
    lines, explained = [f"### {result['adapter']}\n"], 0
    for known in listed:
        rows = [f for f in result["failures"] if f["status"] == KNOWN and known.matches(as_row(f))]
        if rows:
            cases = ", ".join(f"{f['case']} [{', '.join(f['flags'])}]" if f["flags"] else f["case"] for f in rows)
            lines.append(f"- `{known.operation}` {known.kind}: {known.why} Shown by: {cases}.")
            explained += len(rows)
    if explained < len(result["failures"]):
        raise ValueError(f"{name} has {len(result['failures']) - explained} failures that {name}.txt does not explain")
    return [*lines, ""]


def as_row(failure: dict[str, Any]) -> Row:
    return Row(failure["operation"], failure["kind"], failure["case"], tuple(failure["flags"]))


def main(words: Sequence[str]) -> None:
    if words and words[0] == "run" and not set(words[1:]) - set(ADAPTERS):
        run(words[1:] or list(ADAPTERS))
    elif list(words) == ["page"]:
        PAGE.write_text(page(json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")
    else:
        raise SystemExit(f"{__doc__}\nlibraries: {', '.join(ADAPTERS)}")


if __name__ == "__main__":
    main(sys.argv[1:])
