"""No function may be replaced without a test that compares it: `@agreement("module.name")` on a test says which it is of."""
import importlib
import inspect
import pkgutil
from pathlib import Path

from evenflow import reference
from evenflow.accel.compiled import replacements as in_cpp
from evenflow.accel.switch import FUSED
from evenflow.reference.core.dispatch import definitions


def covered() -> dict[str, list[str]]:
    """Every name that a test of this folder says it is of, and those tests."""
    tests: dict[str, list[str]] = {}
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.agreement.{file.stem}")
        for name, function in vars(module).items():
            for definition in getattr(function, "covers", ()) if inspect.isfunction(function) else ():
                assert name.startswith("test_"), f"{file.name}: {name} is no test, so it compares nothing"
                tests.setdefault(definition, []).append(f"{file.name}::{name}")
    return tests


def test_every_replaceable_function_has_an_agreement_test() -> None:
    for module in pkgutil.walk_packages(reference.__path__, "evenflow.reference."):
        importlib.import_module(module.name)
    assert set(covered()) == set(definitions)
    assert set(in_cpp.REPLACEMENTS) < set(FUSED) < set(definitions)


def test_the_marked_tests_run_on_every_backend() -> None:
    """Such a test is given the name of a backend, and the backends are those of the folder."""
    for tests in covered().values():
        for test in tests:
            file, name = test.split("::")
            function = getattr(importlib.import_module(f"tests.agreement.{file.removesuffix('.py')}"), name)
            marks = [mark for mark in function.pytestmark if mark.name == "parametrize" and mark.args[0] == "where"]
            asked = {p if isinstance(p, str) else p.values[0] for mark in marks for p in mark.args[1]}
            assert asked == {"numpy", "compiled", "standin", "cupy"}, test
