"""From one look at a training to the next: the steps between, whoever makes them.

Here one step is made after the other, and each State is there as soon as its step is done. A backend may make the whole stretch
before anybody sees a State again.
"""
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from evenflow.reference.core import replaceable
from evenflow.reference.work.checkpoints import PathLike, State


class Report(NamedTuple):
    """What one step has to say."""
    loss: float
    learning_rate: float
    gradient_norm: float                    # before clipping
    info: Mapping[str, float] = MappingProxyType({})  # whatever else: acceptances, say


Advance: TypeAlias = "Callable[[State], tuple[State, Report]]"
Stretch: TypeAlias = "Callable[[State, int], Iterator[tuple[State | None, Report]]]"


class TrainingStopped(RuntimeError):
    """A loss, a gradient or a parameter is not finite. The state before the step is in `checkpoint`, if one is kept."""

    def __init__(self, step: int, what: str, checkpoint: PathLike | None) -> None:
        good = f"The last good state, step {step - 1}, is in {checkpoint}" if checkpoint else "There is no checkpoint"
        super().__init__(f"training stopped at step {step}: {what}. {good}.")
        self.step, self.what, self.checkpoint = step, what, checkpoint

    def __reduce__(self) -> tuple[Any, ...]:  # so that it can come back from another process
        return type(self), (self.step, self.what, self.checkpoint)


@replaceable
def stretched(advance: Advance) -> Stretch:
    """What makes a number of steps, one after the other, and gives State and Report of each.

    A backend may make many before it gives any: then all States but the last are None.
    """
    def make(state: State, steps: int) -> Iterator[tuple[State | None, Report]]:
        for _ in range(steps):
            state, report = advance(state)
            yield state, report

    return make


def stretch(
    make: Stretch, state: State, steps: int, checkpoint: PathLike | None
) -> Iterator[tuple[int, State | None, Report]]:
    """The same with the number of each step; TrainingStopped at the first that is not finite."""
    step = state.step
    try:
        for after, report in make(state, steps):
            step += 1
            yield step, after, report
    except FloatingPointError as error:
        raise TrainingStopped(step + 1, str(error), checkpoint) from error
