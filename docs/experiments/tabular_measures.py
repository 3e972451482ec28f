"""What tabular.py measures, of draws and log densities, whoever made them: a model, a Gaussian, or the training rows."""
import math
from typing import Any

import numpy as np

from evenflow.experiments.judged import counted
from evenflow.experiments.results import Row
from evenflow.experiments.tabular_data import Parts
from evenflow.reference.core import Array
from evenflow.reference.scores import energy_score
from evenflow.reference.scores.sorting import sorted_sums
from evenflow.reference.work import gaussian
from evenflow.reference.work.evaluation import log_densities
from evenflow.reference.work.metrics import d_loss
from evenflow.reference.work.runs import Trained

DRAWS = 2000  # of the forecast; of more test rows the first so many are looked at, but for the log density
MEASURED = ("log_density", "energy_score", "crps", "d_loss")


def of_model(trained: Trained, parts: Parts, seed: int) -> tuple[Row, Array]:
    """What is measured of it, and its draws."""
    draws = trained.sample(DRAWS, np.random.default_rng(seed))
    best = trained.best.step if trained.best else None
    with np.errstate(all="ignore"):  # a density of 0 is none
        log_p = log_densities(trained, parts.test, None, None)
    return measured(parts, draws, log_p, seed) | {"parameters": counted(trained), "best_step": best}, draws


def of_gaussian(parts: Parts, seed: int) -> tuple[Row, Array]:
    """The normal distribution with the training rows' mean and covariance."""
    units, rng = parts.dataset().units, np.random.default_rng(seed)
    known = gaussian.fitted(units.to_model(parts.train))
    if known is None:
        raise ValueError(f"{parts.name}: {len(parts.train)} rows in {parts.train.shape[1]} dimensions determine no Gaussian")
    d = parts.train.shape[1]
    draws = units.to_user(known.sample(rng.standard_normal((DRAWS, d))))
    u, log_det = units.steps(parts.test)
    log_p = known.log_density(u) + log_det
    return measured(parts, draws, log_p, seed) | {"parameters": d + d * (d + 1) // 2}, draws


def of_training_rows(parts: Parts, seed: int) -> tuple[Row, Array]:
    """The training rows in the place of draws: what they differ by from the test rows is no fault of a model."""
    draws = np.random.default_rng(seed).permutation(parts.train)[:DRAWS]
    return measured(parts, draws, None, seed), draws


def measured(parts: Parts, draws: Array, log_p: Array | None, seed: int) -> Row:
    """Draws (m, d), and log densities of all test rows; None where there is no such number, or it is not finite."""
    units, test = parts.dataset().units, parts.test[:DRAWS]
    told: dict[str, Any] = dict.fromkeys(MEASURED)
    if log_p is not None and np.isfinite(log_p).all():
        told["log_density"] = float(np.mean(log_p))
    if np.isfinite(draws).all():
        x, y = units.to_model(draws), units.to_model(test)
        told["energy_score"] = float(np.mean(energy_score(x, y)))
        told["crps"] = float(np.sum(crps_of_columns(draws / units.scale, test / units.scale)))
        told["d_loss"] = d_loss(y, x, seed)[0]
    return {name: value if value is None or math.isfinite(value) else None for name, value in told.items()}


def crps_of_columns(draws: Array, y: Array) -> Array:
    """draws (m, d), one forecast for all rows of y (n, d) -> (d,), the mean CRPS of each column; the fair estimate."""
    m = len(draws)
    cross, within = sorted_sums(draws, y)
    return np.mean(cross, axis=0) / m - within / (m * (m - 1))
