r"""Sums over all pairs of two samples, and their gradients, in one sweep over blocks of pairs.

On the host; a device has kernels/pairs.py.

Every f here depends on $s = \|a_i - b_j\|^2$ alone. With $w_{ij} = 2 f'(s_{ij})$ and weights $g_i$

$$F_i = \sum_j f(s_{ij}), \qquad \nabla_{a_i} F_i = \sum_j w_{ij} (a_i - b_j), \qquad
  \nabla_{b_j} \sum_i g_i F_i = \sum_i g_i w_{ij} (b_j - a_i).$$

A block of pairs is held while values and both gradients are taken from it: nothing n x m stays, nothing n x m x d is made.
Few coordinates (`Differences`): u = a - b coordinate by coordinate. Many (`Expansion`): three matrix products,

$$s = \|a\|^2 - 2 a \cdot b + \|b\|^2, \qquad \sum_j w_{ij} (a_i - b_j) = a_i \sum_j w_{ij} - \sum_j w_{ij} b_j .$$

Those cancel where points are close. The points are centred first, so rounding leaves an error of about eps ||a||^2 in s.
Pairs with $s \le 2 \tau \|a\|^2$, $\tau = \sqrt{eps}$, are computed anew from their differences; in all others at least half
of the digits of s are right, and the distance is off by at most about $eps^{3/4} \|a\|$. What is not finite comes out as NaN.
"""
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.reference.core import Array
from evenflow.reference.scores.energy import EPS, Distance
from evenflow.reference.scores.kernels import RBF

Radial: TypeAlias = Distance | RBF

FEW = 3                    # coordinates up to which differences cost no more than products
ROWS, COLUMNS = 256, 512  # of a block: 512 KiB in float32
GATHERED = 2**18           # coordinates of close pairs that are taken up at a time


def sweep(
    f: Radial, a: Array, b: Array | None, slopes: tuple[bool, bool], weights: Array | None = None
) -> tuple[Array, Array | None, Array | None]:
    """F (n,), its gradient by a (n, d), the gradient of sum_i g_i F_i by b (m, d): the latter two where `slopes` asks.

    a (n, d), b (m, d), weights g (n,), ones if left out. b = None: the later rows of a itself, the sum over i < j.
    """
    others, xp = (a if b is None else b), module_of(a)
    pairs = (Differences if a.shape[1] <= FEW else Expansion)(a, others)
    sums = xp.zeros_like(pairs.da[:, 0])
    with np.errstate(invalid="ignore", over="ignore"):
        for rows in slices(0, a.shape[0], ROWS):
            g = None if weights is None else weights[rows]
            for columns in slices(rows.start if b is None else 0, others.shape[0], COLUMNS):
                values, w = profile(f, pairs.squared(rows, columns), any(slopes))
                if b is None and columns.start < rows.stop:
                    values, w = (later(block, rows.start - columns.start) for block in (values, w))
                sums[rows] += values @ xp.ones_like(values[0])
                if w is not None:
                    pairs.collect(w, rows, columns, slopes, g)
        da, db = pairs.gradients()
    return sums, da if slopes[0] else None, db if slopes[1] else None


def slices(start: int, end: int, step: int) -> Iterator[slice]:
    return (slice(i, min(i + step, end)) for i in range(start, end, step))


def later(block: Array | None, offset: int) -> Array | None:
    """0 where the pair is of a row with itself or an earlier one."""
    return None if block is None else module_of(block).triu(block, offset + 1)


def profile(f: Radial, squared: Array, slopes: bool) -> tuple[Array, Array | None]:
    """f and w = 2 f' of |u|^2, w where asked for. Overwrites `squared`. Where u = 0, w is finite and multiplies u."""
    xp = module_of(squared)
    if isinstance(f, RBF):
        values, w = xp.zeros_like(squared), xp.zeros_like(squared) if slopes else None
        for scale in f.scales:
            k = xp.multiply(squared, scale)
            values += xp.exp(k, out=k)
            if w is not None:
                w += xp.multiply(k, 2 * scale, out=k)
        return values, w
    together = squared <= 0
    squared += EPS**2
    if f.beta == 1:
        values = xp.sqrt(squared, out=squared)
        w = xp.true_divide(1, values) if slopes else None
    else:
        values = xp.power(squared, f.beta / 2)
        w = xp.true_divide(values, squared, out=squared) if slopes else None
        if w is not None:
            w *= f.beta
    values[together] = 0
    return values, w


class Differences:
    """Coordinate by coordinate, exactly: for few of them."""

    def __init__(self, a: Array, b: Array) -> None:
        xp = module_of(a)
        self.a, self.b = xp.ascontiguousarray(a.T), xp.ascontiguousarray(b.T)
        self.da, self.db = xp.zeros_like(a), xp.zeros_like(b)

    def squared(self, rows: slice, columns: slice) -> Array:
        total = 0
        for a, b in zip(self.a, self.b, strict=True):
            u = a[rows, None] - b[columns]
            u *= u
            total = total + u
        return total

    def collect(self, w: Array, rows: slice, columns: slice, slopes: tuple[bool, bool], g: Array | None) -> None:
        xp = module_of(w)
        one = xp.ones_like(w[0]), xp.ones_like(w[:, 0]) if g is None else g
        for k, (a, b) in enumerate(zip(self.a, self.b, strict=True)):
            u = a[rows, None] - b[columns]
            u *= w
            if slopes[0]:
                self.da[rows, k] += u @ one[0]
            if slopes[1]:
                self.db[columns, k] -= one[1] @ u

    def gradients(self) -> tuple[Array, Array]:
        return self.da, self.db


class Expansion:
    """By matrix products: every point carries the columns that make the product the whole of |a|^2 - 2 a . b + |b|^2."""

    def __init__(self, a: Array, b: Array) -> None:
        xp = module_of(a)
        self.original = a, b
        a, b = (points - xp.mean(b, axis=0) for points in (a, b))
        one_a, one_b = xp.ones_like(a[:, :1]), xp.ones_like(b[:, :1])
        square_a, square_b = (xp.sum(p * p, axis=1, keepdims=True) for p in (a, b))
        self.a, self.b = xp.concatenate([a, one_a], axis=1), xp.concatenate([b, one_b], axis=1)
        self.left = xp.concatenate([-2 * a, square_a, one_a], axis=1)
        self.right = xp.concatenate([b, one_b, square_b], axis=1)
        self.bound = 2 * float(np.sqrt(np.finfo(square_a.dtype).eps)) * square_a
        self.wb, self.wa = xp.zeros_like(self.a), xp.zeros_like(self.b)  # [sum_j w b, sum_j w], [sum_i g w a, sum_i g w]
        self.da, self.db = xp.zeros_like(a), xp.zeros_like(b)            # what close pairs add
        self.close: tuple[Array, Array] = (xp.zeros(0, int), xp.zeros(0, int))

    def squared(self, rows: slice, columns: slice) -> Array:
        s = self.left[rows] @ self.right[columns].T
        xp, bound = module_of(s), self.bound[rows]
        near = xp.flatnonzero(s.min(axis=1, keepdims=True) <= bound)
        i, j = xp.nonzero(s[near] <= bound[near])
        self.close = near[i], j
        for i, j, u in self.differences(rows, columns):
            s[i, j] = xp.sum(u * u, axis=1)
        return s

    def differences(self, rows: slice, columns: slice) -> Iterator[tuple[Array, Array, Array]]:
        """The close pairs (i, j) of the block and u = a_i - b_j, some at a time."""
        (a, b), (i, j) = self.original, self.close
        for part in slices(0, i.shape[0], max(1, GATHERED // a.shape[1])):
            yield i[part], j[part], a[rows][i[part]] - b[columns][j[part]]

    def collect(self, w: Array, rows: slice, columns: slice, slopes: tuple[bool, bool], g: Array | None) -> None:
        xp = module_of(w)
        for i, j, u in self.differences(rows, columns):
            u *= w[i, j][:, None]
            xp.add.at(self.da[rows], i, u)
            xp.add.at(self.db[columns], j, -u if g is None else -u * g[i][:, None])
        w[self.close] = 0
        if slopes[0]:
            self.wb[rows] += w @ self.b[columns]
        if slopes[1]:
            self.wa[columns] += w.T @ (self.a[rows] if g is None else self.a[rows] * g[:, None])

    def gradients(self) -> tuple[Array, Array]:
        return (self.da + self.a[:, :-1] * self.wb[:, -1:] - self.wb[:, :-1],
                self.db + self.b[:, :-1] * self.wa[:, -1:] - self.wa[:, :-1])
