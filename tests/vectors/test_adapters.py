"""Other people's libraries answer the vectors as docs/conformance.md says, and the scripts that blame them still do."""
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from evenflow.conformance import report, runner, xfails
from evenflow.conformance.suites import FOLDER
from evenflow.conformance.worker import Worker
from evenflow.experiments.conformance import ADAPTERS, DOCS, KNOWN_FAILURES, THEIRS

PACKAGES = {"tfp": "tensorflow_probability", "flowmc": "flowMC"}
SCRIPTS = sorted(path for path in (DOCS / "conformance").glob("*.py"))
pytestmark = pytest.mark.slow


def installed(library: str) -> None:
    """Skip where it is missing. Without importing it: what it warns of is not ours to mend."""
    package = PACKAGES.get(library, library)
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install 'evenflow[oracles]'")


@pytest.mark.parametrize("library", THEIRS)
def test_a_library_fails_where_it_is_known_to_and_nowhere_else(library: str) -> None:
    installed(library)
    suites, malformed = runner.suites(FOLDER)
    with Worker(ADAPTERS[library], time_limit=120.0) as worker:
        rows = [row for suite in suites for case in suite.cases for row in runner.case_asked(worker, suite, case)]
    assert malformed == []
    assert sum(row.status == "pass" for row in rows) > 5
    path = KNOWN_FAILURES / f"{library}.txt"
    known = [k for k in (xfails.read(path) if path.exists() else []) if k.kind in ("values", "log_det", "vjp")]
    assert report.failed(xfails.applied(rows, known)) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_still_shows_the_fault(script: Path) -> None:
    """Exit status 1 while the fault is there. A library that has mended it wants its line taken out."""
    installed(script.stem.split("_")[0])
    assert "evenflow" not in script.read_text().replace("evenflow's", "")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stderr[-500:]
    assert "Traceback" not in done.stderr
    assert done.stdout.strip()
