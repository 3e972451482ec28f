"""docs/experiments/mixture*.py: that they write what they promise, resume, and measure what they say.

A tiny preset, in this process; the numbers of the real ones stand in docs/experiments/mixture.md."""
import math
import shutil
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenflow.experiments import EXPERIMENTS, mixture_measures, mixture_page, mixture_pictures, mixtures
from evenflow.experiments.ebm_trainings import ALGORITHMS
from evenflow.experiments.mixture_measures import in_plane, log_z, measure, mixed, plane_spread, spread, weights_of
from evenflow.experiments.mixture_page import verdict
from evenflow.experiments.mixtures import PICTURES, PRESETS, ROW, Mixture, Preset, summary
from evenflow.reference.core import SGD, Adam
from evenflow.reference.ebm import Jarzynski
from evenflow.reference.targets.mixtures import READINGS, high_dimensional, separation
from tests.experiments.runs import Stopped, stopping, without_times, written

TINY = Preset(
    epochs=1, decays=True, rates=dict.fromkeys(ALGORITHMS, 1e-3), plain=("pcd",), shorter=16, pretraining=5, points=128,
    batch=32, buffer=64, N=4,
)
run = partial(mixtures.run, 16)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixtures, "PRESETS", {"quick": TINY, "other": TINY})
    for name, value in {"CHAINS": 8, "KEPT": 8, "DRAWS": 200, "OF_FLOW": 200}.items():
        monkeypatch.setattr(mixture_measures, name, value)


def of(preset: Preset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixtures, "PRESETS", {"quick": preset})


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_it_writes_what_it_promises_and_resumes(tmp_path: Path) -> None:
    rows = run(tmp_path)
    assert [(row["reading"], row["algorithm"]) for row in rows] == [(r, a) for r in READINGS for a in ALGORITHMS]
    for row in rows:
        assert tuple(row) == ("reading", *ROW)
        assert row["stopped_at"] is None
        for whose in ("chains", "negatives"):
            assert sum(row[f"zones_{whose}"]) == pytest.approx(1)
            assert row[f"{whose}_off"] == max(abs(weight - 1 / 4) for weight in row[f"zones_{whose}"])
        assert float(row["rhat"]) > 0.9
        assert float(row["rhat_mode"]) > 0.9
        assert (row["acceptance_global"] is None) == (row["algorithm"] not in ("flowmc", "fce"))
        assert (row["log_z_share"] is None) == (row["algorithm"] == "pcd")
        assert 0.5 < row["true_spread"] < 1.1
    results = written(tmp_path, mixtures)
    assert results["rows"] == rows
    assert results["settings"]["misassignment"] == pytest.approx({"paper": 0.0919, "code": 8.3e-5}, rel=0.01)
    assert len(summary(rows)) == len(rows)
    shutil.rmtree(tmp_path / "code" / "fce-seed0")               # as if it had not begun
    (tmp_path / "paper" / "flowmc-seed0" / "row.json").unlink()  # as if it had not been measured
    again = run(tmp_path, resume=True)
    assert without_times(again) == without_times(rows)
    assert again[1:6] == rows[1:6]                               # read
    with pytest.raises(ValueError, match="preset is quick there, other here"):
        run(tmp_path, "other", resume=True)
    with pytest.raises(ValueError, match="study is mixture-16, paper there, mixture-32, paper here"):
        mixtures.run(32, tmp_path, resume=True)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_a_training_that_was_interrupted_ends_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of(replace(TINY, algorithms=("flowmc",)), monkeypatch)
    monkeypatch.setattr(mixtures, "READINGS", {"paper": READINGS["paper"]})

    with pytest.raises(Stopped):
        run(tmp_path / "stopped", on_step=stopping("flowMC-EBM, seed 0, a of the paper", 2))
    rows = run(tmp_path / "stopped", resume=True)
    assert without_times(rows) == without_times(run(tmp_path / "whole"))


@pytest.mark.usefixtures("small")
def test_a_training_that_runs_away_is_a_row_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of(replace(TINY, rates={"pcd": 1e30}, algorithms=("pcd",)), monkeypatch)
    rows = run(tmp_path)
    assert all(row["stopped_at"] is not None and row["rhat"] is None for row in rows)
    assert all((tmp_path / picture).exists() for picture in PICTURES)


def test_all_three_are_known_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixtures, "side_by_side", lambda work, jobs, on_step: pytest.fail(f"d = {jobs[0][0]}"))
    for d in (16, 32, 64):
        script = import_module(EXPERIMENTS[f"mixture-{d}"])
        assert (script.__doc__ or "").startswith(f"Four Gaussians in {d} dimensions")
        with pytest.raises(pytest.fail.Exception, match=f"d = {d}"):
            script.run(tmp_path)


def test_the_presets_and_chains_are_those_of_the_paper() -> None:
    paper = PRESETS["paper"]
    assert (paper.points, paper.batch, paper.buffer, paper.epochs, paper.shorter) == (50_000, 128, 8_192, 150, 1)
    assert (paper.N, paper.rate("pcd")(0), paper.rate("pcd")(paper.steps - 1)) == (128, 1e-2, 1e-2)
    left = {name: how.rate("flowmc")(how.steps * 9 // 10) / how.rate("flowmc")(0) for name, how in PRESETS.items()}
    assert left == {"quick": pytest.approx(0.1), "best": pytest.approx((1 - math.cos(0.1 * math.pi)) / 2), "paper": 1}
    models = {name: Mixture(32, "code").model(name, paper) for name in ALGORITHMS}
    assert [steps for _, steps in models["flowmc"].moves] == [1, 8] * 16
    assert models["flowmc"].moves[0][0].keywords == {"N": 128}
    assert models["flowmc"].used == 1
    assert (models["pcd"].steps, models["pcd"].step_size) == (512, 1e-3)
    assert (models["nt"].steps, models["coopflow"].steps, models["coopflow"].step_size) == (128, 256, 1e-4)
    assert {model.energy_optimiser for model in models.values()} == {SGD()}
    assert {Mixture(16, "paper").model(name, PRESETS["quick"]).energy_optimiser for name in ("flowmc", "fce")} == {Adam()}


@pytest.mark.parametrize("reading", READINGS)
def test_the_base_has_the_largest_marginal_variance_and_the_flow_begins_as_the_base(reading: str) -> None:
    study = Mixture(32, reading)
    x = study.target.sample(study.target.noise(np.random.default_rng(0), 100_000))
    assert study.base.sd**2 == pytest.approx(x.var(axis=0).max(), rel=0.02)
    params = study.flow.init(np.random.default_rng(0))
    assert params[0][0]["W"].shape == (16, 39)
    assert study.flow.log_prob(params, x[:5]) == pytest.approx(study.base.log_prob(x[:5]))


def test_what_the_truth_shows_and_a_mistake_does_not() -> None:
    target = high_dimensional(16)
    x = target.sample(target.noise(np.random.default_rng(0), 64 * 128))
    told = mixed(target, x.reshape(64, 128, 16))
    assert told["rhat"] < 1.01
    assert told["rhat_mode"] < 1.01
    assert told["chains_off"] < 0.02
    assert told["switch_rate"] == pytest.approx(0.75, abs=0.02)
    assert told["spread"] == pytest.approx(1.0, abs=0.01)
    apart = x.reshape(64, 128, 16).copy()
    apart[:, :, 3] += np.arange(128)  # one coordinate is enough
    assert mixed(target, apart)["rhat"] > 1.5
    stuck = mixed(target, x[np.argsort(target.zones(x))].reshape(128, 64, 16).swapaxes(0, 1))  # each chain in one zone
    assert stuck["rhat"] > 1.5
    assert stuck["rhat_mode"] in ("inf", pytest.approx(math.inf)) or float(stuck["rhat_mode"]) > 5
    assert stuck["switch_rate"] < 0.01
    assert stuck["chains_off"] == told["chains_off"]
    blurred = mixed(target, (x + np.random.default_rng(1).standard_normal(x.shape)).reshape(64, 128, 16))
    assert blurred["chains_off"] < 0.02  # symmetry: the weights see nothing
    assert blurred["spread"] == pytest.approx(2.0, abs=0.05)


def test_by_hand() -> None:
    target = high_dimensional(2, "paper")  # (a, a), (-a, a), (-a, -a), (a, -a)
    assert in_plane(target, np.array(target.centres)) == pytest.approx(
        0.5919 * math.sqrt(2) * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]]))
    x = np.array([[0.5919, 0.5919], [0.5919, 2.5919]])
    assert spread(target.centres, x) == pytest.approx(1.0)  # (0 + 4) / 4
    assert plane_spread(target, in_plane(target, x)) == pytest.approx(1.0)
    assert mixtures.true_plane_spread(64, "code") == pytest.approx(1.0, abs=0.03)
    assert 0.7 < mixtures.true_plane_spread(16, "paper") < 0.9  # nearer to another centre than to their own
    far = high_dimensional(64)  # of a blob around the origin: |x|^2 - 2 |mu| E max(|x_1|, |x_2|) + |mu|^2, over 2
    sd, away = math.sqrt(1 + separation(64, "code") ** 2 * 32), math.hypot(*far.centres[0])
    exact = sd**2 - away * sd * 2 / math.sqrt(math.pi) + away**2 / 2
    assert mixtures.blob_spread(64, "code") == pytest.approx(exact, rel=0.03)
    assert weights_of("model", np.array([0.1, 0.3, 0.3, 0.3])) == {
        "zones_model": [0.1, 0.3, 0.3, 0.3], "model_off": pytest.approx(0.15)}


@pytest.mark.usefixtures("small")
def test_a_model_at_its_start_is_its_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """E = 0: log Z is 0, all draws of the flow are effective, and the zones' weights right, though no mode has been seen."""
    monkeypatch.setattr(mixture_measures, "OF_FLOW", 4_000)
    study = Mixture(16, "code")
    model = study.model("flowmc", TINY)
    state = model.init(np.random.default_rng(0))
    row, kept = measure(study.target, model, state, 64, 0)
    assert row["log_z"] == pytest.approx(0.0, abs=1e-4)
    assert row["log_z_share"] == pytest.approx(1.0)
    assert row["model_off"] < 0.03
    assert row["acceptance_global"] == pytest.approx(3 / 4, abs=0.15)
    x = study.target.sample(study.target.noise(np.random.default_rng(1), 4_000))
    error = np.median((study.base.log_prob(x) - study.target.log_prob(x)) ** 2)
    assert row["median_squared_error"] == pytest.approx(error, rel=0.2)
    assert row["spread"] > 1.5
    assert (np.array(row["zones_negatives"]) * 64 % 1 == 0).all()  # of 64 chains the last state alone
    assert kept["plane"].shape == (64, 2)


def test_log_z_of_each_kind() -> None:
    """PCD has none; Jarzynski's is that of its walkers."""
    study, rng = Mixture(16, "code"), np.random.default_rng(0)
    pcd = study.model("pcd", TINY)
    assert log_z(study.target, pcd, pcd.init(rng), rng) is None
    jarzynski: Jarzynski = study.model("jarzynski", TINY)
    state = jarzynski.init(rng)._replace(banked=np.array(2.0))
    told = log_z(study.target, jarzynski, state, rng)
    assert told is not None
    assert told.zones is None
    assert (told.log_z, told.share) == pytest.approx((2.0, 1.0))


@pytest.mark.usefixtures("small")
def test_chains_start_where_it_says_and_move() -> None:
    """PCD's and Jarzynski's at the persistent ones: after 9 steps of 1e-3 they are still near them. Others: from the flow."""
    study, rng = Mixture(16, "code"), np.random.default_rng(0)
    for name in ("pcd", "jarzynski"):
        model = study.model(name, TINY)
        state = model.init(rng)
        field = "chains" if name == "pcd" else "walkers"
        state = state._replace(**{field: np.full((64, 16), 50.0, np.float32)})
        x, accepted = mixture_measures.walked(model, state, rng)
        assert accepted is None
        assert x.shape == (8, 8, 16)
        assert np.abs(x[0] - 50.0).max() < 1.0
        assert np.abs(x[1] - x[0]).min() > 0
    for name in ("flowmc", "nt", "coopflow"):
        model = study.model(name, TINY)
        flow = [model.flow.init(rng)] * (name != "flowmc")
        state = model.init(rng, *flow)
        x, _ = mixture_measures.walked(model, state._replace(flow=shifted(state.flow, 50.0)), rng)
        assert x.shape == (8, 8, 16)
        assert x[0].mean() == pytest.approx(50.0, abs=20.0 if name == "flowmc" else 1.0)  # MALA pulls back to the base


@pytest.mark.usefixtures("small")
def test_log_z_and_zones_are_the_models_and_not_the_flows(monkeypatch: pytest.MonkeyPatch) -> None:
    """E = 2, and a flow that is the base, moved towards mu_1: log Z is -2, and the zones weigh as much as the base's."""
    monkeypatch.setattr(mixture_measures, "OF_FLOW", 4_000)
    study = Mixture(16, "code")
    model = study.model("flowmc", TINY)
    state = model.init(np.random.default_rng(0))
    *before, third, last = state.energy
    energy = [*before, {"W": 0 * third["W"], "b": 0 * third["b"] + 1}, {"W": np.full_like(last["W"], 2 / 64)}]
    state = state._replace(energy=energy, flow=shifted(state.flow, 0.3))
    row, _ = measure(study.target, model, state, 64, 0)
    assert row["log_z"] == pytest.approx(-2.0, abs=0.1)
    assert row["model_off"] < 0.05
    x = study.target.sample(study.target.noise(np.random.default_rng(1), 4_000))
    error = np.median((study.base.log_prob(x) - study.target.log_prob(x)) ** 2)  # p is the base, whatever E and the flow
    assert row["median_squared_error"] == pytest.approx(error, rel=0.2)


def shifted(flow: Any, by: float) -> Any:
    """The flow's parameters, all that it draws moved by so much."""
    *layers, [last] = flow
    return [*layers, [{**last, "b": np.tile([0.0, by], last["b"].size // 2).astype(last["b"].dtype)}]]


def row_of(algorithm: str, **values: Any) -> dict[str, Any]:
    return {"reading": "code", **dict.fromkeys(ROW), "algorithm": algorithm, "seed": 0, **values}


def test_the_table_and_verdicts_by_hand() -> None:
    rows = [
        row_of("flowmc", rhat=1.004, rhat_mode=1.06, chains_off=0.01, spread=1.0, plane_spread=1.2),
        row_of("pcd", rhat=20.0, rhat_mode="inf", chains_off=0.1, spread=1.0, plane_spread=1.3),
        row_of("nt", stopped_at=7),
    ]
    known = {"a": {"code": 1.0}, "plane_spread": {"code": 1.0}, "blob_spread": {"code": 1.5}, "units": [32, 64]}
    result = {"study": "mixture-64", "preset": "quick", "rows": rows, "settings": known}
    flowmc, pcd, nt = mixture_page.table([result]).splitlines()[2:]
    assert flowmc == "| quick | code | flowMC-EBM | 1 of 1 | 1.004 {1.05} | 1.06 | - | 0.01 | - | - | - | 1 | 1.2 | - | - |"
    assert pcd.startswith("| quick | code | PCD-ULA | 1 of 1 | 20 {90.90} | inf | ")
    assert nt.startswith("| quick | code | NT-EBM | 0 of 1 | - {3.10} | - | ")
    said, = mixture_page.verdicts([result])
    assert "the paper's 1.05: 1.0040 at worst, reached" in said
    assert "chains within 0.02: 0.0100 at worst, reached" in said
    assert "mode at most 1.05: 1.0600 at worst, **not reached**" in said
    assert mixture_page.seen([result]) == [
        "- spread in the plane, `quick`, a of the code: p* has 1, one normal density with its covariance 1.5; nearer to p*: "
        "flowMC-EBM"]
    assert mixture_page.blind([{**result, "study": "mixture-32"}]) == []
    said, = mixture_page.blind([result])  # s^2 = 2: 32 / 2 (log 2 - 1 / 2)
    assert ", 3.1 nats (a of the code);" in said
    assert verdict([], 2, 1.0) == "none of 2 came to its end, **not reached**"
    assert verdict([1.0], 2, 1.0) == "1.0000 at worst, **not reached**"  # one ran away
    assert verdict([1.0, 1.011], 2, 1.01) == "1.0110 at worst, **not reached**"


def test_pictures_of_what_is_infinite_or_missing(tmp_path: Path) -> None:
    rows = [row_of("flowmc", rhat=1.0, rhat_mode="inf", chains_off=0.01), row_of("pcd")]
    mixture_pictures.numbers(tmp_path / "numbers.png", rows)
    assert (tmp_path / "numbers.png").stat().st_size > 1_000
