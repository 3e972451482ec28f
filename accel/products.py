r"""Products of matrices on the device, by the C interface of cuBLAS.

CuPy refuses its own calls of cuBLAS while a stream is being recorded (graphs.py); the library itself does not mind, if handle
and workspace are given to it beforehand. So they are ours, and the same for all products, recorded or not: the same kernels
run, and the results are equal to the last bit. By ctypes rather than by bindings that would have to be installed: five
functions are needed, of a library that CuPy has loaded already.

cuBLAS reads matrices column by column, so that ours, row by row, are their transposes there: $c^T = b^T a^T$.
"""
import ctypes
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.reference.core import Array

WORKSPACE = 2**25  # bytes, as NVIDIA recommends for its present devices
NAMES = ("libcublas.so.13", "libcublas.so.12", "cublas64_13.dll", "cublas64_12.dll")
KINDS = {"f": ("cublasSgemm_v2", ctypes.c_float), "d": ("cublasDgemm_v2", ctypes.c_double)}


def product(a: Array, b: Array) -> Array:
    """a (n, k) @ b (k, m) -> (n, m), of float32 or float64 arrays."""
    xp = module_of(a, b)
    if xp is np:
        return a @ b
    wide = np.result_type(a.dtype, b.dtype)
    a, b = a.astype(wide, copy=False), b.astype(wide, copy=False)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ValueError(f"a and b must be matrices whose shapes fit, got {a.shape} and {b.shape}")
    (n, k), m = a.shape, b.shape[1]
    if not (n and m and k):
        return xp.zeros((n, m), wide)
    out = xp.empty((n, m), wide)
    (a, turned_a, step_a), (b, turned_b, step_b) = (laid_out(xp, array) for array in (a, b))
    name, real = KINDS[wide.char]
    one, zero = real(1), real(0)
    failed = getattr(library(xp), name)(
        handle(xp, xp.cuda.get_current_stream().ptr), turned_b, turned_a, m, n, k, ctypes.byref(one), pointer(b), step_b,
        pointer(a), step_a, ctypes.byref(zero), pointer(out), m,
    )
    check(name, failed)
    return out


def laid_out(xp: Any, array: Array) -> tuple[Array, int, int]:
    """A matrix that cuBLAS can read, whether it lies there column by column, and how far apart its rows (columns) begin."""
    (rows, columns), (down, along), size = array.shape, array.strides, array.itemsize
    if (along == size or columns == 1) and down >= columns * size and down % size == 0:
        return array, 0, down // size
    if (down == size or rows == 1) and along >= rows * size and along % size == 0:
        return array, 1, along // size
    return xp.ascontiguousarray(array), 0, columns


def pointer(array: Array) -> Any:
    return ctypes.c_void_p(array.data.ptr)


def check(name: str, failed: int) -> None:
    if failed:
        raise RuntimeError(f"{name} of cuBLAS failed with status {failed}")


_kept: list[Any] = []  # the workspaces, for as long as the handles


@cache
def handle(xp: Any, stream: int) -> Any:
    """One for each stream (by its address), with a workspace of its own."""
    blas, new, workspace = library(xp), ctypes.c_void_p(), xp.empty(WORKSPACE, np.uint8)
    check("cublasCreate_v2", blas.cublasCreate_v2(ctypes.byref(new)))
    check("cublasSetStream_v2", blas.cublasSetStream_v2(new, ctypes.c_void_p(stream)))
    check("cublasSetWorkspace_v2", blas.cublasSetWorkspace_v2(new, pointer(workspace), ctypes.c_size_t(WORKSPACE)))
    _kept.append(workspace)
    return new


libraries: dict[Any, Any] = {}  # cuBLAS for each device module


def library(xp: Any) -> Any:
    if xp not in libraries:
        libraries[xp] = loaded(xp)
    return libraries[xp]


def loaded(xp: Any) -> Any:
    """cuBLAS, as CuPy has it."""
    xp.ones((2, 2), np.float32) @ xp.ones((2, 2), np.float32)  # CuPy knows where it lies, and loads it
    spec = find_spec("nvidia")
    wheels = [str(path) for folder in (spec.submodule_search_locations or () if spec else ()) for name in NAMES
              for path in Path(folder).glob(f"*/lib/{name}")]
    for name in (*NAMES, *wheels):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise RuntimeError(f"cuBLAS must be where the system's loader finds it, tried {', '.join((*NAMES, *wheels))}")
