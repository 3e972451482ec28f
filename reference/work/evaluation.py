"""How good is a trained model? One row of numbers, measured on held-out data: those that the model can be asked for.

Real data and samples are compared on one footing, in the model's units. Whole-number data are dequantised with fresh
uniforms; so are samples, after they have been made whole like the data. A conditional model is given what the held-out rows
are given. A name with _se is the standard error of the number before it, that of a mean of independent terms; beside two
numbers stands what a Gaussian fitted to the training rows gets (gaussian.py), its mean linear in what is given. None where
there is no such number, `reasons` says why.

    held_out_rows           how many they are
    held_out_log_likelihood mean log p of a row, nats, in the user's units; of whole numbers a bound (data.py). Of an
                            energy-based model with its log Z, whose error is part of the error (energy_evaluation.py)
    gaussian_log_likelihood of the same rows, with the same uniforms
    held_out_energy_score   beta = 1: DRAWS draws for each held-out item where the model is given something, else SHARED draws
                            as one forecast for all; gaussian_energy_score with as many
    d_loss                  held-out cross-entropy of a classifier that tells held-out data from as many samples (metrics.py);
                            log 2 = 0.693 if it cannot. At most COMPARED of each
    frechet                 Frechet distance between features of held-out data and of the same samples: digits, the last hidden
                            layer of a classifier trained on the training digits; else the coordinates

    Of wide rows, images say, both of these see the first COMPONENTS principal components alone, all figures the first held-out
    rows alone, as many as hold NUMBERS numbers, FEWEST at least, and the Gaussian as many rows as hold FITTED.

    of a flow:
    sampling_ms_per_1000    milliseconds for 1,000 samples, and inversion_ms_per_1000 for the way back; medians of 5
    round_trip_error        the largest |x - T(T^-1(x))| over held-out data, in the model's units

Those of an energy-based model alone are in energy_evaluation.py, those of p(y | given) in forecasts.py. Times depend on the
machine: compare them within one run.
"""
import math
from collections.abc import Callable, Iterator
from statistics import median
from timeit import repeat
from typing import Any

import numpy as np

from evenflow.reference.core import Array, fetched, placed
from evenflow.reference.scores import energy_score
from evenflow.reference.work import energy_evaluation, gaussian
from evenflow.reference.work.data import FEW, Dataset, few
from evenflow.reference.work.energy_evaluation import evaluate_energy, mean_and_error
from evenflow.reference.work.forecasts import DRAWS as FORECAST
from evenflow.reference.work.forecasts import forecast_figures
from evenflow.reference.work.metrics import COMPONENTS, LEAST, components, d_loss, digit_features, frechet_distance
from evenflow.reference.work.rows import by_weight
from evenflow.reference.work.runs import Trained
from evenflow.reference.work.sampling import CHUNK

DRAWS, SHARED, COMPARED = 50, 2000, 5000
NUMBERS, FEWEST, FITTED = 10**6, 300, 5 * 10**7
WORSE = 0.1  # nats a row below a Gaussian that are worth a word: of the same rows, so that the difference errs little
LIKELIHOOD = ("held_out_log_likelihood", "held_out_log_likelihood_se", "gaussian_log_likelihood")
OF_SAMPLES = ("held_out_energy_score", "held_out_energy_score_se", "gaussian_energy_score", "d_loss", "d_loss_se", "frechet")
OF_FLOWS = ("sampling_ms_per_1000", "inversion_ms_per_1000", "round_trip_error")


def evaluate(trained: Trained, dataset: Dataset, seed: int = 0) -> dict[str, Any]:
    """The row of numbers above. Raises ValueError where the data are not of the model's width or kind."""
    if dataset.held_out.shape[1] != trained.d:
        raise ValueError(f"data must have the model's {trained.d} columns, got {dataset.held_out.shape[1]}")
    dataset = dataset._replace(units=trained.units)  # never those of other data
    dataset, rng = first_rows(unweighted(dataset)), np.random.default_rng(seed)
    given = None if trained.given is None else trained.given.table(dataset.held_out_given, dataset.held_out_labels)
    told = evaluate_energy(trained, dataset, rng) if trained.can("log_z") else dict.fromkeys(OF_FLOWS)
    samples = trained.sample(min(len(dataset.held_out), COMPARED), rng, None if given is None else given[:COMPARED])
    told |= held_out_energy_score(trained, dataset, given, rng) | compare(dataset, samples, rng, seed)
    uniforms = dataset.units.uniforms(dataset.held_out, rng)
    if trained.can("density"):
        told |= likelihood_and_round_trip(trained, dataset, given, uniforms)
    if not trained.can("log_z"):
        told |= speed(trained, given, rng)
    told |= of_gaussian(trained, dataset, given, uniforms, np.random.default_rng(seed))
    if given is not None and not trained.class_shares:
        draw = lambda rows: draws_for(trained, given[rows], FORECAST, rng)
        seen = lambda y: footing(dataset, y.reshape(-1, trained.d), rng).reshape(y.shape)
        figures = forecast_figures(dataset.held_out, draw, seen, rng)
        told |= {name: figures[name] for name in figures if name not in ("energy_score", "energy_score_se")}
    return {"held_out_rows": len(dataset.held_out), **dict.fromkeys((*LIKELIHOOD, *OF_SAMPLES)), **told}


def compare(dataset: Dataset, samples: Array, rng: np.random.Generator, seed: int = 0) -> dict[str, Any]:
    """d_loss and frechet of samples (user's units) against held-out data."""
    real, generated = (footing(dataset, x, rng) for x in (dataset.held_out[:COMPARED], samples))
    real, generated = components(real, generated, seed)
    told: tuple[float | None, float | None] = (None, None)
    if len(real) >= LEAST and np.ptp(real, axis=0).any():
        told = d_loss(real, generated, seed)
    if dataset.name == "digits" and dataset.train_labels is not None:
        features = digit_features(footing(dataset, dataset.train, rng), dataset.train_labels)
        real, generated = features(real), features(generated)
    return {"d_loss": told[0], "d_loss_se": told[1], "frechet": frechet_distance(real, generated) if len(real) > 1 else None}


def footing(dataset: Dataset, x: Array, rng: np.random.Generator) -> Array:
    """x in the model's units, float64, whole numbers with fresh dequantisation noise."""
    return dataset.units.dequantised(x.astype(np.float64), rng)


def held_out_energy_score(
    trained: Trained, dataset: Dataset, given: Array | None, rng: np.random.Generator
) -> dict[str, float | None]:
    y = footing(dataset, dataset.held_out, rng)
    if given is None:
        scores = energy_score(footing(dataset, trained.sample(SHARED, rng), rng), y)
    else:
        parts = []
        for at, told in in_chunks(y, given):
            draws = footing(dataset, draws_for(trained, told, DRAWS, rng).reshape(-1, trained.d), rng)
            parts.append(energy_score(draws.reshape(DRAWS, *at.shape), at))
        scores = np.concatenate(parts)
    return mean_and_error("held_out_energy_score", scores)


def draws_for(trained: Trained, given: Array, m: int, rng: np.random.Generator) -> Array:
    """m draws for each row of given (n, k): (m, n, d), in the user's units."""
    return trained.sample(m * len(given), rng, np.tile(given, (m, 1))).reshape(m, len(given), trained.d)


def unweighted(dataset: Dataset) -> Dataset:
    """With rows in the place of others by their weights, as evenly as can be, and as many in all."""
    for part in ("train", "held_out"):
        told, weights = dataset._asdict(), getattr(dataset, f"{part}_weights")
        if weights is not None:
            rows = by_weight(weights, len(weights))
            known = [name for name in (part, f"{part}_labels", f"{part}_given") if told[name] is not None]
            changed: dict[str, Any] = {f"{part}_weights": None, **{name: told[name][rows] for name in known}}
            dataset = dataset._replace(**changed)
    return dataset


def first_rows(dataset: Dataset) -> Dataset:
    """With the rows that are judged, and those that a Gaussian is fitted to: all, unless they are wide."""
    d = dataset.held_out.shape[1]
    if d <= COMPONENTS:
        return dataset
    most = {"held_out": max(FEWEST, NUMBERS // d), "train": FITTED // d}
    parts = {f"{part}{what}": rows for part, rows in most.items() for what in ("", "_labels", "_given")}
    there = {name: getattr(dataset, name) for name in parts}
    return dataset._replace(**{name: part[: parts[name]] for name, part in there.items() if part is not None})


def in_chunks(x: Array, *beside: Array | None) -> Iterator[tuple[Any, ...]]:
    """The rows of x and of what stands beside it, CHUNK at a time."""
    for start in range(0, len(x), CHUNK):
        yield tuple(part if part is None else part[start : start + CHUNK] for part in (x, *beside))


def log_densities(trained: Trained, x: Array, given: Array | None, uniforms: Array | None) -> Array:
    """`Trained.log_density` (n,) in float64, a chunk of rows at a time."""
    parts = [trained.log_density(*chunk) for chunk in in_chunks(x, given, uniforms)]
    return np.concatenate(parts).astype(np.float64)


def likelihood_and_round_trip(
    trained: Trained, dataset: Dataset, given: Array | None, uniforms: Array | None
) -> dict[str, float | None]:
    model, errors = trained.flow_model(), []
    for x, told, fractions in in_chunks(dataset.held_out, given, uniforms):
        z, u = trained.encode(x, told, fractions), trained.to_model(x, fractions)
        again = model.forward(trained.params, placed(z, trained.config.dtype), trained.context(told, len(x)))
        errors.append(float(np.max(np.abs(fetched(again - u)))))
    log_p = log_densities(trained, dataset.held_out, given, uniforms)
    return mean_and_error("held_out_log_likelihood", log_p) | {"round_trip_error": max(errors)}


def of_gaussian(
    trained: Trained, dataset: Dataset, given: Array | None, uniforms: Array | None, rng: np.random.Generator
) -> dict[str, float | None]:
    """What a Gaussian gets that is fitted to the training rows, dequantised alike; its mean is linear in what is given."""
    train, (u, log_det) = footing(dataset, dataset.train, rng), trained.units.steps(dataset.held_out, uniforms)
    mean, noise = np.zeros((1, trained.d)), rng.standard_normal((SHARED, trained.d))
    if given is not None and trained.given is not None and len(train):
        context = trained.given.context(trained.given.table(dataset.train_given, dataset.train_labels))
        B = np.linalg.lstsq(context, train - train.mean(axis=0), rcond=None)[0]
        train, mean, noise = train - context @ B, trained.given.context(given) @ B, rng.standard_normal((DRAWS, *u.shape))
    known = gaussian.fitted(train)
    if known is None:
        return {}
    draws = trained.to_user((mean + known.sample(noise)).reshape(-1, trained.d))
    score = energy_score(footing(dataset, draws, rng).reshape(noise.shape), footing(dataset, dataset.held_out, rng))
    likelihood = float(np.mean(known.log_density(u - mean) + log_det))
    return {"gaussian_log_likelihood": likelihood, "gaussian_energy_score": float(np.mean(score))}


def reasons(trained: Trained, dataset: Dataset, row: dict[str, Any]) -> dict[str, str]:
    """Why a number is not there, by name."""
    n, d = dataset.held_out.shape
    no_density = "a model with a free-form head has no density and no inverse, only samples"
    known = {
        **dict.fromkeys(("held_out_log_likelihood", "inversion_ms_per_1000", "round_trip_error"), no_density),
        **dict.fromkeys(("gaussian_log_likelihood", "gaussian_energy_score"), "the training rows, where they are there, "
                        f"determine no Gaussian: more than d = {d} must be known, and no column may follow from others"),
        "d_loss": f"the classifier needs {LEAST} rows that differ, got {n}", "frechet": "needs 2 rows",
        **energy_evaluation.reasons(d),
    }
    return {name: known[name] for name, value in row.items() if value is None and name in known}


def warnings(trained: Trained, dataset: Dataset, row: dict[str, Any]) -> list[str]:
    """What a reader of the row should not overlook, and what to do."""
    said, train = energy_evaluation.warnings(row) if trained.can("log_z") else [], dataset.train
    ours, theirs = row["held_out_log_likelihood"], row["gaussian_log_likelihood"]
    if ours == -math.inf:
        said.append("some held-out rows are impossible under the model (density 0): a base without bounds, --base normal")
    elif ours is not None and theirs is not None and ours + WORSE < theirs:
        blind = vars(trained.config).get("objective", "likelihood") != "likelihood"
        said.append(f"worse than a Gaussian by {theirs - ours:.3g} nats a row: where log.jsonl's held_out has risen, fewer "
                    f"--steps or a smaller model; else more --steps{', or --objective likelihood' if blind else ''}")
    if 0 < len(train) < FEW * trained.d:
        said.append(few(len(train), trained.d, trained.shape))
    return said


def speed(trained: Trained, given: Array | None, rng: np.random.Generator) -> dict[str, float]:
    """On 1,000 rows of the model's own samples, the transformation alone."""
    n, flow, params = 1000, trained.flow_model().flow, trained.params
    context = trained.context(None if given is None else np.resize(given, (n, given.shape[1])), n)
    noise = placed(flow.noise(rng, n), trained.config.dtype)
    x = flow.sample(params, noise, context)
    taken = {"sampling_ms_per_1000": milliseconds(lambda: fetched(flow.sample(params, noise, context)))}
    if trained.can("inverse"):
        inverse = trained.flow_model().inverse
        taken["inversion_ms_per_1000"] = milliseconds(lambda: fetched(inverse(params, x, context)))
    return taken


def milliseconds(call: Callable[[], object]) -> float:
    return 1000 * median(repeat(call, number=1, repeat=5))
