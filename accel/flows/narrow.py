"""A chain of couplings with narrow networks on the device: one launch forth, two back (kernels/chain.py)."""
import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from evenflow.accel.backends import module_of, on_device
from evenflow.accel.buffers import end_to_end, start_of
from evenflow.accel.core import elementwise as e
from evenflow.accel.flows.coupling import Layer
from evenflow.accel.flows.transformers import Spline
from evenflow.accel.kernels import chain
from evenflow.reference.core import Array, check_shape


def described(layer: Layer, leaves: Sequence[Array]) -> chain.Coupling:
    """The coupling in the kernel's terms."""
    T, W = layer.transformer, leaves[:: layer.net.each]
    bins, limit = (T.bins, T.bound) if isinstance(T, Spline) else (0, T.limit)
    sizes = (*(w.shape[0] for w in W), W[-1].shape[1])
    context = leaves[2].shape[0] if layer.net.has_context else 0
    activation = e.ACTIVATIONS.index(layer.net.activation)
    return chain.Coupling(sizes, tuple(layer.passing), tuple(layer.moved), context, activation, bins, limit)


def placed(parts: Sequence[Sequence[Array]]) -> chain.Weights:
    """The couplings' parameters where they lie, if those of each follow each other in one buffer; else copied into one."""
    whole = [leaf for part in parts for leaf in part if leaf.size]
    buffer, ends = whole[0].base, []
    for part in parts:
        at = None
        for leaf in part:
            if leaf.size:
                start = start_of(leaf) if buffer is not None and leaf.base is buffer else None
                if start is None or (at is not None and at != start):
                    return copied(whole, parts)
                ends.append(start) if at is None else None
                at = start + leaf.size
    return chain.Weights(buffer, tuple(ends))


def copied(whole: Sequence[Array], parts: Sequence[Sequence[Array]]) -> chain.Weights:
    return chain.Weights(end_to_end(list(whole)), starts([sum(leaf.size for leaf in part) for part in parts]))


def starts(lengths: Sequence[int]) -> tuple[int, ...]:
    return (0, *accumulate(lengths))[:-1]


class Saved(NamedTuple):
    """What the way back needs of the way forth."""
    given: chain.Given
    images: Array
    cuts: list[tuple[int, tuple[int, ...]]]  # where each leaf's gradient begins, and its shape


def given(layers: Sequence[Layer], counts: Sequence[int], x: Array, context: Array | None, leaves: Sequence[Array]) -> Any:
    """What the kernel takes for this chain; None where it must go layer by layer: on the host, and where networks are wide."""
    if not on_device(x):
        return None
    parts = [leaves[at : at + count] for at, count in zip(starts(counts), counts, strict=True)]
    couplings = tuple(described(layer, part) for layer, part in zip(layers, parts, strict=True))
    for T, layer, part in zip(couplings, layers, parts, strict=True):
        check_parameters(T, layer, part)
    if not chain.fits(module_of(x), couplings, x.dtype):
        return None
    back = layers[0].back
    lengths = [T.parameters for T in couplings]  # gradients lie in the order of the parameters, whichever way x goes
    first = starts(lengths[::-1])[::-1] if back else starts(lengths)
    return chain.Given(couplings, placed(parts), first, back, x, context if any(T.context for T in couplings) else None)


def check_parameters(T: chain.Coupling, layer: Layer, leaves: Sequence[Array]) -> None:
    """Raise ValueError unless each layer of the network takes what comes: a kernel would read whatever lies there."""
    sizes = (len(T.passing), *T.sizes[1:-1], len(T.moved) * layer.transformer.width)
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        shapes = {"W": (fan_in, fan_out), "b": (fan_out,), "C": (T.context, fan_out)}
        for (name, shape), leaf in zip(shapes.items(), leaves[i * layer.net.each :][: layer.net.each], strict=False):
            if leaf.shape != shape:
                check_shape(f"params[{i}]['{name}']", leaf, *shape)


def forward(given: chain.Given, leaves: Sequence[Array], counts: Sequence[int], keep: bool) -> tuple[tuple[Array, Array], Any]:
    image, log_det, images = chain.forward(given, keep)
    if images is None:
        return (image, log_det), None
    cuts, following = [], iter(leaves)
    for start, count in zip(given.gradients, counts, strict=True):
        for _ in range(count):
            shape = next(following).shape
            cuts.append((start, shape))
            start += math.prod(shape)
    return (image, log_det), Saved(given, images, cuts)


def backward(saved: Saved, wanted: tuple[int, ...], g: Array | None, g_log_det: Array | None) -> list[Array]:
    """The adjoints that are asked for: 1 of x, 2 of the context, from 3 on of the leaves."""
    given, images, cuts = saved
    flat: Any
    g_x, g_context, flat = chain.backward(given, images, g, g_log_det, max(wanted) > 2, 2 in wanted)
    if g_context is not None and given.context is not None and len(given.context) != len(g_x):
        total = module_of(g_x).zeros(given.context.shape, g_x.dtype)
        e.add_over_draws(total, g_context)
        g_context = total
    leaves = (flat[start : start + math.prod(shape)].reshape(shape) for start, shape in (cuts[i - 3] for i in wanted if i > 2))
    return [g_x if i == 1 else g_context if i == 2 else next(leaves) for i in wanted]
