"""The stand-in's array: NumPy underneath, CuPy's manners on top. Read standin.py first."""
from operator import attrgetter
from typing import Any

import numpy as np
from autograd.tracer import isbox

from tests import standin_costs as costs
from tests import standin_count as count
from tests import standin_graph as graph
from tests.standin_table import SIGNATURES, signature

SCALARS = {bool, int, float, complex, *(np.dtype(c).type for c in "?bBhHiIlLqQefdFD")}
HOST_ANSWERS = {"shape", "ndim", "size", "result_type", "may_share_memory", "iscomplexobj"}
FUNCTION = {name: signature(text) for name, text in SIGNATURES.items()}
UFUNC: dict[str, Any] = {}  # filled by standin_ufuncs.py
MADE: dict[str, Any] = {}   # array, asarray, ..: filled by standin.py; np.asarray(x, like=device_array) arrives at them
live = {"bytes": 0}  # held by arrays that own their memory


class ndarray:
    """`xp.ndarray(shape, dtype)` is uninitialised, as in CuPy; `wrap` puts one around what NumPy computed."""
    __slots__ = ("_host", "_owned", "base")
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, shape: Any, dtype: Any = float) -> None:
        self._hold(costs.uninitialised(shape, dtype), None)

    def _hold(self, array: Any, base: "ndarray | None") -> "ndarray":
        self._host, self.base = array, base
        self._owned = -(-array.nbytes // 512) * 512 if base is None else 0  # CuPy's pool gives out blocks of 512 bytes
        live["bytes"] += self._owned
        if base is None:
            graph.made(array)
        return self

    def __del__(self) -> None:
        if live is not None:  # as it is while Python shuts down
            live["bytes"] -= getattr(self, "_owned", 0)

    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    dtype = property(lambda self: self._host.dtype)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: self._host.flags)
    data = property(lambda self: Pointer(self._host.ctypes.data))
    T = property(lambda self: call("transpose", self))
    mT = property(lambda self: call("swapaxes", self, -1, -2))
    real = property(lambda self: call("real", self))

    # To the host: asked for, never by the way
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def get(self) -> np.ndarray:
        count.synchronised()
        host: np.ndarray = self._host.copy()
        return host

    def item(self) -> Any:
        return self.get().item()

    def tolist(self) -> Any:
        return self.get().tolist()

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __repr__(self) -> str:
        return f"device {self.get()!r}"

    def __format__(self, spec: str) -> str:
        return format(self.get(), spec)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Any:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    # Shapes and copies
    def reshape(self, *shape: Any, order: str = "C", copy: Any = None) -> Any:
        return call("reshape", self, shape[0] if len(shape) == 1 else shape, order=order, copy=copy)

    def transpose(self, *axes: Any) -> Any:
        return call("transpose", self, axes[0] if len(axes) == 1 else axes or None)

    def astype(self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True) -> Any:
        if casting is not None or subok is not None:
            raise TypeError("casting and subok are not supported")
        if not copy and self.dtype == np.dtype(dtype):
            return self
        return launch("astype", lambda: self._host.astype(dtype, order=order))

    def copy(self, order: str = "C") -> Any:
        return launch("copy", lambda: self._host.copy(order=order))

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def flatten(self, order: str = "C") -> Any:
        return launch("copy", lambda: self._host.flatten(order))

    def view(self, dtype: Any = None) -> Any:
        count.viewed()
        return wrap(self._host.view() if dtype is None else self._host.view(dtype), self)

    def fill(self, value: Any) -> None:
        graph.written(lambda: self._host.fill(host(value, "fill")), self._host)
        count.launched("fill", int(self.size > 0))

    def set(self, array: np.ndarray, stream: Any = None) -> None:
        """A host array into this one."""
        if type(array) is not np.ndarray or (array.shape, array.dtype) != (self.shape, self.dtype):
            raise ValueError(f"Shape and dtype must be those of the array, got {array!r}")
        count.uploaded()
        self._host[...] = array

    # Indices
    def __getitem__(self, index: Any) -> Any:
        at, launches, masked = costs.index(index, ndarray)
        taken = self._host[at]
        if masked:
            count.synchronised()  # how long the answer is, only the device knows
        if launches:
            count.launched("getitem", launches if np.size(taken) else 0)
            copied = wrap(np.array(taken))
            graph.fresh(copied._host, lambda: self._host[at])
            return copied
        count.viewed()
        return wrap(self._host[at if Ellipsis in at else (*at, Ellipsis)], self)

    def __setitem__(self, index: Any, value: Any) -> None:
        at, launches, masked = costs.index(index, ndarray)
        if masked:
            count.synchronised()  # how many there are, only the device knows
        if launches and type(value) is not ndarray:
            count.uploaded()      # the number, as an array
        if type(value) not in SCALARS and type(value) is not ndarray:
            raise TypeError(f"setitem: Unsupported type {type(value)}")
        source = host(value, "setitem")
        graph.written(lambda: self._host.__setitem__(at, source), self._host)
        count.launched("setitem", max(1, launches))

    # NumPy asks here first (NEP 13, NEP 18)
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = ufunc.__name__
        if name not in UFUNC or method not in ("__call__", "reduce", "accumulate", "at", "outer"):
            return NotImplemented
        if any(type(x) not in SCALARS and not isinstance(x, ndarray | np.ndarray) for x in (*inputs, *kwargs.get("out", ()))):
            return NotImplemented
        if "out" in kwargs:
            (kwargs["out"],) = kwargs["out"]
        return getattr(UFUNC[name], method)(*inputs, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = ".".join((*func.__module__.split(".")[1:], func.__name__))
        if not all(issubclass(t, ndarray | np.ndarray) for t in types) or name not in SIGNATURES.keys() | MADE.keys():
            return NotImplemented
        return MADE[name](*args, **kwargs) if name in MADE else call(name, *args, **kwargs)


class Pointer:
    """Where an array's memory lies, as CuPy's MemoryPointer says it."""

    def __init__(self, ptr: int) -> None:
        self.ptr = ptr


def host(x: Any, name: str) -> Any:
    """What NumPy gets to see of an argument. Raises TypeError for an array that lives on the host, and for autograd's boxes."""
    if isinstance(x, ndarray):
        return x._host
    if isinstance(x, np.ndarray) or isbox(x):
        raise TypeError(f"{name}: Unsupported type {type(x)}")
    return type(x)(host(part, name) for part in x) if isinstance(x, list | tuple) else x


def wrap(result: Any, *operands: "ndarray") -> Any:
    """NumPy's answer as device arrays; a view of an operand knows it as its base. Other things come as they are."""
    if isinstance(result, tuple | list):
        return (list if isinstance(result, list) else tuple)(wrap(part, *operands) for part in result)
    if not isinstance(result, np.ndarray | np.generic):
        return result
    array = np.asarray(result)
    owner = next((x for x in operands if np.may_share_memory(x._host, array)), None)
    base = owner if owner is None or owner.base is None else owner.base
    return ndarray.__new__(ndarray)._hold(array, base)


def launch(name: str, compute: Any, launches: int = 1, operands: tuple["ndarray", ...] = ()) -> Any:
    """Run it as a device would, without warnings, and count it."""
    with np.errstate(all="ignore"):
        result = wrap(compute(), *operands)
    first = result[0] if isinstance(result, tuple | list) and result else result
    if isinstance(first, ndarray) and first.base is not None:
        count.viewed()
    elif not isinstance(first, ndarray) or first.size:
        count.launched(name, launches)
        outs = [x._host if isinstance(x, ndarray) else x for x in (result if isinstance(result, tuple | list) else [result])]
        graph.fresh(outs, compute)
    return result


def call(name: str, *args: Any, **kwargs: Any) -> Any:
    """One of the functions in the table, with CuPy's signature and CuPy's refusals."""
    bound = FUNCTION[name].bind(*args, **kwargs)
    operands = tuple(costs.arrays(bound.arguments.values(), ndarray))
    launches = costs.check_and_count(name, bound.arguments, operands)
    given, named = host(bound.args, name), {key: host(x, name) for key, x in bound.kwargs.items()}
    compute = costs.SPECIAL.get(name) or attrgetter(name)(np)
    if name in HOST_ANSWERS:
        return compute(*given, **named)
    out = bound.arguments.get("out")
    if out is None:
        return launch(name, lambda: compute(*given, **named), launches, operands)
    into(name, lambda: compute(*given, **named), out, launches)
    return out


def into(name: str, compute: Any, out: ndarray, launches: int = 1) -> None:
    """A launch that writes into memory that is there."""
    with np.errstate(all="ignore"):
        graph.written(compute, out._host)
    count.launched(name, launches)
