"""The pictures of regression.py: each method's CRPS against the linear Gaussian's, and how the PIT is spread."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evenflow.experiments.judged import mean
from evenflow.experiments.regression_models import OURS
from evenflow.experiments.results import Row
from evenflow.reference.app.pictures import COLOURS, new_figure, write
from evenflow.reference.core import Array
from evenflow.reference.work.forecasts import BINS

FLOOR = "linear Gaussian"


def names(rows: Sequence[Row], field: str) -> list[str]:
    return list(dict.fromkeys(row[field] for row in rows))


def crps(path: Path, rows: Sequence[Row]) -> None:
    """A panel for each data set, a line for each method, a point for each seed: its CRPS over the floor's of the same seed."""
    data, methods = names(rows, "data"), names(rows, "method")
    figure = new_figure(2.9 * len(data) + 1.5, 0.3 * len(methods) + 1.2)
    for axes, name in zip(figure.subplots(1, len(data), sharey=True, squeeze=False)[0], data, strict=True):
        for i, method in enumerate(methods):
            values, colour = ratios(rows, name, method), COLOURS[method not in OURS]
            axes.plot(values, [i] * len(values), "o", color=colour, markersize=4, alpha=0.4)
            axes.plot(mean(values), i, "|", color=colour, markersize=14, markeredgewidth=2)
        axes.axvline(1, color="black", linewidth=1)
        axes.set(title=name, xlabel="CRPS, the floor's = 1", yticks=range(len(methods)), yticklabels=methods)
        axes.grid(axis="x", alpha=0.3)
    axes.invert_yaxis()
    write(figure, path)


def ratios(rows: Sequence[Row], data: str, method: str) -> list[float]:
    """Over the floor's CRPS, seed by seed."""
    at = {(row["method"], row["seed"]): row["crps"] for row in rows if row["data"] == data and row["crps"] is not None}
    return [value / at[FLOOR, seed] for (name, seed), value in at.items() if name == method]


def pit(path: Path, rows: Sequence[Row]) -> None:
    """A line of histograms for each data set, one for each method: the mean over the seeds; flat if right."""
    data, methods = names(rows, "data"), names(rows, "method")
    figure = new_figure(1.5 * len(methods) + 1, 1.3 * len(data) + 0.6)
    panels = figure.subplots(len(data), len(methods), sharex=True, sharey=True, squeeze=False)
    for line, name in zip(panels, data, strict=True):
        for axes, method in zip(line, methods, strict=True):
            shares = pooled(rows, name, method)
            if shares is None:
                axes.set_axis_off()
            else:
                axes.bar((np.arange(BINS) + 0.5) / BINS, BINS * shares, 1 / BINS, color=COLOURS[method not in OURS], alpha=0.8)
                axes.axhline(1, color="black", linewidth=1, linestyle="--")
            axes.set(ylim=(0, 2.5), yticks=[0, 1], xticks=[0, 1])
            if axes in panels[0]:
                axes.set_title(method.replace(", ", ",\n"), fontsize=8)
        line[0].set_ylabel(name, fontsize=8)
        line[0].set_axis_on()
    write(figure, path)


def pooled(rows: Sequence[Row], data: str, method: str) -> Array | None:
    """The shares of the bins, the mean over the seeds; None where there are none."""
    found = [row["pit"] for row in rows if (row["data"], row["method"]) == (data, method) and row["pit"] is not None]
    return np.mean(found, axis=0) if found else None
