r"""One's own density: adaptive flowMC (Gabrie et al. 2022) behind one call, `evenflow.sample`.

    1.  warm-up: local moves alone, their step following the acceptance
    2.  rounds of sweeps: 5 local moves, 1 i-SIR through the flow (mcmc/independence.py), the step still following. In the first
        half the flow is a mixture of normals, fitted anew to the states of each round (clusters.py); in the second half it is
        bent, by maximum likelihood on the states of the later half of all rounds so far. A flow of the user's is bent alone
    3.  all frozen: sweeps that leave p invariant exactly. Their states alone are returned
    4.  log Z by the bridge (ebm/normalizer.py) between those states and the fresh draws that i-SIR made for them: these are
        independent draws of one frozen flow, and their log p is known

All moves are made in u: the user's y is brought from its bounds onto the line (bounds.py), $t = W u + b$ with W and b such that
the modes are round. $\log p_u(u) = \log p(y) + \log|\det dy/dt| + \log|\det W|$ has the mass of p.
"""
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import autograd.numpy as anp
import numpy as np

from evenflow.reference.core import Array, Tree, check_count, fetched, optim, placed
from evenflow.reference.ebm.normalizer import LogZ, bridge
from evenflow.reference.flows import Dense, Flow, realnvp
from evenflow.reference.mcmc import ISIR, MALA, RandomWalk, independence, metropolis
from evenflow.reference.mcmc.adaptation import adapted
from evenflow.reference.mcmc.contract import LogDensity, noise_like
from evenflow.reference.mcmc.ess import ess
from evenflow.reference.work import training
from evenflow.reference.work.bounds import from_line, to_line
from evenflow.reference.work.checkpoints import PathLike, State
from evenflow.reference.work.clusters import clusters
from evenflow.reference.work.density import Density, started
from evenflow.reference.work.samples import Samples, say, warn_unmixed

WARM_UP, COARSE = 200, 50  # local moves; those whose step changes by half, not by a twentieth
ROUNDS, SWEEPS, LOCAL = 20, 10, 5
N = 8                      # slots of i-SIR
FLOW_STEPS, BATCH, RATE, CLIP = 100, 256, 2e-3, 10.0  # of the flow's training: a round, rows a step, Adam
FIRST_STEP = 0.1           # of the chains' own spread
LEAST = 20                 # sweeps of 3.: diagnostics need some
ACCEPTANCE = {RandomWalk: 0.3, MALA: 0.6}  # near what is best in many dimensions (Roberts & Rosenthal 2001)
Local = RandomWalk | MALA


class Walk(NamedTuple):
    """What some sweeps did; all on the host."""
    t: Array           # (sweeps, chains, d), on the line
    log_p: Array       # (sweeps, chains), of u
    log_lambda: Array  # the same of the flow
    log_w: Array       # (sweeps, chains, N - 1): log p - log lambda of the fresh draws
    accepted: Array    # (sweeps, 2): shares of local and global moves
    local: Local


class Machine(NamedTuple):
    """What moves the chains: frozen in 3., adapted before."""
    local: Local
    flow: Flow   # of u
    params: Tree
    white: Tree  # {"W": (d, d), "b": (d,)}


def sample(
    log_density: LogDensity, x0: "Array | Samples | PathLike", n: int, *, gradient: "str | LogDensity | None" = None,
    bounds: Sequence[tuple[float, float]] | None = None, flow: Flow | None = None, rounds: int | None = None, seed: int = 0,
    progress: bool = False,
) -> Samples:
    """n draws of a density that is known up to a constant; its log Z; and whether they can be trusted (UnmixedWarning).

    log_density: (n, d) -> (n,), plain NumPy, -inf outside the support. x0: where the chains start, (chains, d), spread over all
    that may matter: a mode that none of them can reach is never found. gradient: None, random-walk moves; a function (n, d) ->
    (n, d), or "autograd" where log_density is written with autograd.numpy: MALA. bounds: (low, high) for each coordinate,
    inf where there is none; the density is asked strictly inside alone. flow: None, affine couplings on a mixture of normals;
    or one of dimension d. rounds of adaptation, 20 unless said otherwise. progress: lines on standard error.

    x0 may be Samples, or the path of saved ones: then the same chains go on with the same flow, step and bounds, frozen unless
    rounds says that they adapt first.

    On a device backend log_density and gradient are asked NumPy arrays all the same, except with "autograd": device arrays.
    All in float64. Raises ValueError for arguments that do not fit, FloatingPointError where log_density is NaN or +inf.

    >>> samples = sample(lambda x: -np.sum(x**2, axis=1) / 2, np.random.default_rng(0).standard_normal((20, 2)), 1000, rounds=4)
    >>> samples.x.shape, bool(abs(samples.log_z - np.log(2 * np.pi)) < 0.1)
    ((1000, 2), True)
    """
    check_count("n", n)
    rng, before, tell = np.random.default_rng(seed), gone_on_from(x0), say if progress else lambda line: None
    density, t = started(log_density, gradient, bounds, flow, x0, before)
    rounds = rounds if rounds is not None else 0 if before else ROUNDS
    check_count("rounds", rounds, least=0)
    machine, states = taken_up(before) if before else warmed_up(density, t, RandomWalk if gradient is None else MALA, flow, rng)
    if rounds:
        refits = rounds - rounds // 2 if before is None and flow is None else 0
        machine, states = adapt(density, machine, states, rounds, refits, rng, tell)
    walk = swept(density, machine, states[-1], max(LEAST, -(-n // states.shape[1])), rng, False, tell)
    samples = collected(walk, machine, density, n)
    warn_unmixed(samples)
    return samples


def gone_on_from(x0: Any) -> Samples | None:
    """Samples, given or in a file; None where x0 holds points."""
    if hasattr(x0, "__array__") or isinstance(x0, list | tuple):
        return None
    return x0 if isinstance(x0, Samples) else Samples.load(x0)


def taken_up(before: Samples) -> tuple[Machine, Array]:
    """What moved the chains, and their states on the line."""
    local = (MALA if before.local == "MALA" else RandomWalk)(before.step_size)
    t, _ = to_line(before.chains.reshape(-1, before.chains.shape[2]), *before.bounds)
    return Machine(local, before.flow, before.params, before.white), t.reshape(before.chains.shape)


def warmed_up(
    density: Density, t: Array, kernel: type[Local], flow: Flow | None, rng: np.random.Generator
) -> tuple[Machine, Array]:
    """Local moves from t (chains, d), in units of the chains' own spread; then the first flow. And the later half of states."""
    spread = np.where(t.std(axis=0) > 0, t.std(axis=0), 1.0)
    white: Tree = {"W": np.diag(spread), "b": t.mean(axis=0)}
    local: Any = kernel(FIRST_STEP)
    for half in range(2):
        log_p, u, trace = whitened(density, white), in_white(white, t), []
        state: Any = local.init(u, log_p)
        for k in range(WARM_UP // 2):
            state, info = local.step(state, noise_like(u, local, rng), log_p)
            local = retuned(local, fetched(info.accepted), 1.5 if k < COARSE and half == 0 else 1.05)
            trace.append(on_line(white, state.x))
        t, trace = trace[-1], trace[len(trace) // 2 :]
        if (np.ptp(trace, axis=(0, 1)) == 0).any():
            raise FloatingPointError("no chain has moved in the warm-up, every local move was refused: is the density a spike?")
        white, base = clusters(np.concatenate(trace), rng, most=8 if flow is None else 1)
    flow = flow or realnvp(t.shape[1], layers=6, hidden=(32, 32), final_scale=0.0, base=base)
    return Machine(local, flow, flow.init(rng), white), np.stack(trace)


def adapt(
    density: Density, machine: Machine, states: Array, rounds: int, refits: int, rng: np.random.Generator,
    tell: Callable[[str], None],
) -> tuple[Machine, Array]:
    """`rounds` rounds, of which the first `refits` fit the mixture: the machine, and the states that it last learned from."""
    steps = (rounds - refits) * FLOW_STEPS
    settings = training.Settings(max(steps, 1), schedule=optim.cosine_decay(RATE, max(steps, 1)), clip=CLIP)
    fit = training.begin(placed(machine.params, np.float64), settings, rng)
    past, recent = [states], states
    for r in range(rounds):
        walk = swept(density, machine, recent[-1], SWEEPS, rng, True)
        past.append(walk.t)
        recent = np.concatenate(past[(len(past) + 1) // 2 :])
        points, loss = recent.reshape(-1, recent.shape[2]), ""
        machine = machine._replace(local=walk.local)
        if r < refits:
            white, base = clusters(points, rng)
            machine = machine._replace(flow=replace(machine.flow, base=base), white=white)
        else:
            fit, loss = bent(fit, machine, points, settings)
            machine = machine._replace(params=fit.params)
        near, far = walk.accepted.mean(axis=0)
        tell(f"round {r + 1} of {rounds}: {near:.2f} of the local moves taken, {far:.2f} of the global{loss}")
    return machine, recent


def bent(fit: State, machine: Machine, points: Array, settings: training.Settings) -> tuple[State, str]:
    """A round's steps of the flow, by maximum likelihood on points (m, d) of the line."""
    u, flow, loss = fetched(in_white(machine.white, points)), machine.flow, 0.0

    def batch(rng: np.random.Generator) -> tuple[Array]:
        return (placed(u[rng.integers(len(u), size=BATCH)], np.float64),)

    for _ in range(FLOW_STEPS):
        fit, report = training.advance(fit, lambda params, u: -anp.mean(flow.log_prob(params, u)), batch, settings)
        loss = report.loss
    return fit, f", the flow's loss {loss:.3f}"


def swept(
    density: Density, machine: Machine, t: Array, sweeps: int, rng: np.random.Generator, adapting: bool,
    tell: Callable[[str], None] = lambda line: None,
) -> Walk:
    """Sweeps from t (chains, d) on the line. adapting: the local step follows its acceptance."""
    local: Any = machine.local
    flow, params = machine.flow, placed(machine.params, np.float64)
    log_p, isir, kept = whitened(density, machine.white), ISIR(flow, params, N), []
    state: Any = local.init(in_white(machine.white, t), log_p)
    for sweep in range(sweeps):
        took = []
        for _ in range(LOCAL):
            state, info = local.step(state, noise_like(state.x, local, rng), log_p)
            took.append(fetched(info.accepted))
        here = independence.State(state.x, state.log_p, flow.log_prob(params, state.x))
        there, choice = isir.step(here, noise_like(state.x, isir, rng), log_p)
        state = metropolis.State(there.x, there.log_p) if isinstance(local, RandomWalk) else local.init(there.x, log_p)
        local = retuned(local, np.stack(took)) if adapting else local
        accepted = np.array([np.mean(took), np.mean(fetched(choice.accepted))])
        kept.append((*fetched([on_line(machine.white, there.x), *there[1:], choice.log_weights[:, 1:]]), accepted))
        if (sweep + 1) * 10 // sweeps > sweep * 10 // sweeps:
            tell(f"sweep {sweep + 1} of {sweeps}")
    t, at_p, at_lambda, log_w, shares = map(np.stack, zip(*kept, strict=True))
    return Walk(t, at_p, at_lambda, log_w, shares, local)


def retuned(local: Local, accepted: Array, factor: float = 1.05) -> Local:
    step_size = adapted(local.step_size, float(np.mean(accepted)), ACCEPTANCE[type(local)], factor=factor)
    return replace(local, step_size=step_size)


def whitened(density: Density, white: Tree) -> LogDensity:
    """log p of u."""
    there = placed(white, np.float64)

    def log_p(u: Array) -> Array:
        t, log_det = Dense(u.shape[1]).forward(there, u)
        return density(t) + log_det

    return log_p


def in_white(white: Tree, t: Array) -> Array:
    """t (n, d) on the host -> u, where models compute."""
    return Dense(t.shape[1]).inverse(placed(white, np.float64), placed(t, np.float64))[0]


def on_line(white: Tree, u: Array) -> Array:
    """u (n, d) -> t on the host."""
    return fetched(Dense(u.shape[1]).forward(placed(white, np.float64), u)[0])


def collected(walk: Walk, machine: Machine, density: Density, n: int) -> Samples:
    """The samples in the user's units."""
    sweeps, chains, d = walk.t.shape
    y, log_slope = from_line(walk.t.reshape(-1, d), density.low, density.high)
    log_det = np.linalg.slogdet(machine.white["W"])[1]
    acceptance_local, acceptance_global = walk.accepted.mean(axis=0).tolist()
    return Samples(
        chains=y.reshape(sweeps, chains, d), log_p=walk.log_p - log_slope.reshape(sweeps, chains) - log_det, n=n,
        evidence=log_z(walk), acceptance_local=acceptance_local, acceptance_global=acceptance_global, calls=density.calls,
        gradient_calls=density.gradient_calls, flow=machine.flow, params=fetched(machine.params), white=machine.white,
        step_size=machine.local.step_size, local=type(machine.local).__name__, bounds=(density.low, density.high),
    )


def log_z(walk: Walk) -> LogZ:
    """The bridge, from states so far apart that they count as independent."""
    worth = float(np.min(ess(walk.t)))
    every = max(1, min(round(walk.log_p.size / worth), len(walk.t)))
    fresh = walk.log_w.ravel()
    thin = walk.log_p[::every].ravel(), walk.log_lambda[::every].ravel()
    return bridge(*thin, fresh, np.zeros_like(fresh))
