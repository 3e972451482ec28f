"""How many kernels a device would be asked to launch, counted on the stand-in. Exact, so that the numbers cannot creep.

A launch costs the host more time than a small operation costs the device, so for small models the count is the speed.
"""
from collections.abc import Callable
from functools import partial
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest

from evenflow.reference.core.gradients import value_and_gradient
from evenflow.reference.core.optim import Adam
from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.ebm.energies import EBM, MLPEnergy
from evenflow.reference.flows.densities import Normal
from evenflow.reference.flows.flow import realnvp, spline_flow
from evenflow.reference.mcmc.contract import noise_like, walk
from evenflow.reference.mcmc.langevin import MALA, start
from evenflow.reference.saef.objectives import Energy, Likelihood
from evenflow.reference.saef.semiautoregressive import saef
from evenflow.reference.scores import energy_score
from evenflow.reference.work.training import Settings, advance, begin
from tests.agreement.backends import backend
from tests.standin import counting
from tests.strategies import generator


def launches(call: Callable[[], Any]) -> int:
    with counting() as count:
        call()
    return count.launches


SAEF_STEP, SCORE, WALK, WIDE_STEP = 154, 36, 11, 45  # of SAEF two scores: block 1 shares its draws among the data


def steps(model: Any, objective: Any, rows: int) -> tuple[list[int], list[int]]:
    """Launches of loss and gradient, and of them with Adam, in four steps one after the other."""
    params, optimiser = placed(model.init(generator(0)), "float32"), Adam()
    x = placed(generator(1).standard_normal((rows, model.d)), "float32")
    noise, state = placed(objective.noise(generator(2), model, rows), "float32"), optimiser.init(params)
    gradients, wholes = [], []
    for _ in range(4):
        with counting() as whole:
            with counting() as count:
                _, grads = value_and_gradient(lambda p: objective(p, model, x, noise), params)
            params, state = optimiser.update(params, grads, state, 1e-3)
        gradients.append(count.launches)
        wholes.append(whole.launches)
    return gradients, wholes


@pytest.mark.parametrize("flow", [realnvp(2, 8, (64, 64)), spline_flow(3, 2, (16,)), realnvp(5, 3, (8, 70, 9), activation="silu")])
@pytest.mark.parametrize(("rows", "expected"), [(1, 15), (64, 16)])
def test_a_training_step_of_a_flow_of_narrow_couplings(flow: Any, rows: int, expected: int) -> None:
    """However many layers: the couplings take one launch forth and two back, or one where a block has all rows."""
    with backend("standin"):
        gradients, wholes = steps(flow, Likelihood(), rows)
    assert gradients[1:] == [expected] * 3
    assert wholes[1:] == [expected + 1] * 3


def test_a_training_step_of_wide_couplings() -> None:
    """Layer by layer, as many launches as before."""
    with backend("standin"):
        gradients, _ = steps(realnvp(2, 2, (129,)), Likelihood(), 8)
    assert gradients[1:] == [WIDE_STEP] * 3


@pytest.mark.parametrize(("more", "expected"), [({}, 24), ({"clip": 100.0}, 27), ({"average_decay": 0.9}, 27)])
def test_a_whole_step_of_the_training_loop(more: dict[str, Any], expected: int) -> None:
    """With the norm, the looks at what is not finite, and what the settings ask for."""
    flow = realnvp(2, 8, (64, 64))

    def draw(rng: np.random.Generator) -> tuple[Array]:
        return (x,)

    def loss(params: Tree, x: Array) -> Array:
        return Likelihood()(params, flow, x, {})

    with backend("standin"):
        x = placed(generator(1).standard_normal((64, 2)), "float32")
        settings: Any = Settings(5, **more)
        state, counts = begin(placed(flow.init(generator(0)), "float32"), settings, generator(2)), []
        for _ in range(4):
            with counting() as count:
                state, _ = advance(state, loss, draw, settings)
            counts.append(count.launches)
    assert counts[1:] == [expected] * 3


def test_a_training_step_of_a_semi_autoregressive_flow() -> None:
    model = saef(4, 2, None, "coupling", (16,), 8, (8,), 2)
    with backend("standin"):
        gradients, wholes = steps(model, Energy(1.0, 4), 32)
    assert gradients[1:] == [SAEF_STEP] * 3
    assert wholes[1:] == [SAEF_STEP + 1] * 3


@pytest.mark.parametrize("m", [3, 200])
def test_the_energy_score_of_a_shared_sample(m: int) -> None:
    """Value and gradient in draws and observations, whatever their number."""
    with backend("standin"):
        draws, y = (placed(generator(k).standard_normal((m + k, 2)), "float32") for k in range(2))
        score = lambda both: anp.sum(energy_score(both["draws"], both["y"]))
        value_and_gradient(score, {"draws": draws, "y": y})
        assert launches(lambda: value_and_gradient(score, {"draws": draws, "y": y})) == SCORE


@pytest.mark.parametrize("steps", [1, 10, 100])
def test_a_walk_takes_as_many_launches_however_many_its_steps(steps: int) -> None:
    ebm = EBM(MLPEnergy(2, (8, 8)), Normal(2))
    with backend("standin"):
        params, x = placed(ebm.init(generator(0)), "float32"), placed(generator(1).standard_normal((5, 2)), "float32")
        p, kernel = partial(ebm.log_density, params), MALA(0.1)
        noises = [noise_like(x, kernel, generator(k)) for k in range(steps)]
        state = start(x, p)
        walk(kernel, state, noises, p)
        assert launches(lambda: walk(kernel, state, noises, p)) == WALK
