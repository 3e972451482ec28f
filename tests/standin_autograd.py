"""autograd that knows the stand-in's arrays, for the length of a block: other tests see autograd as it comes."""
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from autograd import tracer
from autograd.core import primitive_jvps, primitive_vjps
from autograd.extend import VSpace
from autograd.numpy import numpy_vjps, numpy_wrapper
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import Box

from evenflow.accel import autodiff, backends
from tests.standin import xp


@contextmanager
def taught() -> Iterator[None]:
    """Install the rules and the stand-in's arrays; afterwards put everything back as it was."""
    with restored():
        autodiff.install(xp)
        yield


@contextmanager
def restored() -> Iterator[None]:
    """Whatever is installed in the block is gone after it."""
    tables: tuple[dict[Any, Any], ...] = (
        primitive_vjps, primitive_jvps, vars(numpy_vjps), vars(numpy_wrapper), VSpace.mappings, Box.type_mappings,
        backends._modules, vars(tracer).get("trace_primitives_map", {}),
    )
    before, priority = [dict(table) for table in tables], ArrayBox.__array_priority__
    try:
        yield
    finally:
        ArrayBox.__array_priority__ = priority
        for table, entries in zip(tables, before, strict=True):
            table.clear()
            table.update(entries)
