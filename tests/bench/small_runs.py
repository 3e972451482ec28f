"""Every kernel of accel/kernels, launched on small runs: what a sanitizer is given to watch.

    compute-sanitizer --tool memcheck python -m tests.bench.small_runs --backend cupy

The tiny cases of the bench, both dtypes, and what no case of it reaches; tests/bench/test_device.py counts on the stand-in that
no kernel is left out.
"""
import argparse
from collections.abc import Callable

import numpy as np

from evenflow import accel
from evenflow.reference.core.placement import placed, streams
from evenflow.reference.core.trees import tree_map
from evenflow.reference.scores import energy_score
from evenflow.reference.scores.crps import erf_entries
from tests.bench.cases import TINY, energy
from tests.bench.inputs import make
from tests.bench.peers.evenflow import prepare


def cases(dtype: str) -> None:
    for case in (*TINY, energy(300, 3), energy(150, 40)):  # more than one block of pairs
        inputs = tree_map(lambda leaf: leaf.astype(dtype) if leaf.dtype.kind == "f" else leaf, make(case.kind, case.sizes))
        work = prepare(case.kind, case.sizes, inputs)
        work.outputs(work.call())


def noise(dtype: str) -> None:
    """Drawn on the device, odd sizes too."""
    rng = streams(np.random.default_rng(0), dtype)
    for n in (1, 7, 1000):
        rng.standard_normal((n, 3))
        rng.random(n)


def functions(dtype: str) -> None:
    x = placed(np.linspace(-3, 3, 301), dtype)
    erf_entries(x)
    energy_score(placed(np.ones((3, 4, 2)), dtype), placed(np.zeros((4, 2)), dtype), 0.5)


RUNS: tuple[Callable[[str], None], ...] = (cases, noise, functions)


def run() -> None:
    for dtype in ("float32", "float64"):
        for small in RUNS:
            small(dtype)
    accel.synchronise()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", required=True)
    with accel.use(parser.parse_args().backend):
        run()
