"""The scikit-learn face of the models: fit, sample, score_samples.

    model = FlowEstimator("saef", blocks=4, steps=500).fit(X)
    model.sample(10); model.score_samples(X)
    EBMEstimator("pcd", steps=500).fit(X).log_z_

The choices are those of work/options.py under the same names, but for `seed`, which scikit-learn calls random_state; None: the
family's default. Rows of X go in and samples come out in the user's units.

levels        None for real numbers; L for whole numbers 0 ... L - 1 in all columns, in one unit, which are dequantised; "auto"
              for a table in which some columns are of whole numbers, each dequantised by itself
bounds        {column: (low, high)}, None for a side without one: by name, or by number from 1 where columns have no names
shape         (h, w) or (h, w, c), where rows are images, line by line, or with series=True (t, c); X stays (n, d), as
              scikit-learn wants it: X.reshape(len(X), -1). Blocks are then squares, of `patch` pixels a side if that is said
held_out      the share of the rows that judges the training instead of being trained on
folder        where to keep the run (runs.py), a new one for each fit; None for nowhere
random_state  an int: always the same numbers; None, a RandomState or a Generator: others every time

A row's log density is a function of that row. So it is computed in float64 (in float32 it would change, by a rounding, with the
number of rows beside it), and whole numbers are dequantised with uniforms of which the row itself is the seed. Copies that
joblib hands to threads and processes compute under the backend that their caller uses. Needs scikit-learn: pip install
'evenflow[data]'.
"""
import warnings
from collections.abc import Callable
from typing import Any, Self, TypeVar, cast

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, DensityMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d, validate_data

from evenflow.reference.core import Array, check_unmasked, logsumexp
from evenflow.reference.core.dispatch import as_its_caller
from evenflow.reference.work.energy_model import TRUST
from evenflow.reference.work.options import ALGORITHMS, FLOWS, Config
from evenflow.reference.work.runs import Trained
from evenflow.reference.work.scikit import Estimator, defaults_of, signature_of

F = TypeVar("F", bound=Callable[..., Any])

DRAWS = 20_000  # of log Z


def with_density(method: F) -> F:
    """The method of models that have a density and an inverse; others do not have it, and scikit-learn asks by hasattr."""
    return cast(F, available_if(has_density)(method))


def has_density(estimator: Any) -> bool:
    if estimator.block_map == "free_form":
        raise AttributeError("a model with a free-form head has no inverse and no density, only samples")
    return True


class Table(DensityMixin, Estimator):  # type: ignore[misc]
    """What the two share: a table X is all that there is to model, labels apart."""

    @as_its_caller()
    def fit(self, X: Array, y: Array | None = None, sample_weight: Array | None = None) -> Self:
        """X (n, d) finite numbers; y (n,) labels of any kind, for a class-conditional model alone; sample_weight (n,).

        Weights are at least 0: how often a row is drawn, in training and in judging it. Raises ValueError.
        """
        config = self.config()
        x, codes = self.checked(config, X, y)
        names = getattr(self, "feature_names_in_", None)
        columns = None if names is None else tuple(names.tolist())
        return self.fit_to(config, self.split(x, codes, config.seed, columns, weights=self.weights(sample_weight, x)))

    def checked(self, config: Config, X: Array, y: Array | None) -> tuple[Array, Array | None]:
        """X as a float64 table; y as whole numbers 0, 1, ... if the model is class-conditional, else None."""
        check_unmasked("X", X)
        check_unmasked("y", y)
        if not vars(config).get("class_conditional"):
            return validate_data(self, X, dtype=np.float64, ensure_min_samples=3), None
        if y is None:
            required = f"this {type(self).__name__} estimator requires y to be passed, but the target y is None"
            raise ValueError(f"class_conditional needs labels: {required}")
        x, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=3)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        return x, codes


class FlowEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Table):  # type: ignore[misc]
    """A density, a sampler and a transformer for tables. After fit also classes_ if it is class-conditional.

    >>> X = np.random.default_rng(0).standard_normal((50, 3))
    >>> FlowEstimator("maf", layers=1, steps=2).fit(X).sample(4).shape
    (4, 3)
    """
    families, defaults = FLOWS, defaults_of(FLOWS, family="saef")

    def __init__(self, family: str = "saef", **choices: Any) -> None:
        self.choose(family=family, **choices)

    __init__.__signature__ = signature_of(defaults)  # type: ignore[attr-defined]

    @as_its_caller()
    def sample(self, n_samples: int = 1, *, labels: Array | None = None, random_state: Any = None) -> Array:
        """Samples (n_samples, d), others at each call but for an int as random_state.

        labels (n_samples,), for a class-conditional model: out of classes_; None: drawn as in the data.
        """
        return self.draw(n_samples, self.codes(labels), random_state)

    @with_density
    @as_its_caller()
    def score_samples(self, X: Array, *, labels: Array | None = None) -> Array:
        """Log density in nats (n,); of a class-conditional model log p(x | label), or without labels log p(x)."""
        (x, uniforms), codes = self.table(X), self.codes(labels)
        if codes is None and self.trained_.class_shares:
            return logsumexp(self.by_class(x, uniforms), axis=1)
        return self.model().log_density(x, codes, uniforms)

    @with_density
    def score(self, X: Array, y: Array | None = None) -> float:
        """The mean log density, in nats: larger is better. y: labels, for a class-conditional model."""
        check_is_fitted(self, "trained_")
        return float(np.mean(self.score_samples(X, labels=y if self.trained_.class_shares else None)))

    @as_its_caller()
    def transform(self, X: Array, *, labels: Array | None = None) -> Array:
        """X (n, d) -> z (n, d), standard normal if the model is right.

        Without labels, a class-conditional model takes each row's most probable one.
        """
        (x, uniforms), codes = self.table(X), self.codes(labels)
        if codes is None and self.trained_.class_shares:
            codes = np.argmax(self.by_class(x, uniforms), axis=1)
        return self.model().encode(x, codes, uniforms)

    @with_density
    @as_its_caller()
    def inverse_transform(self, Z: Array, *, labels: Array | None = None) -> Array:
        """z (n, d) -> x (n, d)."""
        check_unmasked("Z", Z)
        return self.model().decode(check_array(Z, dtype=np.float64), self.codes(labels))

    def by_class(self, x: Array, uniforms: Array | None) -> Array:
        """log p(x, label) for each row and label (n, classes)."""
        model, shares = self.model(), self.trained_.class_shares
        given = [model.log_density(x, np.full(len(x), c), uniforms) for c in range(len(shares))]
        with np.errstate(divide="ignore"):  # a class that no row was of
            return np.stack(given, axis=1) + np.log(shares)

    def codes(self, labels: Array | None) -> Array | None:
        """The user's labels as the model's: 0, 1, ..."""
        check_is_fitted(self, "trained_")
        if labels is None or not self.trained_.class_shares:
            return labels
        known = {label: code for code, label in enumerate(self.classes_.tolist())}
        labels = column_or_1d(labels).tolist()
        for label in labels:
            if label not in known:
                raise ValueError(f"labels must be out of classes_, {[*known]}, got {label!r}")
        return np.array([known[label] for label in labels], dtype=np.int64)

    @property
    def _n_features_out(self) -> int:  # for get_feature_names_out
        return int(self.n_features_in_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = bool(self.class_conditional)
        return tags


for method in ("transform", "fit_transform"):  # here: set_output, which wraps them, would hide that they are not there
    setattr(FlowEstimator, method, with_density(getattr(FlowEstimator, method)))


class EBMEstimator(Table):
    """A density and a sampler for tables: an energy-based model, p = e^-E rho / Z.

    After fit also log_z_, log Z by importance sampling from the companion flow, or from rho where there is none, with its
    standard error log_z_se_ in nats. Both are as good as the draws: if few are effective, a warning says so.

    >>> X = np.random.default_rng(0).standard_normal((50, 2))
    >>> model = EBMEstimator("pcd", steps=2).fit(X)
    >>> model.sample(4).shape, model.score_samples(X).shape
    ((4, 2), (50,))
    """
    families, defaults = ("ebm",), defaults_of(ALGORITHMS, algorithm="flowmc")

    def __init__(self, algorithm: str = "flowmc", **choices: Any) -> None:
        self.choose(algorithm=algorithm, **choices)

    __init__.__signature__ = signature_of(defaults)  # type: ignore[attr-defined]

    def take(self, trained: Trained, history: list[dict[str, Any]]) -> Self:
        super().take(trained, history)
        z = self.model().log_z(DRAWS, np.random.default_rng(trained.config.seed))
        self.log_z_, self.log_z_se_ = z.log_z, z.standard_error
        if z.ess < TRUST * DRAWS:
            few = f"{z.ess:.0f} of {DRAWS} draws are effective"
            warnings.warn(f"{few}: log_z_ is not to be trusted, nor are log densities", stacklevel=3)
        return self

    @as_its_caller()
    def sample(self, n_samples: int = 1, *, random_state: Any = None) -> Array:
        """Samples (n_samples, d) through flowMC, others at each call but for an int as random_state."""
        return self.draw(n_samples, None, random_state)

    @as_its_caller()
    def score_samples(self, X: Array) -> Array:
        """Log density in nats (n,): less log_z_, so the error of that is in all of them alike."""
        x, uniforms = self.table(X)
        return self.model().log_density(x, uniforms=uniforms) - self.log_z_

    def score(self, X: Array, y: Array | None = None) -> float:
        """The mean log density, in nats: larger is better."""
        return float(np.mean(self.score_samples(X)))
