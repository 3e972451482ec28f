"""A strict stand-in for CuPy 14 on machines without a GPU: `xp` behaves as CuPy does wherever our code could notice.

    where the data is   NumPy underneath, but nothing crosses to the host unless asked for (get, item, float, bool, asnumpy),
                        and no host array mixes with device arrays, not even one without axes
    what exists         the functions, keywords, ufuncs and methods of CuPy that we use (standin_table.py), no others
    what differs        a reduction gives a device array without axes; `empty` holds NaN; singular matrices raise nothing
    what it counts      launches, views, uploads, synchronisations (standin_count.py): `with counting() as count: ...`
    kernels             RawModule compiles CUDA sources for the CPU (standin_cuda.py)

Stricter than CuPy in four things: indices out of range raise; Python numbers are refused as arguments of a kernel (CuPy takes
them for 64-bit ones); so are arrays that are not C-contiguous (CuPy passes the bare pointer); broadcast views are read-only.
What only a device can show is out of reach: races, float32 sums in another order, memory that runs out.
"""
from types import ModuleType
from typing import Any

import numpy as np

from evenflow.accel import products
from tests import standin_count as count
from tests import standin_cuda as cuda
from tests.standin_array import FUNCTION, MADE, call, host, launch, live, ndarray, wrap
from tests.standin_blas import Blas
from tests.standin_table import CONSTANTS
from tests.standin_ufuncs import UFUNC

__all__ = ["counting", "xp"]
counting = count.counting


def array(
    obj: Any, dtype: Any = None, copy: Any = True, order: Any = "K", subok: bool = False, ndmin: int = 0, *,
    blocking: bool = False,
) -> Any:
    """A copy on the device: of a device array, of a (nested) list of them, or of whatever NumPy makes an array of."""
    if isinstance(obj, ndarray):
        if not copy and np.dtype(dtype or obj.dtype) == obj.dtype and ndmin <= obj.ndim:
            return obj
        return launch("copy", lambda: np.array(obj._host, dtype, order=order, ndmin=ndmin))
    pieces = list(flat(obj))
    if pieces and all(isinstance(x, ndarray) for x in pieces):
        launches = len(pieces) if len(pieces) <= 8 else 1
        return launch("concatenate", lambda: np.array(host(obj, "array"), dtype, ndmin=ndmin), launches)
    values = np.array(obj, dtype, ndmin=ndmin)  # a device array among host values refuses here
    if values.dtype.kind not in "biufc":
        raise ValueError(f"Unsupported dtype {values.dtype}")
    count.uploaded()
    return wrap(values)


def flat(obj: Any) -> Any:
    for x in obj if isinstance(obj, list | tuple) else ():
        yield from flat(x) if isinstance(x, list | tuple) else (x,)


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> Any:
    return array(a, dtype, copy=bool(copy), order=order or "K")


def ascontiguousarray(a: Any, dtype: Any = None) -> Any:
    a = asarray(a, dtype)
    return a if a.flags.c_contiguous and a.ndim else a.copy().reshape(a.shape or (1,))


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> np.ndarray:
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


class MemoryPool:
    def malloc(self, size: int) -> None:
        raise NotImplementedError("the stand-in only looks whether a pool is in use")

    def used_bytes(self) -> int:
        return live["bytes"]

    def total_bytes(self) -> int:
        return live["bytes"]

    def free_all_blocks(self) -> None:
        pass


def function(name: str) -> Any:
    return lambda *args, **kwargs: call(name, *args, **kwargs)


def module() -> Any:
    """The module `cupy`, so far as we use it."""
    xp: Any = ModuleType("standin")
    xp.__version__, pool = "14.2.0", MemoryPool()
    xp.ndarray, xp.cuda, xp.linalg, xp.fft = ndarray, cuda, ModuleType("standin.linalg"), ModuleType("standin.fft")
    for name in FUNCTION:
        *path, last = name.split(".")
        setattr(getattr(xp, path[0]) if path else xp, last, function(name))
    for name, ufunc in UFUNC.items():
        setattr(xp, name, ufunc)
    for made in (array, asarray, ascontiguousarray, asnumpy):
        setattr(xp, made.__name__, made)
        MADE[made.__name__] = made
    for name in CONSTANTS:
        setattr(xp, name, getattr(np, name))
    xp.get_default_memory_pool = lambda: pool
    xp.cuda.MemoryPool = MemoryPool
    xp.RawModule, xp.RawKernel = cuda.RawModule, cuda.RawKernel
    return xp


xp = module()
products.libraries[xp] = Blas()
