"""A chain of couplings with narrow networks, one launch forth, two back: chain.cu."""
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels.layers import numbers, solid, with_stride
from evenflow.accel.kernels.loading import NULL, PLAIN_SHARED, attribute, blocks, function
from evenflow.reference.core import Array

WIDEST = 128      # units of a hidden layer: wider products are the library's
BY_INPUT = 3      # of activations from this number on, the slope is told by what they are given
TILES = ((8, 128), (4, 64), (4, 32), (4, 16), (4, 8))  # numbers a thread, rows a block: the first that fills the device
MOST_BLOCKS = 2   # on a multiprocessor


class Coupling(NamedTuple):
    """One coupling, the network's parameters apart."""
    sizes: tuple[int, ...]    # of the network: inputs, hidden, raw numbers
    passing: tuple[int, ...]
    moved: tuple[int, ...]
    context: int              # its width, 0 without one
    activation: int
    bins: int                 # 0: affine
    limit: float              # or the spline's bound

    @property
    def parameters(self) -> int:
        return sum((fan_in + 1 + self.context) * fan_out for fan_in, fan_out in pairwise(self.sizes))


class Weights(NamedTuple):
    """Where the parameters lie: those of each coupling behind each other, W, b, (C) of each layer of its network."""
    buffer: Array
    starts: tuple[int, ...]


class Given(NamedTuple):
    """What a chain is given."""
    couplings: tuple[Coupling, ...]
    weights: Weights
    gradients: tuple[int, ...]  # where those of each coupling begin, in one buffer
    back: bool
    x: Array                    # (n, d)
    context: Array | None       # (shared, c), the same for every `shared` rows


def padded(width: int) -> int:
    """As in narrow.cuh."""
    return 4 * (-(-width // 4) | 1)


def shared_bytes(couplings: Sequence[Coupling], dtype: Any, pitch: int) -> int:
    """Shared memory of a block of `pitch` rows on the way back, which takes more than the way forth."""
    def numbers(T: Coupling) -> int:
        weights = sum((fan_in + 1 + T.context) * padded(fan_out) for fan_in, fan_out in pairwise(T.sizes))
        kept = sum(T.sizes[1:-1]) if T.activation >= BY_INPUT else 0
        return weights + (sum(T.sizes) + 2 * T.context + kept) * padded(pitch)

    return int(np.dtype(dtype).itemsize) * max(map(numbers, couplings))


def fits(xp: Any, couplings: Sequence[Coupling], dtype: Any) -> bool:
    """Whether all networks are narrow, and each fits into shared memory."""
    narrow = all(max(T.sizes[1:-1], default=0) <= WIDEST for T in couplings)
    return narrow and shared_bytes(couplings, dtype, TILES[-1][1]) <= attribute(xp, "sharedMemPerBlockOptin")


@cache
def shape_of(xp: Any, couplings: tuple[Coupling, ...], dtype: Any, n: int) -> tuple[int, int, int, int]:
    """Numbers a thread, rows a block, blocks, and shared memory: the largest tile that still fills the device."""
    processors, room = attribute(xp, "multiProcessorCount"), attribute(xp, "sharedMemPerBlockOptin")
    sizes = {pitch: shared_bytes(couplings, dtype, pitch) for _, pitch in TILES}
    fitting = [(tile, pitch) for tile, pitch in TILES if sizes[pitch] <= room]
    tile, pitch = next((pair for pair in fitting if blocks(n, pair[1]) >= processors), fitting[-1])
    resident = max(1, min(MOST_BLOCKS, room // sizes[pitch]))
    return tile, pitch, min(blocks(n, pitch), resident * processors), sizes[pitch]


def plan_of(xp: Any, given: Given) -> tuple[Array, Array]:
    """The plan of chain.cu and the limits, brought to the device once."""
    heads, lists, at = [], [], 9 * len(given.couplings)
    for T, start, gradient in zip(given.couplings, given.weights.starts, given.gradients, strict=True):
        heads += [start, gradient, len(T.sizes) - 1, len(T.passing), len(T.moved), T.context, T.bins, T.activation, at]
        lists += [*T.sizes, *T.passing, *T.moved]
        at += len(T.sizes) + len(T.passing) + len(T.moved)
    return numbers(xp, (*heads, *lists)), limits(xp, tuple(T.limit for T in given.couplings), given.x.dtype)


@cache
def limits(xp: Any, values: tuple[float, ...], dtype: Any) -> Array:
    return xp.asarray(np.array(values, dtype))


def launch(xp: Any, name: str, given: Given, args: tuple[Any, ...], ends: tuple[Any, ...], after: tuple[Any, ...]) -> None:
    n, d = given.x.shape
    tile, pitch, count, shared = shape_of(xp, given.couplings, given.x.dtype, n)
    kernel = function(xp, "chain", name, given.x.dtype, TILE=tile)
    if shared > PLAIN_SHARED:
        kernel.max_dynamic_shared_size_bytes = shared
    context = NULL if given.context is None else solid(given.context)
    rows = n if given.context is None else len(given.context)
    block = (8, pitch // 8) if tile == 8 else (32, max(8, pitch // 4))
    kernel((count,), block, (
        *args, context, *map(np.int32, (n, d, rows)), given.weights.buffer, *plan_of(xp, given),
        *map(np.int32, (len(given.couplings), given.back, pitch, blocks(n, pitch))), *ends, *after,
    ), shared_mem=shared)


def forward(given: Given, keep: bool) -> tuple[Array, Array, Array | None]:
    """Image (n, d), log_det (n,); keep: the images of all couplings (layers, n, d), for the way back."""
    x, xp, layers = given.x, module_of(given.x), len(given.couplings)
    n, d = x.shape
    images, log_det = xp.empty((layers if keep else 1, n, d), x.dtype), xp.empty(n, x.dtype)
    if n:
        launch(xp, "chain_forward", given, (solid(x),), (np.int64(n * d if keep else 0),), (images, log_det))
    return images[-1], log_det, images if keep else None


def backward(
    given: Given, images: Array, g_x: Array | None, g_log_det: Array | None, leaves: bool, context: bool
) -> tuple[Array, Array | None, Array | None]:
    """The adjoints of x (n, d), of the context, one for each row of x, and of all parameters, those that are asked for."""
    x, xp, total = given.x, module_of(given.x), sum(T.parameters for T in given.couplings)
    n, d = x.shape
    g_z = xp.empty((n, d), x.dtype)
    g_context = xp.empty((n, given.context.shape[1]), x.dtype) if context and given.context is not None else None
    if n == 0:
        return g_z, g_context, xp.zeros(total, x.dtype) if leaves else None
    tile, _, count, _ = shape_of(xp, given.couplings, x.dtype, n)
    partial = xp.empty(count * total, x.dtype) if leaves else None  # one copy for each block
    launch(xp, "chain_backward", given, (NULL if g_x is None else solid(g_x), *with_stride(g_log_det), solid(x), images),
           (np.int64(n * d), np.int32(total)), (g_z, *(NULL if a is None else a for a in (g_context, partial))))
    if partial is None or count == 1:
        return g_z, g_context, partial
    gradients = xp.empty(total, x.dtype)
    add_up = function(xp, "chain", "sum_blocks", x.dtype, TILE=tile)
    add_up((blocks(total, 32),), (32, 8), (partial, *map(np.int32, (count, total)), gradients))
    return g_z, g_context, gradients
