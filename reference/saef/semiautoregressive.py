r"""Semi-autoregressive energy flows (Si, Chen, Sahoo, Schiff & Kuleshov 2023).

The coordinates of x are split into B blocks, generated one after the other:

$$x_b = T_b(z_b;\, h_b), \qquad h_b = c_b(x_{<b}), \qquad b = 1, \dots, B$$

B = d is fully autoregressive, B = 1 a plain energy flow. One masked network computes all contexts $h_b$ at once; block b sees
$x_{<b}$ and nothing else, of the noise only $z_b$. With invertible $T_b$ the whole is a bijection (`SAEF`), and with a base it
is a flow, `Flow(base, SAEF(...))`:

    forward  (noise -> data)   B steps, each waits for the blocks before it
    inverse  (data -> noise)   one pass, $z_b = T_b^{-1}(x_b; h_b)$
    log_det                    the sum over the blocks

Training is by teacher forcing: the contexts come from the true $x_{<b}$, each block makes m draws (`forecasts`), and a proper
score compares them with the true block,

$$\text{loss} = \sum_b S\big(T_b(\,\cdot\,; h_b),\, x_b\big), \qquad S = ES_\beta,$$

a sum of strictly proper conditional scores, hence strictly proper for the joint law (chain rule). No likelihood, no
determinant. Two things are called context in the code: $h_b$, made by the context network (`contexts`), and the argument
`context`, a condition on everything such as a class label, which that network takes beside $x_{<b}$. At b = 1 it takes nothing
else: without a condition $h_1$ is a learned constant.

With a free-form head in place of $T_b$ there is no inverse: that is a `FreeForm`, a model of its own that can be sampled and
trained. The published image models end in such heads.
"""
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, MaskedMLP, Tree, arrays, check_count, check_finite, check_shape, replaceable
from evenflow.reference.core.matrices import put, repeated, take
from evenflow.reference.flows.contract import Bijection, check_input, draws_each
from evenflow.reference.flows.densities import Density, Normal
from evenflow.reference.flows.flow import Flow, Score
from evenflow.reference.flows.permutation import check_order
from evenflow.reference.saef.maps import FreeFormHead, block_map_of


@dataclass(frozen=True)
class SemiAutoregressive:
    """What SAEF and FreeForm share. params = {"contexts": ..., "maps": [...]}.

    blocks: the coordinates of each block, in the order of generation; maps: T_b for each block; where they are one object they
    share their parameters, and what differs from block to block comes through h_b (so do the authors: one head). context_width:
    the length of h_b; hidden: of the context network; context_dim: of a condition on everything, a one-hot class label say.
    """
    blocks: tuple[tuple[int, ...], ...]
    maps: tuple[Bijection | FreeFormHead, ...]
    context_width: int
    hidden: tuple[int, ...]
    context_dim: int = 0
    activation: str = "relu"  # of the context network

    def __post_init__(self) -> None:
        check_order("blocks", tuple(i for block in self.blocks for i in block))
        check_count("context_width", self.context_width)
        sizes = tuple(map(len, self.blocks))
        if tuple(T.d for T in self.maps) != sizes:
            raise ValueError(f"maps must be one for each block, of the sizes {sizes}, got {tuple(T.d for T in self.maps)}")
        if any(T.context_dim != self.context_width for T in self.maps):
            raise ValueError(f"maps must have context_dim {self.context_width}, got {[T.context_dim for T in self.maps]}")

    @property
    def d(self) -> int:
        return sum(map(len, self.blocks))

    @cached_property
    def net(self) -> MaskedMLP:
        """All contexts c_1, ..., c_B in one masked network: a coordinate's degree is the number of its block."""
        number = {i: b for b, block in enumerate(self.blocks, 1) for i in block}
        seen = tuple(number[i] for i in range(self.d))
        made = tuple(b for b in range(1, len(self.blocks) + 1) for _ in range(self.context_width))
        return MaskedMLP(seen, made, self.hidden, self.activation, self.context_dim)

    @cached_property
    def different(self) -> list[Bijection | FreeFormHead]:
        """Each map once, in the order of the blocks; params["maps"] has one entry for each."""
        return list({id(T): T for T in self.maps}.values())

    def init(self, rng: onp.random.Generator) -> Tree:
        return {"contexts": self.net.init(rng), "maps": [T.init(rng) for T in self.different]}

    def each(self, params: Tree) -> list[tuple[Bijection | FreeFormHead, list[int], Tree]]:
        """T_b, its block and its parameters, for every b."""
        place = {id(T): p for T, p in zip(self.different, params["maps"], strict=True)}
        return [(T_b, list(block), place[id(T_b)]) for T_b, block in zip(self.maps, self.blocks, strict=True)]

    def contexts(self, params: Tree, x: Array, context: Array | None) -> Array:
        """x (n, d) -> h (n, B, context_width); h[:, b] is a function of the blocks before b."""
        h = self.net(params["contexts"], x, context)
        return np.reshape(h, (x.shape[0], len(self.blocks), self.context_width))

    @arrays("z", "context")
    def generate(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, list[Array | None]]:
        """B steps from noise to data: x (n, d) and what each block's map said of its log_det.

        Every step runs the whole context network on what is there so far and keeps the context of one block, so sampling
        costs B passes where inversion costs one.
        """
        check_input(self, "z", z, context)
        x, log_dets = np.zeros_like(z), []
        for b, (T_b, block, p_b) in enumerate(self.each(params)):
            h_b = self.contexts(params, x, context)[:, b]          # what is still zero in x, it does not see
            x_b, log_det = T_b.forward(p_b, take(z, block), h_b)
            x = put(x, block, x_b)
            log_dets.append(log_det)
        return x, log_dets

    @arrays("x", "z", "context")
    @replaceable
    def forecasts(self, params: Tree, x: Array, z: Array, context: Array | None = None) -> list[tuple[Array, Array]]:
        """Teacher forcing: x (n, d), noise z (m n, d) -> for each block its m draws (m, n, k) and the true block (n, k).

        Without a condition h_1 is the same for all data, and so is the forecast: all draws of block 1 are one, (m n, k).
        """
        check_input(self, "x", x, context)
        check_shape("noise", z, "m n", self.d)
        m, n = draws_each(z, x), x.shape[0]
        h = self.contexts(params, x, context)                      # from the true x_<b, the same for all draws
        pairs = [
            (draws_of(T_b, p_b, np.reshape(take(z, block), (m, n, len(block))), h[:, b]), take(x, block))
            for b, (T_b, block, p_b) in enumerate(self.each(params))
        ]
        if context is None:
            draws, first = pairs[0]
            pairs[0] = np.reshape(draws, (-1, first.shape[1])), first
        return pairs


@replaceable
def draws_of(T: Bijection | FreeFormHead, params: Tree, z: Array, h: Array) -> Array:
    """m draws of a block for each context: noise z (m, rows, k), h (rows, context_width) -> (m, rows, k)."""
    m, rows, k = z.shape
    return np.reshape(T.forward(params, np.reshape(z, (m * rows, k)), repeated(h, m))[0], z.shape)


@dataclass(frozen=True)
class SAEF(SemiAutoregressive):
    """The bijection: every T_b is one, and so is the whole.

    >>> T = block_map_of("affine", 2, 8, (), 1)
    >>> flow = Flow(Normal(4), SAEF(((0, 1), (2, 3)), (T, T), 8, (16,)))
    >>> params = flow.init(onp.random.default_rng(0))
    >>> flow.log_prob(params, onp.zeros((3, 4))).shape
    (3,)
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(isinstance(T, FreeFormHead) for T in self.maps):
            raise ValueError("maps must be bijections, got a free-form head: that makes a FreeForm, not a SAEF")

    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        """z (n, d) -> x (n, d), log_det (n,), in B steps."""
        x, log_dets = self.generate(params, z, context)
        return x, sum(log_dets)

    @arrays("x", "context")
    @replaceable
    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        """x (n, d) -> z (n, d), log_det (n,), in one pass."""
        check_input(self, "x", x, context)
        h = self.contexts(params, x, context)
        z, log_det = np.zeros_like(x), np.zeros_like(x[:, 0])
        for b, (T_b, block, p_b) in enumerate(self.each(params)):
            z_b, change = T_b.inverse(p_b, take(x, block), h[:, b])   # type: ignore[union-attr]
            z, log_det = put(z, block, z_b), log_det + change
        return z, log_det


@dataclass(frozen=True)
class FreeForm(SemiAutoregressive):
    """The model with free-form heads: it can be sampled and trained; it has no `inverse` and no `log_prob`.

    >>> type(saef(4, blocks=2, block_map="free_form")).__name__
    'FreeForm'
    """

    def noise(self, rng: onp.random.Generator, n: int) -> Array:
        """What n samples consume: (n, d) standard normal."""
        return rng.standard_normal((n, self.d))

    @arrays("noise")
    def sample(self, params: Tree, noise: Array, context: Array | None = None) -> Array:
        """noise (n, d) -> x (n, d), in B steps."""
        return self.generate(params, noise, context)[0]

    @arrays("x", "noise", "context")
    def loss(self, params: Tree, x: Array, noise: Array, score: Score, context: Array | None = None) -> Array:
        """As `Flow.loss`: the sum over blocks of the score of m draws, averaged over the data. noise (m n, d)."""
        check_finite("x", x)
        return sum(np.sum(score(draws, y)) for draws, y in self.forecasts(params, x, noise, context)) / x.shape[0]


def saef(
    d: int, blocks: int | Sequence[int], order: Sequence[int] | None = None, block_map: str = "coupling",
    hidden: tuple[int, ...] = (256, 256), context_width: int = 64, map_hidden: tuple[int, ...] = (64, 64),
    map_layers: int = 4, context_dim: int = 0, base: Density | None = None, activation: str = "relu",
) -> Flow | FreeForm:
    """The flow, or with block_map "free_form" the model without inverse. Blocks of one size share one map.

    blocks: how many equal ones, or the list of their sizes; order: of the d coordinates (as they come).
    block_map: affine, dense, coupling or spline (invertible), or free_form (a generator, no inverse); for blocks of one
    coordinate dense and coupling are spline (maps.py says why).
    Raises ValueError where the sizes do not add up to d or the order is not a permutation.

    >>> model = saef(4, blocks=2, block_map="affine")
    >>> params = model.init(onp.random.default_rng(0))
    >>> model.sample(params, model.noise(onp.random.default_rng(1), 5)).shape
    (5, 4)
    """
    parts = split(d, blocks, order)
    of_size = {
        k: block_map_of(block_map, k, context_width, map_hidden, map_layers, activation) for k in dict.fromkeys(map(len, parts))
    }
    choices = parts, tuple(of_size[len(part)] for part in parts), context_width, hidden, context_dim, activation
    return FreeForm(*choices) if block_map == "free_form" else Flow(base or Normal(d), SAEF(*choices))


def split(d: int, blocks: int | Sequence[int], order: Sequence[int] | None = None) -> tuple[tuple[int, ...], ...]:
    """The coordinates of each block: B equal blocks, or blocks of the listed sizes, along `order`."""
    check_count("d", d)
    if isinstance(blocks, int | onp.integer):
        check_count("blocks", blocks)
        if d % blocks:
            raise ValueError(f"blocks must divide d = {d} or be a list of sizes that add up to it, got {blocks}")
        blocks = [d // blocks] * blocks
    for size in blocks:
        check_count("blocks", size)
    if sum(blocks) != d:
        raise ValueError(f"blocks must add up to d = {d}, got {list(blocks)} with sum {sum(blocks)}")
    order = tuple(range(d)) if order is None else tuple(map(operator.index, order))
    check_order("order", order)
    if len(order) != d:
        raise ValueError(f"order must hold d = {d} coordinates, got {len(order)}")
    ends = onp.cumsum(blocks).tolist()
    return tuple(order[end - size : end] for size, end in zip(blocks, ends, strict=True))
