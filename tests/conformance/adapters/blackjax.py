"""blackjax: single steps of its samplers, and its diagnostics. Its MALA's step_size is our eta.

It draws inside: the vector's own numbers stand in for what it draws, and all arithmetic is its own. It accepts with
`bernoulli(p)`, which is u < p for a uniform u; p is exp of an energy difference, which is the log ratio.
"""
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import blackjax
import jax
import jax.numpy as jnp
from blackjax.mcmc import diffusions, hmc, proposal

from evenflow.conformance.adapter import Operation, versioned
from evenflow.conformance.adapters.jax_functions import JaxFunctions
from evenflow.conformance.adapters.jax_parts import compiled, target
from evenflow.conformance.arrays import Array, Arrays

KEY = jax.random.key(0)  # for what is never drawn


@contextmanager
def given(normal: Array, uniform: Array) -> Iterator[list[Array]]:
    """Inside, these are drawn; the list gets the energy differences."""
    seen: list[Array] = []

    def difference(before: Array, after: Array, original: Any = proposal.safe_energy_diff) -> Array:
        seen.append(original(before, after))
        return seen[-1]

    with (
        patch("blackjax.util.normal", lambda *_, **__: normal),
        patch("jax.random.bernoulli", lambda _, p: uniform < p),
        patch.object(proposal, "safe_energy_diff", difference),
        patch.object(hmc, "safe_energy_diff", difference),
    ):
        yield seen


def chains(step: Callable[..., tuple[Any, Any, Array]], noise: str = "noise") -> Operation:
    """The operation from one chain's step: (inputs, x, noise) -> state, info, proposal."""
    def run(i: Arrays) -> Arrays:
        def one(x: Array, normal: Array, uniform: Array) -> Arrays:
            with given(normal, uniform) as seen:
                state, info, proposed = step(i, x, normal)
            return {"proposal": proposed, "log_ratio": seen[-1], "accepted": info.is_accepted, "x": state.position}
        result: Arrays = jax.vmap(one)(i["x"], i[noise], i["uniform"])
        return result
    return run


def stepped(sampler: Any, x: Array) -> tuple[Any, Any]:
    state, info = sampler.step(KEY, sampler.init(x))
    return state, info


def langevin(i: Arrays, x: Array) -> Array:
    """Where its Langevin dynamics go from here: ULA's step, and MALA's proposal."""
    log_p = jax.value_and_grad(target(i))
    move = diffusions.overdamped_langevin(log_p)
    return move(KEY, diffusions.DiffusionState(x, *log_p(x)), jnp.asarray(i["step_size"])).position


def ula(i: Arrays) -> Arrays:
    def one(x: Array, normal: Array) -> Array:
        with given(normal, jnp.zeros(())):
            return langevin(i, x)
    return {"x": jax.vmap(one)(i["x"], i["noise"])}


def mala(i: Arrays, x: Array, _: Array) -> tuple[Any, Any, Array]:
    return *stepped(blackjax.mala(target(i), i["step_size"]), x), langevin(i, x)


def random_walk(i: Arrays, x: Array, _: Array) -> tuple[Any, Any, Array]:
    sigma = i["step_size"] * jnp.ones_like(x)
    state, info = stepped(blackjax.additive_step_random_walk.normal_random_walk(target(i), sigma), x)
    return state, info, info.proposal.position


def hamiltonian(i: Arrays, x: Array, _: Array) -> tuple[Any, Any, Array]:
    steps = int(i["leapfrog_steps"])
    state, info = stepped(blackjax.hmc(target(i), i["step_size"], jnp.ones_like(x), steps), x)
    return state, info, info.proposal.position


def independent_mh(i: Arrays, x: Array, normal: Array) -> tuple[Any, Any, Array]:
    mean, sd = i["flow/mean"], i["flow/sd"]

    def log_q(_: Any, to: Any) -> Array:
        return jnp.sum(jax.scipy.stats.norm.logpdf(to.position, mean, sd))

    state, info = stepped(blackjax.irmh(target(i), lambda _: mean + sd * normal, log_q), x)
    return state, info, info.proposal.position


adapter = JaxFunctions(versioned("blackjax", "jax"), compiled({
    "ula": ula,
    "mala": chains(mala),
    "random_walk": chains(random_walk),
    "hmc": chains(hamiltonian, "momentum"),
    "independent_mh": chains(independent_mh),
    "rhat": lambda i: {"value": blackjax.diagnostics.rhat(i["draws"].T)},
}))
