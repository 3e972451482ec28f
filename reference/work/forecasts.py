r"""How good is $p(y \mid \mathrm{given})$? What DRAWS draws a row, $x_1, \dots, x_m$, say of the y that came, column by column.

    crps           the continuous ranked probability score, fair, in the units of y: smaller is better; crps_se its standard
                   error
    coverage_50    the share of the y between the draws' quantiles at 0.25 and 0.75: 0.5 if the model is right. Quantile p
                   stands at place p (m + 1) of the sorted draws: right on average for any m. Likewise coverage_90, _95
    width_50       the mean distance between the two, in the units of y: of two that are right the narrower is better
    pit            the probability integral transform, $(\#\{x_i < y\} + U) / (m + 1)$ with U uniform up to 1 + the number of
                   draws equal to y: how it is spread over ten equal bins; each has 0.1 if the model is right

    energy_score   at beta = 1, fair, in the model's units: of all columns together; energy_score_se its standard error

Where several columns are modelled each of the others is a list, one entry a column.
"""
from collections.abc import Callable
from typing import Any

import numpy as np

from evenflow.reference.core import Array, check_shape
from evenflow.reference.scores import crps, energy_score
from evenflow.reference.work.energy_evaluation import mean_and_error

DRAWS, ROWS, BINS = 200, 512, 10
LEVELS = (50, 90, 95)

Draw = Callable[[slice], Array]  # rows (k of them) -> draws (DRAWS, k, d)


def forecast_figures(y: Array, draw: Draw, seen: Callable[[Array], Array], rng: np.random.Generator) -> dict[str, Any]:
    """The row of numbers above, for y (n, d).  seen: from the units of y to the model's, (..., d)."""
    scores, energy, inside, width, pit = [], [], [], [], []
    for start in range(0, len(y), ROWS):
        rows = slice(start, start + ROWS)
        x = draw(rows)
        check_shape("draws", x, "m", *y[rows].shape)
        scores.append(np.stack([crps(column, of) for column, of in zip(np.moveaxis(x, 2, 0), y[rows].T, strict=True)], axis=1))
        energy.append(energy_score(seen(x), seen(y[rows])))
        low, high = (quantiles(x, [0.5 + sign * level / 200 for level in LEVELS]) for sign in (-1, 1))  # (levels, k, d)
        inside.append((low <= y[rows]) & (y[rows] <= high))
        width.append(high - low)
        pit.append(transform(x, y[rows], rng))
    of_rows = np.concatenate(scores)
    told: dict[str, Array] = {"crps": of_rows.mean(axis=0), "crps_se": of_rows.std(axis=0, ddof=1) / len(y) ** 0.5}
    for kind, parts in (("coverage", inside), ("width", width)):
        means = np.concatenate(parts, axis=1).mean(axis=1)  # (levels, d)
        told |= {f"{kind}_{level}": mean for level, mean in zip(LEVELS, means, strict=True)}
    counts = [np.histogram(column, BINS, (0, 1))[0] / len(y) for column in np.concatenate(pit).T]
    one = y.shape[1] == 1
    figures = {name: float(value[0]) if one else value.tolist() for name, value in told.items()}
    together = mean_and_error("energy_score", np.concatenate(energy))
    return {**figures, "pit": counts[0].tolist() if one else np.array(counts).tolist(), **together}


def quantiles(draws: Array, levels: Any) -> Array:
    """Of draws (m, ...): (levels, ...), each at place level (m + 1) of the sorted draws; beyond them, the last."""
    return np.quantile(draws, levels, axis=0, method="weibull")


def transform(draws: Array, y: Array, rng: np.random.Generator) -> Array:
    """The PIT of y (n, d) among draws (m, n, d): (n, d) in [0, 1)."""
    below, equal = np.sum(draws < y, axis=0), np.sum(draws == y, axis=0)
    return (below + rng.random(y.shape) * (1 + equal)) / (len(draws) + 1)
