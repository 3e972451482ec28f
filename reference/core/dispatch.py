"""What a name stands for: in a table of choices, and at the one seam through which a faster implementation may enter.

`@replaceable` marks a function whose body is its *definition*. Between `replace` and `restore` a call goes to the
replacement instead; otherwise to the body. Which replacements hold is a context variable: a switch made in one thread
or task is not seen in another, and nothing is ever patched. The reference knows nothing of who replaces it.

Work that is handed to other threads and processes should be done as its caller would do it: `caller` is the choice to take
along, `work_for` makes it that of a whole process.
"""
import difflib
import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Table = Mapping[str, Callable[..., object]]
Again = Callable[[], AbstractContextManager[object]]

definitions: dict[str, Callable[..., object]] = {}  # all of them, by "module.name" below evenflow.reference


class Choice(NamedTuple):
    """Who computes. again: makes the same choice in another thread or process (it can be pickled); None: nothing to be made."""
    name: str
    table: Table
    again: Again | None


REFERENCE = Choice("reference", {}, None)

_chosen: ContextVar[Choice | None] = ContextVar("chosen", default=None)
_process = REFERENCE  # the choice of the whole process
_default = REFERENCE  # the same, or that of the process it works for
_standing: dict[threading.Thread, Choice] = {}  # of each thread, the last that was made last


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that is not among the known ones.

    >>> unknown("activation", "tnah", ["tanh", "relu"])
    "unknown activation 'tnah', did you mean 'tanh'? Known: tanh, relu"
    """
    known = list(known)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
    hint = f", did you mean {near[0]!r}?" if near else "."
    return f"unknown {kind} {name!r}{hint} Known: {', '.join(known)}"


def lookup(kind: str, name: str, table: Mapping[str, T]) -> T:
    """table[name], or a ValueError that suggests the nearest known name.

    >>> lookup("size", "small", {"small": 1, "large": 2})
    1
    """
    try:
        return table[name]
    except (KeyError, TypeError):  # an array or a list, say, cannot be a key
        raise ValueError(unknown(kind, name, table)) from None


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
        return chosen().table.get(name, definition)(*args, **kwargs)  # type: ignore[return-value]

    return call


def chosen() -> Choice:
    """The choice that holds here: the one made here, else that of the whole process."""
    return _chosen.get() or _default


def replace(table: Table, name: str = "", again: Again | None = None) -> Choice | None:
    """Use these replacements from now on, until `restore` gets what this returns: the choice made here before, if any.

    Raises ValueError for a name that no function is defined under.
    """
    for function in table:
        lookup("replaceable function", function, definitions)
    before = _chosen.get()
    restore(Choice(name, {**chosen().table, **table}, again))
    return before


def restore(choice: Choice | None) -> None:
    """Go back to what was used before the `replace` that gave this."""
    _chosen.set(choice)
    here = threading.current_thread()
    for thread in list(_standing):
        if thread is here or not thread.is_alive():
            _standing.pop(thread, None)
    if choice is not None:
        _standing[here] = choice


def by_default(again: Again) -> None:
    """Make a choice for the whole process: all threads and tasks that make none of their own."""
    global _process, _default
    with again():
        _process = _default = chosen()


def work_for(again: Again | None) -> None:
    """Make the choice of another process that of this one, until the next time; None where the other one made none."""
    global _default
    _default = _process
    if again is not None:
        with again():
            _default = chosen()


def caller() -> Choice:
    """The choice of whoever this thread works for.

    Made here; else, in any thread but the main one, the last that was made in a thread and still stands there: whoever hands
    work to threads does so while his own choice stands. Else that of the whole process.
    """
    if _chosen.get() is None and threading.current_thread() is not threading.main_thread():
        standing = [choice for thread, choice in list(_standing.items()) if thread.is_alive()]
        return standing[-1] if standing else _default
    return chosen()


@contextmanager
def as_its_caller() -> Iterator[None]:
    """The caller's choice until the block ends, or while the function runs that this decorates."""
    choice = caller()
    if choice is chosen() or choice.again is None:
        yield
    else:
        with choice.again():
            yield
