"""The scikit-learn face: its conventions, and that it is the same model underneath."""
import importlib
import inspect
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from evenflow.reference.core import logsumexp
from evenflow.reference.ebm.normalizer import grid, lattice
from evenflow.reference.work.estimators import EBMEstimator, FlowEstimator
from evenflow.reference.work.folders import read_log
from evenflow.reference.work.options import ALGORITHMS, BY_NAME, FLOWS, OPTIONS, Config
from evenflow.reference.work.runs import load_run, train_on

QUICK: dict[str, Any] = {"steps": 5, "batch": 16, "hidden": (8,)}
SMALL: dict[str, Any] = {**QUICK, "context_hidden": (8,), "context_width": 4}
X = 20 + 3 * np.random.default_rng(0).standard_normal((100, 3))
Y = np.arange(100) % 2
OF_TABLES = [family for family in FLOWS if family != "glow"]  # which is for images


EXTRA = ("levels", "bounds", "shape", "series", "held_out", "folder", "random_state")


@pytest.mark.parametrize(("kind", "first", "kinds"), [
    (FlowEstimator, "family", FLOWS), (EBMEstimator, "algorithm", ALGORITHMS),
])
def test_parameters_are_those_of_config_and_survive_a_clone(kind: Any, first: str, kinds: tuple[str, ...]) -> None:
    estimator = kind(steps=7, hidden=(9,))
    parameters = estimator.get_params()
    theirs = {option.name for option in OPTIONS if set(option.defaults) & set(kinds)} - {"seed"}
    defaults = kind().get_params()
    assert {name for name, value in defaults.items() if value is not None} == {first, "held_out", "series"}
    assert list(inspect.signature(kind).parameters) == [first, *(o for o in BY_NAME if o in theirs and o != first), *EXTRA]
    assert set(parameters) == set(inspect.signature(kind).parameters)
    with pytest.raises(TypeError, match=f"{kind.__name__} takes no argument 'bloks'"):
        kind(bloks=2)
    assert not set(parameters) & set(dir(kind))  # or a choice would hide a method
    assert clone(estimator).get_params() == parameters
    assert estimator.set_params(steps=8).get_params()["steps"] == 8


def test_fit_sample_and_score() -> None:
    model = FlowEstimator("saef", random_state=0, **SMALL)
    with pytest.raises(NotFittedError):
        model.sample(2)
    assert model.fit(X) is model
    assert model.n_features_in_ == 3
    with pytest.raises(ValueError, match="n_samples must be an integer >= 1, got 0"):
        model.sample(0)
    with pytest.raises(ValueError, match="Input contains NaN"):
        model.inverse_transform(np.full((2, 3), np.nan))
    assert model.sample(7).shape == (7, 3)
    assert abs(model.sample(200, random_state=0).mean() - 20) < 3
    scores = model.score_samples(X)
    assert scores.shape == (100,)
    assert model.score(X) == pytest.approx(scores.mean())
    np.testing.assert_allclose(model.inverse_transform(model.transform(X)), X, rtol=1e-10)


def test_an_int_gives_the_same_numbers_and_all_else_others() -> None:
    def fit(random_state: Any) -> FlowEstimator:
        return FlowEstimator("maf", random_state=random_state, **QUICK).fit(X)

    model = fit(3)
    assert np.array_equal(model.sample(7, random_state=1), fit(np.int64(3)).sample(7, random_state=np.int32(1)))
    assert model.trained_.config.seed == 3
    def nothing(seed: int) -> None: ...

    makers: tuple[Any, ...] = (nothing, np.random.default_rng, np.random.RandomState)
    for make in makers:
        source = make(1)
        assert not np.array_equal(model.sample(7, random_state=source), model.sample(7, random_state=source))
        assert fit(source).trained_.config.seed != fit(source).trained_.config.seed
        if source is not None:
            assert np.array_equal(model.sample(7, random_state=make(1)), model.sample(7, random_state=make(1)))
    for bad in (-1, 1.5, "one", True):
        with pytest.raises(ValueError, match=r"random_state must be None, a whole number >= 0, a RandomState or a Generator"):
            fit(bad)
        with pytest.raises(ValueError, match="random_state must be"):
            model.sample(random_state=bad)


def test_what_was_trained_is_told(tmp_path: Path) -> None:
    """As the run's log has it, and of the weights that are kept, after which step they were so."""
    last = {"learning_rate": 1e-4, "keep": "last"}
    for kind, first, choices in ((FlowEstimator, "maf", {}), (EBMEstimator, "fce", {}), (EBMEstimator, "pcd", last)):
        model = kind(first, random_state=0, steps=40, batch=16, folder=tmp_path / first, **choices).fit(X)
        log = [{name: line[name] for name in ("step", "loss", "held_out")} for line in read_log(tmp_path / first / "log.jsonl")]
        assert model.history_ == log
        assert [line["step"] for line in log] == [*range(1, 41)]
        best = load_run(tmp_path / first).best
        assert model.best_step_ == (40 if best is None else best.step)
        found = kind.load(tmp_path / first)
        assert (found.history_, found.best_step_) == (model.history_, model.best_step_)
    assert best is None


def test_class_conditional() -> None:
    names = np.array(["no", "yes"])[Y]
    model = FlowEstimator("saef", class_conditional=True, random_state=0, **SMALL).fit(X, names)
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.sample(4, labels=["no", "yes", "no", "yes"]).shape == (4, 3)
    assert model.score(X, names) == pytest.approx(model.score_samples(X, labels=names).mean())
    np.testing.assert_allclose(model.inverse_transform(model.transform(X, labels=names), labels=names), X, rtol=1e-10)
    with pytest.raises(ValueError, match=r"labels must be out of classes_, \['no', 'yes'\], got 'maybe'"):
        model.score_samples(X[:2], labels=["no", "maybe"])
    with pytest.raises(ValueError, match=r"labels must be out of classes_, \['no', 'yes'\], got 0"):
        model.sample(2, labels=[0, 1])
    with pytest.raises(ValueError, match="labels must be given"):
        model.inverse_transform(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"class_conditional needs labels.*requires y to be passed"):
        FlowEstimator("saef", class_conditional=True, **SMALL).fit(X)
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        FlowEstimator("saef", class_conditional=True, **SMALL).fit(X, X[:, 0])


def test_without_labels_the_density_is_that_of_all_classes_and_z_that_of_the_most_probable() -> None:
    """Classes 20 deviations apart: then the label is known from the row."""
    x, y = X + 60 * Y[:, None], np.array([5, 7])[Y]
    trained = {**QUICK, "steps": 100, "learning_rate": 0.01}
    model = FlowEstimator("maf", class_conditional=True, random_state=0, **trained).fit(x, y)
    assert model.classes_.tolist() == [5, 7]
    of = [model.score_samples(x, labels=np.full(100, c)) for c in (5, 7)]
    shares = np.log(model.trained_.class_shares)
    np.testing.assert_allclose(model.score_samples(x), logsumexp(np.stack(of, axis=1) + shares, axis=1), rtol=1e-12)
    np.testing.assert_array_equal(model.transform(x), model.transform(x, labels=y))


def test_every_class_is_trained_on_whatever_the_shuffle() -> None:
    y = np.array([*"aaaaaaaaabcde" * 2][:20])
    for seed in range(20):
        model = FlowEstimator("maf", class_conditional=True, held_out=0.5, random_state=seed, layers=1, steps=1).fit(X[:20], y)
        assert min(model.trained_.class_shares) > 0
    with pytest.raises(ValueError, match="y must have no more classes than rows to train on, 10, got 20"):
        FlowEstimator("maf", class_conditional=True, held_out=0.5).fit(X[:20], np.arange(20))


def test_labels_stay_with_their_rows() -> None:
    labels = np.repeat([0, 1], 50)
    dataset = FlowEstimator("maf", class_conditional=True).split(X + 1000 * labels[:, None], labels, seed=0)
    for rows, told in ((dataset.train, dataset.train_labels), (dataset.held_out, dataset.held_out_labels)):
        assert told is not None
        assert np.array_equal(rows[:, 0] > 500, told)
    assert len(np.unique(np.concatenate([dataset.train, dataset.held_out]), axis=0)) == 100


def test_whole_numbers() -> None:
    digits = np.random.default_rng(0).integers(4, size=(50, 3))
    model = FlowEstimator("saef", levels=np.int64(4), random_state=0, **SMALL).fit(digits)
    assert set(np.unique(model.sample(50, random_state=0))) <= {0.0, 1.0, 2.0, 3.0}
    with pytest.raises(ValueError, match="x must hold whole numbers from 0 to 3, got -1"):
        model.score_samples(digits - 1)


@pytest.mark.parametrize("kind", [FlowEstimator, EBMEstimator])
def test_a_whole_number_row_has_one_density_at_every_call_and_in_every_company(kind: Any) -> None:
    """And as fresh uniforms would give it: 20 deviations of the mean over 2,000 rows are nothing that chance brings about."""
    digits = np.random.default_rng(0).integers(4, size=(2000, 3))
    choices = {"buffer": 16} if kind is EBMEstimator else {}
    model = kind("maf" if kind is FlowEstimator else "pcd", levels=4, random_state=0, steps=5, batch=16, **choices).fit(digits)
    scores = model.score_samples(digits)
    order = np.random.default_rng(1).permutation(2000)
    for rows in (order, np.arange(7), np.array([3]), np.array([3, 3])):
        np.testing.assert_allclose(model.score_samples(digits[rows]), scores[rows], rtol=1e-12)
    np.testing.assert_allclose(model.score_samples(digits.astype("float32")), scores, rtol=1e-12)
    fresh = model.trained_.log_density(digits, uniforms=np.random.default_rng(2).random(digits.shape))
    fresh = fresh - getattr(model, "log_z_", 0.0)
    assert abs(fresh.mean() - scores.mean()) < 20 * fresh.std() / np.sqrt(2000)
    spread = model.table(digits)[1].mean(axis=0)
    np.testing.assert_allclose(spread, 0.5, atol=0.2)  # 64 different rows: sd 0.036


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("family", OF_TABLES)
def test_a_rows_values_do_not_depend_on_the_rows_beside_it(family: str, dtype: str) -> None:
    """At the default widths, where matrix products of one row and of many take different paths."""
    x = np.random.default_rng(0).standard_normal((300, 5))
    model = FlowEstimator(family, dtype=dtype, steps=3, random_state=0).fit(x)
    for f in (model.score_samples, model.transform):
        whole = f(x)
        assert whole.dtype == np.float64
        for rows in (slice(0, 1), slice(7, 24), slice(0, 129)):
            np.testing.assert_allclose(f(x[rows]), whole[rows], rtol=1e-11, atol=1e-11)


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


def test_a_run_can_be_kept_loaded_and_fitted_again(tmp_path: Path) -> None:
    model = FlowEstimator("maf", folder=str(tmp_path / "run"), random_state=4, **QUICK).fit(X)
    found = FlowEstimator.load(tmp_path / "run")
    assert np.array_equal(found.score_samples(X), model.score_samples(X))
    assert (found.hidden, found.random_state, found.folder) == ((8,), 4, None)
    assert np.array_equal(clone(found).fit(X).score_samples(X), model.score_samples(X))
    assert np.array_equal(found.fit(X).score_samples(X), model.score_samples(X))


def test_a_class_conditional_run_of_the_command_can_be_loaded(tmp_path: Path) -> None:
    dataset = FlowEstimator("maf").split(X, Y, seed=0)
    train_on(Config("maf", class_conditional=True, steps=1, batch=8), dataset, tmp_path / "run")
    found = FlowEstimator.load(tmp_path / "run")
    assert found.classes_.tolist() == [0, 1]
    assert np.isfinite(found.score(X, Y))
    assert found.fit(X, np.array(["a", "b"])[Y]).classes_.tolist() == ["a", "b"]


def test_a_run_of_the_other_kind_says_who_reads_it(tmp_path: Path) -> None:
    EBMEstimator("pcd", steps=1, batch=8, buffer=8, folder=tmp_path / "ebm").fit(X)
    FlowEstimator("maf", folder=tmp_path / "flow", **QUICK).fit(X)
    with pytest.raises(ValueError, match=r"ebm holds the run of an energy-based model: EBMEstimator.load reads it"):
        FlowEstimator.load(tmp_path / "ebm")
    with pytest.raises(ValueError, match=r"flow holds the run of a flow: FlowEstimator.load reads it"):
        EBMEstimator.load(tmp_path / "flow")


def test_energy_based_models_have_the_same_conventions(tmp_path: Path) -> None:
    model = EBMEstimator("flowmc", layers=1, hidden=(8,), buffer=16, batch=16, steps=5, random_state=0, folder=tmp_path / "run")
    with pytest.raises(NotFittedError):
        model.sample()
    assert model.fit(X) is model
    assert np.array_equal(model.sample(7, random_state=1), model.sample(7, random_state=1))
    assert model.sample(2).shape == (2, 3)
    assert model.score(X) == pytest.approx(model.score_samples(X).mean())
    found = EBMEstimator.load(tmp_path / "run")
    assert (found.log_z_, found.log_z_se_) == (model.log_z_, model.log_z_se_)
    assert np.array_equal(found.score_samples(X), model.score_samples(X))
    assert (found.algorithm, found.random_state, found.folder) == ("flowmc", 0, None)
    assert found.fit(X).log_z_ == model.log_z_
    assert not hasattr(model, "transform")
    with pytest.raises(ValueError, match="X has 2 features, but EBMEstimator is expecting 3 features"):
        model.score_samples(X[:, :2])
    with pytest.raises(ValueError, match="unknown algorithm 'pdc', did you mean 'pcd'"):
        EBMEstimator("pdc").fit(X)


def test_the_density_of_an_energy_based_model_is_normalised() -> None:
    """On a grid, within 4 of its standard errors."""
    x = np.random.default_rng(0).standard_normal((200, 2)) * [1.0, 5.0]
    model = EBMEstimator("pcd", batch=32, buffer=32, steps=100, keep="last", random_state=0).fit(x)
    box = grid(model.score_samples, lattice([-8.0, -40.0], [8.0, 40.0], 300))
    assert 0 < model.log_z_se_ < 0.1
    assert abs(box.log_z) < 4 * model.log_z_se_ + 1e-3


def test_few_effective_draws_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evenflow.reference.work.estimators.TRUST", 1.0)
    with pytest.warns(UserWarning, match=r"of 20000 draws are effective: log_z_ is not to be trusted, nor are log densities"):
        EBMEstimator("pcd", batch=8, buffer=8, steps=2, keep="last").fit(X)


@pytest.mark.peers  # pandas
def test_frames_have_names(tmp_path: Path) -> None:
    frame = importlib.import_module("pandas").DataFrame(X, columns=["a", "b", "c"])
    model = FlowEstimator("maf", folder=tmp_path / "run", **QUICK).set_output(transform="pandas").fit(frame)
    z = model.transform(frame)
    assert list(z.columns) == model.get_feature_names_out().tolist() == ["flowestimator0", "flowestimator1", "flowestimator2"]
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(model.inverse_transform(z), X, rtol=1e-9)
    with pytest.raises(ValueError, match=r"columns must vary.*'b'"):
        FlowEstimator("maf", **QUICK).fit(frame.assign(b=1.0))
    found = FlowEstimator.load(tmp_path / "run")
    assert np.array_equal(found.score_samples(frame), model.score_samples(frame))
    assert found.feature_names_in_.tolist() == ["a", "b", "c"]
    for one in (model, found):
        with pytest.raises(ValueError, match="feature names should match"):
            one.score_samples(frame[["b", "a", "c"]])


def test_a_free_form_model_has_samples_alone() -> None:
    model = FlowEstimator("saef", block_map="free_form", **SMALL).fit(X)
    assert model.sample(2).shape == (2, 3)
    for method in ("score_samples", "score", "transform", "fit_transform", "inverse_transform"):
        assert hasattr(FlowEstimator(), method)
        assert not hasattr(model, method)


def as_numpy(value: Any) -> Any:
    return value if value is None else np.array(value) if isinstance(value, tuple) else np.array(value)[()]


@pytest.mark.parametrize("kind", [*FLOWS, *ALGORITHMS])
def test_choices_may_be_numpys(kind: str) -> None:
    """Scalars and arrays, str_ and bool_ among them: the same choices, and the same JSON."""
    given = {"algorithm": kind} if kind in ALGORITHMS else {}
    plain = Config("ebm" if given else kind, **given)
    numpys = Config(**{name: as_numpy(value) for name, value in vars(plain).items()})
    assert numpys == plain
    assert json.dumps(numpys.as_json()) == json.dumps(plain.as_json())


@pytest.mark.parametrize(("choices", "said"), [
    ({"family": np.array(["maf", "saef"])}, r"unknown family array\(\['maf', 'saef'\]"),
    ({"base": ["normal"]}, r"unknown base \['normal'\], did you mean 'normal'"),
    ({"class_conditional": np.array([True, False])}, r"class_conditional must be True or False, got array\(\[ True, False\]\)"),
    ({"class_conditional": "no"}, "class_conditional must be True or False, got 'no'"),
    ({"learning_rate": np.array([0.1, 0.2])}, "learning_rate must be positive and finite, got array"),
    ({"steps": np.array([4, 5])}, "steps must be an integer >= 1, got array"),
    ({"hidden": np.array([8.0])}, "hidden must be whole numbers with commas between them, got array"),
    ({"held_out": np.array([0.1, 0.2])}, "held_out must lie strictly between 0 and 1, got array"),
    ({"held_out": "0.1"}, "held_out must lie strictly between 0 and 1, got '0.1'"),
    ({"held_out": None}, "held_out must lie strictly between 0 and 1, got None"),
])
def test_what_is_no_choice_is_refused_by_name(choices: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FlowEstimator(**{"family": "maf", **choices}).fit(X)


def test_numpys_choices_can_be_kept_in_a_folder_and_cloned(tmp_path: Path) -> None:
    choices: dict[str, Any] = {"steps": np.int64(2), "hidden": np.array([8, 8]), "learning_rate": np.float32(0.01)}
    model = FlowEstimator(np.str_("maf"), held_out=np.float32(0.1), random_state=np.uint8(1), folder=tmp_path / "a", **choices)
    assert clone(model).fit(X).trained_.config == Config("maf", steps=2, hidden=(8, 8), learning_rate=np.float32(0.01), seed=1)
    blocks = {"blocks": np.array([1, 2]), "class_conditional": np.bool_(True), "hidden": 8, "context_hidden": np.int32(8)}
    found = FlowEstimator("saef", folder=tmp_path / "b", steps=1, context_width=np.int8(4), **blocks).fit(X, Y).trained_
    assert load_run(tmp_path / "b").config == found.config


def test_a_pickle_is_the_same_model() -> None:
    for model in (FlowEstimator("spline", **QUICK), EBMEstimator("pcd", buffer=16, steps=2, batch=16)):
        again = pickle.loads(pickle.dumps(model.fit(X)))
        assert np.array_equal(again.score_samples(X), model.score_samples(X))
        assert np.array_equal(again.sample(3, random_state=0), model.sample(3, random_state=0))
        assert "backend" not in vars(again)


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
