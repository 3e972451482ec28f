"""cuBLAS as accel/products.py calls it, on the memory of the stand-in: addresses of matrices that lie column by column."""
import ctypes
from typing import Any

import numpy as np

from tests import standin_count as count
from tests import standin_graph as graph


class Blas:
    """The five functions. Each gives the status 0, or 7 (invalid value) as cuBLAS does."""

    def cublasCreate_v2(self, handle: Any) -> int:
        return 0

    def cublasSetStream_v2(self, handle: Any, stream: Any) -> int:
        return 0

    def cublasSetWorkspace_v2(self, handle: Any, pointer: Any, size: Any) -> int:
        return 0

    def cublasSgemm_v2(self, handle: Any, *args: Any) -> int:
        return gemm(np.float32, *args)

    def cublasDgemm_v2(self, handle: Any, *args: Any) -> int:
        return gemm(np.float64, *args)


def gemm(
    dtype: Any, turned_a: int, turned_b: int, m: int, n: int, k: int, alpha: Any, a: Any, lda: int, b: Any, ldb: int,
    beta: Any, c: Any, ldc: int,
) -> int:
    """C (m, n) = op(A) op(B), column by column."""
    if lda < (k if turned_a else m) or ldb < (n if turned_b else k) or ldc < m:
        return 7
    if alpha._obj.value != 1 or beta._obj.value != 0:
        return 7
    A, B = at(dtype, a, lda, k, m, turned_a), at(dtype, b, ldb, n, k, turned_b)
    C = at(dtype, c, ldc, n, m, False)
    count.launched("gemm")
    graph.written(lambda: np.copyto(C, B @ A), C)
    return 0


def at(dtype: Any, pointer: Any, step: int, rows: int, columns: int, turned: int) -> np.ndarray:
    """The transpose of what cuBLAS reads there: rows x columns, row by row."""
    size = (rows - 1) * step + columns if not turned else (columns - 1) * step + rows
    memory = np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(np.ctypeslib.as_ctypes_type(dtype))), (size,))
    strides = (step * memory.itemsize, memory.itemsize)
    return np.lib.stride_tricks.as_strided(memory, (rows, columns), strides[::-1] if turned else strides)
