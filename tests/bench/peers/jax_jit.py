"""JAX, jitted: the same weights and the same arithmetic. python -m tests.bench.peers.jax_jit [--platform cuda]"""
import argparse
import importlib
import os
from collections.abc import Callable
from typing import Any

from tests.bench.peers.masked import masks
from tests.bench.peers.protocol import RATE, Peer, Work, flat, lacking, leaves, no_memory, serve, stepped

Array = Any
jax: Any = None  # imported when the peer is asked about itself, so that its absence has a reply
jnp: Any = None
models: Any = None
walks: Any = None


def about() -> dict[str, str]:
    global jax, jnp, models, walks
    jax, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    models, walks = (importlib.import_module(f"tests.bench.peers.jax_{name}") for name in ("models", "walks"))
    jax.config.update("jax_default_matmul_precision", "highest")  # no TF32
    return {"versions": f"jax {jax.__version__}, {jax.devices()[0].device_kind}"}


def training(loss: Callable[..., Array], inputs: Any, *data: Array) -> Work:
    """Value, gradient and Adam's step in one compiled function, from step to step. loss(params, *data)."""
    def step(params: Any, m: Any, v: Any, t: Array, *data: Array) -> Any:
        value, g = jax.value_and_grad(loss)(params, *data)
        return value, g, *walks.adam(params, g, m, v, t + 1, RATE)

    step, now = jax.jit(step), inputs["optimiser"]
    state = [inputs["params"], now["m"], now["v"], float(now["t"])]

    def call() -> Any:
        before = state[0]
        value, g, *moved = jax.block_until_ready(step(*state, *data))
        state[:] = *moved, state[3] + 1
        return value, g, before, state[0]

    return Work(call, lambda done: stepped(done[0], *map(leaves, done[1:])))


def flow(sizes: dict[str, Any], inputs: Any) -> Work:
    return training(lambda params, x: -models.log_prob(params, x, sizes.get("bins")).mean(), inputs, inputs["x"])


def saef(sizes: dict[str, Any], inputs: Any) -> Work:
    kept = list(map(jnp.asarray, masks(inputs["params"]["contexts"], sizes["blocks"])))
    return training(models.saef_loss, inputs, *(inputs[name] for name in ("x", "context", "z")), kept)


def sampling(sizes: dict[str, Any], inputs: Any) -> Work:
    push = jax.jit(lambda params, z: models.sample(params, z)[0])
    return Work(lambda: jax.block_until_ready(push(inputs["params"], inputs["z"])), lambda x: {"x": flat([x])})


def scored(score: Callable[..., Array], *arrays: Array) -> Work:
    both = jax.jit(jax.value_and_grad(score))
    return Work(lambda: jax.block_until_ready(both(*arrays)), lambda done: {"value": done[0], "gradient": flat([done[1]])})


def convolution(sizes: dict[str, Any], inputs: Any) -> Work:
    def summed(given: Any, g: Array) -> Array:
        y = jax.lax.conv_general_dilated(given["x"], given["W"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return ((y + given["b"]) * g).sum()

    both, given = jax.jit(jax.value_and_grad(summed)), {name: inputs[name] for name in ("W", "b", "x")}
    return Work(lambda: jax.block_until_ready(both(given, inputs["g"])),
                lambda done: {"value": done[0], "gradient": flat(leaves(done[1]))})


def walked(log_p: Callable[[Any, Array], Array], params: Any, inputs: Any, eta: float) -> Work:
    """All steps in one compiled loop. log_p(params, x)."""
    evaluate = jax.jit(lambda params, x: walks.evaluate(lambda x: log_p(params, x), x))
    walk = jax.jit(lambda params, start, noise: walks.walk(lambda x: log_p(params, x), eta, start, noise))
    noise, start = walks.stacked(inputs["noises"]), evaluate(params, inputs["x"])
    return Work(lambda: jax.block_until_ready(walk(params, start, noise)), lambda path: {"path": path})


def mala(sizes: dict[str, Any], inputs: Any) -> Work:
    log_p = lambda params, x: walks.tilted(params, x, sizes["activation"])
    return walked(log_p, inputs["params"], inputs, sizes["step_size"])


def zones(sizes: dict[str, Any], inputs: Any) -> Work:
    log_p = walks.mixture(sizes["target"])
    return walked(lambda _, x: log_p(x), None, inputs, sizes["step_size"])


def ebm(sizes: dict[str, Any], inputs: Any) -> Work:
    state = inputs["state"]
    step = jax.jit(lambda state, positives, noise: walks.ebm_step(state, positives, noise, RATE))

    def moved(after: Any) -> dict[str, Any]:
        pairs = zip(("energy", "flow"), after, strict=False)
        change = {name: flat(leaves(new)) - flat(leaves(state[name])) for name, new in pairs}
        return {**change, "path": after[2][None]}

    return Work(lambda: jax.block_until_ready(step(state, inputs["positives"], inputs["noise"])), moved)


KINDS: dict[str, Callable[[dict[str, Any], Any], Work]] = {
    "flow": flow, "saef": saef, "sample": sampling, "mala": mala, "zones": zones, "ebm": ebm,
    "energy": lambda sizes, inputs: scored(models.energy_score, inputs["draws"], inputs["y"]),
    "convolution": convolution,
    "sliced": lambda sizes, inputs: scored(models.sliced_score, inputs["draws"], inputs["y"], inputs["directions"]),
}


def prepare(kind: str, sizes: dict[str, Any], inputs: Any) -> Work:
    if jax is None:
        about()
    if kind not in KINDS:
        raise lacking(kind)
    return KINDS[kind](sizes, jax.tree.map(jnp.asarray, inputs))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--platform", default="cpu")
    os.environ["JAX_PLATFORMS"] = parser.parse_args().platform
    serve(Peer(about, prepare, no_memory))
