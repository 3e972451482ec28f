"""Perceptrons, plain and masked (MADE), from their formulas; and small random ones as inputs of a case.

A network comes under flat names, `net/0/W` (fan_in, fan_out), `net/0/b`, with a context `net/0/C` (context_dim, fan_out), and
where it is masked `net/0/mask` (fan_in, fan_out): the weight that counts is W * mask.
"""
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array

NET = {
    "net/": "the layers of a perceptron with ReLU between them: W (fan_in, fan_out), b (fan_out,), and C (c, fan_out) with a "
    "context",
}
MASKED = {"net/": f"{NET['net/']}; mask (fan_in, fan_out): W * mask is the weight that counts"}
CONTEXT = {"context": "(n, c), in some cases"}


def perceptron(layers: Sequence[dict[str, Any]], h: Array, context: Array | None = None) -> Array:
    """h_l+1 = relu(h_l W_l + c C_l + b_l), the last without relu.  h (n, fan_in) -> (n, fan_out)."""
    for depth, layer in enumerate(layers):
        a = h @ (layer["W"] * layer.get("mask", True)) + layer["b"]
        if context is not None:
            a = a + context @ layer["C"]
        h = np.where(a > 0, a, 0 * a) if depth < len(layers) - 1 else a
    return h


def made_masks(degrees_in: Sequence[int], hidden: Sequence[int], degrees_out: Sequence[int]) -> list[Array]:
    """Which weights count (Germain et al. 2015): a unit sees the inputs and units of degree up to its own, an output those
    of a lower degree. The degrees of a layer's units are spread evenly from that which the first output sees to that which
    the last one sees, and rounded, halves to the even number."""
    low, high = min(degrees_out) - 1, max(degrees_out) - 1
    units = [[round(low + Fraction((high - low) * j, max(width - 1, 1))) for j in range(width)] for width in hidden]
    degrees = [list(degrees_in), *units]
    masks = [[[later >= earlier for later in after] for earlier in before] for before, after in pairwise(degrees)]
    masks.append([[output > unit for output in degrees_out] for unit in degrees[-1]])
    return [np.array(mask).reshape(len(mask), -1) for mask in masks]


def autoregressive_masks(order: Sequence[int], hidden: Sequence[int], width: int) -> list[Array]:
    """Of a network that gives `width` numbers for each coordinate, functions of those before it; order[0] is the first."""
    degrees = [list(order).index(i) + 1 for i in range(len(order))]
    return made_masks(degrees, hidden, [degree for degree in degrees for _ in range(width)])


def random_net(
    rng: np.random.Generator, sizes: Sequence[int], context_dim: int = 0, masks: Sequence[Array] | None = None,
    name: str = "net", scale: float = 1.0,
) -> dict[str, Array]:
    """Weights of the size 1 / sqrt(fan_in), those of the last layer times `scale`, and biases, mostly above 0."""
    net = {}
    for depth, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        size = (scale if depth == len(sizes) - 2 else 1.0) / np.sqrt(max(fan_in, 1))
        net[f"{name}/{depth}/W"] = size * rng.standard_normal((fan_in, fan_out))
        net[f"{name}/{depth}/b"] = size * rng.uniform(-0.3, 1.2, fan_out)
        if context_dim:
            net[f"{name}/{depth}/C"] = size * rng.standard_normal((context_dim, fan_out))
        if masks is not None:
            net[f"{name}/{depth}/mask"] = masks[depth]
    return net
