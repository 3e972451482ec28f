"""Random arrays that are functions of seed, call and index alone: philox.cuh. The same on every device, at any block size.

Seed and call are whole numbers, or arrays without axes on the device, of uint64: then a recorded launch draws other numbers
each time that these change.
"""
import math
from typing import Any

import numpy as np

from evenflow.accel.backends import on_device
from evenflow.accel.kernels.loading import NULL, blocks, function
from evenflow.reference.core import Array, check_shape

THREADS = 256


def normal(xp: Any, seed: int | Array, shape: tuple[int, ...], dtype: Any, call: int | Array = 0) -> Array:
    """Standard normal numbers. Each `call` of a seed is a stream of its own. seed below 2^64, call below 2^32."""
    return fill(xp, "normal", seed, shape, dtype, call)


def uniform(xp: Any, seed: int | Array, shape: tuple[int, ...], dtype: Any, call: int | Array = 0) -> Array:
    """Numbers in [0, 1); 1 itself never comes, not by rounding either."""
    return fill(xp, "uniform", seed, shape, dtype, call)


def fill(xp: Any, name: str, seed: int | Array, shape: tuple[int, ...], dtype: Any, call: int | Array) -> Array:
    key = key_args(seed, call)
    out, n = xp.empty(shape, dtype=dtype), math.prod(shape)
    if n:
        function(xp, "random", name, dtype)((blocks(n, THREADS),), (THREADS,), (out, np.int64(n), *key))
    return out


def key_args(seed: int | Array, call: int | Array) -> tuple[Any, ...]:
    """Seed and call as a kernel takes them: each as a number, and as a pointer that goes before it unless it is null.

    Raises ValueError for what does not fit into the generator's key and counter; of a call on the device 32 bits count.
    """
    numbers: list[Any] = []
    pointers: list[Any] = []
    both: tuple[tuple[str, Any, Any, int], ...] = (("seed", seed, np.uint64, 64), ("call", call, np.uint32, 32))
    for name, given, of, bits in both:
        there = on_device(given)
        if there:
            check_shape(name, given)
            if given.dtype != np.uint64:
                raise ValueError(f"{name} must be an array of uint64 where it lives on the device, got {given.dtype}")
        elif not 0 <= given < 2**bits:
            raise ValueError(f"{name} must be an integer from 0 to 2^{bits} - 1, got {given!r}")
        numbers.append(of(0 if there else given))
        pointers.append(given if there else NULL)
    return (*numbers, *pointers)
