r"""A chain of couplings as one operation: $x_{l+1}, \ell_l = T_l(x_l)$, log_det $\sum_l \ell_l$; backwards layer by layer.

The adjoint of the log_det goes to every layer, that of x from each layer to the one before. A context may be shared by several
draws: x (m n, d), one draw after the other, and context (n, c); layer by layer its products are made once for all m. On the
device a chain of narrow networks is one launch (narrow.py).
"""
from typing import Any, NamedTuple

import numpy as np

from evenflow.accel.backends import on_device
from evenflow.accel.core.networks import ROWS, arrays
from evenflow.accel.flows import coupling, narrow
from evenflow.accel.flows.coupling import Layer, layer_of
from evenflow.accel.fused import fused
from evenflow.reference.core import Array, Tree
from evenflow.reference.core.dispatch import definitions
from evenflow.reference.flows import Chain, Coupling
from evenflow.reference.flows.contract import check_input


class Stack(NamedTuple):
    """The layers in the order in which x passes them, and how many arrays each has."""
    layers: list[Layer]
    counts: list[int]


def forward(
    stack: Stack, x: Array, context: Array | None, *leaves: Array, keep: bool = True
) -> tuple[tuple[Array, Array], Any]:
    given = narrow.given(*stack, x, context, leaves)
    if given is not None:
        return narrow.forward(given, leaves, stack.counts, keep)
    log_det, kept, at = None, [], 0
    for layer, count in zip(*stack, strict=True):
        c = context if layer.net.has_context else None
        (x, change), saved = coupling.forward(layer, x, c, *leaves[at : at + count], keep=keep)
        log_det, at = change if log_det is None else log_det + change, at + count
        if keep:
            kept.append(saved)
    return (x, log_det), (stack, kept)


def plain(stack: Stack, x: Array, context: Array | None, *leaves: Array) -> tuple[tuple[Array, Array], Any]:
    """No way back: on the host, some rows through all layers before the next, so that they stay in the cache."""
    if on_device(x) or len(x) <= ROWS or (context is not None and len(context) != len(x)):
        return forward(stack, x, context, *leaves, keep=False)
    rows = [slice(at, at + ROWS) for at in range(0, len(x), ROWS)]
    parts = [forward(stack, x[r], None if context is None else context[r], *leaves, keep=False)[0] for r in rows]
    image, log_det = (np.concatenate(part) for part in zip(*parts, strict=True))
    return (image, log_det), None


def backward(saved: Any, wanted: tuple[int, ...], g: Array | None, g_log_det: Array | None) -> list[Array]:
    if isinstance(saved, narrow.Saved):
        return narrow.backward(saved, wanted, g, g_log_det)
    (layers, counts), kept = saved
    of_context: Array = None
    of_leaves: list[Array] = []
    for i in reversed(range(len(layers))):
        deeper, context = (1,) if i > 0 or 1 in wanted else (), (2,) if layers[i].net.has_context and 2 in wanted else ()
        leaves = tuple(range(3, 3 + counts[i])) if max(wanted) > 2 else ()
        grads = coupling.backward(kept[i], (*deeper, *context, *leaves), g, g_log_det)
        of_leaves = grads[len(deeper) + len(context) :] + of_leaves
        if context:
            change = grads[len(deeper)]
            of_context = change if of_context is None else of_context + change
        g = grads[0] if deeper else None
    return [g if i == 1 else of_context if i == 2 else of_leaves[i - 3] for i in wanted]


chained = fused(forward, backward, plain)


def through(chain: Chain, params: Tree, x: Array, context: Array | None, back: bool) -> tuple[Array, Array] | None:
    """Image and log_det; None for a chain that does not consist of couplings with a fused twin."""
    layers: list[Layer] = []
    for layer in chain.layers:
        fit = layer_of(layer, layer.context_dim > 0, back) if type(layer) is Coupling else None
        if fit is None:
            return None
        layers.append(fit)
    leaves = [arrays(p, layer.net.has_context) for layer, p in zip(layers, params, strict=True)]
    if back:
        layers, leaves = layers[::-1], leaves[::-1]
    out, log_det = chained(Stack(layers, [len(part) for part in leaves]), x, context, *(a for part in leaves for a in part))
    return out, log_det


def couple(
    name: str, back: bool, coupling: Coupling, params: Tree, z: Array, context: Array | None
) -> tuple[Array, Array]:
    """A chain of one."""
    check_input(coupling, "x" if back else "z", z, context)
    layer = layer_of(coupling, context is not None, back)
    if layer is None:  # the network alone is fused then
        return definitions[name](coupling, params, z, context)  # type: ignore[return-value]
    leaves = arrays(params, context is not None)
    x, log_det = chained(Stack([layer], [len(leaves)]), z, context, *leaves)
    return x, log_det


def coupling_forward(coupling: Coupling, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
    """flows.coupling.Coupling.forward."""
    return couple("flows.coupling.Coupling.forward", False, coupling, params, z, context)


def coupling_inverse(coupling: Coupling, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
    """flows.coupling.Coupling.inverse."""
    return couple("flows.coupling.Coupling.inverse", True, coupling, params, x, context)


def chain_forward(chain: Chain, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
    """flows.compose.Chain.forward."""
    check_input(chain, "z", z, context)
    done = through(chain, params, z, context, False) if type(chain) is Chain else None
    return done or definitions["flows.compose.Chain.forward"](chain, params, z, context)  # type: ignore[return-value]


def chain_inverse(chain: Chain, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
    """flows.compose.Chain.inverse."""
    check_input(chain, "x", x, context)
    done = through(chain, params, x, context, True) if type(chain) is Chain else None
    return done or definitions["flows.compose.Chain.inverse"](chain, params, x, context)  # type: ignore[return-value]


REPLACEMENTS = {
    "flows.coupling.Coupling.forward": coupling_forward,
    "flows.coupling.Coupling.inverse": coupling_inverse,
    "flows.compose.Chain.forward": chain_forward,
    "flows.compose.Chain.inverse": chain_inverse,
}
