r"""A SAEF with free-form heads that take as many noise numbers as one likes, x_b = z_b + net(z_b, h_b).

That of reference/saef/maps.py takes k noise numbers for a block of k; here it is r of them, and what is added to the network
is the first min(r, k). At r = k it is that head, with the same parameters. All blocks share one head. There is no way back and
no density.
"""
from dataclasses import dataclass

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import MLP, Array, Tree, arrays, beside, check_count, check_shape, put, repeated, take
from evenflow.reference.flows.contract import draws_each
from evenflow.reference.saef.semiautoregressive import FreeForm


@dataclass(frozen=True)
class Head:
    """noise z (n, r), context h (n, context_dim) -> a block (n, d)."""
    d: int
    context_dim: int
    noise: int
    hidden: tuple[int, ...]

    @property
    def net(self) -> MLP:
        return MLP(self.noise, self.d, self.hidden, "relu", self.context_dim)

    def init(self, rng: onp.random.Generator) -> Tree:
        return self.net.init(rng)

    def forward(self, params: Tree, z: Array, context: Array) -> tuple[Array, None]:
        first = beside(onp.eye(self.noise, self.d, dtype=z.dtype), z)  # min(r, k) of them, and zeros where r < k
        return z @ first + self.net(params, z, context), None


@dataclass(frozen=True)
class Generator(FreeForm):
    """maps: the one Head, B times."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.different) != 1 or not isinstance(self.head, Head):
            raise ValueError("a generator has one head for all its blocks")

    @property
    def head(self) -> Head:
        return self.maps[0]  # type: ignore[return-value]

    def noise(self, rng: onp.random.Generator, n: int) -> Array:
        """What n samples consume: (n, B r) standard normal."""
        return rng.standard_normal((n, len(self.blocks) * self.head.noise))

    @arrays("noise", "context")
    def sample(self, params: Tree, noise: Array, context: Array | None = None) -> Array:
        """noise (n, B r) -> x (n, d), in B steps."""
        r = self.head.noise
        check_shape("noise", noise, "n", len(self.blocks) * r)
        x = np.zeros((noise.shape[0], self.d), dtype=noise.dtype)
        for b, block in enumerate(self.blocks):
            h_b = self.contexts(params, x, context)[:, b]
            x = put(x, list(block), self.head.forward(params["maps"][0], noise[:, b * r : (b + 1) * r], h_b)[0])
        return x

    @arrays("x", "z", "context")
    def forecasts(self, params: Tree, x: Array, z: Array, context: Array | None = None) -> list[tuple[Array, Array]]:
        """All blocks at once, each datum's one after the other: m draws (m, n B, k) and the true blocks (n B, k).

        noise z (m n, B r). Without a condition block 1 has one forecast, here it is drawn anew for every datum.
        """
        m, n, B, r = draws_each(z, x), x.shape[0], len(self.blocks), self.head.noise
        check_shape("noise", z, m * n, B * r)
        h = np.reshape(self.contexts(params, x, context), (n * B, -1))
        draws, _ = self.head.forward(params["maps"][0], np.reshape(z, (m * n * B, r)), repeated(h, m))
        y = take(x, [i for block in self.blocks for i in block])
        return [(np.reshape(draws, (m, n * B, self.head.d)), np.reshape(y, (n * B, self.head.d)))]


def generator(like: FreeForm, noise: int) -> Generator:
    """The same model with `noise` numbers a block; its blocks are of one size.

    >>> from evenflow.reference.saef import saef
    >>> model = generator(saef(4, blocks=2, block_map="free_form"), noise=3)
    >>> params = model.init(onp.random.default_rng(0))
    >>> model.sample(params, model.noise(onp.random.default_rng(1), 5)).shape
    (5, 4)
    """
    check_count("noise", noise)
    of = like.maps[0]
    head = Head(of.d, of.context_dim, noise, of.hidden)  # type: ignore[union-attr]
    fields = like.context_width, like.hidden, like.context_dim, like.activation
    return Generator(like.blocks, (head,) * len(like.blocks), *fields)  # type: ignore[arg-type]
