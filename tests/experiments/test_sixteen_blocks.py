"""docs/experiments/sixteen_blocks.py: that it writes what it promises, resumes, and says what is so."""
import json
import math
from pathlib import Path
from typing import Any

import pytest

from evenflow.experiments import judged, sixteen_blocks
from evenflow.experiments.judged import Row
from evenflow.reference.work import evaluation, flow_model
from evenflow.reference.work.threads import single_blas_thread
from tests.experiments.alone import one_by_one
from tests.experiments.test_block_sweep import is_png

DOCS = Path(sixteen_blocks.__file__).resolve().parents[1]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sixteen_blocks, "side_by_side", one_by_one)
    monkeypatch.setattr(sixteen_blocks, "PRESETS", {"quick": (1, 2), "best": (2, 2)})
    monkeypatch.setattr(sixteen_blocks, "RUNS", {
        name: sixteen_blocks.RUNS[name] for name in ("likelihood", "energy, beta = 0.5", "likelihood, longer")})
    monkeypatch.setattr(sixteen_blocks, "JUDGES", 2)
    monkeypatch.setattr(evaluation, "DRAWS", 2)
    monkeypatch.setattr(evaluation, "SHARED", 50)
    monkeypatch.setattr(judged, "COMPARED", 40)
    monkeypatch.setattr(evaluation, "COMPARED", 40)
    monkeypatch.setattr(evaluation, "digit_features", lambda images, labels, seed=0: lambda pixels: pixels)
    monkeypatch.setattr(flow_model, "HELD_OUT", 40)
    with single_blas_thread():
        yield


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
    assert json.loads((tmp_path / "results.json").read_text())["rows"] == rows
    assert is_png(tmp_path / "judged.png")
    assert sixteen_blocks.run(tmp_path, "quick", (0,), resume=True) == rows
    with pytest.raises(ValueError, match="holds another run"):
        sixteen_blocks.run(tmp_path, "best", (0,), resume=True)


@pytest.mark.usefixtures("small")
def test_bad_input() -> None:
    with pytest.raises(ValueError, match="unknown preset 'fast'"):
        sixteen_blocks.run(Path("nowhere"), "fast")
    with pytest.raises(ValueError, match="seeds must be an integer >= 0, got -1"):
        sixteen_blocks.run(Path("nowhere"), "quick", (-1,))


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


def test_the_page_is_made_of_the_committed_results() -> None:
    found = [DOCS / f"results/sixteen-blocks-{preset}.json" for preset in ("best", "quick")]
    results = [json.loads(path.read_text()) for path in found if path.exists()]
    assert sixteen_blocks.page(results) == (DOCS / "experiments/sixteen-blocks.md").read_text()
