r"""Perceptrons, the whole of one as a single operation.

Forward, with the ones of elementwise.py beside every layer, and the context's part added for each of m draws that share it:

$$a_l = [h_l, 1]\,[W_l; b_l] + c\, C_l, \qquad h_{l+1} = \sigma(a_l), \qquad \text{output} = a_L$$

Backward, from $\bar a_L$ = the output's adjoint down:

$$[\bar W_l; \bar b_l] = [h_l, 1]^T \bar a_l, \qquad \bar C_l = c^T \textstyle\sum_m \bar a_l, \qquad
\bar c \mathrel{+}= \sum_m \bar a_l\, C_l^T, \quad \bar h_l = \bar a_l W_l^T, \quad \bar a_{l-1} = \bar h_l\, \sigma'(a_{l-1})$$

On the host the rows go through in pieces, one piece through all layers before the next.
A masked network does the same with $W \odot M$ in the place of W, and its $\bar W$ is multiplied by M.
"""
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from evenflow.accel.backends import module_of, on_device
from evenflow.accel.buffers import stacked
from evenflow.accel.core import elementwise as e
from evenflow.accel.fused import fused
from evenflow.accel.kernels.layers import masked as masked_there
from evenflow.accel.products import product
from evenflow.reference.core import MLP, Array, MaskedMLP, Tree, check_context, check_shape, value
from evenflow.reference.core.networks import made_masks

ROWS = 1024  # rows at a time on the host


class Layers(NamedTuple):
    """The parameters of a perceptron and what is fixed about it."""
    activation: str
    has_context: bool
    masks: tuple[Array, ...] | None = None

    @property
    def each(self) -> int:
        """Arrays in a layer: W, b and, with a context, C."""
        return 3 if self.has_context else 2


class Piece(NamedTuple):
    """Some rows on their way through all layers: few enough that what they leave stays in the cache."""
    rows: slice                # of x
    shared: slice              # of the context
    h: list[Array]             # [h_l, 1], the input of every layer
    a: list[Array | None]      # pre-activations, of the activations whose slope does not follow from h


class Saved(NamedTuple):
    """What the way back needs of the way forth."""
    stacks: list[Array]        # [W_l; b_l]
    C: list[Array]
    context: Array | None
    pieces: list[Piece]


def through(
    net: Layers, h: Array, context: Array | None, leaves: Sequence[Array], keep: bool = True
) -> tuple[Array, Saved]:
    """[x, 1] (m n, inputs + 1), context (n, c), leaves W, b, (C), W, b, ... -> (m n, outputs). keep: for a way back."""
    masks = net.masks or [None] * len(leaves)
    W, b, C = leaves[:: net.each], leaves[1 :: net.each], list(leaves[2 :: net.each]) if net.has_context else []
    stacks = [stacked(w, bias) if mask is None else masked(w, bias, mask) for w, bias, mask in zip(W, b, masks, strict=False)]
    extra = [] if context is None else [product(context, c) for c in C]
    parts = pieces(module_of(h), len(h), len(h) if context is None else len(context))
    out = module_of(h).empty((len(h), stacks[-1].shape[1]), h.dtype) if len(parts) > 1 else None
    for piece in parts:
        here = h[piece.rows]
        for depth, stack in enumerate(stacks):
            a = e.by_columns(here, stack) if context is None and depth < len(stacks) - 1 else product(here, stack)
            if context is not None:
                e.add_context(a, extra[depth][piece.shared])
            if keep:
                piece.h.append(here)
                piece.a.append(a if net.activation in e.BY_INPUT else None)
            if depth < len(stacks) - 1:
                here = e.activate(a, net.activation)
        if out is not None:
            out[piece.rows] = a
    return (a if out is None else out), Saved(stacks, C, context, parts)


def masked(W: Array, b: Array, mask: Array) -> Array:
    """[W M; b]."""
    if on_device(W):
        return masked_there(W, b, mask)
    stack = np.empty((W.shape[0] + 1, W.shape[1]), W.dtype)
    stack[:-1] = W
    stack[:-1] *= mask
    stack[-1] = b
    return stack


def pieces(xp: Any, rows: int, shared: int) -> list[Piece]:
    """The rows of m draws, one draw after the other, that share `shared` rows of context. On the device, all at once."""
    if xp is not np or rows <= ROWS:
        return [Piece(slice(0, rows), slice(0, shared), [], [])]
    if shared <= ROWS:  # several draws at a time
        step = shared * (ROWS // shared)
        return [Piece(slice(at, min(at + step, rows)), slice(0, shared), [], []) for at in range(0, rows, step)]
    cuts = [slice(at, min(at + ROWS, shared)) for at in range(0, shared, ROWS)]
    return [
        Piece(slice(first + cut.start, first + cut.stop), cut, [], []) for first in range(0, rows, shared) for cut in cuts
    ]


def back_through(
    net: Layers, saved: Saved, g: Array, leaves: bool = True, x: bool = True, context: bool = True
) -> tuple[Array | None, Array | None, list[Array]]:
    """The adjoints of x (m n, inputs), context and leaves, those that are asked for, from that of the output."""
    c, depths, xp = saved.context, len(saved.stacks), module_of(g)
    of_stacks: list[Array] = [None] * depths
    of_extra: list[Array] = [None] * depths         # sums over the draws of the adjoints of a_l
    g_x = xp.empty((len(g), len(saved.stacks[0]) - 1), g.dtype) if x and len(saved.pieces) > 1 else None
    for piece in saved.pieces:
        here = g[piece.rows]
        for depth in reversed(range(depths)):
            if leaves:
                of_stacks[depth] = added(of_stacks[depth], product(piece.h[depth].T, here))
            if c is not None and (leaves or context):
                if of_extra[depth] is None:
                    of_extra[depth] = xp.zeros((len(c), here.shape[1]), g.dtype)
                e.add_over_draws(of_extra[depth][piece.shared], here)
            if depth > 0:
                here = inner(here, saved.stacks[depth], c is None)
                here = e.activate_back(here, piece.a[depth - 1], piece.h[depth], net.activation)
            elif x:
                here = inner(here, saved.stacks[0], c is None)
        if g_x is not None:
            g_x[piece.rows] = here
    g_context = None
    if c is not None and context:
        g_context = functools.reduce(added, (product(t, C.T) for t, C in zip(of_extra, saved.C, strict=True)))
    return (here if g_x is None else g_x) if x else None, g_context, of_leaves(net, c, of_stacks, of_extra) if leaves else []


def added(total: Array | None, change: Array) -> Array:
    if total is None:
        return change
    total += change
    return total


def of_leaves(net: Layers, context: Array | None, of_stacks: list[Array], of_extra: list[Array]) -> list[Array]:
    """The adjoints of W, b, (C), W, b, ..."""
    grads = []
    for depth, (stack, extra) in enumerate(zip(of_stacks, of_extra, strict=True)):
        W = stack[:-1]
        if net.masks is not None:
            W *= net.masks[depth]
        grads += [W, stack[-1]]
        if context is not None:
            grads.append(product(context.T, extra))
    return grads


def inner(g: Array, stack: Array, by_columns: bool) -> Array:
    """g W^T, in the order of the h that it is for. Over one column it is an outer product, which multiplication does faster."""
    W = stack[:-1]
    if W.shape[1] == 1 and module_of(g) is np:
        return np.multiply(g, W[:, 0], out=e.empty(len(g), len(W), g.dtype, by_columns))
    return e.by_columns(g, W.T) if by_columns else product(g, W.T)


def forward(
    net: Layers, x: Array, context: Array | None, *leaves: Array, keep: bool = True
) -> tuple[tuple[Array], Any]:
    out, saved = through(net, e.with_ones(x, list(range(x.shape[1]))), context, leaves, keep)
    return (out,), (net, saved)


def backward(kept: tuple[Layers, Saved], wanted: tuple[int, ...], g: Array) -> list[Array]:
    net, saved = kept
    x, context, grads = back_through(net, saved, g, max(wanted) > 2, 1 in wanted, 2 in wanted)
    return [x if i == 1 else context if i == 2 else grads[i - 3] for i in wanted]


perceptron = fused(forward, backward, functools.partial(forward, keep=False))


def arrays(params: Tree, has_context: bool) -> list[Array]:
    """The layers' arrays in the order in which `through` takes them; zeros for a "b" that a layer does without."""
    names = ("W", "b", "C") if has_context else ("W", "b")
    return [layer[name] if name in layer else no_bias_of(value(layer["W"])) for layer in params for name in names]


def no_bias_of(W: Array) -> Array:
    return no_bias(module_of(W), W.shape[1], W.dtype)


@functools.cache
def no_bias(xp: Any, width: int, dtype: Any) -> Array:
    """Zeros, once for each device; nothing writes there."""
    return xp.zeros(width, dtype)


def mlp(net: MLP, params: Tree, x: Array, context: Array | None = None) -> Array:
    """core.networks.MLP.__call__."""
    check_shape("x", x, "n", net.inputs)
    check_context(context, x.shape[0], net.context_dim)
    layers = Layers(net.activation, context is not None)
    return perceptron(layers, x, context, *arrays(params, context is not None))[0]


def masked_mlp(net: MaskedMLP, params: Tree, x: Array, context: Array | None = None) -> Array:
    """core.networks.MaskedMLP.__call__."""
    check_shape("x", x, "n", len(net.degrees_in))
    check_context(context, x.shape[0], net.context_dim)
    leaves = arrays(params, context is not None)
    masks = tuple(masks_on(module_of(x), leaves[0].dtype, net.degrees_in, net.hidden, net.degrees_out))
    return perceptron(Layers(net.activation, context is not None, masks), x, context, *leaves)[0]


@functools.cache
def masks_on(
    xp: Any, dtype: Any, degrees_in: tuple[int, ...], hidden: tuple[int, ...], degrees_out: tuple[int, ...]
) -> list[Array]:
    """The masks as 0 and 1 in the weights' dtype, once for each device."""
    return [xp.asarray(mask.astype(dtype)) for mask in made_masks(degrees_in, hidden, degrees_out)]


REPLACEMENTS = {"core.networks.MLP.__call__": mlp, "core.networks.MaskedMLP.__call__": masked_mlp}
