r"""Distributional regression, scikit-learn's way: all of $p(y \mid x)$, one column y or several, by any flow.

    model = FlowRegressor("saef").fit(X, y)
    model.predict(X); model.predict_quantiles(X, [0.05, 0.5, 0.95]); model.predict_interval(X, 0.9); model.sample(X, 100)

Trained by the energy score unless another objective is named: for one column that is the CRPS. The choices are those of
estimators.py. Predictions are functions of a row alone (predictions.py).
"""
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, validate_data

from evenflow.reference.core import Array, check_count, check_fraction, check_unmasked
from evenflow.reference.core.dispatch import as_its_caller
from evenflow.reference.scores import crps, energy_score
from evenflow.reference.work import predictions
from evenflow.reference.work.energy_evaluation import mean_and_error
from evenflow.reference.work.estimators import with_density
from evenflow.reference.work.evaluation import draws_for, in_chunks, log_densities
from evenflow.reference.work.forecasts import DRAWS, forecast_figures
from evenflow.reference.work.options import FLOWS
from evenflow.reference.work.runs import Trained
from evenflow.reference.work.scikit import Estimator, defaults_of, seed_of, signature_of

PAIRED = 128  # points of an energy score, which takes all pairs


class FlowRegressor(MultiOutputMixin, RegressorMixin, Estimator):  # type: ignore[misc]
    """A conditional density, its quantiles and its samples. After fit also n_outputs_.

    >>> X, noise = np.random.default_rng(0).standard_normal((2, 60, 1))
    >>> model = FlowRegressor("maf", layers=1, steps=2).fit(X, X + noise)
    >>> model.predict(X).shape, model.predict_interval(X[:3], 0.9).shape, model.sample(X[:3], 5).shape
    ((60, 1), (3, 2, 1), (3, 5, 1))
    """
    families, defaults = FLOWS, {k: v for k, v in defaults_of(FLOWS, family="saef").items() if k != "class_conditional"}

    conditional = True

    def __init__(self, family: str = "saef", **choices: Any) -> None:
        self.choose(family=family, **choices)

    __init__.__signature__ = signature_of(defaults)  # type: ignore[attr-defined]

    @as_its_caller()
    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Self:
        """X (n, k), y (n,) or (n, d) finite numbers, sample_weight (n,) at least 0. Raises ValueError."""
        check_unmasked("X", X)
        check_unmasked("y", y)
        config = self.config()
        columns = tuple(map(str, y.columns)) if hasattr(y, "columns") else None
        X, y = validate_data(
            self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, ensure_min_samples=3)
        self.flat_, y = np.ndim(y) == 1, np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        self.n_outputs_ = y.shape[1]
        if len(constant := np.flatnonzero(y.min(axis=0) == y.max(axis=0))):
            where = "" if self.flat_ else f" in column {', '.join(map(str, constant))}"
            raise ValueError(f"y must vary, got {y[0, constant[0]]} in every row{where}")
        return self.fit_to(config, self.split(y, None, config.seed, columns, X, self.weights(sample_weight, X)))

    @as_its_caller()
    def predict(self, X: Array) -> Array:
        """The mean of y: (n,) or (n, d)."""
        X = self.features(X)
        return self.shaped(predictions.mean(self.model(), X))

    @as_its_caller()
    def predict_quantiles(self, X: Array, q: float | Sequence[float] | Array) -> Array:
        """The quantiles of each column of y at the levels q, strictly between 0 and 1: (n, len(q)) or (n, len(q), d).

        A single level gives (n,) or (n, d).
        """
        X, levels = self.features(X), np.asarray(q, dtype=np.float64)
        if levels.ndim > 1 or not levels.size or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(f"q must be levels strictly between 0 and 1, got {q!r}")
        several = predictions.quantiles(self.model(), X, levels.ravel())
        return self.shaped(several if levels.ndim else several[:, 0])

    def predict_interval(self, X: Array, level: float = 0.9) -> Array:
        """Low and high of the central interval that holds y with this probability: (n, 2) or (n, 2, d)."""
        check_fraction("level", level)
        return self.predict_quantiles(X, [(1 - level) / 2, (1 + level) / 2])

    @as_its_caller()
    def sample(self, X: Array, n_samples: int = 1, *, random_state: Any = None) -> Array:
        """Draws of y for each row of X: (n, n_samples) or (n, n_samples, d), others at each call but for an int."""
        check_count("n_samples", n_samples)
        check_is_fitted(self, "trained_")
        rng, model = np.random.default_rng(seed_of(random_state)), self.model(self.trained_.config.dtype)
        parts = [draws_for(model, x, n_samples, rng) for (x,) in in_chunks(self.features(X))]
        return self.shaped(np.concatenate([np.moveaxis(x, 0, 1) for x in parts]))

    @with_density
    @as_its_caller()
    def log_prob(self, X: Array, y: Array) -> Array:
        """log p(y | x) (n,), nats in the units of y."""
        X, y = self.both(X, y)
        return log_densities(self.model(), y, X, self.trained_.units.uniforms(y, np.random.default_rng(0)))

    @as_its_caller()
    def score(self, X: Array, y: Array, sample_weight: Array | None = None) -> float:
        """Minus the mean CRPS, in the units of y; of several columns minus the energy score, in the model's units."""
        X, y = self.both(X, y)
        if y.shape[1] == 1:
            scores = predictions.of_draws(self.model(), X, lambda x, of: crps(x[:, :, 0], of[:, 0], "V"), y)
        else:
            each = lambda x, of: energy_score(self.seen(x), self.seen(of), estimator="V")
            scores = predictions.of_draws(self.model(), X, each, y, PAIRED)
        return -float(np.average(scores, weights=self.weights(sample_weight, X)))

    @as_its_caller()
    def evaluate(self, X: Array, y: Array) -> dict[str, Any]:
        """The figures of forecasts.py, from DRAWS draws a row; and log_likelihood, nats a row, where there is a density."""
        X, y = self.both(X, y)
        rng, model = np.random.default_rng(0), self.model(self.trained_.config.dtype)
        told = forecast_figures(y, lambda rows: draws_for(model, X[rows], DRAWS, rng), self.seen, rng)
        if self.trained_.can("density"):
            log_p = log_densities(self.model(), y, X, self.trained_.units.uniforms(y, rng))
            told |= mean_and_error("log_likelihood", log_p)
        return told

    def both(self, X: Array, y: Array) -> tuple[Array, Array]:
        """X, and y as (n, d)."""
        X, y = self.features(X), check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
        check_consistent_length(X, y)
        y, d = y.reshape(len(y), -1), self.trained_.d
        if y.shape[1] != d:
            raise ValueError(f"y must have the {d} columns that the model was fitted on, got {y.shape[1]}")
        return X, y

    def seen(self, y: Array) -> Array:
        """y (..., d) in the model's units, whole numbers with fresh uniforms."""
        flat = y.reshape(-1, y.shape[-1])
        return self.trained_.units.dequantised(flat, np.random.default_rng(0)).reshape(y.shape)

    def shaped(self, y: Array) -> Array:
        """(..., d), or (...) where y was one column without an axis of its own."""
        return y[..., 0] if self.flat_ else y

    def take(self, trained: Trained, history: list[dict[str, Any]]) -> Self:
        self.n_outputs_, self.flat_ = trained.d, getattr(self, "flat_", trained.d == 1)
        return super().take(trained, history)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # scores of distributions, not R^2
        return tags
