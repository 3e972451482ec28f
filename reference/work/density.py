"""A density of the user's as the sampler sees it: on the line, each call counted, each answer looked at in the user's units."""
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from autograd.extend import defvjp, primitive
from autograd.tracer import isbox

from evenflow.reference.core import Array, array, check_finite, check_shape, fetched, finite, placed
from evenflow.reference.flows import Flow
from evenflow.reference.mcmc.contract import LogDensity, density_and_gradient, looked_at
from evenflow.reference.work.bounds import check_bounds, check_inside, from_line, to_line

if TYPE_CHECKING:
    from evenflow.reference.work.samples import Samples

LEAST = 4  # chains


class Density:
    """log p of t, the y inside (low, high) brought onto the line; autograd differentiates it by the user's gradient."""

    def __init__(self, log_density: LogDensity, gradient: "str | LogDensity | None", low: Array, high: Array) -> None:
        self.log_density, self.gradient, self.low, self.high = log_density, gradient, low, high
        self.calls = self.gradient_calls = 0  # points
        self.score: Any = None

        def both(y: Array) -> Array:
            log_p, self.score = self.with_score(y)
            return log_p

        self.traced = primitive(both)
        defvjp(self.traced, lambda log_p, y: lambda g: g[:, None] * self.score)  # asked for before another y comes

    def __call__(self, t: Array) -> Array:
        """t (n, d) -> (n,)."""
        y, log_slope = from_line(t, self.low, self.high)
        return (self.traced if isbox(t) else self.at)(y) + log_slope

    def at(self, y: Array) -> Array:
        """log p(y), (n,). Raises FloatingPointError where it is NaN or +inf."""
        self.calls += len(y)
        asked = self.log_density(y) if self.gradient == "autograd" else placed(self.log_density(fetched(y)), np.float64)
        return looked_at(y, array("log_density(x)", asked), np.ones_like(y[:, 0], dtype=bool))

    def with_score(self, y: Array) -> tuple[Array, Array]:
        """log p(y) and its gradient (n, d), zero where log p is -inf. Raises FloatingPointError where that is not finite."""
        self.gradient_calls += len(y)
        if self.gradient == "autograd":
            self.calls += len(y)
            return density_and_gradient(y, self.log_density)
        log_p, score = self.at(y), placed(array("gradient(x)", self.gradient(fetched(y))), np.float64)  # type: ignore[misc, operator]
        check_shape("gradient(x)", score, *y.shape)
        score = np.where(log_p[:, None] > -np.inf, score, np.zeros_like(y))
        if not finite(score):
            i = np.flatnonzero(~np.all(np.isfinite(fetched(score)), axis=1))[0]
            raise FloatingPointError(f"gradient must be finite where log_density is, got {score[i]} at {y[i].tolist()}")
        return log_p, score


def started(
    log_density: LogDensity, gradient: "str | LogDensity | None", bounds: Sequence[tuple[float, float]] | None,
    flow: Flow | None, x0: Any, before: "Samples | None",
) -> tuple[Density, Array]:
    """The density, and where the chains start, (chains, d) on the line. Raises ValueError for what does not fit."""
    if not (gradient is None or gradient == "autograd" or callable(gradient)):
        raise ValueError(f'gradient must be None, "autograd" or a function (n, d) -> (n, d), got {gradient!r}')
    if before is not None:
        kind = "RandomWalk" if gradient is None else "MALA"
        if bounds is not None or flow is not None:
            raise ValueError("bounds and flow are those of the samples that x0 goes on from: leave them out")
        if before.local != kind:
            raise ValueError(f"gradient must be given if it was for x0, and only then: x0 is of {before.local}, got {kind}")
        density, x0 = Density(log_density, gradient, *before.bounds), before.chains[-1]
    else:
        x0 = points(x0)
        if flow is not None and flow.d != x0.shape[1]:
            raise ValueError(f"flow must have the dimension {x0.shape[1]} of x0, got {flow.d}")
        density = Density(log_density, gradient, *edges(bounds, x0))
    check_density(density, x0)
    return density, to_line(x0, density.low, density.high)[0]


def points(x0: Any) -> Array:
    """x0 (chains, d) in float64."""
    x0 = fetched(array("x0", x0))
    if np.ndim(x0) == 1:
        raise ValueError(f"x0 must hold the starts of many chains, (chains, d), got one point ({len(x0)},): spread some around "
                         "it, x0 + 0.1 * rng.standard_normal((64, len(x0)))")
    check_shape("x0", x0, "chains", "d")
    if len(x0) < LEAST or x0.shape[1] == 0:
        raise ValueError(f"x0 must hold {LEAST} chains or more in at least one dimension, 50 say, got shape {x0.shape}")
    check_finite("x0", x0)
    return x0.astype(np.float64)


def edges(bounds: Sequence[tuple[float, float]] | None, x0: Array) -> tuple[Array, Array]:
    """low and high (d,), with x0 strictly between."""
    d = x0.shape[1]
    if bounds is not None and any(edge is None for edge in np.array(bounds, dtype=object).ravel()):
        raise ValueError(f"bounds must hold numbers, -inf or inf where there is none, got None in {bounds}")
    pairs = array("bounds", [(-np.inf, np.inf)] * d if bounds is None else bounds)
    check_shape("bounds", pairs, d, 2)
    low, high = check_bounds("x0", x0, *pairs.T)
    check_inside("x0", x0, low, high)
    return low, high


def check_density(density: Density, x0: Array) -> None:
    """Raise ValueError unless log_density takes many points, one a row, each on its own, and is finite at x0."""
    hint = "of f, a function of one point, make lambda x: np.array([f(row) for row in x])"
    first, place = (density.log_density(placed(x, np.float64) if density.gradient == "autograd" else x) for x in (x0, x0[:1]))
    for asked, n in ((first, len(x0)), (place, 1)):
        if np.shape(asked) != (n,):
            raise ValueError(f"log_density must take x (n, d) and return (n,), got {np.shape(asked)} for {n} points: {hint}")
    y = placed(x0, np.float64)
    log_p = fetched(density.at(y) if density.gradient is None else density.with_score(y)[0])
    alone = fetched(array("log_density(x)", place))
    density.calls += len(x0) + 1
    if not np.allclose(log_p[:1], alone, rtol=1e-6, atol=1e-9):
        raise ValueError(f"log_density must look at each point alone, got {log_p[0]} for the first of {len(x0)} and {alone[0]} "
                         f"for it by itself: {hint}")
    outside = np.flatnonzero(~np.isfinite(log_p))
    if len(outside):
        i = outside[0]
        raise ValueError(f"x0 must start every chain where log_density is finite, got {log_p[i]} at {x0[i].tolist()} "
                         f"(chain {i}; {len(outside)} of {len(x0)} chains)")
