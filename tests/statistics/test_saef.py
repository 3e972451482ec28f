"""SAEF learns what it should: the sum of block scores is strictly proper, and training by each objective finds the truth."""
import math
from collections.abc import Callable

import numpy as np
import pytest

from evenflow.reference.core.optim import linear_decay
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.saef.objectives import MMD, Energy, Likelihood, Objective, Sliced
from evenflow.reference.saef.semiautoregressive import saef
from evenflow.reference.scores import energy_score, kernel_score, rbf_kernel
from evenflow.reference.work.training import Settings, train
from tests.strategies import gaussian_saef, generator

Z = 4.9  # a z-test that fails once in 1e6 seeds, for a correct program
MEAN = np.array([1.0, -0.5, 0.3])
COV = np.array([[1.0, 0.6, -0.3], [0.6, 1.2, 0.2], [-0.3, 0.2, 0.7]])
ORDER = (2, 0, 1)


def data(rng: np.random.Generator, n: int) -> Array:
    return MEAN + rng.standard_normal((n, 3)) @ np.linalg.cholesky(COV).T


# ----------------------------------------------------------------------------------------------------------- propriety

def changed(W: Array | None = None, b: Array | None = None) -> Callable[[Tree], Tree]:
    """The true contexts with weights times W, and b added to the biases (raw log scale and shift of each block)."""
    def change(params: Tree) -> Tree:
        (layer,) = params["contexts"]
        layer = {"W": layer["W"] * (1.0 if W is None else W), "b": layer["b"] + (0.0 if b is None else b)}
        return {**params, "contexts": [layer]}

    return change


WRONG = {
    "the first block shifted": changed(b=np.array([0, 0.2, 0, 0, 0, 0])),
    "the last block shifted": changed(b=np.array([0, 0, 0, 0, 0, -0.3])),
    "a block too narrow": changed(b=np.array([0, 0, -0.4, 0, 0, 0])),
    "a block too wide": changed(b=np.array([0, 0, 0, 0, 0.4, 0])),
    "dependence too weak": changed(W=np.array(0.5)),  # and the mean of later blocks off
    "the last block's dependence turned round": changed(W=np.array([1, 1, 1, 1, 1, -1])),
}
SCORES: dict[str, Callable[[Array, Array], Array]] = {
    **{f"energy {beta}": lambda a, y, beta=beta: energy_score(a, y, beta) for beta in (0.5, 1.0, 1.5)},  # type: ignore[misc]
    "mmd": lambda a, y: kernel_score(a, y, rbf_kernel((0.5, 1.0, 2.0))),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("score", SCORES)
def test_the_true_conditionals_have_the_least_loss(name: str, score: str) -> None:
    """Paired over 40,000 data and the same noise: the mean gain is positive at z > 4.9. It is above 10 on average, so a
    correct program fails less than once in 1e6 seeds."""
    flow, truth = gaussian_saef(MEAN, COV, ORDER)
    rng, n = generator(1), 40_000
    x, noise = data(rng, n), rng.standard_normal((2 * n, 3))

    def losses(params: Tree) -> Array:
        """Of each datum."""
        kept: list[Array] = []

        def spy(draws: Array, y: Array) -> Array:
            kept.append(SCORES[score](np.reshape(draws, (-1, *y.shape)), y))  # block 1 shares its: too many pairs here
            return kept[-1]

        mean = flow.loss(params, x, noise, spy)
        each = np.sum(kept, axis=0)
        np.testing.assert_allclose(each.mean(), mean, rtol=1e-12)
        return each

    gain = losses(WRONG[name](truth)) - losses(truth)
    assert gain.mean() / (gain.std() / math.sqrt(n)) > Z


# ------------------------------------------------------------------------------------------------------------ training

OBJECTIVES: dict[str, Objective] = {
    "energy": Energy(1.0, 4), "sliced": Sliced(1.0, 4, 4), "mmd": MMD(4, (0.5, 1.0, 2.0, 4.0)), "likelihood": Likelihood(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_training_recovers_a_gaussian(name: str) -> None:
    """150 steps of 128 data; the model contains the truth. Over 20 other seeds the largest error of any mean or
    covariance was 0.19, its mean 0.05 to 0.08 and its deviation 0.04: 0.3 is five deviations away. It starts above 0.5.
    """
    model = saef(3, 3, ORDER, "affine", hidden=(), context_width=2)
    objective, n, rng = OBJECTIVES[name], 128, generator(100)

    def loss(params: Tree, x: Array, noise: Tree) -> Array:
        return objective(params, model, x, noise)

    def error(params: Tree) -> float:
        x = model.sample(params, generator(0).standard_normal((50_000, 3)))  # whose own error is about 0.01
        return float(max(np.abs(x.mean(axis=0) - MEAN).max(), np.abs(np.cov(x.T) - COV).max()))

    start = model.init(rng)
    settings = Settings(150, schedule=linear_decay(0.1, 150))
    end = train(loss, lambda rng: (data(rng, n), objective.noise(rng, model, n)), start, settings, rng).params
    assert error(start) > 0.5
    assert error(end) < 0.3


@pytest.mark.slow
def test_half_the_spread_term_would_prefer_narrow_draws() -> None:
    """The weight of the spread term matters: the mean of score and fidelity is improper, the score is not."""
    half = lambda draws, y: (energy_score(draws, y) + fidelity(draws, y)) / 2
    flow, truth = gaussian_saef(MEAN, COV, ORDER)
    rng = generator(2)
    x, noise = data(rng, 3_000), rng.standard_normal((6_000, 3))
    narrow = changed(b=np.array([-0.3, 0, -0.3, 0, -0.3, 0]))(truth)
    assert flow.loss(narrow, x, noise, half) < flow.loss(truth, x, noise, half)
    assert flow.loss(narrow, x, noise, energy_score) > flow.loss(truth, x, noise, energy_score)


def fidelity(draws: Array, y: Array) -> Array:
    """Of draws (m, n, k), or of shared ones (m, k)."""
    return np.linalg.norm((draws if draws.ndim == 3 else draws[:, None]) - y, axis=-1).mean(axis=0)
