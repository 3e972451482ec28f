"""JAX, jitted: the same weights and the same arithmetic. python -m tests.bench.peers.jax_jit [--platform cuda]"""
import argparse
import importlib
import math
import os
from collections.abc import Callable
from typing import Any

from tests.bench.peers.protocol import RATE, Peer, Work, flat, lacking, leaves, no_memory, serve, stepped

Array = Any
jax: Any = None  # imported when the peer is asked about itself, so that its absence has a reply
jnp: Any = None
LIMIT = 3.0      # of an affine coupling's log scale
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


def about() -> dict[str, str]:
    global jax, jnp
    jax, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    jax.config.update("jax_default_matmul_precision", "highest")  # no TF32
    return {"versions": f"jax {jax.__version__}, {jax.devices()[0].device_kind}"}


def perceptron(layers: list[dict[str, Array]], h: Array, activation: Callable[[Array], Array]) -> Array:
    for layer in layers[:-1]:
        h = activation(h @ layer["W"] + layer["b"])
    return h @ layers[-1]["W"] + layers[-1].get("b", 0.0)  # an energy has no last bias


def scale_and_shift(layers: Any, passing: Array) -> tuple[Array, Array]:
    raw = perceptron(layers, passing, jax.nn.relu)
    return LIMIT * jnp.tanh(raw[:, 0::2] / LIMIT), raw[:, 1::2]


def joined(passing: Array, others: Array, k: int) -> Array:
    pair = (others, passing) if k % 2 == 0 else (passing, others)
    return jnp.stack(pair, axis=2).reshape(len(passing), -1)


def log_prob(params: Any, x: Array) -> Array:
    *couplings, last = params
    s, t = scale_and_shift(last, x[:, :0])
    x, log_det = (x - t) * jnp.exp(-s), -s.sum(1)
    for k in reversed(range(len(couplings))):
        s, t = scale_and_shift(couplings[k], x[:, (k + 1) % 2 :: 2])
        x = joined(x[:, (k + 1) % 2 :: 2], (x[:, k % 2 :: 2] - t) * jnp.exp(-s), k)
        log_det = log_det - s.sum(1)
    return log_det - 0.5 * (x * x).sum(1) - 0.5 * x.shape[1] * math.log(2 * math.pi)


def sample(params: Any, z: Array) -> Array:
    *couplings, last = params
    for k, coupling in enumerate(couplings):
        s, t = scale_and_shift(coupling, z[:, (k + 1) % 2 :: 2])
        z = joined(z[:, (k + 1) % 2 :: 2], z[:, k % 2 :: 2] * jnp.exp(s) + t, k)
    s, t = scale_and_shift(last, z[:, :0])
    return z * jnp.exp(s) + t


def adam(theta: Any, g: Any, m: Any, v: Any, t: Array) -> tuple[Any, Any, Any]:
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, g)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, g)
    first, second = 1 - BETA1**t, 1 - BETA2**t
    return jax.tree.map(lambda p, m, v: p - RATE * (m / first) / (jnp.sqrt(v / second) + EPS), theta, m, v), m, v


def flow_step(sizes: dict[str, Any], inputs: Any) -> Work:
    if sizes.get("bins"):
        raise lacking("splines")

    @jax.jit  # type: ignore[untyped-decorator]
    def step(params: Any, m: Any, v: Any, t: Array, x: Array) -> Any:
        value, g = jax.value_and_grad(lambda params: -log_prob(params, x).mean())(params)
        return value, g, *adam(params, g, m, v, t + 1)

    now = inputs["optimiser"]
    state = [inputs["params"], now["m"], now["v"], float(now["t"])]

    def call() -> Any:
        before = state[0]
        value, g, *moved = jax.block_until_ready(step(*state, inputs["x"]))
        state[:] = *moved, state[3] + 1
        return value, g, before, state[0]

    return Work(call, lambda done: stepped(done[0], *map(leaves, done[1:])))


def energy_score(draws: Array, y: Array) -> Array:
    """Distances by one product, those of a draw to itself left out."""
    def distances(a: Array, b: Array, counted: Array) -> Array:
        squared = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
        good = counted & (squared > 0)
        return jnp.where(good, jnp.sqrt(jnp.where(good, squared, 1.0)), 0.0).sum()

    m, n = len(draws), len(y)
    within = distances(draws, draws, ~jnp.eye(m, dtype=bool)) / (2 * m * (m - 1))
    return distances(draws, y, jnp.ones((m, n), bool)) / (m * n) - within


def sliced_score(draws: Array, y: Array, directions: Array) -> Array:
    """Along each direction: sorted draws, their running sums, and where each y falls among them."""
    x, y, m = jnp.sort(directions @ draws.T, axis=1), directions @ y.T, len(draws)
    below = jnp.pad(jnp.cumsum(x, 1), ((0, 0), (1, 0)))
    k = jax.vmap(jnp.searchsorted)(x, y)
    cross = y * (2 * k - m) + below[:, -1:] - 2 * jnp.take_along_axis(below, k, 1)
    within = (x * (2 * jnp.arange(m) - (m - 1))).sum(1) / (m * (m - 1))
    return cross.mean() / m - within.mean()


def scored(score: Callable[..., Array], *arrays: Array) -> Work:
    both = jax.jit(jax.value_and_grad(score))
    return Work(lambda: jax.block_until_ready(both(*arrays)), lambda done: {"value": done[0], "gradient": flat([done[1]])})


def mala(sizes: dict[str, Any], inputs: Any) -> Work:
    """All steps in one compiled loop. log p = -E(x) + log N(x; 0, I), up to a constant that cancels."""
    activation = {"tanh": jnp.tanh, "leaky_relu": lambda h: jax.nn.leaky_relu(h, 0.05)}[sizes["activation"]]
    eta = sizes["step_size"]

    def evaluate(params: Any, x: Array) -> tuple[Array, Array, Array]:
        log_p = lambda x: -perceptron(params, x, activation)[:, 0] - 0.5 * (x * x).sum(1)
        value, back = jax.vjp(log_p, x)
        return x, value, back(jnp.ones_like(value))[0]

    def move(params: Any, state: Any, noise: Any) -> Any:
        normal, uniform = noise
        mean = state[0] + eta * state[2]
        new = evaluate(params, mean + math.sqrt(2 * eta) * normal)
        there, back = new[0] - mean, state[0] - new[0] - eta * new[2]
        log_ratio = new[1] - state[1] + ((there * there).sum(1) - (back * back).sum(1)) / (4 * eta)
        accepted = uniform < jnp.exp(jnp.minimum(log_ratio, 0.0))
        pick = lambda a, b: jnp.where(accepted.reshape(-1, *(1,) * (a.ndim - 1)), a, b)
        state = tuple(map(pick, new, state))
        return state, state[0]

    walk = jax.jit(lambda params, start, noise: jax.lax.scan(lambda *args: move(params, *args), start, noise)[1])
    noise = tuple(jnp.stack([n[name] for n in inputs["noises"]]) for name in ("normal", "uniform"))
    start = jax.jit(evaluate)(inputs["params"], inputs["x"])
    return Work(lambda: jax.block_until_ready(walk(inputs["params"], start, noise)), lambda path: {"path": path})


def prepare(kind: str, sizes: dict[str, Any], inputs: Any) -> Work:
    if jax is None:
        about()
    inputs = jax.tree.map(jnp.asarray, inputs)
    if kind == "flow":
        return flow_step(sizes, inputs)
    if kind == "sample":
        push = jax.jit(sample)
        return Work(lambda: jax.block_until_ready(push(inputs["params"], inputs["z"])), lambda x: {"x": flat([x])})
    if kind == "energy":
        return scored(energy_score, inputs["draws"], inputs["y"])
    if kind == "sliced":
        return scored(sliced_score, inputs["draws"], inputs["y"], inputs["directions"])
    if kind == "mala":
        return mala(sizes, inputs)
    raise lacking(kind)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--platform", default="cpu")
    os.environ["JAX_PLATFORMS"] = parser.parse_args().platform
    serve(Peer(about, prepare, no_memory))
