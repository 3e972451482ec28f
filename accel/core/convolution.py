r"""Convolutions, each one product of matrices, and the functions that stand between them, each as a single operation.

With a row of P for each place, the numbers that the kernel covers there and a 1, and S for the weights and below them b:

$$P = [\text{patches}(x), 1], \quad S = [W; b], \quad y = P S; \qquad
  [\bar W; \bar b] = P^T \bar y, \quad \bar x = \text{unpatched}(\bar y\, W^T)$$

P takes k^2 times the memory of x. On the host the images go through in pieces whose patches stay in the cache; nobody keeps P,
the way back makes it again. Of a masked kernel P has the pixels alone that it may see there: of one that reads line by line,
half of them. On the device it is all at once and all pixels, by kernels/convolution.cu. A kernel of one pixel needs no patches:
there P is x itself, without its ones on the host.

$$\text{gated}: \quad y = t s, \quad t = \tanh u, \quad s = \text{sigmoid}(v); \qquad
  \bar u = \bar y s (1 - t^2), \quad \bar v = \bar y t s (1 - s)$$
"""
import math
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from evenflow.accel.backends import on_device
from evenflow.accel.buffers import stacked
from evenflow.accel.core import elementwise as e
from evenflow.accel.core.networks import added
from evenflow.accel.fused import fused
from evenflow.accel.kernels import convolution as there
from evenflow.accel.kernels.layers import solid
from evenflow.accel.products import product
from evenflow.reference.core import Array, lookup
from evenflow.reference.core.convolution import check_convolution, masked
from evenflow.reference.core.dispatch import definitions
from evenflow.reference.core.networks import ACTIVATIONS

PIECE = 3 * 2**20  # bytes of patches at a time on the host
NUMBERS = 2**15    # of an elementwise operation at a time, likewise


class Window(NamedTuple):
    """Which pixels (h, w) the kernel covers at which places (height, width). seen: how many of its k^2, the first ones."""
    k: int
    stride: int
    padding: int
    h: int
    w: int
    seen: int

    @property
    def height(self) -> int:
        return (self.h + 2 * self.padding - self.k) // self.stride + 1

    @property
    def width(self) -> int:
        return (self.w + 2 * self.padding - self.k) // self.stride + 1

    @property
    def pointwise(self) -> bool:
        return self[:3] == (1, 1, 0)

    def parts(self, c: int) -> Iterator[tuple[Any, Any]]:
        """For each (u, v) of the kernel: where it lies inside the image, in patches (n, height, width, ..), and its pixels."""
        lines, columns = self.lines(self.h, self.height), self.lines(self.w, self.width)
        for i, (u, v) in enumerate(islice(np.ndindex(self.k, self.k), self.seen)):
            (to, of), (to_along, of_along) = lines[u], columns[v]
            yield (slice(None), to, to_along, slice(i * c, (i + 1) * c)), (slice(None), of, of_along)

    def lines(self, pixels: int, places: int) -> list[tuple[slice, slice]]:
        """The same of one axis: for each u the places i, and the pixels s i + u - p."""
        s, found = self.stride, []
        for ahead in range(-self.padding, self.k - self.padding):
            first = max(0, -(ahead // s))
            last = max(first, min(places, (pixels - 1 - ahead) // s + 1))
            found.append((slice(first, last), slice(s * first + ahead, max(0, s * last + ahead - s + 1), s)))
        return found


def pieces(window: Window, x: Array, filled: bool) -> Iterator[tuple[slice, Array]]:
    """Some images at a time, and their P; not filled: only which images."""
    n, c, places = len(x), x.shape[3], window.height * window.width
    width = window.seen * c + 1
    step = min(max(1, n), max(1, PIECE // max(1, places * width * x.itemsize)))
    P = np.zeros((step, window.height, window.width, width), x.dtype) if filled and not window.pointwise else None
    if P is not None:
        P[..., -1] = 1  # what lies outside of the image stays 0
    for at in range(0, n, step):
        rows = slice(at, min(at + step, n))
        if P is None:
            yield rows, flat(x[rows])
            continue
        here = P[: rows.stop - at]
        for to, of in window.parts(c):
            here[to] = x[rows][of]
        yield rows, flat(here)


def flat(x: Array) -> Array:
    """One row for each place."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def forward(window: Window, x: Array, W: Array, b: Array) -> tuple[tuple[Array], Any]:
    shape = len(x), window.height, window.width, W.shape[3]
    if on_device(x):
        S = stacked(W, b)
        return (product(there.patches(window, x), S).reshape(shape),), (window, x, S)
    S = stacked(W.reshape(-1, W.shape[3])[: window.seen * W.shape[2]], b)
    y = np.empty(shape, x.dtype)
    for rows, P in pieces(window, x, filled=True):
        out = flat(y[rows])
        np.matmul(P, S[: P.shape[1]], out=out)
        if window.pointwise:
            out += S[-1]
    return (y,), (window, x, S)


def backward(saved: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
    window, x, S = saved
    g = solid(g)
    of_x, of_S = (back_there if on_device(x) else back_here)(window, x, S, g, 1 in wanted, max(wanted) > 1)
    return [of_x if i == 1 else of_S[-1] if i == 3 else of_weights(window, of_S[:-1], x.shape[3]) for i in wanted]


def of_weights(window: Window, g: Array, c: int) -> Array:
    """The adjoint of W from that of its first rows, or of all of them."""
    shape = window.k, window.k, c, g.shape[1]
    if len(g) == window.k**2 * c:
        return g.reshape(shape)
    whole = np.zeros(shape, g.dtype)
    whole.reshape(-1, g.shape[1])[: len(g)] = g
    return whole


def back_here(window: Window, x: Array, S: Array, g: Array, pixels: bool, weights: bool) -> tuple[Array, Array]:
    of_x, of_S, W = np.zeros_like(x, order="C") if pixels else None, None, S[:-1].T
    for rows, P in pieces(window, x, weights):
        here = flat(g[rows])
        if weights:
            change = P.T @ here
            of_S = added(of_S, np.concatenate([change, here.sum(axis=0)[None]]) if window.pointwise else change)
        if of_x is not None and window.pointwise:
            np.matmul(here, W, out=flat(of_x[rows]))
        elif of_x is not None:
            covered = (here @ W).reshape(*g[rows].shape[:3], -1)
            for to, of in window.parts(x.shape[3]):
                of_x[rows][of] += covered[to]
    return of_x, np.zeros_like(S) if of_S is None else of_S


def back_there(window: Window, x: Array, S: Array, g: Array, pixels: bool, weights: bool) -> tuple[Array, Array]:
    of_x, of_S, g = None, None, flat(g)
    if weights:
        of_S = product(there.patches(window, x).T, g)
    if pixels:
        covered = product(g, S[:-1].T)
        of_x = covered.reshape(x.shape) if window.pointwise else there.unpatched(window, covered, x.shape)
    return of_x, of_S


def activation_forward(name: str, a: Array) -> tuple[tuple[Array], Any]:
    row = solid(a).reshape(-1)
    if on_device(a):
        return (there.activated(row, e.ACTIVATIONS.index(name)).reshape(a.shape),), (name, row, None)
    y = np.empty_like(row)
    for part in some(row.size):
        e.activate_into(y[part], row[part], name)
    return (y.reshape(a.shape),), (name, row, y)


def activation_backward(saved: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
    name, a, y = saved
    row = solid(g).reshape(-1)
    if y is None:
        return [there.activated_back(row, a, e.ACTIVATIONS.index(name)).reshape(g.shape)]
    out = np.empty_like(row)
    for part in some(row.size):
        np.multiply(row[part], e.slope(a[part], y[part], name), out=out[part])
    return [out.reshape(g.shape)]


def some(size: int) -> Iterator[slice]:
    return (slice(at, at + NUMBERS) for at in range(0, size, NUMBERS))


def gate_forward(a: Array) -> tuple[tuple[Array], Any]:
    if on_device(a):
        a = solid(a)
        return (there.gated(a),), a
    u, v = np.split(a, 2, axis=-1)
    t, s = np.tanh(u), e.sigmoid(v)
    return (t * s,), (t, s)


def gate_backward(saved: Any, wanted: tuple[int, ...], g: Array) -> list[Array]:
    if on_device(g):
        return [there.gated_back(saved, solid(g))]
    t, s = saved
    out = np.empty((*g.shape[:-1], 2 * g.shape[-1]), g.dtype)
    u, v = np.split(out, 2, axis=-1)
    gs = g * s
    np.multiply(gs, 1 - t * t, out=u)
    np.multiply(gs, t * (1 - s), out=v)
    return [out]


convolved, activation, gate = (
    fused(forward, backward), fused(activation_forward, activation_backward), fused(gate_forward, gate_backward)
)


def conv2d(x: Array, W: Array, b: Array, stride: int = 1, padding: int | None = None, mask: Array | None = None) -> Array:
    """core.convolution.conv2d."""
    padding, k = check_convolution(x, W, b, stride, padding, mask), W.shape[0]
    seen = k * k if mask is None else 1 + max(np.flatnonzero(mask.reshape(k * k, -1).any(axis=1)), default=0)
    h, w = x.shape[1:3]
    return convolved(Window(k, stride, padding, h, w, int(seen)), x, masked(W, mask), b)[0]


def activated(h: Array, name: str) -> Array:
    """core.networks.activated."""
    lookup("activation", name, ACTIVATIONS)
    return activation(name, h)[0]


def gated(a: Array) -> Array:
    """core.convolution.gated."""
    if a.ndim < 1 or a.shape[-1] % 2:  # the definition says so
        return definitions["core.convolution.gated"](a)
    return gate(a)[0]


REPLACEMENTS = {
    "core.convolution.conv2d": conv2d, "core.convolution.gated": gated, "core.networks.activated": activated,
}
