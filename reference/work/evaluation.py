"""How good is a trained model? One row of numbers, the same for every model, measured on held-out data.

Real data and samples are compared on one footing, in the model's units. Whole-number data are dequantised with fresh
uniforms; so are samples, after they have been made whole like the data. A class-conditional model is given the held-out
labels.

    held_out_energy_score   beta = 1: DRAWS draws for each held-out item where the model takes labels, else SHARED draws as
                            one forecast for all
    d_loss                  held-out cross-entropy of a classifier that tells held-out data from as many samples (metrics.py);
                            log 2 = 0.693 if it cannot
    frechet                 Frechet distance between features of held-out data and of as many samples: digits, the last hidden
                            layer of a classifier trained on the training digits; else the coordinates
    nll_bits_per_dim        negative log2-likelihood of held-out data, in the user's units, per coordinate
    sampling_ms_per_1000    milliseconds for 1,000 samples, and inversion_ms_per_1000 for the way back; medians of 5
    round_trip_error        the largest |x - T(T^-1(x))| over held-out data, in the model's units

None where a model with a free-form head has no such number. Times depend on the machine: compare them within one run.
"""
import math
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from evenflow.reference.core.placement import fetched, placed
from evenflow.reference.core.trees import Array
from evenflow.reference.scores import energy_score
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.metrics import d_loss, digit_features, frechet_distance
from evenflow.reference.work.runs import Trained

DRAWS = 50
SHARED = 2000
FIELDS = (
    "held_out_energy_score", "d_loss", "frechet", "nll_bits_per_dim", "sampling_ms_per_1000", "inversion_ms_per_1000",
    "round_trip_error",
)


def evaluate(trained: Trained, dataset: Dataset, seed: int = 0) -> dict[str, Any]:
    """The row of numbers above. Raises ValueError where the data are not of the model's width or kind."""
    if dataset.held_out.shape[1] != trained.d:
        raise ValueError(f"data must have the model's {trained.d} columns, got {dataset.held_out.shape[1]}")
    rng = np.random.default_rng(seed)
    labels = dataset.held_out_labels if trained.config.class_conditional else None
    samples = trained.sample(len(dataset.held_out), rng, labels)
    row: dict[str, Any] = {"held_out_energy_score": held_out_energy_score(trained, dataset, labels, rng)}
    row |= compare(dataset, samples, rng, seed)
    row |= likelihood_and_round_trip(trained, dataset, labels, rng)
    row |= speed(trained, labels, rng)
    return {field: row[field] for field in FIELDS}


def compare(dataset: Dataset, samples: Array, rng: np.random.Generator, seed: int = 0) -> dict[str, float]:
    """d_loss and frechet of samples (user's units) against held-out data."""
    real, generated = (footing(dataset, x, rng) for x in (dataset.held_out, samples))
    told = d_loss(real, generated, seed)[0]
    if dataset.name == "digits" and dataset.train_labels is not None:
        features = digit_features(footing(dataset, dataset.train, rng), dataset.train_labels)
        real, generated = features(real), features(generated)
    return {"d_loss": told, "frechet": frechet_distance(real, generated)}


def footing(dataset: Dataset, x: Array, rng: np.random.Generator) -> Array:
    """x in the model's units, float64, whole numbers with fresh dequantisation noise."""
    uniforms = rng.random(x.shape) if dataset.units.levels else None
    return dataset.units.to_model(x.astype(np.float64), uniforms)


def held_out_energy_score(trained: Trained, dataset: Dataset, labels: Array | None, rng: np.random.Generator) -> float:
    y = footing(dataset, dataset.held_out, rng)
    if labels is None:
        draws = footing(dataset, trained.sample(SHARED, rng), rng)
    else:
        draws = footing(dataset, trained.sample(DRAWS * len(y), rng, np.tile(labels, DRAWS)), rng)
        draws = draws.reshape(DRAWS, *y.shape)
    return float(np.mean(energy_score(draws, y)))


def likelihood_and_round_trip(
    trained: Trained, dataset: Dataset, labels: Array | None, rng: np.random.Generator
) -> dict[str, float | None]:
    if not trained.invertible:
        return {"nll_bits_per_dim": None, "round_trip_error": None}
    x = dataset.held_out
    uniforms = rng.random(x.shape) if dataset.units.levels else None
    log_prob = trained.log_prob(x, labels, uniforms)
    context, u = trained.context(labels, len(x)), trained.to_model(x, uniforms)
    again = trained.model.sample(trained.params, placed(trained.encode(x, labels, uniforms), trained.config.dtype), context)
    bits = -float(np.mean(log_prob.astype(np.float64))) / (trained.d * math.log(2))
    return {"nll_bits_per_dim": bits, "round_trip_error": float(np.max(np.abs(fetched(again - u))))}


def speed(trained: Trained, labels: Array | None, rng: np.random.Generator) -> dict[str, float | None]:
    """On 1,000 rows of the model's own samples, the transformation alone."""
    n = 1000
    context = trained.context(None if labels is None else np.resize(labels, n), n)
    noise = placed(trained.model.noise(rng, n), trained.config.dtype)
    x = trained.model.sample(trained.params, noise, context)
    sampling = milliseconds(lambda: fetched(trained.model.sample(trained.params, noise, context)))
    inversion = None
    if trained.invertible:
        model = trained.invertible_model()
        inversion = milliseconds(lambda: fetched(model.inverse(trained.params, x, context)[0]))
    return {"sampling_ms_per_1000": sampling, "inversion_ms_per_1000": inversion}


def milliseconds(call: Callable[[], object], times: int = 5) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - start))
    return median(taken)
