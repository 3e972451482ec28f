"""The picture of likelihood_vs_quality.py: a point a model."""
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments.results import Row
from evenflow.reference.app.pictures import COLOURS, new_figure, write

OBJECTIVES = ("energy", "likelihood", "mmd", "quantile")
MARKERS = {
    "SAEF affine": "o", "SAEF dense": "s", "SAEF spline": "D", "AQF affine": "^", "AQF spline": "v", "MAF": "P", "RealNVP": "X",
    "spline flow": "*", "dense flow": "<",
}
UNITS = {"digits": "bits per dim", "eight-gaussians": "nats a row"}  # of -likelihood
FAR = 1.5  # interquartile ranges: a few models have so bad a likelihood that nothing else would be seen
QUALITY = {"d_loss": "D-loss (up is better)", "frechet": "Frechet distance (down is better)"}


def scatter(path: Path, rows: Sequence[Row]) -> None:
    """A line of panels a data set, a panel a measure of samples; shorter trainings paler, the real data as a dotted line."""
    longest = max(row.get("steps", 0) for row in rows)
    data = [name for name in UNITS if any(row["data"] == name for row in rows)]
    figure = new_figure(13.0, 4.6 * len(data) + 0.6)
    for line, name in zip(figure.subplots(len(data), 2, squeeze=False), data, strict=True):
        for axes, (field, label) in zip(line, QUALITY.items(), strict=True):
            beyond = panel(axes, [row for row in rows if row["data"] == name], field, longest)
            edge = f"; {beyond} further right, drawn at the edge" if beyond else ""
            axes.set(xlabel=f"{UNITS[name]} (left is better{edge})", ylabel=label, title=name)
    objectives, families = ({row[field] for row in rows} for field in ("objective", "family"))
    keys = [dot(axes, o, "o", COLOURS[k]) for k, o in enumerate(OBJECTIVES) if o in objectives]
    keys += [dot(axes, family, marker, "grey") for family, marker in MARKERS.items() if family in families]
    figure.legend(handles=keys, loc="outside right upper", fontsize=9)
    write(figure, path)


def panel(axes: Any, rows: Sequence[Row], field: str, longest: int) -> int:
    """How many models lie so far out that they are drawn at the edge."""
    known = [row for row in rows if row["family"] != "real" and None not in (row["likelihood"], row[field])]
    costs = np.array([-row["likelihood"] for row in known])
    low, high = np.quantile(costs, [0.25, 0.75]) if known else (0.0, math.inf)
    edge = high + FAR * (high - low)
    for row, cost in zip(known, np.minimum(costs, edge), strict=True):
        colour, alpha = COLOURS[OBJECTIVES.index(row["objective"])], 0.9 if row["steps"] == longest else 0.3
        axes.plot(cost, row[field], MARKERS[row["family"]], color=colour, markersize=6, markeredgewidth=0, alpha=alpha)
    for row in rows:
        if row["family"] == "real":
            axes.axhline(row[field], color="black", linestyle=":")
            if row["likelihood"] is not None:
                axes.axvline(-row["likelihood"], color="black", linestyle=":")
    if field == "frechet":
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    return int(np.sum(costs > edge))


def dot(axes: Any, label: str, marker: str, colour: str) -> Any:
    (handle,) = axes.plot([], [], marker, color=colour, label=label)
    return handle
