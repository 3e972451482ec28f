"""Each figure and table of the papers, and the demo: one script each, with a `run` that writes pictures and JSON.

A script that `evenflow reproduce` knows has run(out, preset, seeds, on_step, resume) -> rows, summary(rows) -> what the
terminal shows of them, and PICTURES, the names of the files beside results.json.
"""
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evenflow.reference.work.files import write_aside

EXPERIMENTS = {  # name -> its script
    name: "evenflow.experiments." + name.replace("-", "_") for name in (
        "two-modes", "eight-gaussians", "rings", "four-modes", "latent-chains",
        "mixture-16", "mixture-32", "mixture-64",
        "block-sweep", "sixteen-blocks", "objectives", "draws", "generators",
        "likelihood-vs-quality", "posterior",
        "tabular", "regression", "simulator", "tables", "backends",
    )
}


def add_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append to the rows of a results.json."""
    results = json.loads(path.read_text())
    results["rows"] += rows
    text = json.dumps(results, indent=2, allow_nan=False) + "\n"
    write_aside(path, lambda file: file.write(text.encode()))
