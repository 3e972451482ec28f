"""The one gate for what a user passes as an array.

    float64, float32                       as they come: the dtype of the result is theirs
    booleans, whole numbers, long doubles  float64
    float16                                float32
    big-endian                             the machine's own order
    lists, tables (pandas), numbers        arrays of what they hold
    autograd's boxes, a device's arrays    stay what and where they are; a device's whole numbers become float64 there

Masked arrays, complex numbers, objects, words and dates are refused by the argument's name. Shapes and finiteness are the
business of who asks (checks.py). `@arrays` stands above `@replaceable`: every backend gets the same.
"""
import functools
import inspect
import reprlib
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np
from autograd.tracer import isbox

from evenflow.reference.core.trees import Array

P = ParamSpec("P")
R = TypeVar("R")
NATIVE = (np.dtype(np.float64), np.dtype(np.float32))  # what passes without a look


def arrays(*names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The arguments of these names pass `array` before the function sees them.

    >>> @arrays("x")
    ... def half(x):
    ...     return x / 2
    >>> half([1, 3])
    array([0.5, 1.5])
    """
    def gated(function: Callable[P, R]) -> Callable[P, R]:
        parameters = list(inspect.signature(function).parameters)
        places = [(parameters.index(name), name) for name in names]

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            given: Any = list(args)
            for i, name in places:
                if i < len(given):
                    given[i] = array(name, given[i])
                elif name in kwargs:
                    kwargs[name] = array(name, kwargs[name])
            return function(*given, **kwargs)

        return call

    return gated


def array(name: str, x: Any) -> Array:
    """x as an array of floating-point numbers, by the list above; None stays None. Raises ValueError.

    >>> array("x", [True, False])
    array([1., 0.])
    """
    if type(x) is np.ndarray and x.dtype in NATIVE:
        return x
    x = numbers(name, x)
    if x is None or x.dtype in NATIVE:
        return x
    if isbox(x) and x.dtype.kind != "f":
        raise ValueError(f"{name} must hold floating-point numbers to be differentiated, got {x.dtype}")
    return x.astype(np.float32 if x.dtype.kind == "f" and x.dtype.itemsize <= 4 else np.float64)


def numbers(name: str, x: Any) -> Array:
    """The same where whole numbers are meant: real numbers of any dtype, which they keep.

    >>> numbers("zones", [0, 2])
    array([0, 2])
    """
    if x is None:
        return x
    if not (isbox(x) or elsewhere(x)):
        check_unmasked(name, x)
        try:
            x = np.asarray(x)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{name} must be an array of real numbers, got {reprlib.repr(x)}: {error}") from error
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got dtype {x.dtype}")
    return x


def check_unmasked(name: str, x: Any) -> None:
    """Raise ValueError for a masked array, in a list too: whoever makes an array of it forgets the mask."""
    if isinstance(x, np.ma.MaskedArray):
        raise ValueError(f"{name} must not be masked: leave out or fill in what the mask hides")
    for part in x if isinstance(x, list | tuple) else ():
        check_unmasked(name, part)


def elsewhere(x: Any) -> bool:
    """Whether x is an array of a library that computes with it itself (NEP 18), on a device say."""
    return not isinstance(x, np.ndarray) and hasattr(type(x), "__array_function__")
