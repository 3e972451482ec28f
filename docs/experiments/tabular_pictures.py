"""The pictures of tabular.py: what was measured as bars, and patches beside real ones."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from evenflow.experiments import saef_pictures
from evenflow.experiments.judged import Row
from evenflow.experiments.tabular_data import completed
from evenflow.reference.app.pictures import INK, digit_grid
from evenflow.reference.core import Array

SHOWN = 20         # patches of each model
CONTRAST = 2 * INK  # grey values from -1/4 to 1/4 are told apart
FIELDS = {"nats": "nats a row (smaller is better)", "energy_score": "energy score", "crps": "CRPS, summed", "d_loss": "D-loss"}


def bars(path: Path, rows: Sequence[Row], models: Sequence[str]) -> None:
    """A line of panels for each data set, a panel for each measure, a bar for each model."""
    data = dict.fromkeys(row["data"] for row in rows)
    named = [row | {"objective": row["model"], "nats": negative(row["log_density"])} for row in rows]
    saef_pictures.bars(path, named, models, dict.fromkeys(data, FIELDS))


def negative(value: float | None) -> float | None:
    return None if value is None else -value


def patches(path: Path, drawn: Mapping[str, Array]) -> None:
    """A line a model, of patches (k, 63) in grey: 0 is the middle."""
    grey = {name: np.clip(INK / 2 - CONTRAST * completed(x), 0, INK) for name, x in drawn.items()}
    digit_grid(path, grey, per_line=SHOWN)
