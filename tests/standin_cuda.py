"""The stand-in's `xp.cuda` and its CUDA kernels, which run on the CPU (cuda_on_cpu.py). Read standin.py first."""
import math
from collections.abc import Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests import standin_count as count
from tests import standin_graph as graph
from tests.standin_array import ndarray
from tests.standin_graph import Graph, Stream, get_current_stream, using_allocator

__all__ = ["Device", "Graph", "RawKernel", "RawModule", "Stream", "get_current_stream", "runtime", "using_allocator"]

SHARED = 48 * 1024           # bytes of shared memory that a kernel gets without asking
SHARED_OPT_IN = 227 * 1024   # and with max_dynamic_shared_size_bytes, as on compute capability 9.0
PROPERTIES = {
    "name": b"stand-in", "major": 9, "minor": 0, "totalGlobalMem": 2**33, "multiProcessorCount": 132,
    "sharedMemPerBlock": SHARED, "sharedMemPerBlockOptin": SHARED_OPT_IN,
}


class Device:
    def __init__(self, device: int = 0) -> None:
        if device != 0:
            raise RuntimeError(f"cudaErrorInvalidDevice: invalid device ordinal {device}")
        self.id, self.compute_capability, self.mem_info = 0, "90", (2**33, 2**33)

    def use(self) -> "Device":
        return self

    def synchronize(self) -> None:
        count.synchronised()

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, *error: object) -> None:
        pass


runtime = SimpleNamespace(
    getDeviceCount=lambda: 1, getDeviceProperties=lambda device: dict(PROPERTIES), runtimeGetVersion=lambda: 13000,
    driverGetVersion=lambda: 13000, deviceSynchronize=count.synchronised,
)


@lru_cache(maxsize=16)
def library(code: str, options: tuple[str, ...]) -> Any:
    from tests import cuda_on_cpu  # compiles only where a kernel is launched

    return cuda_on_cpu.load(code, options)


class RawModule:
    def __init__(
        self, code: str, *, options: tuple[str, ...] = (), backend: str = "nvrtc", name_expressions: Sequence[str] | None = None
    ) -> None:
        if not isinstance(options, tuple) or not all(isinstance(option, str) for option in options):
            raise TypeError(f"options must be a tuple of strings, got {options!r}")
        if backend not in ("nvrtc", "nvcc"):
            raise ValueError(f"backend must be nvrtc or nvcc, got {backend!r}")
        self.code, self.options, self.backend = code, options, backend

    def get_function(self, name: str) -> "RawKernel":
        return RawKernel(self.code, name, options=self.options, backend=self.backend)


LIMITS = {"grid": (2**31 - 1, 65_535, 65_535), "block": (1024, 1024, 64)}  # of every device so far


class RawKernel:
    def __init__(self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc") -> None:
        self.code, self.name, self.options = code, name, options
        self.max_dynamic_shared_size_bytes = SHARED

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[Any], *, shared_mem: int = 0) -> None:
        """One launch. Raises for what a device refuses, and for what it would take silently and wrongly."""
        for name, shape in (("grid", grid), ("block", block)):
            if not 1 <= len(shape) <= 3 or not all(isinstance(n, int) and n > 0 for n in shape):
                raise RuntimeError(f"CUDA_ERROR_INVALID_VALUE: {name} must hold one to three positive integers, got {shape}")
            if any(n > most for n, most in zip(shape, LIMITS[name], strict=False)):
                raise RuntimeError(f"CUDA_ERROR_INVALID_VALUE: {name} must be at most {LIMITS[name]}, got {shape}")
        if math.prod(block) > 1024:
            raise RuntimeError(f"CUDA_ERROR_INVALID_VALUE: block must hold at most 1024 threads, got {block}")
        if not 0 <= shared_mem <= self.max_dynamic_shared_size_bytes <= SHARED_OPT_IN:
            allowed = self.max_dynamic_shared_size_bytes
            raise RuntimeError(f"CUDA_ERROR_INVALID_VALUE: {shared_mem} bytes of shared memory, {allowed} allowed")
        given = [argument(i, x) for i, x in enumerate(args)]
        count.launched(self.name)
        kernels = library(self.code, self.options)
        arrays = [array for array in given if isinstance(array, np.ndarray)]
        graph.written(lambda: kernels.launch(self.name, grid, block, given, shared_mem), *arrays)


def argument(i: int, x: Any) -> Any:
    if isinstance(x, ndarray):
        if not x.flags.c_contiguous:
            raise ValueError(f"argument {i} must be C-contiguous: a kernel gets the bare pointer; strides are {x.strides}")
        return x._host
    if not isinstance(x, np.generic):
        raise TypeError(f"argument {i} must be a device array or a NumPy scalar, which says its type, got {type(x)}")
    return x
