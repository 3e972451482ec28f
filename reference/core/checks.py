"""What every public function says about bad input: the argument's name, what came, what was expected."""
import operator
import reprlib
from contextlib import suppress
from typing import Any

import numpy as np

from evenflow.reference.core.looking import anywhere, finite, value
from evenflow.reference.core.trees import Array


def check_shape(name: str, array: Array, *expected: int | str) -> None:
    """Raise ValueError unless array.shape is `expected`, in which a letter stands for any length: ("n", 3)."""
    shape = np.shape(value(array))
    if len(shape) != len(expected) or any(isinstance(e, int) and e != s for e, s in zip(expected, shape, strict=True)):
        wanted = ", ".join(map(str, expected)) + ("," if len(expected) == 1 else "")
        raise ValueError(f"{name} must have shape ({wanted}), got {shape}")


def check_context(context: Array | None, n: int, context_dim: int) -> None:
    """Raise ValueError unless context is (n, context_dim), or None where no context is expected."""
    if context_dim == 0 and context is not None:
        raise ValueError(f"context must be None (context_dim is 0), got an array of shape {np.shape(value(context))}")
    if context_dim > 0 and context is None:
        raise ValueError(f"context must have shape ({n}, {context_dim}), got None")
    if context_dim > 0:
        check_shape("context", context, n, context_dim)


def check_finite(name: str, array: Array) -> None:
    """Raise ValueError if an array holds NaN or infinity, and say where."""
    try:
        fine = finite(array)
    except TypeError as error:
        raise ValueError(f"{name} must hold numbers, got {reprlib.repr(array)}") from error
    if not fine:
        bad = ~np.isfinite(value(array))
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must be finite, got {bad.sum()} NaN or infinite values, the first at index {first}")


def check_count(name: str, number: Any, least: int = 1) -> None:
    """Raise ValueError unless number is an integer >= least."""
    with suppress(TypeError):
        if not isinstance(number, bool) and operator.index(number) >= least:
            return
    raise ValueError(f"{name} must be an integer >= {least}, got {number!r}")


def check_image(name: str, shape: tuple[int, int, int]) -> None:
    """Raise ValueError unless shape is (h, w, c), each at least 1."""
    if len(shape) != 3:
        raise ValueError(f"{name} must be (h, w, c), got {shape}")
    for part in shape:
        check_count(name, part)


def check_positive(name: str, number: float) -> None:
    """Raise ValueError unless number is finite and > 0."""
    with suppress(TypeError):
        v = value(number)
        if np.ndim(v) == 0 and not anywhere(np.logical_not((v > 0) & (v < np.inf))):
            return
    raise ValueError(f"{name} must be positive and finite, got {number!r}")


def check_fraction(name: str, number: float) -> None:
    """Raise ValueError unless 0 <= number < 1."""
    if not 0 <= number < 1:
        raise ValueError(f"{name} must be at least 0 and less than 1, got {number!r}")
