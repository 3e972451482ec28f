"""What jax_jit.py times, as functions of weights: flows with affine and spline couplings, SAEF, scores. The arithmetic is
that of the reference, written the way JAX likes it. Of the coordinates of a flow, odd and even ones pass in turn."""
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Array = Any
LIMIT, LAST_LIMIT = 3.0, 5.0               # of an affine coupling's log scale; of the last one's in SAEF
BOUND, MIN_BIN, SLOPE_LIMIT = 5.0, 1e-3, 5.0  # of splines
EPS = 1e-6                                 # of distances: sqrt(u^2 + EPS^2)


def perceptron(layers: Any, h: Array, activation: Callable[[Array], Array]) -> Array:
    for layer in layers[:-1]:
        h = activation(h @ layer["W"] + layer["b"])
    return h @ layers[-1]["W"] + layers[-1].get("b", 0.0)  # an energy has no last bias


def halves(x: Array, k: int) -> tuple[Array, Array]:
    """The coordinates that pass layer k and the others."""
    return x[..., (k + 1) % 2 :: 2], x[..., k % 2 :: 2]


def joined(passing: Array, others: Array, k: int) -> Array:
    pair = (others, passing) if k % 2 == 0 else (passing, others)
    return jnp.stack(pair, axis=-1).reshape(*passing.shape[:-1], -1)


def shaped(raw: Array, limit: float) -> tuple[Array, Array]:
    """Log scale and shift of each coordinate, side by side in raw."""
    return limit * jnp.tanh(raw[..., 0::2] / limit), raw[..., 1::2]


def back(raw: Array, x: Array, bins: int | None) -> tuple[Array, Array]:
    """The transformer's way from x to z, and the sum of log dz/dx."""
    if bins:
        return spline_back(raw.reshape(*x.shape, -1), x, bins)
    s, t = shaped(raw, LIMIT)
    return (x - t) * jnp.exp(-s), -s.sum(1)


def log_prob(params: Any, x: Array, bins: int | None = None) -> Array:
    *couplings, last = params
    x, log_det = back(perceptron(last, x[:, :0], jax.nn.relu), x, None)  # the last one is affine
    for k in reversed(range(len(couplings))):
        passing, others = halves(x, k)
        others, change = back(perceptron(couplings[k], passing, jax.nn.relu), others, bins)
        x, log_det = joined(passing, others, k), log_det + change
    return log_det - 0.5 * (x * x).sum(1) - 0.5 * x.shape[1] * math.log(2 * math.pi)


def sample(params: Any, z: Array) -> tuple[Array, Array]:
    """x, and the log density there."""
    *couplings, last = params
    log_p = -0.5 * (z * z).sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi)
    for k, coupling in enumerate(couplings):
        passing, others = halves(z, k)
        s, t = shaped(perceptron(coupling, passing, jax.nn.relu), LIMIT)
        z, log_p = joined(passing, others * jnp.exp(s) + t, k), log_p - s.sum(1)
    s, t = shaped(perceptron(last, z[:, :0], jax.nn.relu), LIMIT)
    return z * jnp.exp(s) + t, log_p - s.sum(1)


def knots(raw: Array) -> Array:
    share = MIN_BIN + (1 - MIN_BIN * raw.shape[-1]) * jax.nn.softmax(raw)
    return jnp.pad(2 * BOUND * jnp.cumsum(share, -1), [(0, 0)] * (raw.ndim - 1) + [(1, 0)]) - BOUND


def entry(a: Array, k: Array) -> Array:
    """a_k of each row."""
    return jnp.take_along_axis(a, k[..., None], -1)[..., 0]


def spline_back(raw: Array, x: Array, bins: int) -> tuple[Array, Array]:
    """Rational-quadratic, the identity outside [-BOUND, BOUND]; the root of the quadratic without cancellation."""
    x_knots, y_knots, inner = knots(raw[..., :bins]), knots(raw[..., bins : 2 * bins]), raw[..., 2 * bins :]
    ends = [(0, 0)] * (raw.ndim - 1) + [(1, 1)]
    slopes = jnp.pad(jnp.exp(SLOPE_LIMIT * jnp.tanh(inner / SLOPE_LIMIT)), ends, constant_values=1.0)
    inside = (x >= y_knots[..., 0]) & (x <= y_knots[..., -1])
    x_in = jnp.where(inside, x, 0.0)
    k = jnp.clip((y_knots <= x_in[..., None]).sum(-1) - 1, 0, bins - 1)
    (x_k, x_next), (y_k, y_next), (d_k, d_next) = ((entry(a, k), entry(a, k + 1)) for a in (x_knots, y_knots, slopes))
    w, h = x_next - x_k, y_next - y_k
    q, p, s = (x_in - y_k) / h, (y_next - x_in) / h, h / w
    A = d_k * p - d_next * q
    low = A >= 0
    T = jnp.abs(A) + jnp.sqrt(A * A + 4 * s * s * p * q)
    near = 2 * s * jnp.where(low, q, p)
    xi, eta = jnp.where(low, near, T) / (T + near), jnp.where(low, T, near) / (T + near)
    u = xi * eta
    D = s * (xi * xi + eta * eta) + (d_k + d_next) * u
    log_slope = 2 * jnp.log(s) + jnp.log(d_next * xi * xi + 2 * s * u + d_k * eta * eta) - 2 * jnp.log(D)
    return jnp.where(inside, x_k + w * xi, x), -jnp.where(inside, log_slope, 0.0).sum(1)


def saef_loss(params: Any, x: Array, context: Array, z: Array, kept: list[Array]) -> Array:
    """Teacher forcing: all contexts in one masked network, m draws of each block, the energy score; kept: its masks.

    The context enters every layer of every network; that of a block is the same for its m draws and is multiplied once.
    """
    h = x
    for depth, (layer, mask) in enumerate(zip(params["contexts"], kept, strict=True)):
        h = h @ (layer["W"] * mask) + context @ layer["C"] + layer["b"]
        h = jax.nn.relu(h) if depth < len(kept) - 1 else h
    (*couplings, last), = params["maps"]
    width, n = last[0]["C"].shape[0], len(x)
    h = h.reshape(n, -1, width)                                # (n, B, width)
    z = z.reshape(len(z) // n, n, h.shape[1], -1)              # (m, n, B, k)
    for k, layers in enumerate(couplings):
        passing, others = halves(z, k)
        s, t = shaped(conditioned(layers, passing, h), LIMIT)
        z = joined(passing, others * jnp.exp(s) + t, k)
    s, t = shaped(conditioned(last, z[..., :0], h), LAST_LIMIT)
    draws, y, m = z * jnp.exp(s) + t, x.reshape(n, h.shape[1], -1), len(z)
    spread = sum(distance(draws[i], draws[j]).sum() for i in range(m) for j in range(i))
    return (distance(draws, y).sum() / m - spread / (m * (m - 1))) / n


def conditioned(layers: Any, h: Array, context: Array) -> Array:
    for depth, layer in enumerate(layers):
        h = h @ layer["W"] + (context @ layer["C"] + layer["b"])
        h = jax.nn.relu(h) if depth < len(layers) - 1 else h
    return h


def distance(a: Array, b: Array) -> Array:
    return jnp.sqrt(((a - b) ** 2).sum(-1) + EPS**2)


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
