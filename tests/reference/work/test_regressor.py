"""FlowRegressor: p(y | x) in scikit-learn's way."""
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import evenflow
from evenflow import FlowRegressor
from evenflow.reference.scores import crps, energy_score
from evenflow.reference.work import predictions
from evenflow.reference.work.forecasts import DRAWS, LEVELS, forecast_figures, quantiles, transform

QUICK: dict[str, Any] = {"steps": 3, "batch": 16, "hidden": (8,)}
SMALL: dict[str, Any] = {**QUICK, "context_hidden": (8,), "context_width": 4}
RNG = np.random.default_rng(0)
X = RNG.standard_normal((80, 3))
Y = np.stack([X[:, 0] + RNG.standard_normal(80), 40 + 5 * RNG.standard_normal(80)], axis=1)


def small(family: str) -> dict[str, Any]:
    return SMALL if family == "saef" else {**QUICK, "hidden": (8,)} if family != "dense" else {"steps": 3, "batch": 16}


@pytest.fixture(scope="module", params=["saef", "maf", "spline", "dense", "aqf"])
def one(request: pytest.FixtureRequest) -> FlowRegressor:
    return FlowRegressor(request.param, random_state=0, **small(request.param)).fit(X, Y[:, 1])


@pytest.fixture(scope="module")
def two() -> FlowRegressor:
    return FlowRegressor("saef", random_state=0, **SMALL).fit(X, Y)


def test_shapes(one: FlowRegressor, two: FlowRegressor) -> None:
    assert one.predict(X).shape == (80,)
    assert one.predict_quantiles(X, [0.1, 0.5]).shape == one.predict_interval(X).shape == (80, 2)
    assert one.predict_quantiles(X, 0.5).shape == one.log_prob(X, Y[:, 1]).shape == (80,)
    assert one.sample(X[:5], 7).shape == (5, 7)
    assert two.predict(X).shape == (80, 2)
    assert two.predict_quantiles(X, [0.1, 0.5, 0.9]).shape == (80, 3, 2)
    assert two.predict_interval(X[:4], 0.5).shape == (4, 2, 2)
    assert two.sample(X[:5], 7).shape == (5, 7, 2)
    assert (one.n_outputs_, two.n_outputs_, two.n_features_in_) == (1, 2, 3)


def test_a_column_stays_a_column() -> None:
    model = FlowRegressor("maf", random_state=0, **QUICK).fit(X, Y[:, :1])
    assert model.predict(X).shape == (80, 1)
    assert model.sample(X[:2], 3).shape == (2, 3, 1)


def test_quantiles_of_one_column_are_exact(one: FlowRegressor) -> None:
    """They are where the distribution function that sampling shows has its level: 4,000 draws, 5 standard deviations."""
    levels = np.array([0.05, 0.5, 0.9])
    q = one.predict_quantiles(X[:3], levels)
    assert (np.diff(q, axis=1) > 0).all()
    below = np.mean(one.sample(X[:3], 4000, random_state=1)[:, :, None] < q[:, None], axis=1)
    assert (np.abs(below - levels) < 5 * np.sqrt(levels * (1 - levels) / 4000)).all()


def test_a_map_that_falls_has_its_quantiles_the_other_way_round() -> None:
    model = FlowRegressor("dense", layers=1, random_state=0, steps=1).fit(X, Y[:, 0])
    assert model.trained_.params is not None
    rising = model.predict_quantiles(X[:4], [0.2, 0.8])
    assert (np.diff(rising, axis=1) > 0).all()
    params = model.trained_.params
    flipped = [{**layer, "W": -layer["W"]} if isinstance(layer, dict) and "W" in layer else layer for layer in params]
    assert any("W" in layer for layer in params)
    model.trained_ = model.trained_.__class__(**{**vars(model.trained_), "params": flipped})
    assert (np.diff(model.predict_quantiles(X[:4], [0.2, 0.8]), axis=1) > 0).all()


def test_the_mean_of_a_prediction_is_that_of_its_samples(two: FlowRegressor) -> None:
    """Sobol points against 4,000 draws: 5 standard errors."""
    x = two.sample(X[:3], 4000, random_state=1)
    assert (np.abs(two.predict(X[:3]) - x.mean(axis=1)) < 5 * x.std(axis=1) / 4000**0.5 + 0.02 * x.std(axis=1)).all()


def test_log_prob_integrates_to_one(one: FlowRegressor) -> None:
    y = np.linspace(-60, 140, 20_001)
    density = np.exp(one.log_prob(np.tile(X[:1], (len(y), 1)), y))
    assert density.sum() * (y[1] - y[0]) == pytest.approx(1, abs=1e-3)


def test_score_is_minus_the_crps_or_the_energy_score(one: FlowRegressor, two: FlowRegressor) -> None:
    """Of the draws that predictions come from; of several columns in the model's units."""
    draws = predictions.of_draws(one.model(), X, lambda x: np.moveaxis(x, 0, 1))[:, :, 0].T
    assert one.score(X, Y[:, 1]) == pytest.approx(-crps(draws, Y[:, 1], "V").mean(), rel=1e-9)
    draws = np.moveaxis(predictions.of_draws(two.model(), X, lambda x: np.moveaxis(x, 0, 1), m=128), 0, 1)
    seen = two.trained_.units.to_model
    u = seen(draws.reshape(-1, 2)).reshape(draws.shape)
    assert two.score(X, Y) == pytest.approx(-energy_score(u, seen(Y), estimator="V").mean(), rel=1e-9)
    weights = np.arange(80.0)
    each = [two.score(X[i : i + 1], Y[i : i + 1]) for i in range(80)]
    assert two.score(X, Y, weights) == pytest.approx(np.average(each, weights=weights), rel=1e-9)


def test_evaluate_has_every_figure(one: FlowRegressor, two: FlowRegressor) -> None:
    told = one.evaluate(X, Y[:, 1])
    shares = {f"{kind}_{level}" for kind in ("coverage", "width") for level in LEVELS}
    assert set(told) >= {"crps", "energy_score", "log_likelihood", "pit", *shares}
    assert sum(told["pit"]) == pytest.approx(1)
    assert told["crps"] == pytest.approx(-one.score(X, Y[:, 1]), abs=5 * told["crps_se"])
    assert told["log_likelihood"] == pytest.approx(one.log_prob(X, Y[:, 1]).mean())
    both = two.evaluate(X, Y)
    assert [len(both[name]) for name in ("crps", "coverage_90", "pit")] == [2, 2, 2]


def test_figures_of_a_right_forecast() -> None:
    """Normal draws, normal y: coverage, PIT and CRPS within 5 standard errors of what theory says."""
    rng, n = np.random.default_rng(1), 4000
    y = rng.standard_normal((n, 1))
    told = forecast_figures(y, lambda rows: rng.standard_normal((DRAWS, len(y[rows]), 1)), lambda y: y, rng)
    for level in LEVELS:
        p = level / 100
        assert abs(told[f"coverage_{level}"] - p) < 5 * np.sqrt(p * (1 - p) / n)
    assert np.abs(np.array(told["pit"]) - 0.1).max() < 5 * np.sqrt(0.09 / n)
    assert abs(told["crps"] - 1 / np.sqrt(np.pi)) < 5 * told["crps_se"]
    narrow = forecast_figures(y, lambda rows: 0.5 * rng.standard_normal((DRAWS, len(y[rows]), 1)), lambda y: y, rng)
    assert narrow["coverage_90"] < 0.65
    assert narrow["pit"][0] > 0.2
    assert narrow["width_90"] == pytest.approx(told["width_90"] / 2, rel=0.02)


def test_ranks_and_quantiles_by_hand() -> None:
    draws = np.array([[[1.0]], [[2.0]], [[3.0]]])
    assert quantiles(draws, [0.25, 0.5, 0.75])[:, 0, 0].tolist() == [1, 2, 3]
    rng = np.random.default_rng(0)
    assert 0.5 <= transform(draws, np.array([[2.5]]), rng)[0, 0] < 0.75
    ties = [transform(draws, np.array([[2.0]]), rng)[0, 0] for _ in range(200)]
    assert 0.25 <= min(ties) < 0.3 < 0.7 < max(ties) < 0.75


def test_samples_differ_but_for_an_int(one: FlowRegressor) -> None:
    assert not np.array_equal(one.sample(X[:2], 3), one.sample(X[:2], 3))
    assert np.array_equal(one.sample(X[:2], 3, random_state=1), one.sample(X[:2], 3, random_state=1))


def test_rows_are_predicted_by_themselves(two: FlowRegressor) -> None:
    assert np.array_equal(two.predict(X)[7:9], two.predict(X[7:9]))
    assert np.array_equal(two.predict_quantiles(X, [0.3])[7:9], two.predict_quantiles(X[7:9], [0.3]))


def test_whole_numbers_and_bounds() -> None:
    counts = np.random.default_rng(0).poisson(3, 80).astype(float)
    model = FlowRegressor("maf", levels="auto", random_state=0, **QUICK).fit(X, counts)
    assert (model.sample(X[:9], 20) % 1 == 0).all()
    assert np.isfinite(model.log_prob(X, counts)).all()
    share = np.random.default_rng(0).beta(1, 1, 80)
    bounded = FlowRegressor("maf", bounds={1: (0, 1)}, random_state=0, **QUICK).fit(X, share)
    x = bounded.sample(X, 50)
    assert 0 < x.min() < x.max() < 1


def test_weights_and_held_out_rows() -> None:
    """Rows of weight 0 are as if they were not there."""
    w = np.ones(80)
    w[60:] = 0
    y = np.where(w > 0, Y[:, 0], 1e6)
    model = FlowRegressor("maf", random_state=0, **QUICK).fit(X, y, sample_weight=w)
    assert abs(model.trained_.units.shift[0]) < 5
    alone = FlowRegressor("maf", random_state=0, **QUICK).fit(X[:60], y[:60], w[:60])
    assert np.array_equal(model.predict(X), alone.predict(X))


def test_bad_input_is_named(one: FlowRegressor, two: FlowRegressor) -> None:
    with pytest.raises(ValueError, match="q must be levels strictly between 0 and 1, got 1"):
        one.predict_quantiles(X, 1)
    with pytest.raises(ValueError, match=r"q must be levels strictly between 0 and 1, got \[\]"):
        one.predict_quantiles(X, [])
    with pytest.raises(ValueError, match=r"level must be at least 0 and less than 1, got 1\.5"):
        one.predict_interval(X, 1.5)
    with pytest.raises(ValueError, match="n_samples must be an integer >= 1"):
        one.sample(X, 0)
    with pytest.raises(ValueError, match="y must have the 2 columns that the model was fitted on, got 1"):
        two.score(X, Y[:, 0])
    with pytest.raises(ValueError, match="X has 2 features, but FlowRegressor is expecting 3"):
        one.predict(X[:, :2])
    with pytest.raises(NotFittedError):
        FlowRegressor().predict(X)
    with pytest.raises(TypeError, match="FlowRegressor takes no argument 'class_conditional'"):
        FlowRegressor(class_conditional=True)
    with pytest.raises(ValueError, match="y must not be masked"):
        FlowRegressor(**SMALL).fit(X, np.ma.masked_array(Y[:, 0], Y[:, 0] > 1))
    with pytest.raises(ValueError, match="matrix means nothing for saef"):
        FlowRegressor("saef", matrix="plu").fit(X, Y)


def test_a_free_form_head_has_samples_and_no_density() -> None:
    model = FlowRegressor("saef", block_map="free_form", random_state=0, **SMALL).fit(X, Y[:, 0])
    assert not hasattr(model, "log_prob")
    assert "log_likelihood" not in model.evaluate(X, Y[:, 0])
    assert model.predict_interval(X).shape == (80, 2)


def test_pickles_pipelines_and_cross_validation(one: FlowRegressor) -> None:
    again = pickle.loads(pickle.dumps(one))
    assert np.array_equal(again.predict(X), one.predict(X))
    made = make_pipeline(StandardScaler(), FlowRegressor("maf", random_state=0, **QUICK))
    assert cross_val_score(made, X, Y[:, 0], cv=2).shape == (2,)


def test_a_run_of_the_command_is_loaded(tmp_path: Path) -> None:
    rows = "\n".join(f"{a:.4f},{b:.4f},{y:.4f}" for (a, b, _), y in zip(X, Y[:, 0], strict=True))
    (tmp_path / "d.csv").write_text("a,b,y\n" + rows)
    from evenflow.reference.work.data import load
    from evenflow.reference.work.options import Config
    from evenflow.reference.work.runs import train_on
    train_on(Config("maf", **QUICK), load(tmp_path / "d.csv", target="y"), tmp_path / "run")
    model = FlowRegressor.load(tmp_path / "run")
    assert (model.n_features_in_, model.feature_names_in_.tolist()) == (2, ["a", "b"])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        assert model.predict(X[:4, :2]).shape == (4,)
    train_on(Config("maf", **QUICK), load(tmp_path / "d.csv"), tmp_path / "all")
    with pytest.raises(ValueError, match="holds no run of a conditional model"):
        FlowRegressor.load(tmp_path / "all")
    with pytest.raises(ValueError, match=r"holds the run of a conditional model: FlowRegressor.load reads it"):
        evenflow.FlowEstimator.load(tmp_path / "run")


def test_a_constant_y_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^y must vary, got 3.0 in every row$"):
        FlowRegressor("maf", **QUICK).fit(X, np.full(80, 3))
    with pytest.raises(ValueError, match=r"^y must vary, got 3.0 in every row in column 1$"):
        FlowRegressor("maf", **QUICK).fit(X, np.column_stack([Y[:, 0], np.full(80, 3)]))


EXPECTED = {  # as of scikit-learn's own SGDRegressor: batches are drawn by weight, which is equal to repeated rows on average
    "check_sample_weight_equivalence_on_dense_data": "minibatches are drawn at random",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("backend", ["reference", "numpy"])
def test_scikit_learns_own_checks(backend: str) -> None:
    with evenflow.use(backend):
        check_estimator(FlowRegressor("saef", random_state=0, **SMALL), expected_failed_checks=EXPECTED)

