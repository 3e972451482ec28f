r"""autograd over device arrays: only the rules in which autograd itself makes a host array, or a float64 out of float32.

autograd calls NumPy's functions, and NumPy hands them to the array's own library (NEP 13, NEP 18). So most rules hold as they
stand. The others are written anew here, once, right for NumPy's arrays as well. With g the adjoint of the result y:

    x[idx]             0 everywhere, g added at idx, by the library that holds x
    sum, mean, var ..  g along the reduced axes; their length is a Python int (an int64 of NumPy would promote float32)
    broadcasting       g summed over the axes that were broadcast, in one sum, in the operand's dtype
    x^y                y x^{y-1} g for a number y, with no array made of it
    where              g where chosen, the number 0 elsewhere
    max(x, y)          g where x = max, half of it at a tie
    max x              g where x is the largest, shared among equals
    reshape, ravel     order "C" said (autograd passes None, which CuPy does not take)
    concatenate, array, stack, astype, einsum, matmul    their primitives, without a detour over the host or CuPy's cuBLAS

Not taught: np.dot, tensordot, outer and the like (write @), sorting of more than one axis, complex numbers on the device.
`install` changes autograd for the whole process: so it is done only when a backend that needs it is chosen.
"""
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import tracer
from autograd.core import primitive_jvps, primitive_vjps
from autograd.extend import SparseObject, VSpace, defvjp, notrace_primitive, primitive
from autograd.numpy import numpy_vjps, numpy_wrapper
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.numpy.numpy_vspaces import ArrayVSpace
from autograd.tracer import getval

from evenflow.accel import backends
from evenflow.accel.backends import module_of
from evenflow.accel.products import product
from evenflow.reference.core import Array

Vjp = Callable[[Array], Array]
Metadata = tuple[tuple[int, ...], int, Any, bool]  # shape, number of axes, dtype, whether complex


def install(xp: ModuleType = np) -> None:
    """Teach autograd the arrays of xp (CuPy, or a stand-in with its interface); with numpy, the rules that keep float32 alone.

    Installing again changes nothing.
    """
    change_rules()
    if xp is np or VSpace.mappings.get(xp.ndarray) is not None:
        return
    ArrayBox.register(xp.ndarray)
    VSpace.register(xp.ndarray, vspace_in(xp))
    backends.register(xp)
    if not hasattr(ArrayBox, "__array_ufunc__"):  # autograd 1.8: a device array on the left must leave the operation to the box
        ArrayBox.__array_priority__ = xp.ndarray.__array_priority__ + 1


def vspace_in(xp: Any) -> type[ArrayVSpace]:
    """Where the gradients of xp's arrays live."""
    class DeviceVSpace(ArrayVSpace):  # type: ignore[misc]
        def __init__(self, array: Array) -> None:
            self.shape, self.dtype = array.shape, array.dtype

        def zeros(self) -> Array:
            return xp.zeros(self.shape, dtype=self.dtype)

        def ones(self) -> Array:
            return xp.ones(self.shape, dtype=self.dtype)

        def standard_basis(self) -> Any:
            return map(xp.asarray, super().standard_basis())

        def randn(self) -> Array:
            return xp.asarray(super().randn())

        def _inner_prod(self, x: Array, y: Array) -> Array:
            return (x * y).sum()

    return DeviceVSpace


def change_rules() -> None:
    """Put the functions below in the place of autograd's own. Its rules look them up by name, when they are called."""
    numpy_vjps.repeat_to_match_shape, numpy_vjps.unbroadcast = repeat_to_match_shape, unbroadcast
    numpy_wrapper.metadata, numpy_wrapper.parse_einsum_input = metadata, notrace_primitive(parse_einsum_input)
    for name, new in PRIMITIVES.items():
        for rules in (primitive_vjps, primitive_jvps):
            old = getattr(numpy_wrapper, name)
            if old in rules:
                rules[new] = rules[old]
        setattr(numpy_wrapper, name, new)
    vars(tracer).get("trace_primitives_map", {})[np.matmul] = PRIMITIVES["matmul"]  # where autograd 1.9 looks for `array @ box`
    defvjp(ArrayBox.__getitem__, lambda ans, A, idx: lambda g: untake(g, idx, numpy_vjps.vspace(A)))
    defvjp(anp.reshape, lambda ans, x, *_, **__: lambda g: anp.reshape(g, anp.shape(x)))
    defvjp(anp.ravel, lambda ans, x, *_, **__: lambda g: anp.reshape(g, anp.shape(x)))
    defvjp(anp.power, power_base, power_exponent)
    defvjp(getattr(anp, "_original_where", anp.where), None, where_chosen, where_other)  # 1.9 wraps its primitive
    for pairwise in (anp.maximum, anp.minimum, anp.fmax, anp.fmin):
        defvjp(pairwise, lambda ans, x, y: won(ans, x, y), lambda ans, x, y: won(ans, y, x))
    for along_axes in (anp.max, anp.min, anp.amax, anp.amin):
        defvjp(along_axes, chosen)


# Indexing


def to_add(g: Array, idx: Any, vs: VSpace) -> SparseObject:
    """The adjoint of x[idx]: what is still to be added to the gradient of x."""
    def add(total: Array) -> Array:
        parts = idx if isinstance(idx, tuple) else (idx,)
        if all(map(is_basic, parts)):
            view = total[parts if Ellipsis in parts else (*parts, Ellipsis)]
            view += g
        else:
            module_of(total).add.at(total, parts, g)
        return total

    return SparseObject(vs, add)


untake = primitive(to_add)
defvjp(untake, lambda ans, g, idx, vs: lambda h: h[idx])


def is_basic(part: Any) -> bool:
    """Whether an index leads to a view."""
    return part is None or part is Ellipsis or (isinstance(part, slice | int | np.integer) and not isinstance(part, bool))


# Reductions and broadcasting


def repeat_to_match_shape(g: Array, shape: tuple[int, ...], dtype: Any, axis: Any, keepdims: Any) -> tuple[Array, int]:
    """g along the axes that were reduced, a view; and how many numbers stood there for one of g's."""
    if shape == ():
        return in_dtype(g, dtype), 1
    reduced = {a % len(shape) for a in (range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,))}
    kept = tuple(1 if i in reduced else n for i, n in enumerate(shape))
    return anp.broadcast_to(anp.reshape(in_dtype(g, dtype), kept), shape), math.prod(shape[i] for i in reduced)


def unbroadcast(x: Array, target: Metadata, broadcast_idx: int = 0) -> Array:
    """x summed over the axes that an operand of this shape lacks or has once, in the operand's dtype."""
    (shape, ndim, dtype, is_complex), (full, axes, _, x_complex) = target, metadata(x)
    if full != shape:
        first = broadcast_idx if broadcast_idx >= 0 else ndim
        missing = tuple(range(first, first + axes - ndim))
        once = (a for a, n in zip((a for a in range(axes) if a not in missing), shape, strict=True) if n == 1)
        x = anp.reshape(anp.sum(x, axis=(*missing, *once)), shape)
    return in_dtype(anp.real(x) if x_complex and not is_complex else x, dtype)


def in_dtype(g: Array, dtype: Any) -> Array:
    """g in this dtype, where both are real floating-point numbers."""
    own = metadata(g)[2]
    return g.astype(dtype) if own != dtype and own.kind == np.dtype(dtype).kind == "f" else g


def metadata(x: Array) -> Metadata:
    x = getval(x)
    x = x if hasattr(x, "shape") else np.asarray(x)
    return x.shape, x.ndim, x.dtype, x.dtype.kind == "c"


def chosen(ans: Array, x: Array, axis: Any = None, keepdims: Any = None, **kwargs: Any) -> Vjp:
    """max, min: the largest get g, in equal shares."""
    def spread(v: Array) -> Array:
        return repeat_to_match_shape(v, anp.shape(x), metadata(x)[2], axis, keepdims)[0]

    def vjp(g: Array) -> Array:
        hit = x == spread(ans)
        return spread(g) * hit / anp.sum(hit, axis=axis, keepdims=True, dtype=metadata(x)[2])

    return vjp


# Two operands


def won(ans: Array, x: Array, y: Array) -> Vjp:
    """max(x, y), in x."""
    return numpy_vjps.unbroadcast_f(x, lambda g: anp.where(x == y, 0.5 * g, anp.where(x == ans, g, 0.0)))  # type: ignore[no-any-return]


def where_chosen(ans: Array, c: Array, x: Array = None, y: Array = None) -> Vjp:
    return numpy_vjps.unbroadcast_f(x, lambda g: anp.where(c, g, 0.0))  # type: ignore[no-any-return]


def where_other(ans: Array, c: Array, x: Array = None, y: Array = None) -> Vjp:
    return numpy_vjps.unbroadcast_f(y, lambda g: anp.where(c, 0.0, g))  # type: ignore[no-any-return]


def power_base(ans: Array, x: Array, y: Array) -> Vjp:
    def vjp(g: Array) -> Array:
        if isinstance(y, int | float):
            return g * y * (x if y == 2 else x ** (y - 1 if y else 1))
        return g * y * x ** anp.where(y != 0, y - 1, 1.0)

    return numpy_vjps.unbroadcast_f(x, vjp)  # type: ignore[no-any-return]


def power_exponent(ans: Array, x: Array, y: Array) -> Vjp:
    return numpy_vjps.unbroadcast_f(y, lambda g: g * anp.log(anp.where(x != 0, x, 1.0)) * ans)  # type: ignore[no-any-return]


# Primitives that had a detour over the host


def concatenate_args(axis: int, *arrays: Array) -> Array:
    """On the device piece by piece: CuPy would send a table of their addresses over."""
    xp = module_of(*arrays)
    if xp is np or len({array.dtype for array in arrays}) > 1:
        return np.concatenate(arrays, axis)
    axis, shape = axis % arrays[0].ndim, list(arrays[0].shape)
    shape[axis], at = sum(array.shape[axis] for array in arrays), 0
    whole = xp.empty(shape, arrays[0].dtype)
    for array in arrays:
        whole[(*[slice(None)] * axis, slice(at, at := at + array.shape[axis]))] = array
    return whole


def matmul(a: Array, b: Array, **kwargs: Any) -> Array:
    """On the device by our own call of cuBLAS (products.py), which may be recorded."""
    if module_of(a, b) is np or kwargs or b.ndim > 2:
        return np.matmul(a, b, **kwargs)
    out = product(a.reshape(math.prod(a.shape[:-1]), a.shape[-1]), b.reshape(b.shape[0], math.prod(b.shape[1:])))
    return out.reshape(*a.shape[:-1], *b.shape[1:])


def array_from_args(args: tuple[Any, ...], kwargs: dict[str, Any], *items: Array) -> Array:
    return module_of(*items).array(items, *args, **kwargs)


def _array_from_scalar_or_array(args: tuple[Any, ...], kwargs: dict[str, Any], item: Array) -> Array:
    return module_of(item).array(item, *args, **kwargs)


def _astype(A: Array, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True) -> Array:
    return A.astype(dtype, copy=copy)


PRIMITIVES = {
    f.__name__: primitive(f) for f in (concatenate_args, matmul, array_from_args, _array_from_scalar_or_array, _astype)
}


def parse_einsum_input(subscripts: str, *operands: Array) -> Any:
    """NumPy's parser, which looks at nothing but the operands' shapes, and wants them on the host."""
    return numpy_wrapper._parse_einsum_input((subscripts, *(np.broadcast_to(0.0, x.shape) for x in operands)))
