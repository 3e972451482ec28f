"""Who is being recorded: what a step asks of the host while it runs, answered by the device instead.

    anywhere(bad)       False; a flag on the device remembers the first step at which any was true
    told(x)             x itself, read when the stretch is done
    per_step(f, step)   a slot: memory that holds f of the step that is being made
    the generator       its numbers are in slots too: drawn on the host in the usual order, before the stretch begins

Where nobody records, all of it is as in reference/core/looking.py.
"""
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels.loading import blocks, function
from evenflow.reference.core import Array, value
from evenflow.reference.core.dispatch import definitions

THREADS = 256
NEVER = 2**62  # the flag, before anything has gone wrong

Slot = Callable[[np.random.Generator, int], Any]  # generator, step -> a number or an array for this step


class Recorder:
    """What one recording notes down. `slots` are given out in the order in which they are asked for, in every run alike."""

    def __init__(self, xp: Any, rng: np.random.Generator, step: int) -> None:
        self.xp, self.rng, self.step = xp, rng, step
        self.slots: list[Slot] = []
        self.places: list[Array] = []                     # where each slot's numbers are
        self.examples: list[np.ndarray] = []              # of this step
        self.zeros: list[tuple[Callable[[int], Any], bool]] = []  # what is a plain 0, or never one, while this recording holds
        self.at, self.first = xp.zeros((), np.int64), xp.full((), NEVER, np.int64)
        self.next = 0

    def slot(self, draw: Slot) -> Array:
        i, self.next = self.next, self.next + 1
        if i < len(self.places):                          # the second run, now recorded
            return self.places[i]
        example = np.asarray(draw(self.rng, self.step))
        self.slots.append(draw)
        self.examples.append(example)
        self.places.append(self.xp.asarray(example))
        return self.places[i]

    def look(self, kernel: str, array: Array) -> None:
        if array.size:
            launch(self.xp, kernel, array.dtype, array.size, (array, np.int64(array.size), self.at, self.first))


class Generator:
    """NumPy's, while a recording runs: every method gives a slot."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __getattr__(self, name: str) -> Callable[..., Array]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self._recorder.slot(lambda rng, step: getattr(rng, name)(*args, **kwargs))

    def __deepcopy__(self, memo: Any) -> "Generator":
        return self


_recorder: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


@contextmanager
def noting(recorder: Recorder) -> Iterator[None]:
    before = _recorder.set(recorder)
    recorder.next, recorder.zeros = 0, []
    try:
        yield
    finally:
        _recorder.reset(before)


def launch(xp: Any, name: str, dtype: Any, threads: int, args: tuple[Any, ...]) -> None:
    """A kernel of graphs.cu."""
    function(xp, "graphs", name, dtype if np.dtype(dtype).kind == "f" else np.float64)(
        (blocks(threads, THREADS),), (THREADS,), args
    )


def anywhere(bad: Array) -> bool:
    """core.looking.anywhere."""
    recorder, bad = _recorder.get(), value(bad)
    if recorder is None or module_of(bad) is np:
        return definitions["core.looking.anywhere"](bad)  # type: ignore[return-value]
    recorder.look("look", recorder.xp.ascontiguousarray(bad).view(np.uint8))
    return False


def finite(x: Array) -> bool:
    """core.looking.finite. Where nobody records, a sum tells as a rule: NaN and infinity survive it."""
    recorder, x = _recorder.get(), value(x)
    xp = module_of(x)
    if xp is np:
        return definitions["core.looking.finite"](x)  # type: ignore[return-value]
    if recorder is None:
        whole = math.isfinite(float(x if x.ndim == 0 else x.sum()))
        return whole or (x.size > 1 and bool(xp.isfinite(x).all()))
    recorder.look("look_finite", xp.ascontiguousarray(x))
    return True


def told(x: Array) -> Any:
    """core.looking.told."""
    return x if _recorder.get() is not None else definitions["core.looking.told"](x)


def per_step(f: Callable[[int], Any], step: int) -> Any:
    """core.looking.per_step. A plain 0 stays one: it says that something is not done in this step."""
    recorder, now = _recorder.get(), f(step)
    if recorder is None:
        return now
    if np.ndim(now):
        return recorder.slot(lambda rng, step: f(step))
    recorder.zeros.append((f, now == 0))
    return now if now == 0 else recorder.slot(lambda rng, step: f(step))


REPLACEMENTS: dict[str, Callable[..., Any]] = {
    "core.looking.anywhere": anywhere, "core.looking.finite": finite, "core.looking.told": told,
    "core.looking.per_step": per_step,
}
