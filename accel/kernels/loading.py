"""CUDA sources, compiled when they are first needed: accel/kernels/*.cu, for one dtype and one set of constants at a time."""
import re
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from evenflow.reference.core import Array

INCLUDE = re.compile(r'^#include "(\w+\.cuh)"$', re.MULTILINE)
REAL = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
NULL = np.uint64(0)           # the null pointer, as an argument of a kernel
PLAIN_SHARED = 48 * 1024      # bytes of shared memory that a launch may use without asking


def source(file: str) -> str:
    """The text of a source, its own includes inserted: the compiler needs no path to them."""
    text = files(__package__).joinpath(file).read_text(encoding="utf-8")
    return INCLUDE.sub(lambda found: source(found[1]), text)


def options(dtype: Any, **constants: int) -> tuple[str, ...]:
    """What the compiler is told. Raises ValueError unless dtype is float32 or float64."""
    if np.dtype(dtype) not in REAL:
        raise ValueError(f"dtype must be float32 or float64, got {dtype}")
    given = {"REAL": REAL[np.dtype(dtype)], **constants}
    return ("--std=c++17", *(f"-D{name}={value}" for name, value in given.items()))


@cache
def module(xp: Any, file: str, told: tuple[str, ...]) -> Any:
    return xp.RawModule(code=source(f"{file}.cu"), options=told)


@cache
def compiled(xp: Any, file: str, name: str, told: tuple[str, ...]) -> Any:
    return module(xp, file, told).get_function(name)


def function(xp: Any, file: str, name: str, dtype: Any, **constants: int) -> Any:
    """The kernel `name` of <file>.cu on the device module xp, with REAL of this dtype: kernel(grid, block, args, shared_mem=0).

    args are device arrays, C-contiguous, and NumPy scalars of exactly the parameters' types.
    """
    return compiled(xp, file, name, options(dtype, **constants))


def pointer(xp: Any, array: Array | None, dtype: Any) -> Any:
    """What a kernel takes for an array that may not be there: C-contiguous, in its dtype, or the null pointer."""
    return NULL if array is None else xp.ascontiguousarray(array, dtype=dtype)


def blocks(n: int, size: int) -> int:
    """How many blocks of `size` cover n."""
    return -(-n // size)


def attribute(xp: Any, name: str) -> int:
    """A property of the current device, by the name in CUDA's cudaDeviceProp."""
    return int(properties(xp, xp.cuda.Device().id)[name])


@cache
def properties(xp: Any, device: int) -> Any:
    return xp.cuda.runtime.getDeviceProperties(device)
