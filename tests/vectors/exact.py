"""Arithmetic to 40 digits, in arrays: what the oracles are written in.

Arrays of mpmath numbers are NumPy object arrays: + - * / ** @, sums and indexing work as they come; the functions here stand
in for NumPy's. Booleans, whole numbers and words stay as they are.
"""
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

from evenflow.conformance.arrays import Array, Arrays

mp = mpmath.mp
mp.dps = 40
STEP = mpmath.mpf(10) ** -12  # of the central differences, whose error is of the order of its square

exp: Any = np.frompyfunc(mp.exp, 1, 1)
log: Any = np.frompyfunc(lambda a: mp.log(a) if a else mpmath.mpf("-inf"), 1, 1)
sqrt: Any = np.frompyfunc(mp.sqrt, 1, 1)
tanh: Any = np.frompyfunc(mp.tanh, 1, 1)
erf: Any = np.frompyfunc(mp.erf, 1, 1)
log_gamma: Any = np.frompyfunc(mp.loggamma, 1, 1)


def exact(array: Array) -> Array:
    """The very same numbers as mpmath numbers; what is not floating-point stays."""
    array = np.asarray(array)
    return np.frompyfunc(mpmath.mpf, 1, 1)(array) if array.dtype.kind == "f" else array[()]


def zeros(*shape: int) -> Array:
    return np.full(shape, mpmath.mpf(0), dtype=object)


def rounded(array: Array) -> Array:
    """To float64; booleans, whole numbers stay."""
    array = np.asarray(array)
    if array.dtype != object:
        return array
    return np.array([float(v) for v in array.ravel()], dtype=np.float64).reshape(array.shape)


def gradients(loss: Callable[[dict[str, Any]], Any], inputs: Arrays, names: tuple[str, ...]) -> dict[str, Array]:
    """The gradient of a number in some of its inputs, by central differences: exact to about 20 digits where it is smooth.

    At a kink the two sides' mean.
    """
    result = {}
    for name in names:
        grad = zeros(*inputs[name].shape)
        for index in np.ndindex(grad.shape):
            sides = []
            for step in (STEP, -STEP):
                moved = inputs[name].copy()
                moved[index] += step
                sides.append(loss({**inputs, name: moved}))
            grad[index] = (sides[0] - sides[1]) / (2 * STEP)
        result[name] = grad
    return result
