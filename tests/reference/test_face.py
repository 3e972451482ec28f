"""`import evenflow`: lazily, the names that a user types, for Python and for type checkers alike."""
import ast
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
