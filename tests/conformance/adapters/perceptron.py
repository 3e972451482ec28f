"""The network of a coupling or an autoregressive layer, for libraries that take any function for it.

h <- relu(h W + c C + b), without the relu at the end; a masked weight is W * mask. Plain arithmetic, so that NumPy's and
JAX's arrays both do; a library that has networks of its own gets the weights copied into those instead.
"""
from typing import Any

from evenflow.conformance.arrays import Array


def perceptron(net: list[dict[str, Array]], x: Array, context: Array | None = None) -> Any:
    """net: the layers, each with W (fan_in, fan_out), b, and where there are any C and mask. x (n, fan_in)."""
    h = x
    for depth, layer in enumerate(net):
        h = h @ (layer["W"] * layer.get("mask", True)) + layer["b"]
        if context is not None:
            h = h + context @ layer["C"]
        if depth < len(net) - 1:
            h = h * (h > 0)
    return h
