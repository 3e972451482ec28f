"""Random arrays that are functions of seed, call and index alone: philox.cuh. The same on every device, at any block size."""
import math
from typing import Any

import numpy as np

from evenflow.accel.kernels.loading import blocks, function
from evenflow.reference.core import Array

THREADS = 256


def normal(xp: Any, seed: int, shape: tuple[int, ...], dtype: Any, call: int = 0) -> Array:
    """Standard normal numbers. Each `call` of a seed is a stream of its own. seed below 2^64, call below 2^32."""
    return fill(xp, "normal", seed, shape, dtype, call)


def uniform(xp: Any, seed: int, shape: tuple[int, ...], dtype: Any, call: int = 0) -> Array:
    """Numbers in [0, 1); 1 itself never comes, not by rounding either."""
    return fill(xp, "uniform", seed, shape, dtype, call)


def fill(xp: Any, name: str, seed: int, shape: tuple[int, ...], dtype: Any, call: int) -> Array:
    check_place(seed, call)
    out, n = xp.empty(shape, dtype=dtype), math.prod(shape)
    if n:
        kernel = function(xp, "random", name, dtype)
        kernel((blocks(n, THREADS),), (THREADS,), (out, np.int64(n), np.uint64(seed), np.uint32(call)))
    return out


def check_place(seed: int, call: int) -> None:
    """Raise ValueError for what does not fit into the generator's key and counter."""
    for name, number, bits in (("seed", seed, 64), ("call", call, 32)):
        if not 0 <= number < 2**bits:
            raise ValueError(f"{name} must be an integer from 0 to 2^{bits} - 1, got {number!r}")
