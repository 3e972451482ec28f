r"""Coupling layers, network and transformer in one operation; affine and spline.

    x_A = z_A,   x_B = tau(z_B; raw),   raw = net(z_A, c),   log_det = sum log tau'        (or tau^-1, the other way)

Backward, from the adjoints of x and log_det: through tau to those of z_B and raw, from raw through the network to those of
z_A, c and the parameters; the adjoint of x_A passes, and the network's is added to it.
"""
from typing import Any, NamedTuple

import numpy as np

from evenflow.accel.core import elementwise as e
from evenflow.accel.core.networks import Layers, back_through, through
from evenflow.accel.flows.transformers import Transformer, fast
from evenflow.reference.core import Array
from evenflow.reference.flows import Coupling


class Layer(NamedTuple):
    """What is fixed about a coupling layer."""
    net: Layers
    passing: list[int]   # A
    moved: list[int]     # B
    transformer: Transformer
    back: bool           # data -> noise


def forward(
    layer: Layer, z: Array, context: Array | None, *leaves: Array, keep: bool = True
) -> tuple[tuple[Array, Array], Any]:
    raw, saved = through(layer.net, e.with_ones(z, layer.passing), context, leaves, keep)
    x, log_det, kept = layer.transformer.forward(z, raw, layer.moved, layer.back)
    return (x, log_det), (layer, saved, kept)


def backward(kept: Any, wanted: tuple[int, ...], g_x: Array | None, g_log_det: Array | None) -> list[Array]:
    layer, saved, state = kept
    if g_x is None:
        g_x = np.zeros_like(state[0])
    g_z, g_raw = layer.transformer.backward(state, g_x, g_log_det, layer.moved, layer.back)
    through_x = 1 in wanted and bool(layer.passing)
    g_A, g_context, grads = back_through(layer.net, saved, g_raw, max(wanted, default=0) > 2, through_x, 2 in wanted)
    if g_A is not None:
        e.add_columns(g_z, layer.passing, g_A)
    return [g_z if i == 1 else g_context if i == 2 else grads[i - 3] for i in wanted]


def layer_of(coupling: Coupling, has_context: bool, back: bool) -> Layer | None:
    """The layer in the terms of this file; None for what has no fused twin, a subclass too: it may mean something else."""
    transformer = fast(coupling.transformer)
    if type(coupling) is not Coupling or transformer is None:
        return None
    passing = [i for i, passes in enumerate(coupling.mask) if passes]
    moved = [i for i, passes in enumerate(coupling.mask) if not passes]
    return Layer(Layers(coupling.activation, has_context), passing, moved, transformer, back)
