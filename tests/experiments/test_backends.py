"""docs/experiments/backends.py: that each case is a row of its experiment, and that the gaps are what they are called."""
import inspect
import json
import math
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from evenflow import accel
from evenflow.experiments import EXPERIMENTS, backends
from evenflow.experiments.results import Row
from tests.experiments.runs import written

DOCS = Path(backends.__file__).resolve().parents[1]


def test_each_is_trained_under_the_backend_that_its_row_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[tuple[str, tuple[Any, ...]]] = []

    def learn(*args: Any) -> Row:
        used.append((accel.active(), args[:-3]))
        args[-1]("job", None)
        return {"blocks": 16, "objective": "energy", "d_loss": 0.5 + len(used), "energy_score": 3.0, "other": 1.0}

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
    there = (0.1, 0.2, 0.3)
    rows: list[Row] = [
        {"experiment": "block-sweep", "backend": backend, "seed": seed, "values": {"d_loss": value - less, "energy_score": 3.0}}
        for backend, less in {"reference": 0.0, "numpy": 0.09, "compiled": 0.0}.items() for seed, value in enumerate(there)
    ]
    assert backends.values_of(rows, "block-sweep", "d_loss")["reference"] == list(there)
    gap = 0.09 / (0.01 * 2 / 3) ** 0.5  # variances of 0.01, three seeds
    assert backends.gaps(rows) == pytest.approx(
        {("block-sweep", "d_loss", "numpy"): -gap, ("block-sweep", "d_loss", "compiled"): 0.0})
    assert backends.same_seed(backends.values_of(rows, "block-sweep", "d_loss")) == pytest.approx(0.9)
    assert backends.farthest(rows) == pytest.approx({("block-sweep", "d_loss"): gap})
    assert backends.findings(rows).startswith(  # the difference is 0.9 deviations of 0.1
        "In 1 of 1 lines the largest difference of a backend's mean from reference's is smaller than the standard deviation "
        "over the seeds.\n\nOf the 2 gaps of single backends 2 are below 2, 2 below 3; the largest is 1.1.")
    for row in rows:
        row["values"]["d_loss"] -= 0.2 * (row["backend"] == "numpy")
    assert "In 0 of 1 lines" in backends.findings(rows)
    assert "it is not, deviations in brackets, in block-sweep, D-loss (2.9)." in backends.findings(rows)
    assert "1 are below 2, 1 below 3; the largest is 3.6" in backends.findings(rows)


@pytest.mark.parametrize("name", backends.CASES)
def test_each_case_is_a_row_of_its_experiments_committed_results(name: str) -> None:
    case = backends.CASES[name]
    rows = json.loads((DOCS / f"results/{name}-quick.json").read_text())["rows"]
    mine = [row for row in rows if all(row.get(key) == value for key, value in {**case.row, **case.among}.items())]
    assert len(mine) == len({row["seed"] for row in mine}) > 0, "one a seed"
    assert all(math.isfinite(row[field]) for row in mine for field in case.measures)


@pytest.mark.parametrize("name", backends.CASES)
def test_what_follows_a_row_is_the_same_for_every_learn(name: str) -> None:
    names = list(inspect.signature(import_module(EXPERIMENTS[name]).learn).parameters)
    first = len(backends.CASES[name].row)
    assert names[first : first + 5] == ["preset", "seed", "out", "resume", "on_step"]


def test_of_several_rows_that_one_training_makes_it_takes_that_which_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = backends.CASES["likelihood-vs-quality"]
    made = [case.row | {"steps": steps, "d_loss": 1.0 / steps, "likelihood": -3.0} for steps in (50, 150, 500)]
    monkeypatch.setattr(import_module(EXPERIMENTS["likelihood-vs-quality"]), "learn", lambda *args: made)
    monkeypatch.setattr(backends, "CASES", {"likelihood-vs-quality": case})
    rows = backends.run(tmp_path, "quick", (0,))
    assert [row["values"] for row in rows] == [{"d_loss": 1 / 150, "likelihood": -3.0}] * len(rows)
    assert str(case).endswith("objective energy, steps 150")


@pytest.mark.parametrize("name", backends.CASES)
def test_each_case_has_been_run_with_the_same_seeds_by_every_backend(name: str) -> None:
    rows = json.loads((DOCS / "results/backends.json").read_text())["rows"]
    seeds = {backend: [row["seed"] for row in rows if (row["experiment"], row["backend"]) == (name, backend)]
             for backend in ("reference", "numpy", "compiled")}
    assert seeds["reference"] == seeds["numpy"] == seeds["compiled"]
    assert len(seeds["reference"]) > 1
