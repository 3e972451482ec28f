r"""Multilayer perceptrons, plain and masked (MADE).

$$h_0 = x, \qquad h_{l+1} = \sigma(h_l W_l + c\, C_l + b_l), \qquad \text{output} = h_L W_L + c\, C_L + b_L$$

The context $c$ enters *every* layer, unmasked. The masked network (Germain et al. 2015) gives each input, unit and output
a degree and keeps a weight only where information may pass:

    input  -> unit     degree(unit)   >= degree(input)
    unit   -> unit     degree(later)  >= degree(earlier)
    unit   -> output   degree(output) >  degree(unit)

so output k is a function of the inputs of degree < k alone. The lowest units see no input, only the context; through
them the first output depends on the context as well (libraries that leave them out have d(output 0)/d(context) = 0).
"""
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core.arrays import arrays
from evenflow.reference.core.checks import check_context, check_count, check_shape
from evenflow.reference.core.dispatch import lookup, replaceable
from evenflow.reference.core.looking import value
from evenflow.reference.core.placement import beside
from evenflow.reference.core.special import tanh
from evenflow.reference.core.trees import Array, Tree

# Products with a boolean keep float32; at the kink of relu and leaky_relu the gradient is that of the left side.
# A slope that is constant between kinks is no part of the trace: one product is all that autograd sees of leaky_relu.
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": tanh,
    "relu": lambda x: x * (x > 0),
    "leaky_relu": lambda x: x * onp.where(value(x) > 0, x.dtype.type(1), x.dtype.type(0.05)),
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "silu": lambda x: x * 0.5 * (1.0 + tanh(0.5 * x)),
    "elu": lambda x: x * (x >= 0) + (np.exp(x * (x < 0)) - 1.0) * (x < 0),
}


@arrays("h")
@replaceable
def activated(h: Array, name: str) -> Array:
    """An activation by its name, elementwise.

    >>> activated(onp.array([-1.0, 2.0]), "relu")
    array([-0.,  2.])
    """
    return lookup("activation", name, ACTIVATIONS)(h)


@dataclass(frozen=True)
class MLP:
    """A perceptron from `inputs` to `outputs` numbers with hidden layers of the given widths.

    >>> net = MLP(2, 3, hidden=(8, 8))
    >>> net(net.init(onp.random.default_rng(0)), onp.zeros((5, 2))).shape
    (5, 3)
    """
    inputs: int
    outputs: int
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    context_dim: int = 0
    final_scale: float = 1.0  # of the last layer's initial weights: small where the network should start near 0

    def __post_init__(self) -> None:
        check_choices(self, self.inputs, self.outputs)

    def init(self, rng: onp.random.Generator) -> Tree:
        sizes = pairwise((self.inputs, *self.hidden, self.outputs))
        return init_layers(rng, list(sizes), self.context_dim, self.final_scale)

    @arrays("x", "context")
    @replaceable
    def __call__(self, params: Tree, x: Array, context: Array | None = None) -> Array:
        """x (n, inputs), context (n, context_dim) -> (n, outputs)."""
        check_shape("x", x, "n", self.inputs)
        check_context(context, x.shape[0], self.context_dim)
        return perceptron([layer["W"] for layer in params], params, x, context, self.activation)


@dataclass(frozen=True)
class MaskedMLP:
    """A perceptron whose outputs of degree k see only the inputs of degree < k (MADE). Any degrees, in any order.

    >>> net = MaskedMLP((1, 2), (1, 2), hidden=(8, 8))
    >>> y = net(net.init(onp.random.default_rng(0)), onp.array([[3.0, 4.0], [3.0, 5.0]]))
    >>> onp.allclose(y[0], y[1])
    True
    """
    degrees_in: tuple[int, ...]   # one for each input
    degrees_out: tuple[int, ...]  # one for each output
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    context_dim: int = 0
    final_scale: float = 1.0

    def __post_init__(self) -> None:
        check_choices(self, len(self.degrees_in), len(self.degrees_out))

    def init(self, rng: onp.random.Generator) -> Tree:
        sizes = pairwise((len(self.degrees_in), *self.hidden, len(self.degrees_out)))
        return init_layers(rng, list(sizes), self.context_dim, self.final_scale)

    @arrays("x", "context")
    @replaceable
    def __call__(self, params: Tree, x: Array, context: Array | None = None) -> Array:
        """x (n, inputs), context (n, context_dim) -> (n, outputs)."""
        check_shape("x", x, "n", len(self.degrees_in))
        check_context(context, x.shape[0], self.context_dim)
        masks = made_masks(self.degrees_in, self.hidden, self.degrees_out)
        weights = [layer["W"] * beside(mask, layer["W"]) for layer, mask in zip(params, masks, strict=True)]
        return perceptron(weights, params, x, context, self.activation)


def perceptron(weights: list[Array], params: Tree, h: Array, context: Array | None, activation: str) -> Array:
    """The formula at the top of this file; a layer without a "b" has none."""
    for depth, (W, layer) in enumerate(zip(weights, params, strict=True)):
        h = h @ W + layer["b"] if "b" in layer else h @ W
        if context is not None:
            h = h + context @ layer["C"]
        if depth < len(params) - 1:
            h = ACTIVATIONS[activation](h)
    return h


@cache
def made_masks(degrees_in: tuple[int, ...], hidden: tuple[int, ...], degrees_out: tuple[int, ...]) -> tuple[Array, ...]:
    """One boolean mask (fan_in, fan_out) for each weight matrix. The units' degrees are spread evenly from
    min(degrees_out) - 1, which the first output sees, to max(degrees_out) - 1, the most that the last one sees."""
    units = [onp.rint(onp.linspace(min(degrees_out) - 1, max(degrees_out) - 1, width)) for width in hidden]
    before = [onp.array(degrees_in), *units]
    masks = [later[None, :] >= earlier[:, None] for earlier, later in zip(before, units, strict=False)]
    return (*masks, onp.array(degrees_out)[None, :] > before[-1][:, None])


def init_layers(rng: onp.random.Generator, shapes: Sequence[tuple[int, ...]], context_dim: int, final_scale: float) -> Tree:
    """Weights W of these shapes (..., fan_out) N(0, 1/fan_in), biases 0; the last layer's weights times final_scale."""
    layers = []
    for depth, (*inputs, fan_out) in enumerate(shapes):
        scale = (final_scale if depth == len(shapes) - 1 else 1.0) / math.sqrt(max(math.prod(inputs) + context_dim, 1))
        layer = {"W": scale * rng.standard_normal((*inputs, fan_out)), "b": onp.zeros(fan_out)}
        if context_dim:
            layer["C"] = scale * rng.standard_normal((context_dim, fan_out))
        layers.append(layer)
    return layers


def check_choices(net: MLP | MaskedMLP, inputs: int, outputs: int) -> None:
    check_count("inputs", inputs, least=0)  # 0 inputs: a function of the context alone
    check_count("outputs", outputs)
    check_count("context_dim", net.context_dim, least=0)
    for width in net.hidden:
        check_count("hidden", width)
    lookup("activation", net.activation, ACTIVATIONS)
