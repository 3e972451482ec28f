"""The rows that a training takes its batches from, where models compute: only their numbers change from step to step."""
from typing import Any, NamedTuple

import numpy as np

from evenflow.reference.core import Array, placed, streams
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.given import Given
from evenflow.reference.work.units import Units

EXACT = 2**24   # whole numbers up to here are numbers of float32
HELD_OUT = 500  # as many held-out rows at most judge the training as it goes on


class Rows(NamedTuple):
    """Data as a training sees them. Real numbers are in the model's units; whole numbers wait to be dequantised, in float64.

    Pixels do in float32, which holds them: there are many.
    """
    x: Array               # (n, d)
    context: Array | None  # (n, width), what is given
    units: Units
    dtype: str
    chances: Array | None = None  # (n,), sum 1: how often each row is drawn; None: all alike

    def __len__(self) -> int:  # rows, not fields
        return len(self.x)

    def some(self, size: int, rng: np.random.Generator) -> Array:
        """The numbers of a batch of rows: different ones, or with chances as they fall."""
        n = len(self)
        if self.chances is None:
            return rng.choice(n, size=min(size, n), replace=False)
        return rng.choice(n, size=min(size, n), p=self.chances)

    def at(self, chosen: Any, rng: np.random.Generator) -> tuple[Array, Array | None]:
        """The rows of these numbers in the model's units, whole numbers with fresh uniforms; and their context."""
        x, context = self.x[chosen], None if self.context is None else self.context[chosen]
        if self.units.counted is not None:
            x = placed(x, np.float64)
            uniforms = placed(streams(rng, x.dtype).random(x.shape), x.dtype)
            x = placed(self.units.to_model(x, uniforms), self.dtype)
        return x, context


def rows_of(x: Array, units: Units, dtype: str, context: Array | None = None, weights: Array | None = None) -> Rows:
    """x (n, d) in the user's units; context (n, width), weights (n,) positive."""
    context = None if context is None else placed(context, dtype)
    chances = None if weights is None else weights / weights.sum()
    if units.counted is None:
        return Rows(placed(units.to_model(x), dtype), context, units, dtype, chances)
    exact = np.float64 if units.levels is None or units.levels > EXACT else np.float32
    return Rows(placed(x.astype(exact), exact), context, units, dtype, chances)


def contexts_of(dataset: Dataset, given: Given | None) -> tuple[Array | None, Array | None]:
    """The contexts of the rows to train on and of those held out."""
    if given is None:
        return None, None
    train = given.table(dataset.train_given, dataset.train_labels)
    return given.context(train), given.context(given.table(dataset.held_out_given, dataset.held_out_labels))


def judges(weights: Array | None) -> Any:
    """Which held-out rows judge the training: the first HELD_OUT, or as many by their weights (n,), as evenly as can be."""
    return slice(HELD_OUT) if weights is None else by_weight(weights, HELD_OUT)


def by_weight(weights: Array, size: int) -> Array:
    """The numbers of so many rows, each as often as its share of the weights (n,), to the nearest whole numbers."""
    return np.searchsorted(np.cumsum(weights) / weights.sum(), (np.arange(size) + 0.5) / size)
