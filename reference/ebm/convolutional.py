r"""The convolutional energy of images (Grenioux et al. 2023, section 5: about 4.5M numbers on CIFAR-10).

    3 x 3, stride 1   c -> widths[0]
    4 x 4, stride 2   each width -> the next, on half the places
    a weight for each number that is left, summed; no bias (energies.MLPEnergy says why); zero at the start

with a leaky rectifier of slope 0.05 after each convolution. The paper does not print its layers: these are the usual ones.
"""
import math
from dataclasses import dataclass
from itertools import pairwise

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, Shape, Tree, activated, arrays, check_count, check_image, check_shape, conv2d
from evenflow.reference.core.matrices import product


@dataclass(frozen=True)
class ConvEnergy:
    """x (n, d), d = h w c, line by line, channels last -> (n,).

    widths: of the layers; (80, 160, 320, 640) makes 4.3M numbers for 32 x 32 x 3.

    >>> energy = ConvEnergy((4, 4, 1), (8, 16))
    >>> energy(energy.init(onp.random.default_rng(0)), onp.ones((3, 16)))
    array([0., 0., 0.])
    """
    shape: Shape
    widths: tuple[int, ...] = (32, 64, 128)

    def __post_init__(self) -> None:
        check_image("shape", self.shape)
        for width in self.widths:
            check_count("widths", width)
        if not self.widths or min(self.left[:2]) < 1:
            raise ValueError(f"widths must be one at least, and few enough to halve {self.shape}, got {self.widths}")

    @property
    def d(self) -> int:
        return math.prod(self.shape)

    @property
    def left(self) -> Shape:
        """h, w, c after the convolutions."""
        h, w, _ = self.shape
        halvings = len(self.widths) - 1
        return h >> halvings, w >> halvings, self.widths[-1]

    def init(self, rng: onp.random.Generator) -> Tree:
        layers = []
        for depth, (fan_in, fan_out) in enumerate(pairwise((self.shape[2], *self.widths))):
            k = 4 if depth else 3
            W = rng.standard_normal((k, k, fan_in, fan_out)) / math.sqrt(k * k * fan_in)
            layers.append({"W": W, "b": onp.zeros(fan_out)})
        return [*layers, {"W": onp.zeros((math.prod(self.left), 1))}]

    @arrays("x")
    def __call__(self, params: Tree, x: Array) -> Array:
        check_shape("x", x, "n", self.d)
        *layers, last = params
        h = np.reshape(x, (-1, *self.shape))
        for depth, layer in enumerate(layers):
            h = activated(conv2d(h, layer["W"], layer["b"], 2 if depth else 1, 1), "leaky_relu")
        return product(np.reshape(h, (-1, last["W"].shape[0])), last["W"])[:, 0]
