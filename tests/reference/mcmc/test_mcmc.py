"""The contract of Markov kernels: one table of them (samplers.KERNELS), and what each must do.

They leave their target invariant, and every planted mistake (mutants.MUTANTS) is seen by that same check; their ratios are
those of detailed balance; states are never stale; dtypes are kept, inputs untouched; bad input is refused.
"""
import math
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from functools import partial
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.stats
from autograd import elementwise_grad, jacobian

from evenflow.reference.core.looking import value
from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array, Tree, leaves, tree_map
from evenflow.reference.flows.densities import Normal, Uniform
from evenflow.reference.flows.flow import Flow, realnvp
from evenflow.reference.mcmc.adaptation import adapted, warm_up
from evenflow.reference.mcmc.chains import run
from evenflow.reference.mcmc.contract import Kernel, metropolis, noise_like
from evenflow.reference.mcmc.flowmc import FlowMC
from evenflow.reference.mcmc.hmc import HMC, hmc, leapfrog
from evenflow.reference.mcmc.independence import ISIR, IndependentMH, independent_mh, isir, resample
from evenflow.reference.mcmc.langevin import MALA, ULA, mala, ula
from evenflow.reference.mcmc.langevin import start as langevin_start
from evenflow.reference.mcmc.latent import pullback
from evenflow.reference.mcmc.metropolis import RandomWalk, random_walk
from evenflow.reference.mcmc.metropolis import start as walk_start
from evenflow.reference.targets.mixtures import GaussianMixture
from tests import tolerances
from tests.mutants import MUTANTS
from tests.samplers import KERNELS, TARGETS, Latent, Target, check_invariance, flow
from tests.strategies import generator

STEPPERS: dict[str, Callable[[int], Kernel]] = {**KERNELS, "ula": lambda d: ULA(0.05)}  # what need not be exact
every = pytest.mark.parametrize("name", STEPPERS)
BENT: Target = TARGETS["three modes"]
ROUNDING = tolerances.value(np.float64, 100.0)  # of log densities down to -100


def begin(name: str, chains: int = 6, d: int = 2, seed: int = 0) -> tuple[Kernel, Array, Tree]:
    """A kernel, chains in the target `BENT` (or its first coordinate's mode), and noise for one step."""
    rng = generator(seed)
    target = BENT if d == 2 else TARGETS["two modes"]
    x = target.sample(target.noise(rng, chains))
    kernel = STEPPERS[name](d)
    return kernel, x, kernel.noise(rng, chains, d)


def parts(state: Any) -> list[Array]:
    """The arrays of a state, those of an inner state too."""
    return [a for field in state for a in (parts(field) if isinstance(field, tuple) else [field])]


# ---------------------------------------------------------------------------------------------------------- invariance

@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", KERNELS)
def test_invariance(name: str, target: str) -> None:
    check_invariance(KERNELS[name](TARGETS[target].d), TARGETS[target])


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_planted_mistakes_are_seen(name: str) -> None:
    with pytest.raises(AssertionError):
        check_invariance(MUTANTS[name](1), TARGETS["two modes"])


class Grid:
    """Stands in for a generator where one normal number and one uniform number are consumed by each chain."""
    def __init__(self, normal: Array):
        self.normal = normal

    def standard_normal(self, shape: Any) -> Array:
        return self.normal.reshape(shape)

    def random(self, n: int) -> Array:
        return np.full(n, 0.5)


def stays_below(info: Any) -> Array:
    """The uniform number at which a step's outcome changes: the chance of the first outcome."""
    if hasattr(info, "log_ratio"):
        return np.exp(np.minimum(info.log_ratio, 0.0))
    w = np.exp(info.log_weights - info.log_weights.max(axis=1, keepdims=True))
    return w[:, 0] / w.sum(axis=1)


ONE_NUMBER: dict[str, Callable[[], Kernel]] = {
    **{name: lambda name=name: KERNELS[name](1)  # type: ignore[misc]
       for name in ("random walk", "mala", "hmc", "independent mh", "latent mala", "latent walk")},
    "isir of two": lambda: ISIR(*flow(1), N=2),
}


@pytest.mark.parametrize(("target", "box", "error"), [("two modes", (-8.0, 8.0), 5e-5), ("bounded", (0.0, 2.0), 4e-3)])
@pytest.mark.parametrize("name", ONE_NUMBER)
def test_invariance_by_quadrature(name: str, target: str, box: tuple[float, float], error: float) -> None:
    """E f(x') = E f(x) summed over a grid of x and noise; the uniform number exactly, in the middles of its two pieces.

    The midpoint rule's own error comes from the kink of min(1, ratio), and from the jump where proposals leave the box: at
    most 2e-5 and 2e-3, for the flow's proposals; 1e-7 for the local kernels, 1e-15 for i-SIR, which has no kink.
    """
    nodes = [low + (high - low) * (np.arange(n) + 0.5) / n for (low, high), n in ((box, 400), ((-8.0, 8.0), 500))]
    x, xi = (a.reshape(-1, 1) for a in np.meshgrid(*nodes, indexing="ij"))
    p = TARGETS[target]
    weights = np.exp(p.log_prob(x) - xi[:, 0] ** 2 / 2)
    weights /= weights.sum()
    kernel = ONE_NUMBER[name]()
    state, rng = kernel.init(x, p.log_prob), Grid(xi)
    noise = kernel.noise(rng, len(x), 1)  # type: ignore[arg-type]
    b = stays_below(kernel.step(state, noise, p.log_prob)[1])
    below, above = (kernel.step(state, {**noise, "uniform": u}, p.log_prob)[0].x for u in (b / 2, (1 + b) / 2))
    for f in (np.sin, np.cos, np.square):
        after = np.sum(weights * (b * f(below[:, 0]) + (1 - b) * f(above[:, 0])))
        assert abs(after - np.sum(weights * f(x[:, 0]))) <= error


@pytest.mark.parametrize("eta", [0.05, 0.4])
def test_ula_has_the_stationary_law_that_its_step_size_gives_it(eta: float) -> None:
    """For N(0, s^2) the map is linear, and N(0, s^2 / (1 - eta / 2 s^2)) is invariant; the target itself only as eta -> 0."""
    s = 0.8
    told = GaussianMixture(((0.0,),), (1.0,), (s,))
    kept = GaussianMixture(((0.0,),), (1.0,), (s / math.sqrt(1 - eta / (2 * s**2)),))
    check_invariance(ULA(eta), kept, told.log_prob)
    if eta > 0.1:
        with pytest.raises(AssertionError):
            check_invariance(ULA(eta), told)
    x, xi = generator(0).standard_normal((2, 5, 1))
    after = ula(langevin_start(x, told.log_prob), xi, eta, told.log_prob)
    np.testing.assert_allclose(after.x, (1 - eta / s**2) * x + math.sqrt(2 * eta) * xi, rtol=0, atol=ROUNDING)


# ---------------------------------------------------------------------------------------------------- detailed balance

def log_normal(x: Array, mean: Array, sd: float) -> Array:
    return scipy.stats.norm.logpdf(x, mean, sd).sum(axis=1)


def pairs(seed: int = 1, n: int = 40) -> tuple[Array, Array, Array]:
    """x in the target; normal noise; uniform numbers 0, with which every proposal is taken."""
    rng = generator(seed)
    return BENT.sample(BENT.noise(rng, n)), 0.7 * rng.standard_normal((n, 2)), np.zeros(n)


def test_random_walk_ratio() -> None:
    x, xi, zero = pairs()
    there, info = random_walk(walk_start(x, BENT.log_prob), xi, zero, 0.6, BENT.log_prob)
    back, info_back = random_walk(there, -xi, zero, 0.6, BENT.log_prob)
    assert info.accepted.all()
    np.testing.assert_allclose(there.x, x + 0.6 * xi, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(back.x, x, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(info.log_ratio, BENT.log_prob(there.x) - BENT.log_prob(x), rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(info_back.log_ratio, -info.log_ratio, rtol=0, atol=ROUNDING)


def test_mala_ratio() -> None:
    (x, xi, zero), eta = pairs(), 0.3
    sd, score = math.sqrt(2 * eta), elementwise_grad(BENT.log_prob)
    there, info = mala(langevin_start(x, BENT.log_prob), xi, zero, eta, BENT.log_prob)
    y = there.x
    np.testing.assert_allclose(y, x + eta * score(x) + sd * xi, rtol=0, atol=ROUNDING)
    forth, home = log_normal(y, x + eta * score(x), sd), log_normal(x, y + eta * score(y), sd)
    truth = BENT.log_prob(y) + home - BENT.log_prob(x) - forth
    np.testing.assert_allclose(info.log_ratio, truth, rtol=0, atol=ROUNDING)
    back, info_back = mala(there, (x - y - eta * score(y)) / sd, zero, eta, BENT.log_prob)
    np.testing.assert_allclose(back.x, x, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(info_back.log_ratio, -info.log_ratio, rtol=0, atol=ROUNDING)


def test_hmc_ratio_reversibility_and_volume() -> None:
    (x, m, zero), L, eps = pairs(), 5, 0.25
    state = langevin_start(x, BENT.log_prob)
    there, final = leapfrog(state, m, eps, L, BENT.log_prob)
    moved, info = hmc(state, m, zero, eps, L, BENT.log_prob)
    assert np.array_equal(moved.x, there.x)
    truth = BENT.log_prob(there.x) + log_normal(final, 0 * m, 1.0) - BENT.log_prob(x) - log_normal(m, 0 * m, 1.0)
    np.testing.assert_allclose(info.log_ratio, truth, rtol=0, atol=ROUNDING)
    home, reversed_back = leapfrog(there, -final, eps, L, BENT.log_prob)
    np.testing.assert_allclose(home.x, x, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(reversed_back, -m, rtol=0, atol=ROUNDING)
    _, info_back = hmc(there, -final, zero, eps, L, BENT.log_prob)
    np.testing.assert_allclose(info_back.log_ratio, -info.log_ratio, rtol=0, atol=ROUNDING)

    def phase(both: Array) -> Array:
        end, p = leapfrog(langevin_start(both[None, :2], BENT.log_prob), both[None, 2:], eps, L, BENT.log_prob)
        return np.concatenate([end.x[0], p[0]])

    at, h = np.concatenate([x[0], m[0]]), 1e-5
    J = np.stack([(phase(at + h * e) - phase(at - h * e)) / (2 * h) for e in np.eye(4)], axis=1)
    assert abs(np.linalg.det(J) - 1) < 1e-6  # central difference: h^2 and rounding / h


def test_hmc_of_one_leap_is_mala() -> None:
    (x, xi, _), eps = pairs(), 0.5
    uniform = generator(3).random(len(x))
    state = langevin_start(x, BENT.log_prob)
    one, info = hmc(state, xi, uniform, eps, 1, BENT.log_prob)
    other, other_info = mala(state, xi, uniform, eps**2 / 2, BENT.log_prob)
    np.testing.assert_allclose(one.x, other.x, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(info.log_ratio, other_info.log_ratio, rtol=0, atol=ROUNDING)
    assert np.array_equal(info.accepted, other_info.accepted)
    assert 0 < info.accepted.sum() < len(x)


def test_hmc_approximates_the_energy_to_second_order() -> None:
    """Halve the leaps, double their number: the error in H falls by 4; two whole kicks for half ones would make it 2."""
    x, m, zero = pairs()
    state = langevin_start(x, BENT.log_prob)
    errors = [np.abs(hmc(state, m, zero, 0.1 / k, 10 * k, BENT.log_prob)[1].log_ratio).sum() for k in (1, 2, 4)]
    assert 3.5 < errors[0] / errors[1] < 4.5
    assert 3.8 < errors[1] / errors[2] < 4.2


def test_independent_mh_ratio() -> None:
    (x, _, zero), (lam, params) = pairs(), flow(2)
    noise = lam.noise(generator(4), len(x))
    y = lam.sample(params, noise)
    state = IndependentMH(lam, params).init(x, BENT.log_prob)
    there, info = independent_mh(state, noise, zero, BENT.log_prob, lam, params)
    taken = info.accepted
    truth = BENT.log_prob(y) + lam.log_prob(params, x) - BENT.log_prob(x) - lam.log_prob(params, y)
    np.testing.assert_allclose(info.log_ratio, truth, rtol=1e-9, atol=ROUNDING)
    np.testing.assert_allclose(there.x[taken], y[taken], rtol=0, atol=ROUNDING)
    back, info_back = independent_mh(there, lam.inverse(params, x)[0], zero, BENT.log_prob, lam, params)
    np.testing.assert_allclose(info_back.log_ratio[taken], -info.log_ratio[taken], rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(back.x, x, rtol=0, atol=1e-8)  # the flow there and back
    assert taken.sum() > 30


# ------------------------------------------------------------------------------------------------------- global moves

def test_independent_mh_from_the_target_itself_always_accepts() -> None:
    lam, params = flow(2)
    kernel, rng = IndependentMH(lam, params), generator(0)
    log_density = lambda x: lam.log_prob(params, x)
    state, info = kernel.init(lam.sample(params, lam.noise(rng, 500)), log_density), None
    for _ in range(5):
        state, info = kernel.step(state, kernel.noise(rng, 500, 2), log_density)
        np.testing.assert_allclose(info.log_ratio, 0, atol=1e-9)  # the flow's density going out and coming back
        assert info.accepted.all()


def test_isir_from_the_target_itself_moves_with_probability_one_minus_one_over_n() -> None:
    """Equal weights: slot 1 where the uniform number is below 1/N."""
    lam, params = flow(2)
    kernel, rng, n = ISIR(lam, params, N=5), generator(0), 400
    log_density = lambda x: lam.log_prob(params, x)
    noise = {**kernel.noise(rng, n, 2), "uniform": (np.arange(n) + 0.5) / n}
    state = kernel.init(lam.sample(params, lam.noise(rng, n)), log_density)
    _, info = kernel.step(state, noise, log_density)
    assert np.array_equal(info.accepted, noise["uniform"] > 1 / 5)


def test_isir_of_two_slots_is_barkers_rule() -> None:
    """It moves with probability w' / (w + w'): where uniform >= w / (w + w')."""
    (x, _, _), (lam, params) = pairs(n=2000), flow(2)
    kernel = ISIR(lam, params, N=2)
    noise = kernel.noise(generator(4), len(x), 2)
    y = lam.sample(params, noise["flow"])
    log_w, log_w_new = (BENT.log_prob(a) - lam.log_prob(params, a) for a in (x, y))
    after, info = isir(kernel.init(x, BENT.log_prob), noise["flow"], noise["uniform"], BENT.log_prob, lam, params)
    moves = noise["uniform"] >= 1 / (1 + np.exp(log_w_new - log_w))
    assert 0.1 < moves.mean() < 0.9
    assert np.array_equal(info.accepted, moves)
    np.testing.assert_allclose(after.x, np.where(moves[:, None], y, x), rtol=0, atol=ROUNDING)


def test_isir_chain_by_chain() -> None:
    """Slots 2 ... N of chain i are the flow's points (N - 1) i, ...; the chosen one is taken with both its densities."""
    (lam, params), N, n = flow(2), 4, 300
    kernel, rng = ISIR(lam, params, N), generator(8)
    x = BENT.sample(BENT.noise(rng, n))
    noise = kernel.noise(rng, n, 2)
    slots = np.concatenate([x[:, None], lam.sample(params, noise["flow"]).reshape(n, N - 1, 2)], axis=1)
    after, info = kernel.step(kernel.init(x, BENT.log_prob), noise, BENT.log_prob)
    seen = set()
    for i in range(n):
        w = np.exp(BENT.log_prob(slots[i]) - lam.log_prob(params, slots[i]))
        k = int(np.searchsorted(np.cumsum(w) / w.sum(), noise["uniform"][i], side="right"))
        np.testing.assert_allclose(after.x[i], slots[i, k], rtol=0, atol=ROUNDING)
        assert info.accepted[i] == (k > 0)
        seen.add(k)
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_resample_at_the_edges(dtype: type) -> None:
    """Never a slot without weight, whatever the uniform number; one infinite weight takes all."""
    none = -math.inf
    log_w: Array = np.array([
        [math.log(0.25), math.log(0.75), none, none], [0, none, 0, none], [-700, 0, none, none],  # e^-700 underflows in float32
    ], dtype)
    for u, expected in ((0.0, [0, 0, 0 if dtype is np.float64 else 1]), (0.3, [1, 0, 1]), (0.5, [1, 2, 1]), (1.0, [1, 2, 1])):
        assert resample(log_w, np.full(3, u, dtype)).tolist() == expected
    assert resample(np.array([[math.inf, 5.0], [1e4, -1e4]], dtype), np.full(2, 1.0, dtype)).tolist() == [0, 0]


def test_where_the_flow_has_no_density_the_chain_waits() -> None:
    """lambda(x) = 0 at the current state: its weight is infinite, and no proposal of the flow beats it."""
    cube = Flow(Uniform(1, 0.0, 1.0), realnvp(1, 1, final_scale=0.0).bijection)
    params = cube.init(generator(0))
    x, log_density = np.array([[1.5], [0.5]]), Normal(1).log_prob
    for kernel in (IndependentMH(cube, params), ISIR(cube, params, 3)):
        state = kernel.init(x, log_density)
        accepted = []
        for seed in range(10):
            state, info = kernel.step(state, kernel.noise(generator(seed), 2, 1), log_density)
            accepted.append(info.accepted)
        assert state.x[0, 0] == 1.5
        assert not np.any(accepted, axis=0)[0]
        assert np.any(accepted, axis=0)[1]
        edge = {**kernel.noise(generator(0), 2, 1), "uniform": np.zeros(2)}
        edge["flow"] = np.ones_like(edge["flow"])  # float32 uniform numbers may round to 1, where the cube ends
        after, info = kernel.step(kernel.init(x, log_density), edge, log_density)
        assert after.x[0, 0] == 1.5
        assert np.isfinite(cube.log_prob(params, after.x[1:])).all()


# --------------------------------------------------------------------------------------------------------- composition

def test_flowmc_is_its_blocks_one_after_the_other() -> None:
    lam, params = flow(2)
    local, other, far = MALA(0.1), HMC(0.2, 2), ISIR(lam, params, 4)
    kernel, rng, n = FlowMC(((local, 2), (far, 2), (other, 1))), generator(2), 50
    x = BENT.sample(BENT.noise(rng, n))
    noise = kernel.noise(rng, n, 2)
    after, sweep = kernel.step(kernel.init(x, BENT.log_prob), noise, BENT.log_prob)
    trace, accepted = [], []
    for block, draws in zip((local, far, other), noise, strict=True):
        took = []
        for draw in draws:
            state, info = block.step(block.init(x, BENT.log_prob), draw, BENT.log_prob)  # type: ignore[attr-defined]
            x = state.x
            trace.append(x)
            took.append(info.accepted)
        accepted.append(took)
    np.testing.assert_allclose(sweep.trace, trace, rtol=0, atol=ROUNDING)
    assert np.array_equal(after.x, sweep.trace[-1])
    assert [block.shape for block in sweep.blocks] == [(2, n), (2, n), (1, n)]
    for block, took in zip(sweep.blocks, accepted, strict=True):
        assert np.array_equal(block, took)
    assert np.array_equal(sweep.accepted, np.any(np.concatenate(accepted), axis=0))


@pytest.mark.parametrize("d", [1, 2])
def test_pullback(d: int) -> None:
    """Against the Jacobian of T; and for p = e^f lambda it is f(T(z)) + log rho(z), whatever T (Nijkamp et al. 2022)."""
    lam, params = flow(d)
    z = generator(0).standard_normal((7, d))
    target = BENT if d == 2 else TARGETS["two modes"]

    def T(z: Array) -> Array:
        return lam.bijection.forward(params, z)[0]

    def f(x: Array) -> Array:
        return anp.sum(anp.sin(x), axis=1)

    log_det = [np.linalg.slogdet(jacobian(lambda row: T(row[None])[0])(row))[1] for row in z]
    said = pullback(target.log_prob, lam, params)(z)
    np.testing.assert_allclose(said, target.log_prob(T(z)) + log_det, rtol=0, atol=1e-9)
    assert np.ptp(log_det) > 0.1
    slopes = elementwise_grad(lambda z: f(T(z)) + Normal(d).log_prob(z))(z)
    for tilted in (pullback(lambda x: f(x) + lam.log_prob(params, x), lam, params), pullback(f, lam, params, tilted=True)):
        np.testing.assert_allclose(tilted(z), f(T(z)) + Normal(d).log_prob(z), rtol=0, atol=1e-9)
        np.testing.assert_allclose(elementwise_grad(tilted)(z), slopes, rtol=0, atol=1e-9)


def test_latent_is_the_kernel_on_the_pullback() -> None:
    lam, params = flow(2)
    inner, outer, rng, n = MALA(0.2), Latent(MALA(0.2), lam, params), generator(1), 40
    x = BENT.sample(BENT.noise(rng, n))
    state = outer.init(x, BENT.log_prob)
    assert state.x is x
    z = inner.init(lam.inverse(params, x)[0], pullback(BENT.log_prob, lam, params))
    for _ in range(4):
        noise = outer.noise(rng, n, 2)
        before, (state, info) = state, outer.step(state, noise, BENT.log_prob)
        z, inner_info = inner.step(z, noise, pullback(BENT.log_prob, lam, params))
        assert np.array_equal(state.inner.x, z.x)
        assert np.array_equal(info.log_ratio, inner_info.log_ratio)
        assert np.array_equal(state.x[~info.accepted], before.x[~info.accepted])
        np.testing.assert_allclose(state.x, lam.sample(params, z.x), rtol=0, atol=1e-8)


# -------------------------------------------------------------------------------------------- states, dtypes and inputs

@every
@pytest.mark.parametrize("target", ["three modes", "bounded, 2-D"])
def test_states_are_never_stale(name: str, target: str) -> None:
    """After any step the state is what `init` says at the new positions; whoever refused is where it was, to the bit."""
    if name == "ula" and target != "three modes":
        return
    p, rng, n = TARGETS[target], generator(3), 60
    kernel = STEPPERS[name](2)
    state = kernel.init(p.sample(p.noise(rng, n)), p.log_prob)
    moved = np.zeros(n, dtype=bool)
    for _ in range(4):
        before = state.x
        state, info = kernel.step(state, kernel.noise(rng, n, 2), p.log_prob)
        assert info.accepted.dtype == bool
        assert np.array_equal(np.any(state.x != before, axis=1), info.accepted)
        assert np.isfinite(p.log_prob(state.x)).all()
        moved |= info.accepted
        for said, fresh in zip(parts(state), parts(kernel.init(state.x, p.log_prob)), strict=True):
            np.testing.assert_allclose(said, fresh, rtol=1e-7, atol=1e-7)
    assert moved.any()


@every
def test_float32_is_kept_and_inputs_untouched(name: str) -> None:
    kernel, x, _ = begin(name)
    x = x.astype(np.float32)
    if hasattr(kernel, "params"):
        kernel = type(kernel)(**{**vars(kernel), "params": placed(kernel.params, np.float32)})
    if isinstance(kernel, FlowMC):
        lam, params = flow(2)
        kernel = FlowMC(((MALA(0.1), 1), (ISIR(lam, placed(params, np.float32), 3), 1)))
    state, rng = kernel.init(x, BENT.log_prob), generator(0)
    noise = noise_like(x, kernel, rng)
    for array in (x, *parts(state), *leaves(noise)):
        array.flags.writeable = False
    copies = [array.copy() for array in parts(state)]
    after, _ = kernel.step(state, noise, BENT.log_prob)
    assert [a.dtype for a in parts(after)] == [np.float32] * len(parts(after))
    assert all(np.array_equal(a, b) for a, b in zip(parts(state), copies, strict=True))
    assert run(kernel, x, BENT.log_prob, 2, rng).x.dtype == np.float32


@every
def test_a_batch_is_a_loop_over_chains(name: str) -> None:
    kernel, x, noise = begin(name, chains=5)
    together, info = kernel.step(kernel.init(x, BENT.log_prob), noise, BENT.log_prob)
    for i in range(5):
        mine = tree_map(lambda a, i=i: a.reshape(5, -1, *a.shape[1:])[i], noise)
        alone, said = kernel.step(kernel.init(x[i : i + 1], BENT.log_prob), mine, BENT.log_prob)
        np.testing.assert_allclose(alone.x[0], together.x[i], rtol=0, atol=1e-9)
        assert said.accepted[0] == info.accepted[i]


@every
@pytest.mark.parametrize("d", [1, 2])
def test_a_step_is_a_function_of_its_arguments(name: str, d: int) -> None:
    kernel, x, noise = begin(name, d=d)
    state = kernel.init(x, (BENT if d == 2 else TARGETS["two modes"]).log_prob)
    one, two = (kernel.step(state, noise, (BENT if d == 2 else TARGETS["two modes"]).log_prob)[0] for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(parts(one), parts(two), strict=True))


# ------------------------------------------------------------------------------------------------------ what is refused

@every
def test_starts_outside_the_support_are_refused(name: str) -> None:
    x = np.array([[0.5, 0.5], [1.0, 2.5], [0.1, -0.1]])
    said = r"start every chain inside the support.*chain 1 starts at \[1.0, 2.5\] with -inf \(2 chains"
    with pytest.raises(ValueError, match=said):
        STEPPERS[name](2).init(x, TARGETS["bounded, 2-D"].log_prob)


@every
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_energy_that_is_no_number_is_an_error(name: str, bad: float) -> None:
    """At the start, and where a proposal meets it: here everywhere but within 1e-12 of where the chains stand."""
    kernel, x, noise = begin(name)

    def broken_elsewhere(y: Array) -> Array:
        near = np.min(np.abs(value(y)[:, None] - x).max(axis=2), axis=1) < 1e-12
        return anp.where(near, BENT.log_prob(y), bad + 0 * BENT.log_prob(y))

    with pytest.raises(FloatingPointError, match="log_density must be finite, or -inf outside the support"):
        kernel.init(x + 1, broken_elsewhere)
    if not isinstance(kernel, Latent):  # whose points come back rounded
        state = kernel.init(x, broken_elsewhere)
        with pytest.raises(FloatingPointError, match="log_density must be finite, or -inf outside the support"):
            kernel.step(state, noise, broken_elsewhere)


@pytest.mark.parametrize("name", ["mala", "hmc", "ula"])
def test_a_gradient_that_is_no_number_is_an_error(name: str) -> None:
    kink = lambda x: -anp.sum(anp.sqrt(anp.abs(x)), axis=1)
    with pytest.raises(FloatingPointError, match="the gradient of log_density must be finite"):
        STEPPERS[name](2).init(np.array([[1.0, 1.0], [0.0, 1.0]]), kink)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_flow_whose_density_is_no_number_is_an_error(bad: float) -> None:
    """At one of the points where the chains are, and at one that the flow proposes."""
    lam, params = flow(2)

    class Broken(Flow):
        def log_prob(self, params: Tree, x: Array, context: Array | None = None) -> Array:
            return np.where(np.arange(len(x)) == 1, bad, super().log_prob(params, x, context))

        def sample_and_log_prob(self, params: Tree, noise: Tree, context: Array | None = None) -> tuple[Array, Array]:
            return (x := self.sample(params, noise)), self.log_prob(params, x)

    x = pairs()[0]
    for build in (partial(IndependentMH, params=params), partial(ISIR, params=params, N=2)):
        wrong, right = build(Broken(lam.base, lam.bijection)), build(lam)
        with pytest.raises(FloatingPointError, match="the flow's log density must be finite"):
            wrong.init(x, BENT.log_prob)
        with pytest.raises(FloatingPointError, match="the flow's log density must be finite"):
            wrong.step(right.init(x, BENT.log_prob), right.noise(generator(0), len(x), 2), BENT.log_prob)


@pytest.mark.parametrize("wrong", [[2], [1, 3]])
def test_errors_name_the_first_chain_that_is_wrong(wrong: list[int]) -> None:
    x = 1 + np.arange(8.0).reshape(4, 2)
    x[wrong, 0] = 0
    there = re.escape(str(x[wrong[0]].tolist()))

    def broken(bad: float, x: Array) -> Array:
        return anp.where(x[:, 0] == 0, bad, -anp.sum(x**2, axis=1))

    for kernel in (RandomWalk(0.1), MALA(0.1)):
        for bad in (math.nan, math.inf):
            with pytest.raises(FloatingPointError, match=f"outside the support, got {bad} at {there}"):
                kernel.init(x, partial(broken, bad))
        with pytest.raises(ValueError, match=rf"chain {wrong[0]} starts at {there} with -inf \({len(wrong)} chains do\)"):
            kernel.init(x, partial(broken, -math.inf))
    with pytest.raises(FloatingPointError, match=rf"gradient of log_density must be finite, got \[ *-inf .* at {there}"):
        MALA(0.1).init(x, lambda x: -anp.sum(anp.sqrt(x), axis=1))


@pytest.mark.parametrize("name", ["random walk", "mala", "hmc"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_proposals_that_run_off_to_infinity_are_refused(name: str, dtype: type) -> None:
    """A quartic well and far too large a step: the gradient throws the chain out with a force that grows like x^3."""
    log_density = lambda x: -anp.sum(x**4, axis=1)
    kernels: dict[str, Kernel] = {"random walk": RandomWalk(1e30), "mala": MALA(1e4), "hmc": HMC(30.0, 12)}
    huge = kernels[name]
    x: Array = np.array([[1.0, -2.0], [1e9, 1.0], [3.0, 1e-3]], dtype)
    state = huge.init(x, log_density)
    for seed in range(3):
        state, info = huge.step(state, noise_like(x, huge, generator(seed)), log_density)
        assert not info.accepted.any()
        assert not np.isnan(info.log_ratio).any()
        assert np.array_equal(state.x, x)


def test_ula_that_leaves_the_support_is_an_error() -> None:
    x = np.full((3, 2), 1.9)
    kernel, p = ULA(0.5), TARGETS["bounded, 2-D"]
    with pytest.raises(FloatingPointError, match=r"3 chains have left the support: step_size 0\.5 is too large"):
        kernel.step(kernel.init(x, p.log_prob), {"normal": np.full((3, 2), 3.0)}, p.log_prob)


def test_flow_proposals_that_overflow_are_refused() -> None:
    """A flow whose scale is e^(3 x 300 layers): all it draws is infinite."""
    far = realnvp(2, layers=600, hidden=(), final_scale=0.0)
    params = far.init(generator(0))
    for layer in params:
        layer[-1]["b"] = np.tile([50.0, 0.0], len(layer[-1]["b"]) // 2)
    kernel, x = IndependentMH(flow(2)[0], flow(2)[1]), np.zeros((3, 2))
    state = kernel.init(x, BENT.log_prob)
    after, info = independent_mh(state, far.noise(generator(1), 3), np.zeros(3), BENT.log_prob, far, params)
    assert not info.accepted.any()
    assert np.array_equal(after.x, x)
    lam, inner = flow(2)
    for tilted in (False, True):
        nowhere = pullback(lambda x: lam.log_prob(inner, x), far, params, tilted)  # which refuses to be asked at infinity
        with np.errstate(all="ignore"):
            assert nowhere(np.ones((2, 2))).tolist() == [-math.inf] * 2


@every
def test_wrong_positions_and_noise(name: str) -> None:
    kernel, x, noise = begin(name)
    for bad, message in (
        (x[0], r"x must have shape \(chains, d\), got \(2,\)"),
        (np.where(x == x[0, 0], math.nan, x), "x must be finite"),
        (np.ones((3, 2), dtype=complex), "x must hold real numbers, got dtype complex128"),
    ):
        with pytest.raises(ValueError, match=message):
            kernel.init(bad, BENT.log_prob)
    state = kernel.init(x, BENT.log_prob)
    for short in (tree_map(lambda a: a[:-1], noise), tree_map(lambda a: a[..., None], noise)):
        with pytest.raises(ValueError, match=r"must (have shape|be for)"):
            kernel.step(state, short, BENT.log_prob)
    with pytest.raises(ValueError, match=r"log_density\(x\) must have shape \(6,\), got \(6, 1\)"):
        kernel.init(x, lambda x: BENT.log_prob(x)[:, None])


@pytest.mark.parametrize("steps", [1, 3])
def test_flowmc_refuses_noise_for_other_numbers_of_steps(steps: int) -> None:
    kernel, x = FlowMC(((MALA(0.1), 2),)), np.zeros((3, 2))
    noise = FlowMC(((MALA(0.1), steps),)).noise(generator(0), 3, 2)
    with pytest.raises(ValueError, match=f"noise must be for the 2 steps of each block, got {steps}"):
        kernel.step(kernel.init(x, BENT.log_prob), noise, BENT.log_prob)


@every
def test_the_choices_of_a_kernel_are_frozen(name: str) -> None:
    kernel: Any = STEPPERS[name](2)
    assert {kernel: name}[kernel] == name
    for field in fields(kernel):
        with pytest.raises(FrozenInstanceError):
            setattr(kernel, field.name, None)


@pytest.mark.parametrize(("act", "message"), [
    (lambda: ULA(0.0), "step_size must be positive and finite, got 0.0"),
    (lambda: MALA(-1.0), "step_size must be positive and finite, got -1.0"),
    (lambda: RandomWalk(math.nan), "step_size must be positive and finite, got nan"),
    (lambda: HMC(math.inf, 3), "step_size must be positive and finite, got inf"),
    (lambda: HMC(0.1, 0), "leapfrog_steps must be an integer >= 1, got 0"),
    (lambda: ISIR(*flow(2), N=1), "N must be an integer >= 2, got 1"),
    (lambda: FlowMC(()), "blocks must hold at least one"),
    (lambda: FlowMC(((MALA(0.1), 0),)), "steps must be an integer >= 1, got 0"),
    (lambda: IndependentMH(*flow(1)).init(np.zeros((3, 2)), BENT.log_prob), "flow must have the chains' dimension 2, got .* 1"),
    (lambda: ISIR(*flow(1), N=2).init(np.zeros((3, 2)), BENT.log_prob), "flow must have the chains' dimension 2, got .* 1"),
    (lambda: Latent(MALA(0.1), *flow(1)).init(np.zeros((3, 2)), BENT.log_prob), "flow must have the chains' dimension 2"),
    (lambda: adapted(0.0, 0.5), "step_size must be positive and finite, got 0.0"),
    (lambda: adapted(0.1, math.nan), "acceptance must lie between 0 and 1, got nan"),
    (lambda: adapted(0.1, 1.01), "acceptance must lie between 0 and 1, got 1.01"),
    (lambda: adapted(0.1, -0.01), "acceptance must lie between 0 and 1, got -0.01"),
    (lambda: run(MALA(0.1), np.zeros((3, 2)), BENT.log_prob, 0, generator(0)), "steps must be an integer >= 1, got 0"),
    (lambda: run(MALA(0.1), np.zeros((3, 2)), BENT.log_prob, 4, generator(0), every=0), "every must be an integer >= 1"),
    (lambda: run(MALA(0.1), np.zeros((3, 2)), BENT.log_prob, 5, generator(0), every=2), "multiple of every, .* got 5 and 2"),
    (lambda: warm_up(ULA(0.1), np.zeros((3, 2)), BENT.log_prob, 5, generator(0)), "refuse some proposals, got ULA"),
    (lambda: warm_up(ISIR(*flow(2), N=2), np.zeros((3, 2)), BENT.log_prob, 5, generator(0)),  # type: ignore[type-var]
     "kernel must have a step_size and refuse some proposals, got ISIR"),
])
def test_bad_choices(act: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        act()


# -------------------------------------------------------------------------------------------------- adaptation, running

def test_adapted() -> None:
    """x 1.05 above 0.78, / 1.05 below 0.72, unchanged between and at both."""
    assert [adapted(2.0, a) for a in (1.0, 0.7801, 0.78, 0.75, 0.72, 0.7199, 0.0)] == [2.1, 2.1, 2, 2, 2, 2 / 1.05, 2 / 1.05]
    assert [adapted(1.0, a, target=0.5, margin=0.25, factor=2.0) for a in (0.8, 0.75, 0.25, 0.2)] == [2.0, 1.0, 1.0, 0.5]


@pytest.mark.parametrize("kernel", [RandomWalk(1e-3), RandomWalk(50.0), MALA(1e-4), HMC(5.0, 4)], ids=repr)
def test_warm_up_finds_the_step_size(kernel: Any) -> None:
    """From far too small or large a step to an acceptance within 0.05 of the target (512 chains, 20 steps)."""
    rng = generator(0)
    x = BENT.sample(BENT.noise(rng, 512))
    given = x.copy()
    tuned, moved = warm_up(kernel, x, BENT.log_prob, 300, rng)
    assert type(tuned) is type(kernel)
    assert kernel == type(kernel)(**vars(kernel))  # frozen, as it came
    assert np.array_equal(x, given)
    acceptance = run(tuned, moved, BENT.log_prob, 20, rng).accepted.mean()
    assert 0.70 < acceptance < 0.80


def test_run_is_a_loop_over_steps() -> None:
    kernel, x, _ = begin("mala", chains=4)
    chains = run(kernel, x, BENT.log_prob, 6, generator(9), every=2)
    rng, state = generator(9), kernel.init(x, BENT.log_prob)
    kept, accepted = [], []
    for step in range(6):
        state, info = kernel.step(state, kernel.noise(rng, 4, 2), BENT.log_prob)
        accepted.append(info.accepted)
        if step % 2 == 1:
            kept.append(state.x)
    assert chains.x.shape == (3, 4, 2)
    assert chains.accepted.shape == (6, 4)
    assert np.array_equal(chains.x, kept)
    assert np.array_equal(chains.accepted, accepted)
    whole = [run(kernel, np.ones((4, 2), kind), BENT.log_prob, 2, generator(9)).x for kind in (int, float)]
    assert np.array_equal(*whole)


def test_run_keeps_one_state_a_sweep_of_flowmc() -> None:
    kernel, x, _ = begin("flowmc", chains=4)
    chains = run(kernel, x, BENT.log_prob, 3, generator(9))
    assert chains.x.shape == (3, 4, 2)
    assert chains.accepted.shape == (3, 4)


@pytest.mark.parametrize("uniform", [np.array([0.5]), np.array(0.5), np.full((4, 1), 0.5)])
def test_chains_do_not_share_a_uniform_number(uniform: Array) -> None:
    """By broadcasting, all chains would accept or refuse together."""
    x = np.zeros((4, 2))
    state = walk_start(x, BENT.log_prob)
    with pytest.raises(ValueError, match=r"uniform must have shape \(4,\), got"):
        metropolis(np.zeros(4), uniform, state, state)
    kernels: list[Kernel] = [RandomWalk(0.1), MALA(0.1), HMC(0.1, 2)]
    for kernel in kernels:
        with pytest.raises(ValueError, match=r"uniform must have shape \(4,\), got"):
            kernel.step(kernel.init(x, BENT.log_prob), {"normal": np.ones((4, 2)), "uniform": uniform}, BENT.log_prob)
