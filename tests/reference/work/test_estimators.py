"""The scikit-learn face: its conventions, and that it is the same model underneath."""
import inspect
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from evenflow.reference.work.estimators import FlowEstimator
from evenflow.reference.work.options import BY_NAME, FLOWS, OPTIONS, Config
from evenflow.reference.work.runs import train_on

QUICK: dict[str, Any] = {"steps": 5, "batch": 16, "hidden": (8,)}
SMALL: dict[str, Any] = {**QUICK, "context_hidden": (8,), "context_width": 4}
X = 20 + 3 * np.random.default_rng(0).standard_normal((100, 3))
Y = np.arange(100) % 2


EXTRA = ("levels", "held_out", "folder")


def test_the_readmes_five_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """The Python block of the README, as it stands but for the number of steps."""
    text = (Path(__file__).parents[3] / "README.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    assert "steps=300" in code
    exec(code.replace("steps=300", "steps=3"), {})
    assert capsys.readouterr().out.count("[") == 7  # five samples in a table, five log densities in a row


def test_parameters_are_those_of_config_and_survive_a_clone() -> None:
    estimator = FlowEstimator("maf", steps=7, hidden=(9,))
    parameters = estimator.get_params()
    of_flows = {option.name for option in OPTIONS if set(option.defaults) & set(FLOWS)}
    assert set(parameters) == {"family", *of_flows, "levels", "held_out", "folder"}
    defaults = FlowEstimator().get_params()
    assert {name for name, value in defaults.items() if value is not None} == {"family", "held_out"}
    assert list(inspect.signature(FlowEstimator).parameters) == ["family", *(o for o in BY_NAME if o in of_flows), *EXTRA]
    with pytest.raises(TypeError, match="FlowEstimator takes no argument 'bloks'"):
        FlowEstimator(bloks=2)
    assert clone(estimator).get_params() == parameters
    assert estimator.set_params(steps=8).get_params()["steps"] == 8


def test_fit_sample_and_score() -> None:
    model = FlowEstimator("saef", dtype="float64", **SMALL)
    with pytest.raises(NotFittedError):
        model.sample(2)
    assert model.fit(X) is model
    assert model.n_features_in_ == 3
    assert model.sample(7).shape == (7, 3)
    assert np.array_equal(model.sample(7), model.sample(7))
    assert abs(model.sample(200).mean() - 20) < 3
    scores = model.score_samples(X)
    assert scores.shape == (100,)
    assert model.score(X) == pytest.approx(scores.mean())
    np.testing.assert_allclose(model.inverse_transform(model.transform(X)), X, rtol=1e-10)


def test_class_conditional() -> None:
    model = FlowEstimator("saef", class_conditional=True, **SMALL).fit(X, Y)
    assert model.classes_.tolist() == [0, 1]
    assert model.sample(4, labels=[0, 1, 0, 1]).shape == (4, 3)
    assert np.isfinite(model.score(X, Y))
    with pytest.raises(ValueError, match="labels must be given"):
        model.score_samples(X)
    with pytest.raises(ValueError, match="class_conditional needs labels"):
        FlowEstimator("saef", class_conditional=True, **SMALL).fit(X)


def test_labels_stay_with_their_rows() -> None:
    labels = np.repeat([0, 1], 50)
    dataset = FlowEstimator("maf", class_conditional=True).split(X + 1000 * labels[:, None], labels)
    for rows, told in ((dataset.train, dataset.train_labels), (dataset.held_out, dataset.held_out_labels)):
        assert told is not None
        assert np.array_equal(rows[:, 0] > 500, told)
    assert len(np.unique(np.concatenate([dataset.train, dataset.held_out]), axis=0)) == 100


def test_whole_numbers() -> None:
    digits = np.random.default_rng(0).integers(4, size=(50, 3))
    model = FlowEstimator("saef", levels=4, **SMALL).fit(digits)
    assert set(np.unique(model.sample(50))) <= {0.0, 1.0, 2.0, 3.0}
    assert np.isfinite(model.score_samples(digits)).all()


def test_empty_pixels_are_no_error_where_the_data_are_whole_numbers() -> None:
    pixels = np.random.default_rng(0).integers(4, size=(50, 3)) * [1, 1, 0]
    model = FlowEstimator("saef", levels=4, **SMALL).fit(pixels)
    assert np.ptp(model.trained_.units.scale) == 0


def test_grid_search_picks_by_likelihood() -> None:
    """Nearly collinear columns: a model that has hardly moved from its start (independent columns) is far off."""
    rng = np.random.default_rng(1)
    collinear = rng.standard_normal((600, 1)) + 0.1 * rng.standard_normal((600, 2))
    estimator = FlowEstimator("maf", layers=1, **{**QUICK, "steps": 200, "batch": 64})
    search = GridSearchCV(estimator, {"learning_rate": [1e-7, 1e-2]}, cv=2).fit(collinear)
    assert search.best_params_ == {"learning_rate": 1e-2}


def test_a_run_can_be_kept_and_loaded(tmp_path: Path) -> None:
    model = FlowEstimator("maf", folder=str(tmp_path / "run"), **QUICK).fit(X)
    found = FlowEstimator.load(tmp_path / "run")
    assert np.array_equal(found.score_samples(X), model.score_samples(X))
    assert found.get_params()["hidden"] == (8,)
    assert found.set_params(folder=None).fit(X).score_samples(X).shape == (100,)


def test_a_run_of_another_kind_is_refused(tmp_path: Path) -> None:
    dataset = FlowEstimator("maf").split(X, None)
    train_on(Config("ebm", algorithm="pcd", steps=1, batch=8, buffer=8), dataset, tmp_path / "run")
    with pytest.raises(ValueError, match="holds the run of an energy-based model, not of a flow"):
        FlowEstimator.load(tmp_path / "run")


@pytest.mark.parametrize(("x", "said"), [
    (np.full((9, 2), np.nan), "Input X contains NaN"), (np.zeros((0, 2)), r"0 sample\(s\)"),
    (np.ones((9, 2)), "columns must vary"),
    (X[:2], r"2 sample\(s\).* while a minimum of 3 is required"), (np.array([["a"]] * 3), "could not convert string"),
    (X[:, 0], "Expected 2D array, got 1D array"),
])
def test_bad_tables_are_refused(x: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FlowEstimator("maf", **QUICK).fit(x)


def test_masked_tables_are_refused() -> None:
    """scikit-learn takes what is under the mask for data."""
    masked, model = np.ma.masked_array(X, X > 25), FlowEstimator("realnvp", class_conditional=True, **QUICK)
    with pytest.raises(ValueError, match="X must not be masked"):
        model.fit(masked, Y)
    with pytest.raises(ValueError, match="y must not be masked"):
        model.fit(X, np.ma.masked_array(Y, Y == 1))
    fitted = FlowEstimator("realnvp", **QUICK).fit(X)
    for ask in (fitted.score_samples, fitted.transform, fitted.score, fitted.trained_.log_density, fitted.trained_.encode):
        with pytest.raises(ValueError, match="must not be masked"):
            ask(masked)
    for back in (fitted.inverse_transform, fitted.trained_.decode):
        with pytest.raises(ValueError, match="must not be masked"):
            back(np.ma.masked_array(X / 100))


def test_bad_choices_are_refused_at_fit() -> None:
    with pytest.raises(ValueError, match="unknown family 'mafs', did you mean 'maf'"):
        FlowEstimator("mafs").fit(X)
    with pytest.raises(ValueError, match="held_out must lie strictly between 0 and 1"):
        FlowEstimator("maf", held_out=1.0).fit(X)
    with pytest.raises(ValueError, match="levels must be an integer >= 2, got 0"):
        FlowEstimator("maf", levels=0).fit(X)
    with pytest.raises(ValueError, match=r"held_out must leave at least 2 rows to train on, got 0\.99 of 100 rows"):
        FlowEstimator("maf", held_out=0.99).fit(X)


def test_another_number_of_columns_is_refused() -> None:
    model = FlowEstimator("maf", **QUICK).fit(X)
    for ask in (model.score_samples, model.transform, model.score):
        with pytest.raises(ValueError, match="X has 2 features, but FlowEstimator is expecting 3 features"):
            ask(X[:, :2])


@parametrize_with_checks([FlowEstimator("realnvp", steps=2, layers=1, batch=8, hidden=(8,))])  # type: ignore[untyped-decorator]
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    """All that it has for a transformer and a density."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # checks warn about what they skip
        check(estimator)
