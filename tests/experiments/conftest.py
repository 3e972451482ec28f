"""What the tests of the experiments share: trainings in this process, and few digits to judge them by."""
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

import pytest

from evenflow.experiments import EXPERIMENTS, judged, pool
from evenflow.experiments.pool import OnStep
from evenflow.reference.work import evaluation, rows
from evenflow.reference.work.threads import single_blas_thread

SCRIPTS = {name: import_module(module) for name, module in EXPERIMENTS.items()}


def one_by_one(work: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], on_step: OnStep | None) -> list[Any]:
    """One training after the other, in this process, so that what a test has changed holds."""
    return [work(*job, on_step or (lambda name, progress: None)) for job in jobs]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("evenflow.experiments.") and module is not pool and hasattr(module, "side_by_side"):
            monkeypatch.setattr(module, "side_by_side", one_by_one)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few draws and digits to judge by, and no classifier of digits. One BLAS thread, as in the pool."""
    monkeypatch.setattr(evaluation, "DRAWS", 2)
    monkeypatch.setattr(evaluation, "SHARED", 50)
    for module in (judged, evaluation):
        monkeypatch.setattr(module, "COMPARED", 40)
    monkeypatch.setattr(evaluation, "digit_features", lambda images, labels, seed=0: lambda pixels: pixels)
    monkeypatch.setattr(rows, "HELD_OUT", 40)
    with single_blas_thread():
        yield
