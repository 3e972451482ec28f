"""The stand-in's ufuncs, and the operators and methods of its array that lead to them. Read standin.py first."""
from functools import partial
from typing import Any

import numpy as np

from tests import standin_array
from tests import standin_costs as costs
from tests import standin_count as count
from tests import standin_graph as graph
from tests.standin_array import SCALARS, call, host, into, launch, ndarray
from tests.standin_table import ACCUMULATED, ALIASES, REDUCED, SCATTERED, UFUNCS, words

BINARY = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "power", "mod": "remainder",
    "floordiv": "floor_divide", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
}
COMPARED = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal"}
UNARY = {"neg": "negative", "abs": "absolute", "invert": "invert", "pos": "positive"}
METHODS = words("""all any argmax argmin argsort clip cumsum diagonal dot max mean min nonzero prod ptp ravel repeat
    searchsorted squeeze std sum swapaxes take trace var""")
UFUNC: dict[str, Any] = standin_array.UFUNC


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
        how: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
        compute = partial(self.ufunc, *(host(x, self.name) for x in given), casting=casting, **how)
        if self.name == "matmul":
            graph.refuse(graph.LIBRARY)
        if out is None:
            return launch(self.name, compute, launches)
        into(self.name, partial(compute, out=out._host), out, launches)
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
        at, launches, _ = costs.index(indices, ndarray)
        added = host(b, self.name)
        graph.written(lambda: self.ufunc.at(a._host, at, added), a._host)
        count.launched(f"{self.name}.at", max(1, launches))

    def outer(self, a: Any, b: Any, **kwargs: Any) -> Any:
        return self(a.reshape(*a.shape, *(1,) * b.ndim), b, **kwargs)


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
    return ndarray.__array_priority__ < getattr(other, "__array_priority__", 0)


def comparison(name: str) -> Any:
    def apply(self: ndarray, other: Any) -> Any:
        if other is None and name in ("equal", "not_equal"):  # CuPy compares with None, and nothing equals it
            return call("full", self.shape, name == "not_equal", bool)
        return operator(name)(self, other)

    return apply


def in_place(name: str) -> Any:
    return lambda self, other: UFUNC[name](self, other, out=self)


def method(name: str) -> Any:
    return lambda self, *args, **kwargs: call(name, self, *args, **kwargs)


UFUNC.update({name: Ufunc(name) for name in UFUNCS})
UFUNC.update({alias: UFUNC[name] for alias, name in ALIASES.items()})
for short, name in BINARY.items():
    setattr(ndarray, f"__{short}__", operator(name))
    setattr(ndarray, f"__r{short}__", operator(name, swapped=True))
    if name != "matmul":  # which CuPy's arrays lack: x @= y makes a new x
        setattr(ndarray, f"__i{short}__", in_place(name))
for short, name in COMPARED.items():
    setattr(ndarray, f"__{short}__", comparison(name))
for short, name in UNARY.items():
    setattr(ndarray, f"__{short}__", lambda self, name=name: UFUNC[name](self))
for name in METHODS:
    setattr(ndarray, name, method(name))
