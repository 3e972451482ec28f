r"""What a model is trained on: from parameters, data and noise to one number.

    likelihood   $-\frac1n \sum_i \log p(x_i)$, needs `log_prob`
    energy       the energy score of draws (Si et al. 2023), needs only samples
    sliced       the same along random directions
    mmd          the kernel score with a mixture of Gaussian kernels: MMD squared, up to what the model cannot change
    quantile     the pinball loss (Si et al. 2022), for autoregressive quantile flows

An objective has `noise(rng, model, n)`, all the randomness of one step, and is called as
`objective(params, model, x, noise, context)`, a pure function of its arguments that can be differentiated in params.
"""
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, Tree, array, arrays, check_count, check_shape, lookup
from evenflow.reference.flows.flow import Flow, Score
from evenflow.reference.saef.aqf import AQF
from evenflow.reference.saef.semiautoregressive import FreeForm
from evenflow.reference.scores import energy_score, kernel_score, random_directions, rbf_kernel, sliced_energy_score
from evenflow.reference.scores.energy import check_beta

Model = Flow | FreeForm


class Objective(Protocol):
    def noise(self, rng: onp.random.Generator, model: Any, n: int) -> Tree: ...
    def __call__(self, params: Tree, model: Any, x: Array, noise: Tree, context: Array | None = None) -> Array: ...


@dataclass(frozen=True)
class Likelihood:
    """The negative mean log density, in nats.

    >>> from evenflow import realnvp
    >>> flow = realnvp(2, layers=2, final_scale=0.0)
    >>> round(float(Likelihood()(flow.init(onp.random.default_rng(0)), flow, onp.zeros((4, 2)), {})), 6)
    1.837877
    """

    def noise(self, rng: onp.random.Generator, model: Model, n: int) -> Tree:
        return {}

    @arrays("x")
    def __call__(self, params: Tree, model: Flow, x: Array, noise: Tree, context: Array | None = None) -> Array:
        log_p = model.log_prob(params, x, context)
        check_count("the number of data", len(log_p))
        return -np.sum(log_p) / len(log_p)


@dataclass(frozen=True)
class Energy:
    """The energy score with exponent beta, from `draws` draws a datum.

    >>> from evenflow import realnvp
    >>> flow, objective, rng = realnvp(2, layers=2), Energy(beta=1.0), onp.random.default_rng(0)
    >>> params, x = flow.init(rng), rng.standard_normal((8, 2))
    >>> bool(objective(params, flow, x, objective.noise(rng, flow, 8)) > 0)
    True
    """
    beta: float = 1.0
    draws: int = 4

    def __post_init__(self) -> None:
        check_beta(self.beta)
        check_count("draws", self.draws, least=2)

    def noise(self, rng: onp.random.Generator, model: Model, n: int) -> Tree:
        return {"z": model.noise(rng, self.draws * n)}

    def __call__(self, params: Tree, model: Model, x: Array, noise: Tree, context: Array | None = None) -> Array:
        return model.loss(params, x, noise["z"], self.score(noise), context)

    def score(self, noise: Tree) -> Score:
        return partial(energy_score, beta=self.beta)


@dataclass(frozen=True)
class Sliced(Energy):
    """The energy score averaged over `directions` random directions, fresh in every step.

    On average c(k, beta) times the energy score of a block of k numbers: blocks of unequal sizes weigh otherwise than there.

    >>> from evenflow import realnvp
    >>> Sliced(directions=5).noise(onp.random.default_rng(0), realnvp(2), n=3)["v"].shape
    (5, 2)
    """
    directions: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("directions", self.directions)

    def noise(self, rng: onp.random.Generator, model: Model, n: int) -> Tree:
        return {**super().noise(rng, model, n), "v": rng.standard_normal((self.directions, model.d))}

    def score(self, noise: Tree) -> Score:
        v = array("v", noise["v"])
        check_shape("v", v, "directions", "d")

        def score(draws: Array, y: Array) -> Array:  # the first k entries of a normal vector are one in k dimensions
            return sliced_energy_score(draws, y, random_directions(v[:, : y.shape[1]]), self.beta)

        return score


@dataclass(frozen=True)
class MMD:
    """The kernel score with a mixture of Gaussian kernels.

    The bandwidths suit standardised data. Those of the authors' code, 2 to 80, are nearly flat there: pass them for theirs.

    >>> from evenflow import realnvp
    >>> MMD(draws=2).noise(onp.random.default_rng(0), realnvp(2), n=3)["z"].shape
    (6, 2)
    """
    draws: int = 4
    bandwidths: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)

    def __post_init__(self) -> None:
        check_count("draws", self.draws, least=2)

    def noise(self, rng: onp.random.Generator, model: Model, n: int) -> Tree:
        return {"z": model.noise(rng, self.draws * n)}

    def __call__(self, params: Tree, model: Model, x: Array, noise: Tree, context: Array | None = None) -> Array:
        return model.loss(params, x, noise["z"], partial(kernel_score, kernel=rbf_kernel(self.bandwidths)), context)


@dataclass(frozen=True)
class Quantile:
    """The pinball loss at `draws` random levels a datum.

    >>> from evenflow import aqf
    >>> Quantile(draws=2).noise(onp.random.default_rng(0), aqf(2), n=3)["alpha"].shape
    (2, 3, 2)
    """
    draws: int = 4

    def __post_init__(self) -> None:
        check_count("draws", self.draws)

    def noise(self, rng: onp.random.Generator, model: AQF, n: int) -> Tree:
        return {"alpha": model.levels(rng, self.draws, n)}

    def __call__(self, params: Tree, model: AQF, x: Array, noise: Tree, context: Array | None = None) -> Array:
        return model.quantile_loss(params, x, noise["alpha"], context)


OBJECTIVES: dict[str, Callable[[float, int], Objective]] = {  # name -> (beta, draws) -> objective
    "energy": lambda beta, draws: Energy(beta, draws),
    "likelihood": lambda beta, draws: Likelihood(),
    "sliced": lambda beta, draws: Sliced(beta, draws),
    "mmd": lambda beta, draws: MMD(draws),
    "quantile": lambda beta, draws: Quantile(draws),
}


def objective_for(model: Model, name: str, beta: float = 1.0, draws: int = 4) -> Objective:
    """The objective of this name, or a ValueError that says why the model cannot be trained on it."""
    objective = lookup("objective", name, OBJECTIVES)(beta, draws)
    if name == "quantile" and not isinstance(model, AQF):
        raise ValueError("the quantile objective trains autoregressive quantile flows (aqf) only")
    if name == "likelihood" and not hasattr(model, "log_prob"):
        raise ValueError("a free-form head has no log_prob: choose energy, sliced or mmd, or an invertible block map")
    return objective
