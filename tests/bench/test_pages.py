"""The pages: cells by hand, the page of a device from invented files, and that docs/ holds what the results give."""
from typing import Any

import pytest

from tests.bench.__main__ import main
from tests.bench.report import page
from tests.bench.tables import ratio_cell
from tests.bench.tree import ROOT


def test_ratios_by_hand() -> None:
    own: dict[str, Any] = {"samples": [1.0, 2.0, 1.0]}
    assert ratio_cell({"samples": [3.0, 4.0, 1.0]}, own) == "2.00 (1.20-2.80)"
    assert ratio_cell({"samples": [3.0]}, own) == "3.00 (one round)"
    assert ratio_cell({"unavailable": "x"}, own) == ratio_cell({}, own) == "unavailable"
    assert ratio_cell({"samples": [3.0]}, {"wrong": "gradient"}) == "-"


def test_the_page_of_a_device_run_has_milliseconds_and_floors() -> None:
    """With invented numbers."""
    row = {"case": "c", "steps": 10, "floor": 1e-4, "results": {
        "cupy": {"first": 1.0, "errors": {"path": 1e-6}, "samples": [0.02, 0.04, 0.03], "calls": 10, "peak_bytes": 5e6},
        "torch-cuda": {"first": 1.0, "errors": {"path": 1e-6}, "samples": [0.04, 0.04, 0.03], "calls": 10},
    }}
    about = {"cupy": {"versions": "v"}, "torch-cuda": {"versions": "w"}}
    machine = {"cpu": "a", "cores": 1, "system": "b"}
    made = {"suite": "gpu", "machine": machine, "about": about, "rounds": 3, "rows": [row], "cold": {"cupy": []}}
    assert "| c | 0.1 | 3 | 1.00 (1.00-1.80) | 1e-06 | 5 |" in page([made])
    longest = [{"name": "void k<float>", "times": 3, "seconds": 4e-4}]
    call = {"case": "c", "steps": 1, "wall": 2e-3, "busy": 5e-4, "kernels": 7, "longest": longest, "copies_to_host": 2}
    profiled = {"commit": "unknown", "profile": [call]}
    parts = {"commit": "unknown", "parts": [{"part": "memcheck", "state": "stopped", "why": "at 60 s"}]}
    told = page([made, profiled, parts], ["a", "b", "c"])
    assert "`python -m tests.bench report a b c > docs/device.md`" in told
    assert "| c | 2 | 7 | 0.5 | 25% | 2 | `k`, 3 times, 0.4 ms |" in told
    assert "| memcheck | stopped | at 60 s |" in told
    assert "Nothing that came after that commit has been\nmeasured on a device.**\nLater" in told
    with pytest.raises(ValueError, match="files must be of one commit"):
        page([made, {**parts, "commit": "other"}])


@pytest.mark.parametrize(("name", "files"), [
    ("device", ["bench-gpu-second.json"]), (
        "performance", ["bench-cpu.json", "bench-libraries.json", "bench-scale.json", "bench-images.json"]),
])
def test_the_pages_are_made_of_the_results(name: str, files: list[str], capsys: pytest.CaptureFixture[str],
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["report", *(f"docs/results/{file}" for file in files)]) == 0
    assert capsys.readouterr().out == (ROOT / "docs" / f"{name}.md").read_text()
