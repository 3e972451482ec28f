"""What an implementation has to provide so that it can be checked.

    name       what stands over the table, with its version
    dtype      "float64" or "float32": that of the arrays it gets, and of those it must answer with
    call       an operation's outputs, by name
    vjp        its gradients: of sum(cotangent * output) in each differentiable input, by name. Differentiable are
               floating-point arrays of one dimension and more; a single number (a step size, beta) is a choice

Both raise NotImplementedError for what the implementation does not have: that is "unsupported", and no failure. What the
operations are stands in vectors/*.json, with the shapes of what comes and goes.
"""
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol, TypeAlias, cast

from evenflow.conformance.arrays import DTYPES, Arrays

Operation: TypeAlias = Callable[[Arrays], Arrays]


class Adapter(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    def call(self, operation: str, inputs: Arrays) -> Arrays: ...
    def vjp(self, operation: str, inputs: Arrays, cotangents: Arrays) -> Arrays: ...


@dataclass(frozen=True)
class NumPyFunctions:
    """An adapter made of functions of NumPy arrays, without gradients: {operation: function of the inputs}."""
    name: str
    table: Mapping[str, Operation]
    dtype: str = "float64"

    def call(self, operation: str, inputs: Arrays) -> Arrays:
        return offered(self.table, operation)(inputs)

    def vjp(self, operation: str, inputs: Arrays, cotangents: Arrays) -> Arrays:
        raise NotImplementedError(f"{self.name} has no gradients")


def offered(table: Mapping[str, Operation], operation: str) -> Operation:
    """The table's function. Raises NotImplementedError where it has none."""
    if operation not in table:
        raise NotImplementedError(operation)
    return table[operation]


def versioned(*packages: str) -> str:
    """ "zuko 1.6.0, torch 2.13.0": a name that says what was checked."""
    return ", ".join(f"{package} {installed(package)}" for package in packages)


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed as a package)"


def load(target: str) -> Adapter:
    """The adapter that "package.module:name" names.

    Raises ValueError, saying what is wrong, where there is no such module or name or it is no adapter; ModuleNotFoundError
    where the module itself needs one that is not installed.
    """
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise ValueError(f'the adapter must be named as "package.module:name", got {target!r}')
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise ValueError(f"there is no module {error.name!r}: is it installed, or is its folder on PYTHONPATH?") from None
        raise
    if found is None:
        raise ValueError(f"{module} has no {name!r}")
    lacking = [part for part in ("name", "dtype", "call", "vjp") if not hasattr(found, part)]
    if lacking:
        raise ValueError(f"{target} is no adapter: it has no {', '.join(lacking)}")
    if found.dtype not in DTYPES:
        raise ValueError(f"dtype of {target} must be one of {', '.join(DTYPES)}, got {found.dtype!r}")
    return cast(Adapter, found)
