"""The bench suite itself: it ends to end, it catches a peer that is wrong or missing, and `numpy` is faster than `reference`.

The last is the guard: a ratio of interleaved rounds, far below what is claimed, so that a busy machine does not break it.
"""
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from evenflow.experiments import two_modes
from evenflow.reference.core.trees import Array, Tree, leaves
from evenflow.reference.work.files import load, save
from tests.bench import cases, models, processes, runner
from tests.bench.__main__ import main
from tests.bench.checking import limit
from tests.bench.inputs import make
from tests.bench.peers import protocol
from tests.bench.processes import PEERS, Peer, Process, Unavailable, chosen
from tests.bench.report import page
from tests.bench.runner import run

WRONG = """
import sys
from tests.bench.peers import evenflow
from tests.bench.peers.protocol import Work

name = sys.argv.pop()
evenflow.main(lambda work: Work(work.call, lambda done: {**work.outputs(done), name: work.outputs(done)[name] * 1.01}))
"""


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few calls in a round, no cold start: what is looked at does not need more."""
    monkeypatch.setattr(runner, "ROUND", 0.01)
    monkeypatch.setattr(runner, "COLD_STARTS", 0)


def quietly(said: str) -> None:
    pass


def planted(folder: Path, result: str) -> Peer:
    """numpy, but for one of its results, which is off by a hundredth."""
    script = folder / "wrong.py"
    script.write_text(WRONG)
    return Peer((str(script), "--backend", "numpy", result))


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_all_cases_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "COLD_STARTS", 1)
    out = tmp_path / "tiny.json"
    assert main(["run", "--suite", "tiny", "--out", str(out), "--rounds", "2"]) == 0
    result = json.loads(out.read_text())
    assert [row["case"] for row in result["rows"]] == [case.name for case in cases.TINY]
    for row, case in zip(result["rows"], cases.TINY, strict=True):
        for name, found in row["results"].items():
            if name in dict(case.without):
                assert found == {"unavailable": "takes minutes"}
                continue
            assert "wrong" not in found
            assert max(found["errors"].values()) < limit(2.0**-23)
            assert len(found["samples"]) == (1 if name in case.once else found["rounds"])
            assert all(seconds > 0 for seconds in found["samples"])
    assert all(len(seconds) == 1 and seconds[0] > 0 for seconds in result["cold"].values())
    capsys.readouterr()
    assert main(["report", str(out)]) == 0
    told = capsys.readouterr().out
    assert all(f"| {case.name} |" in told for case in cases.TINY)
    assert str(sys.prefix) not in told


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_a_wrong_peer_is_not_timed(tmp_path: Path) -> None:
    """One peer for each result that may be off."""
    names = ("value", "gradient", "step")
    found = run("tiny", [cases.flow(16, hidden=8)], {name: planted(tmp_path, name) for name in names}, 1, 1, quietly)
    for name in names:
        row = found["rows"][0]["results"][name]
        assert row["wrong"] == name
        assert row["errors"][name] == pytest.approx(0.01, rel=0.05)
        assert "samples" not in row
        assert f"wrong: {name} is off by 1.0e-02" in page([found])


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_a_missing_peer_is_unavailable(tmp_path: Path) -> None:
    peers = {
        "numpy": PEERS["numpy"], "nowhere": Peer(("-m", "nothing"), str(tmp_path / "python")),
        "nothing": Peer(("-m", "tests.bench.peers.nothing")), "dies": Peer(("-c", "raise SystemExit(3)")),
    }
    found = run("tiny", [cases.flow(16, hidden=8)], peers, 1, 1, quietly)
    assert found["about"]["nowhere"] == {"unavailable": "its interpreter does not start: No such file or directory"}
    assert found["about"]["nothing"] == {"unavailable": "python: No module named tests.bench.peers.nothing"}
    assert found["about"]["dies"] == {"unavailable": "ended with exit status 3"}
    assert list(found["rows"][0]["results"]) == list(found["cold"]) == ["numpy"]
    told = page([found])
    assert "- `dies` ended with exit status 3" in told
    assert "| unavailable | unavailable | unavailable |" in told


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    """Rows of the same tree and peers are kept; of others not; an empty file is the start of one."""
    out = tmp_path / "x.json"

    def timed() -> dict[str, Any]:
        command = ["run", "--suite", "tiny", "--only", "n = m = 16, d = 2", "--rounds", "1", "--peers", "numpy", "--resume"]
        assert main([*command, "--out", str(out)]) == 0
        found: dict[str, Any] = json.loads(out.read_text())
        return found

    out.write_text("")
    made = timed()
    results = made["rows"][0]["results"]["numpy"]
    assert len(results["samples"]) == 1
    results["samples"] = [123.0]
    for change, kept in (({}, True), ({"tree": "other"}, False), ({"about": {"torch": {}}}, False)):
        out.write_text(json.dumps({**made, **change}))
        assert (timed()["rows"][0]["results"]["numpy"]["samples"] == [123.0]) is kept


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_numpy_is_faster_than_the_reference() -> None:
    """Claimed is 3 times; 1.5 in the median of nine rounds is let pass."""
    found = run("cpu", [cases.flow(256)], chosen(["reference", "numpy"], {}), 9, 1, quietly)
    results = found["rows"][0]["results"]
    rounds = zip(results["reference"]["samples"], results["numpy"]["samples"], strict=False)
    assert median(reference / fused for reference, fused in rounds) > 1.5


def test_bad_arguments_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "x.json")
    assert main(["run", "--suite", "tiny", "--out", out, "--peers", "torhc"]) == 1
    assert main(["run", "--suite", "tiny", "--out", out, "--python", "jaks=/python"]) == 1
    assert main(["run", "--suite", "tiny", "--out", str(tmp_path / "no" / "x.json")]) == 1
    assert main(["run", "--suite", "tiny", "--out", out, "--only", "("]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("bench: peers must be among reference, numpy, compiled, cupy, cupy-eager, torch")
    assert said[0].endswith("got 'torhc'")
    assert said[1].endswith("got 'jaks'")
    assert "No such file or directory" in said[2]
    assert said[3].startswith("bench: --only must be a regular expression, got '(': ")
    assert len(said) == 4


def test_without_a_device_the_gpu_suite_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert main(["run", "--suite", "gpu", "--out", str(tmp_path / "gpu.json")]) == 1
    assert capsys.readouterr().err.startswith("bench: the backend cupy needs CuPy, which is not installed")
    assert not list(tmp_path.iterdir())


def test_a_peer_that_is_gone_says_so_when_asked() -> None:
    with Process(Peer(("-c", "raise SystemExit(3)"))) as gone:
        gone.child.wait()
        with pytest.raises(Unavailable, match="ended with exit status 3"):
            gone.ask({"do": "about"})


def test_a_peer_may_live_elsewhere() -> None:
    peers = chosen(["numpy", "torch"], {"torch": "/elsewhere/python"})
    assert (peers["numpy"].python, peers["torch"].python) == (sys.executable, "/elsewhere/python")


def test_peers_read_what_trees_writes(tmp_path: Path) -> None:
    tree = make("ebm", {"batch": 4, "buffer": 8})
    save(tmp_path / "t.npz", tree)
    there, here = (leaves(read) for read in (protocol.load(str(tmp_path / "t.npz"), "float32"), load(tmp_path / "t.npz")))
    for a, b in zip(there, here, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    wide = protocol.load(str(tmp_path / "t.npz"), "float64")["state"]
    assert (wide["chains"].dtype, wide["energy_optimiser"]["t"].dtype.kind) == (np.float64, "i")
    assert protocol.leaves({"b": [1, 2], "a": {"d": 3, "c": 4}}) == [4, 3, 1, 2]


@pytest.mark.parametrize("case", cases.TINY, ids=lambda case: case.name)
def test_inputs_are_the_same_again(case: cases.Case) -> None:
    def plain(tree: Tree) -> list[Array]:
        return list(leaves(tree))

    for a, b in zip(plain(make(case.kind, case.sizes)), plain(make(case.kind, case.sizes)), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype in (np.float32, np.int64, np.bool_)


def test_the_ebm_is_that_of_the_experiment() -> None:
    full, preset = next(case for case in cases.CPU if case.kind == "ebm"), two_modes.PRESETS["best"]
    there = replace(two_modes.MODELS["flowmc"], energy_optimiser=preset.energy_optimiser)
    assert repr(models.ebm(full.sizes)) == repr(there)  # two partials are never equal


def test_names_are_told_apart() -> None:
    for suite in cases.SUITES.values():
        assert len({case.name for case in suite}) == len(suite)
    assert set(PEERS) >= {"reference", "numpy", "cupy", "torch", "torch-compile", "jax"}
    assert processes.ONE_THREAD["OMP_NUM_THREADS"] == "1"


def test_floors_by_hand() -> None:
    """d = 2, 8 layers of 64 x 64, batch 1,024: 8 (64 + 4096 + 128) weights, six operations each; and so on."""
    assert cases.flow(1024).floor() == pytest.approx(6 * 8 * 4288 * 1024 / 67e12)
    assert cases.tanh(1_000, 100).floor() == pytest.approx(4 * (128 + 4096 + 64) * 1_000 / 67e12)
    assert cases.energy(4096, 64).floor() == pytest.approx(2 * 4096**2 * 266 / 67e12)
    assert cases.spline().floor() is cases.saef(4).floor() is cases.zones().floor() is None


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not say on which cores a process may run")
def test_peers_on_the_host_have_one_core() -> None:
    for name, peer in PEERS.items():
        assert peer.on_host == ("cupy" not in name and "cuda" not in name), name
    for args, cores in (((), 1), (("--platform", "cuda"), len(os.sched_getaffinity(0)))):
        with processes.Process(processes.Peer(("-c", "import sys; sys.stdin.read()", *args))) as process:
            assert len(os.sched_getaffinity(process.child.pid)) == cores
