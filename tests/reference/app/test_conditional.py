"""p(target | given) on the command line: train, predict, sample, evaluate, score; and tables as they are."""
import contextlib
import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from evenflow.reference.app.commands import app
from evenflow.reference.work.runs import load_run
from tests.command_line import refused


def evenflow(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


QUICK = ("--steps", "3", "--batch", "16", "--hidden", "8")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_tables()


def write_tables() -> None:
    rng = np.random.default_rng(0)
    rows = ["x,colour,y,share,n"]
    for i in range(90):
        x = rng.standard_normal()
        colour = ("red", "blue")[i % 2]
        rows.append(f"{x:.4f},{colour},{x + rng.standard_normal():.4f},{rng.beta(2, 2):.4f},{rng.integers(9)}")
    Path("d.csv").write_text("\n".join(rows))
    Path("new.csv").write_text("colour,x\nred,0.5\nblue,-1\n")


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_from_a_table_to_predictions() -> None:
    train = ("train", "maf", "--data", "d.csv", "--target", "y,share", "--given", "x,colour", "--bounds", "share:0:1")
    told = evenflow(*train, "--out", "r", *QUICK)
    assert told.exit_code == 0, told.output
    assert "d.csv: 90 rows, 2 columns, given 2: x, colour, header yes; left out: 'n'" in told.stderr
    assert "column 'colour': words, 2 classes (blue, red)" in told.stderr
    assert "between bounds: share 0:1" in told.stderr
    assert {p.name for p in Path("r").iterdir()} == {"checkpoint.npz", "config.json", "forecast.png", "log.jsonl", "loss.png"}
    predicted = table(evenflow("predict", "r", "--data", "new.csv", "--quantiles", ".1,.9").stdout)
    assert list(predicted[0]) == ["row", "y_mean", "y_q0.1", "y_q0.9", "share_mean", "share_q0.1", "share_q0.9"]
    assert [row["row"] for row in predicted] == ["1", "2"]
    assert all(float(row["y_q0.1"]) < float(row["y_mean"]) < float(row["y_q0.9"]) for row in predicted)
    assert all(0 < float(row["share_q0.1"]) < float(row["share_q0.9"]) < 1 for row in predicted)
    drawn = table(evenflow("sample", "r", "--given", "new.csv", "--n", "3").stdout)
    assert [row["row"] for row in drawn] == ["1", "1", "1", "2", "2", "2"]
    assert list(drawn[0]) == ["row", "y", "share"]
    evenflow("sample", "r", "--given", "new.csv", "--n", "3", "--out", "s.npy")
    assert np.load("s.npy").shape == (2, 3, 2)
    assert np.load("s.npy")[1, 2].tolist() == [float(drawn[5]["y"]), float(drawn[5]["share"])]
    scored = table(evenflow("score", "r", "--data", "d.csv").stdout)
    first = [line.split(",") for line in Path("d.csv").read_text().split()[1:3]]
    y, given = ([[float(cell) for cell in line[2:4]] for line in first], [[float(line[0]), line[1] == "red"] for line in first])
    expected = load_run("r").log_density(np.array(y), np.array(given))
    assert [float(row["log_density"]) for row in scored[:2]] == pytest.approx(expected, rel=1e-5)


def test_evaluate_says_how_good_forecasts_are() -> None:
    assert evenflow("train", "maf", "--data", "d.csv", "--target", "y", "--out", "r", *QUICK).exit_code == 0
    row = json.loads(evenflow("evaluate", "r", "--json").stdout)
    assert row["held_out_rows"] == 18
    assert sum(row["pit"]) == pytest.approx(1)
    assert set(row) >= {"crps", "crps_se", "coverage_50", "width_95", "held_out_log_likelihood", "gaussian_log_likelihood"}
    other = json.loads(evenflow("evaluate", "r", "--data", "d.csv", "--json").stdout)
    assert other["held_out_rows"] == 90
    told = evenflow("evaluate", "r").stdout
    assert "CRPS" in told
    assert "coverage 90" in told


def test_a_linear_gaussian_is_the_yardstick() -> None:
    """y = 3 x + noise of 0.1: beside it stands what a line knows, log N(0 | 0.1) on average."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(600)
    y = 3 * x + 0.1 * rng.standard_normal(600)
    Path("l.csv").write_text("x,y\n" + "\n".join(f"{a:.6f},{b:.6f}" for a, b in zip(x, y, strict=True)))
    evenflow("train", "maf", "--data", "l.csv", "--target", "y", "--out", "l", *QUICK)
    row = json.loads(evenflow("evaluate", "l", "--json").stdout)
    expected = -0.5 * np.log(2 * np.pi * np.e * 0.01)
    assert row["gaussian_log_likelihood"] == pytest.approx(expected, abs=5 * np.sqrt(0.5 / 120))


def test_words_come_out_as_words_and_whole_numbers_whole() -> None:
    evenflow("train", "maf", "--data", "d.csv", "--out", "r", *QUICK)
    drawn = table(evenflow("sample", "r", "--n", "20").stdout)
    assert {row["colour"] for row in drawn} <= {"red", "blue"}
    assert {row["n"] for row in drawn} <= {f"{k}.0" for k in range(9)}


def test_a_conditional_run_goes_on_and_knows_its_table() -> None:
    how = ("--target", "y", "--given", "x,colour", "--weights", "n")
    assert evenflow("train", "maf", "--data", "d.csv", "--out", "r", *how, *QUICK).exit_code == 0
    assert evenflow("train", "maf", "--out", "r", "--resume").exit_code == 0
    assert evenflow("train", "maf", "--out", "r", "--resume", "--target", "y").exit_code == 0
    refused(evenflow("train", "maf", "--out", "r", "--resume", "--target", "x"), "r was begun with another target")
    refused(evenflow("train", "maf", "--out", "r", "--resume", "--bounds", "y:0:"), "r was begun with another bounds")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs given all other columns, given none, and of two columns."""
    folder = tmp_path_factory.mktemp("trained")
    with contextlib.chdir(folder):
        write_tables()
        for name, how in (("r", ("--target", "y")), ("all", ()), ("some", ("--columns", "x,y"))):
            assert evenflow("train", "maf", "--data", "d.csv", "--out", name, *how, *QUICK).exit_code == 0
    return folder


@pytest.mark.parametrize(("command", "said"), [
    (("sample", "r"), "r models y given x, colour, share, n: --given FILE with these columns"),
    (("sample", "r", "--given", "new.csv"), "new.csv has no column 'share', 'n'"),
    (("predict", "r", "--data", "new.csv"), "new.csv has no column 'share', 'n'"),
    (("predict", "r", "--data", "d.csv", "--quantiles", "0,1"), "--quantiles must be numbers strictly between 0 and 1"),
    (("predict", "r", "--data", "d.csv", "--quantiles", "a"), "--quantiles must be numbers strictly between 0 and 1"),
    (("predict", "r", "--data", "d.csv", "--out", "p.txt"), "unknown file ending '.txt'"),
    (("predict", "r", "--data", "d.csv", "--out", "r.csv"), "r.csv exists already"),
    (("predict", "all", "--data", "d.csv"), "all models words, colour: they have no mean and no quantiles"),
    (("predict", "some", "--data", "d.csv"), "the model is given nothing"),
    (("sample", "all", "--given", "d.csv"), "the model is given nothing"),
    (("train", "ebm", "--data", "d.csv", "--target", "y"), "target and given mean nothing for an energy-based model"),
    (("train", "maf", "--data", "rings", "--target", "y"), "say how to read a file, and rings is none"),
])
def test_what_does_not_fit_is_one_line(command: tuple[str, ...], said: str, trained: Path) -> None:
    Path("r.csv").write_text("")
    if "train" not in command:
        shutil.copytree(trained / command[1], command[1])
    told = evenflow(*command, *(QUICK if "train" in command else ()))
    assert told.exit_code == 1
    assert said in told.stderr.splitlines()[-1]
    assert told.stdout == ""


def test_labels_alone_may_be_given_by_a_file() -> None:
    assert evenflow("train", "maf", "--data", "d.csv", "--columns", "x,y", "--label-column", "colour", "--class-conditional",
                    "--out", "r", *QUICK).exit_code == 0
    Path("labels.csv").write_text("colour\nred\nblue\n")
    drawn = table(evenflow("sample", "r", "--given", "labels.csv", "-n", "2").stdout)
    assert [row["row"] for row in drawn] == ["1", "1", "2", "2"]
    assert list(drawn[0]) == ["row", "x", "y"]
