"""The plan, on parts that write, sleep and fail: order, limits, what is stopped, what a second start does."""
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.bench import plan
from tests.bench.plan import Part, perform, summary

TREE = {"commit": "c", "tree": "t"}
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1] + "/begun", "w").write(f"{os.getpid()} {child.pid}")
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "GRACE", 0.2)
    monkeypatch.setattr(plan, "LEAST", 0.2)


def python(code: str, *args: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *args)


def counting(name: str, then: str = "", limit: float = 30.0) -> Part:
    """One that leaves a letter in {out}/<name>.txt for each time it is begun."""
    return Part(name, python(f"open('{{out}}/{name}.txt', 'a').write('x'); {then}"), limit)


def done(parts: list[Part], out: Path, budget: float = 60.0, origin: Mapping[str, str] = TREE) -> dict[str, dict[str, Any]]:
    rows = perform(parts, out, budget, origin, os.environ, lambda said: None)
    assert [row["part"] for row in rows] == [part.name for part in parts]
    assert json.loads((out / "summary.json").read_text()) == {**origin, "budget": budget, "parts": rows}
    return {row["part"]: row for row in rows}


def alive(process: int) -> bool:
    with suppress(OSError):
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    return False


def test_each_state_and_the_table(tmp_path: Path) -> None:
    parts = [
        Part("fine", python("print('hello')"), 30), Part("broken", python("print('first'); raise SystemExit('no luck')"), 30),
        Part("absent", (str(tmp_path / "nothing"),), 30), Part("unfit", python("raise SystemExit(0)"), 30, "needs wings"),
        Part("endless", python("import time; time.sleep(600)"), 0.5), counting("after"),
    ]
    rows = done(parts, tmp_path / "out")
    assert [row["state"] for row in rows.values()] == ["done", "failed", "failed", "skipped", "stopped", "done"]
    assert rows["broken"]["why"] == "exit status 1: no luck"
    assert "No such file or directory" in rows["absent"]["why"]
    assert rows["unfit"]["why"] == "needs wings"
    assert rows["endless"]["why"] == "at 0 s"
    assert (tmp_path / "out" / "fine.log").read_text() == "hello\n"
    assert "seconds" not in rows["unfit"]
    table = summary(rows.values()).splitlines()
    assert len(table) == len(parts)
    assert table[1].split()[:2] == ["broken", "failed"]


def test_a_part_that_never_ends_is_stopped_with_all_its_children(tmp_path: Path) -> None:
    """Also where it does not listen."""
    start = time.monotonic()
    rows = done([Part("stubborn", python(STUBBORN, "{out}"), 1.5), counting("after")], tmp_path)
    assert time.monotonic() - start < 20
    assert [row["state"] for row in rows.values()] == ["stopped", "done"]
    processes = [int(word) for word in (tmp_path / "begun").read_text().split()]
    time.sleep(0.2)
    assert [alive(process) for process in processes] == [False, False]


def test_what_a_part_leaves_running_ends_with_it(tmp_path: Path) -> None:
    leaving = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid)"
    assert done([Part("leaving", python(leaving), 30)], tmp_path)["leaving"]["state"] == "done"
    time.sleep(0.2)
    assert not alive(int((tmp_path / "leaving.log").read_text()))


def test_a_part_that_is_asked_to_end_may_still_write(tmp_path: Path) -> None:
    code = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *a: sys.exit(print('kept'))); time.sleep(600)"
    assert done([Part("polite", python(code), 1.0)], tmp_path)["polite"]["state"] == "stopped"
    assert (tmp_path / "polite.log").read_text() == "kept\n"


def test_the_budget_is_for_all(tmp_path: Path) -> None:
    """The second gets what the first left over; for the third nothing is left."""
    start = time.monotonic()
    rows = done([counting("a", "import time; time.sleep(600)", 0.6), counting("b", "import time; time.sleep(600)", 600),
                 counting("c")], tmp_path, budget=2.0)
    assert time.monotonic() - start < 10
    assert [row["state"] for row in rows.values()] == ["stopped", "stopped", "not begun"]
    assert rows["b"]["limit"] < 1.5
    assert not (tmp_path / "c.txt").exists()


def test_a_second_start_does_what_is_left(tmp_path: Path) -> None:
    endless = counting("c", "import time; time.sleep(600)", 0.5)
    parts = [counting("a"), counting("b", "raise SystemExit(2)"), endless, counting("d")]
    assert done(parts[:3], tmp_path)["c"]["state"] == "stopped"
    rows = done(parts, tmp_path)
    assert [row["state"] for row in rows.values()] == ["done", "failed", "stopped", "done"]
    assert ["again" in row for row in rows.values()] == [True, True, False, False]
    assert [len((tmp_path / f"{name}.txt").read_text()) for name in "abcd"] == [1, 1, 2, 1]
    assert summary([rows["a"]]).endswith("(earlier)")


def test_another_tree_is_done_anew(tmp_path: Path) -> None:
    done([counting("a")], tmp_path)
    row = done([counting("a")], tmp_path, origin={"commit": "c", "tree": "other"})["a"]
    assert "again" not in row
    assert (tmp_path / "a.txt").read_text() == "xx"


def test_a_report_half_written_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"state": "do')
    assert done([counting("a")], tmp_path)["a"]["state"] == "done"


def test_after_ctrl_c_nothing_goes_on(tmp_path: Path) -> None:
    """Sent to this process while a part runs."""
    code = ("import os, signal, time; open('{out}/pid', 'w').write(str(os.getpid())); os.kill(os.getppid(), signal.SIGINT); "
            "time.sleep(600)")
    with pytest.raises(KeyboardInterrupt):
        done([Part("a", python(code), 30)], tmp_path)
    time.sleep(0.2)
    assert not alive(int((tmp_path / "pid").read_text()))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
