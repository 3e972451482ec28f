r"""Mixtures of round Gaussians in any dimension, and the zones around their centres.

$$p(x) = \sum_k w_k\, N(x;\, c_k, s_k^2 I), \qquad \text{zone of } x = \arg\min_k |x - c_k|.$$

How much mass a model puts into each zone tells whether it has the modes, and in the right proportions (Grenioux et al.
2023, section 4). `zone_weights` gives the truth, to rounding, in two cases. Centres on a line: the zones are slabs, and
only the coordinate t along the line counts, in which component k is $N(t_k, s_k^2)$. Equal components whose distances
$|c_i - c_j|$ stay the same when all indices go up by one, the last to the first: then there is an isometry that turns
each zone into the next, and all weigh the same.

The zone of a point is not the component that it was drawn from; `misassignment` says how often the two differ.
"""
import math
from collections.abc import Callable
from dataclasses import dataclass

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, array, arrays, beside, logsumexp, lookup, numbers
from evenflow.reference.core.checks import check_count, check_finite, check_positive, check_shape

Noise = dict[str, Array]

SAME = 1e-9  # relative: lengths that differ by less are equal but for rounding


@dataclass(frozen=True)
class GaussianMixture:
    """K different centres in d dimensions, their weights and standard deviations; as tuples, whatever came.

    >>> mixture = GaussianMixture(((0.0,), (5.0,)), (0.2, 0.8), (1.0, 2.0))
    >>> x = mixture.sample(mixture.noise(onp.random.default_rng(0), 100))
    >>> x.shape, mixture.log_prob(x).shape, mixture.zones(onp.array([[1.0], [9.0]])).tolist()
    ((100, 1), (100,), [0, 1])
    """
    centres: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    sds: tuple[float, ...]

    def __post_init__(self) -> None:
        lengths = {len(centre) for centre in self.centres}
        if len(lengths) != 1 or 0 in lengths or len(set(map(tuple, self.centres))) != self.count:
            raise ValueError(f"centres must be different points of one dimension d >= 1, got {self.centres!r}")
        check_finite("centres", np.asarray(self.centres))
        for name in ("weights", "sds"):
            check_shape(name, getattr(self, name), self.count)
            for number in getattr(self, name):
                check_positive(name, number)
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))
        if not math.isclose(sum(self.weights), 1, rel_tol=SAME):
            raise ValueError(f"weights must sum to 1, got {self.weights} with sum {sum(self.weights)}")
        object.__setattr__(self, "centres", tuple(tuple(map(float, centre)) for centre in self.centres))

    @property
    def d(self) -> int:
        return len(self.centres[0])

    @property
    def count(self) -> int:
        """How many zones."""
        return len(self.centres)

    def noise(self, rng: onp.random.Generator, n: int) -> Noise:
        return {"component": rng.choice(self.count, n, p=self.weights), "normals": rng.standard_normal((n, self.d))}

    def sample(self, noise: Noise) -> Array:
        component, normals = checked(noise, self.count, normals=(self.d,))
        centres, sds = np.asarray(self.centres, normals.dtype), np.asarray(self.sds, normals.dtype)
        return centres[component] + sds[component, None] * normals

    def log_prob(self, x: Array) -> Array:
        """x (n, d) -> (n,)."""
        return mixture_log_prob(x, np.asarray(self.centres), np.asarray(self.weights), np.asarray(self.sds))

    @arrays("x")
    def zones(self, x: Array) -> Array:
        """x (n, d) -> (n,) the index of the nearest centre, the first of them at a tie."""
        check_shape("x", x, "n", self.d)
        check_finite("x", x)
        centres = beside(self.centres, x)
        return np.argmin(np.sum(centres**2, axis=1) / 2 - x @ centres.T, axis=1)  # without |x|^2 nothing overflows

    def zone_weights(self) -> Array:
        """The probability of each zone under the mixture, (K,). Raises ValueError where the module knows no formula."""
        centres, weights, sds = map(np.asarray, (self.centres, self.weights, self.sds))
        if (t := along(centres)) is not None:
            order = np.argsort(t)
            edges = np.concatenate([[-math.inf], (t[order][1:] + t[order][:-1]) / 2, [math.inf]])
            return interval_weights(edges, t, weights, sds)[np.argsort(order)]
        distances = np.sqrt(np.sum((centres[:, None] - centres) ** 2, axis=2))
        cyclic = np.allclose(distances, np.roll(distances, 1, axis=(0, 1)), rtol=SAME, atol=0)
        if not (cyclic and len(set(self.weights)) == len(set(self.sds)) == 1):
            raise ValueError(f"zone weights are known for centres on a line or in a cycle of equals only, got {self}")
        return np.full(self.count, 1 / self.count)


def eight_gaussians(radius: float = 1.0, sd: float = 0.15) -> GaussianMixture:
    """Eight equal ones in two dimensions, evenly spaced on a circle: Grenioux et al. 2023, Fig. 2.

    >>> eight_gaussians().zones(onp.array([[1.0, 0.1], [0.1, 1.0]])).tolist()
    [0, 2]
    """
    angles = 2 * math.pi * np.arange(8) / 8
    centres = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return GaussianMixture(tuple(map(tuple, centres)), (1 / 8,) * 8, (sd,) * 8)


def two_modes() -> GaussianMixture:
    """1/3 N(-1.5 (1, 1), 0.05 I) + 2/3 N(1.5 (1, 1), 0.1 I): Grenioux et al. 2023, Fig. 1. Zone 1 is x_1 + x_2 > 0.

    >>> two_modes().zone_weights().round(6)
    array([0.333333, 0.666667])
    """
    return GaussianMixture(((-1.5, -1.5), (1.5, 1.5)), (1 / 3, 2 / 3), (math.sqrt(0.05), math.sqrt(0.1)))


def four_modes() -> GaussianMixture:
    """Four on the line x_2 = 0, at x_1 = -3, -1, 1, 3, with weights 0.1 ... 0.4: Grenioux et al. 2023, Fig. 3-5, Table 3.

    >>> four_modes().zone_weights().round(3)
    array([0.1, 0.2, 0.3, 0.4])
    """
    return GaussianMixture(((-3, 0), (-1, 0), (1, 0), (3, 0)), (0.1, 0.2, 0.3, 0.4), (math.sqrt(0.05),) * 4)


READINGS: dict[str, Callable[[int], float]] = {
    "paper": lambda d: 0.5919,
    "code": lambda d: 0.591 * math.sqrt(2 * math.log(d)),
}


def high_dimensional(d: int, reading: str = "code") -> GaussianMixture:
    r"""Four equal N(mu_i, I): mu_1 = a(1, ..., 1), mu_2 = a(-1, ... | 1, ...), half and half, mu_3 = -mu_1, mu_4 = -mu_2.

    Grenioux et al. 2023, Table 2 and Fig. 6. reading: "paper" a = 0.5919 as printed, whose modes overlap (`misassignment`);
    "code" a = 0.591 sqrt(2 log d), from the authors' sampler code, whose modes are as far apart as the text says.

    >>> high_dimensional(2, "paper").centres
    ((0.5919, 0.5919), (-0.5919, 0.5919), (-0.5919, -0.5919), (0.5919, -0.5919))
    """
    a, half = separation(d, reading), d // 2
    one, two = (a,) * d, (-a,) * half + (a,) * half
    return GaussianMixture((one, two, (-a,) * d, (a,) * half + (-a,) * half), (0.25,) * 4, (1.0,) * 4)


def misassignment(d: int, reading: str = "code") -> float:
    r"""How often a draw from one component of `high_dimensional` is nearest to another's centre: $1 - \Phi(a\sqrt{d/2})^2$.

    One of its two half-sums then has the wrong sign, and each has with probability q = Phi(-a sqrt(d/2)); so the answer is
    2q - q^2. For d = 16, 32, 64: q = 4.7e-2, 9.0e-3, 4.1e-4 in the paper's reading, where the paper says 1e-10, and
    4e-5, 2.4e-10, 2.7e-22 in the code's.

    >>> round(misassignment(16, "paper"), 4), round(misassignment(16, "code"), 6)
    (0.0919, 8.3e-05)
    """
    q = normal_cdf(-separation(d, reading) * math.sqrt(d / 2))
    return q * (2 - q)


def separation(d: int, reading: str) -> float:
    """The number a of `high_dimensional`."""
    check_count("d", d, least=2)
    if d % 2:
        raise ValueError(f"d must be even, got {d}")
    return lookup("reading", reading, READINGS)(d)


@arrays("x")
def mixture_log_prob(x: Array, centres: Array, weights: Array, sd: float | Array) -> Array:
    """log sum_k w_k N(x; c_k, s_k^2 I).  x (n, d), centres (m, d), weights (m,), sd (m,) or one for all -> (n,)."""
    check_shape("x", x, "n", centres.shape[1])
    d, sds = centres.shape[1], np.broadcast_to(sd, len(centres))
    log_scales = beside((np.log(weights) - d * np.log(sds * math.sqrt(2 * math.pi))).astype(x.dtype), x)
    centres, widths = beside(centres.astype(x.dtype), x), beside((2 * sds**2).astype(x.dtype), x)
    squares = sum((x[:, j : j + 1] - centres[:, j]) ** 2 for j in range(d))
    return logsumexp(log_scales - squares / widths, axis=1)


def along(centres: Array) -> Array | None:
    """Where the centres (m, d) lie on their common line, (m,), measured from the first; None where there is no such line."""
    offsets = centres - centres[0]
    longest = offsets[np.argmax(np.sum(offsets**2, axis=1))]
    direction = longest / (math.hypot(*longest) or 1.0)
    t = offsets @ direction
    return t if np.abs(offsets - np.outer(t, direction)).max() <= SAME * np.abs(t).max() else None


def interval_weights(edges: Array, means: Array, weights: Array, sds: Array) -> Array:
    """What a mixture on the line puts between each edge and the next.  edges (k + 1,), the others (m,) -> (k,)."""
    reached = np.array([[normal_cdf(u) for u in row] for row in (edges[:, None] - means) / sds])  # (k + 1, m)
    return np.diff(reached @ weights)


def normal_cdf(u: float) -> float:
    """Phi(u), with full relative precision in the lower tail."""
    return math.erfc(-u / math.sqrt(2)) / 2


def checked(noise: Noise, count: int, **shapes: tuple[int, ...]) -> list[Array]:
    """component, (n,) whole numbers from 0 to count - 1, and the other kinds of noise, (n, *shape) each; else a ValueError."""
    component = numbers("component", noise["component"])
    check_shape("component", component, "n")
    if component.dtype.kind not in "iu" or ((component < 0) | (component >= count)).any():
        raise ValueError(f"component must hold whole numbers from 0 to {count - 1}, got {component!r}")
    kinds = {kind: array(kind, noise[kind]) for kind in shapes}
    for kind, shape in shapes.items():
        check_shape(kind, kinds[kind], len(component), *shape)
    return [component, *kinds.values()]
