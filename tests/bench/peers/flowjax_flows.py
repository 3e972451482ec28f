"""flowjax's coupling flows, jitted: python -m tests.bench.peers.flowjax_flows

A training step (loss, gradient, optax's Adam) and a push of given noise. The weights are its own, from one key, so it is
checked against itself in float64. Beside ours: a permutation between couplings, affine ones with a softplus scale, no last
scale and shift.
"""
import importlib
import os
from typing import Any

from tests.bench.peers.protocol import RATE, Peer, Work, flat, lacking, no_memory, serve

Array = Any
jax: Any = None
jnp: Any = None
eqx: Any = None


def about() -> dict[str, str]:
    global jax, jnp, eqx
    jax, jnp, eqx = (importlib.import_module(name) for name in ("jax", "jax.numpy", "equinox"))
    jax.config.update("jax_default_matmul_precision", "highest")
    return {"versions": f"flowjax {importlib.import_module('flowjax').__version__}, jax {jax.__version__}"}


def build(sizes: dict[str, Any], wide: bool) -> Any:
    """With weights drawn in float32 either way."""
    jax.config.update("jax_enable_x64", False)
    flows, bijections, distributions = (importlib.import_module(f"flowjax.{name}")
                                        for name in ("flows", "bijections", "distributions"))
    bins = sizes.get("bins")
    transformer = bijections.RationalQuadraticSpline(knots=bins, interval=5.0) if bins else bijections.Affine()
    flow = flows.coupling_flow(
        jax.random.key(0), base_dist=distributions.Normal(jnp.zeros(sizes["d"])), transformer=transformer,
        flow_layers=sizes["layers"], nn_width=sizes["hidden"][0], nn_depth=len(sizes["hidden"]))
    jax.config.update("jax_enable_x64", wide)
    cast = lambda leaf: leaf.astype("float64") if wide and eqx.is_inexact_array(leaf) else leaf
    return jax.tree.map(cast, flow)


def training(flow: Any, x: Array) -> Work:
    optax, paramax = importlib.import_module("optax"), importlib.import_module("paramax")
    params, static = eqx.partition(flow, eqx.is_inexact_array, is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable))
    optimiser = optax.adam(RATE)

    def loss(params: Any, x: Array) -> Array:
        return -paramax.unwrap(eqx.combine(params, static)).log_prob(x).mean()

    def step(params: Any, memory: Any, x: Array) -> Any:
        value, g = jax.value_and_grad(loss)(params, x)
        change, memory = optimiser.update(g, memory)
        return value, g, eqx.apply_updates(params, change), memory

    compiled, state = jax.jit(step), [params, optimiser.init(params)]

    def call() -> Any:
        value, g, *state[:] = jax.block_until_ready(compiled(*state, x))
        return value, g

    return Work(call, lambda done: {"value": done[0], "gradient": flat(jax.tree.leaves(done[1]))})


def prepare(kind: str, sizes: dict[str, Any], inputs: Any) -> Work:
    if kind not in ("flow", "sample"):
        raise lacking(kind)
    if jax is None:
        about()
    given = inputs["x" if kind == "flow" else "z"]
    flow = build(sizes, given.dtype == "float64")
    given = jnp.asarray(given)
    if kind == "flow":
        return training(flow, given)
    unwrap = importlib.import_module("paramax").unwrap
    arrays, static = eqx.partition(flow, eqx.is_array)
    push = jax.jit(lambda arrays, z: jax.vmap(unwrap(eqx.combine(arrays, static)).bijection.transform)(z))
    return Work(lambda: jax.block_until_ready(push(arrays, given)), lambda x: {"x": flat([x])})


if __name__ == "__main__":
    os.environ["JAX_PLATFORMS"] = "cpu"
    serve(Peer(about, prepare, no_memory))
