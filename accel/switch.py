"""The switch: which functions of the reference are replaced under which backend. Only the definitions are in the reference."""
import os
from collections.abc import Callable, Mapping
from contextlib import ContextDecorator
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from evenflow.accel import devices, energies, graphs, mcmc, playback, recording, saef
from evenflow.accel.compiled import replacements as in_cpp
from evenflow.accel.core import convolution, gradients, matrices, networks, optim, placement, special, walker
from evenflow.accel.flows import compose, dense, densities, spline, transformers
from evenflow.accel.scores import pairs
from evenflow.reference.core import lookup
from evenflow.reference.core.dispatch import Choice, by_default, chosen, definitions, replace, restore

F = TypeVar("F", bound=Callable[..., Any])
Table = Mapping[str, Callable[..., Any]]

FUSED: Table = {
    name: function
    for module in (
        networks, convolution, walker, matrices, transformers, compose, dense, spline, densities, saef,
        energies, special, pairs, gradients, optim, mcmc,
    )
    for name, function in module.REPLACEMENTS.items()
}
VARIABLE = "EVENFLOW_BACKEND"
NOISE = ("device", "host")

_around: ContextVar[tuple[Choice | None, ...]] = ContextVar("around", default=())  # what held before each block we are in


def on_a_device() -> Table:
    xp = devices.cupy()
    return {**FUSED, **recording.REPLACEMENTS, **playback.REPLACEMENTS, **graphs.REPLACEMENTS, **placement.replacements(xp)}


BACKENDS: dict[str, Callable[[], Table]] = {
    "reference": lambda: {}, "numpy": lambda: FUSED, "compiled": lambda: in_cpp.table(FUSED), "cupy": on_a_device,
}


def active() -> str:
    """The name of the backend in use here."""
    return chosen().name


def replacements(backend: str, noise: str = "device") -> Table:
    """What a backend puts in the place of the definitions, by the names in dispatch.definitions.

    Raises ValueError for an unknown name, Unavailable where the backend cannot be had.
    """
    table = dict(lookup("backend", backend, BACKENDS)())
    if lookup("noise", noise, dict.fromkeys(NOISE, noise)) == "host":
        table.pop("core.placement.streams", None)
    return table


class use(ContextDecorator):
    """Use a backend from now on; as the head of a `with`, until the block ends; as a decorator, while the function runs.

    backend: "reference", "numpy", "compiled" or "cupy"; None for the one that EVENFLOW_BACKEND names, else the reference.
    noise: where noise is drawn, on the "device" (its own streams, reproducible for a seed), or on the "host": the numbers that
    the other backends draw, so that two backends walk the same path. Without a device it makes no difference.
    The object may be kept for further blocks, one inside the other too.
    Raises ValueError for an unknown name, Unavailable, saying what is missing, where the backend cannot be had.
    """

    def __init__(self, backend: str | None = None, noise: str = "device") -> None:
        self.backend = backend or os.environ.get(VARIABLE) or "reference"
        self._table = {**definitions, **replacements(self.backend, noise)}
        if self.backend != "reference":
            devices.keep_freed_memory()
        self._again = partial(use, self.backend, noise)
        self._before, self._new = self._chosen(), True

    def _chosen(self) -> Choice | None:
        return replace(self._table, self.backend, self._again)

    def __call__(self, function: F) -> F:
        restore(self._before)
        return super().__call__(function)

    def __enter__(self) -> Self:
        before = self._chosen()
        if self._new and before is not None and before.again is self._again:  # the `with` whose head made this object
            before = self._before
        self._new = False
        _around.set((*_around.get(), before))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        *around, before = _around.get()
        _around.set(tuple(around))
        restore(before)


def from_environment() -> None:
    """Make the backend that EVENFLOW_BACKEND names that of the whole process. Raises as `use` does, and names the variable."""
    try:
        by_default(use)
    except (ValueError, devices.Unavailable) as error:
        raise type(error)(f"{VARIABLE}: {error}") from None
