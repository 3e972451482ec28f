r"""A flow is a base density pushed through a bijection.

$$x = T(z),\; z \sim \rho \qquad \log p(x) = \log \rho(T^{-1}(x)) + \log |\det dT^{-1}/dx|$$

The four constructors build the usual stacks. They are trained by maximum likelihood (`log_prob`) or, with nothing but samples,
by a score (`loss`): the energy flows of Si et al. 2023 are these same stacks under the energy objective.
"""
from collections.abc import Callable
from dataclasses import dataclass

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core.checks import check_count, check_finite
from evenflow.reference.core.trees import Array, Tree, leaves
from evenflow.reference.flows.activation import SmoothLeakyReLU
from evenflow.reference.flows.affine import AffineTransformer
from evenflow.reference.flows.autoregressive import MaskedAutoregressive
from evenflow.reference.flows.compose import Chain
from evenflow.reference.flows.contract import Bijection, Transformer, check_input
from evenflow.reference.flows.coupling import Coupling, elementwise
from evenflow.reference.flows.dense import Dense
from evenflow.reference.flows.densities import Density, StandardNormal
from evenflow.reference.flows.permutation import reversal
from evenflow.reference.flows.spline import SplineTransformer

Score = Callable[[Array, Array], Array]  # draws (m, n, d) or (m, d), y (n, d) -> (n,), as in scores/


@dataclass(frozen=True)
class Flow:
    """params = {"base": ..., "bijection": ...}."""
    base: Density
    bijection: Bijection

    def __post_init__(self) -> None:
        if self.base.d != self.bijection.d:
            raise ValueError(f"base and bijection must agree in d, got {self.base.d} and {self.bijection.d}")

    @property
    def d(self) -> int:
        return self.bijection.d

    @property
    def context_dim(self) -> int:
        return self.bijection.context_dim

    def init(self, rng: onp.random.Generator) -> Tree:
        return {"base": self.base.init(rng), "bijection": self.bijection.init(rng)}

    def noise(self, rng: onp.random.Generator, n: int) -> Tree:
        """What n samples consume: the base's noise."""
        return self.base.noise(rng, n)

    def loss_noise(self, rng: onp.random.Generator, m: int, n: int) -> Tree:
        """What `loss` consumes for n data: the base's noise for m n samples."""
        return self.base.noise(rng, m * n)

    def sample(self, params: Tree, noise: Tree, context: Array | None = None) -> Array:
        """noise for n samples, context (n, c) -> x (n, d)."""
        return self.bijection.forward(params["bijection"], self.base.sample(params["base"], noise), context)[0]

    def sample_and_log_prob(self, params: Tree, noise: Tree, context: Array | None = None) -> tuple[Array, Array]:
        """The samples and their log density, in one pass: x (n, d), log_prob (n,)."""
        z = self.base.sample(params["base"], noise)
        x, log_det = self.bijection.forward(params["bijection"], z, context)
        return x, self.base.log_prob(params["base"], z) - log_det

    def log_prob(self, params: Tree, x: Array, context: Array | None = None) -> Array:
        """x (n, d), context (n, c) -> (n,), in nats."""
        check_finite("x", x)
        z, log_det = self.bijection.inverse(params["bijection"], x, context)
        return self.base.log_prob(params["base"], z) + log_det

    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        """x (n, d) -> z (n, d), log_det (n,): the bijection's."""
        check_finite("x", x)
        return self.bijection.inverse(params["bijection"], x, context)

    def loss(self, params: Tree, x: Array, noise: Tree, score: Score, context: Array | None = None) -> Array:
        """Mean score of the flow as a forecast of x (n, d): the training objective of energy flows (Si et al. 2023).

        Without context all samples are one forecast that every datum is scored against, batch against batch; with context
        each datum has m draws of its own, and the noise is for m n samples.
        """
        check_input(self, "x", x, context)
        check_finite("x", x)
        if context is None:
            return np.sum(score(self.sample(params, noise), x)) / x.shape[0]
        m, rest = divmod(next(leaves(noise)).shape[0], x.shape[0])
        if rest or m < 1:
            raise ValueError(f"noise must be for m n samples, n = {x.shape[0]}, got noise for {m * x.shape[0] + rest}")
        samples = self.sample(params, noise, np.concatenate([context] * m))
        return np.sum(score(np.reshape(samples, (m, *x.shape)), x)) / x.shape[0]


def realnvp(
    d: int, layers: int = 8, hidden: tuple[int, ...] = (64, 64), context_dim: int = 0,
    transformer: Transformer = AffineTransformer(), final_scale: float = 0.01,
) -> Flow:
    """Affine couplings with alternating checkerboard masks, then a learned scale and shift (Dinh et al. 2017).

    final_scale: of the networks' last weights at the start; 0 makes the flow begin as exactly its base.
    """
    check_count("d", d)
    check_count("layers", layers)
    masks = [tuple((i + k) % 2 == 1 for i in range(d)) if d > 1 else (False,) for k in range(layers)]
    couplings = [Coupling(mask, transformer, hidden, context_dim=context_dim, final_scale=final_scale) for mask in masks]
    last = elementwise(d, context_dim=context_dim, final_scale=final_scale)
    return Flow(StandardNormal(d), Chain((*couplings, last)))


def spline_flow(
    d: int, layers: int = 4, hidden: tuple[int, ...] = (64, 64), context_dim: int = 0, bins: int = 8, bound: float = 5.0
) -> Flow:
    """The same with rational-quadratic splines (Durkan et al. 2019, coupling)."""
    return realnvp(d, layers, hidden, context_dim, SplineTransformer(bins, bound))


def maf(
    d: int, layers: int = 5, hidden: tuple[int, ...] = (64, 64), context_dim: int = 0,
    transformer: Transformer = AffineTransformer(),
) -> Flow:
    """Masked autoregressive layers, the order reversed after each (Papamakarios et al. 2017)."""
    check_count("d", d)
    check_count("layers", layers)
    order = tuple(range(d))
    stack: list[Bijection] = []
    for _ in range(layers):
        stack += [MaskedAutoregressive(order, transformer, hidden, context_dim=context_dim), reversal(d)]
    return Flow(StandardNormal(d), Chain(tuple(stack[:-1])))


def dense_flow(d: int, layers: int = 4, context_dim: int = 0, slope: float = 0.3) -> Flow:
    """Square dense layers and smooth leaky activations in turn: a multilayer perceptron that can be inverted.

    The plainest energy flow: training needs samples alone, so nobody waits for a determinant.
    """
    check_count("layers", layers)
    stack: list[Bijection] = []
    for _ in range(layers):
        stack += [Dense(d, context_dim), SmoothLeakyReLU(d, slope)]
    return Flow(StandardNormal(d), Chain((*stack, Dense(d, context_dim))))
