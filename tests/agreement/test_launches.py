"""How many kernels a device would be asked to launch, counted on the stand-in. Exact, so that the numbers cannot creep.

A launch costs the host more time than a small operation costs the device, so for small models the count is the speed.
"""
from collections.abc import Callable
from functools import partial
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest

from evenflow.accel.buffers import packed
from evenflow.reference.core.gradients import value_and_gradient
from evenflow.reference.core.optim import Adam
from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.ebm.energies import EBM, MLPEnergy
from evenflow.reference.flows.densities import Normal
from evenflow.reference.flows.flow import realnvp, spline_flow
from evenflow.reference.mcmc.contract import density_and_gradient, noise_like, walk
from evenflow.reference.mcmc.hmc import HMC
from evenflow.reference.mcmc.independence import ISIR
from evenflow.reference.mcmc.langevin import MALA, ULA, start
from evenflow.reference.mcmc.metropolis import RandomWalk
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


SAEF_STEP, SCORE, WIDE_STEP = 51, 18, 43  # of SAEF two scores: block 1 shares its draws among the data


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


FLOWS = [realnvp(2, 8, (64, 64)), spline_flow(3, 2, (16,)), realnvp(5, 3, (8, 70, 9), activation="silu")]


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize(("rows", "expected"), [(1, 13), (64, 14)])
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


@pytest.mark.parametrize(("more", "expected"), [({}, 20), ({"clip": 100.0}, 21), ({"average_decay": 0.9}, 21)])
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


def energy() -> tuple[Any, Array]:
    """A log density whose parameters lie in one buffer, as those that are trained do; where chains start."""
    ebm = EBM(MLPEnergy(2, (8, 8)), Normal(2))
    params = packed(placed(ebm.init(generator(0)), "float32"))
    return partial(ebm.log_density, params), placed(generator(1).standard_normal((5, 2)), "float32")


WALKING: dict[Any, int] = {MALA(0.1): 2, HMC(0.1, 3): 2, RandomWalk(0.1): 2, ULA(0.1): 1}  # arrays of noise a step


@pytest.mark.parametrize("kernel", WALKING)
@pytest.mark.parametrize("steps", [1, 10, 100])
def test_a_walk_takes_two_launches_however_many_its_steps(kernel: Any, steps: int) -> None:
    """Itself, and a look for what is not finite; where noise lies here and there, one for 16 arrays to bring together."""
    with backend("standin"):
        p, x = energy()
        state = kernel.init(x, p)
        noises = [noise_like(x, kernel, generator(k)) for k in range(steps)]
        shapes = {name: part.shape for name, part in noises[0].items()}
        whole = {name: placed(generator(3).random((steps, *shape)), "float32") for name, shape in shapes.items()}
        together = [{name: part[k] for name, part in whole.items()} for k in range(steps)]
        for given, more in ((together, 0), (noises, -(-steps // 16) * WALKING[kernel] if steps > 1 else 0)):
            walk(kernel, state, given, p)
            with counting() as count:
                walk(kernel, state, given, p)
            assert (count.launches, count.uploads, count.synchronisations) == (2 + more, 0, 1)


def test_densities_and_single_steps() -> None:
    """log p one launch, its gradient and a step of MALA or ULA one and the look; likewise i-SIR, after the flow."""
    with backend("standin"):
        (p, x), flow = energy(), realnvp(2, 2, (8,))
        params = placed(flow.init(generator(2)), "float32")
        state, global_move = start(x, p), ISIR(flow, params, 4)
        begun, noise = global_move.init(x, p), noise_like(x, global_move, generator(3))
        steps: list[tuple[Callable[[], Any], int]] = [
            (lambda: p(x), 1), (lambda: density_and_gradient(x, p), 2),
            (lambda: MALA(0.1).step(state, noise_like(x, MALA(0.1), generator(4)), p), 2 + launches_of_noise(x, MALA(0.1))),
            (lambda: global_move.step(begun, noise, p), 2 + launches(lambda: flow.sample_and_log_prob(params, noise["flow"]))),
        ]
        for step, expected in steps:
            step()
            assert launches(step) == expected


def launches_of_noise(x: Array, kernel: Any) -> int:
    return launches(lambda: noise_like(x, kernel, generator(4)))
