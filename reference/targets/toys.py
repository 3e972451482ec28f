r"""The toy sets of the field: exact samples, the density where there is one, and zones where there are modes to count.

Moons and spirals are a curve $c(u)$, u uniform on [0, 1], drawn with Gaussian noise $\xi$, so that

$$x = c(u) + s\,\xi, \qquad p(x) = \int_0^1 N(x;\, c(u), s^2 I)\, du \approx \sum_k w_k\, N(x;\, c(u_k), s^2 I).$$

The sum is Gauss-Legendre quadrature with nodes about $s/2$ apart along the curve; log p is then right to 1e-9 where the
data lie and to 1e-7 where it has fallen to -1,000 (tested against four times as many nodes). With finitely many
centres, as for the Gaussians (mixtures.py) and the rings, the sum is exact.

`noise(rng, n)` draws what `sample(noise)` turns into points x (n, 2), so that all randomness is an argument; `log_prob(x)`
is log p, (n,). Shapes and defaults follow scikit-learn (moons), Grathwohl et al. 2019 (checkerboard, spirals, and the
pinwheel of Johnson et al. 2016) and Grenioux et al. 2023, section 4 (eight Gaussians, rings, the mixtures).
"""
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache, partial
from typing import Any

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, arrays, beside, check_count, check_finite, check_positive, check_shape, value
from evenflow.reference.targets import mixtures
from evenflow.reference.targets.mixtures import Noise, checked, interval_weights, mixture_log_prob


class Target:
    """What the classes here share: two dimensions, and fields that are counts or positive numbers."""
    d = 2

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            check = check_count if field.type is int else check_positive
            check(field.name, getattr(self, field.name))


@dataclass(frozen=True)
class Rings(Target):
    r"""A radius r ~ equal mixture of N(i, sd^2), i = 1 ... rings, at a uniform angle.

    A negative r lies on the other side: $p(x) = (p_r(|x|) + p_r(-|x|)) / (2\pi|x|)$, whose second term the paper leaves
    out. It is infinite at the origin; its value at a distance of 1e-18 is given there.

    >>> target = Rings()
    >>> target.zones(target.sample(target.noise(onp.random.default_rng(0), 5))).shape, target.zone_weights().round(3)
    ((5,), array([0.25, 0.25, 0.25, 0.25]))
    """
    rings: int = 4
    sd: float = 0.15

    def noise(self, rng: onp.random.Generator, n: int) -> Noise:
        return {"component": rng.integers(self.rings, size=n), "normals": rng.standard_normal(n), "uniforms": rng.random(n)}

    def sample(self, noise: Noise) -> Array:
        component, normals, uniforms = checked(noise, self.rings, normals=(), uniforms=())
        r = (component + 1).astype(normals.dtype) + self.sd * normals
        angle = 2 * math.pi * uniforms
        return np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1)

    @arrays("x")
    def log_prob(self, x: Array) -> Array:
        check_shape("x", x, "n", 2)
        distance = np.sqrt(np.sum(x**2, axis=1) + 1e-36)
        radii = onp.arange(1.0, self.rings + 1)
        both_sides = onp.concatenate([radii, -radii])[:, None]
        log_p_r = mixture_log_prob(distance[:, None], both_sides, onp.full(2 * self.rings, 1 / self.rings), self.sd)
        return log_p_r - np.log(2 * math.pi * distance)

    @property
    def count(self) -> int:
        """How many zones: around each ring, halfway to the next."""
        return self.rings

    @arrays("x")
    def zones(self, x: Array) -> Array:
        """x (n, 2) -> (n,) the nearest ring: 0 where |x| < 1.5, 1 where it is < 2.5, and so on."""
        check_shape("x", x, "n", 2)
        check_finite("x", x)
        return onp.searchsorted(beside(onp.arange(1.5, self.rings), x), onp.hypot(*value(x).T), side="right")

    def zone_weights(self) -> Array:
        """The probability of each zone, (rings,): of |r|, so that what falls below r = 0 counts on the other side."""
        outer = onp.append(onp.arange(1.5, self.rings), math.inf)
        radii, weights = onp.arange(1.0, self.rings + 1), onp.full(self.rings, 1 / self.rings)
        both = interval_weights(onp.concatenate([-outer[::-1], [0.0], outer]), radii, weights, onp.full(self.rings, self.sd))
        return both[self.rings :] + both[: self.rings][::-1]


class Curve(Target):
    """Two arms of one curve, each with probability 1/2, drawn with Gaussian noise of standard deviation sd."""
    sd: float
    curve: Callable[..., Array]  # component (n,) 0 or 1, u (n,) in [0, 1] -> (n, 2)

    def noise(self, rng: onp.random.Generator, n: int) -> Noise:
        return {"component": rng.integers(2, size=n), "uniforms": rng.random(n), "normals": rng.standard_normal((n, 2))}

    def sample(self, noise: Noise) -> Array:
        component, uniforms, normals = checked(noise, 2, uniforms=(), normals=(2,))
        return self.curve(component, uniforms).astype(normals.dtype) + self.sd * normals


@dataclass(frozen=True)
class TwoMoons(Curve):
    """Two interlocking half circles of radius 1, drawn with Gaussian noise.

    >>> TwoMoons().log_prob(onp.array([[0.0, 1.0], [1.0, -0.5]])).round(3)
    array([-0.453, -0.453])
    """
    sd: float = 0.1

    def curve(self, component: Array, u: Array) -> Array:
        upper = onp.stack([onp.cos(math.pi * u), onp.sin(math.pi * u)], axis=1)
        return onp.where(component[:, None] == 0, upper, onp.array([1.0, 0.5]) - upper)

    def log_prob(self, x: Array) -> Array:
        """By quadrature over u."""
        u, weights = gauss_legendre(math.pi / self.sd)
        return mixture_log_prob(x, *two_arms(self.curve, u, weights), self.sd)


@dataclass(frozen=True)
class Spirals(Curve):
    r"""Two arms $\pm\frac{a}{3}(-\cos a, \sin a)$, $a = 2\pi\sqrt{u}\cdot$ turns, with u uniform and Gaussian noise.

    Grathwohl et al. add uniform noise, too; with it the density is no longer a single integral.

    >>> Spirals().log_prob(onp.array([[math.pi, 0.0], [-math.pi, 0.0]])).round(3)
    array([-2.703, -2.703])
    """
    turns: float = 1.5
    sd: float = 0.1

    def curve(self, component: Array, u: Array) -> Array:
        a = 2 * math.pi * self.turns * onp.sqrt(u)
        arm = onp.stack([-a * onp.cos(a), a * onp.sin(a)], axis=1) / 3
        return onp.where(component[:, None] == 0, arm, -arm)

    def log_prob(self, x: Array) -> Array:
        """By quadrature over t = sqrt(u), in which the curve is smooth: du = 2t dt."""
        a = 2 * math.pi * self.turns
        # Fastest at t = 1, where the nodes are dense; they lie farthest apart at t = 3/4: 0.65 of that speed counts
        t, weights = gauss_legendre(0.65 * a * math.hypot(1.0, a) / 3 / self.sd)
        return mixture_log_prob(x, *two_arms(self.curve, t**2, 2 * t * weights), self.sd)


@dataclass(frozen=True)
class Checkerboard(Target):
    """Uniform on every other square of a board centred at the origin; square (i, j) is in where i + j is even.

    The log density is -inf on the other squares and off the board, and its gradient 0 wherever one stands.

    >>> Checkerboard().log_prob(onp.array([[1.0, 1.0], [1.0, -1.0]])).round(3)
    array([-3.466,   -inf])
    """
    squares: int = 4   # along each edge
    side: float = 2.0  # of one square

    def corners(self) -> Array:
        """The lower left corners of the squares in use, in sides from the board's own corner: (count, 2)."""
        i, j = onp.indices((self.squares, self.squares)).reshape(2, -1)
        return onp.stack([i, j], axis=1)[(i + j) % 2 == 0]

    def noise(self, rng: onp.random.Generator, n: int) -> Noise:
        return {"component": rng.integers(len(self.corners()), size=n), "uniforms": rng.random((n, 2))}

    def sample(self, noise: Noise) -> Array:
        component, uniforms = checked(noise, len(self.corners()), uniforms=(2,))
        edge = 4 * self.squares * float(onp.finfo(uniforms.dtype).eps)  # so close to it rounding leads into the next square
        uniforms = np.clip(uniforms, edge, 1 - edge)
        return (self.corners()[component].astype(uniforms.dtype) + uniforms - self.squares / 2) * self.side

    @arrays("x")
    def log_prob(self, x: Array) -> Array:
        check_shape("x", x, "n", 2)
        square = np.floor(x / self.side + self.squares / 2)
        on_board = np.all((square >= 0) & (square < self.squares), axis=1)
        inside = on_board & (np.sum(square, axis=1) % 2 == 0)
        zero = 0.0 * np.sum(x, axis=1)  # keeps dtype and autograd's trace
        return np.where(inside, zero - math.log(len(self.corners()) * self.side**2), zero - math.inf)


@dataclass(frozen=True)
class Pinwheel(Target):
    """Gaussian arms (a, b) ~ N((1, 0), diag(radial_sd, tangential_sd)^2), turned clockwise by their angle + rate e^a.

    No log_prob: to undo the turn one must solve b = r sin(angle - rate e^a), a = r cos(angle - rate e^a) for a. The
    equation is transcendental and may have several roots, so the density has no closed form.

    >>> Pinwheel().sample({"component": onp.array([0]), "normals": onp.zeros((1, 2))}).round(3)
    array([[ 1.556, -1.257]])
    """
    arms: int = 5
    radial_sd: float = 0.3
    tangential_sd: float = 0.1
    rate: float = 0.25
    scale: float = 2.0

    def noise(self, rng: onp.random.Generator, n: int) -> Noise:
        return {"component": rng.integers(self.arms, size=n), "normals": rng.standard_normal((n, 2))}

    def sample(self, noise: Noise) -> Array:
        component, normals = checked(noise, self.arms, normals=(2,))
        a, b = 1 + self.radial_sd * normals[:, 0], self.tangential_sd * normals[:, 1]
        turn = (2 * math.pi / self.arms * component).astype(normals.dtype) + self.rate * np.exp(a)
        cos, sin = np.cos(turn), np.sin(turn)
        return self.scale * np.stack([a * cos + b * sin, b * cos - a * sin], axis=1)


TARGETS: dict[str, Callable[..., Any]] = {
    "two-moons": TwoMoons, "rings": Rings, "eight-gaussians": mixtures.eight_gaussians, "pinwheel": Pinwheel,
    "checkerboard": Checkerboard, "spirals": Spirals, "two-modes": mixtures.two_modes, "four-modes": mixtures.four_modes,
    **{f"mixture-{d}": partial(mixtures.high_dimensional, d) for d in (16, 32, 64)},
}


@cache
def gauss_legendre(lengths: float) -> tuple[Array, Array]:
    """Nodes and weights on [0, 1] for a curve that is `lengths` standard deviations of its noise long."""
    nodes, weights = onp.polynomial.legendre.leggauss(16 + math.ceil(3 * lengths))
    return (nodes + 1) / 2, weights / 2


def two_arms(curve: Callable[[Array, Array], Array], u: Array, weights: Array) -> tuple[Array, Array]:
    """Centres and weights of the mixture that stands for both arms of a curve."""
    return curve(onp.repeat([0, 1], len(u)), onp.tile(u, 2)), onp.tile(weights / 2, 2)
