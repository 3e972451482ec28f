"""The command line as a user meets it: what it prints, where, with which exit status; no traceback for a bad input."""
import copy
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from evenflow.experiments import commands as experiments
from evenflow.reference.app import commands, errors
from evenflow.reference.work import energy_evaluation, energy_model, evaluation, runs, sampling
from evenflow.reference.work.data import load
from evenflow.reference.work.folders import read_log
from tests.command_line import refused

QUICK = ["--steps", "4", "--batch", "16", "--hidden", "8"]
SMALL = [*QUICK, "--context-hidden", "8", "--context-width", "4"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


app = copy.deepcopy(commands.app)
experiments.extend(app)


def evenflow(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(("family", "more"), [
    ("saef", ["--blocks", "2", "--block-map", "spline", *SMALL]), ("realnvp", ["--layers", "2", *QUICK]),
    ("maf", ["--transformer", "spline", "--base-scale", "2", *QUICK]), ("spline", QUICK),
    ("dense", [*QUICK[:4], "--matrix", "plu"]),
    ("aqf", ["--transformer", "spline", *QUICK]),
])
def test_train_sample_and_evaluate_every_family(family: str, more: list[str]) -> None:
    trained = evenflow("train", family, "--data", "two-moons", "--out", "runs/a", *more)
    assert trained.exit_code == 0, trained.output
    assert "Written to runs/a" in trained.stdout
    assert sorted(p.name for p in Path("runs/a").iterdir()) == [
        "checkpoint.npz", "config.json", "log.jsonl", "loss.png", "samples.png"]
    sampled = evenflow("sample", "runs/a", "--n", "3")
    assert sampled.exit_code == 0
    assert sampled.stdout.splitlines()[0] == "x0,x1"
    assert len(sampled.stdout.splitlines()) == 4
    assert evenflow("sample", "runs/a", "--n", "3").stdout == sampled.stdout
    assert evenflow("sample", "runs/a", "--n", "3", "--seed", "1").stdout != sampled.stdout


EBM = ["--steps", "3", "--batch", "16"]


@pytest.mark.parametrize(("algorithm", "more"), [
    ("flowmc", ["--buffer", "20", "--N", "4", "--layers", "1", "--hidden", "8"]), ("pcd", ["--local-steps", "2"]),
    ("nt", ["--pretrain-steps", "3"]), ("coopflow", ["--local-steps", "2", "--pretrain-steps", "3"]),
    ("fce", ["--layers", "1"]),
    ("jarzynski", ["--buffer", "20", "--step-size", "0.02"]),
    ("flowmc", ["--buffer", "20", "--local-kernel", "hmc", "--global-kernel", "independent", "--base-scale", "2"]),
    ("flowmc", ["--buffer", "20", "--local-kernel", "random-walk", "--base", "uniform", "--N", "4"]),
])
def test_train_and_sample_every_energy_based_model(algorithm: str, more: list[str], few: None) -> None:
    trained = evenflow("train", "ebm", "--algorithm", algorithm, "--data", "two-modes", "--out", "runs/e", *EBM, *more)
    assert trained.exit_code == 0, trained.output
    assert "Written to runs/e" in trained.stdout
    assert sorted(p.name for p in Path("runs/e").iterdir()) == [
        "checkpoint.npz", "config.json", "log.jsonl", "loss.png", "samples.png"]
    sampled = evenflow("sample", "runs/e", "--n", "3")
    assert sampled.exit_code == 0
    assert sampled.stdout.splitlines()[0] == "x0,x1"
    assert len(sampled.stdout.splitlines()) == 4
    assert re.fullmatch(r"flowMC took \d+% of the local, \d+% of the global moves\n", sampled.stderr)
    assert evenflow("sample", "runs/e", "--n", "3").stdout == sampled.stdout
    assert evenflow("sample", "runs/e", "--n", "3", "--seed", "1").stdout != sampled.stdout


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few of what only makes an energy-based model's samples and estimates better."""
    monkeypatch.setattr(sampling, "WARM_UP", 5)
    monkeypatch.setattr(energy_model, "CHAINS", (4, 100))
    monkeypatch.setattr(energy_model, "BURN_IN", 2)
    monkeypatch.setattr(energy_model, "DRAWS", 100)
    monkeypatch.setattr(commands, "SHOWN", 20)
    monkeypatch.setattr(evaluation, "SHARED", 20)
    monkeypatch.setattr(energy_evaluation, "CHAINS", 10)
    monkeypatch.setattr(energy_evaluation, "DRAWS", 100)
    monkeypatch.setattr(energy_evaluation, "SWEEPS", 5)


def test_an_energy_based_model_of_a_users_csv(few: None) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{i % 2},{c:.3f}" for i, (a, b, c) in enumerate(1000 + rng.standard_normal((60, 3)))]
    Path("mine.csv").write_text("\n".join(["height,width,label,depth", *rows]))
    result = evenflow("train", "ebm", "--data", "mine.csv", *EBM, "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert (summary["out"], summary["step"]) == ("runs/ebm-flowmc-mine-s0", 3)
    assert evenflow("sample", summary["out"], "--n", "50", "--out", "new.csv").exit_code == 0
    header, *lines = Path("new.csv").read_text().splitlines()
    assert header == "height,width,depth"
    assert abs(np.array([line.split(",") for line in lines], float) - 1000).max() < 100
    refused(evenflow("sample", summary["out"], "--label", "1"), "--label means nothing for a model that is not class-c")
    row = json.loads(evenflow("evaluate", summary["out"], "--json").stdout)
    of_all = {"run", "held_out_rows", *evaluation.LIKELIHOOD, *evaluation.OF_SAMPLES}
    assert set(row) == of_all | set(energy_evaluation.FIELDS)
    told = evenflow("evaluate", summary["out"])
    assert told.exit_code == 0
    assert "held out log likelihood" in told.stdout
    refused(evenflow("evaluate", summary["out"], "--data", "rings"), "data must have the model's 3 columns, got 2")


def test_resume_of_an_energy_based_model_refuses_other_choices(few: None) -> None:
    begin = ["train", "ebm", "--data", "two-modes", "--out", "e", *EBM]
    assert evenflow(*begin).exit_code == 0
    refused(evenflow(*begin), "e holds a run already")
    refused(evenflow("train", "ebm", "--out", "e", "--resume", "--algorithm", "pcd"), "begun with algorithm flowmc, not pcd")
    refused(evenflow("train", "ebm", "--out", "e", "--resume", "--N", "9"), "e was begun with N 32, not 9")
    refused(evenflow("train", "maf", "--out", "e", "--resume"), "e was begun with family ebm, not maf")
    assert evenflow("train", "ebm", "--out", "e", "--resume", "--N", "32").exit_code == 0


def test_evaluate_prints_the_row(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "d_loss", lambda real, generated, seed: (0.6, 0.05))  # takes a second
    assert evenflow("train", "maf", "--data", "two-moons", "--out", "a", *QUICK).exit_code == 0
    row = json.loads(evenflow("evaluate", "a", "--json").stdout)
    assert list(row) == ["run", "held_out_rows", *evaluation.LIKELIHOOD, *evaluation.OF_SAMPLES, *evaluation.OF_FLOWS]
    told = evenflow("evaluate", "a")
    assert told.exit_code == 0
    assert "D-loss" in told.stdout


def test_json_is_one_document_and_nothing_else() -> None:
    result = evenflow("train", "maf", "--data", "rings", "--out", "a", "--json", *QUICK)
    summary = json.loads(result.stdout)
    assert summary["step"] == 4
    assert summary["out"] == "a"
    failed = evenflow("train", "maf", "--data", "ringz", "--json")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["error"].startswith("unknown data set 'ringz', did you mean 'rings'")


def test_the_issues_example_works_as_typed() -> None:
    """But for the number of steps."""
    line = "train saef --data digits --blocks 16 --objective energy --beta 1 --draws 4 --steps 2 --seed 0 --out runs/a"
    assert evenflow(*line.split()).exit_code == 0
    config = json.loads(Path("runs/a/config.json").read_text())["config"]
    assert (config["blocks"], config["objective"], config["beta"], config["draws"]) == (16, "energy", 1.0, 4)
    assert evenflow("sample", "runs/a", "--n", "12", "--out", "digits.png").exit_code == 0
    assert Path("digits.png").read_bytes().startswith(b"\x89PNG")


def test_class_conditional_digits_by_label() -> None:
    assert evenflow("train", "saef", "--class-conditional", "--out", "a", *SMALL).exit_code == 0
    assert evenflow("sample", "a", "--n", "5", "--label", "3", "--out", "threes.npy").exit_code == 0
    assert np.load("threes.npy").shape == (5, 8, 8)
    refused(evenflow("sample", "a", "--label", "10"), "--label must be one of those in the data, 0, 1, 2")


def test_a_label_that_the_data_do_not_have_is_refused() -> None:
    """Labels 5 and 7: nothing was learned of 6, nor of 0."""
    np.savez("five.npz", x=np.random.default_rng(0).standard_normal((40, 2)), y=np.repeat([5, 7], 20))
    assert evenflow("train", "maf", "--data", "five.npz", "--class-conditional", "--out", "a", *QUICK).exit_code == 0
    assert evenflow("sample", "a", "--label", "7").exit_code == 0
    for label in ("0", "6", "8", "-1"):
        refused(evenflow("sample", "a", "--label", label), f"--label must be one of those in the data, 5, 7, got {label}")


def test_a_users_csv_with_names_labels_and_units() -> None:
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{i % 2},{c:.3f}" for i, (a, b, c) in enumerate(1000 + rng.standard_normal((60, 3)))]
    Path("mine.csv").write_text("\n".join(["height,width,label,depth", *rows]))
    result = evenflow("train", "saef", "--data", "mine.csv", "--blocks", "1,2", "--class-conditional", "--out", "a", *SMALL)
    assert result.exit_code == 0, result.output
    sampled = evenflow("sample", "a", "--n", "50", "--label", "1", "--out", "new.csv")
    assert sampled.exit_code == 0
    header, *lines = Path("new.csv").read_text().splitlines()
    assert header == "height,width,depth,label"
    drawn = np.array([line.split(",") for line in lines], float)
    assert abs(drawn[:, :3] - 1000).max() < 100
    assert (drawn[:, 3] == 1).all()
    refused(evenflow("sample", "a", "--out", "new.csv"), "new.csv exists already")
    for name in ("new.npy", "new.npz", "new.png"):
        assert evenflow("sample", "a", "--out", name).exit_code == 0
    assert np.load("new.npz")["x"].shape == (100, 3)
    refused(evenflow("sample", "a", "--out", "new.txt"), "unknown file ending '.txt'")


@pytest.mark.parametrize(("arguments", "said"), [
    ("train realnpv", "unknown family 'realnpv', did you mean 'realnvp'"),
    ("train maf --data two-moon", "unknown data set 'two-moon', did you mean 'two-moons'"),
    ("train maf --data nowhere.csv", "No such file or directory: nowhere.csv"),
    ("train maf --data x.xlsx", "unknown file ending '.xlsx'"),
    ("train saef --objective enrgy", "unknown objective 'enrgy', did you mean 'energy'"),
    ("train saef --beta 2", "beta must lie strictly between 0 and 2"),
    ("train saef --draws 1", "draws must be an integer >= 2, got 1"),
    ("train saef --blocks 7", "blocks must divide d = 64"),
    ("train saef --blocks 10,20", "blocks must add up to d = 64, got [10, 20] with sum 30"),
    ("train saef --blocks two", "blocks must be whole numbers with commas between them, got 'two'"),
    ("train saef --block-map cupling", "unknown block_map 'cupling', did you mean 'coupling'"),
    ("train maf --blocks 2", "blocks means nothing for maf, only for saef"),
    ("train maf --beta 1", "beta means nothing for the objective likelihood, only for energy, sliced"),
    ("train aqf --objective likelihood --draws 3", "draws means nothing for the objective likelihood"),
    ("train dense --hidden 8", "hidden means nothing for dense, only for saef, realnvp, maf, spline, aqf, glow, flowmc"),
    ("train ebn", "unknown family 'ebn', did you mean 'ebm'"),
    ("train ebm --algorithm flomc", "unknown algorithm 'flomc', did you mean 'flowmc'"),
    ("train ebm --buffer 10 --batch 11", "buffer must hold at least a batch of chains, got buffer 10 and batch 11"),
    ("train ebm --N 1", "N must be an integer >= 2, got 1"),
    ("train ebm --step-size -1", "step_size must be positive and finite, got -1.0"),
    ("train ebm --algorithm pcd --N 8", "N means nothing for the algorithm pcd, only for flowmc"),
    ("train ebm --pretrain-steps 8", "pretrain_steps means nothing for the algorithm flowmc, only for nt, coopflow"),
    ("train ebm --objective energy", "objective means nothing for ebm, only for saef, realnvp, maf, spline, dense, aqf"),
    ("train ebm --class-conditional", "class_conditional means nothing for ebm, only for saef"),
    ("train maf --algorithm pcd", "algorithm means nothing for maf, only for ebm"),
    ("train maf --layers 0", "layers must be an integer >= 1, got 0"),
    ("train maf --average-decay 0", "average_decay must be positive and finite, got 0.0"),
    ("train ebm --leapfrog-steps 3", "leapfrog_steps means nothing for the local kernel mala, only for hmc"),
    ("train aqf --base uniform", "base means nothing for aqf, only for saef, realnvp, maf, spline, dense, glow, ebm"),
    ("train maf --resume", "--resume needs --out"),
    ("train maf --resume --out nowhere", "nowhere holds no run"),
    ("train maf --class-conditional --data rings", "class_conditional needs labels, and rings has none"),
    ("sample nowhere", "nowhere holds no run"),
    ("evaluate nowhere", "nowhere holds no run"),
])
def test_bad_input_is_one_line(arguments: str, said: str) -> None:
    refused(evenflow(*arguments.split()), said)


def test_bad_tables_are_one_line() -> None:
    Path("cell.csv").write_text("a,b\n1,2\n3,x\n")
    cell = "cell.csv, line 3, column 2 ('b'): expected a finite number, got 'x'"
    refused(evenflow("train", "maf", "--data", "cell.csv"), cell)
    Path("constant.csv").write_text("a,b\n" + "1,2\n3,2\n5,2\n" * 5)
    refused(evenflow("train", "maf", "--data", "constant.csv"), "columns must vary")
    np.save("nan.npy", np.array([[1.0, 2.0], [np.nan, 3.0]]))
    refused(evenflow("train", "maf", "--data", "nan.npy"), "values are missing in 2 rows: '1' 1, the first in row 2")


def test_resume_takes_the_runs_choices_and_refuses_others() -> None:
    assert evenflow("train", "maf", "--data", "rings", "--out", "a", "--batch", "17", *QUICK[:2], *QUICK[4:]).exit_code == 0
    refused(evenflow("train", "maf", "--data", "rings", "--out", "a", *QUICK), "a holds a run already")
    refused(evenflow("train", "maf", "--out", "a", "--resume", "--steps", "9"), "a was begun with steps 4, not 9")
    refused(evenflow("train", "saef", "--out", "a", "--resume"), "a was begun with family maf, not saef")
    other = "a was trained on other data than digits: digest, shape, units differ"
    refused(evenflow("train", "maf", "--data", "digits", "--out", "a", "--resume"), other)
    assert evenflow("train", "maf", "--out", "a", "--resume").exit_code == 0
    whole = Path("a/checkpoint.npz").read_bytes()
    Path("a/checkpoint.npz").write_bytes(whole[:-100])
    refused(evenflow("train", "maf", "--out", "a", "--resume"), "a/checkpoint.npz is not a whole evenflow file")
    refused(evenflow("sample", "a"), "a/checkpoint.npz is not a whole evenflow file")


def test_a_finished_run_without_its_log_is_still_a_run() -> None:
    assert evenflow("train", "maf", "--data", "rings", "--out", "a", *QUICK).exit_code == 0
    Path("a/log.jsonl").unlink()
    result = evenflow("train", "maf", "--out", "a", "--resume", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["step"] is None


def test_a_damaged_description_is_one_line() -> None:
    assert evenflow("train", "maf", "--data", "rings", "--out", "a", *QUICK).exit_code == 0
    Path("a/config.json").write_text('{"format": 4, "config": {}, "steps": 4, "data": "rings"}')
    for command in (["sample", "a"], ["evaluate", "a"], ["train", "maf", "--out", "a", "--resume"]):
        refused(evenflow(*command), "a/config.json is not the description of a run (put back a copy): there is no 'units'")


def test_the_demo_finds_out_at_once_that_it_cannot_write() -> None:
    """Before it trains for minutes."""
    Path("taken").write_text("")
    refused(evenflow("demo", "--out", "taken"), "File exists: taken")


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(evenflow("train", "maf", "--data", "rings", "--out", "a", *QUICK), "No space left on device")


def test_training_that_blows_up_names_the_step_and_the_checkpoint() -> None:
    result = evenflow("train", "dense", "--data", "rings", "--out", "a", "--learning-rate", "1e30", "--steps", "50",
                      "--schedule", "constant", "--batch", "16")
    assert result.exit_code == 1
    assert re.search(r"error: training stopped at step \d+: .*The last good state, step \d+, is in a/checkpoint.npz",
                     " ".join(result.stderr.split()))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from evenflow.reference.app.cli import main; main()"]
    train = [*command, "train", "maf", "--data", "two-moons", "--out", "a", "--steps", "100000"]
    process = subprocess.Popen(train, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    for _ in range(600):
        if len(read_log(tmp_path / "a/log.jsonl")) > 3:
            break
        time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "interrupted; go on with: evenflow train maf --out a --resume" in err
    assert "Traceback" not in err
    assert runs.load_run(tmp_path / "a").sample(2, np.random.default_rng(0)).shape == (2, 2)


def test_missing_packages_are_named_with_what_to_install(tmp_path: Path) -> None:
    plots = ["train", "maf", "--data", "rings", *QUICK]
    for hidden, arguments, module, extra in [
        ("typer", ["--help"], "typer", "cli"), ("matplotlib.figure", plots, "matplotlib", "plots"),
        ("sklearn", ["train", "maf"], "sklearn", "data"),
    ]:
        script = f"import sys; sys.modules[{hidden!r}] = None; sys.argv = ['evenflow', *{arguments!r}]\n"
        script += "from evenflow.reference.app.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert f"error: this needs {module}, which is not installed: pip install 'evenflow[{extra}]'" in done.stderr
        assert "Traceback" not in done.stderr
        assert list(tmp_path.rglob("*.npz")) == []  # it is said before the training, not after


def test_a_closed_pipe_is_no_accident(tmp_path: Path) -> None:
    assert evenflow("train", "maf", "--data", "rings", "--out", "a", *QUICK).exit_code == 0
    code = "import sys; sys.argv[1:] = ['sample', 'a', '--n', '50000']; from evenflow.reference.app import cli; cli.main()"
    done = subprocess.run(f'{sys.executable} -c "{code}" | head -1', shell=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "x0,x1\n"
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [[], ["demo"], ["train"], ["sample"], ["evaluate"], ["score"]])
def test_help_reads_well(arguments: list[str]) -> None:
    result = evenflow(*arguments, "--help")
    assert result.exit_code == 0
    assert "Usage: evenflow" in result.stdout
    assert "evenflow " in result.stdout.split("Usage")[1].split("\n", 2)[2] or arguments == []


def test_version_and_unknown_commands() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", evenflow("--version").stdout)
    assert evenflow("trian").exit_code == 2


def test_messages() -> None:
    assert errors.message(FileNotFoundError(2, "No such file or directory", "a.csv")) == "No such file or directory: a.csv"
    assert errors.message(ValueError("one\n two")) == "one two"
    with pytest.raises(SystemExit), errors.reporting():
        raise FloatingPointError("the gradient must be finite")
    with pytest.raises(ModuleNotFoundError):
        errors.missing(ModuleNotFoundError("no", name="evenflow.typo"))


@pytest.mark.parametrize("keep", ["best", "last"])
def test_which_step_is_kept_is_said(keep: str) -> None:
    """A rate at which forty rows are learned by heart: the last weights are far worse, and the line says so."""
    np.save("few.npy", np.random.default_rng(0).standard_normal((50, 3)))
    how = ["--learning-rate", "0.03", "--steps", "60", "--keep", keep]
    told = evenflow("train", "maf", "--data", "few.npy", "--out", "a", *how)
    (line,) = (line for line in told.stderr.splitlines() if line.startswith("best held out"))
    said = re.fullmatch(r"best held out (\S+) at step (\d+); last (\S+): kept step (\d+)", line)
    assert said is not None
    best, at, last, kept = said.groups()
    assert float(last) > float(best) + 1
    assert kept == (at if keep == "best" else "60")
    held_out = runs.load_run(Path("a")).log_density(load("few.npy").held_out)
    assert (held_out.mean() > -6) == (keep == "best")
