"""The pictures of tabular.py: what the models gain over a Gaussian, as bars, and patches beside real ones."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from evenflow.experiments.judged import deviation, mean
from evenflow.experiments.results import Row
from evenflow.reference.app.pictures import COLOURS, INK, digit_grid, new_figure, write
from evenflow.reference.core import Array

SHOWN = 20          # patches of each model
CONTRAST = 2 * INK  # grey values from -1/4 to 1/4 are told apart
FIELDS = {"log_density": "log density", "energy_score": "energy score", "crps": "CRPS", "d_loss": "D-loss"}
HIGHER = ("log_density", "d_loss")  # is better


def bars(path: Path, rows: Sequence[Row], models: Sequence[str]) -> None:
    """A line of panels for each data set, a panel for each measure, a bar for each model: what it gains over the Gaussian."""
    data = list(dict.fromkeys(row["data"] for row in rows))
    figure = new_figure(13.5, (0.22 * len(models) + 0.7) * len(data))
    for line, name in zip(figure.subplots(len(data), len(FIELDS), squeeze=False), data, strict=True):
        for axes, (field, title) in zip(line, FIELDS.items(), strict=True):
            for i, model in enumerate(models):
                if values := gains(rows, name, model, field):
                    colour = COLOURS[1 if "likelihood" in model else 0 if "," in model else 2]
                    axes.barh(i, mean(values), xerr=deviation(values), color=colour, alpha=0.8)
            axes.axvline(0, color="black", linewidth=1)
            axes.set(title=f"{name}: {title}", yticks=range(len(models)), yticklabels=models if axes is line[0] else [])
            axes.set_ylim(len(models) - 0.5, 0.5)
            axes.locator_params(axis="x", nbins=5)
            axes.grid(axis="x", alpha=0.3)
    write(figure, path)


def gains(rows: Sequence[Row], data: str, model: str, field: str) -> list[float]:
    """Seed by seed, positive where the model is better than the Gaussian."""
    at = {(row["model"], row["seed"]): row[field] for row in rows if row["data"] == data and row[field] is not None}
    sign = 1 if field in HIGHER else -1
    pairs = [(value, at["Gaussian", seed]) for (name, seed), value in at.items() if name == model and ("Gaussian", seed) in at]
    return [sign * (ours - theirs) for ours, theirs in pairs]


def patches(path: Path, drawn: Mapping[str, Array]) -> None:
    """A line a model, of patches (k, 64) in grey: 0 is the middle."""
    grey = {name: np.clip(INK / 2 - CONTRAST * x, 0, INK) for name, x in drawn.items()}
    digit_grid(path, grey, per_line=SHOWN)
