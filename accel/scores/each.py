r"""Sums over pairs where every observation has draws of its own: x (m, n, d), y (n, d), nothing larger than x.
On the host; a device has kernels/each.py.

$$\text{cross}_j = \sum_i f(x_{ij}, y_j), \qquad \text{within}_j = \sum_{k=1}^{m-1} \sum_{i \ge k} f(x_{ij}, x_{i-k,j})$$

The pairs at lag k are two slices of x. f depends on $|u|^2$, its gradient is $w u$ with $w = 2 f'(|u|^2)$; what is summed for
an observation has one cotangent, so the gradients are kept and only scaled on the way back.
"""
from evenflow.accel.backends import module_of
from evenflow.accel.scores.sweep import Radial, profile, slices
from evenflow.reference.core import Array

BLOCK = 2**17  # numbers of x that are worked on at a time, so that they stay in the cache


def cross(f: Radial, x: Array, y: Array, slopes: bool) -> tuple[Array, Array | None]:
    """The sums (n,) and their gradient by x (m, n, d); by y it is minus its sum over the draws."""
    values, u = pairs(f, x - y, slopes)
    return values.sum(axis=0), u


def within(f: Radial, x: Array, slopes: bool) -> tuple[Array, Array | None]:
    """The sums (n,) and their gradient by x (m, n, d)."""
    xp = module_of(x)
    sums, gradient = xp.zeros_like(x[0, :, 0]), xp.zeros_like(x) if slopes else None
    for rows in slices(0, x.shape[1], max(1, BLOCK // (x.shape[0] * x.shape[2]))):
        part = x[:, rows]
        for k in range(1, x.shape[0]):
            values, u = pairs(f, part[k:] - part[:-k], slopes)
            sums[rows] += values.sum(axis=0)
            if gradient is not None:
                gradient[k:, rows] += u
                gradient[:-k, rows] -= u
    return sums, gradient


def pairs(f: Radial, u: Array, slopes: bool) -> tuple[Array, Array | None]:
    """f (...) and, where asked for, its gradient w u, of differences u (..., d). Overwrites u."""
    d = u.shape[-1]
    squared = (u * u).reshape(-1, d) @ module_of(u).ones_like(u[0, 0])
    values, w = profile(f, squared.reshape(u.shape[:-1]), slopes)
    if w is None:
        return values, None
    u *= w[..., None]
    return values, u
