"""The switch: which functions of the reference are replaced under which backend. Only the definitions are in the reference."""
import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

from evenflow.accel import devices, energies, mcmc, saef
from evenflow.accel.core import gradients, networks, optim, placement, special
from evenflow.accel.flows import compose, coupling, densities, spline
from evenflow.accel.scores import pairs
from evenflow.reference.core import lookup
from evenflow.reference.core.dispatch import definitions, replace, restore

Table = Mapping[str, Callable[..., Any]]

FUSED: Table = {
    name: function
    for module in (networks, coupling, compose, spline, densities, saef, energies, special, pairs, gradients, optim, mcmc)
    for name, function in module.REPLACEMENTS.items()
}
BACKENDS: dict[str, Callable[[], Table]] = {
    "reference": lambda: {}, "numpy": lambda: FUSED, "cupy": lambda: {**FUSED, **placement.replacements(devices.cupy())},
}
VARIABLE = "EVENFLOW_BACKEND"
NOISE = ("device", "host")

_active: ContextVar[str] = ContextVar("backend", default="reference")


def active() -> str:
    """The name of the backend in use here."""
    return _active.get()


def replacements(backend: str, noise: str = "device") -> Table:
    """What a backend puts in the place of the definitions, by the names in dispatch.definitions.

    Raises ValueError for an unknown name, Unavailable where the backend cannot be had.
    """
    table = dict(lookup("backend", backend, BACKENDS)())
    if lookup("noise", noise, dict.fromkeys(NOISE, noise)) == "host":
        table.pop("core.placement.streams", None)
    return table


class use:
    """Use a backend from now on; as the head of a `with`, until the block ends.

    backend: "reference", "numpy" or "cupy"; None for the one that EVENFLOW_BACKEND names, else the reference.
    noise: where noise is drawn, on the "device" (its own streams, reproducible for a seed), or on the "host": the numbers that
    the other backends draw, so that two backends walk the same path. Without a device it makes no difference.
    Raises ValueError for an unknown name, Unavailable, saying what is missing, where the backend cannot be had.
    """

    def __init__(self, backend: str | None = None, noise: str = "device") -> None:
        self.backend = backend or os.environ.get(VARIABLE) or "reference"
        table = replacements(self.backend, noise)
        if self.backend != "reference":
            devices.keep_freed_memory()
        self._table, self._name = replace({**definitions, **table}), _active.set(self.backend)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        restore(self._table)
        _active.reset(self._name)
