"""What a real device would have been asked to do: the stand-in's counters.

A launch is one kernel (or one fill, or one copy on the device); a view costs none. An upload is an array that goes to the
device, a synchronisation a wait for it. How many launches a function takes is CuPy 14's own number where its source shows it.
While a stream is being recorded (standin_graph.py) nothing is launched: what would be is counted as recorded, and uploads and
waits are refused.
"""
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(eq=False)
class Count:
    launches: int = 0
    views: int = 0
    uploads: int = 0
    synchronisations: int = 0
    recorded: int = 0  # launches that went into a graph; its own launch counts as one
    by_name: Counter[str] = field(default_factory=Counter)  # of the launches


UPLOAD = "the current stream is capturing, so H2D transfers are disallowed"
WAIT = "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing"

recording = False
total = Count()  # since the program began
_open = [total]


@contextmanager
def counting() -> Iterator[Count]:
    """A count of what happens in the block."""
    count = Count()
    _open.append(count)
    try:
        yield count
    finally:
        _open.remove(count)


def launched(name: str, times: int = 1) -> None:
    for count in _open:
        if recording:
            count.recorded += times
        else:
            count.launches += times
        count.by_name[name] += times


def viewed() -> None:
    for count in _open:
        count.views += 1


def uploaded() -> None:
    if recording:
        raise RuntimeError(UPLOAD)
    for count in _open:
        count.uploads += 1


def synchronised() -> None:
    if recording:
        raise RuntimeError(WAIT)
    for count in _open:
        count.synchronisations += 1
