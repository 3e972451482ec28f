"""The scikit-learn face under every backend: its own checks, copies on the disk and in other processes, workers of joblib."""
import multiprocessing
import pickle
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import check_estimator

from evenflow import accel
from evenflow.reference.core import dispatch
from evenflow.reference.work.estimators import EBMEstimator, FlowEstimator
from evenflow.reference.work.options import ALGORITHMS, FLOWS
from tests.agreement.backends import backend

X = np.random.default_rng(0).standard_normal((60, 3))
OF_TABLES = tuple(family for family in FLOWS if family != "glow")  # which is for images
NARROW = {"layers": 1, "hidden": (8,)}
SMALL: dict[str, dict[str, Any]] = {
    **dict.fromkeys(OF_TABLES, NARROW), "saef": {**NARROW, "context_hidden": (8,), "context_width": 4}, "dense": {"layers": 1},
    "aqf": {"hidden": (8,)}, "flowmc": {**NARROW, "buffer": 16}, "pcd": {"buffer": 16}, "jarzynski": {"buffer": 16},
    "nt": {**NARROW, "pretrain_steps": 2}, "coopflow": {**NARROW, "pretrain_steps": 2}, "fce": NARROW,
}


def small(kind: str, **choices: Any) -> Any:
    """An estimator that is trained at once."""
    make: Any = EBMEstimator if kind in ALGORITHMS else FlowEstimator
    return make(kind, **{"steps": 2, "batch": 8, "random_state": 0, **SMALL[kind], **choices})


CHECKED = {
    **{kind: small(kind) for kind in (*OF_TABLES, *ALGORITHMS)}, "free-form": small("saef", block_map="free_form"),
    **{f"{kind}, by class": small(kind, class_conditional=True) for kind in OF_TABLES},
    "maf as it comes": FlowEstimator("maf", steps=2), "spline as it comes": FlowEstimator("spline", steps=2),
}
QUICK = ("maf", "maf, by class")


@pytest.fixture(autouse=True)
def process_as_it_was() -> Iterator[None]:
    yield
    dispatch.work_for(None)


EXPECTED = {  # as scikit-learn's SGDRegressor: rows drawn by weight are like repeated ones on average, not number by number
    "check_sample_weight_equivalence_on_dense_data": "minibatches are drawn at random",
}


@pytest.mark.parametrize("where", ["reference", "numpy"])
@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CHECKED])
def test_scikit_learns_own_checks(name: str, where: str) -> None:
    """All that it has for a transformer and a density."""
    with warnings.catch_warnings(), accel.use(where):
        warnings.simplefilter("ignore")  # checks warn about what they skip
        ran = check_estimator(CHECKED[name], on_skip=None, on_fail=None, expected_failed_checks=EXPECTED)
    assert len(ran) > 35
    fine = ("passed", "skipped", "xfail")
    assert [(check["check_name"], check["exception"]) for check in ran if check["status"] not in fine] == []


@pytest.mark.parametrize(("kind", "where"), [
    *((kind, where) for kind in ("spline", "saef") for where in ("reference", "numpy", "standin")), ("pcd", "numpy"),
    *(pytest.param(kind, where, marks=pytest.mark.slow) for kind in ("pcd", "flowmc") for where in ("reference", "standin")),
])
def test_copies_are_the_same_model(kind: str, where: str, tmp_path: Path) -> None:
    """Out of a pickle, joblib's file and its memory map, where a parameter's base is bytes or a map; on the device's machine,
    and on another one. For the trained model inside likewise, on the host."""
    with backend(where):
        model = small(kind).fit(X)
        joblib.dump((model, model.trained_), tmp_path / "model")
        copies = [(pickle.loads(pickle.dumps(model)), pickle.loads(pickle.dumps(model.trained_)))]
        copies += [joblib.load(tmp_path / "model", mmap_mode=mode) for mode in (None, "r")]
        for again, trained in copies:
            assert np.array_equal(again.score_samples(X), model.score_samples(X))
            if where != "standin":  # which takes long to sample from an energy
                assert np.array_equal(again.sample(3, random_state=0), model.sample(3, random_state=0))
                assert np.array_equal(trained.log_density(X), model.trained_.log_density(X))
        expected = model.score_samples(X)
    for again, _ in copies:
        np.testing.assert_allclose(again.score_samples(X), expected, rtol=1e-9)


def which(estimator: Any, X: Any, y: Any = None) -> float:
    """A score that tells under which backend it was asked for."""
    return float(accel.active() == "numpy")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["maf", "pcd"])
def test_grid_search_in_other_processes(kind: str) -> None:
    """Workers compute as their caller does, whichever was there before, and come to the same scores as without any."""
    model = small(kind)
    for where in ("numpy", "reference", "numpy"):
        with accel.use(where):
            alone, two = (GridSearchCV(model, {"steps": [2, 5]}, cv=2, n_jobs=n).fit(X) for n in (None, 2))
            told = cross_val_score(model, X, cv=6, n_jobs=2, scoring=which)  # more than are sent at once
        np.testing.assert_array_equal(told, float(where == "numpy"))
        np.testing.assert_array_equal(two.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
        assert np.array_equal(two.score(X), alone.score(X))
    assert cross_val_score(model, X, cv=2, n_jobs=2, scoring=which).tolist() == [0.0, 0.0]


def seen(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Under which backend each method of an estimator computes, in a thread of its own."""
    names: list[str] = []

    def noting(method: Any) -> Any:
        def note(*args: Any) -> Any:
            names.append(accel.active())
            return method(*args)

        return note

    for name in ("take", "model"):
        monkeypatch.setattr(type(model), name, noting(getattr(type(model), name)))
    with ThreadPoolExecutor(1) as pool:
        fitted = pool.submit(model.fit, X).result()
        pool.submit(fitted.score_samples, X).result()
        pool.submit(fitted.sample, 2).result()
        assert pool.submit(accel.active).result() == "reference"
    monkeypatch.undo()
    return names


@pytest.mark.parametrize("kind", ["maf", "pcd"])
def test_threads_without_a_choice_compute_as_their_caller(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(seen(small(kind), monkeypatch)) == {"reference"}
    with accel.use("numpy"):
        assert set(seen(small(kind), monkeypatch)) == {"numpy"}
        with accel.use("reference"):
            assert set(seen(small(kind), monkeypatch)) == {"reference"}
        with joblib.parallel_config("threading"):
            expected = cross_val_score(small(kind), X, cv=3)
            assert np.array_equal(cross_val_score(small(kind), X, cv=3, n_jobs=2), expected)
    assert set(seen(small(kind), monkeypatch)) == {"reference"}


def test_a_pickle_made_in_a_helper_thread_takes_the_callers_backend_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """As joblib makes them. In a worker process it becomes that of the process, in any other it changes nothing."""
    def pickled(model: Any) -> bytes:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(pickle.dumps, model).result()

    model = small("maf")
    with accel.use("numpy"):
        numpy = pickled(clone(model))
    reference = pickled(model)
    pickle.loads(numpy)
    assert accel.active() == "reference"
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: "the caller")
    for copy, expected in ((numpy, "numpy"), (reference, "reference"), (numpy, "numpy")):
        assert pickle.loads(copy).get_params() == model.get_params()
        assert accel.active() == expected
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(accel.active).result() == expected
        with accel.use("reference"):
            assert accel.active() == "reference"
            assert pickle.loads(copy) is not None
            assert accel.active() == "reference"  # whoever chooses here is not overruled


def test_a_thread_that_has_ended_calls_for_nothing() -> None:
    thread = threading.Thread(target=lambda: accel.use("numpy"))
    thread.start()
    thread.join()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(dispatch.caller).result().name == "reference"


def test_a_pickle_outlives_the_device_it_was_made_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    with backend("standin"):
        model = small("maf").fit(X)
        copy = pickle.dumps(model)
        expected = model.score_samples(X)
    np.testing.assert_allclose(pickle.loads(copy).score_samples(X), expected, rtol=1e-9)
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: "the caller")
    monkeypatch.setattr(accel.devices, "import_cupy", missing)
    with pytest.warns(UserWarning, match="needs CuPy, which is not installed: the reference computes in its place"):
        again = pickle.loads(copy)
    np.testing.assert_allclose(again.score_samples(X), expected, rtol=1e-9)


def missing() -> None:
    raise accel.Unavailable("the backend cupy needs CuPy, which is not installed")
