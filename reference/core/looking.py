"""Where a step looks at its own numbers, and where it takes new ones from outside. All the rest of it is functions of arrays.

    value(x)           the array without its trace
    finite(x)          whether all entries are finite, and
    anywhere(bad)      whether any entry is true: before an error is raised
    told(x)            a number for whoever reads the report
    replayed(f)        f, which will be called many times
    per_step(f, step)  what is another in every step and no function of the state: a learning rate, the rows of an epoch

Here they are what they say. A backend that records a step and plays it back again and again (accel/graphs.py) replaces all but
the first: then nobody looks until many steps are made.
"""
from collections.abc import Callable
from typing import Any

import numpy as np
from autograd.tracer import getval

from evenflow.reference.core.dispatch import replaceable
from evenflow.reference.core.trees import Array


def value(array: Array) -> Any:
    """The plain array inside autograd's boxes, for a look that must not be differentiated.

    >>> value(np.ones(2))
    array([1., 1.])
    """
    return getval(array)


@replaceable
def anywhere(bad: Array) -> bool:
    """Whether any of these is true.

    >>> anywhere(np.array([False, True]))
    True
    """
    return bool(np.any(getval(bad)))


@replaceable
def finite(x: Array) -> bool:
    """Whether all of these are finite.

    >>> finite(np.array([1.0, np.nan]))
    False
    """
    return bool(np.all(np.isfinite(getval(x))))


@replaceable
def told(x: Array) -> float:
    """A number for the report, as a float. (Recorded, it stays an array until the report is read.)

    >>> told(np.array(1.5))
    1.5
    """
    return float(x)


def number(x: Array) -> Any:
    """An array without axes as a number to compute with, which leaves float32 arrays float32; on a device it stays an array.

    >>> number(np.array(1.5))
    1.5
    """
    return float(x) if isinstance(x, np.ndarray | np.generic | float) else x


@replaceable
def per_step(f: Callable[[int], Any], step: int) -> Any:
    """f(step), a number or an array of one shape and dtype for every step.

    >>> per_step(lambda step: 0.1 / (step + 1), 0)
    0.1
    """
    return f(step)


@replaceable
def replayed(f: Callable[..., Any]) -> Callable[..., Any]:
    """f(rng, *trees) -> tree, which will be called many times with arrays of the same shapes, its noise drawn inside.

    >>> replayed(lambda rng, x: x + rng.random())(np.random.default_rng(0), np.zeros(1)).round(3)
    array([0.637])
    """
    return f
