"""The kernels that keep a network in shared memory: every tile and every activation, once each; and walks that they make."""
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from hypothesis import strategies as st

from evenflow.accel import kernels
from evenflow.accel.kernels import network
from evenflow.accel.kernels.network import Form
from evenflow.reference.core.networks import MLP
from evenflow.reference.core.placement import placed
from evenflow.reference.flows.densities import Normal
from evenflow.reference.mcmc import langevin, metropolis
from evenflow.reference.mcmc.hmc import HMC
from evenflow.reference.mcmc.langevin import MALA, ULA
from evenflow.reference.mcmc.metropolis import RandomWalk
from tests.standin import xp
from tests.strategies import generator, randomise

NETWORKS = st.sampled_from([(32, 64, 64, 64), (5,), (), (70, 3), (4, 4, 4, 4, 4, 4)])
COMPILED = st.sampled_from([("leaky_relu", 0), ("tanh", 1), ("softplus", 2), ("relu", 3), ("leaky_relu", 4)])  # with a tile


@contextmanager
def only(form: Form) -> Iterator[None]:
    """Every kernel with this tile; else few chains get the smallest."""
    before = network.FORMS
    network.FORMS = dict.fromkeys(before, (form,))
    try:
        yield
    finally:
        network.FORMS = before


def of_form(number: int, dtype: Any) -> Any:
    forms = network.FORMS[np.dtype(dtype).itemsize]
    return only(forms[number % len(forms)])


def energy_walk(
    seed: int, hidden: tuple[int, ...], activation: str, sd: float | None, chains: int, d: int, K: int, dtype: Any
) -> Any:
    """A network with random weights, its log density, where chains start, and the noise of K steps."""
    rng = generator(seed)
    net = MLP(d, 1, hidden, activation)
    params = placed(randomise(net.init(rng), rng, 0.1), dtype)
    base = None if sd is None else Normal(d, sd)
    log_density = lambda x: -net(params, x)[:, 0] + (0.0 if base is None else base.log_prob(x))
    start = langevin.start(rng.standard_normal((chains, d)).astype(dtype), log_density)
    noise = kernels.Given(rng.standard_normal((K, chains, d)).astype(dtype), rng.random((K, chains)).astype(dtype))
    return params, log_density, start, noise


def on_device(tree: Any) -> Any:
    return type(tree)(*(part if part is None else xp.asarray(part) for part in tree))


def walked(
    params: Any, start: Any, noise: Any, step_size: float, activation: str, sd: float | None, move: str = "mala", leaps: int = 1
) -> kernels.Walk:
    """The kernel's walk, back on the host; what it was given must be as it was."""
    place, randomness = on_device(start), on_device(noise) if isinstance(noise, kernels.Given) else noise
    layers = [(xp.asarray(layer["W"]), xp.asarray(layer["b"])) for layer in params]
    walk = kernels.persistent(move, place, randomness, step_size, kernels.Target(layers, activation, sd), leaps)
    assert all(np.array_equal(now.get(), was) for now, was in zip(place, start, strict=True))
    assert all(part.dtype == start.x.dtype for part in (walk.x, walk.log_p, walk.log_ratio, *walk[4:]) if part is not None)
    return kernels.Walk(*(part if part is None else part.get() for part in walk))


STEP = 1.0  # large enough that a good part of the proposals is refused
KERNELS: dict[str, Any] = {"mala": MALA(STEP), "ula": ULA(0.02), "random_walk": RandomWalk(0.7), "hmc": HMC(0.6, 3)}


def begun(move: str, state: Any, noise: kernels.Given) -> tuple[Any, kernels.Given]:
    """State and noise as the move takes them."""
    noise = noise._replace(uniform=None) if move == "ula" else noise
    return metropolis.State(*state[:2]) if move == "random_walk" else state, noise
