"""docs/experiments/two_modes.py and pool.py: that they write what they promise, resume, and say what went wrong.

Small trainings, in this process; the numbers of the real ones stand in docs/experiments/two-modes.md."""
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from evenflow import accel
from evenflow.accel.cli import extend as with_backends
from evenflow.experiments import EXPERIMENTS, commands, digits, pool, two_modes, two_modes_measures, two_modes_page
from evenflow.experiments.two_modes import Preset, weight
from evenflow.reference.core import SGD, Adam
from evenflow.reference.work.files import load
from evenflow.reference.work.stretches import TrainingStopped
from evenflow.reference.work.training import Progress
from tests.experiments.runs import written

FIELDS = {  # what the table of the demo promises, in its order
    "algorithm", "true_weight", "final_weight", "weight_min_late", "weight_max_late", "acceptance_global", "rhat_mode", "log_z",
    "log_z_grid",
}

app = Typer()
commands.extend(app)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 steps on few points; the rest as it is."""
    monkeypatch.setattr(two_modes, "POINTS", 512)
    monkeypatch.setattr(two_modes, "EVERY", 4)
    monkeypatch.setattr(two_modes, "PRETRAINING", 10)
    monkeypatch.setattr(two_modes_measures, "SWEEPS", 6)
    monkeypatch.setattr(two_modes_measures, "DRAWS", 500)
    monkeypatch.setattr(two_modes_measures, "PARTICLES", 200)
    monkeypatch.setattr(two_modes_measures, "TEMPERATURES", 20)
    monkeypatch.setattr(two_modes, "PRESETS", {
        "quick": Preset(2, True, Adam()), "paper": Preset(2, False, SGD()),
        "demo": Preset(2, True, Adam(), algorithms=two_modes.ALGORITHMS[:3])})


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_it_writes_what_it_promises_and_resumes(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    rows = two_modes.run(tmp_path, "quick", (0, 1), lambda name, progress: seen.append((name, progress.step)))
    assert [(row["algorithm"], row["seed"]) for row in rows] == [(a, s) for s in (0, 1) for a in two_modes.ALGORITHMS]
    assert all(tuple(row) == two_modes.ROW and set(row) >= FIELDS for row in rows)
    assert seen[-1] == ("Jarzynski, seed 1", 16)
    for row in rows:
        assert row["true_weight"] == pytest.approx(2 / 3, abs=1e-9)
        assert abs(row["empirical_weight"] - 2 / 3) < 5 * math.sqrt(2 / 9 / 512)
        assert 0 <= row["weight_min_late"] <= row["final_weight"] <= row["weight_max_late"] <= 1 + 1e-9
        if row["algorithm"] == "flowmc":  # after 16 steps, too little agrees with too little to judge the others
            assert abs(row["log_z"] - row["log_z_grid"]) < 6 * row["log_z_standard_error"] + 0.01
    told = written(tmp_path, two_modes)
    assert told["rows"] == rows
    assert [len(trace) for trace in told["weights"]["flowmc"]] == [4, 4]
    shutil.rmtree(tmp_path / "pcd-seed1")  # as if it had not begun; the others are over, and only measured again
    assert two_modes.run(tmp_path, "quick", (0, 1), resume=True) == rows
    with pytest.raises(ValueError, match="preset is quick there, paper here"):
        two_modes.run(tmp_path, "paper", (0,), resume=True)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_a_training_that_breaks_off_is_a_row_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ULA with a step far too large: the chains run away, and the others are measured all the same."""
    pcd = two_modes.MODELS["pcd"]
    monkeypatch.setitem(two_modes.MODELS, "pcd", replace(pcd, step_size=1e38))
    rows = two_modes.run(tmp_path)
    assert [row["algorithm"] for row in rows if row["stopped_at"] is not None] == ["pcd"]
    assert rows[2]["final_weight"] is None
    assert rows[2]["empirical_weight"] == rows[0]["empirical_weight"]
    assert all((tmp_path / picture).exists() for picture in two_modes.PICTURES)


def test_the_weight_is_that_of_the_upper_right_mode() -> None:
    assert weight(two_modes_measures.TARGET.log_prob) == pytest.approx(2 / 3, abs=1e-6)
    assert weight(lambda x: two_modes_measures.TARGET.log_prob(-x)) == pytest.approx(1 / 3, abs=1e-6)


def test_the_presets_are_those_of_the_page() -> None:
    paper, best = two_modes.PRESETS["paper"], two_modes.PRESETS["best"]
    assert (paper.steps, best.steps, two_modes.PRESETS["quick"].steps) == (75 * 256, 20 * 256, 8 * 256)
    assert paper.rate("fce")(0) == paper.rate("pcd")(paper.steps - 1) == best.rate("flowmc")(0) == 0.01
    assert best.rate("pcd")(best.steps // 2) == pytest.approx(0.005)
    assert (best.rate("coopflow")(0), best.rate("fce")(0), best.rate("jarzynski")(0)) == (1e-4, 1e-3, 1e-3)
    optimisers = {name: preset.energy_optimiser for name, preset in two_modes.PRESETS.items()}
    assert optimisers == {"paper": SGD(), "best": Adam(), "quick": Adam(), "demo": Adam()}
    assert all(model.flow_optimiser == Adam() for model in two_modes.MODELS.values() if hasattr(model, "flow_optimiser"))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_the_energy_is_moved_as_the_preset_says(preset: str, tmp_path: Path) -> None:
    """Its optimiser's memory is in the checkpoint: moments of Adam, or those of plain steps."""
    two_modes.learn("pcd", preset, 0, tmp_path, False, lambda name, progress: None)
    kept = load(tmp_path / "pcd-seed0" / "checkpoint.npz")["params"]["energy_optimiser"]
    assert set(kept) == ({"t", "m", "v"} if preset == "quick" else {"u"})


def test_the_table_by_hand() -> None:
    def row(algorithm: str, final: float, accepted: float | None, rhat: float | str) -> dict[str, Any]:
        return dict.fromkeys(two_modes.ROW) | {
            "algorithm": algorithm, "true_weight": 0.6, "empirical_weight": 0.62, "final_weight": final,
            "chain_weight": 0.61, "weight_min_late": 0.5, "weight_max_late": 0.7,
            "weight_sd_late": 0.03, "acceptance_global": accepted,
            "rhat_mode": rhat,
        }

    rows = [row("flowmc", 0.6, 0.9, 1.01), row("flowmc", 0.64, 0.8, 1.02)]
    rows += [row("pcd", 0.9, None, "inf"), row("pcd", 0.9, None, 3.0)]
    rows += [{**row("flowmc-local", 0.9, None, "inf"), "stopped_at": 7}]
    flowmc, pcd, local = two_modes_page.table([{"preset": "best", "rows": rows}]).splitlines()[2:]
    assert flowmc == (
        "| best | flowMC-EBM | 2 of 2 | 0.620 (0.028) | 0.0200 | 0.0200 | 0.0200 | 0.500-0.700 | 0.030 | 0.850 | 1.020 |"
    )
    assert pcd == "| best | PCD-ULA | 2 of 2 | 0.900 (0.000) | 0.2800 | 0.3000 | 0.2900 | 0.500-0.700 | 0.030 | - | inf |"
    assert local == "| best | without global moves | 0 of 1 | - | - | - | - | - | - | - | - |"
    said = two_modes_page.findings([{"preset": "best", "rows": rows}])
    assert said[0] == "`best`, flowMC-EBM: the weight ends at 0.600, 0.640; with 0.61 of its samples in that mode"
    assert said[2] == "`best`, without global moves: 1 of 1 ran away (at step 7)"
    assert said[3] == "`best`: run before NT-EBM, CoopFlow, FCE, Jarzynski were here; the command above trains them, too"
    assert said[4] == "`best`: mean of |weight - 2/3| of flowMC-EBM 0.0200, 0.01 asked: **not reached**"


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("algorithm", ["nt", "coopflow", "fce", "jarzynski"])
def test_a_model_at_its_start_is_sampled_as_its_base(algorithm: str) -> None:
    """E = 0 and T = identity: all samplers leave N(0, I), half of it in each zone, and log Z is known."""
    model, rng = two_modes.MODELS[algorithm], np.random.default_rng(0)
    flow = [two_modes.FLOW.init(rng)] if algorithm in ("nt", "coopflow") else []
    state = model.init(rng, *flow)
    row, chains = two_modes_measures.measure(model, state, rng)
    assert (chains is None) == (algorithm != "nt")
    assert row["chain_weight"] == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(64 if algorithm == "nt" else 1024))
    if algorithm in ("nt", "jarzynski"):  # the others' densities are not tilted: flat, they have none
        assert row["log_z"] == pytest.approx(0.0, abs=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One document with --json, no second run over a first, and the demo's rows beside those of the digits."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    done = CliRunner().invoke(app, ["reproduce", "two-modes", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads(Path("two-modes-quick/results.json").read_text())["rows"]
    again = CliRunner().invoke(app, ["reproduce", "two-modes"])
    assert (again.exit_code, again.stdout) == (1, "")
    assert "two-modes-quick is not empty: go on with --resume, or choose another folder" in again.stderr
    resumed = CliRunner().invoke(app, ["reproduce", "two-modes", "--resume"])
    assert "Written to two-modes-quick: results.json and densities.png" in resumed.stdout

    def digits_run(out: Path, *_: Any, **__: Any) -> list[dict[str, Any]]:
        (out / "results.json").write_text('{"rows": [{"blocks": 1}], "seed": 0}')
        return [{"blocks": 1}]

    monkeypatch.setattr(digits, "run", digits_run)
    demo = CliRunner().invoke(app, ["demo", "--json"])
    assert demo.exit_code == 0, demo.output
    rows = json.loads(Path("demo/results.json").read_text())["rows"]
    assert json.loads(demo.stdout) == rows
    assert [row.get("algorithm") for row in rows] == [None, *two_modes.ALGORITHMS[:3]]
    assert all(set(row) >= FIELDS for row in rows[1:])


@pytest.mark.parametrize("named", [None, "reference"])
def test_reproduce_takes_the_fastest_backend_unless_one_is_named(
    named: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[tuple[str, int | None]] = []

    def run(*_: Any) -> list[Any]:
        used.append((accel.active(), pool._at_most.get()))
        return [dict.fromkeys(two_modes.ROW)]

    monkeypatch.setattr(two_modes, "run", run)
    monkeypatch.delenv("EVENFLOW_BACKEND", raising=False)
    chosen = ["--backend", named] if named else []
    whole = Typer()
    commands.extend(whole)
    with_backends(whole)
    done = CliRunner().invoke(whole, ["reproduce", "two-modes", "--jobs", "3", "--out", str(tmp_path / "x"), *chosen])
    assert done.exit_code == 0, done.output
    assert used == [(named or commands.fastest(), 3)]
    assert commands.fastest() in ("numpy", "compiled")
    assert pool._at_most.get() is None


def test_reproduce_lists_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = CliRunner().invoke(app, ["reproduce", "--list"]).stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(EXPERIMENTS)
    assert lines[0].endswith("Two modes, one twice as heavy as the other: Grenioux et al. 2023, Fig. 1.")
    nothing = CliRunner().invoke(app, ["reproduce"])
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert "which experiment? evenflow reproduce --list says which there are" in nothing.stderr


def test_an_unknown_experiment_or_preset_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, said in ((["two-moods"], "unknown experiment 'two-moods', did you mean 'two-modes'?"),
                            (["two-modes", "--preset", "fast"], "unknown preset 'fast', did you mean 'best'?")):
        refused = CliRunner().invoke(app, ["reproduce", *arguments])
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert said in refused.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_pool_keeps_the_order_and_raises_what_a_job_raises() -> None:
    assert pool.side_by_side(getattr, [(k + 0j, "real") for k in range(5)], None) == [0.0, 1.0, 2.0, 3.0, 4.0]
    with pytest.raises(TypeError, match="unsupported operand"):
        pool.side_by_side(divmod, [(3,), (4,)], None)


def test_what_stopped_a_training_can_come_back_from_another_process() -> None:
    import pickle
    stopped = pickle.loads(pickle.dumps(TrainingStopped(3, "the loss is nan", "c.npz")))
    assert (stopped.step, stopped.what, stopped.checkpoint) == (3, "the loss is nan", "c.npz")
    assert str(stopped) == str(TrainingStopped(3, "the loss is nan", "c.npz"))


def test_progress_passes_from_one_process_to_the_other() -> None:
    """What a job tells arrives with its name, thinned out but for the last step."""
    import queue
    told: Any = queue.Queue()

    def work(steps: int, tell: pool.OnStep) -> int:
        for step in range(1, steps + 1):
            tell("job", Progress(step, steps, 0.5, 0.01, 1.0, None, 0.1, {"acceptance": 0.5}))
        return steps

    assert pool.call("reference", work, (35,), told) == 35
    seen: list[int] = []
    pool.relay(told, lambda name, progress: seen.append(progress.step))
    assert seen == [16, 32, 35]


def test_finite_or_text() -> None:
    assert two_modes_measures.finite_or_text(1.5) == 1.5
    assert two_modes_measures.finite_or_text(math.inf) == "inf"
