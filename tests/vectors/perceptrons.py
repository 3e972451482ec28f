r"""Small networks and a small flow in exact arithmetic: what the oracles of energy-based models are written in.

$h_{l+1} = \sigma(h_l W_l + b_l)$ and back from $\bar h_L$: $\bar W_l = h_l^\top \bar a_l$, $\bar b_l = \sum_n \bar a_l$,
$\bar h_l = \bar a_l W_l^\top$ with $\bar a_l = \bar h_{l+1}\, \sigma'(a_l)$. The flow is RealNVP with log scales
$3 \tanh(\text{raw} / 3)$ (Dinh et al. 2017): couplings in which coordinates 1, 3, ... and 0, 2, ... stand fast in turn, then
each coordinate alone.
"""
from typing import Any

import mpmath
import numpy as np

from evenflow.conformance.arrays import Array, branch, flat
from tests.vectors.exact import exp, tanh
from tests.vectors.networks import perceptron, random_net
from tests.vectors.sampler_targets import TWO_PI, Exact

Layers = list[dict[str, Array]]
LEAK = mpmath.mpf("0.05")


def net(i: Exact, name: str) -> Layers:
    layers: Layers = branch(i, name)
    return layers


def slopes(a: Array) -> Array:
    return np.where(a > 0, mpmath.mpf(1), LEAK)


def energy(layers: Layers, h: Array) -> Array:
    for layer in layers[:-1]:
        a = h @ layer["W"] + layer["b"]
        h = a * slopes(a)
    return (h @ layers[-1]["W"] + layers[-1]["b"])[:, 0]


def energy_back(layers: Layers, x: Array, g: Array) -> tuple[Array, Layers]:
    """The gradients of sum_n g_n E(x_n) in x and in the layers."""
    inputs, bent, h = [], [], x
    for layer in layers[:-1]:
        inputs.append(h)
        a = h @ layer["W"] + layer["b"]
        bent.append(slopes(a))
        h = a * bent[-1]
    bar, grads = g[:, None], [{"W": h.T @ g[:, None], "b": np.sum(g[:, None], axis=0)}]
    for layer, h, slope in zip(layers[:0:-1], inputs[::-1], bent[::-1], strict=True):
        bar = (bar @ layer["W"].T) * slope
        grads.append({"W": h.T @ bar, "b": np.sum(bar, axis=0)})
    return bar @ layers[0]["W"].T, grads[::-1]


def log_normal(x: Array, sd: Any = 1) -> Array:
    """log N(x; 0, sd^2 I)."""
    return np.sum(-(x**2) / (2 * sd**2) - mpmath.mp.log(TWO_PI * sd**2) / 2, axis=1)


def couplings(i: Exact, name: str) -> list[tuple[Array, Layers]]:
    """For each layer which coordinates pass, and its network."""
    layers: list[Layers] = branch(i, name)
    d = len(layers[-1][0]["b"]) // 2
    fast = [np.arange(d) % 2 == (k + 1) % 2 if d > 1 else np.zeros(d, bool) for k in range(len(layers) - 1)]
    return list(zip([*fast, np.zeros(d, bool)], layers, strict=True))


def log_scale_and_shift(layers: Layers, passing: Array) -> tuple[Array, Array]:
    raw = perceptron(layers, passing).reshape(len(passing), -1, 2)
    return 3 * tanh(raw[:, :, 0] / 3), raw[:, :, 1]


def flow_forward(i: Exact, name: str, z: Array) -> tuple[Array, Array]:
    """x, log |det dx/dz|."""
    total: Any = 0
    for fast, layers in couplings(i, name):
        s, t = log_scale_and_shift(layers, z[:, fast])
        z = z.copy()
        z[:, ~fast] = z[:, ~fast] * exp(s) + t
        total = total + np.sum(s, axis=1)
    return z, total


def flow_log_prob(i: Exact, name: str, x: Array) -> Array:
    total: Any = 0
    for fast, layers in couplings(i, name)[::-1]:
        s, t = log_scale_and_shift(layers, x[:, fast])
        x = x.copy()
        x[:, ~fast] = (x[:, ~fast] - t) / exp(s)
        total = total - np.sum(s, axis=1)
    return log_normal(x) + total


def random_flow(rng: np.random.Generator, d: int, hidden: int = 3, name: str = "params") -> dict[str, Array]:
    """Two couplings and the last layer."""
    one = d - d // 2 if d > 1 else 0  # of the coordinates 0, 2, ...
    widths = ((d // 2 if d > 1 else 0, hidden, 2 * (one or d)), (one, hidden, 2 * (d - one)), (0, 2 * d))
    return {key: leaf for k, sizes in enumerate(widths) for key, leaf in random_net(rng, sizes, name=f"{name}/{k}").items()}


def gradient(layers: Layers) -> dict[str, Array]:
    return flat("gradient", layers)
