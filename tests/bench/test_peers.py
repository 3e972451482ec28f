"""The peers of other libraries compute what evenflow computes: every tiny case, against float64."""
from typing import Any

import pytest

from tests.bench import cases, runner
from tests.bench.processes import chosen
from tests.bench.report import page
from tests.bench.runner import run

HAVE = {  # library -> kinds of cases that it has
    "zuko": {"flow", "sample"}, "nflows": {"flow", "sample"}, "normflows": {"flow", "sample"}, "flowjax": {"flow", "sample"},
    "blackjax": {"zones"}, "flowMC": {"zones", "flowmc"}, "scoringrules": {"ensembles"}, "geomloss": {"distance"},
}
OURS = ("image", "places")  # no other library has such a model
pytestmark = [pytest.mark.peers, pytest.mark.slow]


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "ROUND", 0.01)
    monkeypatch.setattr(runner, "COLD_STARTS", 0)


def timed(suite: str, peers: list[str], of: list[cases.Case]) -> dict[str, Any]:
    return run(suite, of, chosen(peers, {}), 1, 1, lambda said: None)


@pytest.mark.parametrize("peer", ["torch", "jax"])
def test_every_case_is_written_and_right(peer: str) -> None:
    found = timed("tiny", [peer], list(cases.TINY))
    for row, case in zip(found["rows"], cases.TINY, strict=True):
        if case.kind in OURS:
            assert row["results"][peer] == {"unavailable": f"not written for this peer: {case.kind}"}
            continue
        assert "samples" in row["results"][peer], (row["case"], row["results"][peer])


@pytest.mark.parametrize("library", list(HAVE))
def test_what_a_library_has_is_right(library: str) -> None:
    """And one case that it has not."""
    has = [case for case in cases.TINY_LIBRARIES if case.kind in HAVE[library]]
    lacks = next(case for case in cases.TINY_LIBRARIES if case.kind not in HAVE[library])
    found = timed("tiny-libraries", ["numpy", library], [*has, lacks])
    results = [row["results"][library] for row in found["rows"]]
    assert all("samples" in result for result in results[:-1]), results
    assert results[-1] == {"unavailable": f"not written for this peer: {lacks.kind}"}
    told = page([found])
    assert all(f"| {case.name} | {library} |" in told for case in has)
    assert f"| {lacks.name} | {library} |" not in told
