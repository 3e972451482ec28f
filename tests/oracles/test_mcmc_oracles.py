"""MALA, random walk, HMC and independent Metropolis-Hastings against blackjax, step by step on the very same random numbers.

blackjax takes a key and draws inside: normals from the first half of the split key, the uniform number from the second, and
accepts where it lies below the acceptance probability. The same splits are made here and handed to our kernels.
"""
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from evenflow.reference.core.trees import Tree, tree_map
from evenflow.reference.flows.flow import Flow
from evenflow.reference.mcmc.contract import Info
from evenflow.reference.mcmc.hmc import HMC
from evenflow.reference.mcmc.independence import IndependentMH
from evenflow.reference.mcmc.langevin import MALA
from evenflow.reference.mcmc.metropolis import RandomWalk
from tests import tolerances
from tests.samplers import TARGETS, flow
from tests.strategies import generator

jax: Any = pytest.importorskip("jax")
jnp: Any = pytest.importorskip("jax.numpy")
blackjax: Any = pytest.importorskip("blackjax", reason="the oracle for kernels")

pytestmark = pytest.mark.peers
STEPS = 60
TARGET: Any = TARGETS["three modes"]
ROUNDING = 100 * tolerances.value(np.float64, 1.0)  # grows along a trajectory of STEPS steps, all of them contracting


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def log_density(x: Any) -> Any:
    """The target's, in jax, of one point (d,)."""
    c, w, s = (jnp.array(a) for a in (TARGET.centres, TARGET.weights, TARGET.sds))
    return jax.scipy.special.logsumexp(jnp.log(w / (2 * jnp.pi * s**2)) - jnp.sum((x - c) ** 2, axis=1) / (2 * s**2))


def follow(kernel: Any, theirs: Any, draw: Callable[[Any], Tree]) -> None:
    """Both chains from one point, the same numbers for both; positions, probabilities and acceptances at every step."""
    x = generator(0).standard_normal((1, 2))

    def chain(seed: int) -> Any:
        def one(state: Any, key: Any) -> Any:
            after, info = theirs.step(key, state)
            return after, (after.position, info.acceptance_rate, info.is_accepted, draw(key))
        return jax.lax.scan(one, theirs.init(jnp.array(x[0])), jax.random.split(jax.random.key(seed), STEPS))[1]

    positions, chances, accepted, drawn = jax.tree.map(np.array, jax.jit(chain)(7))
    state = kernel.init(x, TARGET.log_prob)
    for k in range(STEPS):
        state, info = kernel.step(state, tree_map(lambda a, k=k: a[k], drawn), TARGET.log_prob)
        assert isinstance(info, Info)
        np.testing.assert_allclose(np.exp(np.minimum(info.log_ratio[0], 0)), chances[k], rtol=0, atol=ROUNDING)
        assert info.accepted[0] == accepted[k]
        np.testing.assert_allclose(state.x[0], positions[k], rtol=0, atol=ROUNDING)
    assert 5 < np.sum(accepted) < STEPS - 5


def split_normals(key: Any) -> Tree:
    first, second = jax.random.split(key)
    return {"normal": jax.random.normal(first, (1, 2)), "uniform": jax.random.uniform(second, (1,))}


def test_the_targets_are_the_same() -> None:
    x = generator(1).standard_normal((20, 2))
    np.testing.assert_allclose(jax.jit(jax.vmap(log_density))(x), TARGET.log_prob(x), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("eta", [0.3, 0.6])
def test_mala(eta: float) -> None:
    """blackjax's step_size is eta."""
    follow(MALA(eta), blackjax.mala(log_density, eta), split_normals)


def test_random_walk() -> None:
    """blackjax's sigma is the standard deviation."""
    walk = blackjax.additive_step_random_walk.normal_random_walk(log_density, 0.8 * jnp.ones(2))
    follow(RandomWalk(0.8), walk, split_normals)


def test_hmc() -> None:
    theirs = blackjax.hmc(log_density, step_size=0.7, inverse_mass_matrix=jnp.ones(2), num_integration_steps=4)
    follow(HMC(0.7, 4), theirs, split_normals)


def test_independent_mh() -> None:
    """With a flow that is one affine layer, so that jax can be told of it in a line."""
    lam, params, scale, shift = wide_normal()

    def sample(key: Any) -> Any:
        return shift + scale * jax.random.normal(key, (2,))

    def log_q(state: Any, other: Any) -> Any:
        return jnp.sum(jax.scipy.stats.norm.logpdf(other.position, shift, scale))

    x = np.array([[0.1, 0.2], [1.5, -2.0]])
    expected = jax.vmap(lambda x: jnp.sum(jax.scipy.stats.norm.logpdf(x, shift, scale)))(x)
    np.testing.assert_allclose(lam.log_prob(params, x), expected, rtol=0, atol=ROUNDING)

    def draw(key: Any) -> Tree:
        drawn = split_normals(key)
        return {"flow": drawn["normal"], "uniform": drawn["uniform"]}

    follow(IndependentMH(lam, params), blackjax.irmh(log_density, sample, log_q), draw)


def wide_normal() -> tuple[Flow, Tree, float, float]:
    """The last layer of the tests' flow alone: its bias gives a raw log scale 0.7 and a shift 0.2."""
    whole, params = flow(2)
    head = whole.bijection.layers[-1]  # type: ignore[attr-defined]
    net = params[-1]
    net[-1]["b"] = np.tile([0.7, 0.2], 2)
    return Flow(whole.base, head), net, float(np.exp(3 * np.tanh(0.7 / 3))), 0.2
