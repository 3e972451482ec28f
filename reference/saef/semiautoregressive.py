r"""Semi-autoregressive energy flows (Si, Chen, Sahoo, Schiff & Kuleshov 2023).

The coordinates of x are split into B blocks, generated one after the other:

$$x_b = T_b(z_b;\, h_b), \qquad h_b = c_b(x_{<b}), \qquad b = 1, \dots, B$$

B = d is fully autoregressive, B = 1 a plain energy flow. One masked network computes all contexts $h_b$ at once; block b sees
$x_{<b}$ and nothing else, of the noise only $z_b$. Training is by teacher forcing: the contexts come from the true $x_{<b}$,
each block makes m draws, and a proper score compares them with the true block,

$$\text{loss} = \sum_b S\big(T_b(\,\cdot\,; h_b),\, x_b\big), \qquad S = ES_\beta,$$

a sum of strictly proper conditional scores, hence strictly proper for the joint law (chain rule). No likelihood, no
determinant. Two things are called context in the code: $h_b$, made by the context network (`contexts`), and the argument
`context`, a condition on everything such as a class label, which that network takes beside $x_{<b}$. At b = 1 it takes nothing
else: without a condition $h_1$ is a learned constant. With invertible $T_b$ the whole is a bijection all the same:

    forward  (noise -> data)   B steps, each waits for the blocks before it
    inverse  (data -> noise)   one pass, $z_b = T_b^{-1}(x_b; h_b)$
    log_det                    the sum over the blocks

Blocks of one size share one map T; what differs from block to block comes through $h_b$ (so do the authors: one head).
With a free-form head in place of T there is no inverse: that is a `SemiAutoregressive`, the type without `inverse` and
`log_prob`. The published image models end in such heads.
"""
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core.checks import check_count, check_finite, check_shape
from evenflow.reference.core.dispatch import replaceable
from evenflow.reference.core.networks import MaskedMLP
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.flows import Bijection
from evenflow.reference.flows.contract import check_input
from evenflow.reference.flows.densities import StandardNormal
from evenflow.reference.flows.flow import Score
from evenflow.reference.flows.permutation import check_order
from evenflow.reference.saef.maps import FreeFormHead, block_map_of


@dataclass(frozen=True)
class SemiAutoregressive:
    """The type that trains and samples; with invertible maps it is a SAEF. params = {"contexts": ..., "maps": [...]}.

    blocks: the coordinates of each block, in the order of generation; maps: one T for each distinct block size, in the
    order in which the sizes first appear; context_width: the length of h_b; hidden: the widths of the context network;
    context_dim: of a condition on everything, a one-hot class label say.
    """
    blocks: tuple[tuple[int, ...], ...]
    maps: tuple[Bijection | FreeFormHead, ...]
    context_width: int
    hidden: tuple[int, ...]
    context_dim: int = 0

    def __post_init__(self) -> None:
        check_order("blocks", self.order)
        check_count("context_width", self.context_width)
        if tuple(T.d for T in self.maps) != self.sizes:
            raise ValueError(f"maps must be of the block sizes {self.sizes}, got {tuple(T.d for T in self.maps)}")
        if any(T.context_dim != self.context_width for T in self.maps):
            raise ValueError(f"maps must have context_dim {self.context_width}, got {[T.context_dim for T in self.maps]}")

    @property
    def d(self) -> int:
        return len(self.order)

    @property
    def order(self) -> tuple[int, ...]:
        """The coordinates in the order of generation."""
        return tuple(i for block in self.blocks for i in block)

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(map(len, self.blocks)))

    @cached_property
    def net(self) -> MaskedMLP:
        """All contexts c_1, ..., c_B in one masked network: a coordinate's degree is the number of its block."""
        number = {i: b for b, block in enumerate(self.blocks, 1) for i in block}
        seen = tuple(number[i] for i in range(self.d))
        made = tuple(b for b in range(1, len(self.blocks) + 1) for _ in range(self.context_width))
        return MaskedMLP(seen, made, self.hidden, "relu", self.context_dim)

    def init(self, rng: onp.random.Generator) -> Tree:
        return {"contexts": self.net.init(rng), "maps": [T.init(rng) for T in self.maps]}

    def contexts(self, params: Tree, x: Array, context: Array | None) -> Array:
        """x (n, d) -> h (n, B, context_width); h[:, b] is a function of the blocks before b."""
        h = self.net(params["contexts"], x, context)
        return np.reshape(h, (x.shape[0], len(self.blocks), self.context_width))

    def groups(self, params: Tree, h: Array) -> Iterator[tuple[Bijection | FreeFormHead, Tree, Array, Array]]:
        """For each block size k: the map, its parameters, the coordinates (B_k, k) and contexts (n, B_k, w) of its blocks."""
        for T, p in zip(self.maps, params["maps"], strict=True):
            which = [b for b, block in enumerate(self.blocks) if len(block) == T.d]
            yield T, p, onp.array([self.blocks[b] for b in which]), h if len(which) == len(self.blocks) else h[:, which]

    def loss(self, params: Tree, x: Array, noise: Array, score: Score, context: Array | None = None) -> Array:
        """Teacher forcing: the sum over blocks of the score of m draws, averaged over the data.

        x (n, d), noise (m, n, d) standard normal, context (n, context_dim) -> scalar. `score` is any of the scores for
        m draws a datum: the energy score for the paper's objective, the sliced one, a kernel score (MMD).
        """
        check_input(self, "x", x, context)
        check_finite("x", x)
        check_shape("noise", noise, "m", *x.shape)
        m, n = noise.shape[:2]
        total = 0.0
        for T, p, members, h in self.groups(params, self.contexts(params, x, context)):
            k, rows = T.d, n * len(members)
            z_b = np.reshape(noise[:, :, members], (m, rows, k))       # m draws for each datum and block
            h_b = np.reshape(h, (rows, self.context_width))            # from the true x_<b, the same for all draws
            draws = draws_of(T, p, z_b, h_b)
            x_b = np.reshape(x[:, members], (rows, k))
            total = total + np.sum(score(draws, x_b))
        return total / n

    def noise(self, rng: onp.random.Generator, n: int) -> Array:
        """What n samples consume: (n, d) standard normal."""
        return rng.standard_normal((n, self.d))

    def loss_noise(self, rng: onp.random.Generator, m: int, n: int) -> Array:
        """What `loss` consumes for n data: (m, n, d) standard normal."""
        return rng.standard_normal((m, n, self.d))

    def sample(self, params: Tree, noise: Array, context: Array | None = None) -> Array:
        """noise (n, d) standard normal -> x (n, d), in B steps."""
        return self.generate(params, noise, context)[0]

    def generate(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, list[Array | None]]:
        """B steps from noise to data: x (n, d) and what each block's map said of its log_det.

        Every step runs the whole context network on what is there so far and keeps the context of one block, so sampling
        costs B passes where inversion costs one.
        """
        check_input(self, "z", z, context)
        done, log_dets = np.zeros_like(z[:, :0]), []                   # the blocks so far, in the order of generation
        for b, block in enumerate(self.blocks):
            waiting = np.zeros_like(z[:, done.shape[1] :])             # nobody sees what stands here
            h_b = self.contexts(params, self.restore(done, waiting), context)[:, b]
            size = self.sizes.index(len(block))
            x_b, log_det = self.maps[size].forward(params["maps"][size], z[:, list(block)], h_b)
            done = np.concatenate([done, x_b], axis=1)
            log_dets.append(log_det)
        return self.restore(done), log_dets

    def restore(self, *columns: Array) -> Array:
        """Columns in the order of generation -> in the order of the data."""
        return np.concatenate(columns, axis=1)[:, onp.argsort(self.order).tolist()]


@replaceable
def draws_of(T: Bijection | FreeFormHead, params: Tree, z: Array, h: Array) -> Array:
    """m draws of a block for each context: noise z (m, rows, k), h (rows, context_width) -> (m, rows, k)."""
    m, rows, k = z.shape
    return np.reshape(T.forward(params, np.reshape(z, (m * rows, k)), np.concatenate([h] * m))[0], z.shape)


@dataclass(frozen=True)
class SAEF(SemiAutoregressive):
    """The invertible type: every T_b is a bijection, and so is the whole."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(isinstance(T, FreeFormHead) for T in self.maps):
            raise ValueError("maps must be bijections, got a free-form head: that makes a SemiAutoregressive, not a SAEF")

    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        """z (n, d) -> x (n, d), log_det (n,), in B steps."""
        x, log_dets = self.generate(params, z, context)
        return x, sum(log_dets)

    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        """x (n, d) -> z (n, d), log_det (n,), in one pass."""
        check_input(self, "x", x, context)
        n = x.shape[0]
        parts, coordinates, log_det = [], [], 0.0
        for T, p, members, h in self.groups(params, self.contexts(params, x, context)):
            rows, k = n * len(members), T.d
            x_b = np.reshape(x[:, members], (rows, k))
            z_b, change = T.inverse(p, x_b, np.reshape(h, (rows, self.context_width)))  # type: ignore[union-attr]
            parts.append(np.reshape(z_b, (n, members.size)))
            coordinates += members.ravel().tolist()
            log_det = log_det + np.sum(np.reshape(change, (n, len(members))), axis=1)
        return np.concatenate(parts, axis=1)[:, onp.argsort(coordinates).tolist()], log_det

    def log_prob(self, params: Tree, x: Array, context: Array | None = None) -> Array:
        """x (n, d) -> (n,), in nats: the base is standard normal."""
        check_finite("x", x)
        z, log_det = self.inverse(params, x, context)
        return StandardNormal(self.d).log_prob({}, z) + log_det


def saef(
    d: int, blocks: int | Sequence[int], order: Sequence[int] | None = None, block_map: str = "coupling",
    hidden: tuple[int, ...] = (256, 256), context_width: int = 64, map_hidden: tuple[int, ...] = (64, 64),
    map_layers: int = 4, context_dim: int = 0,
) -> SAEF | SemiAutoregressive:
    """Build one. blocks: how many equal ones, or the list of their sizes; order: of the d coordinates (as they come).

    block_map: affine, dense, coupling or spline (invertible), or free_form (a generator, no inverse).
    Raises ValueError where the sizes do not add up to d or the order is not a permutation.
    """
    parts = split(d, blocks, order)
    maps = tuple(
        block_map_of(block_map, k, context_width, map_hidden, map_layers) for k in dict.fromkeys(map(len, parts))
    )
    kind = SemiAutoregressive if block_map == "free_form" else SAEF
    return kind(parts, maps, context_width, hidden, context_dim)


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
