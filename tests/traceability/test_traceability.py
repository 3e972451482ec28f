"""Nothing that docs/traceability.md names is missing, and nothing that has a formula is left out of it."""
import ast
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from tests.traceability import ABSENT, ENTRIES
from tests.traceability.entries import ROOT, Entry, found
from tests.traceability.page import page

VECTORS = ROOT / "tests/conformance/vectors"
PACKAGES = ("flows", "scores", "saef", "mcmc", "ebm")
PLUMBING = {  # what holds no formula of its own
    "flows.activation.hypotenuse", "flows.compose.Around", "flows.contract.draws_each",
    "flows.dense.init_shift", "flows.dense.applied", "flows.dense.log_abs_det", "flows.dense.solved", "mcmc.langevin.spread",
    "ebm.flowmc.like_vector", "flows.spline.pick", "flows.spline.segment",
    "scores.energy.Distance", "scores.pairs.blocks", "scores.pairs.call", "scores.pairs.pull_back", "scores.pairs.cross_block",
    "scores.pairs.within_block", "scores.sliced.mean_over_directions", "mcmc.contract.choose", "mcmc.contract.log_density_at",
    "mcmc.contract.looked_at", "mcmc.contract.noise_like", "mcmc.contract.walk", "mcmc.rhat.each_coordinate",
    "mcmc.langevin.Local", "mcmc.metropolis.start", "saef.aqf.images", "ebm.updates.Tilted", "ebm.updates.moved",
    "ebm.updates.written", "ebm.updates.finite_value_and_gradient", "ebm.updates.alive", "ebm.normalizer.log_weights",
}
OF_THE_PAPER = {"Algorithm": range(1, 7), "Table": range(1, 4), "Fig.": range(1, 9), "eq.": (2, 4, 5, 6)}


def test_every_entry_is_whole() -> None:
    for entry in ENTRIES:
        assert all((entry.says, entry.source, entry.at, entry.tests)), entry
        assert bool(entry.vectors) != bool(entry.why), entry.says
        for names in (entry.at, entry.tests, entry.vectors):
            assert len(set(names.split())) == len(names.split()), entry.says


def test_every_function_is_there() -> None:
    for name in {name for entry in ENTRIES for name in entry.at.split()}:
        found(name)


def test_every_test_is_there() -> None:
    assert [name for entry in ENTRIES for name in missing_tests(entry)] == []


def test_every_vector_is_there() -> None:
    missing = sorted({name for entry in ENTRIES for name in missing_vectors(entry)})
    assert missing == [], " ".join(missing)


def test_every_operation_is_in_an_entry() -> None:
    named = {name.partition("#")[0] for entry in ENTRIES for name in entry.vectors.split()}
    assert {path.stem for path in VECTORS.glob("*.json")} - named == set()


def test_every_function_with_a_formula_is_in_an_entry() -> None:
    """Functions and classes of the packages above, less protocols, records, checks and PLUMBING."""
    named = {name for entry in ENTRIES for name in entry.at.split()}
    named |= {name.rpartition(".")[0] for name in named}  # a method stands for its class
    assert set(public()) - named == PLUMBING


def test_every_number_of_the_paper_is_somewhere() -> None:
    sources = [*(entry.source for entry in ENTRIES), *(absent.source for absent in ABSENT)]
    sources = [part for source in sources for part in source.split(";") if "Grenioux et al. 2023" in part]
    for kind, numbers in OF_THE_PAPER.items():
        cited: set[int] = set()
        for first, last in re.findall(rf"{re.escape(kind)} (\d+)(?:-(\d+))?", " ".join(sources)):
            cited |= set(range(int(first), int(last or first) + 1))
        assert cited == set(numbers), kind
    assert any("appendix B" in source for source in sources)


def test_no_statement_stands_twice() -> None:
    assert len({entry.says for entry in ENTRIES}) == len(ENTRIES)


def test_the_page_is_what_the_entries_say() -> None:
    assert (ROOT / "docs/traceability.md").read_text(encoding="utf-8") == page() + "\n", (
        "python -m tests.traceability > docs/traceability.md"
    )


def test_every_link_of_the_page_leads_somewhere() -> None:
    """But for those to vectors, which have a test of their own."""
    links = {link for link in re.findall(r"\]\(([^)#]+)\)", page()) if "/vectors/" not in link}
    assert len(links) > 50
    assert [link for link in links if not (ROOT / "docs" / link).is_file()] == []


GOOD = Entry(
    "An example.", source="nobody", at="scores.energy.energy_score", vectors="affine#tail",
    tests="reference/scores/test_scores.py::test_energy_score_by_hand",
)


def test_the_example_of_the_planted_mistakes_is_right() -> None:
    assert (missing_tests(GOOD), missing_vectors(GOOD), found(GOOD.at).__name__) == ([], [], "energy_score")


@pytest.mark.parametrize(("at", "message"), [
    ("scores.energy.energy_scores", "reference/scores/energy.py must define energy_scores"),
    ("scores.energy_score", "at must name something inside a file below reference"),
    ("scores.sliced.smooth_power", "must define the function or class smooth_power itself"),  # only imported there
    ("scores.energy.EPS", "must define the function or class EPS itself"),
    ("saef.semiautoregressive.SAEF.forwards", "must define SAEF.forwards"),
    ("experiments.nine_gaussians.run", "at must name something inside a file below docs/experiments"),
])
def test_a_function_that_is_not_there_is_noticed(at: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        found(at)


@pytest.mark.parametrize("name", [
    "reference/scores/test_scores.py::test_energy_score_by_foot", "reference/test_score.py::test_energy_score_by_hand",
    "reference/scores/test_scores.py::loop_score", "samplers.py::check_invariance", "reference/scores/test_scores.py",
])
def test_a_test_that_is_not_there_is_noticed(name: str) -> None:
    assert missing_tests(replace(GOOD, tests=f"{GOOD.tests} {name}")) == [name]


@pytest.mark.parametrize("name", ["afine", "affine#moon", "affine#"])
def test_a_vector_that_is_not_there_is_noticed(name: str) -> None:
    assert missing_vectors(replace(GOOD, vectors=f"{GOOD.vectors} {name}")) == [name]


def missing_tests(entry: Entry) -> list[str]:
    """What of `tests` is no test function at the top of a test file."""
    def there(file: str, function: str) -> bool:
        return file.rpartition("/")[2].startswith("test_") and function.startswith("test_") and function in functions(file)

    return [name for name in entry.tests.split() if not there(*name.partition("::")[::2])]


@cache
def functions(file: str) -> set[str]:
    path = ROOT / "tests" / file
    return {node.name for node in definitions(path) if isinstance(node, ast.FunctionDef)} if path.is_file() else set()


def missing_vectors(entry: Entry) -> list[str]:
    """The operations without a file, and the flags that no case of the file has."""
    def there(operation: str, hash: str, flag: str) -> bool:
        seen = flags(operation)
        return seen is not None and (not hash or flag in seen)

    return [name for name in entry.vectors.split() if not there(*name.partition("#"))]


@cache
def flags(operation: str) -> set[str] | None:
    """Of all cases together; None where there is no file."""
    path = VECTORS / f"{operation}.json"
    if not path.is_file():
        return None
    return {flag for case in json.loads(path.read_text(encoding="utf-8"))["cases"] for flag in case["flags"]}


def public() -> Iterator[str]:
    """The functions and classes that the reader of those packages meets, as entries name them."""
    folder = ROOT / "reference"
    for path in (p for package in PACKAGES for p in folder.glob(f"{package}/*.py")):
        for node in definitions(path):
            bases = {base.id for base in node.bases if isinstance(base, ast.Name)} if isinstance(node, ast.ClassDef) else set()
            if not bases & {"Protocol", "NamedTuple"} and not node.name.startswith(("_", "check_")):
                yield ".".join((*path.relative_to(folder).with_suffix("").parts, node.name))


def definitions(path: Path) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))
