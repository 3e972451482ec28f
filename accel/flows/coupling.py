r"""Coupling layers, network and transformer in one operation; affine and spline.

    x_A = z_A,   x_B = tau(z_B; raw),   raw = net(z_A, c),   log_det = sum log tau'        (or tau^-1, the other way)

Backward, from the adjoints of x and log_det: through tau to those of z_B and raw, from raw through the network to those of
z_A, c and the parameters; the adjoint of x_A passes, and the network's is added to it.
"""
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from evenflow.accel.core import elementwise as e
from evenflow.accel.core.networks import Layers, arrays, back_through, through
from evenflow.accel.flows.transformers import Affine, Spline
from evenflow.accel.fused import fused
from evenflow.reference.core import Array, Tree, check_shape
from evenflow.reference.core.dispatch import definitions
from evenflow.reference.flows import AffineTransformer, Coupling, SplineTransformer
from evenflow.reference.flows.contract import check_input


def affine(name: str, back: bool, transformer: AffineTransformer, raw: Array, v: Array) -> tuple[Array, Array]:
    if type(transformer) is not AffineTransformer or raw.dtype != v.dtype:
        return definitions[name](transformer, raw, v)  # type: ignore[return-value]
    check_shape("raw", raw, *v.shape, 2)
    out, log_slope = _affine(transformer.limit, back, raw, v)
    return out, log_slope


def _affine_forward(limit: float, back: bool, raw: Array, v: Array) -> tuple[tuple[Array, Array], Any]:
    out, log_slope, s = e.couple(v.reshape(-1, 1), raw.reshape(-1, 2), [0], limit, back)
    return (out.reshape(v.shape), log_slope.reshape(v.shape)), (limit, back, v, out, s)


def _affine_backward(kept: Any, wanted: tuple[int, ...], g: Array | None, g_l: Array | None) -> list[Array]:
    limit, back, v, out, s = kept
    g = np.zeros_like(out) if g is None else g.reshape(-1, 1)
    g_l = None if g_l is None else g_l.reshape(-1)
    g_v, g_raw = e.couple_back(g, g_l, v.reshape(-1, 1), out, s, [0], limit, back)
    return [g_v.reshape(v.shape) if i == 3 else g_raw.reshape(*v.shape, 2) for i in wanted]


_affine = fused(_affine_forward, _affine_backward)


def affine_forward(transformer: AffineTransformer, raw: Array, z: Array) -> tuple[Array, Array]:
    """flows.affine.AffineTransformer.forward."""
    return affine("flows.affine.AffineTransformer.forward", False, transformer, raw, z)


def affine_inverse(transformer: AffineTransformer, raw: Array, x: Array) -> tuple[Array, Array]:
    """flows.affine.AffineTransformer.inverse."""
    return affine("flows.affine.AffineTransformer.inverse", True, transformer, raw, x)


class Layer(NamedTuple):
    """What is fixed about a coupling layer."""
    net: Layers
    passing: list[int]   # A
    moved: list[int]     # B
    transformer: Any     # Affine or Spline
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


coupled = fused(forward, backward, partial(forward, keep=False))


def layer_of(coupling: Coupling, has_context: bool, back: bool) -> Layer | None:
    """The layer in the terms of this file; None for what has no fused twin, a subclass too: it may mean something else."""
    transformer: Any = coupling.transformer
    if type(coupling) is not Coupling or type(transformer) not in (AffineTransformer, SplineTransformer):
        return None
    affine = type(transformer) is AffineTransformer
    transformer = Affine(transformer.limit) if affine else Spline(transformer.bins, transformer.bound)
    passing = [i for i, passes in enumerate(coupling.mask) if passes]
    moved = [i for i, passes in enumerate(coupling.mask) if not passes]
    return Layer(Layers(coupling.activation, has_context), passing, moved, transformer, back)


def couple(
    name: str, back: bool, coupling: Coupling, params: Tree, z: Array, context: Array | None
) -> tuple[Array, Array]:
    check_input(coupling, "x" if back else "z", z, context)
    layer = layer_of(coupling, context is not None, back)
    if layer is None:  # the network alone is fused then
        return definitions[name](coupling, params, z, context)  # type: ignore[return-value]
    x, log_det = coupled(layer, z, context, *arrays(params, context is not None))
    return x, log_det


def coupling_forward(coupling: Coupling, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
    """flows.coupling.Coupling.forward."""
    return couple("flows.coupling.Coupling.forward", False, coupling, params, z, context)


def coupling_inverse(coupling: Coupling, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
    """flows.coupling.Coupling.inverse."""
    return couple("flows.coupling.Coupling.inverse", True, coupling, params, x, context)


REPLACEMENTS = {
    "flows.affine.AffineTransformer.forward": affine_forward,
    "flows.affine.AffineTransformer.inverse": affine_inverse,
    "flows.coupling.Coupling.forward": coupling_forward,
    "flows.coupling.Coupling.inverse": coupling_inverse,
}
