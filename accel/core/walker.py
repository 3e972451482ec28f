r"""A masked convolutional network place by place, in the order of reading: `ConvNet.walker`, one product a layer and step.

A layer keeps what is known of its input with r = k // 2 zeros above and beside it. What its kernel may see at (i, j) are the
lines i - r, ..., i there: r + 1 lines of k places, one row of numbers, times the same lines of W. What comes after (i, j) in
its own line is still 0. A kernel of one pixel needs no memory.
"""
from collections.abc import Callable
from typing import Any

import numpy as np
from autograd.tracer import isbox

from evenflow.accel.backends import module_of
from evenflow.accel.buffers import plain_leaves
from evenflow.accel.products import product
from evenflow.reference.core import Array, Tree
from evenflow.reference.core.convolution import ConvNet, Place
from evenflow.reference.core.dispatch import definitions

Step = Callable[[Place, Array], Array]


def walker(net: ConvNet, params: Tree, context: Array | None = None) -> Step:
    """core.convolution.ConvNet.walker: traced, the definition, from the first step on."""
    by_definition: Any = definitions["core.convolution.ConvNet.walker"]
    if any(map(isbox, plain_leaves([params, context]))):
        return by_definition(net, params, context)  # type: ignore[no-any-return]
    fast, slow = plain(net, params, context), None
    told: list[tuple[Place, Array]] = []

    def step(place: Place, x: Array) -> Array:
        nonlocal slow
        if slow is None and isbox(x):
            slow = by_definition(net, params, context)
            for before in told:
                slow(*before)
        told.append((place, x))
        return fast(place, x) if slow is None else slow(place, x)

    return step


def plain(net: ConvNet, params: Tree, context: Array | None) -> Step:
    """The same of plain arrays."""
    layers = [layer_of(layer["W"], layer["b"], layer.get("C"), context) for layer in net.layers(params)]
    known: list[Array] = []
    places: list[Place] = []

    def step(place: Place, x: Array) -> Array:
        if not known:
            known.extend(nothing(net, k, c, S, x) for k, c, S, _ in layers)

        def conv(depth: int, h: Array) -> Array:
            k, _, S, more = layers[depth]
            if k > 1 or depth == 0:  # the first layer sees what comes before its place
                for i, j in places[-1:] if depth == 0 else [place]:
                    known[depth][:, i + k // 2, j + k // 2] = h
                i, j = place
                h = known[depth][:, i : i + k // 2 + 1, j : j + k].reshape(len(h), len(S))
            y = product(h, S)
            y += more
            return y

        y = net.through(x, params["places"][place], conv)
        places.append(place)
        return y

    return step


def layer_of(W: Array, b: Array, C: Array | None, context: Array | None) -> tuple[int, int, Array, Array]:
    """Edge, channels, the weights of the lines that may be seen as a matrix, what is added to every place."""
    k, _, c, outputs = W.shape
    return k, c, W[: k // 2 + 1].reshape(-1, outputs), b if context is None else product(context, C) + b


def nothing(net: ConvNet, k: int, c: int, S: Array, x: Array) -> Array:
    """The memory of a layer before anything is known."""
    r, (h, w, _) = k // 2, net.shape
    return module_of(S).zeros((len(x), h + r, w + 2 * r, c) if k == net.kernel else 0, np.result_type(S.dtype, x.dtype))


REPLACEMENTS = {"core.convolution.ConvNet.walker": walker}
