"""The command line under every backend: runs that change the backend, what is said where one cannot be had."""
import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from evenflow import accel
from evenflow.accel import devices
from evenflow.accel.devices import INSTALL, Unavailable
from evenflow.conformance import cli
from evenflow.reference.app import commands
from tests import standin
from tests.agreement.backends import BACKENDS, COMPILER

SMALL = ["--steps", "6", "--batch", "8", "--hidden", "8"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("EVENFLOW_BACKEND", raising=False)


@pytest.fixture
def app() -> Any:
    """The commands as the entry point has them; those of evenflow.reference stay as they are."""
    extended = copy.deepcopy(commands.app)
    cli.extend(extended)
    return extended


def run(app: Any, *arguments: str, **env: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env=env)


def named(where: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What --backend is called for a backend of the tests."""
    if where == "standin":
        monkeypatch.setattr(devices, "import_cupy", lambda: standin.xp)
        return "cupy"
    return where


SAEF = ["saef", "--data", "two-moons", "--blocks", "2", "--context-hidden", "8", "--context-width", "4"]
EBM = ["ebm", "--data", "two-modes", "--buffer", "16"]  # draws its picture with a thousand chains: no work for the stand-in


@pytest.mark.parametrize(("where", "model"), [
    ("numpy", SAEF), pytest.param("standin", SAEF, marks=pytest.mark.slow), pytest.param("numpy", EBM, marks=pytest.mark.slow),
    *(pytest.param("cupy", model, marks=pytest.mark.gpu) for model in (SAEF, EBM)),
])
def test_a_run_goes_through_all_commands(where: str, model: list[str], app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained, sampled and judged here; sampled under the reference too."""
    backend = ["--backend", named(where, monkeypatch)]
    trained = run(app, "train", *model, "--out", "a", "--json", *SMALL, *backend)
    assert trained.exit_code == 0, trained.output
    assert np.isfinite(json.loads(trained.stdout)["loss"])
    for out, under in (("reference.npy", []), ("x.npy", backend)):
        assert run(app, "sample", "a", "--n", "7", "--out", out, *under).exit_code == 0
        assert np.isfinite(np.load(out)).all()
        assert np.load(out).shape == (7, 2)
    judged = run(app, "evaluate", "a", "--json", *backend)
    assert judged.exit_code == 0, judged.output
    assert accel.active() == "reference"


@pytest.mark.parametrize("where", BACKENDS)
def test_the_variable_stands_for_the_option(where: str, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []

    def note(data: str) -> None:
        used.append(accel.active())
        sys.exit(7)

    monkeypatch.setattr(commands, "load", note)
    name = named(where, monkeypatch)
    assert run(app, "train", "maf", "--data", "rings", EVENFLOW_BACKEND=name).exit_code == 7
    assert run(app, "train", "maf", "--data", "rings", "--backend", "reference", EVENFLOW_BACKEND=name).exit_code == 7
    assert run(app, "train", "maf", "--data", "rings").exit_code == 7
    assert used == [name, "reference", "reference"]


def absent() -> Any:
    raise Unavailable(f"the backend cupy needs CuPy, which is not installed: {INSTALL}")


def test_what_is_missing_is_one_line(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is read or written; nothing falls back."""
    monkeypatch.setattr(devices, "import_cupy", absent)
    for command in ("train maf --data rings", "demo", "sample a", "evaluate a", "reproduce two-modes"):
        done = run(app, *command.split(), "--backend", "cupy")
        assert done.exit_code == 1
        assert done.stdout == ""
        assert done.stderr == f"error: the backend cupy needs CuPy, which is not installed: {INSTALL}\n"
    assert list(Path().iterdir()) == []
    with_json = run(app, "train", "maf", "--data", "rings", "--backend", "cupy", "--json")
    assert json.loads(with_json.stdout) == {"error": with_json.stderr.removeprefix("error: ").rstrip("\n")}


def test_an_unknown_backend_is_named(app: Any) -> None:
    for done in (run(app, "sample", "a", "--backend", "cuda"), run(app, "sample", "a", EVENFLOW_BACKEND="cuda")):
        assert done.exit_code == 1
        assert done.stderr == "error: unknown backend 'cuda', did you mean 'cupy'? Known: reference, numpy, compiled, cupy\n"


def test_backends_are_listed(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "import_cupy", absent)
    lines = run(app, "backends").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["reference", "yes"], ["numpy", "yes"], ["compiled", "yes" if COMPILER else "no"], ["cupy", "no"],
    ]
    assert f"numpy {np.__version__}" in lines[1]
    assert lines[3].endswith(INSTALL)
    named("standin", monkeypatch)
    assert run(app, "backends").stdout.splitlines()[3].split()[:2] == ["cupy", "yes"]


def test_the_entry_point_has_the_option() -> None:
    """In a process of its own, as it is installed; the commands of evenflow.reference alone have no such option."""
    shown = [subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv = ['evenflow', 'sample', '--help']; from {module} import main; main()"],
        capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "200"},
    ).stdout for module in ("evenflow.conformance.cli", "evenflow.reference.app.cli")]
    assert ["--backend" in text for text in shown] == [True, False]
    assert "reference|numpy|compiled|cupy" in shown[0]
    assert "EVENFLOW_BACKEND" in shown[0]
