"""The examples in the docstrings: every public class and function of the reference has one, and they do what they say."""
import doctest
import importlib
from pathlib import Path
from typing import Any

import pytest

import evenflow

ROOT = Path(__file__).parents[2] / "reference"
ROOMS = ("core", "targets", "scores", "flows", "saef", "mcmc", "ebm")
MODULES = sorted(
    ".".join(("evenflow.reference", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in ROOT.rglob("*.py") if "face" not in path.parts
)


def public() -> dict[str, Any]:
    """What the rooms of the specification and the face offer, by name; protocols, types and plain tables aside."""
    rooms = [importlib.import_module(f"evenflow.reference.{room}") for room in ROOMS]
    found = {name: getattr(place, name) for place in (*rooms, evenflow) for name in getattr(place, "__all__", ())}
    return {
        name: thing for name, thing in found.items()
        if callable(thing) and getattr(thing, "__module__", "").startswith("evenflow.reference")
        and not getattr(thing, "_is_protocol", False) and not name.startswith("check_")
    }


@pytest.mark.parametrize("name", sorted(public()))
def test_every_public_name_has_an_example(name: str) -> None:
    assert ">>> " in (public()[name].__doc__ or "")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_do_what_they_say(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
