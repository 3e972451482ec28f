"""docs/experiments/block_sweep.py, objectives.py and judged.py: that they write what they promise, resume, and say what is so.

Small trainings, in this process; the numbers of the real ones stand in docs/experiments/block-sweep.md and objectives.md."""
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenflow.experiments import block_sweep, judged, objectives
from evenflow.experiments.judged import cell, z_order
from evenflow.experiments.results import Row
from evenflow.reference.work.folders import describe_run, read_log
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import assemble
from tests.experiments.runs import Stopped, stopping, without_times, written

FEW = ((1, "energy"), (2, "energy"), (4, "likelihood"))


@pytest.fixture
def small(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps; the rest as it is."""
    monkeypatch.setattr(block_sweep, "RUNS", FEW)
    monkeypatch.setattr(block_sweep, "PRESETS", {
        "quick": {"steps": 2, "learning_rate": 1e-3}, "paper": {"steps": 2, "learning_rate": 1e-3, "beta": 0.5}})
    monkeypatch.setattr(block_sweep, "ROUNDS", 1)
    monkeypatch.setattr(block_sweep, "ROWS", 20)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_the_sweep_writes_what_it_promises_and_resumes(tmp_path: Path) -> None:
    rows = block_sweep.run(tmp_path / "whole", "quick", (0,))
    assert [(row["blocks"], row["objective"]) for row in rows] == [(None, "real digits"), *FEW]
    assert [rows[1][name] for name in block_sweep.TIMES] == [1.0, 1.0, 1.0]
    for row in rows[1:]:
        assert row["bits_per_dim"] == pytest.approx(row["nll"] / (64 * math.log(2)))
        assert row["round_trip_error"] < 1e-3
        assert all(row[name] > 0 for name in block_sweep.TIMES)
        assert row["d_loss"] < rows[0]["d_loss"]  # after two steps anybody can tell
    told = written(tmp_path / "whole", block_sweep)
    assert told["rows"] == rows
    assert (told["experiment"], told["preset"], told["seeds"]) == ("block-sweep", "quick", [0])
    assert block_sweep.run(tmp_path / "whole", "quick", (0,), resume=True) == rows
    with pytest.raises(Stopped):
        block_sweep.run(tmp_path / "stopped", "quick", (0,), stopping("B = 2,", 1))
    assert without_times(block_sweep.run(tmp_path / "stopped", "quick", (0,), resume=True)) == without_times(rows)
    with pytest.raises(ValueError, match="holds another run: go on with the preset it was begun with"):
        block_sweep.run(tmp_path / "whole", "paper", (0,), resume=True)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_the_objectives_write_what_they_promise_and_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectives, "PRESETS", {"quick": objectives.Preset(2, 1, {"learning_rate": 1e-3})})
    monkeypatch.setattr(objectives, "DATA", ("checkerboard",))
    rows = objectives.run(tmp_path, "quick", (0,))
    assert [row["objective"] for row in rows] == list(objectives.OBJECTIVES)
    assert all(row[field] is not None for row in rows for field in objectives.OF_TOYS)
    counts = [row["parameters"] for row in rows]
    losses = [read_log(folder / "log.jsonl")[0]["loss"] for folder in tmp_path.glob("checkerboard-*")]
    assert len(set(counts[:6])) == len(set(counts[6:])) == 1, "equal parameters within a family"
    assert len(set(losses)) == len(losses) == len(objectives.OBJECTIVES), "each of them is another objective"
    assert written(tmp_path, objectives)["rows"] == rows
    digit = objectives.learn("digits", "likelihood", "quick", 0, tmp_path, False, lambda name, progress: None)
    assert digit["bits_per_dim"] == pytest.approx(digit["nll"] / (64 * math.log(2)))
    assert objectives.run(tmp_path, "quick", (0,), resume=True) == rows


@pytest.mark.parametrize("B", block_sweep.BLOCKS)
def test_in_z_order_blocks_are_rectangles_and_those_of_2B_their_halves(B: int) -> None:
    order = z_order(8)
    assert order[:8] == [0, 1, 8, 9, 2, 3, 10, 11]
    assert sorted(order) == list(range(64))
    for block in np.reshape(order, (B, -1)):
        rows, columns = np.divmod(block, 8)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert height * width == len(block)
        assert max(height, width) <= 2 * min(height, width)


@pytest.mark.parametrize("B", [4, 16])
def test_blocks_in_z_order_are_runs_and_not_squares_of_squares(B: int) -> None:
    model: Any = assemble(describe_run(Config("saef", blocks=B), judged.dataset_of(judged.Z_ORDER))).flow_model().flow
    assert [i for block in model.bijection.blocks for i in block] == list(range(64))


def test_a_permutation_of_the_pixels_is_all_that_z_order_changes() -> None:
    plain, ordered = judged.dataset_of("digits"), judged.dataset_of(judged.Z_ORDER)
    assert (ordered.train[:, np.argsort(z_order(8))] == plain.train).all()
    assert (ordered.held_out_labels == plain.held_out_labels).all()  # type: ignore[union-attr]


def sweep_rows(d_loss: dict[int, tuple[float, float]], times: dict[int, float]) -> list[Row]:
    return [
        {"blocks": B, "objective": "energy", "seed": seed, "parameters": 10, "d_loss": d_loss[B][seed],
         "frechet": 100 - d_loss[B][seed], "energy_score": 3 - d_loss[B][seed], "bits_per_dim": 3.0,
         **dict.fromkeys(block_sweep.TIMES, times[B])}
        for B in block_sweep.BLOCKS for seed in (0, 1)
    ]


def test_what_is_said_of_a_sweep_by_hand() -> None:
    d_loss = {1: (0.1, 0.12), 2: (0.2, 0.22), 4: (0.15, 0.17), 8: (0.40, 0.42), 16: (0.49, 0.53), 32: (0.52, 0.54),
              64: (0.50, 0.54)}
    rows = sweep_rows(d_loss, {B: float(B) if B != 4 else 1.5 for B in block_sweep.BLOCKS})
    rows += [{"blocks": 16, "objective": "likelihood", "d_loss": value} for value in (0.5, 0.5)]
    said = block_sweep.findings({"rows": rows})
    assert said[0] == (
        "**D-loss**: best at B = 32 (0.53), and from B = 16 on within two standard errors of that; no better than the B before "
        "at B = 4, 64"
    )
    assert said[1].startswith("**Frechet**: best at B = 32 (99.5)")
    assert said[5] == (
        "**time of sampling**: not monotone: it falls from B = 2 to 4; 64 times B = 1 at B = 64, and from B = 8 on like B^1.00"
    )
    assert said[7] == (
        "**energy against likelihood at B = 16**, equal parameters and steps: D-loss 0.510 against 0.500, energy no worse "
        "(seed by seed -0.010, +0.030)"
    )
    for row in rows[-2:]:
        row["d_loss"] = 0.6
    assert "energy worse (seed by seed -0.110, -0.070)" in block_sweep.claim(rows)


def test_cells_by_hand() -> None:
    assert cell([1.0, 2.0, 3.0]) == "2 (1)"
    assert cell([0.25]) == "0.25"
    assert cell([]) == "-"
    assert judged.column([{"a": 1, "b": 2.0}, {"a": 2, "b": 3.0}, {"a": 1, "b": None}], "b", a=1) == [2.0]


def test_the_presets_are_those_of_the_pages() -> None:
    assert block_sweep.PRESETS["best"] == {"steps": 800, "learning_rate": 1e-3}
    printed = {"learning_rate": 1e-4, "schedule": "constant", "batch": 200, "draws": 2}
    assert block_sweep.PRESETS["paper"] == {"steps": 3000, "beta": 0.5, **printed}
    assert objectives.PRESETS["paper"].choices == printed
