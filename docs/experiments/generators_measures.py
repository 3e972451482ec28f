"""What generators.py measures beside judged.py: how much a model's samples differ from each other, and real digits' figures."""
from typing import Any

import numpy as np

from evenflow.experiments import digits
from evenflow.experiments.draws_measures import SPREADS, class_spread, held_out_rows, spreads
from evenflow.experiments.results import Row
from evenflow.reference.core import fetched, placed
from evenflow.reference.saef import FreeForm
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.evaluation import footing
from evenflow.reference.work.flow_model import FlowModel
from evenflow.reference.work.rows import Rows
from evenflow.reference.work.runs import Trained

DIVERSITY = (*SPREADS, "dimension")
CLOUD = 50  # draws of a block


def real(seed: int) -> Row:
    """Training digits in the place of samples; the spread is that of the held-out digits."""
    data, rng = load("digits"), np.random.default_rng([seed, 1])
    row = digits.real_row(data, seed)
    known = {"head": "real digits", "seed": seed}
    known |= dict.fromkeys(("blocks", "noise", "draws", "beta", "stopped_at", "train_seconds"))
    spreads = [class_spread(footing(data, x, rng), k) for x, k in (
        (data.held_out, data.held_out_labels), (data.train, data.train_labels)) if k is not None]
    return known | {"energy_score": row["held_out_energy_score"], "d_loss": row["d_loss"], "frechet": row["frechet"],
                    "spread": spreads[0] / spreads[1]}


def diversity(trained: Trained, dataset: Dataset, seed: int) -> Row:
    """The spreads, and how many dimensions the draws of a block fill, by teacher forcing."""
    rng, rows = np.random.default_rng([seed, 1]), held_out_rows(trained, dataset)
    told = spreads(trained, dataset, rng)
    return told | {"dimension": cloud_dimension(trained.flow_model(), trained.params, rows, rng)}


def cloud_dimension(model: FlowModel, params: Any, rows: Rows, rng: np.random.Generator) -> float:
    """(tr C)^2 / tr C^2 of the covariance C of a block's draws, weighted by tr C: how many directions they vary in."""
    u, context = rows.at(np.arange(len(rows)), rng)
    z = placed(model.flow.noise(rng, CLOUD * len(u)), rows.dtype)
    forecaster: Any = model.flow if isinstance(model.flow, FreeForm) else model.flow.bijection
    total = weighed = 0.0
    for draws, _ in forecaster.forecasts(params, u, z, context):
        x = fetched(draws).astype(np.float64)
        x = x - x.mean(axis=0)
        C = np.einsum("mri,mrj->rij", x, x) / (len(x) - 1)
        trace = np.trace(C, axis1=1, axis2=2)
        total, weighed = total + trace.sum(), weighed + np.sum(trace**3 / np.sum(C**2, axis=(1, 2)))
    return float(weighed / total)
