r"""How time and memory grow: with n, d, the number of blocks B, the number of chains. One machine, one backend, one thread.

    python -m tests.bench scale --out docs/results/bench-scale.json [--backend numpy] [--picture docs/images/scale.png]

A sweep makes the same work at growing sizes. The slope is that of the least squares line through the last FITTED points,

$$\log t = a + b \log \text{size},$$

before which overhead that does not grow is part of the time. Of each size the fastest of some calls counts, on the host by the
processor time of this process, which what else runs on the machine takes no part in; the peak is what
NumPy (on a device: the pool) holds at most during a call, inputs not counted. The file is whole after each point, and points
that it holds from the same tree and backend are not done again.
"""
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evenflow import accel
from evenflow.reference.core.placement import placed
from evenflow.reference.work.flow_model import FlowModel
from evenflow.reference.work.options import Config
from tests.bench import cases, models
from tests.bench.inputs import make, moved
from tests.bench.peers.evenflow import memory, prepare
from tests.bench.plan import write
from tests.bench.runner import machine
from tests.bench.tree import made_from

FITTED = 3
LONG, PATIENCE = 1.0, 2.0  # seconds: a call that is not repeated; all repeats of a size
Call = Callable[[], Any]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Sweep:
    name: str
    axis: str                       # what grows
    sizes: tuple[int, ...]
    build: Callable[[int], Call]
    expected: str                   # the slope that the algorithm asks for
    more: tuple[int, ...] = ()      # sizes for a device alone


def of(case: cases.Case) -> Call:
    return prepare(case.kind, case.sizes, make(case.kind, case.sizes)).call


def chunks(n: int) -> Call:
    """A user's `sample`, noise included: 4,096 rows at a time."""
    model = FlowModel.of(Config("realnvp"), 2, 0)
    params = placed(moved(model.flow.init(np.random.default_rng(0)), np.random.default_rng(1)), "float32")

    def call() -> Any:
        done = model.sample(params, n, np.random.default_rng(2))
        accel.synchronise()
        return done

    return call


def generated(blocks: int) -> Call:
    """256 digits from SAEF: a pass of the context network for each block."""
    inputs = placed(make("saef", {"blocks": blocks, "batch": 256}), "float32")
    flow, z = models.saef({"blocks": blocks})[0], inputs["z"][:256]

    def call() -> Any:
        done = flow.sample(inputs["params"], z, inputs["context"])
        accel.synchronise()
        return done

    return call


SWEEPS = (
    Sweep("energy score and gradient, n = m, d = 2", "n", (1_000, 3_000, 10_000, 30_000, 100_000),
          lambda n: of(cases.energy(n, 2)), "2", (300_000, 1_000_000)),
    Sweep("sliced energy score and gradient, d = 16, 32 directions", "n", (1_000, 3_000, 10_000, 30_000, 100_000),
          lambda n: of(cases.sliced(n, 16, 32)), "1 and a logarithm"),
    Sweep("flow step, d = 2, batch n", "n", (256, 1_024, 4_096, 16_384, 65_536), lambda n: of(cases.flow(n)), "1"),
    Sweep("samples of a flow in chunks, d = 2", "n", (10_000, 30_000, 100_000, 300_000, 1_000_000), chunks, "1"),
    Sweep("energy score and gradient, n = m = 2,048", "d", (2, 8, 32, 128, 512), lambda d: of(cases.energy(2048, d)), "1"),
    Sweep("flow step, batch 256, layers as wide as 4 d", "d", (16, 32, 64, 128, 256),
          lambda d: of(cases.flow(256, d, 4, 4 * d)), "2"),
    Sweep("SAEF training step, batch 128", "B", (1, 2, 4, 8, 16, 32), lambda B: of(cases.saef(B)), "0 to 1"),
    Sweep("SAEF, 256 samples", "B", (1, 2, 4, 8, 16, 32), generated, "1 to 2"),
    Sweep("MALA, the papers' energy, two steps", "chains", (100, 1_000, 10_000, 100_000),
          lambda chains: of(cases.papers(chains, 2)), "1", (1_000_000,)),
)


def measured(call: Call, clock: Callable[[], float] = time.process_time) -> dict[str, float]:
    """Seconds of the fastest call, and the peak."""
    seconds = [timed(call, clock)]
    while seconds[0] < LONG and sum(seconds) < PATIENCE and len(seconds) < 20:
        seconds.append(timed(call, clock))
    return {"seconds": min(seconds), "peak": memory(call)}


def timed(call: Call, clock: Callable[[], float]) -> float:
    start = clock()
    call()
    return clock() - start


def run(out: Path, backend: str, say: Say, sweeps: tuple[Sweep, ...] = SWEEPS) -> dict[str, Any]:
    origin = {"suite": "scale", "backend": backend, **made_from(), "machine": machine()}
    points: dict[str, dict[str, dict[str, float]]] = {}
    if out.exists() and (before := json.loads(out.read_text())) and all(before.get(k) == v for k, v in origin.items()):
        points = before["points"]
    result: dict[str, Any] = {}
    with accel.use(backend):
        details = {row.backend: row.details for row in accel.available()}[backend]
        for sweep in sweeps:
            done = points.setdefault(sweep.name, {})
            for size in sweep.sizes + (sweep.more if backend == "cupy" else ()):
                if str(size) not in done:
                    clock = time.perf_counter if backend == "cupy" else time.process_time
                    done[str(size)] = measured(sweep.build(size), clock)
                    say(f"{sweep.name}, {sweep.axis} = {size:,}: {done[str(size)]}")
                result = {**origin, "about": {backend: {"versions": details}}, "points": points}
                write(out, result)
    return result


def line(points: dict[str, dict[str, float]], what: str = "seconds") -> tuple[float, float]:
    """b and a of the formula, through the last FITTED points."""
    sizes = sorted(points, key=int)[-FITTED:]
    x = [math.log(int(size)) for size in sizes]
    y = [math.log(max(points[size][what], 1e-12)) for size in sizes]
    b, a = np.polyfit(x, y, 1)
    return float(b), float(a)
