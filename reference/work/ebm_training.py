r"""Training an energy-based model by any of the algorithms: the loop of training.py around `algorithm.step`; and what may come
before it, a flow trained on the data by maximum likelihood, where NT-EBM and CoopFlow begin:

$$\alpha \leftarrow \alpha + \gamma\, \nabla \tfrac1n \sum_i \log\lambda(x_i), \qquad x_i \text{ a random batch of the data.}$$
"""
import copy
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from evenflow.reference.core import Array, Tree, anywhere, as_arrays, check_all_finite, per_step, placed, streams, told
from evenflow.reference.core.checks import check_count, check_finite, check_shape
from evenflow.reference.core.optim import linear_decay
from evenflow.reference.ebm.contract import Algorithm, Rates
from evenflow.reference.flows import Flow
from evenflow.reference.saef.objectives import Likelihood
from evenflow.reference.work.checkpoints import State
from evenflow.reference.work.stretches import Report
from evenflow.reference.work.training import Settings, loop, train

S = TypeVar("S", bound=tuple[Any, ...])
RUN_AWAY = 1e6  # nats between data and samples: no model is that wrong, but a training that diverges goes on to 1e20 and beyond


def train_ebm(
    algorithm: Algorithm, start: S, draw: Callable[[int, np.random.Generator], Array], rates: Callable[[int], Rates],
    settings: Settings, rng: np.random.Generator, evaluate: Callable[[S], dict[str, float]] | None = None, **kept: Any,
) -> State:
    """The State of the loop after settings.steps steps from `start`; its params are the fields of the algorithm's state.

    draw(step, rng) -> the step's positives (n, d); rates(step) -> its learning rates; step counts from 0. Optimisers are the
    algorithm's own: ValueError for settings that have one, or a schedule, a clip or an average. The noise takes the dtype of
    the positives. kept: callback, checkpoint, resume, identity, as in `training.loop`, which also says what is raised. The loss
    reported is the contrast, mean E(data) - mean E(samples).
    """
    check_settings(settings)

    def unpack(params: Tree) -> S:
        return type(start)(**params)

    def advance(state: State) -> tuple[State, Report]:
        rng = copy.deepcopy(state.rng)
        now = Rates(per_step(lambda step: rates(step).energy, state.step), per_step(lambda step: rates(step).flow, state.step))
        positives = draw(state.step, rng)
        dtype = positives.dtype
        positives, noise = placed(positives, dtype), placed(algorithm.noise(streams(rng, dtype)), dtype)
        after, info = algorithm.step(unpack(state.params), positives, noise, now)
        if anywhere(abs(info["contrast"]) > RUN_AWAY):
            apart = f"the energies of data and samples are {float(info['contrast']):.2g} nats apart"
            raise FloatingPointError(f"{apart}: it has run away, and may not at a smaller learning rate or step size")
        params = as_arrays(after._asdict())
        check_all_finite("after the update,", params)
        report = Report(info.pop("contrast"), told(now.energy), info.pop("gradient_norm"), info)
        return state._replace(step=state.step + 1, params=params, rng=rng), report

    first = State(0, as_arrays(start._asdict()), {}, None, rng)  # type: ignore[attr-defined]
    judge = None if evaluate is None else lambda state: evaluate(unpack(state.params))
    return loop(first, advance, settings, evaluate=judge, **kept)


def check_settings(settings: Settings) -> None:
    """Raise ValueError for settings that only `training.train` can follow."""
    usual = Settings(settings.steps)
    for name in ("optimiser", "schedule", "clip", "average_decay"):
        if (given := getattr(settings, name)) != getattr(usual, name):
            instead = {"optimiser": "the algorithm's energy_optimiser and flow_optimiser", "schedule": "`rates`"}.get(name)
            why = f"{instead} are in its place" if instead else "gradients are not clipped here, nor weights averaged"
            raise ValueError(f"{name} must be left as it is in the settings of an energy-based model, got {given!r}: {why}")


def pretrained(
    flow: Flow, data: Array, steps: int, rng: np.random.Generator, batch: int = 64, rate: float = 1e-3
) -> Tree:
    """The flow's parameters after `steps` steps of Adam, in the dtype of the data; the rate decays linearly to zero.

    data (n, d). Raises TrainingStopped where the likelihood or its gradient is not finite.
    """
    check_shape("data", data, "n", flow.d)
    check_finite("data", data)
    check_count("batch", batch)

    def draw(rng: np.random.Generator) -> tuple[Array]:
        return (data[rng.integers(len(data), size=batch)],)

    def loss(params: Tree, x: Array) -> Array:
        return Likelihood()(params, flow, x, {})

    params, settings = placed(flow.init(rng), data.dtype), Settings(steps, schedule=linear_decay(rate, steps))
    own = np.random.default_rng(rng.integers(2**63))  # training leaves the generator it is given as it was
    return train(loss, draw, params, settings, own).params
