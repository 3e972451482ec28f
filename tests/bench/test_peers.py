"""The peers of other libraries compute what evenflow computes: every tiny case, against float64."""
import pytest

from tests.bench import cases, runner
from tests.bench.processes import chosen
from tests.bench.runner import run


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.parametrize("peer", ["torch", "jax"])
def test_every_case_is_written_and_right(peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "ROUND", 0.01)
    monkeypatch.setattr(runner, "COLD_STARTS", 0)
    found = run("tiny", cases.TINY, chosen([peer], {}), 1, 1, lambda said: None)
    for row in found["rows"]:
        assert "samples" in row["results"][peer], (row["case"], row["results"][peer])
