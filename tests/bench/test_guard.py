"""The guard: slower code is noticed by each of its three looks, and what cannot be counted is said."""
import json
from pathlib import Path
from typing import Any

import pytest

from evenflow.reference.core import gradients
from tests.bench import cases, guard, instructions
from tests.bench.__main__ import main
from tests.bench.peers import evenflow

SLOWER = """
import sys
from evenflow.reference.core import gradients
from tests.bench import cases, instructions
from tests.bench.peers import evenflow
from tests.bench.peers.protocol import Work

prepare, extra = evenflow.prepare, int(sys.argv[1])
def slower(*case):
    work = prepare(*case)
    return Work(lambda: (sum(range(extra)), work.call())[1], work.outputs)

evenflow.prepare = slower
instructions.main(sys.argv[2], (cases.energy(512, 2),))
"""


def program(folder: Path, extra: int) -> tuple[str, ...]:
    script = folder / "slower.py"
    script.write_text(SLOWER)
    return (str(script), str(extra))


@pytest.mark.slow
def test_a_few_more_instructions_are_noticed(tmp_path: Path) -> None:
    """A loop of 60,000 sums beside a call of 17 million instructions, and none."""
    try:
        plain, again, slower = (instructions.counted(program(tmp_path, extra)) for extra in (0, 0, 60_000))
    except instructions.Uncounted as error:
        pytest.skip(str(error))
    assert list(plain) == list(again) == [cases.energy(512, 2).name]
    assert guard.more_instructions(plain, again) == []
    worse, = guard.more_instructions(plain, slower)
    assert "times as many instructions" in worse


def test_launches_and_waits_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """One copy, one look at a number: both are noticed, and so is a case that came or went."""
    monkeypatch.setattr(guard, "TINY", (cases.flow(16, hidden=8),))
    case, right = cases.flow(16, hidden=8).name, guard.on_the_standin()
    assert guard.device({"device": right}, guard.on_the_standin()) == []
    inner = gradients.value_and_gradient

    def careless(*args: Any) -> Any:
        value, gradient = inner(*args)
        float(value.copy())
        return value, gradient

    monkeypatch.setattr(evenflow, "value_and_gradient", careless)
    counts = right[case]
    assert guard.device({"device": right}, guard.on_the_standin()) == [
        f"{case}: {counts['launches'] + 1} launches, {counts['launches']} expected; --record where that is meant",
        f"{case}: {counts['waits'] + 1} waits, {counts['waits']} expected; --record where that is meant",
    ]
    assert len(guard.device({"device": {}}, right)) == len(guard.device({"device": right}, {})) == 3


def test_what_is_written_down_is_of_today_s_cases() -> None:
    expected = json.loads(guard.FILE.read_text())
    assert list(expected["device"]) == [case.name for case in cases.TINY]
    assert set(expected["instructions"]) == {case.name for case in instructions.CASES}


def test_a_lost_ratio_is_noticed() -> None:
    fast, slow = {"samples": [1.0, 1.1, 5.0]}, {"samples": [2.0, 1.9, 9.0]}
    row: dict[str, Any] = {"case": "c", "results": {"numpy": fast, "torch": slow}}
    assert guard.below([row], {"c": 1.7}, "torch") == []
    assert guard.below([row], {"c": 1.9}, "torch") == ["c: torch takes 1.80 of our time, at least 1.9 expected"]
    row["results"]["numpy"] = {"wrong": "gradient", "errors": {}}
    assert guard.below([row], {"c": 1.7}, "torch") == ["c: numpy is wrong"]


def test_the_command_ends_with_an_error_where_something_is_worse(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = json.loads(guard.FILE.read_text())
    counts = dict(expected["instructions"])
    file = tmp_path / "guard.json"
    monkeypatch.setattr(guard, "FILE", file)
    monkeypatch.setattr(guard, "on_the_standin", lambda: expected["device"])
    monkeypatch.setattr(guard, "ratios", lambda say: [])
    monkeypatch.setattr(guard, "counted", lambda: counts)
    monkeypatch.setattr(guard, "versions", lambda: expected["versions"])
    file.write_text(json.dumps(expected))
    assert main(["guard"]) == 0
    assert capsys.readouterr().out == "guard: nothing is worse\n"
    name = next(iter(counts))
    counts[name] = round(1.1 * counts[name])
    assert main(["guard"]) == 1
    assert f"guard: {name}: 1.100 times as many instructions" in capsys.readouterr().out
    file.write_text(json.dumps({**expected, "versions": {"numpy": "1.0"}}))
    assert main(["guard"]) == 0
    assert "instructions skipped: they are written down for numpy 1.0, here is python" in capsys.readouterr().out


def test_without_callgrind_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    expected = {"versions": guard.versions(), "instructions": {"x": 1}}
    assert guard.instructions(expected, print) == []
    assert capsys.readouterr().out == "guard: instructions skipped: needs valgrind\n"
