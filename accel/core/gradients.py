r"""Value and gradient in a tree of parameters, with one root of the tape for each leaf.

autograd makes a node of every dict and list that a parameter is taken out of, and in the backward pass adds up containers of
zeros. Here the trees stay plain and only the leaves are on the tape. The leaves lie behind each other in one flat buffer, and
so do their gradients: an optimiser then moves all of them at once (optim.py), and a layer's weights and bias are one matrix
without a copy (buffers.py).
"""
from typing import Any

from autograd.core import VJPNode, add_outgrads, toposort, vspace
from autograd.extend import SparseObject
from autograd.tracer import isbox, new_box, trace_stack

from evenflow.accel.backends import module_of
from evenflow.accel.buffers import filled, joined, packed, plain_leaves, unpacked
from evenflow.accel.fused import add_nothing
from evenflow.reference.core import Array, Tree
from evenflow.reference.core.dispatch import definitions


def value_and_gradient(loss: Any, params: Tree, *args: Any) -> tuple[Array, Tree]:
    """core.gradients.value_and_gradient. The gradient's leaves are views of one buffer where all have one dtype."""
    leaves = plain_leaves(params)
    if any(map(isbox, leaves)):  # inside a trace of someone else's
        return definitions["core.gradients.value_and_gradient"](loss, params, *args)  # type: ignore[return-value]
    params = packed(params, leaves)
    leaves = plain_leaves(params)
    roots = [VJPNode.new_root() for _ in leaves]
    with trace_stack.new_trace() as trace:
        boxes = iter([new_box(leaf, trace, root) for leaf, root in zip(leaves, roots, strict=True)])
        try:
            out = loss(filled(params, boxes), *args)
        except (AttributeError, TypeError, ValueError):  # the definition says what is wrong
            return definitions["core.gradients.value_and_gradient"](loss, params, *args)  # type: ignore[return-value]
    traced = isbox(out) and out._trace == trace  # if not, the loss does not depend on the parameters
    value, found = (out._value, backward(out._node, out._value)) if traced else (out, {})
    gradients = [
        found[root].astype(leaf.dtype, copy=False) if root in found else module_of(leaf).zeros_like(leaf)
        for root, leaf in zip(roots, leaves, strict=True)
    ]
    buffer = None if isbox(value) else joined(gradients)
    if buffer is None:
        return value, filled(params, iter(gradients))
    return value, unpacked(buffer, params, leaves)


def backward(end: Any, value: Array) -> dict[Any, Array]:
    """The adjoints of the roots that `end` depends on."""
    found: dict[Any, Array] = {}
    pending: dict[Any, Any] = {end: (vspace(value).ones(), False)}
    for node in toposort(end):
        flagged = pending.pop(node, None)
        g = None if flagged is None else flagged[0]
        if not node.parents:
            if g is not None:
                found[node] = g
            continue
        for parent, change in zip(node.parents, node.vjp(g), strict=True):
            if not (type(change) is SparseObject and change.mut_add is add_nothing):
                pending[parent] = add_outgrads(pending.get(parent), change)
    return found


REPLACEMENTS = {"core.gradients.value_and_gradient": value_and_gradient}
