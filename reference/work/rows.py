"""The rows that a training takes its batches from, where models compute: only their numbers change from step to step."""
from typing import Any, NamedTuple

import numpy as np

from evenflow.reference.core import Array, placed, streams
from evenflow.reference.work.data import one_hot
from evenflow.reference.work.units import Units


class Rows(NamedTuple):
    """Data as a training sees them. Real numbers are in the model's units; whole numbers wait to be dequantised, in float64."""
    x: Array               # (n, d)
    context: Array | None  # (n, classes), one-hot labels
    units: Units
    dtype: str

    def __len__(self) -> int:  # rows, not fields
        return len(self.x)

    def at(self, chosen: Any, rng: np.random.Generator) -> tuple[Array, Array | None]:
        """The rows of these numbers in the model's units, whole numbers with fresh uniforms; and their context."""
        x, context = self.x[chosen], None if self.context is None else self.context[chosen]
        if self.units.levels is not None:
            uniforms = placed(streams(rng, x.dtype).random(x.shape), x.dtype)
            x = placed(self.units.to_model(x, uniforms), self.dtype)
        return x, context


def rows_of(x: Array, units: Units, dtype: str, labels: Array | None = None, classes: int = 0) -> Rows:
    """x (n, d) in the user's units; labels (n,) where the model is class-conditional."""
    context = None if labels is None or not classes else placed(one_hot(labels, classes), dtype)
    if units.levels is None:
        return Rows(placed(units.to_model(x), dtype), context, units, dtype)
    return Rows(placed(x, np.float64), context, units.placed(), dtype)
