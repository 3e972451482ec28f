"""docs/experiments/backends.py: that each case is a row of its experiment, and that the gaps are what they are called."""
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from evenflow import accel
from evenflow.experiments import EXPERIMENTS, backends
from tests.experiments.runs import written

DOCS = Path(backends.__file__).resolve().parents[1]


def test_each_is_trained_under_the_backend_that_its_row_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[tuple[str, tuple[Any, ...]]] = []

    def learn(*args: Any) -> dict[str, float]:
        used.append((accel.active(), args[:-3]))
        args[-1]("job", None)
        return {"d_loss": 0.5 + len(used), "energy_score": 3.0, "other": 1.0}

    monkeypatch.setattr(backends, "CASES", {"block-sweep": backends.CASES["block-sweep"]})
    monkeypatch.setattr(import_module(EXPERIMENTS["block-sweep"]), "learn", learn)
    rows = backends.run(tmp_path, "quick", (0, 1))
    names = [row.backend for row in accel.available() if row.available and row.backend != "cupy"]
    assert used == [(name, (16, "energy", "quick", seed)) for seed in (0, 1) for name in names]
    assert [(row["backend"], row["values"]) for row in rows] == [
        (name, {"d_loss": 1.5 + k, "energy_score": 3.0}) for k, name in enumerate([*names, *names])]
    assert written(tmp_path, backends)["rows"] == rows
    assert backends.run(tmp_path, "quick", (0, 1), resume=True) == rows
    assert len(used) == 2 * len(names), "read, not made again"


def test_gaps_by_hand() -> None:
    rows = [
        {"experiment": "block-sweep", "backend": backend, "seed": seed, "values": {"d_loss": value, "energy_score": 3.0}}
        for backend, values in {"reference": (0.1, 0.3), "numpy": (0.2, 0.4), "compiled": (0.1, 0.3)}.items()
        for seed, value in enumerate(values)
    ]
    told = backends.gaps(rows)
    assert told == pytest.approx({  # variances of 0.02, two seeds: the error of a difference is sqrt(0.02)
        ("block-sweep", "d_loss", "numpy"): 0.1 / 0.02**0.5, ("block-sweep", "d_loss", "compiled"): 0.0})
    assert backends.values_of(rows, "block-sweep", "d_loss")["numpy"] == [0.2, 0.4]


@pytest.mark.parametrize("name", backends.CASES)
def test_each_case_is_a_row_of_its_experiments_committed_results(name: str) -> None:
    where, measures = backends.CASES[name]
    rows = json.loads((DOCS / f"results/{name}-quick.json").read_text())["rows"]
    mine = [row for row in rows if all(row.get(key) == value for key, value in where.items())]
    assert mine
    assert all(field in row for row in mine for field in measures)


def test_each_case_has_been_run_with_each_seed() -> None:
    rows = json.loads((DOCS / "results/backends.json").read_text())["rows"]
    assert [row["backend"] for row in rows].count("reference") == len({row["seed"] for row in rows}) * len(backends.CASES)
