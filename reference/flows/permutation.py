"""Coordinates in another order: x_i = z_order[i]. The log_det is 0."""
from dataclasses import dataclass
from functools import cached_property

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, Tree, arrays, check_count, take
from evenflow.reference.flows.contract import check_input


@dataclass(frozen=True)
class Permutation:
    """x[:, i] = z[:, order[i]].

    >>> Permutation((1, 2, 0)).forward({}, np.array([[0.0, 1.0, 2.0]]))[0]
    array([[1., 2., 0.]])
    """
    order: tuple[int, ...]
    context_dim: int = 0  # accepted and ignored

    def __post_init__(self) -> None:
        check_order("order", self.order)
        check_count("context_dim", self.context_dim, least=0)

    @property
    def d(self) -> int:
        return len(self.order)

    def init(self, rng: onp.random.Generator) -> Tree:
        return {}

    @arrays("z", "context")
    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "z", z, context)
        return take(z, self.order), np.zeros_like(z[:, 0])

    @arrays("x", "context")
    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "x", x, context)
        return take(x, self.back), np.zeros_like(x[:, 0])

    @cached_property
    def back(self) -> tuple[int, ...]:
        return tuple(onp.argsort(self.order).tolist())


def reversal(d: int) -> Permutation:
    """The last coordinate first.

    >>> reversal(3).order
    (2, 1, 0)
    """
    check_count("d", d)
    return Permutation(tuple(reversed(range(d))))


def check_order(name: str, order: tuple[int, ...]) -> None:
    """Raise ValueError unless order holds each of 0, ..., d - 1 once."""
    if not order or sorted(order) != list(range(len(order))):
        raise ValueError(f"{name} must hold each of 0, ..., d - 1 exactly once, got {order}")
