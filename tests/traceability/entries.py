"""From a statement of the papers to the function, the tests and the vectors that stand for it.

The entries are written by hand, one for each statement that can be checked; page.py makes docs/traceability.md of them and
test_traceability.py says whether what they name is there. Names are divided by spaces:

    at       functions and classes below evenflow.reference, in the file that defines them; `experiments.` below evenflow
    tests    file::test, below tests/
    vectors  operations of tests/conformance/vectors; operation#flag where it is the flagged cases that show it
"""
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDERS = {"reference": "reference", "experiments": "docs/experiments"}  # below evenflow -> in the repository


@dataclass(frozen=True)
class Entry:
    says: str          # in our own words, formulas in backticks
    source: str        # paper and number, several of them divided by semicolons
    at: str
    tests: str
    vectors: str = ""
    why: str = ""      # why there are no vectors, where there are none


@dataclass(frozen=True)
class Section:
    title: str
    about: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Absent:
    """What the papers have and this repository has not."""
    what: str
    source: str
    because: str


def place(name: str) -> tuple[Path, str]:
    """The file of a name of `at`, from the root of the repository, and the name inside it. ValueError where there is none."""
    parts = (name if name.startswith("experiments.") else f"reference.{name}").split(".")
    for k in range(2, len(parts)):
        file = Path(FOLDERS[parts[0]], *parts[1:k]).with_suffix(".py")
        if (ROOT / file).is_file():
            return file, ".".join(parts[k:])
    raise ValueError(f"at must name something inside a file below {FOLDERS[parts[0]]}, got {name!r}")


def found(name: str) -> Any:
    """The function or class that a name of `at` stands for, which that file must define. ImportError or ValueError if not."""
    file, inside = place(name)
    folder = next(package for package, folder in FOLDERS.items() if file.is_relative_to(folder))
    parts = ("evenflow", folder, *file.relative_to(FOLDERS[folder]).with_suffix("").parts)
    module = import_module(".".join(parts))
    try:
        thing = reduce(getattr, inside.split("."), module)
    except AttributeError:
        raise ValueError(f"{file} must define {inside}, which is named {name!r} here") from None
    if not callable(thing) or thing.__module__ != module.__name__:
        raise ValueError(f"{file} must define the function or class {inside} itself, got {thing!r}")
    return thing
