r"""Bijections made of bijections.

Chain    $x = T_L(\dots T_2(T_1(z)))$, log_dets add up
Invert   forward and inverse change places
Around   what is made of one bijection, here and elsewhere
"""
from dataclasses import dataclass

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, Tree, arrays, replaceable
from evenflow.reference.flows.contract import Bijection, check_input


@dataclass(frozen=True)
class Chain:
    """The layers in the order in which noise passes them. Those with context_dim 0 get no context.

    >>> from evenflow.reference.flows import reversal
    >>> Chain((reversal(2), reversal(2))).forward([{}, {}], np.array([[1.0, 2.0]]))[0]
    array([[1., 2.]])
    """
    layers: tuple[Bijection, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("layers must hold at least one bijection, got none")
        for what in ("d", "context_dim"):
            found = [getattr(layer, what) for layer in self.layers]
            if len(set(found) - {0}) > 1:
                raise ValueError(f"layers must agree in {what}, got {found}")

    @property
    def d(self) -> int:
        return self.layers[0].d

    @property
    def context_dim(self) -> int:
        return max(layer.context_dim for layer in self.layers)

    def init(self, rng: onp.random.Generator) -> Tree:
        return [layer.init(rng) for layer in self.layers]

    @arrays("z", "context")
    @replaceable
    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "z", z, context)
        log_det = np.zeros_like(z[:, 0])
        for layer, p in zip(self.layers, params, strict=True):
            z, change = layer.forward(p, z, context if layer.context_dim else None)
            log_det = log_det + change
        return z, log_det

    @arrays("x", "context")
    @replaceable
    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "x", x, context)
        log_det = np.zeros_like(x[:, 0])
        for layer, p in zip(reversed(self.layers), reversed(params), strict=True):
            x, change = layer.inverse(p, x, context if layer.context_dim else None)
            log_det = log_det + change
        return x, log_det


class Around:
    """What is made of one bijection: its parameters and its context are those of that one."""
    bijection: Bijection

    @property
    def context_dim(self) -> int:
        return self.bijection.context_dim

    def init(self, rng: onp.random.Generator) -> Tree:
        return self.bijection.init(rng)


@dataclass(frozen=True)
class Invert(Around):
    """A bijection the other way round.

    >>> from evenflow.reference.flows import LeakyReLU
    >>> Invert(LeakyReLU(1, slope=0.5)).forward({}, np.array([[-1.0]]))[0]
    array([[-2.]])
    """
    bijection: Bijection

    @property
    def d(self) -> int:
        return self.bijection.d

    @arrays("z", "context")
    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "z", z, context)
        return self.bijection.inverse(params, z, context)

    @arrays("x", "context")
    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "x", x, context)
        return self.bijection.forward(params, x, context)
