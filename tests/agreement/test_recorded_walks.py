"""Walks, single steps, densities and i-SIR in a recording: they give what they give eagerly, of what changed since as well."""
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from evenflow.accel import kernels
from evenflow.accel.buffers import packed
from evenflow.accel.recording import NEVER, Recorder, noting
from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array
from evenflow.reference.ebm.energies import EBM, MLPEnergy
from evenflow.reference.flows.densities import Normal
from evenflow.reference.mcmc import contract, independence, langevin
from evenflow.reference.mcmc.hmc import HMC
from evenflow.reference.mcmc.langevin import MALA, ULA
from evenflow.reference.mcmc.metropolis import RandomWalk
from tests.agreement.backends import backend
from tests.standin import counting, xp
from tests.strategies import generator, randomise

EBM_ = EBM(MLPEnergy(2, (6, 5)), Normal(2))


class Fixed:
    """A flow whose proposals and their log densities are its noise."""

    def sample_and_log_prob(self, params: Any, noise: Any) -> tuple[Array, Array]:
        return noise["x"], noise["log_lambda"]


def step_of(kind: type, *others: Any) -> Callable[..., Any]:
    def step(p: Any, at: Any) -> Any:
        kernel = kind(at["step_size"], *others)
        state = langevin.start(at["x"], p) if kind is not RandomWalk else kernel.init(at["x"], p)
        noises = [{"normal": at["normal"][k], "uniform": at["uniform"][k]} for k in range(2)]
        given = [{"normal": noise["normal"]} for noise in noises] if kind is ULA else noises
        after, path, accepted = contract.walk(kernel, state, given, p)
        return [*after, path, accepted, *kernel.step(after, given[0], p)[0]]

    return step


def isir(p: Any, at: Any) -> Any:
    state = independence.State(at["x"], p(at["x"]), at["uniform"][1])
    flow: Any = Fixed()
    after, choice = independence.isir(state, {"x": at["far"], "log_lambda": at["log_lambda"]}, at["uniform"][0], p, flow, {})
    return [*after, *choice]


def drawn(p: Any, at: Any) -> Any:
    return [kernels.normal(xp, at["seed"], (3, 2), np.float32), kernels.uniform(xp, 7, (5,), np.float64, at["seed"])]


STEPS: dict[str, Callable[..., Any]] = {
    "mala": step_of(MALA), "ula": step_of(ULA), "random walk": step_of(RandomWalk), "hmc": step_of(HMC, 2), "isir": isir,
    "density": lambda p, at: [p(at["x"]), *contract.density_and_gradient(at["x"], p)], "noise": drawn,
}


def inputs(seed: int) -> dict[str, Array]:
    rng = generator(seed)
    shapes = {"x": (5, 2), "normal": (2, 5, 2), "far": (15, 2), "log_lambda": (15,)}
    at = {name: xp.asarray(rng.standard_normal(shape).astype(np.float32)) for name, shape in shapes.items()}
    step_size, key = np.float32(0.05 * (1 + seed)), np.uint64(2**60 + seed)
    return {**at, "uniform": xp.asarray(rng.random((2, 5)).astype(np.float32)), "step_size": xp.asarray(step_size),
            "seed": xp.asarray(key)}


@pytest.mark.parametrize("name", STEPS)
def test_what_is_played_back_is_what_is_computed(name: str) -> None:
    step = STEPS[name]
    with backend("standin"):
        params = packed(placed(randomise(EBM_.init(generator(0)), generator(0), 0.5), "float32"))
        p, there = partial(EBM_.log_density, params), inputs(0)
        step(p, there)  # compiles, and sends to the device what stays there
        stream, recorder = xp.cuda.Stream(), Recorder(xp, generator(0), 0)
        with stream, xp.cuda.using_allocator(None), noting(recorder):
            stream.begin_capture()
            out = step(p, there)
            graph = stream.end_capture()
        for seed in (0, 1, 2):
            for part, new in zip(there.values(), inputs(seed).values(), strict=True):
                part[...] = new
            params[0]["W"] *= 1.5
            with counting() as count:
                graph.launch()
            assert (count.uploads, count.synchronisations) == (0, 0)
            assert recorder.first.get() == NEVER
            expected = step(p, there)
            assert all(np.array_equal(a.get(), b.get()) for a, b in zip(out, expected, strict=True))
        if name != "noise":
            there["x"][2, 1] = np.inf
            params[0]["W"] *= np.inf
            graph.launch()
            assert recorder.first.get() == 0
