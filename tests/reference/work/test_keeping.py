"""What a training keeps: the weights that held-out data like best, and a model that is of use on a table of 100 rows."""
import contextlib
import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenflow.reference.core import optim
from evenflow.reference.core.trees import leaves
from evenflow.reference.work.checkpoints import State
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.estimators import FlowEstimator
from evenflow.reference.work.options import FLOWS, Config
from evenflow.reference.work.runs import load_run, train_on
from evenflow.reference.work.shapes import Shape
from evenflow.reference.work.training import Progress, Settings, train
from evenflow.reference.work.units import Units

LONG = ("saef", "glow")  # to train
FALLING = optim.constant(1.0)


def walk(settings: Settings, values: dict[int, float], **kept: Any) -> State:
    """One parameter, one less after each step; the figure to judge by is looked up by it."""
    return train(
        lambda theta, noise: theta + 0 * noise, lambda rng: (rng.standard_normal(),), np.array(0.0), settings,
        np.random.default_rng(0), evaluate=lambda theta: {"loss": values.get(-round(float(theta)), math.nan)}, **kept,
    )


def how(steps: int = 12, **more: Any) -> Settings:
    return Settings(steps, optim.SGD(), FALLING, evaluate_every=2, best_by=lambda told: told["loss"], **more)


VALUES = {0: 5.0, 2: 4.0, 4: math.nan, 6: 3.0, 8: 3.0, 10: -math.nan, 12: 7.0}


def test_the_best_weights_are_those_of_the_least_figure_and_nan_is_never_best() -> None:
    state = walk(how(), VALUES)
    assert state.best is not None
    assert (state.step, state.best.step, state.best.value, float(state.best.params)) == (12, 6, 3.0, -6.0)
    assert walk(how(), {}).best is None
    start = walk(how(), {0: 1.0, 2: 2.0, 12: math.inf}).best
    assert start is not None
    assert (start.step, float(start.params)) == (0, 0.0)


@pytest.mark.parametrize(("patience", "end"), [(None, 12), (1, 4), (2, 10), (3, 12)])
def test_patience_counts_the_looks_without_a_better_one(patience: int | None, end: int) -> None:
    state = walk(how(patience=patience), VALUES)
    assert state.step == end


@pytest.mark.parametrize(("given", "message"), [
    ({"patience": 0}, "patience must be"), ({"patience": 1, "best_by": None}, "patience means nothing without best_by"),
])
def test_patience_is_checked(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(5, **{"best_by": lambda told: 0.0, **given})


@pytest.mark.parametrize("at", range(1, 12))
def test_what_is_interrupted_while_it_is_judged_is_judged_again(at: int, tmp_path: Path) -> None:
    """A callback and an `evaluate` that fail at this step; then on: the same best, the same last weights, to the bit."""
    whole = walk(how(), VALUES)

    class Stop(Exception):
        pass

    def callback(progress: Progress) -> None:
        if progress.step == at:
            raise Stop

    for name, kept in (("callback", {"callback": callback}), ("evaluate", {})):
        path = tmp_path / f"{name}.npz"
        values: Any = copy.copy(VALUES)
        if name == "evaluate":
            values = {**VALUES, at: None}  # round(None) fails
        with contextlib.suppress(Stop, TypeError):
            walk(how(), values, checkpoint=path, **kept)
        again = walk(how(), VALUES, checkpoint=path, resume=True)
        assert again.best == whole.best
        assert (again.step, again.params, again.rng.bit_generator.state) == (12, whole.params, whole.rng.bit_generator.state)


def table(n: int = 100, d: int = 4, seed: int = 0) -> np.ndarray[Any, Any]:
    """A bent, correlated table with a far row: what a table of a hundred rows may be like."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)) @ np.tril(rng.standard_normal((d, d)) + 2 * np.eye(d))
    x[:, 0] += 0.1 * x[:, 1] ** 2
    x[0] *= 6
    return 100 + 7 * x


def gaussian(train: np.ndarray[Any, Any], test: np.ndarray[Any, Any]) -> float:
    mean, S = train.mean(axis=0), np.cov(train.T)
    u = np.linalg.solve(np.linalg.cholesky(S), (test - mean).T)
    return float(np.mean(-np.sum(u**2, axis=0) / 2) - np.linalg.slogdet(2 * np.pi * S)[1] / 2)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["saef", "maf", "realnvp", "spline"])
def test_with_defaults_a_table_of_a_hundred_rows_gives_a_usable_model(family: str) -> None:
    """No worse than a normal distribution by three nats a row, on a thousand new rows; it was by thousands."""
    x, new = table(), table(1100, seed=0)[100:]
    model = FlowEstimator(family, random_state=0).fit(x)
    assert model.score(new) > gaussian(x, new) - 3


@pytest.mark.parametrize("family", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in FLOWS])
def test_a_run_keeps_its_best_step_and_is_found_again_with_it(family: str, tmp_path: Path) -> None:
    x = np.repeat(table(60), 4, axis=1) + np.random.default_rng(0).random((60, 16)) if family == "glow" else table(60)
    shape = Shape((4, 4)) if family == "glow" else None
    dataset = Dataset("table", x[:40], x[40:], None, None, Units.whitened(x[:40]), None, shape=shape)
    seen: dict[int, float] = {}

    def watch(progress: Progress) -> None:
        if progress.held_out:
            seen[progress.step] = progress.held_out["nll" if "nll" in progress.held_out else "loss"]

    best = train_on(Config(family, steps=40, learning_rate=0.05), dataset, tmp_path / "best", callback=watch)
    last = train_on(Config(family, steps=40, learning_rate=0.05, keep="last"), dataset, tmp_path / "last")
    assert best.best is not None
    assert best.best.step == 0 or best.best.value == seen[best.best.step]
    assert best.best.value <= min(seen.values())
    assert last.best is None
    for run, name in ((best, "best"), (last, "last")):
        found = load_run(tmp_path / name)
        assert all(np.array_equal(a, b) for a, b in zip(leaves(found.params), leaves(run.params), strict=True))
        assert (found.best and found.best[:2]) == (run.best and run.best[:2])


@pytest.mark.parametrize("family", ["maf", "realnvp", "spline", pytest.param("saef", marks=pytest.mark.slow)])
def test_a_row_far_out_does_not_explode(family: str) -> None:
    """A thousand deviations out in one column the model is no further off than a normal one, times a bound."""
    x = table(200)
    model = FlowEstimator(family, random_state=0, learning_rate=0.01, steps=40).fit(x)
    far = x.mean(axis=0) + 1000 * x.std(axis=0) * np.eye(4)[:1]
    assert -1e12 < model.score_samples(far)[0] < -1e4


# -- units in which columns are uncorrelated -----------------------------------------------------------------------

def test_whitened_units_are_white_and_triangular() -> None:
    x = table(5000)
    units = Units.whitened(x)
    u = units.to_model(x)
    np.testing.assert_allclose(u.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(u.T @ u / len(u), np.eye(4), atol=0.01)  # but for the shrinkage
    assert units.L is not None
    assert np.array_equal(units.L, np.tril(units.L))
    np.testing.assert_allclose(units.to_user(u), x, rtol=1e-12)
    J = np.stack([units.to_model(x[:1] + row)[0] - units.to_model(x[:1])[0] for row in np.eye(4)])
    np.testing.assert_allclose(units.steps(x[:3])[1], np.full(3, np.linalg.slogdet(J)[1]), rtol=1e-9)


def test_whitened_units_know_few_rows_and_columns_that_follow_from_others() -> None:
    """Fewer rows than columns, a column twice, a column alone: L is there, and shrunk the more the fewer the rows."""
    wide = np.random.default_rng(0).standard_normal((5, 8))
    twice = np.repeat(np.random.default_rng(0).standard_normal((50, 1)), 2, axis=1)
    for x in (wide, twice, wide[:, :1]):
        units = Units.whitened(x)
        np.testing.assert_allclose(units.to_user(units.to_model(x)), x, rtol=1e-6, atol=1e-9)
    off = [abs(Units.whitened(table(n)).L - np.linalg.cholesky(np.corrcoef(table(n).T))).max() for n in (20, 2000)]
    assert off[0] > 3 * off[1]


@pytest.mark.parametrize("family", ["maf", "saef", "ebm"])
def test_what_is_logged_as_held_out_is_of_the_held_out_rows(family: str) -> None:
    """They lie elsewhere than the rows to train on: no figure of those comes near."""
    x, seen = table(60), []
    dataset = Dataset("table", x[:40], x[40:] + 30, None, None, Units.whitened(x[:40]), None)
    few: dict[str, Any] = {"algorithm": "fce"} if family == "ebm" else {}
    config, note = Config(family, steps=4, keep="last", **few), lambda progress: seen.append(progress.held_out)
    trained = train_on(config, dataset, callback=note)
    if family == "ebm":
        said, level = seen[-1]["loss"], trained.log_z(2000, np.random.default_rng(0)).log_z  # the draws of the training
    else:
        said, level = seen[-1]["nll"] - trained.units.steps(dataset.held_out)[1].mean(), 0.0
    np.testing.assert_allclose(said, level - trained.log_density(dataset.held_out).mean(), rtol=1e-5)
