"""`evenflow evaluate`, `evenflow score`, and tables on the command line: no other file is trusted, what is printed is read."""
import copy
import csv
import io
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from evenflow.reference.app import commands
from evenflow.reference.core import Array
from evenflow.reference.work import energy_evaluation, energy_model, evaluation, sampling
from evenflow.reference.work.matching import other_data, own_data
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import load_run
from tests.command_line import refused

app = copy.deepcopy(commands.app)
QUICK = ["--steps", "4", "--batch", "16", "--hidden", "8"]
MIX = np.array([[2.0, 1.0, 0.0], [0.0, 0.5, 0.0], [0.3, 0.0, 10.0]])
ENTROPY = 1.5 * math.log(2 * math.pi * math.e) + math.log(np.linalg.det(MIX))  # of the rows of `table`


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluation, "SHARED", 50)
    monkeypatch.setattr(commands, "SHOWN", 20)
    monkeypatch.setattr(evaluation, "d_loss", lambda real, generated, seed: (0.6, 0.05))  # takes a second


def evenflow(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def table(n: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((n, 3)) @ MIX + 100


def write(path: str, x: Array, names: str = "a,b,c", kinds: list[str] | None = None) -> None:
    lines = [",".join(f"{cell:.6f}" for cell in row) for row in x]
    if kinds is not None:
        names, lines = f"{names},kind", [f"{line},{kinds[i % len(kinds)]}" for i, line in enumerate(lines)]
    Path(path).write_text("\n".join([names, *lines]) + "\n")


def trained(*more: str, kinds: list[str] | None = None) -> None:
    write("mine.csv", table(120), kinds=kinds)
    result = evenflow("train", "maf", "--data", "mine.csv", "--out", "run", *QUICK, *more)
    assert result.exit_code == 0, result.output
    assert "mine.csv: 120 rows, 3 columns, header yes" in result.stderr


def judged(*arguments: str) -> dict[str, float]:
    result = evenflow("evaluate", "run", "--json", *arguments)
    assert result.exit_code == 0, result.output
    row: dict[str, float] = json.loads(result.stdout)
    return row


def test_all_of_another_file_is_judged_whatever_the_order_of_its_columns() -> None:
    trained()
    x = table(70, seed=1)
    write("other.csv", x)
    write("turned.csv", x[:, [2, 0, 1]], "c,a,b")
    row = judged("--data", "other.csv")
    assert row["held_out_rows"] == 70
    assert judged("--data", "turned.csv")["held_out_log_likelihood"] == row["held_out_log_likelihood"]
    Path("more.csv").write_text("\n".join(["name,c,a,b", *(f"x,{c:.6f},{a:.6f},{b:.6f}" for a, b, c in x)]))
    told = evenflow("evaluate", "run", "--data", "more.csv", "--json")
    assert json.loads(told.stdout)["held_out_log_likelihood"] == row["held_out_log_likelihood"]
    assert "left out: 'name'" in told.stderr
    write("wrong.csv", x, "height,weight,age")
    refused(evenflow("evaluate", "run", "--data", "wrong.csv"), "wrong.csv has no column 'a', 'b', 'c': it has 'height'")
    refused(evenflow("score", "run", "--data", "wrong.csv"), "wrong.csv has no column 'a', 'b', 'c'")
    np.save("plain.npy", np.round(x, 6))
    told = evenflow("evaluate", "run", "--data", "plain.npy", "--json")
    assert json.loads(told.stdout)["held_out_log_likelihood"] == row["held_out_log_likelihood"]
    assert "plain.npy names no columns: they are taken for a, b, c, in this order" in told.stderr
    np.save("wide.npy", np.ones((5, 4)))
    refused(evenflow("evaluate", "run", "--data", "wide.npy"), "data must have the model's 3 columns, got 4")


def test_a_model_without_names_reads_a_file_with_names() -> None:
    """Its own samples, say: column by column."""
    np.save("plain.npy", table(120))
    assert evenflow("train", "maf", "--data", "plain.npy", "--out", "run", *QUICK).exit_code == 0
    assert evenflow("sample", "run", "--n", "30", "--out", "x.csv").exit_code == 0
    np.save("x.npy", np.loadtxt("x.csv", delimiter=",", skiprows=1))
    assert judged("--data", "x.csv")["held_out_log_likelihood"] == judged("--data", "x.npy")["held_out_log_likelihood"]
    write("other.csv", table(30, seed=1), kinds=["a"])
    refused(evenflow("evaluate", "run", "--data", "other.csv"), "data must have the model's 3 columns, got 4")


def test_another_file_is_seen_in_the_models_units() -> None:
    """Ten times as large a table is ten times as far away, not the same in other units."""
    trained()
    write("ten.csv", 10 * table(70, seed=1))
    write("one.csv", table(70, seed=1))
    ten, one = judged("--data", "ten.csv"), judged("--data", "one.csv")
    assert ten["held_out_energy_score"] > 100 * one["held_out_energy_score"]
    assert ten["gaussian_log_likelihood"] < one["gaussian_log_likelihood"] - 1000


def test_the_gaussian_gets_what_theory_says() -> None:
    """Fitted to 800 rows: minus the entropy, within 5 standard errors of 400 rows (sqrt(3 / 2) / 20 = 0.06)."""
    write("mine.csv", table(1000))
    assert evenflow("train", "maf", "--data", "mine.csv", "--out", "run", *QUICK).exit_code == 0
    write("other.csv", table(400, seed=1))
    row = judged("--data", "other.csv")
    assert abs(row["gaussian_log_likelihood"] + ENTROPY) < 0.3
    assert abs(row["held_out_log_likelihood"] - row["gaussian_log_likelihood"]) < 0.1  # where the model begins


@pytest.mark.parametrize("rows", [1, 2, 19, 25])
def test_few_rows_leave_gaps_with_a_reason(rows: int) -> None:
    trained()
    write("few.csv", table(rows, seed=1))
    row = judged("--data", "few.csv")
    assert row["held_out_rows"] == rows
    assert (row["d_loss"] is None) == (rows < 20)
    assert (row["held_out_log_likelihood_se"] is None) == (row["frechet"] is None) == (rows < 2)
    printed = evenflow("evaluate", "run", "--data", "few.csv").stdout
    assert ("- D-loss: the classifier needs 20 rows that differ, got" in printed) == (rows < 20)


def test_a_training_file_that_has_changed_is_noticed() -> None:
    trained()
    assert "has changed" not in evenflow("evaluate", "run", "--json").stderr
    write("mine.csv", np.concatenate([table(119), table(1, seed=9)]))
    assert "mine.csv has changed since the model was trained on it" in evenflow("evaluate", "run", "--json").stderr
    write("other.csv", table(30, seed=1))
    told = evenflow("evaluate", "run", "--data", "other.csv", "--json")
    assert json.loads(told.stdout)["gaussian_log_likelihood"] is None
    assert "mine.csv has changed" in told.stderr
    Path("mine.csv").unlink()
    refused(evenflow("evaluate", "run"), f"No such file or directory: {Path.cwd() / 'mine.csv'}")
    assert judged("--data", "other.csv")["held_out_rows"] == 30


def test_rows_that_were_trained_on_are_noticed() -> None:
    trained()
    told = evenflow("evaluate", "run", "--data", "mine.csv", "--json")
    assert "96 of 120 rows in mine.csv are equal to rows that the model was trained on" in told.stderr


def test_the_table_reads_at_80_columns() -> None:
    trained()
    result = evenflow("evaluate", "run")
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    (line,) = (line for line in result.stdout.splitlines() if line.startswith("held out log likelihood"))
    row = judged()
    assert f"{row['held_out_log_likelihood']:.3f}" in line
    assert "±" in line
    assert "nats a row" in line
    assert "higher" in line
    assert f"{row['gaussian_log_likelihood']:.4g}"[:5] in line
    assert "24 rows judged" in result.stdout
    assert "worse than a Gaussian by" not in result.stderr
    write("mine.csv", table(120))
    worse = ["--keep", "last", "--learning-rate", "0.3", "--steps", "30"]
    assert evenflow("train", "maf", "--data", "mine.csv", "--out", "worse", *worse).exit_code == 0
    assert "worse than a Gaussian by" in evenflow("evaluate", "worse").stderr


def test_score_writes_the_log_density_of_every_row() -> None:
    trained()
    x = table(5000, seed=1)  # more than are computed at a time
    write("other.csv", x)
    assert evenflow("score", "run", "--data", "other.csv", "--out", "s.csv").exit_code == 0
    with open("s.csv", newline="") as file:
        header, *rows = list(csv.reader(file))
    assert header == ["row", "log_density"]
    assert [int(row) for row, _ in rows] == list(range(1, 5001))
    expected = load_run("run").log_density(np.round(x, 6))
    np.testing.assert_allclose([float(value) for _, value in rows], expected, rtol=1e-6)
    refused(evenflow("score", "run", "--data", "other.csv", "--out", "s.csv"), "s.csv exists already")
    refused(evenflow("score", "run", "--data", "other.csv", "--out", "s.txt"), "unknown file ending '.txt'")
    assert evenflow("score", "run", "--data", "other.csv").stdout == Path("s.csv").read_text()
    assert abs(judged("--data", "other.csv")["held_out_log_likelihood"] - np.mean(expected)) < 1e-4


def test_words_as_labels() -> None:
    trained("--label-column", "kind", "--class-conditional", kinds=["setosa", "versicolor", "virginica"])
    assert evenflow("sample", "run", "--n", "2", "--label", "setosa").exit_code == 0
    refused(evenflow("sample", "run", "--label", "rose"), "--label must be one of those in the data, setosa, versicolor, virg")
    write("other.csv", table(40, seed=1), kinds=["virginica"])
    rows = list(csv.DictReader(io.StringIO(evenflow("score", "run", "--data", "other.csv").stdout)))
    expected = load_run("run").log_density(np.round(table(40, seed=1), 6), np.full(40, 2))
    np.testing.assert_allclose([float(row["log_density"]) for row in rows], expected, rtol=1e-6)
    assert judged("--data", "other.csv")["held_out_rows"] == 40
    write("rose.csv", table(40, seed=1), kinds=["rose"])
    refused(evenflow("evaluate", "run", "--data", "rose.csv"), "unknown label 'rose in rose.csv'")
    write("none.csv", table(40, seed=1))
    refused(evenflow("evaluate", "run", "--data", "none.csv"), "none.csv has no labels")


@pytest.mark.parametrize("names", [["x", "y"], ["3", "7"]])
def test_samples_have_their_labels(names: list[str]) -> None:
    """As often as in the data, and each that of the model it was drawn from: samples are read as the data were."""
    trained("--label-column", "kind", "--class-conditional", kinds=[names[0]] * 3 + [names[1]])
    for name in ("x.csv", "x.npz", "x.npy"):
        assert evenflow("sample", "run", "--n", "400", "--out", name).exit_code == 0
    rows = list(csv.DictReader(io.StringIO(Path("x.csv").read_text())))
    assert list(rows[0]) == ["a", "b", "c", "kind"]
    kinds = np.array([row["kind"] for row in rows])
    assert set(kinds) == set(names)
    assert 250 < np.sum(kinds == names[0]) < 350                      # 300 (8.7)
    run, rng = load_run("run"), np.random.default_rng(0)
    labels = run.some_labels(400, rng)
    assert labels is not None
    archive = dict(np.load("x.npz"))
    assert archive["y"].astype(str).tolist() == kinds.tolist() == [names[label] for label in labels]
    x = run.sample(400, rng, labels)
    assert np.array_equal(archive["x"], x)
    assert np.array_equal(np.load("x.npy"), x)
    assert judged("--data", "x.csv")["held_out_rows"] == judged("--data", "x.npz")["held_out_rows"] == 400
    one = list(csv.DictReader(io.StringIO(evenflow("sample", "run", "--n", "3", "--label", names[1]).stdout)))
    assert [row["kind"] for row in one] == [names[1]] * 3


def test_a_run_keeps_how_its_table_is_read() -> None:
    write("mine.csv", table(120), "id,b,c", kinds=["x", "y"])
    Path("mine.csv").write_text(Path("mine.csv").read_text().replace(",", ";"))
    refused(evenflow("train", "maf", "--data", "mine.csv", *QUICK), "are they separated by a semicolon? --sep semicolon")
    how = ["--sep", ";", "--columns", "c,b", "--label-column", "kind"]
    assert evenflow("train", "maf", "--data", "mine.csv", "--out", "run", *how, *QUICK).exit_code == 0
    run = load_run("run")
    assert (run.columns, run.reading.sep, run.reading.label_column) == (("c", "b"), ";", "kind")
    assert own_data(run).digest == run.digest
    assert judged()["held_out_rows"] == 24
    assert evenflow("train", "maf", "--out", "run", "--resume").exit_code == 0
    again = evenflow("train", "maf", "--out", "run", "--resume", "--columns", "b,c")
    refused(again, "run was begun with another columns: leave the option out")
    write("comma.csv", table(30, seed=1))
    refused(evenflow("evaluate", "run", "--data", "comma.csv"), "has no column 'c', 'b'")
    assert judged("--data", "comma.csv", "--sep", ",")["held_out_rows"] == 30
    assert other_data(run, "comma.csv", sep=",").held_out[0] == pytest.approx(table(30, seed=1)[0, [2, 1]], abs=1e-6)


@pytest.mark.parametrize(("text", "how", "said"), [
    ("nan,inf\n1,2\n3,4\n", [], "values are missing in 3 rows: '1' 1, the first in line 1"),
    ("a,b\n2023_01,2\n3,4\n", [], "expected a finite number, got '2023_01'"),
    ("0,1\n5,6\n3,4\n", [], "may name the columns or be a row: say --header yes or --header no"),
    ("a,b\n1,2\n3,4\n5,6\n", ["--drop", "z"], "has no column 'z': it has 'a', 'b'"),
    ("a,b\n" + "1,2\n3,2\n5,2\n" * 5, [], "'b'; of a file: --drop b"),
    ("a,label\n" + "".join(f"{i % 7},{10**19 + i}\n" for i in range(200)), ["--class-conditional"], "is that column the label"),
])
def test_tables_are_refused_in_one_line(text: str, how: list[str], said: str) -> None:
    Path("t.csv").write_text(text)
    refused(evenflow("train", "maf", "--data", "t.csv", *QUICK, *how), said)


def test_parquet_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    Path("t.parquet").write_bytes(b"")
    result = evenflow("train", "maf", "--data", "t.parquet", *QUICK)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: this needs pyarrow, which is not installed: pip install 'evenflow[parquet]'")


def test_scores_of_an_energy_based_model_are_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly its base: the log density is that of the standard normal distribution in the model's units."""
    for place, name, few in ((sampling, "WARM_UP", 5), (energy_model, "CHAINS", (4, 100)), (energy_model, "BURN_IN", 2),
                             (energy_model, "DRAWS", 100), (energy_evaluation, "DRAWS", 500), (energy_evaluation, "CHAINS", 10),
                             (energy_evaluation, "SWEEPS", 5)):
        monkeypatch.setattr(place, name, few)
    write("mine.csv", table(120))
    quick = ["--steps", "1", "--batch", "16", "--buffer", "16", "--learning-rate", "1e-12", "--flow-learning-rate", "1e-12"]
    assert evenflow("train", "ebm", "--data", "mine.csv", "--out", "run", *quick).exit_code == 0
    write("other.csv", table(30, seed=1))
    told = evenflow("score", "run", "--data", "other.csv")
    assert "log Z = " in told.stderr
    assert "500 of 500 draws are effective" in told.stderr
    run = load_run("run")
    u = run.units.to_model(np.round(table(30, seed=1), 6))
    expected = -np.sum(u**2, axis=1) / 2 - 1.5 * math.log(2 * math.pi) + run.units.steps(np.round(table(30, seed=1), 6))[1]
    found = [float(row["log_density"]) for row in csv.DictReader(io.StringIO(told.stdout))]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    row = judged("--data", "other.csv")
    assert abs(row["held_out_log_likelihood"] - np.mean(expected)) < 1e-3
    assert abs(row["held_out_log_likelihood_se"] - np.std(expected, ddof=1) / math.sqrt(30)) < 1e-3
    printed = evenflow("evaluate", "run", "--data", "other.csv")
    assert all(len(line) <= 80 for line in printed.stdout.splitlines())
    assert "- log z grid: a grid has 1 or 2 dimensions, not 3" in printed.stdout


def test_a_free_form_head_has_no_scores() -> None:
    write("mine.csv", table(120))
    free = ["--blocks", "3", "--block-map", "free_form", "--context-hidden", "8", "--context-width", "4"]
    assert evenflow("train", "saef", "--data", "mine.csv", "--out", "run", *free, *QUICK).exit_code == 0
    refused(evenflow("score", "run", "--data", "mine.csv"), "a model with a free-form head has no inverse and no density")
    assert "free-form head has no density" in " ".join(evenflow("evaluate", "run").stdout.split())


def test_choices_of_old_runs_are_not_mistaken() -> None:
    """The format of config.json is told from the next one."""
    trained()
    described = json.loads(Path("run/config.json").read_text())
    Path("run/config.json").write_text(json.dumps(described | {"format": 2}))
    refused(evenflow("evaluate", "run"), "format must be 4, got 2")
    assert Config(**described["config"]).steps == 4
