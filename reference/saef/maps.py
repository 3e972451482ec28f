r"""The maps T_b of a semi-autoregressive flow: from a block's noise, given its context h, to the block.

Each ends in $x = e^{s(h)} \odot y + t(h)$, so that place and scale of the block come from the context directly; what stands
before it gives the shape:

    affine    y = z: independent normals given the context
    dense     dense layers and smooth leaky activations in turn, shifted by the context
    coupling  affine couplings that see the context
    spline    spline couplings that see the context

All are bijections of flows/. The free-form head is not: any network of noise and context.

A block of one coordinate (k = 1) has nothing to couple: affine couplings would make every conditional normal, and a dense layer
one fixed shape. There `dense` and `coupling` are `spline`, whose shape follows the context at every k; only `affine` means
normal conditionals. So a comparison over the number of blocks B up to d compares B and not the maps.
"""
from dataclasses import dataclass

import numpy as onp

from evenflow.reference.core import MLP, Array, Tree, arrays, check_count, unknown
from evenflow.reference.flows import Bijection, Chain, SmoothLeakyReLU, SplineTransformer
from evenflow.reference.flows.affine import AffineTransformer
from evenflow.reference.flows.contract import check_input
from evenflow.reference.flows.coupling import Coupling, elementwise
from evenflow.reference.flows.dense import Dense

BLOCK_MAPS = ("affine", "dense", "coupling", "spline", "free_form")
LAST_LIMIT = 5.0  # of the last log scale: dequantised empty pixels need scales far below e^-3


@dataclass(frozen=True)
class FreeFormHead:
    """x = z + net(z, h), h in every layer: a residual perceptron (after the head of Si et al. 2023). There is no way back."""
    d: int
    context_dim: int
    hidden: tuple[int, ...] = (64, 64)

    @property
    def net(self) -> MLP:
        return MLP(self.d, self.d, self.hidden, "relu", self.context_dim)

    def init(self, rng: onp.random.Generator) -> Tree:
        return self.net.init(rng)

    @arrays("z", "context")
    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, None]:
        """z (n, d), context (n, context_dim) -> x (n, d), and no log_det."""
        check_input(self, "z", z, context)
        return z + self.net(params, z, context), None


def block_map_of(
    name: str, k: int, context_width: int, hidden: tuple[int, ...], layers: int, activation: str = "relu"
) -> Bijection | FreeFormHead:
    """The map for blocks of k numbers and contexts of context_width numbers.

    layers: of dense, coupling and spline maps; hidden: of the networks in couplings, splines and the free-form head.
    At k = 1 dense and coupling are spline.
    """
    if name not in BLOCK_MAPS:
        raise ValueError(unknown("block_map", name, BLOCK_MAPS))
    check_count("map_layers", layers)
    if name == "free_form":
        return FreeFormHead(k, context_width, hidden)
    if k == 1 and name in ("dense", "coupling"):
        name = "spline"
    stack: list[Bijection] = []
    for i in range(layers if name != "affine" else 0):
        if name == "dense":
            stack += [Dense(k, context_width), SmoothLeakyReLU(k)]
        else:
            transformer = AffineTransformer() if name == "coupling" else SplineTransformer()
            mask = tuple((j + i) % 2 == 1 for j in range(k)) if k > 1 else (False,)
            stack.append(Coupling(mask, transformer, hidden, activation, context_width))
    return Chain((*stack, elementwise(k, AffineTransformer(LAST_LIMIT), context_width)))
