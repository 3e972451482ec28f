"""Whether the code has become slower, by what a busy machine cannot disturb. python -m tests.bench guard [--record]

    instructions   of a call on `numpy`, counted by callgrind: at most MORE of what is written down
    launches       of a warm call on the stand-in for a device, and how often the host waits or sends: exactly as written down
    ratio          the time of PyTorch, eager, over that of `numpy`, round by round: at least a floor far below what is claimed

What is expected stands in guard.json; --record writes it anew. Counts of instructions hold for one version of Python, NumPy and
autograd; with others, or without callgrind or torch, that part is skipped and says so.
"""
import json
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.cases import TINY, Case, energy, flow, sliced
from tests.bench.instructions import Uncounted, counted
from tests.bench.plan import write
from tests.bench.processes import chosen

FILE = Path(__file__).with_name("guard.json")
MORE = 1.03  # repeats within 0.005; other minor versions of libc and BLAS are let pass
FLOORS: dict[Case, float] = {flow(256): 0.7, energy(4096, 2): 1.5, sliced(4096, 64): 1.0}  # claimed: twice as much

Say = Callable[[str], None]
Expected = dict[str, Any]


def guard(say: Say, record: bool = False) -> int:
    """0 where nothing is worse than written down, 1 where something is."""
    if record:
        write(FILE, {"versions": versions(), "instructions": counted(), "device": on_the_standin()})
        return 0
    expected: Expected = json.loads(FILE.read_text())
    worse = [*instructions(expected, say), *device(expected, on_the_standin()), *ratios(say)]
    for line in worse:
        say(f"guard: {line}")
    say(f"guard: {len(worse)} worse" if worse else "guard: nothing is worse")
    return 1 if worse else 0


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), "numpy": version("numpy"), "autograd": version("autograd")}


def instructions(expected: Expected, say: Say) -> list[str]:
    if expected["versions"] != versions():
        say(f"guard: instructions skipped: they are written down for {told(expected['versions'])}, here is {told(versions())}")
        return []
    try:
        return more_instructions(expected["instructions"], counted())
    except Uncounted as error:
        say(f"guard: instructions skipped: {error}")
        return []


def told(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in found.items())


def more_instructions(expected: dict[str, int], found: dict[str, int]) -> list[str]:
    worse = [f"{name}: no longer counted" for name in expected if name not in found]
    for name, number in found.items():
        if name not in expected:
            worse.append(f"{name}: not written down; --record does it")
        elif number > MORE * expected[name]:
            worse.append(f"{name}: {number / expected[name]:.3f} times as many instructions, {number:,}")
    return worse


def on_the_standin() -> dict[str, dict[str, int]]:
    """Case -> launches, waits and uploads of a warm call."""
    from tests.agreement.backends import backend
    from tests.bench.inputs import make
    from tests.bench.peers.evenflow import prepare
    from tests.standin import counting

    found = {}
    with backend("standin", "device"):
        for case in TINY:
            work = prepare(case.kind, case.sizes, make(case.kind, case.sizes))
            for _ in range(2):
                work.call()
            with counting() as count:
                work.call()
            found[case.name] = {
                "launches": count.launches, "waits": count.synchronisations, "uploads": count.uploads,
            }
    return found


def device(expected: Expected, found: dict[str, dict[str, int]]) -> list[str]:
    """Exactly: what is fewer is to be written down, so that it stays."""
    before = expected["device"]
    pairs = [(name, before.get(name, {}), found.get(name, {})) for name in {**before, **found}]
    return [
        f"{name}: {now.get(what)} {what}, {was.get(what)} expected; --record where that is meant"
        for name, was, now in pairs for what in {**was, **now} if was.get(what) != now.get(what)
    ]


def ratios(say: Say, floors: dict[str, float] | None = None, peer: str = "torch") -> list[str]:
    """Medians of interleaved rounds against the floors. numpy begins, then the other, and so on."""
    from tests.bench.runner import run
    cases = list(FLOORS)
    found = run("cpu", cases, chosen(["numpy", peer], {}), 7, 1, lambda said: None, cold=False)
    if "unavailable" in found["about"][peer]:
        say(f"guard: ratios skipped: {found['about'][peer]['unavailable']}")
        return []
    return below(found["rows"], floors or {case.name: floor for case, floor in FLOORS.items()}, peer)


def below(rows: list[dict[str, Any]], floors: dict[str, float], peer: str) -> list[str]:
    worse = []
    for row in rows:
        own, other = row["results"]["numpy"], row["results"][peer]
        for name, result in (("numpy", own), (peer, other)):
            if "samples" not in result:
                worse.append(f"{row['case']}: {name} is {result.get('unavailable') or 'wrong'}")
        if "samples" in own and "samples" in other:
            ratio = median(b / a for a, b in zip(own["samples"], other["samples"], strict=False))
            if ratio < floors[row["case"]]:
                worse.append(f"{row['case']}: {peer} takes {ratio:.2f} of our time, at least {floors[row['case']]} expected")
    return worse
