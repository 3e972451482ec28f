"""How good is a trained model? One row of numbers, measured on held-out data: those that the model can be asked for.

Real data and samples are compared on one footing, in the model's units. Whole-number data are dequantised with fresh
uniforms; so are samples, after they have been made whole like the data. A class-conditional model is given the held-out
labels.

    held_out_energy_score   beta = 1: DRAWS draws for each held-out item where the model takes labels, else SHARED draws as
                            one forecast for all
    d_loss                  held-out cross-entropy of a classifier that tells held-out data from as many samples (metrics.py);
                            log 2 = 0.693 if it cannot; None below LEAST items
    frechet                 Frechet distance between features of held-out data and of as many samples: digits, the last hidden
                            layer of a classifier trained on the training digits; else the coordinates

    of a flow, None where a free-form head has no such number:
    nll_bits_per_dim        negative log2-likelihood of held-out data, in the user's units, per coordinate
    sampling_ms_per_1000    milliseconds for 1,000 samples, and inversion_ms_per_1000 for the way back; medians of 5
    round_trip_error        the largest |x - T(T^-1(x))| over held-out data, in the model's units

Those of an energy-based model alone are in energy_evaluation.py. Times depend on the machine: compare them within one run.
"""
import math
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from evenflow.reference.core import Array, fetched, placed
from evenflow.reference.scores import energy_score
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.energy_evaluation import evaluate_energy
from evenflow.reference.work.metrics import LEAST, d_loss, digit_features, frechet_distance
from evenflow.reference.work.runs import Trained

DRAWS = 50
SHARED = 2000
OF_SAMPLES = ("held_out_energy_score", "d_loss", "frechet")
OF_FLOWS = ("nll_bits_per_dim", "sampling_ms_per_1000", "inversion_ms_per_1000", "round_trip_error")


def evaluate(trained: Trained, dataset: Dataset, seed: int = 0) -> dict[str, Any]:
    """The row of numbers above. Raises ValueError where the data are not of the model's width or kind."""
    if dataset.held_out.shape[1] != trained.d:
        raise ValueError(f"data must have the model's {trained.d} columns, got {dataset.held_out.shape[1]}")
    rng, labels = np.random.default_rng(seed), dataset.held_out_labels if trained.class_shares else None
    row: dict[str, Any] = evaluate_energy(trained, dataset, rng) if trained.can("log_z") else {}
    samples = trained.sample(len(dataset.held_out), rng, labels)
    row["held_out_energy_score"] = held_out_energy_score(trained, dataset, labels, rng)
    row |= compare(dataset, samples, rng, seed)
    if trained.can("log_z"):
        return row
    row |= dict.fromkeys(OF_FLOWS)
    if trained.can("density"):
        row |= likelihood_and_round_trip(trained, dataset, labels, rng)
    return row | speed(trained, labels, rng)


def compare(dataset: Dataset, samples: Array, rng: np.random.Generator, seed: int = 0) -> dict[str, Any]:
    """d_loss and frechet of samples (user's units) against held-out data."""
    real, generated = (footing(dataset, x, rng) for x in (dataset.held_out, samples))
    told = d_loss(real, generated, seed)[0] if len(real) >= LEAST else None
    if dataset.name == "digits" and dataset.train_labels is not None:
        features = digit_features(footing(dataset, dataset.train, rng), dataset.train_labels)
        real, generated = features(real), features(generated)
    return {"d_loss": told, "frechet": frechet_distance(real, generated)}


def footing(dataset: Dataset, x: Array, rng: np.random.Generator) -> Array:
    """x in the model's units, float64, whole numbers with fresh dequantisation noise."""
    return dataset.units.dequantised(x.astype(np.float64), rng)


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
) -> dict[str, float]:
    x, model = dataset.held_out, trained.flow_model()
    uniforms = rng.random(x.shape) if dataset.units.levels else None
    log_prob = trained.log_density(x, labels, uniforms)
    z, u = trained.encode(x, labels, uniforms), trained.to_model(x, uniforms)
    again = model.forward(trained.params, placed(z, trained.config.dtype), trained.context(labels, len(x)))
    bits = -float(np.mean(log_prob.astype(np.float64))) / (trained.d * math.log(2))
    return {"nll_bits_per_dim": bits, "round_trip_error": float(np.max(np.abs(fetched(again - u))))}


def speed(trained: Trained, labels: Array | None, rng: np.random.Generator) -> dict[str, float]:
    """On 1,000 rows of the model's own samples, the transformation alone."""
    n, flow, params = 1000, trained.flow_model().flow, trained.params
    context = trained.context(None if labels is None else np.resize(labels, n), n)
    noise = placed(flow.noise(rng, n), trained.config.dtype)
    x = flow.sample(params, noise, context)
    taken = {"sampling_ms_per_1000": milliseconds(lambda: fetched(flow.sample(params, noise, context)))}
    if trained.can("inverse"):
        inverse = trained.flow_model().inverse
        taken["inversion_ms_per_1000"] = milliseconds(lambda: fetched(inverse(params, x, context)))
    return taken


def milliseconds(call: Callable[[], object], times: int = 5) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - start))
    return median(taken)
