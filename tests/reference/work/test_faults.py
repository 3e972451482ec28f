"""The faults of tests/faults.py, planted again, and its page."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import PAGE


@pytest.mark.slow
def test_no_fault_harms_a_run(tmp_path: Path) -> None:
    """Each fault has its assertions there. How many kills meet a file half written depends on the machine: not compared."""
    command = [sys.executable, "-m", "tests.faults", str(tmp_path / "page.md")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=PAGE.parents[1], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    new, kept = ((page.read_text()) for page in (tmp_path / "page.md", PAGE))
    assert re.sub(r"\d+", "N", new).split() == re.sub(r"\d+", "N", kept).split()
    damages = r"\*\*Damaged checkpoints\*\*, 1000 in all.*"
    assert re.findall(damages + r"one bit turned \| 600", new, flags=re.S)
    for kills in ("random moment", "inside the writing"):
        assert re.search(kills + r"\*\*[^*]* 100 kills", " ".join(new.split()))
