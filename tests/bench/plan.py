"""Parts of a plan, done one after the other until the time is spent: each with a limit of its own and files of its own.

    DIR/<part>.log     what it wrote to stdout and stderr
    DIR/<part>.json    how it ended, after how many seconds, made from which tree
    DIR/summary.json   that of all parts, written anew after each

A part gets min(its limit, what is left of the budget) seconds. It runs in a process group of its own; at its limit the whole
group is asked to end (SIGTERM), and GRACE seconds later killed, so that nothing of it goes on. What it has written by then
stays.

On a second start in the same folder, parts that came to an end of their own (done, failed) are not done again as long as the
tree is the same; those that were stopped, skipped or not begun are. To do one again all the same, remove its .json.
"""
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GRACE = 3.0   # seconds between being asked to end and being killed
LEAST = 5.0   # seconds of the budget below which nothing new is begun
ENDED = ("done", "failed")

Say = Callable[[str], None]
Row = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """skip: why it cannot be done here, or None. The words {out} in the command become the plan's folder."""
    name: str
    command: tuple[str, ...]
    limit: float
    skip: str | None = None


def perform(parts: Iterable[Part], out: Path, budget: float, made_from: Mapping[str, str], environment: Mapping[str, str],
            say: Say) -> list[Row]:
    """Do what can be done in `budget` seconds; the rows of the summary, in the order of the parts."""
    deadline, parts = time.monotonic() + budget, list(parts)
    out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = [{"part": part.name, "state": "not begun"} for part in parts]
    for k, part in enumerate(parts):
        before = earlier(out, part, made_from)
        if before is not None:
            rows[k] = {**before, "again": False}
        elif part.skip is not None:
            rows[k] |= {"state": "skipped", "why": part.skip}
        else:
            rows[k] = attempt(part, out, deadline, made_from, environment)
        if rows[k]["state"] != "not begun":
            say(told(rows[k]))
        write(out / "summary.json", {**made_from, "budget": budget, "parts": rows})
    return rows


def earlier(out: Path, part: Part, made_from: Mapping[str, str]) -> Row | None:
    """How the part ended on an earlier start from the same tree, if it did."""
    try:
        row: Row = json.loads((out / f"{part.name}.json").read_text())
    except (OSError, ValueError):
        return None
    return row if row["state"] in ENDED and row["tree"] == made_from["tree"] else None


def attempt(part: Part, out: Path, deadline: float, made_from: Mapping[str, str], environment: Mapping[str, str]) -> Row:
    left = deadline - time.monotonic() - GRACE
    if left < LEAST:
        return {"part": part.name, "state": "not begun"}
    limit = min(part.limit, left)
    start = time.monotonic()
    with open(out / f"{part.name}.log", "w") as log:
        code = run([word.replace("{out}", str(out)) for word in part.command], limit, environment, log)
    state = "stopped" if code is None else "done" if code == 0 else "failed"
    seconds = round(time.monotonic() - start, 1)
    row = {"part": part.name, "state": state, "seconds": seconds, "limit": round(limit, 1), **made_from}
    if state == "stopped":
        row["why"] = f"at {limit:.0f} s"
    if state == "failed":
        row["why"] = f"exit status {code}: {last_line(out / f'{part.name}.log')}"
    write(out / f"{part.name}.json", row)
    return row


def run(command: list[str], limit: float, environment: Mapping[str, str], log: Any) -> int | None:
    """The exit status, or None where the process was stopped. Nothing of its group is left behind either way."""
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(environment),
                                 start_new_session=True)
    except OSError as error:
        log.write(f"{command[0]}: {error.strerror}\n")
        return 127
    try:
        return child.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        signalled(child.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=GRACE)
        return None
    finally:  # also on Ctrl-C
        signalled(child.pid, signal.SIGKILL)
        child.wait()


def signalled(group: int, which: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, which)


def last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"


def write(path: Path, value: Any) -> None:
    """Whole or not at all."""
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(value, indent=1) + "\n")
    aside.replace(path)


def told(row: Row) -> str:
    seconds = f" {row['seconds']:6.1f} s" if "seconds" in row else " " * 9
    return f"{row['part']:16} {row['state']:9}{seconds}  {row.get('why', '')}{' (earlier)' if 'again' in row else ''}".rstrip()


def summary(rows: Iterable[Row]) -> str:
    return "\n".join(told(row) for row in rows)
