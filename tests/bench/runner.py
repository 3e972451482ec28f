"""Side by side: every case, every peer, round by round, the same numbers for all; the result is plain JSON.

In each round each peer makes some calls, one peer after the other, and the round counts by the median of its calls. What is
compared later are times of the same round, so whatever slows the machine down slows all peers down.
"""
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from evenflow.reference.core.trees import Tree
from evenflow.reference.work.files import save
from tests.bench.cases import Case
from tests.bench.checking import asked, errors, limit, worth
from tests.bench.inputs import make
from tests.bench.processes import PEERS, Peer, Process, Unavailable
from tests.bench.tree import made_from

ROUND = 0.05      # seconds of calls that a peer makes in a round, at least one call
PATIENCE = 6.0    # seconds for all its rounds of a case
COLD_STARTS = 3
MEASURED = ("energy", "sliced", "distance", "image", "convolution")  # kinds of cases whose memory is asked for

Say = Callable[[str], None]
Json = dict[str, Any]


def run(
    suite: str, cases: Iterable[Case], peers: Mapping[str, Peer], rounds: int, least_calls: int, say: Say,
    keep: Callable[[Json], None] = lambda result: None, before: Iterable[Json] = (), cold: bool = True,
) -> Json:
    """least_calls: in each round. The first case is also the one that cold starts are measured with.

    keep is given all that is known after each case; before: rows of an earlier run from the same tree, not to be timed again.
    """
    cases, done = list(cases), {row["case"]: row for row in before}
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        living, about = {}, {}
        for name, peer in peers.items():
            try:
                process = stack.enter_context(Process(peer))
                about[name] = process.ask({"do": "about"})
                living[name] = process
            except Unavailable as error:
                about[name] = {"unavailable": str(error)}
            say(f"{name}: {about[name]}")
        bench = Bench(stack, living, peers, Path(folder), rounds, least_calls)
        result: Json = {"suite": suite, **made_from(), "machine": machine(), "about": about, "rounds": rounds}
        result |= {"rows": [], "cold": {}}
        for case in cases:
            result["rows"].append(done.get(case.name) or bench.row(case))
            say(f"{case.name}: {brief(result['rows'][-1])}")
            keep(result)
        if cold:
            result["cold"] = cold_starts(cases[0], {name: peers[name] for name in living}, Path(folder))
            keep(result)
    return result


class Bench:
    """One run: the processes and the folder through which numbers pass."""

    def __init__(
        self, stack: ExitStack, living: dict[str, Process], peers: Mapping[str, Peer], folder: Path, rounds: int,
        least_calls: int,
    ) -> None:
        self.stack, self.living, self.peers, self.folder = stack, living, peers, folder
        self.rounds, self.least_calls = rounds, least_calls
        self.oracles: dict[str, Process] = {}

    def row(self, case: Case) -> Json:
        """All that is known of one case."""
        inputs = make(case.kind, case.sizes)
        save(self.folder / "inputs.npz", inputs)
        right = self.right(case.oracle, PEERS[case.oracle], case)
        results, without = {}, dict(case.without)
        for name, process in self.living.items():
            try:
                if name in without:
                    raise Unavailable(without[name])
                results[name] = self.begun(name, process, case, inputs, right)
            except Unavailable as error:
                results[name] = {"unavailable": str(error)}
        self.time([name for name in results if results[name].get("calls")], results)
        for name, result in results.items():
            if name not in case.once and result.get("calls") and case.kind in MEASURED:
                result["peak_bytes"] = self.living[name].ask({"do": "memory"})["peak"]
        return {"case": case.name, "steps": case.steps, "floor": case.floor(), "results": results}

    def right(self, name: str, peer: Peer, case: Case) -> dict[str, Any]:
        """The results in float64, by a process that is kept for the next case."""
        if name not in self.oracles:
            self.oracles[name] = self.stack.enter_context(Process(peer, alone=False))
        return first(self.oracles[name], case, self.folder, "float64")[1]

    def begun(self, name: str, process: Process, case: Case, inputs: Tree, right: Mapping[str, Any]) -> Json:
        """The first call, checked; and how many calls make a round. Only what is right is timed."""
        peer, chains = self.peers[name], case.kind in ("zones", "flowmc")
        if peer.own and not chains:
            right = self.right(f"{name} itself", peer, case)
        seconds, found = first(process, case, self.folder, "float32")
        value = worth(found["path"]) if chains else {}
        off = {"zones": value["zone_error"]} if peer.own and chains else errors(found, asked(right, found, inputs))
        result: Json = {"first": seconds, "errors": off, **value}
        if not max(off.values()) < (value["zone_limit"] if peer.own and chains else limit(peer.eps)):
            return {**result, "wrong": max(off, key=lambda key: off[key])}
        if name in case.once:
            return {**result, "samples": [seconds]}
        reply = process.ask({"do": "time", "calls": 1})
        again, units = reply["seconds"][0], reply["units"]
        calls = max(1, max(self.least_calls, min(100, round(ROUND / again))) // units)
        rounds = max(1, min(self.rounds, round(PATIENCE / (calls * units * again))))
        return {**result, "calls": calls, "rounds": rounds, "samples": []}

    def time(self, names: list[str], results: Mapping[str, Json]) -> None:
        """The rounds. Who begins a round changes from one to the next."""
        for k in range(self.rounds):
            for name in names[k % len(names):] + names[: k % len(names)] if names else []:
                result = results[name]
                if k < result["rounds"]:
                    seconds = self.living[name].ask({"do": "time", "calls": result["calls"]})["seconds"]
                    result["samples"].append(median(seconds))


def first(process: Process, case: Case, folder: Path, dtype: str) -> tuple[float, dict[str, Any]]:
    """Seconds of the first call, and what came out."""
    outputs = folder / "outputs.npz"
    request = {"kind": case.kind, "sizes": case.sizes, "inputs": str(folder / "inputs.npz"), "outputs": str(outputs)}
    reply = process.ask({"do": "first", "dtype": dtype, **request})
    with np.load(outputs) as file:
        return reply["first"], dict(file)


def cold_starts(case: Case, peers: Mapping[str, Peer], folder: Path) -> dict[str, list[float]]:
    """Seconds from nothing to the first call's result, process start and imports included, in turn."""
    save(folder / "inputs.npz", make(case.kind, case.sizes))
    taken: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(COLD_STARTS):
        for name, peer in peers.items():
            start = time.perf_counter()
            with Process(peer) as process:
                try:
                    first(process, case, folder, "float32")
                    taken[name].append(time.perf_counter() - start)
                except Unavailable:
                    pass
    return taken


def brief(row: Json) -> str:
    """For the terminal: milliseconds of the median round, of the peers that have the case."""
    told = {}
    for name, result in row["results"].items():
        if result.get("unavailable", "").startswith("not written"):
            continue
        said = result.get("unavailable") or ("WRONG" if "wrong" in result else None)
        told[name] = said or f"{1e3 * median(result['samples']) / row['steps']:.3g} ms"
    return ", ".join(f"{name} {said}" for name, said in told.items())


def machine() -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    models = {line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")} if (
        info.exists()) else {platform.processor()}
    return {"cpu": ", ".join(sorted(models)), "cores": os.cpu_count(), "system": platform.system(), "threads": 1}
