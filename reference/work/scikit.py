"""What scikit-learn asks of an estimator, for the two in estimators.py: parameters, randomness, tables, copies, pickles."""
import inspect
import multiprocessing
import operator
import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, check_random_state, validate_data

from evenflow.reference.core import Array, Tree, check_count, check_unmasked, dispatch, fetched, placed
from evenflow.reference.work.columns import checked_weights
from evenflow.reference.work.data import Dataset, units_for
from evenflow.reference.work.folders import LOG, read_log
from evenflow.reference.work.given import Given
from evenflow.reference.work.options import FLOWS, OPTIONS, Config
from evenflow.reference.work.runs import Trained, load_run, train_on
from evenflow.reference.work.shapes import Shape
from evenflow.reference.work.tables import Reading
from evenflow.reference.work.threads import single_blas_thread
from evenflow.reference.work.training import Progress
from evenflow.reference.work.units import Units

AUTO = "auto"  # levels: each column of whole numbers alone
OWN = {  # what is no choice of a Config
    "levels": None, "bounds": None, "shape": None, "series": False, "held_out": 0.2, "folder": None, "random_state": None,
}
NOTED = ("step", "loss", "held_out")  # in history_


def defaults_of(kinds: Iterable[str], **first: str) -> dict[str, Any]:
    """The parameters of an estimator for models of these kinds, with their defaults."""
    names = [option.name for option in OPTIONS if set(kinds) & set(option.defaults) and option.name != "seed"]
    return {**first, **dict.fromkeys(name for name in names if name not in first), **OWN}


def signature_of(defaults: dict[str, Any]) -> inspect.Signature:
    """That of an __init__: itself and the first parameter by position, the others by name."""
    by_position, by_name = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    first = next(iter(defaults))
    return inspect.Signature([
        inspect.Parameter("self", by_position),
        *(inspect.Parameter(k, by_position if k == first else by_name, default=v) for k, v in defaults.items()),
    ])


def seed_of(random_state: Any) -> int:
    """The seed itself, or the next number of what numbers come from; None is NumPy's global state, as in scikit-learn."""
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**32))
    if random_state is None or isinstance(random_state, np.random.RandomState):
        return int(check_random_state(random_state).randint(2**32, dtype=np.uint64))
    try:
        check_count("random_state", random_state, least=0)
    except ValueError:
        kinds = "None, a whole number >= 0, a RandomState or a Generator"
        raise ValueError(f"random_state must be {kinds}, got {random_state!r}") from None
    return operator.index(random_state)


def each_part(f: Callable[[Tree], Tree], params: Any) -> Any:
    """f of a flow's parameters, or of each part of an energy-based model's state."""
    return type(params)(*map(f, params)) if isinstance(params, tuple) else f(params)


class Estimator(BaseEstimator):  # type: ignore[misc]
    """What the estimators share.

    After fit: trained_ (runs.Trained, its parameters on the host), n_features_in_, feature_names_in_ where X has names;
    history_, for each step a dict with its step, loss and held_out; best_step_, after which the weights were as they are kept.
    """
    defaults: dict[str, Any]
    families: tuple[str, ...]
    conditional = False  # whether a density given X is modelled, and not that of X

    def choose(self, **given: Any) -> None:
        for name in given:
            if name not in self.defaults:
                raise TypeError(f"{type(self).__name__} takes no argument {name!r}: it takes {', '.join(self.defaults)}")
        for name, value in {**self.defaults, **given}.items():
            setattr(self, name, value)

    def config(self) -> Config:
        chosen = {name: getattr(self, name) for name in self.defaults if name not in OWN}
        return Config(**{"family": "ebm", **chosen, "seed": seed_of(self.random_state)})

    def fit_to(self, config: Config, dataset: Dataset) -> Self:
        history: list[dict[str, Any]] = []

        def note(progress: Progress) -> None:
            history.append({name: getattr(progress, name) for name in NOTED})

        with single_blas_thread():
            return self.take(train_on(config, dataset, self.folder, callback=note), history)

    def weights(self, sample_weight: Any, X: Array) -> Array | None:
        """(n,), for the n rows of X."""
        if sample_weight is None:
            return None
        check_unmasked("sample_weight", sample_weight)
        return checked_weights(_check_sample_weight(sample_weight, X, dtype=np.float64), "sample_weight")

    def split(
        self, x: Array, codes: Array | None, seed: int, columns: tuple[str, ...] | None = None, given: Array | None = None,
        weights: Array | None = None,
    ) -> Dataset:
        """Training and held-out rows, by a shuffle; a row of each class is trained on; rows of weight 0 are left out.

        x (n, d) is modelled; codes (n,) are its classes, given (n, k) what it is given.
        """
        if weights is not None:
            x, codes, given, weights = (None if part is None else part[weights > 0] for part in (x, codes, given, weights))
        held_out = self.held_out
        if not isinstance(held_out, float | np.floating) or not 0 < held_out < 1:
            raise ValueError(f"held_out must lie strictly between 0 and 1, got {held_out!r}")
        k = max(1, round(held_out * len(x)))
        if len(x) - k < 2:
            raise ValueError(f"held_out must leave at least 2 rows to train on, got {held_out} of {len(x)} rows")
        order = np.random.default_rng(seed).permutation(len(x))
        if codes is not None:
            first = np.unique(codes[order], return_index=True)[1]
            if len(first) > len(x) - k:
                raise ValueError(f"y must have no more classes than rows to train on, {len(x) - k}, got {len(first)}")
            order = np.concatenate([np.delete(order, first), order[first]])
        train, judge = order[k:], order[:k]
        (y, y_rest), (c, c_rest), (w, w_rest) = (
            (None, None) if part is None else (part[train], part[judge]) for part in (codes, given, weights))
        known = None if given is None else Given.fitted(given[train], self.given_names(given.shape[1]), {})
        shape = self.shape_of(x.shape[1])
        units = self.units_of(x, train, columns, shape)
        return Dataset("X", x[train], x[judge], y, y_rest, units, columns, reading=Reading(series=bool(self.series)),
                       given=known, train_given=c, held_out_given=c_rest, train_weights=w, held_out_weights=w_rest, shape=shape)

    def shape_of(self, d: int) -> Shape | None:
        """What a row of d numbers stands for."""
        if self.shape is None:
            if self.series:
                raise ValueError("series needs shape=(t, c)")
            return None
        shape = Shape.of(self.shape, self.series)
        if shape.d != d:
            raise ValueError(f"shape must be of the {d} numbers in a row, got {' x '.join(map(str, shape.axes))} = {shape.d}")
        return shape

    def units_of(self, x: Array, train: Array, columns: tuple[str, ...] | None, shape: Shape | None) -> Units:
        if isinstance(self.levels, str) and self.levels != AUTO:
            raise ValueError(f"levels must be None, a whole number or {AUTO!r}, got {self.levels!r}")
        reading = Reading(levels=None if self.levels in (None, AUTO) else self.levels, bounds=self.bounds)
        return units_for(x, train, columns, reading, shape, count=self.levels is not None)

    def given_names(self, k: int) -> list[str]:
        return list(getattr(self, "feature_names_in_", [str(j + 1) for j in range(k)]))

    def take(self, trained: Trained, history: list[dict[str, Any]]) -> Self:
        """What there is after fit or load."""
        params, best = each_part(fetched, trained.params), trained.best
        self.trained_ = replace(trained, params=params, best=best and best._replace(params=params))
        self.history_, self.best_step_ = history, best.step if best else len(history)
        return self

    def model(self, dtype: str = "float64") -> Trained:
        """The trained model where the backend in use computes. Raises sklearn.exceptions.NotFittedError before fit."""
        check_is_fitted(self, "trained_")
        trained = self.trained_
        config = Config(**{**vars(trained.config), "dtype": dtype})
        params = each_part(lambda part: placed(part, dtype), trained.params)
        return replace(trained, config=config, params=params, model=replace(trained.model, config=config))

    def draw(self, n_samples: int, codes: Array | None, random_state: Any) -> Array:
        check_is_fitted(self, "trained_")
        check_count("n_samples", n_samples)
        rng = np.random.default_rng(seed_of(random_state))
        return self.model(self.trained_.config.dtype).sample(n_samples, rng, codes)

    def features(self, X: Array) -> Array:
        """X checked against the columns it was fitted on."""
        check_is_fitted(self, "trained_")
        check_unmasked("X", X)
        return validate_data(self, X, dtype=np.float64, reset=False)

    def table(self, X: Array) -> tuple[Array, Array | None]:
        """`features`; for whole numbers also uniforms, a row's made from the row itself."""
        x = self.features(X)
        if self.trained_.units.counted is None:
            return x, None
        rows = np.ascontiguousarray(x + 0.0).view(np.uint32)  # the sum turns -0 into 0
        return x, np.stack([np.random.default_rng(row).random(x.shape[1]) for row in rows])

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "backend": dispatch.caller().again}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In a process that works for another one, the backend of that one becomes its own; elsewhere whoever computes says."""
        again = state.pop("backend", None)
        super().__setstate__(state)
        if multiprocessing.parent_process() is not None:
            try:
                dispatch.work_for(again)
            except RuntimeError as error:  # a pickle outlives the device it was made beside
                warnings.warn(f"{error}: the reference computes in its place", stacklevel=2)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """The estimator of a run, its own (folder=...) or one of `evenflow train`; fitted again, it makes no folder."""
        trained = load_run(folder)
        chosen = {name: value for name, value in vars(trained.config).items() if name in cls.defaults}
        if trained.config.family not in cls.families:
            what = "a flow: FlowEstimator" if trained.config.family in FLOWS else "an energy-based model: EBMEstimator"
            raise ValueError(f"{folder} holds the run of {what}.load reads it")
        if (trained.given is not None and not trained.class_shares) != cls.conditional:
            known = "no run of a conditional model: FlowEstimator" if cls.conditional else (
                "the run of a conditional model: FlowRegressor")
            raise ValueError(f"{folder} holds {known}.load reads it")
        levels = trained.units.levels or (None if trained.units.whole is None else AUTO)
        axes, series = trained.shape or (None, False)
        estimator = cls(**chosen, levels=levels, shape=axes, series=series, random_state=trained.config.seed)
        names = trained.given.columns if cls.conditional and trained.given else trained.columns
        estimator.n_features_in_ = len(names) if names else trained.d
        if names is not None:
            estimator.feature_names_in_ = np.array(names, dtype=object)
        if trained.class_shares:
            estimator.classes_ = np.arange(len(trained.class_shares))
        log = read_log(Path(folder) / LOG)
        return estimator.take(trained, [{name: line[name] for name in NOTED} for line in log])
