"""In the place of pool.side_by_side: one training after the other, in this process, so that what a test has changed holds."""
from collections.abc import Callable, Sequence
from typing import Any

from evenflow.experiments.pool import OnStep


def one_by_one(work: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], on_step: OnStep | None) -> list[Any]:
    return [work(*job, on_step or (lambda name, progress: None)) for job in jobs]
