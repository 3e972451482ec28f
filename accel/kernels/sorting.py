"""Sums of |x - y| on the line, by sorting, on the device: sort.cu and sorted.cu. Rows x (rows, m), y (rows, n) or None."""
from typing import Any

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels.loading import NULL, PLAIN_SHARED, attribute, blocks, function
from evenflow.reference.core import Array

MOST = 1024  # threads of a block


def joint_order(x: Array, y: Array | None) -> Array:
    """Where the sorted numbers of a row were in [x, y]; equal ones keep their order. (rows, padded): the first m + n count."""
    xp, (rows, m), n = module_of(x), x.shape, 0 if y is None else y.shape[1]
    padded = 2 ** max(1, (m + n - 1).bit_length())
    size = min(padded, chunk(xp, x.dtype))
    places, keys = xp.empty((rows, padded), np.int32), xp.empty((rows, padded), f"u{x.dtype.itemsize}")
    threads, shared = min(MOST, size // 2), size * (x.dtype.itemsize + 4)
    kernels = {name: function(xp, "sort", name, x.dtype) for name in ("sort_chunks", "exchange", "merge_chunks")}
    for kernel in (kernels["sort_chunks"], kernels["merge_chunks"]) if shared > PLAIN_SHARED else ():
        kernel.max_dynamic_shared_size_bytes = shared
    chunks, ends = (rows, padded // size), (keys, places, np.int32(padded))
    given = (x, NULL if y is None else y, *map(np.int32, (m, n, padded, size)), keys, places)
    kernels["sort_chunks"](chunks, (threads,), given, shared_mem=shared)
    run = 2 * size
    while run <= padded:
        apart = run // 2
        while apart >= size:
            kernels["exchange"]((rows, blocks(padded // 2, MOST)), (MOST,), (*ends, np.int32(apart), np.int32(run)))
            apart //= 2
        kernels["merge_chunks"](chunks, (threads,), (*ends, np.int32(size), np.int32(run)), shared_mem=shared)
        run *= 2
    return places


def chunk(xp: Any, dtype: Any) -> int:
    """How many entries a block sorts in shared memory: the largest power of two that fits."""
    fitting = attribute(xp, "sharedMemPerBlockOptin") // (np.dtype(dtype).itemsize + 4)
    return int(2 ** (int(fitting).bit_length() - 1))


def sums_of_order(x: Array, y: Array | None, places: Array) -> tuple[Array, Array]:
    """sum_i |x_i - y_j| (rows, n), with no y (rows, 0); and sum_{i<j} |x_i - x_j| (rows,)."""
    xp, (rows, m), n = module_of(x), x.shape, 0 if y is None else y.shape[1]
    cross, within = xp.empty((rows, n), x.dtype), xp.empty(rows, x.dtype)
    function(xp, "sorted", "sorted_sums", x.dtype)((rows,), (walkers(m + n),), (
        x, NULL if y is None else y, places, np.int32(m), np.int32(n), np.int32(places.shape[1]),
        cross, within,
    ))
    return cross, within


def slopes_of_order(
    places: Array, m: int, n: int, g: Array | None, g_within: Array | None, dtype: Any, by_y: bool
) -> tuple[Array, Array | None]:
    """The gradients by x (rows, m) and by y (rows, n) for cotangents g (rows, n) and g_within (rows,), contiguous."""
    xp, rows = module_of(places), places.shape[0]
    dx, dy = xp.empty((rows, m), dtype), xp.empty((rows, n), dtype) if by_y else None
    function(xp, "sorted", "sorted_slopes", dtype)((rows,), (walkers(m + n),), (
        places, *(NULL if given is None else given for given in (g, g_within)), np.int32(m), np.int32(n),
        np.int32(places.shape[1]), dx, NULL if dy is None else dy,
    ))
    return dx, dy


def walkers(count: int) -> int:
    """Threads for a row: some eight places each."""
    return int(min(MOST, max(32, 2 ** (count // 8).bit_length())))
