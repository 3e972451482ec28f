"""Our perceptrons within PyTorch libraries: their weights are tensors, so that gradients reach them."""
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from evenflow.conformance.arrays import branch


class Net(torch.nn.Module):  # type: ignore[misc]
    """A function of (x, context) as the network that a library asks for."""
    hidden_features = 1  # nflows and normflows divide the logits of splines by its root

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any, context: Any = None) -> Any:
        return self.function(x, context)


def joined(layers: Sequence[Any]) -> list[dict[str, Any]]:
    """The same function as a perceptron of (x, c), for networks that see a context in their first layer alone.

    h W + c C = h W + relu(c) C - relu(-c) C: two more units for each number carry the context on to the later layers.
    """
    if "C" not in layers[0]:
        return [dict(layer) for layer in layers]
    found = []
    for depth, layer in enumerate(layers):
        W, C, b = layer["W"], layer["C"], layer["b"]
        mask = layer.get("mask", torch.ones(W.shape, dtype=torch.bool))
        one = torch.eye(len(C), dtype=W.dtype)
        W, carry = torch.cat([W, C, -C] if depth else [W, C]), torch.cat([one, -one] if depth else [one])
        if depth < len(layers) - 1:
            carry = torch.cat([carry, -carry], 1)
            W = torch.cat([W, torch.cat([W.new_zeros(len(W) - len(carry), carry.shape[1]), carry])], 1)
            b = torch.cat([b, b.new_zeros(carry.shape[1])])
        seen = torch.ones(W.shape, dtype=torch.bool)
        seen[: mask.shape[0], : mask.shape[1]] = mask
        found.append({"W": W, "b": b, "mask": seen})
    return found


def filled(net: Any, layers: Sequence[Any]) -> Any:
    """A library's network with these weights, and masks where it has some. The sizes of its layers are those of the weights."""
    linears = [module for module in net.modules() if hasattr(module, "weight")]
    for linear, layer in zip(linears, layers, strict=True):
        give(linear, layer["W"], layer["b"])
        if hasattr(linear, "mask"):
            linear.mask = layer["mask"].T
    return net


def give(linear: Any, W: Any, b: Any) -> None:
    """W (fan_in, fan_out) and b (fan_out,) to a linear layer."""
    del linear.weight, linear.bias
    linear.weight, linear.bias = W.T, b


def beside(x: Any, context: Any) -> Any:
    """(x, c), or x alone where there is no context."""
    return x if context is None else torch.cat([x, context], 1)


def every_other(i: Mapping[str, Any]) -> list[Any]:
    """The networks of a MAF: between its layers stand permutations, which have no parameters."""
    depth = 1 + max(int(name.split("/")[1]) for name in i if name.startswith("params/"))
    return [branch(i, f"params/{k}") for k in range(0, depth, 2)]


def alternating(d: int, layers: int) -> list[Any]:
    """The masks of a RealNVP's couplings: True where a coordinate passes. A single coordinate never does."""
    return [torch.tensor([(i + k) % 2 == 1 and d > 1 for i in range(d)]) for k in range(layers)]


def nowhere(d: int) -> Any:
    """The mask of its last layer, in which nothing passes."""
    return torch.zeros(d, dtype=torch.bool)
