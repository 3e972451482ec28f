"""`python -m tests.bench device` where there is no device, its list of parts, and what its parts are made of."""
import json
import os
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evenflow.accel import devices
from evenflow.reference.work.training import STRETCH
from tests.agreement.backends import backend
from tests.bench import device, profiled, small_runs, wheels
from tests.bench.__main__ import main
from tests.bench.cases import energy, flow
from tests.bench.plan import Part
from tests.bench.processes import Peer, Process
from tests.bench.tree import ROOT, fingerprint
from tests.standin import counting, xp

KERNEL = re.compile(r"__global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)\(")


def a_device(count: int) -> Any:
    return SimpleNamespace(cuda=SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=lambda: count)))


def test_no_device_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for there, said in ((None, "CuPy is not installed"), (a_device(0), "the driver finds none")):
        monkeypatch.setitem(sys.modules, "cupy", there)
        assert main(["device", "--out", str(tmp_path / "out")]) == 1
        told = capsys.readouterr()
        assert told.out.startswith("bench: needs ")
        assert told.out.endswith(f"{said}\n")
        assert told.out.count("\n") == 1
        assert told.err == ""
    assert not list(tmp_path.iterdir())


def test_with_a_device_all_parts_are_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", a_device(1))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "/wheels")
    show = Part("show", (sys.executable, "-c", "import os; print(os.environ['PYTHONPATH'])"), 30)
    fails = Part("fails", (sys.executable, "-c", "raise SystemExit(3)"), 30)
    for parts, status in (([show], 0), ([show, fails], 2)):
        monkeypatch.setattr(device, "parts", lambda parts=parts: parts)
        assert main(["device", "--out", "out", "--budget", "60"]) == status
        monkeypatch.chdir(tmp_path)
    path = (tmp_path / "out" / "show.log").read_text().strip().split(os.pathsep)
    assert (path[0], path[-1]) == (str(ROOT), "/wheels")
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["tree"] == fingerprint(ROOT)
    assert capsys.readouterr().out.startswith(("no wheel is missing", "missing wheels: "))


def test_missing_wheels_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", a_device(1))
    monkeypatch.setattr(wheels, "there", lambda wheel: wheel not in ("autograd", "pydantic", "rpds-py"))
    monkeypatch.setattr(device, "sanitizer", lambda: None)
    rows = {part.name: part.skip for part in device.parts()}
    assert rows["bench"] == "needs autograd"
    assert rows["conformance"] == "needs autograd, pydantic, rpds-py"
    assert rows["memcheck"] == "needs compute-sanitizer, of the CUDA toolkit"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(device, "parts", list)
    assert main(["device", "--out", "out"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("missing wheels: autograd, pydantic, rpds-py")
    for wheel in wheels.NEEDS:
        assert re.search(rf"\b{wheel}\b", str(device.__doc__)) or wheel in ("scipy", "scikit-learn")


def test_the_help_works_without_autograd() -> None:
    """Whoever lacks a wheel must be able to ask which. -S: without the packages of this environment."""
    command = [sys.executable, "-S", "-m", "tests.bench", "device", "--help"]
    found = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    assert found.returncode == 0, found.stderr
    assert "autograd" in found.stdout


def test_the_table_of_needs_is_the_wheels_own() -> None:
    """Of what a wheel needs here, the table leaves out NumPy and what another entry brings."""
    requirements = pytest.importorskip("packaging.requirements")
    for wheel, known in wheels.NEEDS.items():
        wanted = [requirements.Requirement(line) for line in requires(wheel) or ()]
        names = {r.name.lower() for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})}
        allowed = {"numpy", "pytest", "narwhals", "tzdata", "cloudpickle", "typing-extensions", *known}
        assert names <= allowed, (wheel, names - allowed)


def test_the_tree_is_importable_without_being_installed(tmp_path: Path) -> None:
    folder = wheels.importable(wheels.importable(tmp_path))  # twice in the same place
    code = ("import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)]; import evenflow.accel; "
            "print(evenflow.__file__, evenflow.__version__)")
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True, check=True,
                           env={**os.environ, "PYTHONPATH": str(folder)})
    where, version = found.stdout.split()
    assert where.startswith(str(folder))
    assert f'version = "{version}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.slow
def test_small_runs_launch_every_kernel() -> None:
    """On the stand-in; a kernel that is not launched here would not be watched by the sanitizer either."""
    kernels = {name for file in (ROOT / "accel/kernels").glob("*.cu") for name in KERNEL.findall(file.read_text())}
    with backend("standin", "device"), counting() as count:
        small_runs.run()
    assert kernels - set(count.by_name) == set()
    assert len(kernels) >= 16


def test_a_peer_keeps_the_path_that_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/wheels")
    code = "import os, json; input(); print(json.dumps({'path': os.environ['PYTHONPATH']}))"
    with Process(Peer(("-c", code))) as peer:
        assert peer.ask({})["path"].split(os.pathsep) == [str(ROOT), "/wheels"]


def test_a_changed_file_is_another_tree(tmp_path: Path) -> None:
    (tmp_path / "accel").mkdir()
    file = tmp_path / "accel" / "a.py"
    seen = set()
    for text in ("x = 1", "x = 2"):
        file.write_text(text)
        seen.add(fingerprint(tmp_path))
    file.rename(tmp_path / "accel" / "b.py")
    seen.add(fingerprint(tmp_path))
    (tmp_path / "accel" / "notes.txt").write_text("not counted")
    seen.add(fingerprint(tmp_path))
    assert len(seen) == 3


def test_a_trace_by_hand() -> None:
    """Two kernels that overlap, a copy to the host, two waits: busy is 10 + 5 us."""
    events: list[dict[str, Any]] = [
        {"ph": "X", "cat": "kernel", "name": "a", "ts": 0.0, "dur": 8.0},
        {"ph": "X", "cat": "kernel", "name": "a", "ts": 4.0, "dur": 6.0},
        {"ph": "X", "cat": "gpu_memcpy", "name": "Memcpy DtoH (Device -> Pageable)", "ts": 20.0, "dur": 5.0},
        {"ph": "X", "cat": "cuda_runtime", "name": "cudaStreamSynchronize", "ts": 1.0, "dur": 2.0},
        {"ph": "X", "cat": "cuda_driver", "name": "cuLaunchKernel", "ts": 1.0, "dur": 2.0},
        {"ph": "X", "cat": "cpu_op", "name": "aten::add", "ts": 1.0, "dur": 99.0}, {"ph": "M", "name": "process_name"},
    ]
    found = profiled.measured(events)
    assert found["kernels"] == 2
    assert found["busy"] == pytest.approx(15e-6)
    assert (found["waits"], found["copies_to_host"], found["launches"]) == (2, 1, 1)
    assert found["longest"][0] == {"name": "a", "times": 2, "seconds": pytest.approx(14e-6)}


@pytest.mark.slow
def test_the_profile_of_each_case_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the stand-in, with a trace by hand: a training step by itself and replayed; a second start traces nothing again."""
    traced: list[Any] = []

    def trace(call: Any) -> list[dict[str, Any]]:
        traced.append(call())
        return [{"ph": "X", "cat": "kernel", "name": "k", "ts": 0.0, "dur": 1.0}]

    monkeypatch.setattr(devices, "import_cupy", lambda: xp)
    monkeypatch.setattr(profiled, "traced", trace)
    monkeypatch.setattr(profiled, "CALLS", 1)
    monkeypatch.setattr(profiled, "GPU", (flow(16, hidden=8), energy(16, 2)))
    for _ in range(2):
        profiled.main(tmp_path / "p.json")
    rows = json.loads((tmp_path / "p.json").read_text())["profile"]
    assert len(traced) == len(rows) == 3
    assert [row["case"].endswith(", replayed") for row in rows] == [True, False, False]
    assert [row["steps"] for row in rows] == [STRETCH, 1, 1]
    assert all(row["wall"] > 0 and row["kernels"] == 1 for row in rows)
