"""The stand-in's streams and CUDA graphs: what is recorded is not done, and what cannot be recorded is refused as CuPy does.

While a stream is being recorded, every launch is written down with the memory it reads and writes, and at the end all memory is
as it was before; what was made meanwhile holds NaN until the graph is launched for the first time. Refused are copies between
host and device, waits for the device, cuBLAS and cuSOLVER through CuPy, thrust's sorting, CuPy's joining of several arrays (it
sends a table of their addresses), and memory from another pool than the graph's own.
"""
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests import standin_count as count

Action = Callable[[], object]
LIBRARY = "cuBLAS, cuSOLVER and thrust calls are not allowed while the current stream is capturing"
POOL = "memory taken from the default pool while the current stream is capturing would be given to others"


class Recording:
    """What a stream was told since `begin_capture`."""

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.made: dict[int, np.ndarray] = {}                    # by id: all memory that was made meanwhile
        self.before: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # and what other memory held that was written to

    def add(self, action: Action, *written: np.ndarray) -> None:
        for owner in map(owner_of, written):
            if id(owner) not in self.made and id(owner) not in self.before:
                self.before[id(owner)] = owner, owner.copy()
        self.actions.append(action)

    def end(self) -> "Graph":
        for array, held in self.before.values():
            array[...] = held
        for array in self.made.values():
            poison(array)
        return Graph(self.actions, list(self.made.values()))


class Graph:
    def __init__(self, actions: list[Action], memory: list[np.ndarray]) -> None:
        self._actions, self._memory = actions, memory

    def launch(self, stream: Any = None) -> None:
        refuse(count.WAIT)
        count.launched("graph")
        with np.errstate(all="ignore"):
            for action in self._actions:
                action()

    def upload(self, stream: Any = None) -> None:
        refuse(count.WAIT)


current: Recording | None = None
_pooled = 0  # how many `using_allocator` are open


def owner_of(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def poison(array: np.ndarray) -> None:
    if array.flags.writeable:
        array.fill({"f": np.nan, "c": np.nan, "b": True}.get(array.dtype.kind, 99))


def refuse(why: str) -> None:
    if current is not None:
        raise RuntimeError(why)


def made(array: np.ndarray) -> None:
    """Memory that a launch takes."""
    if current is not None:
        if not _pooled:
            raise RuntimeError(POOL)
        owner = owner_of(array)
        current.made[id(owner)] = owner


def written(action: Action, *arrays: np.ndarray) -> None:
    """Do it to memory that is there already; recorded, it will be done again."""
    if current is not None:
        current.add(action, *arrays)
    action()


def fresh(outs: Any, compute: Callable[[], Any]) -> None:
    """What a computation gave, one array or several on the host: recorded, it will be computed again."""
    outs = outs if isinstance(outs, list) else [outs]

    def again() -> None:
        new = compute()
        for out, value in zip(outs, new if isinstance(new, tuple | list) else [new], strict=True):
            if isinstance(out, np.ndarray):
                np.copyto(out, value)

    if current is not None:
        current.add(again)


class Stream:
    null: "Stream"
    numbered = 0

    def __init__(self, null: bool = False, non_blocking: bool = False, **others: Any) -> None:
        Stream.numbered += 1
        self.ptr = Stream.numbered

    def synchronize(self) -> None:
        count.synchronised()

    def begin_capture(self, mode: Any = None) -> None:
        global current
        refuse("cudaErrorIllegalState: the stream is capturing already")
        current, count.recording = Recording(), True

    def end_capture(self) -> Graph:
        global current
        if current is None:
            raise RuntimeError("cudaErrorIllegalState: the stream is not capturing")
        recording, current, count.recording = current, None, False
        return recording.end()

    def __enter__(self) -> "Stream":
        _streams.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        _streams.pop()


Stream.null = Stream()
_streams = [Stream.null]


def get_current_stream() -> Stream:
    return _streams[-1]


@contextmanager
def using_allocator(allocator: Any = None) -> Iterator[None]:
    global _pooled
    _pooled += 1
    try:
        yield
    finally:
        _pooled -= 1
