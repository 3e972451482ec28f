"""The scikit-learn face of the flows: fit, sample, score_samples.

    model = FlowEstimator("saef", blocks=4, steps=500).fit(X)
    model.sample(10); model.score_samples(X)

The choices are those of work/options.py under the same names; None: the family's default. Rows of X go in and samples come out
in the user's units. Needs scikit-learn: pip install 'evenflow[data]'.
"""
import inspect
import os
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from evenflow.reference.core import Array, arrays, check_count, check_unmasked
from evenflow.reference.work.data import Dataset, Units, as_labels
from evenflow.reference.work.options import FLOWS, OPTIONS, Config
from evenflow.reference.work.runs import Trained, load_run, train_on
from evenflow.reference.work.threads import single_blas_thread

CHOICES = tuple(option.name for option in OPTIONS if set(FLOWS) & set(option.defaults))
DEFAULTS = {"family": "saef", **dict.fromkeys(CHOICES), "levels": None, "held_out": 0.1, "folder": None}


class FlowEstimator(DensityMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A density and a sampler for tables. After fit: trained_ (runs.Trained), n_features_in_, and classes_ where y was given.

    levels: None for real numbers; L for whole numbers 0 ... L - 1, which are dequantised. held_out: the share of the rows that
    judges the training instead of being trained on. folder: where to keep the run (runs.py), a new one for each fit; None for
    nowhere.

    >>> X = np.random.default_rng(0).standard_normal((50, 3))
    >>> FlowEstimator("maf", layers=1, steps=2).fit(X).sample(4).shape
    (4, 3)
    """

    def __init__(self, family: str = "saef", **choices: Any) -> None:
        for name in choices:
            if name not in DEFAULTS:
                raise TypeError(f"FlowEstimator takes no argument {name!r}: it takes {', '.join(DEFAULTS)}")
        for name, value in {**DEFAULTS, **choices, "family": family}.items():
            setattr(self, name, value)

    __init__.__signature__ = inspect.Signature([  # type: ignore[attr-defined]
        inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
        inspect.Parameter("family", inspect.Parameter.POSITIONAL_OR_KEYWORD, default="saef"),
        *(inspect.Parameter(k, inspect.Parameter.KEYWORD_ONLY, default=v) for k, v in DEFAULTS.items() if k != "family"),
    ])

    def fit(self, X: Array, y: Array | None = None) -> Self:
        """X (n, d) finite numbers; y (n,) whole numbers 0, 1, ..., used by a class-conditional model. Raises ValueError."""
        check_unmasked("X", X)
        check_unmasked("y", y)
        config = Config(self.family, **{name: getattr(self, name) for name in CHOICES})
        dataset = self.split(validate_data(self, X, dtype=np.float64, ensure_min_samples=3), y)
        with single_blas_thread():
            self.trained_ = train_on(config, dataset, self.folder)
        return self

    def split(self, x: Array, y: Array | None) -> Dataset:
        """Training and held-out rows, by a shuffle with the estimator's seed."""
        held_out, levels = self.held_out, self.levels
        if levels is not None:
            check_count("levels", levels, least=2)
        if not 0 < held_out < 1:
            raise ValueError(f"held_out must lie strictly between 0 and 1, got {held_out!r}")
        k = max(1, round(held_out * len(x)))
        if len(x) - k < 2:
            raise ValueError(f"held_out must leave at least 2 rows to train on, got {held_out} of {len(x)} rows")
        order = np.random.default_rng(self.seed or 0).permutation(len(x))
        train, judge = x[order[k:]], x[order[:k]]
        units = Units.whole_numbers(train, levels) if levels else Units.standardised(train)
        if y is None or not self.class_conditional:
            return Dataset("X", train, judge, None, None, units, None)
        labels = as_labels("y", np.asarray(y), len(x))
        self.classes_ = np.unique(labels)
        return Dataset("X", train, judge, labels[order[k:]], labels[order[:k]], units, None)

    def sample(self, n_samples: int = 1, *, labels: Array | None = None, seed: int = 0) -> Array:
        """Samples (n_samples, d); labels (n_samples,) for a class-conditional model, else drawn as in the data."""
        return self.fitted().sample(n_samples, np.random.default_rng(seed), labels)

    def score_samples(self, X: Array, *, labels: Array | None = None) -> Array:
        """Log density in nats (n,). Whole-number data are dequantised with the estimator's seed."""
        x = self.table(X)
        return self.fitted().log_density(x, labels, self.uniforms(x)).astype(np.float64)

    def score(self, X: Array, y: Array | None = None) -> float:
        """The mean log density, in nats: larger is better. y: labels, for a class-conditional model."""
        labels = y if self.fitted().class_shares else None
        return float(np.mean(self.score_samples(X, labels=labels)))

    def transform(self, X: Array, *, labels: Array | None = None) -> Array:
        """X (n, d) -> z (n, d), standard normal if the model is right."""
        x = self.table(X)
        return self.fitted().encode(x, labels, self.uniforms(x))

    @arrays("Z")
    def inverse_transform(self, Z: Array, *, labels: Array | None = None) -> Array:
        """z (n, d) -> x (n, d)."""
        return self.fitted().decode(np.asarray(Z, dtype=self.fitted().config.dtype), labels)

    def table(self, X: Array) -> Array:
        """X checked against the columns it was fitted on, as scikit-learn does."""
        check_is_fitted(self, "trained_")
        check_unmasked("X", X)
        return validate_data(self, X, dtype=np.float64, reset=False)

    def uniforms(self, x: Array) -> Array | None:
        trained = self.fitted()
        return np.random.default_rng(trained.config.seed).random(x.shape) if trained.units.levels else None

    def fitted(self) -> Trained:
        """The trained model. Raises sklearn.exceptions.NotFittedError before fit."""
        check_is_fitted(self, "trained_")
        return self.trained_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # z is of the model's dtype, whatever that of X
        return tags

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "FlowEstimator":
        """The estimator of a run, its own (folder=...) or one of `evenflow train`."""
        trained = load_run(folder)
        if trained.config.family not in FLOWS:
            raise ValueError(f"{folder} holds the run of an energy-based model, not of a flow: evenflow.load gives it")
        choices = {**vars(trained.config), "levels": trained.units.levels, "folder": str(Path(folder))}
        estimator = cls(**choices)
        estimator.trained_, estimator.n_features_in_ = trained, trained.d
        return estimator
