"""Every kernel of accel/kernels, launched on small runs: what a sanitizer is given to watch.

    compute-sanitizer --tool memcheck python -m tests.bench.small_runs --backend cupy

The tiny cases of the bench, both dtypes, and what no case of it reaches; tests/bench/test_device.py counts on the stand-in that
no kernel is left out.
"""
import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import autograd.numpy as anp
import numpy as np

from evenflow import accel
from evenflow.reference.core.gradients import value_and_gradient
from evenflow.reference.core.placement import placed, streams
from evenflow.reference.core.trees import Array, tree_map
from evenflow.reference.ebm.energies import EBM, MLPEnergy
from evenflow.reference.flows.densities import Normal
from evenflow.reference.flows.spline import knots, rational_quadratic_spline, rational_quadratic_spline_inverse
from evenflow.reference.mcmc.contract import walk
from evenflow.reference.mcmc.hmc import HMC
from evenflow.reference.mcmc.langevin import MALA, ULA
from evenflow.reference.mcmc.metropolis import RandomWalk
from evenflow.reference.scores import energy_score
from evenflow.reference.scores.crps import erf_entries
from evenflow.reference.work.estimators import FlowEstimator
from tests.bench.cases import TINY, energy, sliced
from tests.bench.inputs import make
from tests.bench.peers.evenflow import prepare


def cases(dtype: str) -> None:
    for case in (*TINY, energy(300, 3), energy(150, 40), sliced(9000, 2, 1)):  # more than one block of pairs
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
    raw = placed(np.linspace(-1, 1, 12).reshape(3, 4), dtype)
    for spline in (rational_quadratic_spline, rational_quadratic_spline_inverse):
        def total(raw: Array, spline: Callable[..., Any] = spline) -> Array:
            ends = knots(raw, -5.0, 5.0)
            return anp.sum(sum(spline(placed(np.linspace(-6, 6, 3), dtype), ends, ends, anp.exp(0.1 * ends))))

        value_and_gradient(total, raw)


def trainings(dtype: str) -> None:
    """Every family, some steps: recorded and replayed."""
    x = np.random.default_rng(0).standard_normal((40, 4))
    for family, choices in TRAINED:
        FlowEstimator(family, steps=5, batch=16, dtype=dtype, random_state=0, **choices).fit(x).sample(3)


def walks(dtype: str) -> None:
    """Every move; and as many chains as it takes for every tile that a thread may be given (kernels/network.py)."""
    ebm, rng = EBM(MLPEnergy(2, (9, 5)), Normal(2)), np.random.default_rng(0)
    p = partial(ebm.log_density, placed(ebm.init(rng), dtype))
    moves: tuple[Any, ...] = (MALA(0.1), ULA(0.1), RandomWalk(0.1), HMC(0.1, 2))
    for chains in (20, 2_000, 5_000, 10_000, 20_000):
        for kernel in moves if chains == 20 else moves[:1]:
            state = kernel.init(placed(rng.standard_normal((chains, 2)), dtype), p)
            walk(kernel, state, [placed(kernel.noise(rng, chains, 2), dtype) for _ in range(2)], p)


TRAINED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("realnvp", {"layers": 2, "hidden": (8,)}), ("realnvp", {"layers": 2, "hidden": (200, 200), "average_decay": 0.9}),
    ("spline", {"layers": 2, "hidden": (200, 200)}), ("maf", {"layers": 2, "hidden": (8,)}), ("dense", {"layers": 2}),
    ("saef", {"blocks": 2, "layers": 2, "hidden": (8,)}), ("aqf", {"hidden": (8,)}),
)
RUNS: tuple[Callable[[str], None], ...] = (cases, noise, functions, trainings, walks)


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
