"""The pictures of block_sweep.py and objectives.py: quality and times against B, samples, bars."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments.judged import column, deviation, mean
from evenflow.experiments.results import Row
from evenflow.reference.app.pictures import COLOURS, new_figure, write

MEASURES = {  # field -> what stands beside the axis
    "d_loss": "D-loss (larger is better)", "frechet": "Frechet distance", "energy_score": "energy score",
    "bits_per_dim": "bits per dim",
}
TIMES = {"step_time": "training step", "sampling_time": "sampling", "inversion_time": "inversion"}


def sizes(rows: list[Row]) -> list[int]:
    return sorted({row["blocks"] for row in rows if row["blocks"]})


def against_blocks(axes: Any, rows: list[Row], field: str, colour: str, label: str) -> None:
    """The mean as a line, the seeds as dots."""
    energy = [row for row in rows if row["objective"] == "energy"]
    values = {B: column(energy, field, blocks=B) for B in sizes(energy)}
    axes.plot(list(values), [mean(v) for v in values.values()], "-", color=colour, label=label)
    dots = [(B, value) for B, mine in values.items() for value in mine]
    axes.plot(*np.reshape(dots, (-1, 2)).T, "o", color=colour, markersize=4, alpha=0.6)
    axes.set_xscale("log", base=2)
    axes.set(xlabel="number of blocks B", xticks=list(values), xticklabels=list(values))
    axes.grid(alpha=0.3)


def quality(path: Path, rows: list[Row]) -> None:
    """One panel a measure; the real digits as a line, maximum likelihood as a cross."""
    figure = new_figure(11.0, 7.0)
    for axes, (field, name) in zip(figure.subplots(2, 2).ravel(), MEASURES.items(), strict=True):
        against_blocks(axes, rows, field, COLOURS[0], "energy")
        likelihood = [(row["blocks"], row[field]) for row in rows if row["objective"] == "likelihood"]
        axes.plot(*np.array(likelihood, dtype=float).T, "x", color=COLOURS[1], markersize=8, label="likelihood")
        if real := column(rows, field, objective="real digits"):
            axes.axhline(mean(real), color="black", linestyle=":", label="real digits")
        axes.set_ylabel(name)
        axes.legend()
    write(figure, path)


def times(path: Path, rows: list[Row]) -> None:
    """Ratios to B = 1, both axes logarithmic; the dotted line is B itself."""
    figure = new_figure(7.0, 5.0)
    axes = figure.subplots()
    for colour, (field, name) in zip(COLOURS, TIMES.items(), strict=False):
        against_blocks(axes, rows, field, colour, name)
    axes.plot(sizes(rows), sizes(rows), ":", color="black", label="B")
    axes.set_yscale("log", base=2)
    axes.set_ylabel("time, as a multiple of B = 1")
    axes.legend()
    write(figure, path)


def bars(path: Path, rows: list[Row], names: Sequence[str], panels: Mapping[str, Mapping[str, str]]) -> None:
    """As a table: a line of panels for each data set, a panel for each measure, a bar for each objective, its whisker the
    standard deviation over the seeds.  names: of the objectives; panels: data -> field -> its name."""
    width = max(map(len, panels.values()))
    figure = new_figure(4.4 * width + 1.5, (0.32 * len(names) + 0.9) * len(panels))
    for line, (data, measures) in zip(figure.subplots(len(panels), width, squeeze=False), panels.items(), strict=True):
        for axes in line[len(measures) :]:
            axes.set_visible(False)
        for axes, (field, title) in zip(line, measures.items(), strict=False):
            for i, name in enumerate(names):
                if values := column(rows, field, data=data, objective=name):
                    colour = COLOURS[1 if "likelihood" in name else 0]
                    axes.barh(i, mean(values), xerr=deviation(values), color=colour, alpha=0.8)
            known = [row[field] for row in rows if row["data"] == data and row.get(field) is not None]
            if known:
                gap = 0.25 * (max(known) - min(known)) + 1e-9
                axes.set_xlim(min(known) - gap, max(known) + gap)  # not from 0: the differences are what is to be seen
            axes.set(title=f"{data}: {title}", yticks=range(len(names)), yticklabels=list(names) if axes is line[0] else [])
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.grid(axis="x", alpha=0.3)
    write(figure, path)
