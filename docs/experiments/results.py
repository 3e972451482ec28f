"""results.json, as every experiment writes it."""
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evenflow import accel
from evenflow.reference.work.files import write_aside


def write_results(path: Path, document: Mapping[str, Any], *packages: str) -> None:
    """`document`, and what it was computed with: backend, Python, our own version, those of NumPy, autograd and `packages`."""
    versions = {name: version(name) for name in ("evenflow", "numpy", "autograd", *packages)}
    write_json(path, {**document, "backend": accel.active(), "python": platform.python_version(), "versions": versions})


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    write_aside(path, lambda file: file.write(text.encode()))
