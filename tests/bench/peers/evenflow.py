"""evenflow itself under one of its backends: python -m tests.bench.peers.evenflow --backend numpy [--recorded]"""
import argparse
import tracemalloc
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import autograd.numpy as anp
import numpy as np

from evenflow import accel
from evenflow.accel.backends import devices
from evenflow.reference.core import conv2d
from evenflow.reference.core.gradients import value_and_gradient
from evenflow.reference.core.optim import Adam
from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.ebm import Rates
from evenflow.reference.ebm.energies import EBM
from evenflow.reference.ebm.flowmc import State as EBMState
from evenflow.reference.flows.densities import Normal
from evenflow.reference.mcmc.contract import LogDensity, walk
from evenflow.reference.mcmc.flowmc import FlowMC
from evenflow.reference.mcmc.independence import IndependentMH
from evenflow.reference.mcmc.langevin import MALA
from evenflow.reference.saef.semiautoregressive import SemiAutoregressive
from evenflow.reference.scores import energy_distance, energy_score, sliced_energy_score
from tests.bench import models
from tests.bench.peers.protocol import RATE, Peer, Work, flat, leaves, serve, stepped


def on_host(tree: Tree) -> list[Array]:
    return leaves(accel.to_host(tree))


def training(loss: Any, inputs: Tree) -> Work:
    """Value, gradient and Adam's step, from step to step."""
    state = [inputs["params"], inputs["optimiser"]]

    def call() -> Any:
        before, optimiser = state
        value, gradient = value_and_gradient(loss, before)
        state[:] = Adam().update(before, gradient, optimiser, RATE)
        accel.synchronise()
        return value, gradient, before, state[0]

    return Work(call, lambda done: stepped(accel.to_host(done[0]), *map(on_host, done[1:])))


def flow(sizes: dict[str, Any], inputs: Tree) -> Work:
    model = models.flow(sizes)
    return training(lambda params: -anp.sum(model.log_prob(params, inputs["x"])) / len(inputs["x"]), inputs)


def saef(sizes: dict[str, Any], inputs: Tree) -> Work:
    model, objective = models.saef(sizes)
    noise = {"z": inputs["z"]}
    return training(lambda params: objective(params, model, inputs["x"], noise, inputs["context"]), inputs)


def image(sizes: dict[str, Any], inputs: Tree) -> Work:
    model, objective = models.image(sizes)
    return training(lambda params: objective(params, model, inputs["x"], inputs["noise"]), inputs)


def places(sizes: dict[str, Any], inputs: Tree) -> Work:
    model, _ = models.image(sizes)
    generate = SemiAutoregressive.generate if sizes["whole"] else type(model.bijection).generate

    def call() -> Array:
        x = generate(model.bijection, inputs["params"], inputs["z"])[0]
        accel.synchronise()
        return x

    return Work(call, lambda x: {"x": flat(on_host(x))})


def convolution(sizes: dict[str, Any], inputs: Tree) -> Work:
    """A sum of all outputs with weights, and its gradient in image, kernel and bias."""
    given = {name: inputs[name] for name in ("W", "b", "x")}

    def call() -> Any:
        done = value_and_gradient(lambda a: anp.sum(conv2d(a["x"], a["W"], a["b"]) * inputs["g"]), given)
        accel.synchronise()
        return done

    return Work(call, lambda done: {"value": np.asarray(accel.to_host(done[0])), "gradient": flat(on_host(done[1]))})


def sample(sizes: dict[str, Any], inputs: Tree) -> Work:
    model = models.flow(sizes)

    def call() -> Array:
        x = model.sample(inputs["params"], inputs["z"])
        accel.synchronise()
        return x

    return Work(call, lambda x: {"x": flat(on_host(x))})


def scored(score: Any, inputs: Tree) -> Work:
    """The mean score of all observations and its gradient in the draws."""
    def call() -> Any:
        done = value_and_gradient(lambda draws: anp.sum(score(draws, inputs["y"])) / len(inputs["y"]), inputs["draws"])
        accel.synchronise()
        return done

    return Work(call, lambda done: {"value": np.asarray(accel.to_host(done[0])), "gradient": flat(on_host(done[1]))})


def sliced(sizes: dict[str, Any], inputs: Tree) -> Work:
    return scored(lambda draws, y: sliced_energy_score(draws, y, inputs["directions"]), inputs)


def walked(log_density: LogDensity, inputs: Tree, step_size: float) -> Work:
    """All steps of MALA for which there is noise, from the same start each time."""
    kernel = MALA(step_size)
    start = kernel.init(inputs["x"], log_density)

    def call() -> Array:
        path = walk(kernel, start, inputs["noises"], log_density)[1]
        accel.synchronise()
        return path

    return Work(call, lambda path: {"path": accel.to_host(path)})


def mala(sizes: dict[str, Any], inputs: Tree) -> Work:
    model = EBM(models.energy(sizes), Normal(2))
    return walked(partial(model.log_density, inputs["params"]), inputs, sizes["step_size"])


def zones(sizes: dict[str, Any], inputs: Tree) -> Work:
    return walked(models.TARGET.log_prob, inputs, sizes["step_size"])


def flowmc(sizes: dict[str, Any], inputs: Tree) -> Work:
    flow, log_p = models.flowmc(sizes), models.TARGET.log_prob
    kernel = FlowMC(((MALA(sizes["step_size"]), sizes["local"]), (IndependentMH(flow, inputs["params"]), sizes["global"])))

    def call() -> list[Array]:
        state, path = kernel.init(inputs["x"], log_p), []
        for noise in inputs["sweeps"]:
            state, sweep = kernel.step(state, noise, log_p)
            path.append(sweep.trace)
        accel.synchronise()
        return path

    return Work(call, lambda path: {"path": np.concatenate(on_host(path))})


def ensembles(sizes: dict[str, Any], inputs: Tree) -> Work:
    def call() -> Array:
        done = energy_score(inputs["draws"], inputs["y"])
        accel.synchronise()
        return done

    return Work(call, lambda done: {"score": flat(on_host(done))})


def distance(sizes: dict[str, Any], inputs: Tree) -> Work:
    def call() -> Any:
        done = value_and_gradient(lambda x: energy_distance(x, inputs["y"], estimator="V"), inputs["draws"])
        accel.synchronise()
        return done

    return Work(call, lambda done: {"value": np.asarray(accel.to_host(done[0])), "gradient": flat(on_host(done[1]))})


def ebm(sizes: dict[str, Any], inputs: Tree) -> Work:
    algorithm = models.ebm(sizes)
    state = EBMState(**inputs["state"])

    def call() -> Any:
        after, _ = algorithm.step(state, inputs["positives"], inputs["noise"], Rates(RATE, RATE))
        accel.synchronise()
        return after

    def moved(after: Any) -> dict[str, Any]:
        def change(name: str) -> Array:
            return flat(on_host(getattr(after, name))) - flat(on_host(inputs["state"][name]))

        return {"energy": change("energy"), "flow": change("flow"), "path": accel.to_host(after.chains)[None]}

    return Work(call, moved)


KINDS: dict[str, Callable[[dict[str, Any], Tree], Work]] = {
    "flow": flow, "saef": saef, "sample": sample, "energy": lambda sizes, inputs: scored(energy_score, inputs),
    "sliced": sliced, "mala": mala, "zones": zones, "ebm": ebm, "flowmc": flowmc, "ensembles": ensembles,
    "distance": distance, "image": image, "places": places, "convolution": convolution,
}


def prepare(kind: str, sizes: dict[str, Any], inputs: Tree) -> Work:
    return KINDS[kind](sizes, precise(inputs))


def precise(inputs: Tree) -> Tree:
    """Where the backend computes, in the dtype that the inputs have."""
    return placed(inputs, np.result_type(*(leaf for leaf in leaves(inputs) if leaf.dtype.kind == "f")))


def memory(call: Callable[[], Any]) -> int:
    """On the host what NumPy allocates; on a device what its pool grows to."""
    for xp in devices() if accel.active() == "cupy" else ():
        xp.get_default_memory_pool().free_all_blocks()
        call()
        return int(xp.get_default_memory_pool().total_bytes())
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def main(change: Callable[[Work], Work] = lambda work: work) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", required=True)
    parser.add_argument("--recorded", action="store_true", help="training steps in stretches, as a training makes them")
    args = parser.parse_args()
    ready = import_module("tests.bench.peers.recorded").prepare if args.recorded else prepare
    with accel.use(args.backend):
        details = {row.backend: row.details for row in accel.available()}
        serve(Peer(lambda: {"versions": details[args.backend]}, lambda *case: change(ready(*case)), memory))


if __name__ == "__main__":
    main()
