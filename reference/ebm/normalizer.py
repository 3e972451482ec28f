r"""log Z: the mass of a density that is known up to a constant, $\tilde p(x) = e^{\text{log\_p}(x)}$, $Z = \int \tilde p$.

With a density q that one can draw from and that has mass 1:

    importance   $Z = E_q[w],\; w = \tilde p / q$
    annealed     the same with $w = \prod_k f_k(x_{k-1}) / f_{k-1}(x_{k-1})$ along $f_k = q^{1 - b_k}\, \tilde p^{\,b_k}$,
                 $0 = b_0 < \dots < b_K = 1$; $x_0 \sim q$, and a kernel that leaves $f_k$ invariant moves $x_{k-1}$ to $x_k$
                 (annealed importance sampling, Neal 2001)
    bridge       with draws of p, too: $Z = E_q[\tilde p h] / E_p[q h],\; h \propto 1 / (n_p\, \tilde p / Z + n_q\, q)$
                 (Meng & Wong 1996; the acceptance ratio of Bennett 1976)
    grid         no draws: the midpoint rule on a box in one or two dimensions

The mean of w is right on average, its logarithm a little low. Errors are those of the delta method: n independent weights
have the effective size $ess = (\sum w)^2 / \sum w^2$, and log of their mean the variance 1/ess - 1/n. They cannot know of
a mode that no draw has met: a small ess is a warning, a large one no proof.
"""
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evenflow.reference.core import Array, Tree, array, arrays, fetched, logsumexp, placed
from evenflow.reference.core.checks import check_count, check_finite, check_shape
from evenflow.reference.mcmc.contract import Kernel, LogDensity

CHUNK = 512  # lattice points at a time: the activations of a network then stay in the cache, and it is three times as fast
ROUNDING = 1e-15  # where the bisection stops, relative to the root or to 1


class LogZ(NamedTuple):
    log_z: float           # in nats
    ess: float             # in draws, from 1 to n
    standard_error: float  # of log_z, in nats


@arrays("log_p", "log_q")
def importance(log_p: Array, log_q: Array) -> LogZ:
    """log Z from both log densities at n draws of q.  log_p (n,), -inf outside the support, and log_q (n,), finite.

    Raises ValueError where log_p is NaN, +inf, or -inf everywhere.
    """
    check_shape("log_q", log_q, "n")
    check_finite("log_q", log_q)
    return of_weights(log_weights("log_p", log_p, log_q))


@arrays("x", "temperatures")
def annealed(
    log_p: LogDensity, log_q: LogDensity, x: Array, temperatures: Array, kernel: Kernel, noise: Sequence[Tree],
) -> tuple[LogZ, Array, Array]:
    """log Z by annealing n draws of q; and where they end, (n, d), with the log weights, (n,), that make them draws of p.

    log_p, log_q: (n, d) -> (n,), q with mass 1; x (n, d), drawn from q; temperatures (K + 1,) from 0 to 1; noise: of
    one kernel step at each of b_1 ... b_{K-1}. The kernel must leave its density invariant, or log Z is biased (ULA);
    MALA refuses draws outside the support of p. K = 1 is `importance`. Neal 2001, section 2, whose order is ours reversed.
    """
    b = fetched(temperatures).astype(np.float64)
    check_shape("temperatures", b, "K + 1")
    if not (len(b) >= 2 and b[0] == 0 and b[-1] == 1 and (np.diff(b) > 0).all()):
        raise ValueError(f"temperatures must increase from 0 to 1, got {temperatures!r}")
    if len(noise) != len(b) - 2:
        raise ValueError(f"noise must be for each of the {len(b) - 2} temperatures between 0 and 1, got {len(noise)}")
    check_shape("x", x, "n", "d")
    log_w = np.zeros(len(x))
    for k in range(1, len(b)):
        at_q = log_q(x)
        check_shape("log_q(x)", at_q, len(x))
        check_finite("log_q(x)", at_q)
        log_w = log_w + (b[k] - b[k - 1]) * log_weights("log_p(x)", log_p(x), at_q)
        if k < len(b) - 1:
            log_f = between(log_q, log_p, float(b[k]))
            x = kernel.step(kernel.init(x, log_f), noise[k - 1], log_f)[0].x
    return of_weights(log_weights("the product of all weights", log_w, np.zeros(len(x)))), x, log_w


def between(log_q: LogDensity, log_p: LogDensity, b: float) -> LogDensity:
    """log f of the annealing path at b."""
    return lambda x: (1 - b) * log_q(x) + b * log_p(x)


@arrays("log_p_at_p", "log_q_at_p", "log_p_at_q", "log_q_at_q")
def bridge(log_p_at_p: Array, log_q_at_p: Array, log_p_at_q: Array, log_q_at_q: Array) -> LogZ:
    r"""log Z from n_p draws of p (the first two, (n_p,)) and n_q of q (the others, (n_q,)), by the best bridge between them.

    With $l = \log \tilde p - \log q$ and $m = \log n_p / n_q$, log Z is the root c of
    $$\sum_{x \sim q} \sigma(l + m - c) = \sum_{x \sim p} \sigma(c - m - l),$$
    whose left side falls and whose right side rises with c: bisection on the logarithms finds it to rounding. ess: of the
    worse of the two samples of terms. Where q, too, has an unknown constant, this is the log ratio of the two.
    Raises ValueError for NaN, for a draw that its own density calls impossible, and where all of one sample are impossible
    under the other density.
    """
    check_shape("log_p_at_p", log_p_at_p, "n_p")
    check_shape("log_q_at_q", log_q_at_q, "n_q")
    check_finite("log_p_at_p", log_p_at_p)
    check_finite("log_q_at_q", log_q_at_q)
    up = log_weights("log_p_at_q", log_p_at_q, log_q_at_q)    # (n_q,)
    down = log_weights("log_q_at_p", log_q_at_p, log_p_at_p)  # (n_p,)
    m = math.log(len(down) / len(up))
    up, down = up + m, down - m  # l + m at draws of q, -(l + m) at draws of p

    def sides(c: float) -> tuple[Array, Array]:
        return -np.logaddexp(0, c - up), -np.logaddexp(0, -c - down)  # log sigma; an impossible draw has -inf

    known = np.concatenate([up[np.isfinite(up)], -down[np.isfinite(down)]])
    beyond = 1 + math.log(2 * max(len(up), len(down)))  # so far out one side outweighs the other, however many terms it has
    low, high = float(known.min() - beyond), float(known.max() + beyond)
    while high - low > ROUNDING * max(1.0, -low, high):
        c = (low + high) / 2
        left, right = sides(c)
        low, high = (c, high) if logsumexp(left, axis=0) > logsumexp(right, axis=0) else (low, c)
    q, p = map(of_weights, sides(c))
    return LogZ(c, min(q.ess, p.ess), math.hypot(q.standard_error, p.standard_error))


class Lattice(NamedTuple):
    """The midpoints of equal cells that fill a box."""
    points: Array  # (m, d), the last coordinate running fastest
    cell: float    # a cell's length or area


class Grid(NamedTuple):
    """A density on a lattice. The probability of the cells where `inside` (m,) holds: grid.mass[inside].sum()."""
    lattice: Lattice
    log_p: Array  # (m,) float64, not normalised
    log_z: float  # of the box

    @property
    def mass(self) -> Array:
        """The probability of each cell, given that x is in the box: (m,), sum 1."""
        return np.exp(self.log_p + (math.log(self.lattice.cell) - self.log_z))


def lattice(low: Sequence[float], high: Sequence[float], points: int) -> Lattice:
    """points along each edge of the box from low to high, which have one or two coordinates each."""
    check_count("points", points)
    check_shape("low", low, "d")
    check_shape("high", high, len(low))
    if not (1 <= len(low) <= 2 and all(-math.inf < a < b < math.inf for a, b in zip(low, high, strict=True))):
        raise ValueError(f"low must be below high, both finite with one or two coordinates, got low {low!r} and high {high!r}")
    axes = [a + (b - a) * (np.arange(points) + 0.5) / points for a, b in zip(low, high, strict=True)]
    middles = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    return Lattice(middles, math.prod(float(b - a) / points for a, b in zip(low, high, strict=True)))


def grid(log_density: LogDensity, lattice: Lattice) -> Grid:
    """Evaluate a density, (n, d) -> (n,), on a lattice. Raises ValueError where it is NaN, +inf, or -inf everywhere.

    For smooth densities that are small at the edges of the box, and cells no wider than half the smallest standard deviation,
    the midpoint rule is exact to rounding but for what lies outside.
    """
    parts = np.array_split(lattice.points, -(-len(lattice.points) // CHUNK))
    log_p = np.concatenate([fetched(log_density(placed(part, part.dtype))) for part in parts])
    log_w = log_weights("log_density(points)", log_p, np.zeros(len(lattice.points)))
    return Grid(lattice, log_w, float(logsumexp(log_w, axis=0)) + math.log(lattice.cell))


def log_weights(name: str, log_p: Array, log_q: Array) -> Array:
    """log_p - log_q (n,) in float64. Raises ValueError where log_p is NaN, +inf, or -inf everywhere; name: of log_p."""
    check_shape(name, log_p, len(log_q))
    log_p, log_q = fetched(array(name, log_p)), fetched(log_q)
    impossible = np.isneginf(log_p)
    check_finite(name, np.where(impossible, 0.0, log_p))
    if impossible.all():
        raise ValueError(f"{name} must be finite somewhere, got {len(log_q)} points, all -inf")
    return np.asarray(log_p, dtype=np.float64) - np.asarray(log_q, dtype=np.float64)


def of_weights(log_w: Array) -> LogZ:
    """log of the mean weight, effective sample size and standard error, from independent weights (n,)."""
    n = len(log_w)
    w = np.exp(log_w - log_w.max())
    total = float(np.sum(w))
    ess = min(total**2 / float(np.sum(w**2)), float(n))
    variance = 1 / ess - 1 / n if n > 1 else math.inf  # one weight says nothing about the next
    return LogZ(float(log_w.max()) + math.log(total / n), ess, math.sqrt(max(variance, 0.0)))
