"""The network of a convolutional coupling, for libraries that take any function for it; * is their convolution.

h = x * W_0 + p, then h + (tanh u sigmoid v) * V with (u, v) = elu(h) * W, and elu(h) * V at the end. Channels are last.
"""
from collections.abc import Callable
from typing import Any

from evenflow.conformance.arrays import Array

Conv = Callable[[dict[str, Array], Array], Array]


def conv_net(params: dict[str, Any], x: Array, conv: Conv, elu: Any, tanh: Any, sigmoid: Any) -> Array:
    """x (n, h, w, c) -> (n, h, w, c, 2). conv(layer, h) also adds the layer's bias, and its context."""
    first, *between, last = params["layers"]
    h = conv(first, x) + params["places"]
    for gates, back in zip(between[::2], between[1::2], strict=True):
        a = conv(gates, elu(h))
        half = a.shape[3] // 2
        h = h + conv(back, tanh(a[..., :half]) * sigmoid(a[..., half:]))
    return conv(last, elu(h)).reshape((*x.shape, 2))
