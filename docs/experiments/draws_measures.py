r"""What draws.py measures: the noise of a minibatch gradient, taken apart, and how wide a model's draws are.

A gradient g(D, z) has two kinds of noise, that of the minibatch D and that of the draws z (law of total variance, traces):

$$\mathrm{Var}\, g = E_D\, \mathrm{Var}_z(g \mid D) + \mathrm{Var}_D\, E_z(g \mid D)$$

From pairs (a, b) of gradients with the same D and independent z: the first is the mean of |a - b|^2 / 2, the second the
variance of the pairs' means less half of the first. Both are unbiased, and so is every squared length here: what its own noise
adds to it is taken off.

U and V differ in what the pairs of draws weigh, and so (1 - eps) U + eps V is the energy score with c = 1 - eps / m in front of
E|X - X'| / 2. Its least value a normal forecast of normal data N(0, 1) takes at the standard deviation c / sqrt(2 - c^2)
(beta = 1, any dimension), and there E|X - X'| / E|X - Y| = c.
"""
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import NormalDist
from typing import Any, NamedTuple, TypeAlias

import autograd.numpy as anp
import numpy as np

from evenflow.reference.core import Array, Tree, fetched, leaves, normal_quantile, placed, value_and_gradient
from evenflow.reference.flows.flow import Score
from evenflow.reference.saef.objectives import Energy
from evenflow.reference.scores import energy_score
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.evaluation import footing
from evenflow.reference.work.flow_model import FlowModel
from evenflow.reference.work.folders import given_to
from evenflow.reference.work.rows import Rows, contexts_of, rows_of
from evenflow.reference.work.runs import Trained

DTYPE, DRAWS_OF_SPREAD = "float32", 20
SPREADS, SAMPLED = ("spread", "spread_over_error"), 100  # samples of each class


@dataclass(frozen=True)
class Blend(Energy):
    """The energy score by (1 - eps) U + eps V: at eps = 0 the fair estimator, at eps = 1 V, between them "almost fair"."""
    eps: float = 0.0

    def score(self, noise: Tree) -> Score:
        return partial(blend, beta=self.beta, eps=self.eps)


def blend(draws: Array, y: Array, beta: float = 1.0, eps: float = 0.0) -> Array:
    """(1 - eps) U + eps V: draws (m, n, d) or (m, d), y (n, d) -> (n,)."""
    if eps in (0, 1):
        return energy_score(draws, y, beta, "V" if eps else "U")
    return (1 - eps) * energy_score(draws, y, beta, "U") + eps * energy_score(draws, y, beta, "V")


Batch: TypeAlias = tuple[Array, Array | None]  # rows in the model's units, their one-hot labels


class Fixed(NamedTuple):
    """A model at fixed parameters, and the rows that it takes its batches from."""
    model: FlowModel
    params: Tree
    rows: Rows

    @classmethod
    def of(cls, model: FlowModel, params: Tree, dataset: Dataset) -> "Fixed":
        context = contexts_of(dataset, given_to(model.config, dataset))[0]
        return cls(model, params, rows_of(dataset.train, dataset.units, DTYPE, context))

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """Rows, none twice, freshly dequantised, and their labels."""
        return self.rows.at(rng.choice(len(self.rows), size=min(size, len(self.rows)), replace=False), rng)

    def noise(self, objective: Energy, n: int, rng: np.random.Generator) -> Tree:
        return placed(objective.noise(rng, self.model.flow, n), DTYPE)

    def gradient(self, objective: Energy, batch: Batch, noise: Tree) -> Array:
        """All of it as one vector, float64."""
        u, context = batch

        def loss(params: Tree, u: Array, noise: Tree, context: Array | None) -> Array:
            return objective(params, self.model.flow, u, noise, context)

        _, gradient = value_and_gradient(loss, self.params, u, noise, context)
        return np.concatenate([np.ravel(leaf) for leaf in leaves(fetched(gradient))]).astype(np.float64)


class Reference(NamedTuple):
    """The gradient over the data, from many draws, and how far off it is on average, squared."""
    gradient: Array
    error: float

    @classmethod
    def of(cls, parts: list[Array]) -> "Reference":
        mean = np.mean(parts, axis=0)
        return cls(mean, float(sum(np.sum((part - mean) ** 2) for part in parts)) / (len(parts) * (len(parts) - 1)))

    @property
    def squared(self) -> float:
        """Its squared length, without what its error adds."""
        return float(self.gradient @ self.gradient) - self.error


@dataclass
class Pairs:
    """Sums over pairs of gradients with the same batch and independent draws."""
    count: int = 0
    within: float = 0.0   # of |a - b|^2 / 2
    squares: float = 0.0  # of |(a + b) / 2|^2
    cosines: float = 0.0  # to the reference
    sums: Any = field(default=0.0)

    def add(self, pair: Sequence[Array], reference: Reference) -> None:
        a, b = pair
        mean, length = (a + b) / 2, math.sqrt(reference.gradient @ reference.gradient)
        self.count += 1
        self.within += float(np.sum((a - b) ** 2)) / 2
        self.squares += float(mean @ mean)
        self.cosines += sum(float(g @ reference.gradient) / math.sqrt(g @ g) / length for g in (a, b)) / 2
        self.sums = self.sums + mean

    @property
    def mean(self) -> Array:
        return self.sums / self.count

    @property
    def between(self) -> float:
        """The variance of the pairs' means, its trace."""
        return (self.squares - self.count * float(self.mean @ self.mean)) / (self.count - 1)

    @property
    def draws_noise(self) -> float:
        return self.within / self.count

    @property
    def data_noise(self) -> float:
        return self.between - self.draws_noise / 2

    @property
    def length_squared(self) -> float:
        """Of the mean that they are drawn from."""
        return float(self.mean @ self.mean) - self.between / self.count

    def off(self, reference: Reference) -> float:
        """The squared distance of that mean from the reference, without what the noise of both adds."""
        return float(np.sum((self.mean - reference.gradient) ** 2)) - self.between / self.count - reference.error

    def told(self, reference: Reference) -> dict[str, float]:
        """Squared lengths; and the cosine of one gradient to the reference, on average."""
        return {
            "draws_noise": self.draws_noise, "data_noise": self.data_noise, "gradient": reference.squared,
            "off_reference": self.off(reference), "cosine": self.cosines / self.count,
        }


def spread_over_error(model: FlowModel, params: Tree, rows: Rows, rng: np.random.Generator) -> float:
    """E|X - X'| / E|X - Y|, summed over blocks and data, by teacher forcing: 1 where draws and data could change places."""
    u, context = rows.at(np.arange(len(rows)), rng)
    noise = placed(Energy(draws=DRAWS_OF_SPREAD).noise(rng, model.flow, len(u)), DTYPE)
    fair, biased = (float(Blend(1.0, DRAWS_OF_SPREAD, eps)(params, model.flow, u, noise, context)) for eps in (0.0, 1.0))
    half = DRAWS_OF_SPREAD * (biased - fair)  # E|X - X'| / 2
    return 2 * half / (fair + half)


def spreads(trained: Trained, dataset: Dataset, rng: np.random.Generator) -> dict[str, float]:
    """spread: of samples within their class, over that of the training digits; spread_over_error: of held-out blocks' draws."""
    labels = np.repeat(np.arange(10), SAMPLED)
    assert dataset.train_labels is not None
    drawn = class_spread(footing(dataset, trained.sample(len(labels), rng, labels), rng), labels)
    spread = drawn / class_spread(footing(dataset, dataset.train, rng), dataset.train_labels)
    ratio = spread_over_error(trained.flow_model(), trained.params, held_out_rows(trained, dataset), rng)
    return {"spread": spread, "spread_over_error": ratio}


def held_out_rows(trained: Trained, dataset: Dataset) -> Rows:
    context = trained.context(dataset.held_out_labels, len(dataset.held_out))
    return rows_of(dataset.held_out, dataset.units, trained.config.dtype, context)


def class_spread(u: Array, labels: Array) -> float:
    """The root of the variance within a class, averaged over classes and coordinates: u (n, d), labels (n,)."""
    return math.sqrt(np.mean([np.var(u[labels == k], axis=0, ddof=1) for k in np.unique(labels)]))


def least_spread(c: float) -> float:
    """The standard deviation of a normal forecast of N(0, 1) where E|X - Y| - c E|X - X'| / 2 is least (beta = 1)."""
    return c / math.sqrt(2 - c**2)


def normal_check(m: int, repeats: int, rng: np.random.Generator) -> dict[str, float]:
    """Forecasts mu + sigma z of four numbers, m draws each: measured over closed forms, of the gradient by mu and by sigma.

    mean_ratio: variances by mu, scale_ratio: by sigma; bias_ratio: what V adds by sigma, on average, over 1 / (m sqrt(pi)).
    """
    y, mu, sigma = np.array([-1.0, 0.0, 0.5, 2.0]), 0.3, 0.8
    z = rng.standard_normal((m, repeats * len(y), 1))
    told = np.tile(y, repeats)[:, None]

    def loss(params: Tree, estimator: str) -> Array:
        x = anp.reshape(anp.reshape(params["sigma"], (-1, 1)) * np.reshape(z, (m, repeats, -1)), z.shape)
        shift = anp.reshape(params["mu"] + np.zeros((1, len(y))), (-1, 1))
        return anp.sum(energy_score(x + shift, told, 1.0, estimator)) / len(y)

    at = {"mu": np.full((repeats, 1), mu), "sigma": np.full(repeats, sigma)}
    fair, biased = (value_and_gradient(loss, at, estimator)[1] for estimator in ("U", "V"))
    by_mu, by_sigma = (float(np.var(fair[name], ddof=1)) for name in ("mu", "sigma"))
    exact_mu, exact_sigma = (sum(part) / len(y) ** 2 for part in zip(*(variances((v - mu) / sigma, m) for v in y), strict=True))
    bias = float(np.mean(biased["sigma"] - fair["sigma"])) * m * math.sqrt(math.pi)
    return {"mean_ratio": by_mu / exact_mu, "scale_ratio": by_sigma / exact_sigma, "bias_ratio": bias}


def variances(w: float, m: int, points: int = 1000) -> tuple[float, float]:
    """Of the fair score's gradient by mu and by sigma at a datum mu + w sigma, from m draws.

    By mu it is a mean of signs. By sigma a U-statistic of the kernel h below, whose variance is (Hoeffding 1948)
    2 / (m (m - 1)) (2 (m - 2) Var E[h | Z] + Var h); the integrals over z by the midpoint rule in Phi(z).
    """
    phi = NormalDist().cdf(w)
    p = (np.arange(points) + 0.5) / points
    z = normal_quantile(p)
    pull = np.sign(z - w) * z / 2
    mean_distance = z * (2 * p - 1) + 2 * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)  # E|z - Z|
    h = pull[:, None] + pull[None] - np.abs(z[:, None] - z[None]) / 2
    first = float(np.var(pull - mean_distance / 2))
    return 4 * phi * (1 - phi) / m, 2 / (m * (m - 1)) * (2 * (m - 2) * first + float(np.var(h)))
