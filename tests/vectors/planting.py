"""Planted mistakes: a piece of the reference's text is exchanged, and the vectors of an operation must notice.

Each operation has at least three, of the kinds that published libraries have shipped: a sign, a factor, a missing term,
swapped axes, a wrong boundary, a log_det in float32, a broadcast. The mistake is made in the function's code object, so that
everybody who has imported the function sees it; when the block ends it is undone. What a function has cached is forgotten.
"""
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any


@dataclass(frozen=True)
class Mistake:
    operation: str  # whose vectors must fail
    function: str   # "evenflow.reference.flows.affine:affine_inverse", or "...:Coupling.forward"
    right: str      # occurs exactly once in the function's source
    wrong: str

    def __str__(self) -> str:
        return f"{self.operation}: {self.right} -> {self.wrong}"


@contextmanager
def planted(mistake: Mistake) -> Iterator[None]:
    """Within the block the reference is wrong."""
    function = found(mistake.function)
    source = textwrap.dedent(inspect.getsource(function))
    if (times := source.count(mistake.right)) != 1:
        raise ValueError(f"{mistake.right!r} must occur once in {mistake.function}, it occurs {times} times")
    right = function.__code__
    wrong = compile(source.replace(mistake.right, mistake.wrong), f"<{mistake}>", "exec")
    forget = getattr(named(mistake.function), "cache_clear", lambda: None)
    function.__code__ = nested(wrong, function.__name__)
    forget()
    try:
        yield
    finally:
        function.__code__ = right
        forget()


def found(path: str) -> FunctionType:
    """The function itself, below decorators and properties."""
    thing = named(path)
    if isinstance(thing, property):
        thing = thing.fget
    thing = inspect.unwrap(getattr(thing, "func", thing))
    assert isinstance(thing, FunctionType), path
    return thing


def named(path: str) -> Any:
    """What stands there under this name."""
    module, _, names = path.partition(":")
    importlib.import_module(module)
    thing: Any = sys.modules[module]
    for name in names.split("."):
        thing = inspect.getattr_static(thing, name) if inspect.isclass(thing) else getattr(thing, name)
    return thing


def nested(code: CodeType, name: str) -> CodeType:
    """The code object of the function of that name within another."""
    return next(const for const in code.co_consts if isinstance(const, CodeType) and const.co_name == name)
