"""The house rules that can be checked: packaging, what an import costs, how long files and functions may be."""
import ast
import subprocess
import sys
import tomllib
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ("reference", "accel", "tests/conformance", "docs/experiments")
SOURCES = sorted(path for top in SHIPPED[:3] for path in (ROOT / top).rglob("*.py"))


def test_every_package_is_listed_in_pyproject() -> None:
    """setuptools is told each sub-package by hand; one left out would be missing from a wheel but not from a checkout."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    made = [path for top in SHIPPED for path in (ROOT / top).rglob("__init__.py")]
    folders = {path.parent.relative_to(ROOT) for path in made}
    assert {Path(folder) for folder in settings["package-dir"].values()} == folders
    assert set(settings["packages"]) == set(settings["package-dir"])


def test_import_needs_numpy_and_autograd_only() -> None:
    code = "import sys, evenflow.reference; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert {"numpy", "autograd"} <= loaded
    extras = {"scipy", "sklearn", "matplotlib", "typer", "rich", "pandas", "torch", "jax", "hypothesis", "jsonschema"}
    assert not loaded & extras


def test_the_reference_loads_nothing_that_is_built_on_it() -> None:
    code = "import sys, evenflow.reference.work.runs, evenflow.reference.app.commands; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "evenflow.reference.app.commands" in loaded
    assert not any(name.startswith(("evenflow.accel", "evenflow.conformance", "evenflow.experiments")) for name in loaded)


def test_import_is_quick() -> None:
    """Less than two and a half times what numpy and autograd take alone, in turn, best of seven: 0.5 s where those take 0.2."""
    def seconds(modules: str) -> float:
        code = f"import {modules}, time; print(time.process_time())"
        return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

    pairs = [(seconds("evenflow.reference"), seconds("numpy, autograd")) for _ in range(7)]
    ours, alone = map(min, zip(*pairs, strict=True))
    assert ours < 2.5 * alone


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 250
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno + 1 <= 40, node.name


def test_the_bijection_of_contributing_works_as_it_stands() -> None:
    code = (ROOT / "CONTRIBUTING.md").read_text().split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {"__name__": "translation"}
    sys.modules["translation"] = types.ModuleType("translation")  # dataclasses look their module up
    exec(code, names)
    layer, z = names["Translation"](2), np.ones((3, 2))
    x, log_det = layer.forward({"b": np.array([1.0, 2.0])}, z)
    assert x.tolist() == [[2.0, 3.0]] * 3
    assert np.array_equal(layer.inverse({"b": np.array([1.0, 2.0])}, x)[0], z)
    assert log_det.tolist() == [0.0] * 3
