"""What jax_jit.py times of samplers: MALA with an energy or in a mixture, and a whole training step of flowMC-EBM."""
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from tests.bench.peers.jax_models import log_prob, perceptron, sample

Array = Any
LogDensity = Callable[[Array], Array]
State = tuple[Array, Array, Array]  # x (chains, d), log p (chains,), its gradient (chains, d)
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"tanh": jnp.tanh, "leaky_relu": lambda h: jax.nn.leaky_relu(h, 0.05)}


def adam(theta: Any, g: Any, m: Any, v: Any, t: Array, rate: float) -> tuple[Any, Any, Any]:
    """t counts from 1."""
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, g)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, g)
    first, second = 1 - BETA1**t, 1 - BETA2**t
    return jax.tree.map(lambda p, m, v: p - rate * (m / first) / (jnp.sqrt(v / second) + EPS), theta, m, v), m, v


def tilted(params: Any, x: Array, activation: str) -> Array:
    """-E(x) + log N(x; 0, I), up to a constant that cancels in a walk."""
    return -perceptron(params, x, ACTIVATIONS[activation])[:, 0] - 0.5 * (x * x).sum(1)


def mixture(target: dict[str, Any]) -> LogDensity:
    """log p of a mixture of round Gaussians."""
    centres, weights, sds = (jnp.asarray(target[name], float) for name in ("centres", "weights", "sds"))
    constants = jnp.log(weights) - centres.shape[1] * jnp.log(sds * math.sqrt(2 * math.pi))
    return lambda x: jax.nn.logsumexp(constants - ((x[:, None] - centres) ** 2).sum(2) / (2 * sds * sds), axis=1)


def evaluate(log_p: LogDensity, x: Array) -> State:
    value, back = jax.vjp(log_p, x)
    return x, value, back(jnp.ones_like(value))[0]


def step(log_p: LogDensity, eta: Any, state: State, noise: dict[str, Array]) -> tuple[State, Array]:
    """One step of MALA for all chains, for lax.scan."""
    mean = state[0] + eta * state[2]
    new = evaluate(log_p, mean + jnp.sqrt(2 * eta) * noise["normal"])
    there, back = new[0] - mean, state[0] - new[0] - eta * new[2]
    log_ratio = new[1] - state[1] + ((there * there).sum(1) - (back * back).sum(1)) / (4 * eta)
    accepted = noise["uniform"] < jnp.exp(jnp.minimum(log_ratio, 0.0))
    a, b, c = (jnp.where(accepted.reshape(-1, *(1,) * (n.ndim - 1)), n, o) for n, o in zip(new, state, strict=True))
    return (a, b, c), a


def walk(log_p: LogDensity, eta: Any, state: State, noises: Any) -> Array:
    """All steps for which there is noise, stacked, in one loop: the path (steps, chains, d)."""
    return jax.lax.scan(lambda state, noise: step(log_p, eta, state, noise), state, noises)[1]


def stacked(noises: list[Any]) -> Any:
    return jax.tree.map(lambda *steps: jnp.stack(steps), *noises)


def isir(log_p: LogDensity, flow: Any, x: Array, noises: list[Any]) -> Array:
    """Slot 1 the current state, the others from the flow; the next state by the weights p / lambda."""
    chains, weight = len(x), log_p(x) - log_prob(flow, x)
    for noise in noises:
        fresh, log_lambda = sample(flow, noise["flow"])
        fresh_weight = log_p(fresh) - log_lambda
        log_w = jnp.concatenate([weight[:, None], fresh_weight.reshape(chains, -1)], 1)
        reached = jnp.cumsum(jnp.exp(log_w - log_w.max(1, keepdims=True)), 1)
        total = reached[:, -1:]
        chosen = ((noise["uniform"][:, None] * total >= reached) & (reached < total)).sum(1)
        picked = jnp.arange(chains) * (log_w.shape[1] - 1) + jnp.maximum(chosen - 1, 0)
        x = jnp.where((chosen > 0)[:, None], fresh[picked], x)
        weight = jnp.where(chosen > 0, fresh_weight[picked], weight)
    return x


def contrast(params: Any, positives: Array, negatives: Array) -> Array:
    plus, minus = (perceptron(params, x, ACTIVATIONS["leaky_relu"])[:, 0].mean() for x in (positives, negatives))
    return plus - minus


def ebm_step(state: Any, positives: Array, noise: Any, rate: float) -> tuple[Any, Any, Array]:
    """One training step of flowMC-EBM: energy, flow, chains after it. Local and global moves in turn, two steps of Adam."""
    eta, x = state["step_size"][0], state["chains"][noise["chosen"]]
    log_p = lambda x: tilted(state["energy"], x, "leaky_relu") - 0.5 * x.shape[1] * math.log(2 * math.pi)
    for block in noise["moves"]:
        if "flow" in block[0]:
            x = isir(log_p, state["flow"], x, block)
        else:
            x = walk(log_p, eta, evaluate(log_p, x), stacked(block))[-1]
    losses = {"energy": lambda p: contrast(p, positives, x), "flow": lambda p: -log_prob(p, x).mean()}
    after = {}
    for name, loss in losses.items():
        memory = state[f"{name}_optimiser"]
        g = jax.grad(loss)(state[name])
        after[name] = adam(state[name], g, memory["m"], memory["v"], memory["t"] + 1.0, rate)[0]
    return after["energy"], after["flow"], state["chains"].at[noise["chosen"]].set(x)
