"""A run's folder on the command line: whatever happens is one line and an exit status, and can be gone on from."""
import copy
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from evenflow.accel import cli as accel
from evenflow.reference.app import commands, console, figures, pictures, samples
from evenflow.reference.work import energy_model, lock, metrics, runs, sampling
from evenflow.reference.work.folders import read_log
from evenflow.reference.work.options import Config
from evenflow.reference.work.training import Progress
from tests.command_line import refused

QUICK = ["--steps", "4", "--batch", "16", "--hidden", "8", "--layers", "1"]
TRAIN = ["train", "maf", "--data", "rings", *QUICK, "--out"]
app = copy.deepcopy(commands.app)
accel.extend(app)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def evenflow(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def stop(monkeypatch: pytest.MonkeyPatch, at: str, error: BaseException) -> None:
    def stopped(*arguments: Any, **more: Any) -> None:
        raise error

    monkeypatch.setattr(at, stopped)


def train(*more: str, out: str = "a") -> Result:
    return evenflow(*TRAIN, out, *more)


def test_resume_from_another_folder_and_with_another_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savetxt("plain.csv", np.random.default_rng(0).standard_normal((60, 2)), delimiter=",")
    assert evenflow("train", "maf", "--data", "plain.csv", "--out", "a", *QUICK).exit_code == 0
    Path("sub").mkdir()
    monkeypatch.chdir("sub")
    for data in ([], ["--data", "../plain.csv"], ["--data", "./../plain.csv"], ["--data", str(tmp_path / "plain.csv")]):
        assert evenflow("train", "maf", "--out", "../a", "--resume", *data).exit_code == 0
    Path("../plain.csv").rename("new.csv")
    missing = f"../a was trained on {tmp_path / 'plain.csv'}, which is not there: say with --data where it is now"
    refused(evenflow("train", "maf", "--out", "../a", "--resume"), missing)
    assert evenflow("train", "maf", "--out", "../a", "--resume", "--data", "new.csv").exit_code == 0
    assert evenflow("train", "maf", "--out", "../a", "--resume").exit_code == 0


def test_the_way_on_after_an_interrupt_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its backend, and quoted; and only where there is something to go on with."""
    with monkeypatch.context() as patch:
        stop(patch, "evenflow.reference.app.commands.load", KeyboardInterrupt())
        result = train(out="my runs/a")
        assert (result.exit_code, result.stderr) == (130, "interrupted before the run began\n")
    with monkeypatch.context() as patch:
        stop(patch, "evenflow.reference.work.training.advance", KeyboardInterrupt())
        result = train("--backend", "numpy", out="my runs/a")
    assert result.exit_code == 130
    told, command = result.stderr.strip().split(": ")
    assert told == "interrupted; go on with"
    assert command == "evenflow train maf --out 'my runs/a' --resume --backend numpy"
    assert evenflow(*shlex.split(command)[1:]).exit_code == 0


def test_after_a_full_disk_the_same_command_or_resume_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for out, again in {"a": [*TRAIN, "a"], "b": ["train", "maf", "--resume", "--out", "b"]}.items():
        with monkeypatch.context() as patch:
            stop(patch, "numpy.savez", OSError(28, "No space left on device"))
            full = f"cannot write {out}/checkpoint.npz: No space left on device; whatever file stands there is whole"
            refused(train(out=out), full)
        refused(evenflow("sample", out), f"{out} holds no checkpoint: there is no {out}/checkpoint.npz; resume the run")
        assert evenflow(*again).exit_code == 0
        refused(train(out=out), f"{out} holds a run already")


def test_a_folder_where_another_process_trains_is_one_line() -> None:
    with lock.alone(Path("a")):
        refused(train(), f"a is being trained by process {os.getpid()}: wait for its end, or choose another folder")
    Path("b").touch()
    refused(train(out="b"), "b is a file, not a folder: choose another name")


def test_extend_makes_more_steps() -> None:
    assert train().exit_code == 0
    way = "a was begun with steps 4, not 6: leave the option out, make more with --extend, or begin another run"
    refused(evenflow("train", "maf", "--out", "a", "--resume", "--steps", "6"), way)
    refused(evenflow("train", "maf", "--out", "a", "--extend"), "--extend needs --steps, how many in all: more than 4")
    refused(evenflow("train", "maf", "--out", "a", "--extend", "--steps", "3"), "a was begun with steps 4, not 3")
    refused(evenflow("train", "maf", "--extend", "--steps", "6"), "--extend needs --out")
    for _ in range(2):
        result = evenflow("train", "maf", "--out", "a", "--extend", "--steps", "6", "--json")
        assert json.loads(result.stdout)["step"] == 6
    assert [line["step"] for line in read_log(Path("a/log.jsonl"))] == [1, 2, 3, 4, 5, 6]


# -- pictures ------------------------------------------------------------------------------------------------------

def test_dollars_in_names_are_drawn_as_they_are() -> None:
    rows = [",".join(map(repr, row)) for row in np.random.default_rng(0).standard_normal((60, 4)).tolist()]
    Path("x.csv").write_text("\n".join(["$x$,co$t,a\\$b_{,$^{$", *rows]))
    result = evenflow("train", "maf", "--data", "x.csv", "--out", "a", *QUICK)
    assert result.exit_code == 0
    assert "could not be drawn" not in result.stderr
    assert evenflow("sample", "a", "--out", "x.png").exit_code == 0
    pictures.scatter_picture(Path("y.png"), {"$^{$": np.zeros((3, 2))})


@pytest.mark.parametrize("error", [ValueError("no\nsuch glyph"), OSError(28, "No space left on device"), RuntimeError()])
def test_a_picture_never_decides_what_becomes_of_a_run(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    stop(monkeypatch, "evenflow.reference.app.pictures.scatter_picture", error)
    result = train()
    assert result.exit_code == 0
    assert result.stdout == "Written to a: config.json, checkpoint.npz, log.jsonl, loss.png\n"
    told = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert len(told) == 1
    assert told[0].startswith("warning: the run is finished, but a/samples.png could not be drawn: ")


# -- what a training says ------------------------------------------------------------------------------------------

def progress(step: int, steps: int, held_out: float | None = None) -> Progress:
    judged = None if held_out is None else {"loss": held_out}
    return Progress(step, steps, -1.2345e-5, 1e-3, 1.0, judged, 1 + 0.0123 * step, {})


def test_off_a_terminal_a_line_is_printed_every_twentieth(capsys: pytest.CaptureFixture[str]) -> None:
    with console.bars() as bars:
        for step in range(1, 201):
            bars("maf", progress(step, 200, 2.5 if step % 100 == 0 else None))
        for step in range(7, 10):
            bars("saef", progress(step, 9))
    *lines, last, b, c, d = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in [*lines, last]] == [f"maf: step {10 * k} of 200" for k in range(1, 21)]
    assert lines[0] == "maf: step 10 of 200, loss -1.234e-05, 8.9/s, 0:00:21 left"
    assert last == "maf: step 200 of 200, loss -1.234e-05, held out 2.5, 57.8/s, 0:00:00 left"
    assert [line.split(",")[0] for line in (b, c, d)] == [f"saef: step {k} of 9" for k in (7, 8, 9)]


@pytest.mark.parametrize("width", [40, 50, 60, 75, 80, 104, 105, 120])
def test_the_bar_keeps_its_numbers(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On one line where the name is of a family; nothing is cut short, and at 80 columns nothing but the bar is left out."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    with console.bars() as bars:
        for step in (1, 99_999, 100_000):
            bars("ebm, coopflow", progress(step, 100_000, -1234567.0))
    shown = capsys.readouterr().err
    assert "…" not in shown
    assert "loss -1.234e-05" in shown
    assert "100000/100000" in shown
    if width >= 80:
        for part in ("ebm, coopflow", "held out -1.235e+06", "81.2/s", "0:00:00"):
            assert part in shown


# -- Ctrl-C inside others' code ------------------------------------------------------------------------------------

def test_ctrl_c_inside_the_digit_classifier_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """scikit-learn's network takes the interrupt for itself, warns, and goes on half-trained."""
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 4)), rng.integers(3, size=40)

    def interrupt(*arguments: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(AdamOptimizer, "update_params", interrupt)
    with pytest.raises(KeyboardInterrupt):
        metrics.digit_classifier(x, y)


# -- samples -------------------------------------------------------------------------------------------------------

@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("evenflow.reference.app.samples", "evenflow.reference.work.flow_model"):
        monkeypatch.setattr(f"{module}.ROWS", 7)
    monkeypatch.setattr(samples, "WALKED", 9)


def test_samples_in_parts_are_the_samples(small_parts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert train().exit_code == 0
    for name in ("x.csv", "x.npy", "x.npz"):
        assert evenflow("sample", "a", "-n", "20", "--out", name).exit_code == 0
    printed = evenflow("sample", "a", "--n", "20").stdout
    assert printed == Path("x.csv").read_text()
    x = np.load("x.npy")
    assert np.array_equal(x, np.loadtxt("x.csv", delimiter=",", skiprows=1))
    assert np.array_equal(x, np.load("x.npz")["x"])
    assert (x.shape, x.dtype) == ((20, 2), np.float64)
    monkeypatch.setattr("evenflow.reference.work.flow_model.ROWS", 4096)
    whole = runs.load_run("a").sample(20, np.random.default_rng(0))
    np.testing.assert_allclose(x, whole, rtol=1e-4)  # float32 in batches of another size


def test_samples_of_a_class_and_of_an_energy_based_model_come_in_parts(
    small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "WARM_UP", 5)
    for name, few in (("CHAINS", (20, 100)), ("BURN_IN", 2), ("DRAWS", 100)):
        monkeypatch.setattr(energy_model, name, few)
    labelled = np.random.default_rng(0).integers(2, size=60)
    np.savez("xy.npz", x=labelled[:, None] + 0.1 * np.random.default_rng(1).standard_normal((60, 2)), y=labelled)
    for family, more in (("maf", [*QUICK, "--class-conditional"]), ("ebm", ["--steps", "2", "--buffer", "20", "--batch", "8"])):
        assert evenflow("train", family, "--data", "xy.npz", "--out", family, *more).exit_code == 0
    assert evenflow("sample", "maf", "-n", "10", "--label", "1", "--out", "one.npy").exit_code == 0
    assert np.load("one.npy").shape == (10, 2)
    result = evenflow("sample", "ebm", "-n", "20", "--out", "e.npy")
    assert result.exit_code == 0
    assert result.stderr.count("flowMC took") == 1
    assert len(np.unique(np.load("e.npy"), axis=0)) > 10


def test_many_samples_take_little_memory() -> None:
    """50,000 rows through layers of 64: 13 MB an activation if all at once, and there are dozens."""
    assert evenflow("train", "maf", "--data", "rings", "--out", "a", "--steps", "1").exit_code == 0
    for name in ("x.npy", "x.csv"):
        tracemalloc.start()
        assert evenflow("sample", "a", "-n", "50000", "--out", name).exit_code == 0
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 30e6


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "a"
    assert train(out=str(folder)).exit_code == 0
    return folder


@pytest.mark.parametrize(("n", "more", "said"), [
    ("1e10", [], "--n must be a whole number >= 1, got '1e10'"), ("0", [], "--n must be a whole number >= 1, got '0'"),
    ("-3", [], "--n must be a whole number >= 1, got '-3'"), ("2.5", [], "--n must be a whole number >= 1, got '2.5'"),
    ("", [], "--n must be a whole number >= 1, got ''"), ("²", [], "--n must be a whole number >= 1, got '²'"),
    ("10000000000", [], "100,000,000 samples at most go to standard output, got --n 10000000000: name a file with --out"),
    ("10000000000000", ["--out", "x.npy"], "10000000000000 samples take about 1.6e+05 GB, and "),
    ("10000000000000", ["--out", "new/x.csv"], "GB are free for new/x.csv"),
    ("10001", ["--out", "x.png"], "a picture shows 10,000 samples at most, got --n 10001"),
])
def test_counts_that_cannot_be_are_one_line(n: str, more: list[str], said: str, trained: Path) -> None:
    shutil.copytree(trained, "a")
    refused(evenflow("sample", "a", "-n", n, *more), said)
    assert os.listdir() == ["a"]


def test_a_disk_that_fills_up_leaves_no_half_of_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    assert train().exit_code == 0
    stop(monkeypatch, "os.fsync", OSError(28, "No space left on device"))
    refused(evenflow("sample", "a", "--out", "x.csv"), "cannot write x.csv: No space left on device")
    assert os.listdir() == ["a"]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["sample a", "evaluate a --json", "train maf --out a --resume --json", "sample nowhere"])
def test_output_that_cannot_be_written_is_one_line(arguments: str) -> None:
    """/dev/full is a disk without room."""
    assert train().exit_code == 0
    command = f'{sys.executable} -c "from evenflow.conformance.cli import main; main()" {arguments} > /dev/full'
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if not line.startswith("best held out")]
    assert (done.returncode, len(said)) == (1, 1)
    assert said[0].startswith("error: nowhere holds no run" if "nowhere" in arguments else "error: No space left on device")


def test_no_memory_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stop(monkeypatch, "evenflow.reference.app.commands.load", MemoryError())
    refused(train(), "error: MemoryError")


# -- what would mean nothing ---------------------------------------------------------------------------------------

@pytest.mark.parametrize(("arguments", "status", "said"), [
    (["--blocks", "0"], 1, "blocks must be an integer >= 1, got 0"), (["--blocks", ""], 1, "blocks must be whole numbers"),
    (["--data", ""], 1, "unknown data set"), (["--out", ""], 2, "must name a folder, got ''"),
    (["--backend", ""], 1, "unknown backend ''"), (["--steps", "0"], 1, "steps must be an integer >= 1, got 0"),
    (["--batch", "0"], 1, "batch must be an integer >= 1, got 0"), (["--hidden", ""], 1, "hidden must be whole numbers"),
    (["--clip", "0"], 1, "clip must be positive and finite, got 0.0"), (["--clip", "inf"], 1, "clip must be positive"),
    (["--base-scale", "0"], 1, "base_scale must be positive"), (["--seed", "-1"], 1, "seed must be an integer >= 0, got -1"),
    (["--objective", ""], 1, "unknown objective ''"), (["--patience", "0"], 1, "patience must be an integer >= 1, got 0"),
])
def test_sentinels_are_refused(arguments: list[str], status: int, said: str) -> None:
    result = evenflow("train", "saef", *([] if "--steps" in arguments else ["--steps", "1"]), *arguments)
    assert result.exit_code == status
    assert said in result.stderr
    assert os.listdir() == []


@pytest.mark.parametrize("empty", [(), [], np.zeros(0, int)])
def test_no_blocks_are_not_the_default_number_of_them(empty: Any) -> None:
    with pytest.raises(ValueError, match="blocks must be one at least"):
        Config("saef", blocks=empty)


def test_a_folders_name_is_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    figures.print_figures("runs/[/bold]x", {"held_out_rows": 1}, {})
    console.print_rows([{"a": 1.0}], "runs/[/bold]x")
    assert capsys.readouterr().out.count("[/bo") == 2
