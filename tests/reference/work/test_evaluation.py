"""The row of numbers: right fields, right values where they are known, and honest gaps where there is no number."""
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenflow.experiments import digits
from evenflow.reference.work import evaluation
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.evaluation import compare, evaluate, warnings
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained, train_on
from evenflow.reference.work.training import Progress
from evenflow.reference.work.units import Units

ROW = ["blocks", "objective", *digits.FIELDS, "train_seconds"]


def normal_data(n: int, k: int) -> Dataset:
    """Correlated normal data, far from the origin."""
    x = np.random.default_rng(0).standard_normal((n + k, 2)) @ np.array([[2.0, 1.0], [0.0, 0.5]]) + 100.0
    return Dataset("normal", x[:n], x[n:], None, None, Units.standardised(x[:n]), None)


@pytest.mark.slow
def test_a_right_model_gets_the_numbers_theory_says() -> None:
    """A normal law fitted by maximum likelihood. The bounds are 5 standard errors of 1,000 held-out points:
    entropy 0.03 nats, energy score 0.03, D-loss 0.02 below log 2 (a few thousandths above it are its own bias)."""
    dataset = normal_data(4000, 1000)
    choices = {"blocks": 2, "block_map": "affine", "context_hidden": (16,)}
    config = Config("saef", objective="likelihood", steps=600, learning_rate=1e-2, **choices)
    row = evaluate(train_on(config, dataset), dataset)
    covariance = np.array([[4.0, 2.0], [2.0, 1.25]])
    entropy = 0.5 * math.log(np.linalg.det(2 * math.pi * math.e * covariance))
    assert abs(row["held_out_log_likelihood"] + entropy) < 5 * 0.03
    assert abs(row["held_out_log_likelihood_se"] - 1 / math.sqrt(1000)) < 0.0075  # log p is exponential: 4.5 % of its error
    assert abs(row["gaussian_log_likelihood"] + entropy) < 5 * 0.03
    assert abs(row["gaussian_log_likelihood"] - row["held_out_log_likelihood"]) < 0.05  # the same rows
    assert math.log(2) - 0.06 < row["d_loss"] < math.log(2) + 0.03
    assert row["frechet"] < 0.1
    draws = np.random.default_rng(1).standard_normal((2, 200_000, 2)) @ np.array([[2.0, 1.0], [0.0, 0.5]])
    scaled = (draws[0] - draws[1]) / dataset.units.scale
    truth = np.linalg.norm(scaled, axis=1).mean() / 2  # of the true law, by simulation: +-0.002
    assert abs(row["held_out_energy_score"] - truth) < 0.15
    assert row["round_trip_error"] < 1e-4
    assert row["sampling_ms_per_1000"] > 0
    assert row["inversion_ms_per_1000"] > 0


def test_a_free_form_head_has_gaps_where_it_has_no_number() -> None:
    dataset = normal_data(200, 100)
    row = evaluate(train_on(Config("saef", blocks=2, block_map="free_form", steps=3, batch=16), dataset), dataset)
    gaps = ["held_out_log_likelihood", "held_out_log_likelihood_se", "inversion_ms_per_1000", "round_trip_error"]
    assert [k for k, v in row.items() if v is None] == gaps
    assert row["gaussian_energy_score"] < row["held_out_energy_score"]  # three steps are few


def test_a_row_that_the_model_calls_impossible() -> None:
    """Beyond a uniform base: no likelihood at all, no error bar, and a word."""
    dataset = normal_data(200, 30)
    trained = train_on(Config("spline", base="uniform", base_scale=6.0, layers=1, steps=1, batch=16), dataset)
    dataset.held_out[3] += 1000.0
    row = evaluate(trained, dataset)
    assert (row["held_out_log_likelihood"], row["held_out_log_likelihood_se"]) == (-math.inf, None)
    assert "some held-out rows are impossible under the model" in warnings(trained, dataset, row)[0]


def test_the_gaussian_is_the_textbooks() -> None:
    dataset = normal_data(200, 100)
    row = evaluate(train_on(Config("maf", layers=1, hidden=(8,), steps=1, batch=16), dataset), dataset)
    mean, covariance = dataset.train.mean(axis=0), np.cov(dataset.train.T, bias=True)
    v = dataset.held_out - mean
    log_p = -np.sum(v @ np.linalg.inv(covariance) * v, axis=1) / 2 - np.log(np.linalg.det(2 * np.pi * covariance)) / 2
    assert row["gaussian_log_likelihood"] == pytest.approx(np.mean(log_p), rel=1e-9)


def test_whole_numbers_are_dequantised_for_the_gaussian_too() -> None:
    """Independent numbers 0 ... 6: its covariance is that of the dequantised ones, 4 + 1/12, and so is its bound; five standard
    errors of 500 rows."""
    x = np.random.default_rng(0).integers(7, size=(2500, 2)).astype(float)
    dataset = Dataset("whole", x[:2000], x[2000:], None, None, Units.whole_numbers(x[:2000], 7), None)
    row = evaluate(train_on(Config("maf", layers=1, hidden=(8,), steps=1, batch=16), dataset), dataset)
    bound = -1 - math.log(2 * math.pi * (4 + 1 / 12))
    assert abs(row["gaussian_log_likelihood"] - bound) < 5 * math.sqrt(2 * 0.2 / 500)  # Var(z^2 / 2) = 0.2 for a uniform z


def test_data_of_another_width_are_refused() -> None:
    dataset = normal_data(200, 100)
    trained = train_on(Config("maf", steps=1, batch=16), dataset)
    with pytest.raises(ValueError, match="data must have the model's 2 columns, got 64"):
        evaluate(trained, load("digits"))


@pytest.mark.slow
def test_real_digits_pass_for_real_and_noise_does_not() -> None:
    """Training digits of other people in the place of samples: log 2 within 5 standard errors (0.015 each); pixel noise of
    the right marginal law is caught at once."""
    dataset, rng = load("digits"), np.random.default_rng(0)
    real = compare(dataset, dataset.train[:297], rng)
    shuffled = rng.permuted(dataset.train[:297], axis=0)
    noise = compare(dataset, shuffled, rng)
    assert math.log(2) - 0.075 < real["d_loss"] < math.log(2) + 0.03
    assert noise["d_loss"] < 0.5
    assert noise["frechet"] > 3 * real["frechet"]


@pytest.mark.slow
def test_the_demo_writes_what_it_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "STEPS", 2)  # two of the four runs, few draws: the shape of things, not the numbers
    monkeypatch.setattr(digits, "RUNS", ((16, "energy"), (4, "likelihood")))
    monkeypatch.setattr(digits, "DRAWS", 2)
    monkeypatch.setattr(evaluation, "DRAWS", 2)
    seen: list[tuple[str, int]] = []

    def watch(name: str, progress: Progress) -> None:
        seen.append((name, progress.step))

    rows = digits.run(tmp_path, watch)
    assert [list(row) for row in rows] == [ROW] * 3
    assert [(row["blocks"], row["objective"]) for row in rows] == [(None, "real digits"), *digits.RUNS]
    assert len(seen) == 2 * len(digits.RUNS)
    written: dict[str, Any] = json.loads((tmp_path / "results.json").read_text())
    assert written["rows"] == rows
    assert sorted(p.name for p in tmp_path.iterdir()) == ["loss.png", "posterior.png", "results.json", "samples.png"]


def test_labels_reach_the_model() -> None:
    """A class-conditional model asked for one class gives another sample than asked for another, from the same noise."""
    trained: Trained = train_on(Config("saef", blocks=4, class_conditional=True, steps=2, batch=16), load("digits"))
    zeros = trained.sample(5, np.random.default_rng(0), np.zeros(5, dtype=int))
    ones = trained.sample(5, np.random.default_rng(0), np.ones(5, dtype=int))
    assert not np.array_equal(zeros, ones)
