"""docs/experiments/sixteen_blocks.py: that it writes what it promises, resumes, and says what is so."""
import json
import math
from pathlib import Path

import pytest

from evenflow.experiments import sixteen_blocks
from evenflow.experiments.results import Row
from tests.experiments.runs import written


@pytest.fixture
def small(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sixteen_blocks, "PRESETS", {"quick": (1, 2), "best": (2, 2)})
    monkeypatch.setattr(sixteen_blocks, "RUNS", {
        name: sixteen_blocks.RUNS[name] for name in ("likelihood", "energy, beta = 0.5", "likelihood, longer")})
    monkeypatch.setattr(sixteen_blocks, "JUDGES", 2)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_it_writes_what_it_promises_and_resumes(tmp_path: Path) -> None:
    rows = sixteen_blocks.run(tmp_path, "quick", (0,))
    assert [row["run"] for row in rows] == list(sixteen_blocks.RUNS)
    assert len({row["parameters"] for row in rows}) == 1, "equal parameters"
    steps = [json.loads((tmp_path / f"{k}-seed0/row.json").read_text())["run"]["config"]["steps"] for k in range(3)]
    assert steps == [1, 1, 2]
    for row in rows:
        assert row["bits_per_dim"] == pytest.approx(row["nll"] / (64 * math.log(2)))
        told = sixteen_blocks.judgements(tmp_path / f"{rows.index(row)}-seed0", 0, False)
        assert told == {field: row[field] for field in told}
        assert row["d_loss_sd"] > 0
    assert written(tmp_path, sixteen_blocks)["rows"] == rows
    assert sixteen_blocks.run(tmp_path, "quick", (0,), resume=True) == rows
    with pytest.raises(ValueError, match="holds another run"):
        sixteen_blocks.run(tmp_path, "best", (0,), resume=True)


def test_what_is_said_by_hand() -> None:
    def row(name: str, seed: int, d_loss: float) -> Row:
        return {"run": name, "seed": seed, "d_loss": d_loss, "d_loss_sd": 0.008}

    values = dict.fromkeys(sixteen_blocks.RUNS, (0.6, 0.6)) | {
        "energy": (0.58, 0.57), "energy, beta = 0.5": (0.6, 0.596), "energy, 16 draws": (0.65, 0.64)}
    rows = [row(name, seed, value) for name, pair in values.items() for seed, value in enumerate(pair)]
    said = sixteen_blocks.findings(rows)
    assert len(said) == 6
    assert said[0] == "**energy** against likelihood: behind, D-loss -0.025, standard error 0.005 (-0.020, -0.030)"
    assert said[1].startswith("**energy, beta = 0.5** against likelihood: not to be told apart, D-loss -0.002, standard error")
    assert said[2].startswith("**energy, 16 draws** against likelihood: ahead")
    assert said[4].startswith("**energy, longer** against likelihood, longer: not to be told apart")
