"""Other people's libraries answer the vectors as docs/conformance.md says, and so do the scripts about their faults."""
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from evenflow.conformance import report, runner, xfails
from evenflow.conformance.compare import PASS
from evenflow.conformance.suites import FOLDER
from evenflow.conformance.worker import Worker
from evenflow.experiments.conformance import ADAPTERS, DOCS, KNOWN_FAILURES, PAGE, RESULTS, THEIRS, page

ASKED = {  # where JAX compiles for minutes: the operations with known failures, and some more
    "flowjax": ("affine", "affine_inverse", "permutation", "plu", "uniform_log_prob"),
    "distrax": ("affine", "affine_inverse", "rational_quadratic_spline", "plu", "uniform_log_prob", "actnorm", "conv_coupling"),
    "bijx": ("affine", "affine_inverse", "diagonal_normal_log_prob", "effective_size"),
    "blackjax": ("random_walk", "independent_mh", "rhat"),
    "flowmc": ("mala", "random_walk", "hmc"),
}
PACKAGES = {"tfp": "tensorflow_probability", "flowmc": "flowMC"}
RECORDED = json.loads(RESULTS.read_text(encoding="utf-8"))
SCRIPTS = sorted(path for path in (DOCS / "conformance").glob("*.py"))
pytestmark = pytest.mark.peers


def installed(library: str) -> None:
    """Skip where it is missing. Without importing it: what it warns of is not ours to mend."""
    package = PACKAGES.get(library, library)
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install 'evenflow[oracles]'")


@pytest.mark.parametrize("library", THEIRS)
def test_a_library_fails_where_it_is_known_to_and_nowhere_else(library: str) -> None:
    installed(library)
    suites, malformed = runner.suites(FOLDER, ASKED.get(library, ()))
    with Worker(ADAPTERS[library], time_limit=120.0) as worker:
        rows = [row for suite in suites for case in suite.cases for row in runner.case_asked(worker, suite, case)]
    assert malformed == []
    assert any(row.status == PASS for row in rows)
    asked = {suite.operation for suite in suites}
    listed = xfails.read(KNOWN_FAILURES / f"{library}.txt")
    known = [k for k in listed if k.operation in asked and runner.level_of(k.kind) == "vectors"]
    assert report.failed(xfails.applied(rows, known)) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_shows_the_fault_as_the_page_says(script: Path) -> None:
    """Exit status 1 while the fault is there, 0 where it is gone: as docs/results/conformance.json has it."""
    library = script.stem.split("_")[0]
    installed(library)
    assert "evenflow" not in script.read_text()
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr
    assert done.stdout.strip()
    assert done.returncode == RECORDED[library]["scripts"][script.name]["status"]


def test_every_known_failure_names_its_script() -> None:
    for path in KNOWN_FAILURES.glob("*.txt"):
        for known in xfails.read(path):
            sentence, _, script = known.why.rpartition(": ")
            assert sentence.endswith(")"), known  # (new), or the issue
            assert (DOCS / "conformance" / script).is_file(), known
            assert script.startswith(f"{path.stem}_")


def test_the_page_is_made_of_the_results() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(RECORDED)
    assert set(RECORDED) == set(ADAPTERS)
    assert all(result["counts"]["fail"] == 0 for result in RECORDED.values())
