r"""Convolutions of images, plain and masked (PixelCNN), and the network that is made of them.

An image is (h, w, c), channels last. With a kernel W (k, k, c, o), stride s, and p zeros around the image,

$$y_{ij} = b + \sum_{u, v} x_{s i + u - p,\; s j + v - p}\, W_{uv}
\qquad\text{which is one product of matrices,}\qquad y = \text{patches}(x)\, W + b,$$

where a row of patches holds the k k c numbers that the kernel covers at one place. It is called a convolution, and is a
correlation. The adjoint of `patches` adds up what overlaps, `unpatched`; the two are each other's.

The masked one (van den Oord et al. 2016) sees, in the order of reading, what comes before: all channels of the lines above and
of the places to the left, and of its own place the groups of channels before its own (kind A) or its own as well (kind B).
An A below any number of B makes $y_{ij}$ a function of earlier places and groups alone. A stack of small kernels has a blind
spot: a place above and more than k // 2 columns to the right for each line up is never seen.

Not to be confused with networks.MaskedMLP, whose masks know no neighbourhood.
"""
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import autograd.numpy as np
import numpy as onp
from autograd.extend import defvjp, primitive

from evenflow.reference.core.arrays import arrays
from evenflow.reference.core.checks import check_context, check_count, check_image, check_shape
from evenflow.reference.core.dispatch import lookup, replaceable
from evenflow.reference.core.matrices import product
from evenflow.reference.core.networks import activated, init_layers
from evenflow.reference.core.placement import beside
from evenflow.reference.core.special import tanh
from evenflow.reference.core.trees import Array, Tree

Shape = tuple[int, int, int]  # h, w, c
Place = tuple[int, int]


@arrays("x", "W", "b")
@replaceable
def conv2d(x: Array, W: Array, b: Array, stride: int = 1, padding: int | None = None, mask: Array | None = None) -> Array:
    """x (n, h, w, c), W (k, k, c, o), b (o,) -> (n, h', w', o), h' = (h + 2 padding - k) // stride + 1.

    padding: None is "same", k // 2: with an odd k and stride 1, h' = h. mask: booleans of W's shape, False where a weight
    counts nothing. Raises ValueError for shapes that do not fit.

    >>> conv2d(np.ones((1, 2, 2, 1)), np.ones((3, 3, 1, 1)), np.zeros(1))[0, :, :, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    padding = check_convolution(x, W, b, stride, padding, mask)
    return patches(x, W.shape[0], stride, padding) @ np.reshape(masked(W, mask), (-1, W.shape[3])) + b


@primitive  # type: ignore[untyped-decorator]
def patches(x: Array, k: int, stride: int, padding: int) -> Array:
    """x (n, h, w, c) -> (n, h', w', k k c): lines of the kernel first, channels last."""
    around = onp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = onp.lib.stride_tricks.sliding_window_view(around, (k, k), axis=(1, 2))[:, ::stride, ::stride]
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(*windows.shape[:3], k * k * x.shape[3])


@primitive  # type: ignore[untyped-decorator]
def unpatched(y: Array, shape: tuple[int, ...], k: int, stride: int, padding: int) -> Array:
    """The adjoint: y (n, h', w', k k c) -> `shape` (n, h, w, c), each pixel the sum of what the patches say of it."""
    n, h, w, c = shape
    around = onp.zeros((n, h + 2 * padding, w + 2 * padding, c), y.dtype)
    down, along = (stride * length for length in y.shape[1:3])
    for (u, v), part in zip(onp.ndindex(k, k), onp.split(y, k * k, axis=3), strict=True):
        around[:, u : u + down : stride, v : v + along : stride] += part
    return around[:, padding : padding + h, padding : padding + w]


defvjp(patches, lambda ans, x, k, stride, padding: lambda g: unpatched(g, x.shape, k, stride, padding))
defvjp(unpatched, lambda ans, y, shape, k, stride, padding: lambda g: patches(g, k, stride, padding))


@cache
def causal_mask(k: int, kind: str, channels: int, outputs: int, groups: int = 1, parts: int = 1) -> Array:
    """Booleans (k, k, channels, outputs). groups: channels and outputs are each so many groups, one after the other.

    parts: so often the outputs have the groups, as u and v of a gated layer do.

    >>> causal_mask(3, "A", 1, 1)[:, :, 0, 0].astype(int)
    array([[1, 1, 1],
           [1, 0, 0],
           [0, 0, 0]])
    """
    within: Callable[..., Array] = lookup("kind", kind, {"A": onp.less, "B": onp.less_equal})
    check_count("groups", groups)
    if k % 2 == 0 or channels % groups or outputs % (groups * parts):
        raise ValueError(f"k must be odd, and groups divide channels and outputs, got {k}, {groups}, {channels}, {outputs}")
    ahead = onp.arange(k * k).reshape(k, k, 1, 1) - k * k // 2
    group_in, group_out = (onp.arange(many) * groups // many for many in (channels, outputs // parts))
    mask = (ahead < 0) | (ahead == 0) & within(group_in[:, None], onp.tile(group_out, parts)[None, :])
    mask.flags.writeable = False
    return mask


@arrays("a")
@replaceable
def gated(a: Array) -> Array:
    """tanh(u) sigmoid(v), where a (..., 2 k) is u and v side by side -> (..., k) (van den Oord et al. 2016b, eq. 2).

    >>> gated(np.array([[100.0, 0.0]]))
    array([[0.5]])
    """
    if a.ndim < 1 or a.shape[-1] % 2:
        raise ValueError(f"a must have shape (..., 2 k), got {a.shape}")
    u, v = np.split(a, 2, axis=-1)
    return tanh(u) * (0.5 + 0.5 * tanh(0.5 * v))


@dataclass(frozen=True)
class ConvNet:
    r"""A residual network (h, w, c) -> (h, w, outputs) with gated blocks; with the depth l, * for `conv2d`, $\sigma$ elu,

    $$h_0 = x * W_0 + p, \qquad h_l = h_{l-1} + \text{gated}(\sigma(h_{l-1}) * W_l) * V_l, \qquad
    \text{output} = \sigma(h_L) * V$$

    kernel: the edge of W_0 and W_l; V are 1 x 1. p: a bias for each place. The context enters every layer. groups: None for a
    plain network; else it is masked, W_0 by kind A and all others by B, and output (i, j) sees what comes before (i, j).

    >>> net = ConvNet((4, 4, 1), 3, width=8, groups=1)
    >>> net(net.init(onp.random.default_rng(0)), np.zeros((2, 4, 4, 1))).shape
    (2, 4, 4, 3)
    """
    shape: Shape
    outputs: int
    width: int = 64
    blocks: int = 2
    kernel: int = 3
    context_dim: int = 0
    groups: int | None = None
    final_scale: float = 1.0  # of the last layer's initial weights

    def __post_init__(self) -> None:
        check_image("shape", self.shape)
        for name, least in {"outputs": 1, "width": 1, "kernel": 1, "blocks": 0, "context_dim": 0}.items():
            check_count(name, getattr(self, name), least)
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, so that a place is the middle of what it sees, got {self.kernel}")
        assert self.masks  # which says what groups may be

    @property
    def sizes(self) -> list[tuple[int, int, int]]:
        """Edge, channels in, channels out, of each layer."""
        k, w = self.kernel, self.width
        return [(k, self.shape[2], w), *self.blocks * ((k, w, 2 * w), (1, w, w)), (1, w, self.outputs)]

    @cached_property
    def masks(self) -> list[Array | None]:
        if self.groups is None:
            return [None] * len(self.sizes)
        kinds, parts = ["A", *(2 * self.blocks + 1) * "B"], [1, *self.blocks * (2, 1), 1]
        each = zip(self.sizes, kinds, parts, strict=True)
        return [causal_mask(k, kind, c, o, self.groups, many) for (k, c, o), kind, many in each]

    def init(self, rng: onp.random.Generator) -> Tree:
        """Weights N(0, 1 / fan in), biases 0."""
        layers = init_layers(rng, [(k, k, c, o) for k, c, o in self.sizes], self.context_dim, self.final_scale)
        return {"layers": layers, "places": onp.zeros((*self.shape[:2], self.width))}

    @arrays("x", "context")
    def __call__(self, params: Tree, x: Array, context: Array | None = None) -> Array:
        """x (n, h, w, c), context (n, context_dim) -> (n, h, w, outputs)."""
        check_shape("x", x, "n", *self.shape)
        check_context(context, x.shape[0], self.context_dim)
        layers = params["layers"]

        def conv(depth: int, h: Array) -> Array:
            y = conv2d(h, layers[depth]["W"], layers[depth]["b"], mask=self.masks[depth])
            return y if context is None else y + product(context, layers[depth]["C"])[:, None, None]

        return self.through(x, params["places"], conv)

    def through(self, x: Array, places: Array, conv: Callable[[int, Array], Array]) -> Array:
        """The formula, whatever conv(l, h) does: at all places, or at one."""
        h = conv(0, x) + places
        for depth in range(1, 2 * self.blocks + 1, 2):
            h = h + conv(depth + 1, gated(conv(depth, activated(h, "elu"))))
        return conv(2 * self.blocks + 1, activated(h, "elu"))

    def layers(self, params: Tree) -> list[Tree]:
        """With masked weights."""
        return [{**layer, "W": masked(layer["W"], mask)} for layer, mask in zip(params["layers"], self.masks, strict=True)]

    @replaceable
    def walker(self, params: Tree, context: Array | None = None) -> Callable[[Place, Array], Array]:
        """For a masked network of one group: step((i, j), x (n, c) of the place before) -> (n, outputs), as in the whole.

        In the order of reading; the first x counts nothing. All steps together cost what one pass costs.
        """
        if self.groups != 1:
            raise ValueError(f"groups must be 1 for a network that can be walked, got {self.groups}")
        layers, known = self.layers(params), [dict[Place, Array]() for _ in self.sizes]
        conditions = [0.0 if context is None else product(context, layer["C"]) for layer in layers]
        places: list[Place] = []

        def step(place: Place, x: Array) -> Array:
            known[0].update(dict.fromkeys(places[-1:], x))
            places.append(place)

            def conv(depth: int, h: Array) -> Array:
                if depth > 0:
                    known[depth][place] = h
                y = conv_at(place, known[depth], layers[depth]["W"], layers[depth]["b"])
                return np.zeros_like(x[:, :1]) + y + conditions[depth]

            return self.through(x, params["places"][place], conv)

        return step


def masked(W: Array, mask: Array | None) -> Array:
    return W if mask is None else W * beside(mask, W)


def conv_at(place: Place, known: Mapping[Place, Array], W: Array, b: Array) -> Array:
    """y at one place, of what is known so far (n, c) of x around it; what is not known counts nothing."""
    (i, j), r = place, W.shape[0] // 2
    around = [((i + u - r, j + v - r), W[u, v]) for u, v in onp.ndindex(W.shape[:2])]
    return sum(known[there] @ part for there, part in around if there in known) + b


def one_width(name: str, hidden: tuple[int, ...]) -> tuple[int, int]:
    """Width and number of the residual blocks, from the width of each. Raises ValueError unless they are one."""
    if len(set(hidden)) != 1:
        raise ValueError(f"{name} must be one width, once for each residual block, got {hidden}")
    return hidden[0], len(hidden)


def check_convolution(x: Array, W: Array, b: Array, stride: int, padding: int | None, mask: Array | None = None) -> int:
    """The padding. Raises ValueError unless kernel, mask and image fit."""
    check_shape("x", x, "n", "h", "w", "c")
    check_shape("W", W, "k", "k", x.shape[3], "o")
    check_shape("W", W, W.shape[0], W.shape[0], x.shape[3], "o")
    check_count("the edge of W", W.shape[0])
    check_shape("b", b, W.shape[3])
    if mask is not None:
        check_shape("mask", mask, *W.shape)
    check_count("stride", stride)
    padding = W.shape[0] // 2 if padding is None else padding
    check_count("padding", padding, least=0)
    if min(x.shape[1:3]) + 2 * padding < W.shape[0]:
        raise ValueError(f"x must be at least as large as the kernel, got {x.shape[1:3]} with {padding} zeros around it"
                         f" for an edge of {W.shape[0]}")
    return padding
