"""Other people's libraries, and evenflow itself, against the test vectors: what docs/conformance.md shows.

    python -m evenflow.experiments.conformance run [library ...]   asks them, all or some, into docs/results/conformance.json
    python -m evenflow.experiments.conformance page                writes docs/conformance.md from it

Each library is asked by the command that everybody has, `evenflow conform evenflow.conformance.adapters.NAME:adapter --xfails
docs/conformance/known/NAME.txt`, and the scripts docs/conformance/NAME_*.py are run, each of which asks that library alone
about one fault. The page explains every failure by its line in the file of known ones; one without is an error.
"""
import ast
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evenflow.conformance import report, xfails
from evenflow.conformance.compare import FAIL, PASS, UNSUPPORTED, Row
from evenflow.conformance.operations import bijections, diagnostics, ebm, flows, images, mcmc, metrics, normalizer, saef, scores
from evenflow.conformance.xfails import GONE, KNOWN
from evenflow.experiments.results import write_json

DOCS = Path(__file__).resolve().parents[1]
RESULTS, PAGE, KNOWN_FAILURES = DOCS / "results/conformance.json", DOCS / "conformance.md", DOCS / "conformance/known"

OURS = {"reference": "reference", "numpy": "numpy", "numpy float32": "numpy_float32"}
THEIRS = (
    "tfp", "zuko", "nflows", "normflows", "flowjax", "distrax", "bijx", "scoringrules", "dcor", "geomloss", "blackjax",
    "flowmc", "torch", "jax",
)
ADAPTERS = {name: f"evenflow.conformance.adapters.evenflow:{attribute}" for name, attribute in OURS.items()}
ADAPTERS |= {name: f"evenflow.conformance.adapters.{name}:adapter" for name in THEIRS}

# JAX compiles every shape anew, and properties draw many
VECTORS_ONLY = ("distrax", "flowjax", "bijx", "blackjax", "flowmc", "jax")
PARTS = {
    "Bijections": bijections.OPERATIONS,
    "Layers of images": images.OPERATIONS,
    "Densities and flows": flows.OPERATIONS,
    "Scores": {**scores.OPERATIONS, **metrics.OPERATIONS},
    "Semi-autoregressive flows, quantile flows": saef.OPERATIONS,
    "Samplers": mcmc.OPERATIONS,
    "Diagnostics of chains": diagnostics.OPERATIONS,
    "Energy-based models, log Z": {**ebm.OPERATIONS, **normalizer.OPERATIONS},
}

HEAD = """# Conformance

Which libraries answer as the papers' formulas say? A cell is a library asked for an operation: its values, log determinants and
gradients on the test vectors, and the properties that must hold whatever the numbers. **yes**: all that it could be asked
passed. **fails**: how many of the questions failed; each is explained below. Empty: the library has no such operation, or none
that an adapter could reach with given parameters and given noise. "(+n)": as many questions of that operation it cannot be
asked, such as a spline whose end slopes it does not admit. `evenflow` stands for its three settings here: reference, numpy, and
numpy in float32.

A failure is the library's, not the adapter's: a script in [conformance/](conformance/) shows it with that library alone.

    pip install -e '.[test-all]'
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
            options += ["--level", "vectors"] if name in VECTORS_ONLY else []
            code = "from evenflow.conformance.cli import main; main()"
            command = [sys.executable, "-c", code, "conform", ADAPTERS[name], "--json", str(path), *options]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            if not path.exists():
                raise SystemExit(f"{name} could not be asked: exit status {done.returncode}")
            known[name] = {**condensed(report.read(path)), "scripts": scripts(name)}
        print(f"{name}: {known[name]['counts']}", flush=True)
        write_json(RESULTS, {name: known[name] for name in ADAPTERS if name in known})


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


def scripts(name: str) -> dict[str, dict[str, Any]]:
    """The scripts about a library: what each is about, what it printed, and its exit status: 1 where the fault is there."""
    found = {}
    for path in sorted((DOCS / "conformance").glob(f"{name}_*.py")):
        done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True)
        about = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")[0]
        found[path.name] = {"about": " ".join(about.split()), "said": done.stdout.strip(), "status": done.returncode}
    return found


def page(results: dict[str, Any]) -> str:
    """docs/conformance.md. Raises ValueError for a failure without an explanation."""
    parts = [HEAD, *(line for title, operations in PARTS.items() for line in table(title, list(operations), results))]
    parts += ["## What was asked\n", *asked(results), "\n## Failures, library by library\n"]
    parts += [part for name, result in results.items() if name in THEIRS for part in failures(name, result)]
    return "\n".join(parts).rstrip() + "\n"


def table(title: str, operations: list[str], results: dict[str, Any]) -> list[str]:
    """Operations x libraries; a library stands where it has any of them."""
    names = [name for name in THEIRS if name in results and any(op in results[name]["cells"] for op in operations)]
    lines = [f"## {title}\n", line("", "evenflow", *names), line(*["---"] * (2 + len(names)))]
    for op in operations:
        ours = [cell(results[name]["cells"][op]) for name in OURS]
        shared = "yes" if set(ours) == {"yes"} else ", ".join(f"{n}: {c}" for n, c in zip(OURS, ours, strict=True))
        theirs = [cell(results[name]["cells"].get(op, {})) for name in names]
        lines.append(line(op, shared, *theirs))
    return [*lines, ""]


def line(*cells: str) -> str:
    """A row of a table."""
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def cell(kinds: dict[str, list[int]]) -> str:
    if not kinds:
        return ""
    passed, failed, known, unsupported = (sum(column) for column in zip(*kinds.values(), strict=True))
    beside = f" (+{unsupported})" if unsupported else ""
    return (f"**fails** {failed + known} of {passed + failed + known}" if failed + known else "yes") + beside


def asked(results: dict[str, Any]) -> list[str]:
    lines = ["| | what it was | asked | passed | failed | not to be asked |", "| --- | --- | --- | --- | --- | --- |"]
    for name, result in results.items():
        n, levels = result["counts"], "vectors" if name in VECTORS_ONLY else "all levels"
        passed, failed, rest = str(n[PASS]), str(n[FAIL] + n[KNOWN]), str(n[UNSUPPORTED])
        lines.append(line(name, f"{result['adapter']} ({result['dtype']})", levels, passed, failed, rest))
    first = next(iter(results.values()))
    versions = f"evenflow {first['evenflow']}, Python {first['python']}, NumPy {first['numpy']}, {first['machine']}"
    why = "JAX compiles every shape anew: libraries on it were asked the vectors alone, all others everything."
    return [*lines, "", f"All in one environment: {versions}. {why}"]


def failures(name: str, result: dict[str, Any]) -> list[str]:
    """Each reason with the operations, kinds and cases that show it, and the scripts that no vector stands for."""
    path = KNOWN_FAILURES / f"{name}.txt"
    listed, lines, explained = xfails.read(path) if path.exists() else [], [], set()
    for why in dict.fromkeys(known.why for known in listed):
        shown = [
            f for f in result["failures"]
            if f["status"] == KNOWN and next(k.why for k in listed if k.matches(as_row(f))) == why
        ]
        explained |= {id(f) for f in shown}
        if shown:
            reason, _, script = why.rpartition(": ")
            lines.append(f"- {reason}: [{script}](conformance/{script}). {where(shown)}")
    if len(explained) < len(result["failures"]):
        raise ValueError(f"{name} has {len(result['failures']) - len(explained)} failures that {name}.txt does not explain")
    for script, found in result["scripts"].items():
        if found["status"] and not any(known.why.endswith(script) for known in listed):
            lines.append(f"- Where no vector reaches: {found['about']} [{script}](conformance/{script})")
        if not found["status"]:
            lines.append(f"- No longer so: {found['about']} [{script}](conformance/{script})")
    return [f"### {result['adapter']}\n", *(lines or ["None."]), ""]


def where(shown: Sequence[dict[str, Any]]) -> str:
    """`affine` values, vjp (cases one [flag], two); ..."""
    operations: dict[str, dict[str, None]] = {}
    cases: dict[str, None] = {}
    for f in shown:
        operations.setdefault(f["operation"], {})[f["kind"]] = None
        flags = f" [{', '.join(f['flags'])}]" if f["flags"] else ""
        cases[f["case"] + flags if f["kind"] in ("values", "log_det", "vjp") else f"the property {f['case']}"] = None
    said = ", ".join(f"`{op}` ({', '.join(kinds)})" for op, kinds in operations.items())
    return f"In {said}; shown by {', '.join(cases)}."


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
