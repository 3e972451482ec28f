r"""A flow is a base density pushed through a bijection.

$$x = T(z),\; z \sim \rho \qquad \log p(x) = \log \rho(T^{-1}(x)) + \log |\det dT^{-1}/dx|$$

The four constructors build the usual stacks. They are trained by maximum likelihood (`log_prob`) or, with nothing but samples,
by a score (`loss`): the energy flows of Si et al. 2023 are these same stacks under the energy objective.
"""
from collections.abc import Callable
from dataclasses import dataclass

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, Tree, arrays, check_count, check_finite, lookup, repeated
from evenflow.reference.flows.activation import SmoothLeakyReLU
from evenflow.reference.flows.affine import AffineTransformer
from evenflow.reference.flows.autoregressive import MaskedAutoregressive
from evenflow.reference.flows.compose import Around, Chain
from evenflow.reference.flows.contract import Bijection, Forecaster, Transformer, check_input, draws_each
from evenflow.reference.flows.coupling import Coupling, elementwise
from evenflow.reference.flows.dense import PLU, Dense
from evenflow.reference.flows.densities import Density, Normal, Uniform
from evenflow.reference.flows.permutation import reversal
from evenflow.reference.flows.spline import SplineTransformer

Score = Callable[[Array, Array], Array]  # draws (m, n, d) or (m, d), y (n, d) -> (n,), as in scores/


@dataclass(frozen=True)
class Flow(Around):
    """The density of x = T(z): any base, any bijection T. params are the bijection's.

    >>> flow = Flow(Normal(2), Dense(2))
    >>> params = flow.init(onp.random.default_rng(0))
    >>> x = flow.sample(params, flow.noise(onp.random.default_rng(1), 5))
    >>> flow.log_prob(params, x).shape
    (5,)
    """
    base: Density
    bijection: Bijection

    def __post_init__(self) -> None:
        if self.base.d != self.bijection.d:
            raise ValueError(f"base and bijection must agree in d, got {self.base.d} and {self.bijection.d}")

    @property
    def d(self) -> int:
        return self.bijection.d

    def noise(self, rng: onp.random.Generator, n: int) -> Tree:
        """What n samples consume: the base's noise."""
        return self.base.noise(rng, n)

    def sample(self, params: Tree, noise: Tree, context: Array | None = None) -> Array:
        """noise for n samples, context (n, c) -> x (n, d)."""
        return self.bijection.forward(params, self.base.sample(noise), context)[0]

    def sample_and_log_prob(self, params: Tree, noise: Tree, context: Array | None = None) -> tuple[Array, Array]:
        """The samples and their log density, in one pass: x (n, d), log_prob (n,)."""
        z = self.base.sample(noise)
        x, log_det = self.bijection.forward(params, z, context)
        return x, self.base.log_prob(z) - log_det

    def log_prob(self, params: Tree, x: Array, context: Array | None = None) -> Array:
        """x (n, d), context (n, c) -> (n,), in nats."""
        z, log_det = self.inverse(params, x, context)
        return self.base.log_prob(z) + log_det

    @arrays("x", "context")
    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        """x (n, d) -> z (n, d), log_det (n,): the bijection's."""
        check_finite("x", x)
        return self.bijection.inverse(params, x, context)

    @arrays("x", "context")
    def loss(self, params: Tree, x: Array, noise: Tree, score: Score, context: Array | None = None) -> Array:
        """Mean score of the flow as a forecast of x (n, d): the training objective of energy flows (Si et al. 2023).

        Without context all samples are one forecast that every datum is scored against, batch against batch. With context each
        datum has m draws of its own, and the noise is for m n samples; so it is for a SAEF, which is scored block by block.
        """
        check_input(self, "x", x, context)
        check_finite("x", x)
        z = self.base.sample(noise)
        if isinstance(self.bijection, Forecaster):
            forecasts = self.bijection.forecasts(params, x, z, context)
        elif context is None:
            forecasts = [(self.bijection.forward(params, z)[0], x)]
        else:
            m = draws_each(z, x)
            draws, _ = self.bijection.forward(params, z, repeated(context, m))
            forecasts = [(np.reshape(draws, (m, *x.shape)), x)]
        return sum(np.sum(score(draws, y)) for draws, y in forecasts) / x.shape[0]


def realnvp(
    d: int, layers: int = 8, hidden: tuple[int, ...] = (64, 64), context_dim: int = 0,
    transformer: Transformer = AffineTransformer(), final_scale: float = 0.01, base: Density | None = None,
    activation: str = "relu",
) -> Flow:
    """Affine couplings with alternating checkerboard masks, then a learned scale and shift (Dinh et al. 2017).

    final_scale: of the networks' last weights at the start; 0 makes the flow begin as exactly its base. activation: of the
    networks; with tanh an outlier moves scales and shifts no further than any far point, with relu in proportion.
    At d = 1 there is nothing to couple: whatever the layers, x is the base scaled and shifted. There take spline_flow, which
    bends.

    >>> flow = realnvp(2, final_scale=0.0)
    >>> flow.log_prob(flow.init(onp.random.default_rng(0)), np.zeros((1, 2))).round(3)
    array([-1.838])
    """
    stack = couplings(d, layers, hidden, context_dim, transformer, final_scale, activation)
    last = elementwise(d, context_dim=context_dim, final_scale=final_scale)
    return Flow(base or Normal(d), Chain((*stack, last)))


def spline_flow(
    d: int, layers: int = 4, hidden: tuple[int, ...] = (64, 64), context_dim: int = 0, bins: int = 8, bound: float = 5.0,
    final_scale: float = 0.01, base: Density | None = None, activation: str = "relu",
) -> Flow:
    """The same with rational-quadratic splines (Durkan et al. 2019, coupling).

    Splines map the cube [-bound, bound]^d onto itself. A uniform base there is kept: no scale and shift at the end.

    >>> flow = spline_flow(2, base=Uniform(2, -5.0, 5.0))
    >>> flow.log_prob(flow.init(onp.random.default_rng(0)), np.full((1, 2), 9.0))
    array([-inf])
    """
    transformer = SplineTransformer(bins, bound)
    if not isinstance(base, Uniform):
        return realnvp(d, layers, hidden, context_dim, transformer, final_scale, base, activation)
    if base != Uniform(d, -bound, bound):
        raise ValueError(f"base must be Uniform({d}, -{bound}, {bound}), the cube that the splines map onto itself, got {base}")
    return Flow(base, Chain(couplings(d, layers, hidden, context_dim, transformer, final_scale, activation)))


def couplings(
    d: int, layers: int, hidden: tuple[int, ...], context_dim: int, transformer: Transformer, final_scale: float,
    activation: str,
) -> tuple[Bijection, ...]:
    """With alternating checkerboard masks."""
    check_count("d", d)
    check_count("layers", layers)
    masks = [tuple((i + k) % 2 == 1 for i in range(d)) if d > 1 else (False,) for k in range(layers)]
    return tuple(Coupling(m, transformer, hidden, activation, context_dim, final_scale) for m in masks)


def maf(
    d: int, layers: int = 5, hidden: tuple[int, ...] = (64, 64), context_dim: int = 0,
    transformer: Transformer = AffineTransformer(), base: Density | None = None, activation: str = "relu",
) -> Flow:
    """Masked autoregressive layers, the order reversed between them (Papamakarios et al. 2017).

    The first coordinate of a layer, at d = 1 the only one, sees no other: affine, it is scaled and shifted and no more.

    >>> flow = maf(3, layers=2)
    >>> flow.sample(flow.init(onp.random.default_rng(0)), np.zeros((5, 3))).shape
    (5, 3)
    """
    check_count("layers", layers)
    turn = reversal(d)
    layer = MaskedAutoregressive(tuple(range(d)), transformer, hidden, activation, context_dim)
    return Flow(base or Normal(d), Chain((layer, *(layers - 1) * (turn, layer))))


def dense_flow(
    d: int, layers: int = 4, context_dim: int = 0, slope: float = 0.3, base: Density | None = None, matrix: str = "free"
) -> Flow:
    """Square dense layers and smooth leaky activations in turn: a multilayer perceptron that can be inverted.

    The plainest energy flow: training needs samples alone, so nobody waits for a determinant. matrix: free, or plu, in factors.
    In the dense layers a context moves the shift alone; where there is one, a scale and shift that it makes come last, so that
    the spread can follow it, too.

    >>> flow = dense_flow(2, layers=1, matrix="plu")
    >>> flow.sample(flow.init(onp.random.default_rng(0)), np.array([[0.0, 0.0]]))
    array([[0., 0.]])
    """
    check_count("layers", layers)
    kinds: dict[str, Bijection] = {"free": Dense(d, context_dim), "plu": PLU(reversal(d).order, context_dim)}
    dense = lookup("matrix", matrix, kinds)
    last = (elementwise(d, AffineTransformer(5.0), context_dim, (64, 64)),) if context_dim else ()
    return Flow(base or Normal(d), Chain((*layers * (dense, SmoothLeakyReLU(d, slope)), dense, *last)))
