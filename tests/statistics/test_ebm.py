"""Every algorithm learns an easy density: two modes on a line with a saddle between them that chains cross.

Seeds are fixed. Of five the worst came to a distance of 0.08 (PCD; the others 0.05) and 0.13 off a moment, CoopFlow apart;
the limits are just above, and the distance allowed is less than half of where the models start.
"""
from functools import partial
from typing import Any

import numpy as np
import pytest

from evenflow.reference.core.optim import Adam, linear_decay
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.ebm import FCE, NTEBM, PCD, CoopFlow, FlowMCEBM, Jarzynski, Rates
from evenflow.reference.ebm.coopflow import revised
from evenflow.reference.ebm.energies import MLPEnergy
from evenflow.reference.ebm.normalizer import Grid, grid, lattice
from evenflow.reference.flows.densities import Normal
from evenflow.reference.flows.flow import realnvp
from evenflow.reference.mcmc.independence import ISIR
from evenflow.reference.mcmc.langevin import MALA
from evenflow.reference.targets.mixtures import GaussianMixture
from evenflow.reference.work.ebm_training import pretrained
from tests.strategies import generator

TARGET = GaussianMixture(((-0.9,), (1.0,)), (0.4, 0.6), (0.6, 0.5))
BOX = lattice((-4,), (4,), 400)
ENERGY = MLPEnergy(1, (24, 24), "silu")
FLOW = realnvp(1, layers=1, hidden=(4,), final_scale=0.0)  # a normal: it can have the mean and the spread, not the modes
BATCH, RATE = 128, 0.02
DISTANCE = 0.1  # total variation; the base is at 0.24, the best normal at 0.21
MOMENT = 0.15   # of mean and standard deviation, about 0.24 and 1.08


def learn(algorithm: Any, steps: int, seed: int = 0, given: int | None = None) -> tuple[Any, dict[str, float]]:
    """`steps` steps, rates falling to zero; given: steps of pretraining, after which the flow rests for the first twentieth."""
    rng = generator(seed)
    data = TARGET.sample(TARGET.noise(rng, 20_000))
    flow: tuple[Tree, ...] = () if given is None else (pretrained(FLOW, data, given, rng, BATCH, 0.05),)
    state, rate = algorithm.init(rng, *flow), linear_decay(RATE, steps)
    for step in range(steps):
        rates = Rates(rate(step), rate(step) if given is None or step >= steps / 20 else 0.0)
        state, info = algorithm.step(state, data[rng.integers(len(data), size=BATCH)], algorithm.noise(rng), rates)
    return state, info


def moments(mass: Array) -> tuple[float, float]:
    x = BOX.points[:, 0]
    mean = float(mass @ x)
    return mean, float(np.sqrt(mass @ (x - mean) ** 2))


def check_learned(algorithm: Any, state: Any) -> Grid:
    truth, model = grid(TARGET.log_prob, BOX).mass, grid(partial(algorithm.log_density, state), BOX)
    assert np.abs(model.mass - truth).sum() / 2 < DISTANCE
    np.testing.assert_allclose(moments(model.mass), moments(truth), atol=MOMENT)
    return model


@pytest.mark.slow
def test_pcd() -> None:
    algorithm = PCD(ENERGY, Normal(1, 1.2), steps=6, step_size=0.03, batch=BATCH, buffer=512, energy_optimiser=Adam())
    check_learned(algorithm, learn(algorithm, 250)[0])


@pytest.mark.slow
def test_flowmc() -> None:
    moves = ((MALA(0.1), 1), (partial(ISIR, N=8), 1), (MALA(0.1), 1))
    algorithm = FlowMCEBM(ENERGY, FLOW, moves, batch=BATCH, buffer=512, energy_optimiser=Adam())
    state, info = learn(algorithm, 200)
    check_learned(algorithm, state)
    assert info["acceptance_global"] > 0.6  # the flow has followed
    assert info["acceptance_local"] > 0.8


@pytest.mark.slow
def test_nt() -> None:
    algorithm = NTEBM(ENERGY, FLOW, MALA(0.3), steps=5, batch=BATCH)
    check_learned(algorithm, learn(algorithm, 120, given=60)[0])


@pytest.mark.slow
def test_fce() -> None:
    """The number c is log Z, to what is left of the training error."""
    algorithm = FCE(ENERGY, FLOW, batch=BATCH)
    state, info = learn(algorithm, 200)
    assert abs(info["log_z"] - check_learned(algorithm, state).log_z) < 0.15


@pytest.mark.slow
def test_jarzynski() -> None:
    """log Z, which is 0 at the start and about 0.3 at the end, is right to within what 2,048 walkers leave."""
    algorithm = Jarzynski(ENERGY, Normal(1), step_size=0.1, walkers=2048)
    state, info = learn(algorithm, 150)
    assert abs(info["log_z"] - check_learned(algorithm, state).log_z) < 0.15


@pytest.mark.slow
def test_coopflow() -> None:
    """Its energy is no log density (distance 0.4); its revised samples are close to the data, the flow alone is not.

    Rougher than the others: of five seeds the worst distance is 0.11, the worst moment 0.17 off.
    """
    algorithm = CoopFlow(ENERGY, FLOW, steps=5, step_size=0.05, batch=BATCH)
    state, _ = learn(algorithm, 150, given=60)
    proposed = FLOW.sample(state.flow, FLOW.noise(generator(1), 20_000))
    made = revised(proposed, 5, 0.05, partial(algorithm.log_density, state))
    truth = grid(TARGET.log_prob, BOX).mass.reshape(40, 10).sum(axis=1)

    def distance(x: Array) -> float:
        return float(np.abs(np.histogram(x, bins=40, range=(-4, 4))[0] / len(x) - truth).sum()) / 2

    assert distance(made) < 0.15 < distance(proposed)
    np.testing.assert_allclose([made.mean(), made.std()], moments(grid(TARGET.log_prob, BOX).mass), atol=0.25)
