"""What the device does in one call of each case, and how long the host waits for it: kernels, busy time, waits.

    python -m tests.bench.profiled --out FILE

The backend is cupy; the eyes are torch's profiler, which sees all kernels of its process (CUPTI), whoever launched them. With

    wall     seconds of a call, the median of some that are not watched
    busy     the length of the union of the intervals in which a kernel, a copy or a fill runs
    waits    calls that return when the device is done, and copies to the host, which are waits too

A training step is looked at twice: replayed, as a training makes it, a whole stretch at a time, and by itself.
1 - busy / wall is the part of a call in which the device has nothing to do. The last wait of a call is the bench's own.
"""
import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from evenflow import accel
from tests.bench.cases import GPU, Case
from tests.bench.inputs import make
from tests.bench.peers import recorded
from tests.bench.peers.evenflow import prepare
from tests.bench.plan import write
from tests.bench.tree import made_from

ON_DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
WAITING = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cuStreamSynchronize", "cuCtxSynchronize")
CALLS, SHOWN = 10, 8


def measured(events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """From the events of a trace in Chrome's format, times in microseconds."""
    whole = [event for event in events if event.get("ph") == "X"]
    device = [event for event in whole if event.get("cat") in ON_DEVICE]
    host = [event["name"] for event in whole if event.get("cat") in ("cuda_runtime", "cuda_driver")]
    to_host = [event for event in device if "DtoH" in event["name"]]
    spent: Counter[str] = Counter()
    for event in device:
        spent[event["name"][:60]] += event["dur"]
    calls = Counter(event["name"][:60] for event in device)
    return {
        "kernels": sum(event["cat"] == "kernel" for event in device), "busy": 1e-6 * union(device),
        "waits": sum(name in WAITING for name in host) + len(to_host), "copies_to_host": len(to_host),
        "launches": sum("Launch" in name for name in host),
        "longest": [{"name": name, "times": calls[name], "seconds": 1e-6 * dur} for name, dur in spent.most_common(SHOWN)],
    }


def union(events: Iterable[dict[str, Any]]) -> float:
    """The length of the union of [ts, ts + dur]."""
    length, end = 0.0, float("-inf")
    for start, dur in sorted((event["ts"], event["dur"]) for event in events):
        length += max(0.0, start + dur - max(start, end))
        end = max(end, start + dur)
    return length


def traced(call: Callable[[], Any]) -> list[dict[str, Any]]:
    profiler = import_module("torch.profiler")
    with profiler.profile(activities=[profiler.ProfilerActivity.CPU, profiler.ProfilerActivity.CUDA]) as found:
        call()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.json")
        found.export_chrome_trace(str(path))
        events: list[dict[str, Any]] = json.loads(path.read_text())["traceEvents"]
    return events


def profile(case: Case, replayed: bool) -> dict[str, Any]:
    """replayed: a stretch of a training's steps instead of one step."""
    ready = recorded.prepare if replayed else prepare
    work = ready(case.kind, case.sizes, make(case.kind, case.sizes))
    for _ in range(3):
        work.call()
    seconds = []
    for _ in range(CALLS):
        start = time.perf_counter()
        work.call()
        seconds.append(time.perf_counter() - start)
    name, steps = called(case, replayed), case.steps * work.steps
    return {"case": name, "steps": steps, "wall": median(seconds), **measured(traced(work.call))}


def called(case: Case, replayed: bool) -> str:
    return f"{case.name}, replayed" if replayed else case.name


def main(out: Path) -> None:
    """The file is whole after each case; those that it holds from the same tree are not done again."""
    origin, rows = made_from(), []
    if out.exists() and (before := json.loads(out.read_text()))["tree"] == origin["tree"]:
        rows = before["profile"]
    with accel.use("cupy"):
        device = next(row.details for row in accel.available() if row.backend == "cupy")
        for case, replayed in ((case, replayed) for case in GPU for replayed in (True, False)):
            there = called(case, replayed) in {row["case"] for row in rows}
            if not there and (case.kind in recorded.KINDS or not replayed):
                rows.append(profile(case, replayed))
                write(out, {**origin, "device": device, "profile": rows})
                print(case.name, {key: value for key, value in rows[-1].items() if key not in ("case", "longest")}, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    main(parser.parse_args().out)
