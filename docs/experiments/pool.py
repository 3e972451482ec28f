"""Independent trainings side by side, one process a core, with their progress told as they go."""
import multiprocessing
import os
import queue
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from evenflow import accel
from evenflow.reference.core import check_count, lookup
from evenflow.reference.work.threads import single_blas_thread
from evenflow.reference.work.training import Progress

T = TypeVar("T")
Preset = TypeVar("Preset")
OnStep = Callable[[str, Progress], None]  # the training's name, how far it is
TOLD_EVERY = 16                           # steps
_at_most: ContextVar[int | None] = ContextVar("at_most", default=None)


@contextmanager
def at_most(jobs: int | None) -> Iterator[None]:
    """While it lasts, side_by_side makes no more than so many trainings at a time; None: as many as this process has cores."""
    before = _at_most.set(jobs)
    yield
    _at_most.reset(before)


def asked(preset: str, presets: Mapping[str, Preset], seeds: Iterable[int]) -> Preset:
    """The preset of that name. Raises ValueError for one that is not there, and for a seed below 0."""
    for seed in seeds:
        check_count("seeds", seed, least=0)
    return lookup("preset", preset, dict(presets))


def cores() -> int:
    """Those that this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def side_by_side(work: Callable[..., T], jobs: Sequence[tuple[Any, ...]], on_step: OnStep | None) -> list[T]:
    """[work(*job, tell) for each job], as many at a time as `at_most` says, one BLAS thread each, under the caller's backend.

    work: a function at the top of a module, whose last argument is an OnStep. What it raises is raised here, and ends the
    others; so does Ctrl-C. Each of them then leaves the checkpoint that it last wrote.
    """
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(min(len(jobs), _at_most.get() or cores()) or 1) as pool:
        told = manager.Queue()
        pending = [pool.apply_async(call, (accel.active(), work, job, told)) for job in jobs]
        while not all(result.ready() for result in pending):
            relay(told, on_step)
            for result in pending:
                if result.ready():
                    result.get()
        relay(told, on_step)
        return [result.get() for result in pending]


def relay(told: Any, on_step: OnStep | None) -> None:
    """Pass on what has been told, until a tenth of a second goes by without news."""
    try:
        while True:
            name, progress = told.get(timeout=0.1)
            if on_step is not None:
                on_step(name, progress)
    except queue.Empty:
        return


def call(backend: str, work: Callable[..., T], job: tuple[Any, ...], told: Any) -> T:
    def tell(name: str, progress: Progress) -> None:
        if progress.step % TOLD_EVERY == 0 or progress.step == progress.steps:
            told.put((name, progress._replace(info=dict(progress.info))))

    try:
        with accel.use(backend), single_blas_thread():
            return work(*job, tell)
    except KeyboardInterrupt:
        raise SystemExit from None  # the parent says it
