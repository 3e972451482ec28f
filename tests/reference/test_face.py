"""`import evenflow`: lazily, the names that a user types, for Python and for type checkers alike."""
import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import evenflow

SOURCE = Path(__file__).parents[2] / "reference/face/__init__.py"


def test_every_name_is_there_and_is_that_of_its_module() -> None:
    for name in evenflow.__all__:
        assert getattr(evenflow, name) is not None
    assert set(evenflow.__all__) <= set(dir(evenflow))
    assert evenflow.energy_score.__module__ == "evenflow.reference.scores.energy"
    assert evenflow.load.__name__ == "load_run"
    assert evenflow.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="module 'evenflow' has no attribute 'saeff'"):
        _ = evenflow.saeff  # type: ignore[attr-defined]


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(SOURCE.read_text())
    shown = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in shown.body if isinstance(node, ast.ImportFrom)]
    places = {alias.asname or alias.name: node.module for node in imports for alias in node.names}
    assert places == evenflow.MODULE_OF
    assert set(evenflow.__all__) == {*places, "__version__"}


def test_it_costs_nothing() -> None:
    code = "import sys, evenflow; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "evenflow" in loaded
    assert not {"numpy", "autograd", "evenflow.reference", "evenflow.accel", "importlib.metadata"} & set(loaded)


def run(code: str, backend: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "EVENFLOW_BACKEND": backend}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


def test_the_environment_names_the_backend_of_the_whole_process() -> None:
    """The first thing that is imported of evenflow sees to it; threads see it; a choice made in one place goes before."""
    code = """if True:
        from evenflow.reference.core.dispatch import chosen
        from concurrent.futures import ThreadPoolExecutor
        import evenflow
        seen = [chosen().name, ThreadPoolExecutor(1).submit(lambda: chosen().name).result()]
        with evenflow.use("reference"):
            seen += [chosen().name]
        with evenflow.use():
            seen += [chosen().name]
        print(*seen, bool(chosen().table))"""
    assert run(code, "numpy").stdout.split() == ["numpy", "numpy", "reference", "numpy", "True"]
    assert run(code, "reference").stdout.split() == ["reference"] * 4 + ["True"]
    assert run(code, "").stdout.split() == ["reference"] * 4 + ["False"]


def test_what_the_environment_may_not_name_is_one_error() -> None:
    wrong = run("import evenflow", "numpi")
    assert wrong.returncode == 1
    known = "Known: reference, numpy, compiled, cupy"
    said = f"ValueError: EVENFLOW_BACKEND: unknown backend 'numpi', did you mean 'numpy'? {known}"
    assert wrong.stderr.splitlines()[-1] == said
    assert "During handling" not in wrong.stderr
    command = "import sys; sys.argv = ['/bin/evenflow', 'sample', 'a']; from evenflow.conformance.cli import main; main()"
    wrong = run(command, "numpi")
    assert (wrong.returncode, wrong.stderr) == (1, said.replace("ValueError: EVENFLOW_BACKEND", "error") + "\n")
