r"""What a Markov kernel is, and how all of them look at the log density.

A kernel moves many chains at once, x (chains, d), each on its own, and leaves the density p invariant. It is a frozen dataclass
of choices with

    noise(rng, chains, d) -> noise                             all the randomness that one step consumes
    init(x, log_density) -> state                              evaluates what the kernel keeps about the points x
    step(state, noise, log_density) -> (state, info)           a pure function of its arguments

`state.x` are the positions; `info.accepted (chains,)` says which chains took what was proposed. Whenever another kernel has
moved the chains, or p has changed, `init` anew. (Published samplers have kept what was known of the old point, and then sample
something else.)

`log_density(x)` is log p(x) up to a constant; -inf outside the support, where no chain may start. NaN and +inf are errors.
Kernels that follow its gradient need it in autograd.numpy, or as an autograd.extend.primitive with its gradient (defvjp).
"""
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, Tree, array, arrays, check_finite, check_shape, placed, replaceable, streams, traced
from evenflow.reference.core.looking import anywhere, finite

LogDensity: TypeAlias = Callable[[Array], Array]  # x (chains, d) -> log p(x) + constant, (chains,)
S = TypeVar("S", bound=tuple[Any, ...])


class Info(NamedTuple):
    """What a Metropolis-Hastings step did."""
    accepted: Array   # (chains,) bool
    log_ratio: Array  # (chains,) log of p(x') q(x|x') / p(x) q(x'|x)


class Kernel(Protocol):
    def noise(self, rng: onp.random.Generator, chains: int, d: int) -> Tree: ...
    def init(self, x: Array, log_density: LogDensity) -> Any: ...
    def step(self, state: Any, noise: Tree, log_density: LogDensity) -> tuple[Any, Any]: ...


@arrays("log_ratio", "uniform")
def metropolis(log_ratio: Array, uniform: Array, proposal: S, state: S) -> tuple[S, Info]:
    r"""Each chain takes its proposal with probability $\min\{1, e^{\text{log\_ratio}}\}$, else stays (Hastings 1970).

    log_ratio (chains,), uniform (chains,) in [0, 1); proposal, state: NamedTuples of arrays (chains, ...).
    """
    check_shape("uniform", uniform, len(log_ratio))
    accepted = uniform < np.exp(np.minimum(log_ratio, 0.0))
    return choose(accepted, proposal, state), Info(accepted, log_ratio)


def choose(accepted: Array, proposal: S, state: S) -> S:
    """The proposal's entries for the chains that accepted, the state's for the others."""
    def pick(new: Array, old: Array) -> Array:
        return np.where(np.reshape(accepted, (-1, *(1,) * (new.ndim - 1))), new, old)

    return type(state)(*map(pick, proposal, state))


def check_start(x: Array, log_p: Array) -> None:
    """Raise ValueError for a chain that starts outside the support."""
    if not finite(log_p):
        outside = np.flatnonzero(~np.isfinite(log_p))
        i = outside[0]
        said = f"chain {i} starts at {x[i].tolist()} with {log_p[i]} ({len(outside)} chains do)"
        raise ValueError(f"x must start every chain inside the support, where log_density is finite: {said}")


def check_positions(x: Array) -> None:
    check_shape("x", x, "chains", "d")
    check_finite("x", x)


@replaceable
def walk(kernel: Kernel, state: Any, noises: Sequence[Tree], log_density: LogDensity) -> tuple[Any, Array, Array]:
    """One step for each noise: the last state, all positions on the way (steps, chains, d), the acceptances (steps, chains)."""
    path, accepted = [], []
    for noise in noises:
        state, info = kernel.step(state, noise, log_density)
        path.append(state.x)
        accepted.append(info.accepted)
    return state, np.stack(path), np.stack(accepted)


def noise_like(x: Array, kernel: Kernel, rng: onp.random.Generator) -> Tree:
    """The noise of one step, in the dtype of the positions."""
    return placed(kernel.noise(streams(rng, x.dtype), *x.shape), x.dtype)


def log_density_at(x: Array, log_density: LogDensity) -> Array:
    """log p (chains,), -inf where x itself is not finite. Raises FloatingPointError where it is NaN or +inf."""
    fine = np.all(np.isfinite(x), axis=1)
    with np.errstate(all="ignore"):  # what overflows is looked for below
        log_p = array("log_density(x)", log_density(np.where(fine[:, None], x, np.zeros_like(x))))
    return looked_at(x, log_p, fine)


@replaceable
def density_and_gradient(x: Array, log_density: LogDensity) -> tuple[Array, Array]:
    """log p (chains,) and its gradient in x (chains, d), zero where log p is -inf. Raises FloatingPointError as above."""
    def log_p_at(x: Array) -> Array:
        return array("log_density(x)", log_density(x))

    fine = np.all(np.isfinite(x), axis=1)
    with np.errstate(all="ignore"):
        vjp, log_p = traced("log_density", log_p_at, np.where(fine[:, None], x, np.zeros_like(x)))
        gradient = vjp(np.ones_like(log_p)).astype(x.dtype)
    log_p = looked_at(x, log_p, fine)
    gradient = np.where(log_p[:, None] > -np.inf, gradient, np.zeros_like(x))
    if not finite(gradient):
        i = np.flatnonzero(~np.all(np.isfinite(gradient), axis=1))[0]
        raise FloatingPointError(f"the gradient of log_density must be finite, got {gradient[i]} at {x[i].tolist()}")
    return log_p, gradient


def looked_at(x: Array, log_p: Array, fine: Array) -> Array:
    check_shape("log_density(x)", log_p, len(x))
    bad = fine & (np.isnan(log_p) | (log_p == np.inf))
    if anywhere(bad):
        i = np.flatnonzero(bad)[0]
        raise FloatingPointError(f"log_density must be finite, or -inf outside the support, got {log_p[i]} at {x[i].tolist()}")
    return np.where(fine, log_p, np.full_like(log_p, -np.inf))
