"""Samplers of JAX libraries on the mixture: python -m tests.bench.peers.jax_samplers --library blackjax

MALA in a compiled loop over steps, all chains at once; of flowMC also local moves in turn with global ones that its own
RealNVP proposes (its couplings' networks, one each for scale and shift, have one hidden layer). They draw their own noise, so
the chains are not ours: they are judged by the weights of the zones.
"""
import argparse
import importlib
import math
import os
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from tests.bench.peers.protocol import Peer, Work, lacking, no_memory, serve

Array = Any
jax: Any = None
jnp: Any = None
walks: Any = None


def about(library: str) -> dict[str, str]:
    global jax, jnp, walks
    names = "jax", "jax.numpy", "tests.bench.peers.jax_walks", library
    jax, jnp, walks, _ = map(importlib.import_module, names)
    return {"versions": f"{library} {version(library)}, jax {jax.__version__}"}


def looped(walk: Callable[[Any, Any], Array], x: Array, repeats: int) -> Work:
    """walk(key, x (chains, d)) -> path of one stretch (steps, chains, d); `repeats` stretches one after the other."""
    def whole(key: Any, x: Array) -> Array:
        def stretch(x: Array, key: Any) -> tuple[Array, Array]:
            path = walk(key, x)
            return path[-1], path

        return jax.lax.scan(stretch, x, jax.random.split(key, repeats))[1].reshape(-1, *x.shape)

    run, key = jax.jit(whole), jax.random.key(0)
    return Work(lambda: jax.block_until_ready(run(key, x)), lambda path: {"path": path})


def blackjax_mala(sizes: dict[str, Any], x: Array, log_p: Callable[[Array], Array]) -> Work:
    kernel = importlib.import_module("blackjax").mala(log_p, sizes["step_size"])

    def whole(key: Any, x: Array) -> Array:
        def one(state: Any, key: Any) -> tuple[Any, Array]:
            state, _ = jax.vmap(kernel.step)(jax.random.split(key, len(x)), state)
            return state, state.position

        return jax.lax.scan(one, jax.vmap(kernel.init)(x), jax.random.split(key, sizes["steps"]))[1]

    return looped(whole, x, 1)


def flowmc_moves(kernel: Any, steps: int, log_p: Callable[[Array], Array]) -> Callable[[Any, Array], Array]:
    """`steps` single steps of a local kernel of flowMC's for all chains."""
    one = lambda key, x, value: kernel.kernel(key, x, value, lambda x, _: log_p(x), {"n_steps": 1})[:2]

    def walk(key: Any, x: Array) -> Array:
        def step(state: Any, key: Any) -> tuple[Any, Array]:
            x, value = jax.vmap(one)(jax.random.split(key, len(x0)), *state)
            return (x, value), x

        x0 = x
        return jax.lax.scan(step, (x, jax.vmap(log_p)(x)), jax.random.split(key, steps))[1]

    return walk


def flowmc_mala(sizes: dict[str, Any], log_p: Callable[[Array], Array], steps: int) -> Callable[[Any, Array], Array]:
    MALA = importlib.import_module("flowMC.resource.kernel.MALA").MALA
    return flowmc_moves(MALA(math.sqrt(2 * sizes["step_size"]) * jnp.ones(2)), steps, log_p)  # its step is dt, eta = dt^2 / 2


def flowmc_both(sizes: dict[str, Any], log_p: Callable[[Array], Array]) -> Callable[[Any, Array], Array]:
    """Local moves, then global ones, proposed all at once by a flow whose weights are 0: like ours, it is its base."""
    eqx, RealNVP = importlib.import_module("equinox"), importlib.import_module("flowMC.resource.model.nf_model.realNVP").RealNVP
    flow = RealNVP(2, sizes["layers"], sizes["hidden"][0], jax.random.key(1))
    still = jax.tree.map(lambda a: 0 * a if eqx.is_inexact_array(a) else a, flow.affine_coupling)
    flow = eqx.tree_at(lambda f: f.affine_coupling, flow, still)
    proposal = importlib.import_module("flowMC.resource.kernel.NF_proposal").NFProposal(flow)
    local = flowmc_mala(sizes, log_p, sizes["local"])
    one = lambda key, x: proposal.kernel(key, x, log_p(x), lambda x, _: log_p(x), {"n_steps": sizes["global"]})[0]

    def walk(key: Any, x: Array) -> Array:
        first, second = jax.random.split(key)
        path = local(first, x)
        jumps = jax.vmap(one)(jax.random.split(second, len(x)), path[-1])
        return jnp.concatenate([path, jnp.swapaxes(jumps, 0, 1)])

    return walk


def prepare(library: str, kind: str, sizes: dict[str, Any], inputs: Any) -> Work:
    if jax is None:
        about(library)
    if "target" not in sizes:
        raise lacking(kind)
    x, every = jnp.asarray(inputs["x"]), walks.mixture(sizes["target"])
    log_p = lambda x: every(x[None])[0]
    if (library, kind) == ("blackjax", "zones"):
        return blackjax_mala(sizes, x, log_p)
    if (library, kind) == ("flowMC", "zones"):
        return looped(flowmc_mala(sizes, log_p, sizes["steps"]), x, 1)
    if (library, kind) == ("flowMC", "flowmc"):
        return looped(flowmc_both(sizes, log_p), x, sizes["sweeps"])
    raise lacking(kind)


if __name__ == "__main__":
    os.environ["JAX_PLATFORMS"] = "cpu"
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", choices=["blackjax", "flowMC"], required=True)
    chosen = parser.parse_args().library
    serve(Peer(lambda: about(chosen), lambda *case: prepare(chosen, *case), no_memory))
