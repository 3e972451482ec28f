"""docs/experiments/planar*.py and the three studies: that they write what they promise, resume, and measure what they say.

A tiny preset, in this process; the numbers of the real ones stand in docs/experiments/*.md."""
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from evenflow.experiments import ebm_trainings, eight_gaussians, four_modes, planar, planar_measures, planar_pages, rings
from evenflow.experiments.ebm_trainings import ALGORITHMS, Preset
from evenflow.experiments.pages import filled
from evenflow.experiments.planar import PICTURES, ROW, Study, summary
from evenflow.experiments.planar_measures import ERRORS, judged, measure, weighed, zone_errors
from evenflow.reference.core import SGD, Adam
from evenflow.reference.ebm.normalizer import grid
from tests.experiments.runs import Stopped, stopping, without_times, written

STUDIES = {"eight-gaussians": eight_gaussians, "rings": rings, "four-modes": four_modes}
TINY = Preset(
    epochs=2, decays=True, rates=dict.fromkeys(ALGORITHMS, 1e-3), plain=("pcd",), shorter=32, pretraining=5, points=128,
    batch=32, buffer=64,
)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planar, "CELLS", 40)
    monkeypatch.setattr(planar_measures, "SHOWN", 50)
    monkeypatch.setattr(planar_measures, "DRAWS", 200)


def tiny(study: Study) -> Study:
    return replace(study, presets={"quick": TINY, "other": TINY})


@pytest.mark.slow
@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("module", STUDIES.values(), ids=STUDIES)
def test_it_writes_what_it_promises_and_resumes(module: ModuleType, tmp_path: Path) -> None:
    study = tiny(module.STUDY)
    rows = study.run(tmp_path, "quick", (0, 1))
    assert [(row["seed"], row["algorithm"]) for row in rows] == [(s, a) for s in (0, 1) for a in ALGORITHMS]
    for row in rows:
        assert tuple(row) == ROW
        assert row["stopped_at"] is None
        assert all(math.isfinite(row[error]) and row[error] >= -1e-6 for error in ERRORS)
        for zones in planar_measures.ZONES:
            assert len(row[zones]) == study.target.count
            assert sum(row[zones]) == pytest.approx(1)
        if row["algorithm"] in ("fce", "jarzynski"):
            assert row["zones_starts"] == row["zones_negatives"]
    assert len(summary(rows)) == len(rows)
    assert written(tmp_path, module)["rows"] == rows
    assert study.run(tmp_path, "quick", (0, 1), resume=True) == rows  # read
    shutil.rmtree(tmp_path / "nt-seed0")                              # as if it had not begun
    (tmp_path / "flowmc-seed1" / "row.json").unlink()                 # as if it had not been measured
    again = study.run(tmp_path, "quick", (0, 1), resume=True)
    assert without_times(again) == without_times(rows)
    with pytest.raises(ValueError, match="preset is quick there, other here"):
        study.run(tmp_path, "other", (0,), resume=True)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("algorithm", ["flowmc", "coopflow"])
def test_a_training_that_was_interrupted_ends_the_same(algorithm: str, tmp_path: Path) -> None:
    study = replace(four_modes.STUDY, presets={"quick": replace(TINY, algorithms=(algorithm,))})

    with pytest.raises(Stopped):
        study.run(tmp_path / "stopped", on_step=stopping("", 5))
    rows = study.run(tmp_path / "stopped", resume=True)
    assert without_times(rows) == without_times(study.run(tmp_path / "whole"))


@pytest.mark.usefixtures("here")
def test_a_run_that_was_interrupted_leaves_the_results_of_what_is_over(tmp_path: Path) -> None:
    study = replace(four_modes.STUDY, presets={"quick": replace(TINY, algorithms=("fce", "pcd")), "other": TINY})
    with pytest.raises(Stopped):
        study.run(tmp_path, on_step=stopping("PCD", 1))
    kept = json.loads((tmp_path / "results.json").read_text())
    assert [row["algorithm"] for row in kept["rows"]] == ["fce"]
    with pytest.raises(ValueError, match="preset is quick there, other here"):
        study.run(tmp_path, "other", resume=True)
    assert json.loads((tmp_path / "results.json").read_text()) == kept, "what is there is not lost to a mistake"


@pytest.mark.usefixtures("here")
def test_a_training_that_runs_away_is_a_row_of_its_own(tmp_path: Path) -> None:
    study = replace(four_modes.STUDY, presets={"quick": replace(TINY, rates={"pcd": 1e30}, algorithms=("pcd",))})
    row, = study.run(tmp_path)
    assert row["stopped_at"] is not None
    assert row["median_squared_error"] is None
    assert all((tmp_path / picture).exists() for picture in PICTURES)


@pytest.mark.parametrize("module", STUDIES.values(), ids=STUDIES)
def test_of_the_truth_all_errors_are_0_and_of_a_mistake_they_are_not(module: ModuleType) -> None:
    target, box = module.STUDY.target, module.STUDY.box
    x = target.sample(target.noise(np.random.default_rng(0), 2_000))

    def log_p(x: Any) -> Any:
        return target.log_prob(x) + 7.0  # a constant is no error

    on_box = grid(log_p, box)
    errors = judged(target, on_box, log_p, x)
    assert errors == pytest.approx(dict.fromkeys(errors, 0.0), abs=1e-5)
    true, model = target.zone_weights(), weighed(target, box.points, on_box.mass)
    assert zone_errors(true, model, model, model) == pytest.approx(
        {"model_true": 0.0, "negatives_model": 0.0, "starts_model": 0.0}, abs=1e-6)

    def shifted(x: Any) -> Any:
        return target.log_prob(x - np.array([0.2, 0.0]))

    moved = judged(target, grid(shifted, box), shifted, x)
    assert all(error > 0.01 for error in moved.values())


def test_a_density_without_rings() -> None:
    """The number that docs/experiments/rings.md compares with."""
    target = rings.STUDY.target
    x = target.sample(target.noise(np.random.default_rng(0), 100_000))
    r = np.hypot(*x.T)
    inside = (r > 0.5) & (r < 4.5)
    flat = -np.log(4 * 2 * math.pi * r)
    assert inside.mean() > 0.999
    assert np.median((flat - target.log_prob(x))[inside] ** 2) == pytest.approx(0.65, abs=0.01)
    assert "has 0.65" in filled("rings")


def test_zone_errors_by_hand() -> None:
    true, model = np.array([0.1, 0.9]), np.array([0.2, 0.8])
    negatives, starts = np.array([0.5, 0.5]), np.array([0.2, 0.8])
    assert zone_errors(true, model, negatives, starts) == pytest.approx(
        {"model_true": 0.01, "negatives_model": 0.09, "starts_model": 0.0})
    x = np.array([[-3.0, 0.0], [-3.0, 1.0], [3.0, 0.0]])
    assert weighed(four_modes.STUDY.target, x, None) == pytest.approx([2 / 3, 0, 0, 1 / 3])
    assert weighed(four_modes.STUDY.target, x, np.array([0.2, 0.2, 0.6])) == pytest.approx([0.4, 0, 0, 0.6])


def test_models_at_their_start_have_the_zones_of_their_base() -> None:
    """E = 0: flowMC's negatives are draws of its base, and E's weights the base's."""
    study = replace(four_modes.STUDY, presets={"quick": TINY})
    how = replace(TINY, batch=256, buffer=2_048)
    model = study.model("flowmc", how)
    row, _ = measure(study.target, study.box, model, model.init(np.random.default_rng(0)), how.buffer, 0)
    assert row["log_z_grid"] == pytest.approx(2 * math.log(math.erf(5 / math.sqrt(2 * 4.05))), abs=1e-4)  # N(0, 4.05 I)'s
    assert row["negatives_model"] < 6e-4
    assert row["model_true"] > 0.01


def test_negatives_are_measured_of_chains_as_long_as_asked() -> None:
    study, state = four_modes.STUDY, four_modes.STUDY.model("flowmc", TINY).init(np.random.default_rng(0))
    seen = []
    for walked, shorter in ((None, TINY.shorter), (8, 8)):
        row, _ = study.measured("flowmc", state, replace(TINY, walked=walked), 0)
        model = study.model("flowmc", replace(TINY, shorter=shorter))
        assert row == measure(study.target, study.box, model, state, TINY.buffer, 0)[0]
        seen.append(row["zones_negatives"])
    assert seen[0] != seen[1]
    assert [planar.PRESETS[name].walked for name in ("quick", "best", "paper")] == [None, 1, None]


def test_the_presets_and_chains_are_those_of_the_paper() -> None:
    paper = planar.PRESETS["paper"]
    assert (paper.points, paper.batch, paper.buffer, paper.epochs, paper.shorter) == (60_000, 256, 8_192, 100, 1)
    assert {name: paper.rates[name] for name in ("pcd", "nt", "coopflow", "flowmc")} == {
        "pcd": 1e-2, "nt": 1e-2, "coopflow": 1e-3, "flowmc": 1e-3}
    assert paper.rate("pcd")(0) == paper.rate("pcd")(paper.steps - 1) == 1e-2
    four, eight = four_modes.STUDY.model("flowmc", paper), eight_gaussians.STUDY.model("flowmc", paper)
    assert [steps for _, steps in four.moves] == [1, 24] * 5 + [1, 2]
    assert [steps for _, steps in eight.moves] == [1, 127]
    assert (four.batch, four.used, eight.batch, eight.used) == (256, 1, 64, 32)
    models = {name: four_modes.STUDY.model(name, paper) for name in ALGORITHMS}
    assert (models["pcd"].steps, models["pcd"].step_size) == (512, 0.0078125)
    assert (models["nt"].steps, models["coopflow"].steps, models["coopflow"].step_size) == (128, 256, 5e-4)
    assert {model.energy_optimiser for model in models.values()} == {SGD()}
    assert {rings.STUDY.model(name, planar.PRESETS["quick"]).energy_optimiser for name in ("flowmc", "fce")} == {Adam()}


def test_verdicts_by_hand() -> None:
    assert planar_pages.verdict([0.5, 0.7], 2, 0.94) == "0.6 on average, 2 of 2 seeds at or below the paper's 0.94: reached"
    assert "1 of 2 seeds at or below the paper's 0.94: **not reached**" in planar_pages.verdict([0.5, 2.0], 2, 0.94)
    assert "**not reached**" in planar_pages.verdict([0.5], 2, 0.94)  # one ran away
    assert "none of 3" in planar_pages.verdict([], 3, 0.94)
    assert planar_pages.beside([1.0, 2.0], 3.0) == "1.5 (0.71) {3}"
    assert planar_pages.beside([], None) == "-"
    assert ebm_trainings.spent([{"seconds": 1.0}, {"seconds": 2.0}, {"seconds": 0.5}]) == 2.5
