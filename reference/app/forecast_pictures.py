"""What p(y | given) says of held-out rows, a line of four pictures for each column of y.

    PIT                 where y falls among its forecast: flat if the model is right
    coverage            the share of y in central intervals, against what they promise
    a fan over one x    the quantiles as that column of the given varies that y follows most, all others as in the middle row
    predicted, true     the median and the central 90 %
"""
from typing import Any

import numpy as np

from evenflow.reference.app.pictures import COLOURS, PathLike, new_figure, write
from evenflow.reference.core import Array
from evenflow.reference.work import predictions
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.forecasts import BINS
from evenflow.reference.work.runs import Trained

ROWS, TARGETS, FAN = 300, 4, 60  # rows and targets shown, places in a fan
LEVELS = np.concatenate([[0.025], np.arange(1, 20) / 20, [0.975]])
LOW, MEDIAN, HIGH = 1, 10, 19    # 0.05, 0.5, 0.95


def forecast_picture(path: PathLike, trained: Trained, dataset: Dataset) -> None:
    """Of the first ROWS held-out rows, and the first TARGETS columns."""
    known, y = trained.given, dataset.held_out[:ROWS]
    assert known is not None
    given = known.table(dataset.held_out_given, dataset.held_out_labels)[:ROWS]
    q, names = predictions.quantiles(trained, given, LEVELS), trained.columns or tuple(map(str, range(trained.d)))
    shown = min(trained.d, TARGETS)
    figure = new_figure(15.0, 3.4 * shown + 0.3)
    for j, panels in enumerate(figure.subplots(shown, 4, squeeze=False)):
        pit(panels[0], y[:, j], q[:, :, j])
        coverage(panels[1], y[:, j], q[:, :, j])
        fan(panels[2], trained, given, y[:, j], j)
        predicted(panels[3], y[:, j], q[:, :, j], names[j])
    write(figure, path)


def pit(axes: Any, y: Array, q: Array) -> None:
    """From quantiles q (n, levels): between two of them by a straight line."""
    u = [np.interp(value, row, LEVELS, left=0.0, right=1.0) for value, row in zip(y, q, strict=True)]
    axes.hist(u, BINS, range=(0, 1), density=True, color=COLOURS[4], edgecolor="white")
    axes.axhline(1.0, color="black", linewidth=1, linestyle="--")
    axes.set(title="PIT: flat if right", xlabel="place of y in its forecast", yticks=[0, 1])


def coverage(axes: Any, y: Array, q: Array) -> None:
    half = len(LEVELS) // 2
    promised = [LEVELS[-1 - i] - LEVELS[i] for i in range(half)]
    seen = [np.mean((q[:, i] <= y) & (y <= q[:, -1 - i])) for i in range(half)]
    axes.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle="--")
    axes.plot(promised, seen, "o-", color=COLOURS[0], markersize=4)
    axes.set(title="coverage of central intervals", xlabel="promised", ylabel="seen", xlim=(0, 1), ylim=(0, 1), aspect="equal")


def fan(axes: Any, trained: Trained, given: Array, y: Array, target: int) -> None:
    known = trained.given
    assert known is not None
    numbers = [k for k, words in enumerate(known.classes) if not words]
    if not numbers:
        axes.set_visible(False)
        return
    k = max(numbers, key=lambda k: followed(given[:, k], y))
    middle = given[np.argmin(np.sum((known.context(given) - np.median(known.context(given), axis=0)) ** 2, axis=1))]
    low, high = np.quantile(given[:, k], [0.01, 0.99])
    places, rows = np.linspace(low, high, FAN), np.tile(middle, (FAN, 1))
    rows[:, k] = places
    q = predictions.quantiles(trained, rows, LEVELS)[:, :, target]
    for i in range(1, MEDIAN, 3):
        axes.fill_between(places, q[:, i], q[:, -1 - i], color=COLOURS[0], alpha=0.2, linewidth=0)
    axes.plot(places, q[:, MEDIAN], color=COLOURS[0])
    axes.plot(given[:, k], y, ".", color=COLOURS[1], markersize=3, alpha=0.5)
    axes.set_title("quantiles, all else as in the middle row" if len(known.columns) > 1 else "quantiles")
    axes.set_xlabel(known.columns[k], parse_math=False)


def followed(x: Array, y: Array) -> float:
    """How far y goes with x: the share of its variance that lies between tenths of x."""
    parts = [part for part in np.array_split(y[np.argsort(x, kind="stable")], 10) if len(part)]
    return float(np.var([part.mean() for part in parts])) if np.ptp(x) > 0 else -1.0


def predicted(axes: Any, y: Array, q: Array, name: str) -> None:
    axes.vlines(y, q[:, LOW], q[:, HIGH], color=COLOURS[4], linewidth=0.8, alpha=0.6)
    axes.plot(y, q[:, MEDIAN], ".", color=COLOURS[0], markersize=4)
    ends = [min(y.min(), q[:, LOW].min()), max(y.max(), q[:, HIGH].max())]
    axes.plot(ends, ends, color="black", linewidth=1, linestyle="--")
    axes.set_title(f"{name}: median and 90 %", parse_math=False)
    axes.set(xlabel="true", ylabel="predicted")
