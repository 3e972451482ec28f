r"""Jarzynski reweighting: walkers that never need to be in equilibrium, because they carry weights (Carbone et al. 2023).

With $U_k = E_k - \log\rho$ at training step k, a step size h, and the density $q_k(y \mid x)$ of one step of ULA under $U_k$,

$$\alpha_k(x, y) = U_k(x) + \tfrac12 (y - x) \cdot \nabla U_k(x) + \tfrac h4 |\nabla U_k(x)|^2
= U_k(x) - \log q_k(y \mid x) - |y - x|^2 / 4h + \text{const}.$$

One training step, for walkers X with log weights A that stand for $U_k$:

    1.  x+ from the data; x- = X, weighted by softmax(A)
    2.  theta_k+1 = theta_k - gamma_E (mean grad E(x+) - weighted mean grad E(x-))
    3.  X' = X - h grad U_k(X) + sqrt(2h) xi
    4.  A' = A - alpha_k+1(X', X) + alpha_k(X, X')
    5.  where the effective number of walkers has fallen too low: bank log mean exp A', resample, A' = 0

Why it is exact for any h. X, A stand for U_k: $\mathbb{E}[f(X)\, e^A] = \int f e^{-U_k} / Z_0$. With the ratio that step 4 is,

$$e^{A' - A} = \frac{e^{-U_{k+1}(X')}\, q_{k+1}(X \mid X')}{e^{-U_k(X)}\, q_k(X' \mid X)}, \qquad
\mathbb{E}[f(X')\, e^{A'}] = \iint f(y)\, e^{-U_{k+1}(y)} q_{k+1}(x \mid y)\, dx\, dy / Z_0 = \int f e^{-U_{k+1}} / Z_0,$$

and f = 1 gives Z_k+1 / Z_0. Hence the order: X' is made by the old energy and weighed by the new one, in the same step. At
the start E = 0 and the walkers are drawn from $\rho$: A = 0 and log Z_0 = 0 are exact, and log Z comes for free from then on.

Exact, that is, for a path that does not answer to the walkers. An energy that learns from them does: it rises just where they
stand, and log Z comes out too low, by an amount that falls as 1 / walkers.
"""
import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from evenflow.reference.core import Adam, Array, Tree, arrays, beside, check_count, check_positive, check_shape, logsumexp, told
from evenflow.reference.ebm.contract import Info, Optimiser, Rates, check_unbounded
from evenflow.reference.ebm.energies import EBM, Energy
from evenflow.reference.ebm.updates import Tilted, check_alive, energy_step
from evenflow.reference.flows import Density
from evenflow.reference.mcmc import langevin
from evenflow.reference.mcmc.contract import LogDensity
from evenflow.reference.mcmc.langevin import drift, evaluate


class State(NamedTuple):
    energy: Tree
    energy_optimiser: Tree
    walkers: Array      # (walkers, d): X
    log_weights: Array  # (walkers,): A
    banked: Array       # a number: the part of log Z that resampling has taken out of A


@dataclass(frozen=True)
class Jarzynski(Tilted):
    """base: rho; step_size: h; threshold: resample where less than this share of the walkers is effective, 0 for never.

    >>> from evenflow import MLPEnergy, Normal
    >>> model, rng = Jarzynski(MLPEnergy(2), Normal(2), walkers=16), np.random.default_rng(0)
    >>> state, info = model.step(model.init(rng), np.ones((8, 2)), model.noise(rng), Rates(0.01))
    >>> sorted(info)
    ['contrast', 'ess', 'gradient_norm', 'log_z']
    """
    energy: Energy
    base: Density
    step_size: float = 0.01
    walkers: int = 1024
    threshold: float = 0.5
    energy_optimiser: Optimiser = Adam()

    def __post_init__(self) -> None:
        EBM(self.energy, tilt=self.base)  # says whether they fit
        check_unbounded("base", self.base)
        check_positive("step_size", self.step_size)
        check_count("walkers", self.walkers)
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must lie between 0 and 1, got {self.threshold!r}")

    @property
    def ebm(self) -> EBM:
        return EBM(self.energy, tilt=self.base)

    def init(self, rng: np.random.Generator) -> State:
        energy, walkers = self.energy.init(rng), self.base.sample(self.base.noise(rng, self.walkers))
        return State(energy, self.energy_optimiser.init(energy), walkers, np.zeros_like(walkers[:, 0]), np.array(0.0))

    def noise(self, rng: np.random.Generator) -> Tree:
        return {"normal": rng.standard_normal((self.walkers, self.base.d)), "uniform": rng.random(())}

    def step(self, state: State, positives: Array, noise: Tree, rates: Rates) -> tuple[State, Info]:
        """positives (n, d): the x+ of the list above. rates.flow is not used."""
        X, A, banked = state.walkers, state.log_weights, state.banked                            # 1
        theta, info = energy_step(self, state, positives, X, rates.energy, softmax(A))           # 2
        log_p, log_p_next = (partial(self.ebm.log_density, energy) for energy in (state.energy, theta["energy"]))
        X, A = carried(X, A, noise["normal"], self.step_size, log_p, log_p_next)                 # 3, 4
        log_z, effective = banked + log_mean_exp(A), effective_size(A)
        few = effective < self.threshold * len(A)                                                # 5
        X, A = np.where(few, resampled(X, A, noise["uniform"]), X), np.where(few, np.zeros_like(A), A)
        banked = np.where(few, log_z, banked).astype(state.banked.dtype)
        walkers = {"walkers": X, "log_weights": A, "banked": banked}
        return state._replace(**theta, **walkers), {**info, "ess": told(effective), "log_z": told(log_z)}

    def log_z(self, state: State) -> float:
        """The estimate of log Z, right on average but for the logarithm."""
        return float(state.banked + log_mean_exp(state.log_weights))


@arrays("X", "A", "noise")
def carried(
    X: Array, A: Array, noise: Array, h: float, log_density: LogDensity, log_density_next: LogDensity
) -> tuple[Array, Array]:
    """Steps 3 and 4: walkers (n, d) that stand for the first density, after a move those that stand for the second."""
    check_shape("noise", noise, *X.shape)
    here = evaluate(X, log_density)
    check_alive(here.log_p)
    with np.errstate(over="ignore"):
        there = evaluate(drift(here, h) + math.sqrt(2 * h) * noise, log_density_next)
    check_alive(there.log_p)
    return there.x, A - alpha(there, here.x, h) + alpha(here, there.x, h)


def alpha(at: langevin.State, y: Array, h: float) -> Array:
    """alpha(x, y) at x = at.x, where U = -log_p and grad U = -score.  y (n, d) -> (n,)."""
    return -at.log_p - np.sum((y - at.x) * at.score, axis=1) / 2 + h / 4 * np.sum(at.score**2, axis=1)


def softmax(A: Array) -> Array:
    return np.exp(A - logsumexp(A, axis=0))


def log_mean_exp(A: Array) -> Array:
    return logsumexp(A, axis=0).astype(np.float64) - math.log(len(A))


def effective_size(A: Array) -> Array:
    r"""$(\sum w)^2 / \sum w^2$ with $w = e^A$: from 1 to n."""
    whole, squares = (logsumexp(k * A, axis=0).astype(np.float64) for k in (1, 2))
    return np.exp(2 * whole - squares)


def resampled(X: Array, A: Array, uniform: Array) -> Array:
    """Systematic resampling: walker i comes n w_i times on average, rounded down or up.  uniform in [0, 1) -> (n, d).

    One uniform number for all: the points (uniform + 0 ... n - 1) / n are looked up in the running sum of the weights.
    """
    n, reached = len(A), np.cumsum(softmax(A))
    last = np.searchsorted(reached, reached[-1])  # behind it there may be walkers without weight
    chosen = np.searchsorted(reached, reached[-1] * ((uniform + beside(np.arange(n), A)) / n), side="right")
    return X[np.minimum(chosen, last)]
