"""The pictures of simulator.py: how the ranks are spread, and draws of two moons beside exact ones."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from evenflow.experiments.results import Row
from evenflow.experiments.simulator_measures import BINS, PAIRS
from evenflow.reference.app.pictures import COLOURS, new_figure, write
from evenflow.reference.core import Array

Model = tuple[str, int]  # method, simulations


def models(rows: Sequence[Row]) -> list[Model]:
    return list(dict.fromkeys((row["method"], row["simulations"]) for row in rows))


def histograms(path: Path, rows: Sequence[Row]) -> None:
    """The ranks of the first coordinate, of the first seed, and the band in which 99 % of the bins of a right model lie."""
    from scipy.stats import binom
    low, high = binom.ppf([0.005, 0.995], PAIRS, 1 / BINS)
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    figure = new_figure(1.9 * len(models(rows)) + 0.8, 1.9 * len(tasks) + 0.3)
    panels = figure.subplots(len(tasks), len(models(rows)), sharex=True, sharey=True, squeeze=False)
    for line, task in zip(panels, tasks, strict=True):
        for axes, (method, n) in zip(line, models(rows), strict=True):
            mine = [row for row in rows if (row["task"], row["method"], row["simulations"]) == (task, method, n)]
            if mine[0]["ranks"] is not None:
                axes.bar(np.arange(BINS) + 0.5, mine[0]["ranks"][0], 1.0, color=COLOURS[4])
            axes.axhspan(low, high, color="black", alpha=0.15, linewidth=0)
            axes.set(xticks=[], yticks=[0, PAIRS // BINS], ylim=(0, 4 * PAIRS / BINS))
            if axes in panels[0]:
                axes.set_title(method.replace(", ", ",\n") + (f"\n{n:,}" if n else "\n"), fontsize=8)
        line[0].set_ylabel(task, fontsize=8)
    write(figure, path)


def posteriors(path: Path, drawn: Mapping[tuple[str, str], Array]) -> None:
    """(task, method) -> draws (m, d) at one x: a line of scatter plots of the first two coordinates for each task."""
    tasks, methods = (list(dict.fromkeys(key[i] for key in drawn)) for i in (0, 1))
    figure = new_figure(2.4 * len(methods) + 0.4, 2.5 * len(tasks) + 0.3)
    for line, task in zip(figure.subplots(len(tasks), len(methods), squeeze=False), tasks, strict=True):
        exact = drawn[task, methods[0]]
        low, high = exact[:, :2].min(axis=0), exact[:, :2].max(axis=0)
        edge = 0.15 * (high - low)
        for axes, method in zip(line, methods, strict=True):
            axes.plot(*drawn[task, method][:, :2].T, ".", color=COLOURS[method != methods[0]], markersize=2, alpha=0.5)
            axes.set(xlim=(low[0] - edge[0], high[0] + edge[0]), ylim=(low[1] - edge[1], high[1] + edge[1]))
            axes.set_title(f"{task}: {method}", fontsize=8)
            axes.tick_params(labelsize=7)
    write(figure, path)
