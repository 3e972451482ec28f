"""`evenflow conform`: whatever an adapter or a file does is a row in the table, and the exit status says what came out."""
import copy
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from evenflow.conformance import cli, compare, report, runner, xfails
from evenflow.conformance.arrays import branch, decode, encode, flat
from evenflow.conformance.compare import FAIL, PASS, UNSUPPORTED, Row
from evenflow.conformance.suites import FOLDER, document, read
from evenflow.conformance.worker import NoAnswer, Worker
from evenflow.reference.app import commands
from tests.vectors import bad_adapters

AFFINE = read(FOLDER / "affine.json")
BAD = "tests.vectors.bad_adapters"


def rows_of(adapter: Any) -> list[Row]:
    return [row for case in AFFINE.cases for row in compare.rows(AFFINE, case, adapter)]


@cache
def app() -> Any:
    extended = copy.deepcopy(commands.app)
    cli.extend(extended)
    return extended


def evenflow(*words: str) -> Result:
    return CliRunner().invoke(app(), words)


def as_a_process(*words: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    code = "from evenflow.conformance.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *words], cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(("name", "kind", "reason"), [
    ("raises", "values", "raised RecursionError: a long story in two lines"),
    ("wrong_shape", "values", "x has shape (5, 1), expected (5,)"),
    ("wrong_dtype", "log_det", "log_det has dtype float32, expected float64"),
    ("scalar_log_det", "log_det", "log_det has shape (), expected (5,)"),
    ("half_log_det", "log_det", "log_det is off by"),
    ("missing", "log_det", "log_det is missing"),
    ("nan", "values", "x has NaN in 1 of 5 entries"),
    ("infinite", "values", "x is infinite where it should be finite"),
    ("no_mapping", "values", "answered with ndarray, expected arrays by name"),
    ("words", "values", "x has dtype <U1, expected float64"),
    ("objects", "values", "x has dtype object, expected float64"),
    ("ragged", "values", "x is no array"),
    ("unpicklable", "values", "x has dtype object, expected float64"),
    ("writes", "values", "changed its inputs: z"),
])
def test_a_wrong_answer_is_a_row_that_says_why(name: str, kind: str, reason: str) -> None:
    rows = [row for row in rows_of(getattr(bad_adapters, name)) if row.kind == kind]
    assert len(rows) == len(AFFINE.cases)
    assert all(row.status == FAIL and row.worst > 1 and row.reason.startswith(reason) for row in rows), rows


def test_what_is_right_passes_and_what_is_not_there_is_unsupported() -> None:
    rows = rows_of(bad_adapters.right)
    assert {(row.kind, row.status) for row in rows} == {("values", PASS), ("log_det", PASS), ("vjp", UNSUPPORTED)}
    assert report.failed(rows) == []


def test_a_nan_is_never_dropped() -> None:
    """max(0.0, nan) is 0.0 in Python."""
    assert compare.in_tolerances(np.array([0.0, np.nan]), np.zeros(2), 1.0) == np.inf
    assert compare.in_tolerances(np.array([np.inf, 1.0]), np.array([np.inf, 1.0]), 1e-9) == 0
    assert compare.in_tolerances(np.array([np.inf]), np.array([-np.inf]), 1e300) == np.inf
    assert compare.in_tolerances(np.array([1.0]), np.array([3.0]), 0.5) == 4
    assert compare.in_tolerances(np.array([1.0]), np.array([3.0]), 0.0) == np.inf


@pytest.mark.slow
def test_one_that_hangs_or_dies_is_replaced() -> None:
    with Worker(f"{BAD}:hangs", 5.0) as worker:
        rows = {case.id: runner.case_asked(worker, AFFINE, case) for case in (AFFINE.cases[-1], AFFINE.cases[0])}
    assert {row.reason for row in rows[AFFINE.cases[-1].id]} == {"gave no answer within 5 s"}
    assert [row.status for row in rows[AFFINE.cases[0].id]] == [PASS, PASS, UNSUPPORTED]
    with Worker(f"{BAD}:dies", 60.0) as worker, pytest.raises(NoAnswer, match="exit status 7"):
        worker.ask(runner.case_rows, AFFINE, AFFINE.cases[0])


@pytest.mark.parametrize(("target", "message"), [
    ("affine", 'must be named as "package.module:name"'),
    (f"{BAD}:nothing", "is no adapter: it has no name, dtype, call, vjp"),
    pytest.param("no.such.module:adapter", "there is no module 'no'", marks=pytest.mark.slow),
    pytest.param(f"{BAD}:absent", "has no 'absent'", marks=pytest.mark.slow),
    pytest.param(f"{BAD}:integers", "must be one of float64, float32, got 'int8'", marks=pytest.mark.slow),
])
def test_what_is_no_adapter_is_said_in_one_line(target: str, message: str) -> None:
    done = evenflow("conform", target)
    assert (done.exit_code, done.stdout) == (1, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_table_and_the_exit_status(tmp_path: Path) -> None:
    good = evenflow("conform", f"{BAD}:loud", "--operation", "affine")
    assert good.exit_code == 0, good.stderr
    assert "bad 1.0 (float64)" in good.stdout
    bad = evenflow("conform", f"{BAD}:half_log_det", "--operation", "affine", "--json", str(tmp_path / "r.json"))
    assert bad.exit_code == 1
    assert "FAIL  affine log_det plain: log_det is off by" in bad.stdout
    again = report.read(tmp_path / "r.json")
    assert again["adapter"] == "bad 1.0"
    assert again["passed"] is False
    assert {row.status for row in again["rows"] if row.kind == "log_det" and row.operation == "affine"} == {FAIL}
    assert {row.kind for row in again["rows"] if row.status == FAIL} == {"log_det", "properties"}
    path = tmp_path / "known.txt"
    path.write_text("# all of them\naffine log_det *  # halves it, as one library did\naffine properties *  # the same\n")
    for levels in ((), ("--level", "vectors")):
        known = evenflow("conform", f"{BAD}:half_log_det", "--operation", "affine", "--xfails", str(path), *levels)
        assert known.exit_code == 0
        assert ("properties" in known.stdout) == (levels == ())
    assert "unknown level 'vector', did you mean 'vectors'?" in evenflow("conform", f"{BAD}:loud", "--level", "vector").stderr


def test_known_failures_must_stay_true(tmp_path: Path) -> None:
    rows = [Row("a", "values", "one", status=FAIL), Row("a", "values", "two"), Row("a", "vjp", "one", status=UNSUPPORTED)]

    def after(line: str) -> list[str]:
        (tmp_path / "known.txt").write_text(line)
        return [row.status for row in xfails.applied(rows, xfails.read(tmp_path / "known.txt"))]

    assert after("a values one # why") == ["known", PASS, UNSUPPORTED]
    assert after("a values * # why") == ["known", PASS, UNSUPPORTED]
    assert after("a values two # why") == [FAIL, PASS, UNSUPPORTED, "gone"]
    assert after("b values two # why") == [FAIL, PASS, UNSUPPORTED, "gone"]
    assert after("a vjp one # why") == [FAIL, PASS, UNSUPPORTED]
    for line in ("a values", "a values one", "a values one #", "a values one two # why"):
        with pytest.raises(ValueError, match="line 1"):
            after(line)


def spoiled(tmp_path: Path, change: Any) -> str:
    """The reason in the row for a file that was changed."""
    whole = document(AFFINE)
    changed = change(whole) or whole
    (tmp_path / "affine.json").write_text(changed if isinstance(changed, str) else json.dumps(changed))
    good, bad = runner.suites(tmp_path)
    assert good == []
    assert [(row.operation, row.status) for row in bad] == [("affine", FAIL)]
    return bad[0].reason


@pytest.mark.parametrize(("change", "reason"), [
    (lambda d: "{", "is no JSON"),
    (lambda d: "[" * 100_000, "is no JSON"),
    (lambda d: [1], "is not of type 'object'"),
    (lambda d: d.pop("summary") and None, "'summary' is a required property"),
    (lambda d: d.update(schema="vectors/2"), "vectors/1"),
    (lambda d: d.update(operation="affin"), "must have the file's name"),
    (lambda d: d["cases"].append(d["cases"][0]), "two cases share an id"),
    (lambda d: d["cases"][0]["flags"].append("odd"), "flags without a note"),
    (lambda d: d["cases"][0]["inputs"]["z"]["data"].pop() and None, "must hold 5 entries"),
    (lambda d: d["cases"][0]["inputs"]["z"].update(dtype="int64"), "entries of int64"),
    (lambda d: d["cases"][0]["inputs"]["z"].update(dtype="complex128"), "complex128"),
    (lambda d: d["cases"][0]["inputs"]["z"]["data"].__setitem__(0, "many"), "many"),
    (lambda d: d["cases"][0]["vjp"]["grads"].update(y=d["cases"][0]["inputs"]["z"]), "fits no array"),
    (lambda d: d["cases"][0]["tolerance"]["float32"]["outputs"].pop("x") and None, "tolerances for float32"),
    (lambda d: d["cases"][0]["tolerance"]["float64"]["outputs"].update(x=-1.0), "minimum"),
])
def test_malformed_vectors_are_a_row(tmp_path: Path, change: Any, reason: str) -> None:
    assert reason in spoiled(tmp_path, change)


def answers(dtype: str, factor: float = 1.0) -> dict[str, Any]:
    """A results file that another language might have written."""
    case = AFFINE.cases[0]
    outputs = {k: encode(np.asarray(v * factor)) for k, v in case.outputs.items()}
    grads = {k: encode(v) for k, v in case.grads.items()}
    results = {"affine": {case.id: {"outputs": outputs, "grads": grads}}}
    return {"schema": "results/1", "name": "mine 0.1", "dtype": dtype, "results": results}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_results_of_another_language(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(answers(dtype)))
    name, said, rows = runner.recorded(path, [AFFINE])
    assert (name, said) == ("mine 0.1", dtype)
    assert [row.status for row in rows] == [PASS] * 3 + [UNSUPPORTED] * 3 * (len(AFFINE.cases) - 1)
    one = ("--operation", "affine")
    assert evenflow("conform", "--results", str(path), *one).exit_code == 0
    path.write_text(json.dumps(answers(dtype, 1.001)))
    assert [row.status for row in runner.recorded(path, [AFFINE])[2][:3]] == [FAIL, FAIL, PASS]
    assert evenflow("conform", "--results", str(path), *one).exit_code == 1


@pytest.mark.slow
def test_results_that_cannot_be_read(tmp_path: Path) -> None:
    path, good = tmp_path / "results.json", answers("float64")

    def said(results: Any) -> str:
        path.write_text(json.dumps({**good, **results}))
        done = evenflow("conform", "--results", str(path))
        assert done.exit_code == 1
        assert done.stdout == ""
        return done.stderr

    assert "unknown operation 'afine', did you mean 'affine'?" in said({"results": {"afine": good["results"]["affine"]}})
    assert "unknown case of affine 'plane', did you mean 'plain'?" in said({"results": {"affine": {"plane": {}}}})
    assert "'float16' is not one of" in said({"dtype": "float16"})
    short = encode(np.zeros(5))
    short["data"].pop()
    path.write_text(json.dumps({**good, "results": {"affine": {AFFINE.cases[0].id: {"outputs": {"x": short}}}}}))
    assert "raised ValueError: data must hold 5 entries" in runner.recorded(path, [AFFINE])[2][0].reason


def test_export_writes_all_and_overwrites_nothing(tmp_path: Path) -> None:
    done = evenflow("vectors", "export", str(tmp_path / "out"))
    assert done.exit_code == 0
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"vectors", "schema.json", "results.schema.json", "README.md"}
    assert {path.name for path in (tmp_path / "out" / "vectors").iterdir()} == {path.name for path in FOLDER.glob("*.json")}
    again = evenflow("vectors", "export", str(tmp_path / "out"))
    assert again.exit_code == 1
    assert "must be empty or not exist yet" in again.stderr


def test_the_walk_through_of_the_docs_works_as_it_stands(tmp_path: Path) -> None:
    """Both files, the command, and what it is said to print; then the two lines that mend it."""
    text = (Path(__file__).parents[2] / "docs" / "conforming.md").read_text()
    mine, adapter, repair = (part.split("```")[0] for part in text.split("```python\n")[1:])
    (tmp_path / "mine.py").write_text(mine)
    (tmp_path / "my_adapter.py").write_text(adapter)
    command = next(line.split() for line in text.splitlines() if line.startswith("    evenflow conform my_adapter"))
    done = as_a_process(*command[1:], folder=tmp_path)
    assert done.returncode == 1
    assert [line for line in map(str.strip, done.stdout.splitlines()) if line not in map(str.strip, text.splitlines())] == []
    (tmp_path / "my_adapter.py").write_text(adapter.replace("    return", repair + "    return"))
    assert as_a_process(*command[1:], folder=tmp_path).returncode == 0


def test_trees_under_flat_names_and_arrays_in_json() -> None:
    tree = {"net": [{"W": np.ones((2, 1)), "b": np.zeros(1)}, {"W": np.ones((1, 1))}], "x": np.array([np.inf, -0.0])}
    arrays = flat("p", tree)
    assert list(arrays) == ["p/net/0/W", "p/net/0/b", "p/net/1/W", "p/x"]
    again = branch(arrays, "p")
    assert flat("p", again).keys() == arrays.keys()
    assert branch(arrays, "q") is None
    assert branch({"p/0/W": 1, "p/2/W": 2}, "p") == [{"W": 1}, {}, {"W": 2}]
    for array in (*arrays.values(), np.array("U"), np.array([True]), np.array([[3]]), np.zeros((0, 2))):
        same = decode(json.loads(json.dumps(encode(array))))
        assert same.dtype.kind == array.dtype.kind
        np.testing.assert_array_equal(same, array)
        assert same.shape == array.shape
