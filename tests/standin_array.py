"""The stand-in's array: NumPy underneath, CuPy's manners on top. Read standin.py first."""
from typing import Any

import numpy as np
from autograd.tracer import isbox

from tests import standin_costs as costs
from tests import standin_count as count
from tests.standin_table import ACCUMULATED, ALIASES, REDUCED, SCATTERED, SIGNATURES, UFUNCS, signature

SCALARS = {bool, int, float, complex, *(np.dtype(c).type for c in "?bBhHiIlLqQefdFD")}
HOST_ANSWERS = {"shape", "ndim", "result_type", "may_share_memory", "iscomplexobj"}
METHODS = """all any argmax argmin argsort astype clip cumsum diagonal dot max mean min nonzero prod ptp ravel repeat
    searchsorted squeeze std sum swapaxes take trace var""".split()
live = {"bytes": 0}  # held by arrays that own their memory


class ndarray:
    """`xp.ndarray(shape, dtype)` is uninitialised, as in CuPy; `wrap` puts one around what NumPy computed."""
    __slots__ = ("__weakref__", "_host", "_owned", "base")
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, shape: Any, dtype: Any = float) -> None:
        self._hold(uninitialised(shape, dtype), None)

    def _hold(self, array: np.ndarray, base: "ndarray | None") -> "ndarray":
        self._host, self.base = array, base
        self._owned = -(-array.nbytes // 512) * 512 if base is None else 0  # CuPy's pool gives out blocks of 512 bytes
        live["bytes"] += self._owned
        return self

    def __del__(self) -> None:
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
        return self._host.copy()

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
    def reshape(self, *shape: Any, order: str = "C", copy: Any = None) -> "ndarray":
        return call("reshape", self, shape[0] if len(shape) == 1 else shape, order=order, copy=copy)  # type: ignore[no-any-return]

    def transpose(self, *axes: Any) -> "ndarray":
        return call("transpose", self, axes[0] if len(axes) == 1 else axes or None)  # type: ignore[no-any-return]

    def astype(self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True) -> "ndarray":
        if casting is not None or subok is not None:
            raise TypeError("casting and subok are not supported")
        if not copy and self.dtype == np.dtype(dtype):
            return self
        return launch("astype", lambda: self._host.astype(dtype, order=order))

    def copy(self, order: str = "C") -> "ndarray":
        return launch("copy", lambda: self._host.copy(order=order))

    def __copy__(self) -> "ndarray":
        return self.copy()

    def __deepcopy__(self, memo: Any) -> "ndarray":
        return self.copy()

    def flatten(self, order: str = "C") -> "ndarray":
        return launch("copy", lambda: self._host.flatten(order))

    def view(self, dtype: Any = None) -> "ndarray":
        count.viewed()
        return wrap(self._host.view() if dtype is None else self._host.view(dtype), self)  # type: ignore[no-any-return]

    def fill(self, value: Any) -> None:
        self._host.fill(host(value, "fill"))
        count.launched("fill", int(self.size > 0))

    # Indices
    def __getitem__(self, index: Any) -> "ndarray":
        at, launches = costs.index(index, ndarray)
        taken = self._host[at]
        if launches:
            count.launched("getitem", launches if np.size(taken) else 0)
            return wrap(np.array(taken))  # type: ignore[no-any-return]
        count.viewed()
        return wrap(self._host[at if Ellipsis in at else (*at, Ellipsis)], self)  # type: ignore[no-any-return]

    def __setitem__(self, index: Any, value: Any) -> None:
        at, launches = costs.index(index, ndarray)
        if type(value) not in SCALARS and type(value) is not ndarray:
            raise TypeError(f"setitem: Unsupported type {type(value)}")
        self._host[at] = host(value, "setitem")
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
        if not all(issubclass(t, ndarray | np.ndarray) for t in types) or name not in SIGNATURES:
            return NotImplemented
        return call(name, *args, **kwargs)


class Pointer:
    """Where an array's memory lies, as CuPy's MemoryPointer says it."""

    def __init__(self, ptr: int) -> None:
        self.ptr = ptr


class Ufunc:
    """CuPy's ufunc: `where=` is not known, .at and the reductions belong to a few."""

    def __init__(self, name: str) -> None:
        self.name, self.ufunc = name, getattr(np, name)
        self.__name__ = name

    def __call__(self, *args: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind", **kwargs: Any) -> Any:
        if kwargs:
            raise TypeError(f"Wrong arguments {kwargs}")
        *given, out = args if len(args) > self.ufunc.nin else (*args, out[0] if isinstance(out, tuple) else out)
        for x in (*given, *(() if out is None else (out,))):
            if type(x) not in SCALARS and not isinstance(x, ndarray):
                raise TypeError(f"{self.name}: Unsupported type {type(x)}")
        if self.name == "matmul" and not all(isinstance(x, ndarray) for x in given):
            raise TypeError("matmul: Unsupported type, a scalar")
        launches = costs.matmul(*given) if self.name == "matmul" else 1
        how = {} if dtype is None else {"dtype": dtype}
        compute = lambda **to: self.ufunc(*(host(x, self.name) for x in given), casting=casting, **how, **to)
        if out is None:
            return launch(self.name, compute, launches)
        launch(self.name, lambda: compute(out=out._host), launches)
        return out

    def reduce(self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        if self.name not in REDUCED:
            raise NotImplementedError(f"`{self.name}.reduce` is not supported yet")
        return call(REDUCED[self.name], array, axis, dtype, out, keepdims)

    def accumulate(self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
        if self.name not in ACCUMULATED:
            raise NotImplementedError(f"`{self.name}.accumulate` is not supported yet")
        return call(ACCUMULATED[self.name], array, axis, dtype, out)

    def at(self, a: Any, indices: Any, b: Any = None) -> None:
        if self.name not in SCATTERED or not isinstance(a, ndarray):
            raise NotImplementedError(f"`{self.name}.at` is not supported yet for {type(a)}")
        if type(b) not in SCALARS and not isinstance(b, ndarray):
            raise TypeError(f"{self.name}.at: Unsupported type {type(b)}")
        at, launches = costs.index(indices, ndarray)
        self.ufunc.at(a._host, at, host(b, self.name))
        count.launched(f"{self.name}.at", max(1, launches))

    def outer(self, a: Any, b: Any, **kwargs: Any) -> Any:
        return self(a.reshape(*a.shape, *(1,) * b.ndim), b, **kwargs)


UFUNC: dict[str, Ufunc] = {name: Ufunc(name) for name in UFUNCS}
UFUNC.update({alias: UFUNC[name] for alias, name in ALIASES.items()})
FUNCTION = {name: signature(text) for name, text in SIGNATURES.items()}


def uninitialised(shape: Any, dtype: Any = float, order: str = "C") -> np.ndarray:
    """What `empty` gives: NaN or an odd number, so that nobody reads it unnoticed."""
    array = np.empty(shape, dtype, order=order)  # type: ignore[call-overload]
    array.fill({"f": np.nan, "c": np.nan, "b": True}.get(array.dtype.kind, 99))
    return array  # type: ignore[no-any-return]


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
    return ndarray.__new__(ndarray)._hold(array, owner and (owner if owner.base is None else owner.base))


def launch(name: str, compute: Any, launches: int = 1, operands: tuple["ndarray", ...] = ()) -> Any:
    """Run it as a device would, without warnings, and count it."""
    with np.errstate(all="ignore"):
        result = wrap(compute(), *operands)
    first = result[0] if isinstance(result, tuple | list) and result else result
    if isinstance(first, ndarray) and first.base is not None:
        count.viewed()
    elif not isinstance(first, ndarray) or first.size:
        count.launched(name, launches)
    return result


def call(name: str, *args: Any, **kwargs: Any) -> Any:
    """One of the functions in the table, with CuPy's signature and CuPy's refusals."""
    bound = FUNCTION[name].bind(*args, **kwargs)
    operands = tuple(costs.arrays(bound.arguments.values(), ndarray))
    launches = costs.check_and_count(name, bound.arguments, operands)
    given, named = host(bound.args, name), {key: host(x, name) for key, x in bound.kwargs.items()}
    compute = costs.SPECIAL.get(name) or getattr(np.linalg if "linalg" in name else np.fft if "fft" in name else np, name.split(".")[-1])
    if name in HOST_ANSWERS:
        return compute(*given, **named)
    out = bound.arguments.get("out")
    result = launch(name, lambda: compute(*given, **named), launches, () if out is not None else operands)
    return result if out is None else out


def operator(name: str, swapped: bool = False) -> Any:
    def apply(self: ndarray, other: Any) -> Any:
        if isinstance(other, ndarray):
            return UFUNC[name](other, self) if swapped else UFUNC[name](self, other)
        if defers(other):
            return NotImplemented
        return getattr(np, name)(other, self) if swapped else getattr(np, name)(self, other)

    return apply


def defers(other: Any) -> bool:
    """CuPy's rule for who answers `x op y`: y, if it forbids ufuncs, or knows none of them and has the higher priority."""
    if hasattr(other, "__array_ufunc__"):
        return other.__array_ufunc__ is None
    return ndarray.__array_priority__ < getattr(other, "__array_priority__", 0)  # type: ignore[no-any-return]
