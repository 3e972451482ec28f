"""Training steps as a training makes them: in stretches, which the backend cupy records once as a graph and replays.

The first call makes one step, to be checked; every later one a stretch of STRETCH steps, and its time counts per step. What is
not a training has nothing to record and is that of evenflow.py.
"""
from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
import numpy as np

from evenflow import accel
from evenflow.accel.backends import module_of
from evenflow.reference.core.gradients import value_and_gradient
from evenflow.reference.core.looking import per_step
from evenflow.reference.core.optim import Adam, constant
from evenflow.reference.core.trees import Array, Tree, as_arrays
from evenflow.reference.ebm import Rates
from evenflow.reference.ebm.flowmc import State as EBMState
from evenflow.reference.work.checkpoints import State
from evenflow.reference.work.stretches import Advance, Report, stretched
from evenflow.reference.work.training import STRETCH, Settings, advance
from tests.bench import models
from tests.bench.peers import evenflow
from tests.bench.peers.evenflow import on_host, precise
from tests.bench.peers.protocol import RATE, Work, flat, stepped


class Stretches:
    """Steps from a State on: one, then stretches."""

    def __init__(self, step: Advance, start: State) -> None:
        self.make, self.state, self.begun = stretched(step), start, False

    def __call__(self) -> tuple[State, Report]:
        steps, self.begun = STRETCH if self.begun else 1, True
        *_, (after, report) = self.make(self.state, steps)
        assert after is not None
        self.state = after
        accel.synchronise()
        return after, report


def training(loss: Callable[[Tree], Array], inputs: Tree) -> Work:
    settings = Settings(10**9, schedule=constant(RATE), optimiser=Adam(), clip=None)
    start = State(0, as_arrays(inputs["params"]), as_arrays(inputs["optimiser"]), None, np.random.default_rng(0))

    def outputs(done: tuple[State, Report]) -> dict[str, Any]:
        """The gradient is not among what a training keeps: it is computed once more, by the same kernels."""
        gradient = value_and_gradient(loss, start.params)[1]
        return stepped(done[1].loss, *(on_host(tree) for tree in (gradient, start.params, done[0].params)))

    return Work(Stretches(lambda state: advance(state, loss, lambda rng: (), settings), start), outputs, STRETCH)


def flow(sizes: dict[str, Any], inputs: Tree) -> Work:
    model = models.flow(sizes)
    return training(lambda params: -anp.sum(model.log_prob(params, inputs["x"])) / len(inputs["x"]), inputs)


def saef(sizes: dict[str, Any], inputs: Tree) -> Work:
    model, objective = models.saef(sizes)
    return training(lambda params: objective(params, model, inputs["x"], {"z": inputs["z"]}, inputs["context"]), inputs)


def image(sizes: dict[str, Any], inputs: Tree) -> Work:
    model, objective = models.image(sizes)
    return training(lambda params: objective(params, model, inputs["x"], inputs["noise"]), inputs)


def ebm(sizes: dict[str, Any], inputs: Tree) -> Work:
    algorithm = models.ebm(sizes)
    start, positives = State(0, as_arrays(inputs["state"]), {}, None, np.random.default_rng(0)), inputs["positives"]
    noise = {**inputs["noise"], "chosen": module_of(positives).asarray(inputs["noise"]["chosen"])}  # no copies while recording

    def step(state: State) -> tuple[State, Report]:
        rate = per_step(lambda step: RATE, state.step)
        after, info = algorithm.step(EBMState(**state.params), positives, noise, Rates(rate, rate))
        report = Report(info["contrast"], RATE, info["gradient_norm"])
        return state._replace(step=state.step + 1, params=as_arrays(after._asdict())), report

    def outputs(done: tuple[State, Report]) -> dict[str, Any]:
        after = done[0].params
        change = {name: flat(on_host(after[name])) - flat(on_host(inputs["state"][name])) for name in ("energy", "flow")}
        return {**change, "path": accel.to_host(after["chains"])[None]}

    return Work(Stretches(step, start), outputs, STRETCH)


KINDS: dict[str, Callable[[dict[str, Any], Tree], Work]] = {"flow": flow, "saef": saef, "image": image, "ebm": ebm}


def prepare(kind: str, sizes: dict[str, Any], inputs: Tree) -> Work:
    return KINDS[kind](sizes, precise(inputs)) if kind in KINDS else evenflow.prepare(kind, sizes, inputs)
