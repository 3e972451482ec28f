"""What a name stands for: in a table of choices, and at the one seam through which a faster implementation may enter.

`@replaceable` marks a function whose body is its *definition*. Between `replace` and `restore` a call goes to the
replacement instead; otherwise to the body. The table of replacements is a context variable: a switch made in one thread
or task is not seen in another, and nothing is ever patched. The reference knows nothing of who replaces it.
"""
import functools
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import ParamSpec, TypeVar

from evenflow.reference.core.checks import unknown

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Table = Mapping[str, Callable[..., object]]

definitions: dict[str, Callable[..., object]] = {}  # all of them, by "module.name" below evenflow.reference
_replacements: ContextVar[Table] = ContextVar("replacements", default={})  # noqa: B039, the default is never written to


def lookup(kind: str, name: str, table: Mapping[str, T]) -> T:
    """table[name], or a ValueError that suggests the nearest known name.

    >>> lookup("size", "small", {"small": 1, "large": 2})
    1
    """
    if name not in table:
        raise ValueError(unknown(kind, name, table))
    return table[name]


def replaceable(definition: Callable[P, R]) -> Callable[P, R]:
    """Mark a function that a backend may do faster: same name, same arguments, same meaning.

    >>> from evenflow.reference.core import dispatch, fetched
    >>> token = dispatch.replace({"core.placement.fetched": lambda tree: "replaced"})
    >>> fetched(1.0), dispatch.restore(token), fetched(1.0)
    ('replaced', None, 1.0)
    """
    name = f"{definition.__module__.removeprefix('evenflow.reference.')}.{definition.__qualname__}"
    definitions[name] = definition

    @functools.wraps(definition)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return _replacements.get().get(name, definition)(*args, **kwargs)  # type: ignore[return-value]

    return call


def replace(table: Table) -> Token[Table]:
    """Use these replacements from now on, until `restore`. Raises ValueError for a name that no function is defined under."""
    for name in table:
        lookup("replaceable function", name, definitions)
    return _replacements.set({**_replacements.get(), **table})


def restore(token: Token[Table]) -> None:
    """Go back to what was used before the `replace` that gave this token."""
    _replacements.reset(token)
