"""The row of numbers of an energy-based model: right where they are known, None where there are none, warnings where due."""
import json
import math
from typing import Any

import numpy as np
import pytest

from evenflow.reference.app import console
from evenflow.reference.targets.mixtures import GaussianMixture, normal_cdf
from evenflow.reference.work import energy_evaluation, sampling
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.energy_evaluation import FIELDS, evaluate_energy, moment_gap, on_grid, warnings
from evenflow.reference.work.evaluation import LIKELIHOOD, OF_SAMPLES, evaluate
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained, train_on
from evenflow.reference.work.units import Units

UNTRAINED: dict[str, Any] = {"steps": 1, "batch": 16, "buffer": 16, "learning_rate": 1e-12}  # nearly
FLOWMC: dict[str, Any] = {"layers": 1, "hidden": (8,), "N": 8, "flow_learning_rate": 1e-12}
BASE = 1e-4  # what a learning rate of 1e-12 and float32 leave between the model and its base, in nats


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy_evaluation, "DRAWS", 1000)
    monkeypatch.setattr(energy_evaluation, "SWEEPS", 40)
    monkeypatch.setattr(energy_evaluation, "POINTS", 200)
    monkeypatch.setattr(sampling, "WARM_UP", 5)


def evaluate_ebm(trained: Trained, dataset: Dataset) -> dict[str, Any]:
    return evaluate_energy(trained, dataset, np.random.default_rng(0))


def table(d: int) -> Dataset:
    x = 50 + 3 * np.random.default_rng(0).standard_normal((100, d))
    return Dataset("table", x[:60], x[60:], None, None, Units.standardised(x[:60]), None)


def test_a_model_that_is_its_base_gets_the_numbers_theory_says() -> None:
    """p = N(0, I) in the model's units: log Z = 0, every draw counts, i-SIR refuses 1 of N = 8 proposals; P(x_1 + x_2 > 0) from
    the normal distribution function. 200 chains x 40 sweeps, nearly independent: standard error 0.006, z-score limit 5; R-hat
    of independent draws is below 1.01. The data are two modes on the diagonal: the mean of x_1 x_2 is 0.9, the model's 0."""
    dataset = load("two-modes")
    row = evaluate_ebm(train_on(Config("ebm", **UNTRAINED, **FLOWMC), dataset), dataset)
    assert tuple(row) == FIELDS
    assert abs(row["log_z"]) < BASE
    assert abs(row["log_z_grid"]) < BASE
    assert row["log_z_draws"] == 1000
    assert row["log_z_ess"] > 999
    assert row["log_z_standard_error"] < BASE
    assert abs(row["log_z_bridge"]) < BASE
    u = dataset.units.to_model(dataset.held_out)
    truth = np.mean(-np.sum(u**2, axis=1) / 2) - math.log(2 * math.pi) - np.sum(np.log(dataset.units.scale))
    assert abs(row["held_out_log_likelihood"] - truth) < 2 * BASE
    up = normal_cdf(dataset.units.shift.sum() / math.hypot(*dataset.units.scale))
    np.testing.assert_allclose(row["zones_grid"], [1 - up, up], atol=0.02)  # the cells along the border
    np.testing.assert_allclose(row["zones_sampled"], [1 - up, up], atol=0.04)
    np.testing.assert_allclose(row["zones_true"], [1 / 3, 2 / 3], atol=1e-9)
    share = np.mean(dataset.held_out.sum(axis=1) > 0)
    np.testing.assert_allclose(row["zones_held_out"], [1 - share, share])
    assert abs(row["acceptance_global"] - 7 / 8) < 0.02
    assert 0.7 < row["acceptance_local"] <= 1
    assert row["rhat"] < 1.02
    assert 6000 < row["ess"] < 14_000  # of 8,000 states
    assert 0.7 < row["autocorrelation_time"] < 1.4
    assert row["rhat_mode"] < 1.02
    assert 2 * up * (1 - up) - 0.1 < row["switch_rate"] < 2 * up * (1 - up) + 0.1
    assert 0.8 < row["moment_gap"] < 1.0
    everything = np.concatenate([dataset.train, dataset.held_out])
    assert row["moment_gap_error"] == pytest.approx(math.sqrt(1 / len(everything) + 1 / row["ess"]))
    [said] = warnings(row)
    assert "modes have wrong weights" in said


def test_one_evaluation_for_all_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """An energy-based model's samples are judged as a flow's are; it is not asked for what it cannot do."""
    dataset = table(2)
    trained = train_on(Config("ebm", **UNTRAINED, **FLOWMC), dataset)
    row = evaluate(trained, dataset)
    assert set(row) == {"held_out_rows", *FIELDS, *LIKELIHOOD, *OF_SAMPLES}
    assert 0.3 < row["d_loss"] < 0.8
    for ask in (trained.encode, trained.decode):
        with pytest.raises(ValueError, match="an energy-based model has no inverse"):
            ask(dataset.held_out)
    flow = train_on(Config("maf", steps=1, batch=16), dataset)
    for ask_it in (lambda: flow.log_z(10, np.random.default_rng(0)), lambda: flow.walk(4, 1, np.random.default_rng(0))):
        with pytest.raises(ValueError, match="a flow is normalised"):
            ask_it()


@pytest.mark.parametrize("algorithm", ["pcd", "jarzynski"])
def test_algorithms_without_a_flow_get_the_same_row(algorithm: str) -> None:
    dataset = table(2)
    row = evaluate_ebm(train_on(Config("ebm", algorithm=algorithm, **UNTRAINED), dataset), dataset)
    assert tuple(row) == FIELDS
    assert abs(row["log_z"] - row["log_z_grid"]) < BASE


def test_where_there_is_no_number_there_is_none() -> None:
    dataset = table(3)
    row = evaluate_ebm(train_on(Config("ebm", **UNTRAINED, **FLOWMC), dataset), dataset)
    gaps = ["log_z_grid", "zones_true", "zones_held_out", "zones_sampled", "zones_grid", "rhat_mode", "switch_rate"]
    assert [name for name, value in row.items() if value is None] == gaps
    dataset = load("mixture-16")
    row = evaluate_ebm(train_on(Config("ebm", **UNTRAINED, **FLOWMC), dataset), dataset)
    assert [name for name, value in row.items() if value is None] == ["log_z_grid", "zones_grid"]
    assert len(row["zones_sampled"]) == 4


def test_the_grid_holds_data_far_out() -> None:
    dataset = table(1)
    dataset.held_out[0] += 100
    trained = train_on(Config("ebm", **UNTRAINED, **FLOWMC), dataset)
    box = on_grid(trained, dataset)
    assert box is not None
    assert box.lattice.points.max() > dataset.units.to_model(dataset.held_out).max()
    assert box.lattice.points.min() < -5.8
    assert abs(box.log_z) < BASE


def test_whole_numbers_and_data_of_another_width() -> None:
    x = np.random.default_rng(0).integers(5, size=(80, 2)).astype(float)
    dataset = Dataset("x", x[:60], x[60:], None, None, Units.whole_numbers(x[:60], 5), None)
    trained = train_on(Config("ebm", **UNTRAINED, **FLOWMC), dataset)
    assert math.isfinite(evaluate_ebm(trained, dataset)["held_out_log_likelihood"])
    with pytest.raises(ValueError, match="data must have the model's 2 columns, got 3"):
        evaluate(trained, table(3))


def test_chains_that_agree_with_each_other_but_not_with_the_data_are_noticed() -> None:
    """Three modes with the weights that a training by Jarzynski reweighting once came to, R-hat 1.02, and those of its data."""
    def made(weights: tuple[float, ...], n: int, seed: int) -> Any:
        modes = GaussianMixture(((-3.0, 0.0), (0.0, 3.0), (3.0, 0.0)), weights, (0.5,) * 3)
        return modes.sample(modes.noise(np.random.default_rng(seed), n))

    row, data, truth = dict.fromkeys(FIELDS), made((0.6, 0.3, 0.1), 2000, 0), made((0.6, 0.3, 0.1), 8000, 1)
    row |= {"log_z_ess": 900.0, "log_z_draws": 1000, "rhat": 1.02, "moment_gap_error": math.sqrt(1 / 2000 + 1 / 8000)}
    gaps = [moment_gap(data, samples) for samples in (truth, made((0.45, 0.36, 0.19), 8000, 2))]
    assert [len(warnings(row | {"moment_gap": gap})) for gap in gaps] == [0, 1]
    mirrored = moment_gap(*(np.array([[1.0, sign], [-1.0, -sign], [1.1, sign]]) for sign in (1.0, -1.0)))
    assert mirrored > 1  # means and squares agree, products do not


def test_warnings_and_infinity(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    row = dict.fromkeys(FIELDS) | {"log_z_ess": 3.0, "log_z_draws": 1000, "rhat": 1.0, "rhat_mode": math.inf}
    assert len(warnings(row)) == 2
    assert "log_z is not to be trusted" in warnings(row)[0]
    assert "R-hat inf: the chains have not mixed" in warnings(row)[1]
    assert "smaller --step-size, more --local-steps" in warnings(row)[1]
    (refused,) = warnings(row | {"log_z_ess": 900.0, "rhat_mode": None, "acceptance_global": 0.01, "acceptance_local": 0.5})
    assert refused.startswith("only 1.0% of the global moves are taken: a better flow")
    calm = row | {"log_z_ess": 900.0, "rhat_mode": None}
    assert warnings(calm) == []
    estimates = {"log_z": -2.1, "log_z_standard_error": 0.06, "log_z_bridge": -1.8, "log_z_grid": None}
    assert warnings(calm | estimates) == []
    for other in ("log_z_bridge", "log_z_grid"):
        [said] = warnings(calm | estimates | {other: -0.02})
        assert f"log_z is not {other}: its draws miss a part of the model. Take {other}" in said
    assert warnings(calm | {"moment_gap": 0.29, "moment_gap_error": 0.05}) == []
    [said] = warnings(calm | {"moment_gap": 0.31, "moment_gap_error": 0.05})
    assert "0.31 standard deviations of the data away from the data's: modes have wrong weights" in said
    console.print_json(row)
    assert json.loads(capsys.readouterr().out)["rhat_mode"] == "inf"
    with pytest.raises(ValueError, match="not JSON compliant"):
        console.print_json({"x": [math.nan]})

    def stuck(self: Trained, chains: int, sweeps: int, rng: np.random.Generator) -> sampling.Walk:
        x = np.tile(np.where(np.arange(chains) % 2, 1.0, -1.0)[:, None], (sweeps, 1, 2)).astype(np.float32)
        return sampling.Walk(x, 0.5, 0.0, 0.1)

    dataset = load("two-modes")
    trained = train_on(Config("ebm", **UNTRAINED, **FLOWMC), dataset)
    monkeypatch.setattr(Trained, "walk", stuck)
    row = evaluate_ebm(trained, dataset)
    assert (row["rhat"], row["rhat_mode"], row["switch_rate"]) == (math.inf, math.inf, 0.0)
    np.testing.assert_allclose(row["zones_sampled"], [0.5, 0.5])
