r"""What a model is given, as the context of its networks: $p(x \mid \mathrm{given})$.

Of k columns, those of numbers are standardised (units.py), those of words become one-hot, and all stand side by side:

$$c = (\dots,\ (g_j - \mathrm{shift}_j) / \mathrm{scale}_j,\ \dots,\ 1[g_l = 0], \dots, 1[g_l = K_l - 1],\ \dots)$$

The labels of a class-conditional model are one column of words.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evenflow.reference.core import Array, check_finite, check_shape
from evenflow.reference.work.columns import Words
from evenflow.reference.work.far import far_out
from evenflow.reference.work.tables import check_whole
from evenflow.reference.work.units import Units, mean_and_sd

LABEL = "label"


@dataclass(frozen=True, eq=False)
class Given:
    """The columns of a table `given` (n, k), and how they become a context (n, width)."""
    columns: tuple[str, ...]            # (k,)
    units: Units | None                 # of the columns of numbers; None where there are none
    classes: tuple[tuple[Any, ...], ...]  # (k,) what the numbers 0 ... K - 1 in a column of words mean; () for numbers
    labelled: bool = False              # the last column holds labels
    shares: tuple[float, ...] = ()      # how frequent each label is, where labels are all that is given

    @classmethod
    def fitted(cls, given: Array, columns: Sequence[str], words: Words) -> "Given":
        """From the rows (n, k) to train on. A constant column becomes 0: it may vary elsewhere."""
        classes = tuple(words.get(name, ()) for name in columns)
        numbers = given[:, [j for j, words in enumerate(classes) if not words]]
        if not numbers.size:
            return cls(tuple(columns), None, classes)
        d, far = numbers.shape[1], far_out(numbers)
        shift, sd = mean_and_sd(Units(np.zeros(d), np.ones(d), far=far).to_model(numbers))
        return cls(tuple(columns), Units(shift, np.where(sd > 0, sd, 1.0), far=far), classes)

    @property
    def width(self) -> int:
        return sum(len(words) or 1 for words in self.classes)

    def table(self, given: Array | None, labels: Array | None) -> Array:
        """All columns (n, k) from the given ones and the labels (n,), those that it takes."""
        labels = None if labels is None or not self.labelled else labels[:, None]
        return np.concatenate([part for part in (given, labels) if part is not None], axis=1).astype(np.float64)

    def context(self, given: Array) -> Array:
        """given (n, k), words as their numbers -> c (n, width)."""
        check_shape("given", given, "n", len(self.columns))
        check_finite("given", given)
        numbers = [j for j, words in enumerate(self.classes) if not words]
        parts = [] if self.units is None else [self.units.to_model(given[:, numbers].astype(np.float64))]
        return np.concatenate([*parts, *(one_hot(given[:, j], len(K)) for j, K in enumerate(self.classes) if K)], axis=1)

    def as_json(self) -> dict[str, Any]:
        units = None if self.units is None else self.units.as_json()
        return {"columns": list(self.columns), "units": units, "classes": list(map(list, self.classes)),
                "labelled": self.labelled, "shares": list(self.shares)}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Given":
        units = None if told["units"] is None else Units.from_json(told["units"])
        return cls(tuple(told["columns"]), units, tuple(map(tuple, told["classes"])), told["labelled"], tuple(told["shares"]))


def one_hot(labels: Array, classes: int) -> Array:
    """labels (n,), whole numbers 0 ... classes - 1 -> (n, classes), row i with its 1 at labels[i]."""
    check_shape("labels", labels, "n")
    check_whole("labels", labels, 0, classes)
    return (labels[:, None] == np.arange(classes)).astype(np.float64)
