"""The algorithms: each step against the lines of its docstring, done here by hand; one contract for all; what is refused."""
import copy
import dataclasses
import math
import re
from functools import partial
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.special
from autograd import elementwise_grad

from evenflow.reference.core.gradients import value_and_gradient
from evenflow.reference.core.optim import SGD, Adam
from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array, Tree, leaves, tree_map
from evenflow.reference.ebm import FCE, NTEBM, PCD, CoopFlow, FlowMCEBM, Jarzynski, Rates
from evenflow.reference.ebm.contrastive import V
from evenflow.reference.ebm.coopflow import revised
from evenflow.reference.ebm.energies import MLPEnergy, contrast
from evenflow.reference.ebm.jarzynski import alpha, carried, effective_size, log_mean_exp, resampled, softmax
from evenflow.reference.ebm.updates import descend, flow_step
from evenflow.reference.flows.densities import Normal, Uniform
from evenflow.reference.flows.flow import Flow, realnvp, spline_flow
from evenflow.reference.mcmc.flowmc import FlowMC
from evenflow.reference.mcmc.hmc import HMC
from evenflow.reference.mcmc.independence import ISIR, IndependentMH
from evenflow.reference.mcmc.langevin import MALA, ULA, evaluate, mala
from evenflow.reference.mcmc.latent import pullback
from evenflow.reference.mcmc.metropolis import RandomWalk
from evenflow.reference.targets.mixtures import two_modes
from evenflow.reference.work.ebm_training import pretrained
from evenflow.reference.work.stretches import TrainingStopped
from tests import tolerances
from tests.energies import NormalEnergy, TiltedEnergy
from tests.samplers import Latent
from tests.strategies import directional_check, generator, randomise

SUMS = 1e-9      # relative: the same sums in another order, through networks and inverses of flows
QUANTILES = 2e-3  # expectations over 2,001 normal quantiles: the tails beyond the last one are worth about 1/n
Z_LIMIT = 5.0

ENERGY = MLPEnergy(2, (16, 16))
FLOW = realnvp(2, layers=2, hidden=(8,))
MOVES: Any = ((MALA(0.02), 2), (partial(ISIR, N=4), 1), (MALA(0.02), 1))
OTHERS: Any = ((HMC(0.1, 2), 1), (IndependentMH, 2), (RandomWalk(0.3), 1))
ALGORITHMS: dict[str, Any] = {
    "pcd": PCD(ENERGY, Normal(2, 1.5), steps=3, step_size=0.02, batch=8, buffer=20),
    "pcd, uniform start": PCD(ENERGY, Uniform(2, -2.0, 2.0), steps=3, step_size=0.02, batch=8, buffer=20),
    "flowmc": FlowMCEBM(ENERGY, FLOW, MOVES, batch=8, buffer=20, energy_optimiser=Adam()),
    "flowmc, all states, adapting": FlowMCEBM(ENERGY, FLOW, MOVES, batch=8, buffer=20, used=1, adapt=True),
    "flowmc, hmc and independent": FlowMCEBM(ENERGY, FLOW, OTHERS, batch=8, buffer=20, adapt=True),
    "nt": NTEBM(ENERGY, FLOW, MALA(0.1), steps=3, batch=8),
    "nt, hmc": NTEBM(ENERGY, FLOW, HMC(0.2, 2), steps=2, batch=8, adapt=False),
    "coopflow": CoopFlow(ENERGY, FLOW, steps=4, step_size=0.01, batch=8),
    "fce": FCE(ENERGY, FLOW, batch=8),
    "jarzynski": Jarzynski(ENERGY, Normal(2), step_size=0.02, walkers=30, threshold=0.9),
}
every = pytest.mark.parametrize("name", ALGORITHMS)
RATES = Rates(0.01, 0.01)


def data(n: int = 16, seed: int = 9, dtype: Any = np.float64) -> Array:
    return two_modes().sample(two_modes().noise(generator(seed), n)).astype(dtype)


def begin(algorithm: Any, seed: int = 0, dtype: Any = np.float64) -> Any:
    """The first state; a flow that others have trained comes with random parameters."""
    given = (randomise(FLOW.init(generator(7)), generator(8)),) if isinstance(algorithm, NTEBM | CoopFlow) else ()
    state = algorithm.init(generator(seed), *given)
    return type(state)(*(placed(part, dtype) for part in state))


def run(algorithm: Any, state: Any, steps: int, seed: int = 1, rates: Rates = RATES) -> tuple[Any, list[dict[str, float]]]:
    dtype, rng, infos = next(leaves(state.energy)).dtype, generator(seed), []
    for k in range(steps):
        state, info = algorithm.step(state, data(seed=k, dtype=dtype), placed(algorithm.noise(rng), dtype), rates)
        infos.append(info)
    return state, infos


def trained(name: str, steps: int = 5, dtype: Any = np.float64) -> tuple[Any, Any]:
    """Away from the start, where much is zero or the identity."""
    return ALGORITHMS[name], run(ALGORITHMS[name], begin(ALGORITHMS[name], dtype=dtype), steps)[0]


def equal(a: Any, b: Any) -> None:
    for left, right in zip(a, b, strict=True):
        tree_map(np.testing.assert_array_equal, left, right)


def close(a: Tree, b: Tree) -> None:
    tree_map(lambda left, right: np.testing.assert_allclose(left, right, rtol=1e-6, atol=SUMS), a, b)


def gradient_of(optimiser: Tree) -> Tree:
    """What Adam was told in its first step, from its first moment."""
    assert int(optimiser["t"]) == 1
    return tree_map(lambda m: m / 0.1, optimiser["m"])


# ------------------------------------------------------------------------------------------------- one contract for all

@every
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_thirty_steps(name: str, dtype: Any) -> None:
    """Dtypes are kept, whatever is handed in stays as it is, and the same noise gives the same numbers."""
    algorithm = ALGORITHMS[name]
    start = begin(algorithm, dtype=dtype)
    state, infos = run(algorithm, start, 30)
    assert run(algorithm, begin(algorithm, dtype=dtype), 5)[1] == infos[:5]
    equal(start, begin(algorithm, dtype=dtype))
    for part in state._asdict().values():
        assert all(leaf.dtype == dtype for leaf in leaves(part) if leaf.dtype.kind == "f")
        assert all(np.isfinite(leaf).all() for leaf in leaves(part))
    assert all(type(number) is float and math.isfinite(number) for info in infos for number in info.values())
    assert {"contrast", "gradient_norm"} <= set(infos[0])
    log_p = algorithm.log_density(state, data(5, dtype=dtype))
    assert log_p.shape == (5,)
    assert log_p.dtype == dtype
    assert any(not np.array_equal(a, b) for a, b in zip(leaves(state.energy), leaves(start.energy), strict=True))


@every
def test_a_step_changes_none_of_its_arguments(name: str) -> None:
    algorithm, state = trained(name)
    arguments = (state, data(), algorithm.noise(generator(3)))
    before = copy.deepcopy(arguments)
    algorithm.step(*arguments, RATES)
    equal(arguments[0], before[0])
    equal(arguments[1:], before[1:])


@every
def test_energy_and_flow_have_optimisers_of_their_own(name: str) -> None:
    """With momentum on one of them alone, the other moves as it did; an algorithm without a flow has the first alone."""
    algorithm, heavy = ALGORITHMS[name], SGD(momentum=0.9)
    own = [part for part in ("energy", "flow") if hasattr(algorithm, f"{part}_optimiser")]
    assert own == [part for part in ("energy", "flow") if f"{part}_optimiser" in type(begin(algorithm))._fields]
    for part in own:
        one = dataclasses.replace(algorithm, **{f"{other}_optimiser": SGD() for other in own})
        other = dataclasses.replace(one, **{f"{part}_optimiser": heavy})
        (first, second), (third, fourth) = ([run(which, begin(which), k)[0] for k in (1, 2)] for which in (one, other))
        equal([first.energy], [third.energy])  # momentum is felt from the second step on
        for seen in own:
            a, b, start = (list(leaves(getattr(state, seen))) for state in (second, fourth, first))
            moved = any((x != y).any() for x, y in zip(a, start, strict=True))
            differ = any((x != y).any() for x, y in zip(a, b, strict=True))
            assert (moved, differ) == (True, seen == part)


@every
def test_a_rate_of_zero_freezes_the_network_and_the_moments(name: str) -> None:
    algorithm, state = trained(name)
    after, _ = algorithm.step(state, data(), algorithm.noise(generator(3)), Rates(0.0))
    equal([after.energy, after.energy_optimiser], [state.energy, state.energy_optimiser])
    if hasattr(state, "flow_optimiser"):
        half, _ = algorithm.step(state, data(), algorithm.noise(generator(3)), Rates(0.01, 0.0))
        assert any((a != b).any() for a, b in zip(leaves(half.energy), leaves(state.energy), strict=True))
        for one in (after, half):
            equal([one.flow, one.flow_optimiser], [state.flow, state.flow_optimiser])


@every
def test_what_is_not_finite_stops_the_training(name: str) -> None:
    algorithm, state = trained(name)
    noise = algorithm.noise(generator(3))
    for bad in (math.nan, math.inf, 1e200):
        broken = state._replace(energy=tree_map(lambda p, bad=bad: p + bad, state.energy))
        with pytest.raises(FloatingPointError):
            algorithm.step(broken, data(), noise, RATES)
    with pytest.raises(ValueError, match=r"positives must have shape \(n, 2\), got \(16, 3\)"):
        algorithm.step(state, np.zeros((16, 3)), noise, RATES)
    with pytest.raises(ValueError, match="positives must be finite"):
        algorithm.step(state, data() * math.nan, noise, RATES)
    with pytest.raises(ValueError, match="rate must be positive and finite, got -1"):
        algorithm.step(state, data(), noise, Rates(-1.0))


@pytest.mark.parametrize("name", ["pcd", "coopflow", "jarzynski"])
def test_chains_that_leave_stop_the_training(name: str) -> None:
    algorithm, state = trained(name)
    with pytest.raises(FloatingPointError):
        dataclasses.replace(algorithm, step_size=1e200).step(state, data(), algorithm.noise(generator(3)), RATES)


def test_chains_outside_the_support_stop_the_training() -> None:
    """A wall that the last step has moved: the chain is alive no more."""
    algorithm = FlowMCEBM(ENERGY, Flow(Uniform(2, -9.0, 9.0), FLOW.bijection), MOVES, batch=20, buffer=20)
    state = begin(algorithm)
    state.chains[3] = 20.0
    with pytest.raises(FloatingPointError, match="of 20 chains have left the support"):
        algorithm.step(state, data(), algorithm.noise(generator(3)), RATES)


@pytest.mark.parametrize(("name", "evaluations"), [
    ("flowmc", 4 + 3 + 1), ("flowmc, hmc and independent", 5 + 3 + 1), ("pcd", 3 + 1 + 1), ("nt", 3 + 1 + 1),
])
def test_no_point_is_evaluated_twice(name: str, evaluations: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """E is asked once for each move (HMC: each leapfrog step), once where a block begins, once for its gradient in theta."""
    seen: list[int] = []
    before = MLPEnergy.__call__

    def counted(self: MLPEnergy, params: Tree, x: Array) -> Array:
        seen.append(len(x))
        return before(self, params, x)

    monkeypatch.setattr(MLPEnergy, "__call__", counted)
    algorithm, state = ALGORITHMS[name], begin(ALGORITHMS[name])
    algorithm.step(state, data(), algorithm.noise(generator(0)), RATES)
    assert len(seen) == evaluations


# ------------------------------------------------------------------------------------------------------------- PCD-ULA

def test_pcd_line_by_line() -> None:
    algorithm, state = trained("pcd")
    noise, positives = algorithm.noise(generator(3)), data()
    after, info = algorithm.step(state, positives, noise, RATES)

    chosen, eta = noise["chosen"], 0.02
    assert len(set(chosen.tolist())) == 8
    x = state.chains[chosen]
    for draw in noise["moves"]:
        downhill = -elementwise_grad(lambda x: algorithm.energy(state.energy, x))(x)
        x = x + eta * downhill + math.sqrt(2 * eta) * draw["normal"]
    np.testing.assert_allclose(after.chains[chosen], x, rtol=SUMS)
    others = np.setdiff1d(np.arange(20), chosen)
    assert np.array_equal(after.chains[others], state.chains[others])

    value, gradient = contrast(algorithm.energy, state.energy, positives, x)
    close([after.energy], [tree_map(lambda theta, g: theta - 0.01 * g, state.energy, gradient)])  # as printed
    np.testing.assert_allclose(info["contrast"], value, rtol=SUMS)


def test_pcd_is_not_tilted_and_starts_where_it_is_told() -> None:
    algorithm, state = trained("pcd")
    np.testing.assert_array_equal(algorithm.log_density(state, data()), -ENERGY(state.energy, data()))
    many = PCD(ENERGY, Normal(2, 3.0), buffer=20_000).init(generator(0)).chains
    assert abs(np.std(many) - 3.0) < Z_LIMIT * 3.0 / math.sqrt(2 * many.size)  # z-score limit 5: error rate 6e-7
    assert set(np.unique(PCD(ENERGY, Uniform(2, 1, 2), buffer=64).init(generator(0)).chains // 1)) == {1.0}


# ---------------------------------------------------------------------------------------------------------- flowMC-EBM

def at_the_start(sd: float = 1.0) -> tuple[FlowMCEBM, Any]:
    flow = realnvp(2, layers=4, hidden=(14, 14), final_scale=0.0, base=Normal(2, sd))
    moves: Any = ((MALA(0.01), 4), (partial(ISIR, N=8), 2))
    algorithm = FlowMCEBM(MLPEnergy(2), flow, moves, batch=50, buffer=60)
    return algorithm, algorithm.init(generator(0))


@pytest.mark.parametrize("sd", [1.0, 2.5])
def test_at_the_start_model_base_and_flow_are_one(sd: float) -> None:
    algorithm, state = at_the_start(sd)
    assert algorithm.ebm.tilt == Normal(2, sd)
    assert abs(np.std(state.chains) / sd - 1) < Z_LIMIT / math.sqrt(2 * state.chains.size)  # error rate 6e-7
    x = data(30)
    log_rho = Normal(2, sd).log_prob(x)
    assert np.array_equal(algorithm.log_density(state, x), log_rho)
    np.testing.assert_allclose(algorithm.flow.log_prob(state.flow, x), log_rho, rtol=1e-14)
    log_density = partial(algorithm.log_density, state)

    metropolis = IndependentMH(algorithm.flow, state.flow)
    _, info = metropolis.step(metropolis.init(state.chains, log_density), metropolis.noise(generator(1), 60, 2), log_density)
    np.testing.assert_allclose(info.log_ratio, 0, atol=1e-13)
    isir = algorithm.kernel(state.flow, state.step_size).blocks[1][0]
    _, choice = isir.step(isir.init(state.chains, log_density), isir.noise(generator(2), 60, 2), log_density)
    np.testing.assert_allclose(choice.log_weights, 0, atol=1e-13)


@pytest.mark.parametrize(("used", "every_k"), [(None, [3]), (1, [0, 1, 2, 3]), (2, [1, 3]), (3, [2])])
def test_algorithm_1_line_by_line(used: int | None, every_k: list[int]) -> None:
    """Its plain steps on the energy; Adam on the flow."""
    algorithm = FlowMCEBM(ENERGY, FLOW, MOVES, batch=8, buffer=20, used=used)
    state, _ = run(algorithm, begin(algorithm), 5)
    noise, positives = algorithm.noise(generator(3)), data()
    after, info = algorithm.step(state, positives, noise, RATES)

    def log_density(x: Array) -> Array:
        return Normal(2).log_prob(x) - ENERGY(state.energy, x)

    kernel = FlowMC(tuple((k(FLOW, state.flow) if k == MOVES[1][0] else k, n) for k, n in MOVES))  # the flow of before
    chosen = noise["chosen"]
    end, sweep = kernel.step(kernel.init(state.chains[chosen], log_density), noise["moves"], log_density)
    assert sweep.trace.shape == (4, 8, 2)
    x = np.concatenate([sweep.trace[k] for k in every_k])
    assert np.array_equal(after.chains[chosen], end.x)
    others = np.setdiff1d(np.arange(20), chosen)
    assert np.array_equal(after.chains[others], state.chains[others])

    value, gradient = contrast(ENERGY, state.energy, positives, x)
    close([after.energy], [tree_map(lambda theta, g: theta - 0.01 * g, state.energy, gradient)])
    loss, gradient = forward_divergence(state.flow, x)
    equal([after.flow, after.flow_optimiser], Adam().update(state.flow, gradient, state.flow_optimiser, 0.01))
    np.testing.assert_allclose(loss, -FLOW.log_prob(state.flow, x).mean(), rtol=SUMS)
    assert (info["contrast"], info["flow_loss"]) == (value, loss)
    local = np.concatenate([sweep.blocks[0], sweep.blocks[2]])
    assert (info["acceptance_local"], info["acceptance_global"]) == (local.mean(), sweep.blocks[1].mean())


def forward_divergence(alpha: Tree, x: Array) -> tuple[float, Tree]:
    """From x to FLOW, up to a constant, and its gradient."""
    return value_and_gradient(lambda alpha: -anp.sum(FLOW.log_prob(alpha, x)) / len(x), alpha)


def test_the_flow_ascends_the_likelihood_of_the_negatives() -> None:
    algorithm, state = trained("flowmc")
    x = state.chains

    def moved(alpha: Tree, rate: float = 1e-4) -> tuple[Tree, dict[str, float]]:
        return flow_step(algorithm, state._replace(flow=alpha, flow_optimiser=Adam().init(alpha)), x, rate)

    after, told = moved(state.flow)
    assert moved(after["flow"])[1]["flow_loss"] < told["flow_loss"]
    assert told["flow_loss"] == pytest.approx(-FLOW.log_prob(state.flow, x).mean(), rel=SUMS)
    numeric, analytic = directional_check(
        lambda p: -FLOW.log_prob(p, x).mean(), lambda p: gradient_of(moved(p)[0]["flow_optimiser"]), state.flow, generator(0)
    )
    np.testing.assert_allclose(analytic, numeric, rtol=tolerances.GRADIENT_RTOL)


def test_step_sizes_follow_the_acceptance() -> None:
    """Tiny steps are all taken, so grow; long ones are refused, so shrink. Without `adapt` they stay."""
    for step_size, factor in ((1e-6, 1.05), (50.0, 1 / 1.05)):
        for algorithm in (
            FlowMCEBM(ENERGY, FLOW, ((MALA(step_size), 2), *MOVES[1:2]), 8, 20, adapt=True),
            NTEBM(ENERGY, FLOW, MALA(step_size), 3, 8),
            NTEBM(ENERGY, FLOW, HMC(math.sqrt(2 * step_size), 1), 3, 8),
        ):
            state = begin(algorithm)
            after, info = algorithm.step(state, data(), algorithm.noise(generator(0)), RATES)
            np.testing.assert_allclose(after.step_size / state.step_size, factor, rtol=1e-12)
            assert info["step_size"] == after.step_size
    frozen, state = trained("flowmc")
    assert frozen.step(state, data(), frozen.noise(generator(0)), RATES)[0].step_size == state.step_size


def test_each_different_local_kernel_has_a_step_size_of_its_own() -> None:
    """Blocks of equal kernels share one; what is global has none."""
    moves = ((MALA(1e-6), 1), (IndependentMH, 1), (HMC(50.0, 1), 2), (MALA(1e-6), 1))
    algorithm = FlowMCEBM(ENERGY, FLOW, moves, batch=8, buffer=20, adapt=True)
    state = begin(algorithm)
    assert state.step_size.tolist() == [1e-6, 50.0]
    after, info = algorithm.step(state, data(), algorithm.noise(generator(0)), RATES)
    np.testing.assert_allclose(after.step_size, [1.05e-6, 50 / 1.05], rtol=1e-12)
    assert [info["step_size"], info["step_size1"]] == after.step_size.tolist()
    assert info["acceptance_local"] == 0.5  # MALA's two steps and HMC's two
    steps = [getattr(kernel, "step_size", None) for kernel, _ in algorithm.kernel(after.flow, after.step_size).blocks]
    assert steps == [after.step_size[0], None, after.step_size[1], after.step_size[0]]
    far = FlowMCEBM(ENERGY, FLOW, ((IndependentMH, 2),), batch=8, buffer=20)
    assert far.step(begin(far), data(), far.noise(generator(0)), RATES)[1].keys() >= {"acceptance_global"}


# --------------------------------------------------------------------------------------------------------------- NT-EBM

def latent(algorithm: NTEBM, state: Any) -> Any:
    """The density that the chains of a step walk on; the test after the next says that it is this one."""
    return pullback(lambda x: -algorithm.energy(state.energy, x), algorithm.flow, state.flow, tilted=True)


def test_the_latent_target_is_the_pullback_of_the_model() -> None:
    """With a flow that is far from the identity; the base enters once, the determinant not at all."""
    algorithm, state = trained("nt")
    z = generator(4).standard_normal((40, 2))
    log_p_z = latent(algorithm, state)(z)
    np.testing.assert_allclose(
        log_p_z, pullback(partial(algorithm.log_density, state), FLOW, state.flow)(z), rtol=1e-7, atol=1e-9
    )
    x, log_det = FLOW.bijection.forward(state.flow, z)
    np.testing.assert_allclose(log_p_z, Normal(2).log_prob(z) - ENERGY(state.energy, x), rtol=SUMS)
    assert np.abs(log_det).max() > 0.1
    assert np.abs(ENERGY(state.energy, x)).max() > 1e-3
    np.testing.assert_allclose(
        algorithm.log_density(state, x), Normal(2).log_prob(z) - log_det - ENERGY(state.energy, x), rtol=1e-6
    )


@pytest.mark.parametrize("name", ["nt", "nt, hmc"])
def test_nt_samples_as_a_latent_kernel_does(name: str) -> None:
    algorithm, state = trained(name)
    noise, positives = algorithm.noise(generator(3)), data()
    after, info = algorithm.step(state, positives, noise, RATES)

    kernel = type(algorithm.kernel)(float(state.step_size), *([2] if isinstance(algorithm.kernel, HMC) else []))
    outer, log_density = Latent(kernel, FLOW, state.flow), partial(algorithm.log_density, state)
    now, accepted = outer.init(FLOW.sample(state.flow, noise["flow"]), log_density), []
    for draw in noise["moves"]:
        now, move = outer.step(now, draw, log_density)
        accepted.append(move.accepted)
    value, gradient = contrast(ENERGY, state.energy, positives, now.x)
    np.testing.assert_allclose(info["contrast"], value, rtol=1e-6)
    assert info["acceptance_local"] == np.mean(accepted)
    energy, optimiser = Adam().update(state.energy, gradient, state.energy_optimiser, 0.01)
    close([after.energy, after.energy_optimiser], [energy, optimiser])
    assert after.flow is state.flow


def test_a_proposal_that_the_flow_sends_beyond_all_numbers_is_refused() -> None:
    algorithm, state = trained("nt")
    stretched = tree_map(lambda p: p, state.flow)
    stretched[-1][-1]["b"] = np.array([5.0, 0.0, 5.0, 0.0])
    far = np.array([[1e308, 0.0], [0.1, 0.2]])
    with np.errstate(all="ignore"):
        log_p_z = latent(algorithm, state._replace(flow=stretched))(far)
    assert log_p_z[0] == -math.inf
    assert math.isfinite(log_p_z[1])


# ------------------------------------------------------------------------------------------------------------- CoopFlow

def test_coopflow_line_by_line() -> None:
    algorithm, state = trained("coopflow")
    noise, positives = algorithm.noise(generator(3)), data()
    assert set(noise) == {"flow"}  # Langevin consumes none
    after, info = algorithm.step(state, positives, noise, RATES)
    x0 = x = FLOW.sample(state.flow, noise["flow"])
    for _ in range(4):
        x = x - 0.01 * elementwise_grad(lambda x: ENERGY(state.energy, x))(x)
    assert np.abs(x - x0).max() > 1e-4
    value, gradient = contrast(ENERGY, state.energy, positives, x)
    energy, optimiser = Adam().update(state.energy, gradient, state.energy_optimiser, 0.01)
    close([after.energy, after.energy_optimiser], [energy, optimiser])
    loss, gradient = forward_divergence(state.flow, x)
    flow, optimiser = Adam().update(state.flow, gradient, state.flow_optimiser, 0.01)
    close([after.flow, after.flow_optimiser], [flow, optimiser])
    np.testing.assert_allclose(
        [info["contrast"], info["flow_loss"], info["revision"]],
        [value, loss, math.sqrt(np.mean(np.sum((x - x0) ** 2, axis=1)))], rtol=1e-7,
    )
    np.testing.assert_array_equal(algorithm.log_density(state, x), -ENERGY(state.energy, x))


def test_a_revision_goes_downhill_to_the_mode() -> None:
    x = revised(np.array([[3.0, -1.0]]), 200, 0.1, lambda x: -((x - 1) ** 2).sum(axis=1) / 2)
    np.testing.assert_allclose(x, 1, atol=1e-8)


# ------------------------------------------------------------------------------------------------------------------ FCE

def matched(sd: float, log_z: float, c: float) -> tuple[FCE, Any, Array]:
    """Energy, number and flow that all say N(0, sd^2), when c = log_z; and the flow's samples at evenly spaced quantiles."""
    flow = Flow(Normal(1, sd), realnvp(1, layers=1, hidden=(4,), final_scale=0.0).bijection)
    algorithm = FCE(NormalEnergy(1, log_z), flow, batch=2001)
    state = algorithm.init(generator(0))
    energy = {"mean": np.zeros(1), "log_sd": np.full(1, math.log(sd))}
    z = scipy.special.ndtri((np.arange(2001) + 0.5) / 2001)[:, None]
    return algorithm, state._replace(energy=energy, c=np.array(c)), z


def test_at_the_optimum_neither_player_moves() -> None:
    algorithm, state, z = matched(1.3, 0.7, 0.7)
    after, info = algorithm.step(state._replace(
        energy_optimiser=Adam().init({"energy": state.energy, "c": state.c})), 1.3 * z, {"flow": z}, RATES)
    np.testing.assert_allclose(info["classifier_loss"], 2 * math.log(2), rtol=1e-12)
    for optimiser in (after.energy_optimiser, after.flow_optimiser):
        assert max(np.abs(g).max(initial=0) for g in leaves(gradient_of(optimiser))) < QUANTILES


@pytest.mark.parametrize(("shift", "scale", "c"), [(0.5, 1.0, 0.7), (0.0, 0.6, 0.7), (0.0, 1.0, 0.2), (0.0, 1.0, 1.2)])
def test_off_the_optimum_the_players_move_the_right_way(shift: float, scale: float, c: float) -> None:
    """Towards the data's mean and spread, c towards log Z; else the test above would pass for gradients that are always 0."""
    algorithm, state, z = matched(1.3, 0.7, c)
    x = 1.3 * z * scale + shift
    after, info = algorithm.step(
        state._replace(energy_optimiser=Adam().init({"energy": state.energy, "c": state.c})), x, {"flow": z}, RATES
    )
    gradient = gradient_of(after.energy_optimiser)
    if c == 0.7:
        np.testing.assert_allclose(gradient["c"], 0, atol=QUANTILES)  # G = 0 everywhere
        if shift:
            assert gradient["energy"]["mean"][0] < -0.05              # descent: the mean goes up
            head = gradient_of(after.flow_optimiser)[-1][-1]["b"]
            np.testing.assert_allclose(head[1], 0.5 * -shift / 1.3**2, rtol=0.02)  # half of -E[d log lambda / d shift]
        else:
            assert gradient["energy"]["log_sd"][0] > 0.05
    else:
        assert gradient["c"] * (c - 0.7) > 0.01                       # descent: c goes to 0.7
        sigma = 1 / (1 + math.exp(-(0.7 - c)))                        # G = log_z - c at every point
        np.testing.assert_allclose(gradient["c"], (1 - sigma) - sigma, rtol=SUMS)
    assert info["log_z"] == after.c
    assert (after.c - state.c) * gradient["c"] <= 0


def test_v_and_its_gradients_against_the_definition() -> None:
    """p / (p + lambda) from densities, not logistic functions; finite differences in both players' directions."""
    algorithm, state = trained("fce")
    noise, x = algorithm.noise(generator(3)), data(11)

    def value(model: Tree, flow: Tree) -> float:
        y = FLOW.sample(flow, noise["flow"])

        def odds(x: Array) -> tuple[Array, Array]:
            return np.exp(-ENERGY(model["energy"], x) - model["c"]), np.exp(FLOW.log_prob(flow, x))

        p, q = odds(x)
        p_y, q_y = odds(y)
        return float(np.mean(np.log(p / (p + q))) + np.mean(np.log(q_y / (p_y + q_y))))

    fresh = state._replace(
        energy_optimiser=Adam().init({"energy": state.energy, "c": state.c}), flow_optimiser=Adam().init(state.flow)
    )
    after, info = algorithm.step(fresh, x, noise, RATES)
    model = {"energy": state.energy, "c": state.c}
    np.testing.assert_allclose([-info["classifier_loss"], info["flow_loss"]], value(model, state.flow), rtol=1e-7)
    numeric, analytic = directional_check(
        lambda m: -value(m, state.flow), lambda m: gradient_of(after.energy_optimiser), model, generator(5)
    )
    np.testing.assert_allclose(analytic, numeric, rtol=1e-4)
    numeric, analytic = directional_check(
        lambda a: value(model, a), lambda a: gradient_of(after.flow_optimiser), state.flow, generator(6)
    )
    np.testing.assert_allclose(analytic, numeric, rtol=1e-4)
    samples = FLOW.sample(state.flow, noise["flow"])
    np.testing.assert_allclose(
        info["contrast"], ENERGY(state.energy, x).mean() - ENERGY(state.energy, samples).mean(), rtol=1e-6, atol=SUMS
    )


def test_v_by_hand() -> None:
    np.testing.assert_allclose(V(np.zeros(3), np.zeros(5)), -2 * math.log(2), rtol=1e-15)
    sigma = scipy.special.expit(np.array([1.0, -2.0]))
    np.testing.assert_allclose(
        V(np.array([1.0, -2.0]), np.array([3.0])), np.log(sigma).mean() + math.log(1 - 1 / (1 + math.exp(-3))), rtol=1e-12
    )


def test_fce_can_begin_with_a_trained_flow() -> None:
    given = randomise(FLOW.init(generator(1)), generator(2))
    assert ALGORITHMS["fce"].init(generator(0), given).flow is given


# ------------------------------------------------------------------------------------------------------------ Jarzynski

def quadratic(a: float, m: float) -> Any:
    """log density -a |x - m|^2 / 2; log Z = -d/2 log(a / 2 pi)."""
    return lambda x: -a * ((x - m) ** 2).sum(axis=1) / 2


def path(k: float) -> Any:
    """From the standard normal, normalised, to a narrower one elsewhere that is not."""
    return lambda x: quadratic(1 + 2 * k, 0.8 * k)(x) - (x.shape[1] / 2) * math.log(2 * math.pi)


def log_q(y: Array, x: Array, h: float, log_density: Any) -> Array:
    """log density of a step of ULA from x to y, every constant written out."""
    mean = x + h * elementwise_grad(log_density)(x)
    return -((y - mean) ** 2).sum(axis=1) / (4 * h) - x.shape[1] / 2 * math.log(4 * math.pi * h)


@pytest.mark.parametrize("d", [1, 3])
def test_alpha_is_the_energy_and_the_transition(d: int) -> None:
    x, y = generator(0).standard_normal((2, 20, d))
    h, U = 0.3, path(0.7)
    rest = ((x - y) ** 2).sum(axis=1) / (4 * h) + d / 2 * math.log(4 * math.pi * h)
    np.testing.assert_allclose(alpha(evaluate(x, U), y, h), -U(x) - log_q(y, x, h, U) - rest, rtol=SUMS, atol=SUMS)


def test_the_weights_are_the_ratio_of_the_paths() -> None:
    X, A = generator(0).standard_normal((25, 2)), generator(1).standard_normal(25)
    noise = generator(2).standard_normal((25, 2))
    kept, h = X.copy(), 0.2
    before, after = path(0.3), path(0.9)
    Y, B = carried(X, A, noise, h, before, after)
    assert np.array_equal(X, kept)
    np.testing.assert_allclose(Y, X + h * elementwise_grad(before)(X) + math.sqrt(2 * h) * noise, rtol=SUMS)
    np.testing.assert_allclose(
        B - A, after(Y) + log_q(X, Y, h, after) - before(X) - log_q(Y, X, h, before), rtol=SUMS, atol=SUMS
    )


def test_where_nothing_changes_the_weights_are_malas_ratios() -> None:
    """ULA's own error is what is left, and it is what MALA accepts or refuses by."""
    X, noise, p = generator(0).standard_normal((25, 2)), generator(2).standard_normal((25, 2)), path(0.5)
    _, A = carried(X, np.zeros(25), noise, 0.2, p, p)
    _, info = mala(evaluate(X, p), noise, np.zeros(25), 0.2, p)
    np.testing.assert_allclose(A, info.log_ratio, rtol=SUMS, atol=SUMS)
    assert np.abs(A).max() > 0.01
    _, small = carried(X, np.zeros(25), noise, 1e-6, p, p)
    assert np.abs(small).max() < 1e-6


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("h", [0.02, 0.15])
def test_log_z_along_a_path_of_normals(d: int, h: float) -> None:
    """Within Z_LIMIT = 5 of its own standard errors (error rate 6e-7 a comparison), for steps small and large; the walkers
    are independent, so the errors are those of a mean of weights."""
    rng, n, K = generator(0), 10_000, 30
    X, A = rng.standard_normal((n, d)), np.zeros(n)
    for k in range(K):
        X, A = carried(X, A, rng.standard_normal((n, d)), h, path(k / K), path((k + 1) / K))
    w, ess = softmax(A), effective_size(A)
    assert ess < 0.95 * n  # far enough from equilibrium for the weights to matter
    truth = -d / 2 * math.log(3)
    assert abs(log_mean_exp(A) - truth) < Z_LIMIT * math.sqrt(1 / ess - 1 / n)
    mean = w @ X
    assert np.all(np.abs(mean - 0.8) < Z_LIMIT * np.sqrt(w**2 @ (X - mean) ** 2))
    square = (X - 0.8) ** 2
    assert np.all(np.abs(w @ square - 1 / 3) < Z_LIMIT * np.sqrt(w**2 @ (square - 1 / 3) ** 2))
    assert np.abs(X.mean(axis=0) - 0.8).max() > 0.05  # unweighted the walkers lag behind


def test_z_is_unbiased_through_resampling() -> None:
    """Resampled every fifth step, 40 runs: Z_K / Z_0 has the right mean. z-score limit 5, t with 39 degrees: 1e-5."""
    ratios, K, h, n = [], 20, 0.15, 200
    for seed in range(40):
        rng = generator(seed)
        X, A, banked = rng.standard_normal((n, 1)), np.zeros(n), 0.0
        for k in range(K):
            X, A = carried(X, A, rng.standard_normal((n, 1)), h, path(k / K), path((k + 1) / K))
            if k % 5 == 4:
                X, A, banked = resampled(X, A, rng.random()), np.zeros(n), banked + log_mean_exp(A)
        ratios.append(math.exp(banked + log_mean_exp(A)))
    error = np.std(ratios, ddof=1) / math.sqrt(40)
    assert error < 0.05
    assert abs(np.mean(ratios) - 3**-0.5) < Z_LIMIT * error


@pytest.mark.parametrize("uniform", [0.0, 0.37, 1 - 2**-53, 1.0])
def test_systematic_resampling(uniform: float) -> None:
    """Every walker n w times, rounded down or up; who has no weight never, wherever it stands. float32 noise may round to 1."""
    n = 50
    for dtype in (np.float64, np.float32):
        A = (2 * generator(1).standard_normal(n)).astype(dtype)
        A[[0, 7, -2, -1]] = -np.inf
        chosen = resampled(np.arange(n)[:, None], A, uniform)[:, 0]
        counts, expected = np.bincount(chosen, minlength=n), n * softmax(A)
        slack = 1e-4 if dtype == np.float32 else 1e-9
        assert np.all((counts >= np.floor(expected - slack)) & (counts <= np.ceil(expected + slack)))
        assert counts[[0, 7, -2, -1]].sum() == 0
    assert np.array_equal(resampled(np.arange(n)[:, None], np.full(n, -3.0), 0.37)[:, 0], np.arange(n))


def test_systematic_resampling_is_right_on_average() -> None:
    n = 6
    A = generator(1).standard_normal(n)
    counts = sum(np.bincount(resampled(np.arange(n)[:, None], A, (i + 0.5) / 2000)[:, 0], minlength=n) for i in range(2000))
    np.testing.assert_allclose(counts / 2000, n * softmax(A), atol=2e-3)  # the uniforms are 1/2000 apart


def test_sizes_and_means_of_weights() -> None:
    assert effective_size(np.full(7, 300.0)) == pytest.approx(7)
    assert effective_size(np.array([0.0, -np.inf, -800.0])) == pytest.approx(1)
    assert effective_size(np.log([1.0, 3.0])) == pytest.approx(16 / 10)
    assert log_mean_exp(np.log([1.0, 3.0])) == pytest.approx(math.log(2))


def test_jarzynski_line_by_line() -> None:
    """Gradient and walk by the old energy, weights by both; no resampling at threshold 0."""
    algorithm = Jarzynski(ENERGY, Normal(2, 1.2), step_size=0.05, walkers=30, threshold=0.0)
    state, _ = run(algorithm, begin(algorithm), 5)
    noise, positives = algorithm.noise(generator(3)), data()
    after, info = algorithm.step(state, positives, noise, RATES)
    w = np.exp(state.log_weights) / np.exp(state.log_weights).sum()
    value, gradient = contrast(ENERGY, state.energy, positives, state.walkers, w)
    np.testing.assert_allclose(info["contrast"], value, rtol=1e-6)
    close([after.energy, after.energy_optimiser], list(Adam().update(state.energy, gradient, state.energy_optimiser, 0.01)))

    def U(x: Array) -> Array:
        return Normal(2, 1.2).log_prob(x) - ENERGY(state.energy, x)

    def U_next(x: Array) -> Array:
        return Normal(2, 1.2).log_prob(x) - ENERGY(after.energy, x)

    X, Y = state.walkers, after.walkers
    np.testing.assert_allclose(Y, X + 0.05 * elementwise_grad(U)(X) + math.sqrt(0.1) * noise["normal"], rtol=SUMS)
    grown = U_next(Y) + log_q(X, Y, 0.05, U_next) - U(X) - log_q(Y, X, 0.05, U)
    np.testing.assert_allclose(after.log_weights - state.log_weights, grown, rtol=1e-7, atol=SUMS)
    assert np.abs(grown).max() > 1e-3
    assert info["log_z"] == algorithm.log_z(after) == log_mean_exp(after.log_weights)
    assert info["ess"] == effective_size(after.log_weights)


def test_resampling_banks_what_it_takes_away() -> None:
    """The same step with threshold 0 and 1: log Z is the same to rounding, and the walkers are those of `resampled`."""
    lazy = Jarzynski(ENERGY, Normal(2), 0.05, 30, threshold=0.0)
    eager = Jarzynski(ENERGY, Normal(2), 0.05, 30, threshold=1.0)
    state, _ = run(eager, begin(eager), 6)
    assert state.banked != 0
    noise = lazy.noise(generator(3))
    kept, info = lazy.step(state, data(), noise, RATES)
    after, same = eager.step(state, data(), noise, RATES)
    assert info == same
    assert np.array_equal(after.log_weights, np.zeros(30))
    assert np.array_equal(after.walkers, resampled(kept.walkers, kept.log_weights, float(noise["uniform"])))
    np.testing.assert_allclose([lazy.log_z(kept), eager.log_z(after)], info["log_z"], rtol=1e-12)
    assert kept.banked == state.banked


def test_jarzynski_starts_in_equilibrium() -> None:
    algorithm = Jarzynski(ENERGY, Normal(2, 2.0), walkers=20_000)
    state = algorithm.init(generator(0))
    assert algorithm.log_z(state) == pytest.approx(0, abs=1e-14)
    x = data()
    assert np.array_equal(algorithm.log_density(state, x), Normal(2, 2.0).log_prob(x))
    assert abs(np.std(state.walkers) - 2) < Z_LIMIT * 2 / math.sqrt(2 * state.walkers.size)
    for k in range(5):  # with the energy frozen Z stays 1, whatever ULA does; z-score limit 5
        state, info = algorithm.step(state, x, algorithm.noise(generator(k)), Rates(0.0))
    assert abs(info["log_z"]) < Z_LIMIT * math.sqrt(1 / info["ess"] - 1 / 20_000) + 1e-12


# ---------------------------------------------------------------------------------------------- what the algorithms share

def test_descend() -> None:
    params, gradient = {"a": np.ones(2)}, {"a": np.array([3.0, 4.0])}
    memory = Adam().init(params)
    after, told, norm = descend(Adam(), params, gradient, memory, 0.1)
    equal([after, told], Adam().update(params, gradient, memory, 0.1))
    assert norm == 5
    assert descend(Adam(), params, gradient, memory, 0.0) == (params, memory, 5)
    for bad in (math.nan, math.inf):
        with pytest.raises(FloatingPointError, match="the gradient must be finite"):
            descend(Adam(), params, {"a": np.array([bad, 1.0])}, memory, 0.1)
    with pytest.raises(FloatingPointError, match="after the update, the optimiser's state v/a is not finite"):
        descend(Adam(), placed(params, np.float32), {"a": np.full(2, 1e25)}, placed(memory, np.float32), 0.1)


def test_pretraining() -> None:
    """A flow that is affine finds mean and deviation of the data. The generator moves on, and the data's dtype is kept."""
    flow, x = realnvp(1, layers=1, hidden=()), (2 + 0.5 * generator(0).standard_normal((500, 1))).astype(np.float32)
    rng = generator(1)
    params = pretrained(flow, x, 150, rng, batch=50, rate=0.1)
    assert all(leaf.dtype == np.float32 for leaf in leaves(params))
    z = np.array([[0.0], [1.0]], np.float32)
    low, high = flow.sample(params, z)[:, 0]
    np.testing.assert_allclose([low, high - low], [x.mean(), x.std()], atol=0.02)  # batches of 50 at a rate that ends at zero
    one, two, again = (pretrained(flow, x, 3, rng, batch=50) for rng in (rng, rng, generator(5)))
    with pytest.raises(AssertionError):
        equal([one], [two])
    equal([again], [pretrained(flow, x, 3, generator(5), batch=50)])
    with pytest.raises(ValueError, match=r"data must have shape \(n, 1\), got \(3, 2\)"):
        pretrained(flow, np.zeros((3, 2)), 3, rng)
    with pytest.raises(TrainingStopped):
        pretrained(flow, 1e200 * np.ones((3, 1)), 3, rng)


@pytest.mark.parametrize("name", ["pcd", "coopflow", "fce"])
def test_a_tilt_is_a_fixed_term_of_the_energy(name: str) -> None:
    """Five steps with the tilt are those of the energy E - log rho, which knows of no tilt; and it makes a difference."""
    plain, rho = ALGORITHMS[name], Normal(2, 0.7)
    tilted, other = dataclasses.replace(plain, tilt=rho), dataclasses.replace(plain, energy=TiltedEnergy(ENERGY, rho))
    states = [run(algorithm, begin(algorithm), 5)[0] for algorithm in (tilted, other, plain)]
    close(*map(list, states[:2]))
    close(*(algorithm.log_density(states[0], data()) for algorithm in (tilted, other)))
    log_p = tilted.log_density(states[0], data())
    np.testing.assert_allclose(log_p, rho.log_prob(data()) - ENERGY(states[0].energy, data()), rtol=SUMS)
    assert max(np.abs(a - b).max(initial=0) for a, b in zip(*(leaves(list(states[i])) for i in (0, 2)), strict=True)) > 1e-3


# --------------------------------------------------------------------------------------------------------------- refusals

THREE = realnvp(3, layers=2, hidden=(4,))
CUBE, BOXED = Uniform(2, -6.0, 6.0), spline_flow(2, layers=1, hidden=(4,), bound=6.0, base=Uniform(2, -6.0, 6.0))
BAD: list[tuple[Any, str]] = [
    (lambda: PCD(ENERGY, CUBE, tilt=CUBE), "tilt must not end anywhere, got Uniform(d=2, low=-6.0, high=6.0): the chains'"),
    (lambda: Jarzynski(ENERGY, CUBE), "base must not end anywhere, got Uniform("),
    (lambda: CoopFlow(ENERGY, FLOW, tilt=CUBE), "tilt must not end anywhere, got Uniform("),
    (lambda: CoopFlow(ENERGY, BOXED), "flow must not end anywhere, got Uniform("),
    (lambda: FlowMCEBM(ENERGY, BOXED, ((ULA(0.1), 1),)), "flow must not end anywhere, got Uniform("),
    (lambda: NTEBM(ENERGY, BOXED, ULA(0.1)), "flow must not end anywhere, got Uniform("),
    (lambda: PCD(ENERGY, Normal(2), batch=9, buffer=8), "buffer must hold at least a batch of chains, got buffer 8"),
    (lambda: PCD(ENERGY, Normal(2), batch=0), "batch must be an integer >= 1, got 0"),
    (lambda: PCD(ENERGY, Normal(2), step_size=0.0), "step_size must be positive and finite, got 0.0"),
    (lambda: PCD(ENERGY, Normal(2), steps=0), "steps must be an integer >= 1, got 0"),
    (lambda: PCD(ENERGY, Normal(3)), "energy and start must agree in d, got 2 and 3"),
    (lambda: FlowMCEBM(ENERGY, FLOW, batch=9, buffer=8), "buffer must hold at least a batch of chains"),
    (lambda: FlowMCEBM(ENERGY, FLOW, ((partial(ISIR, N=1), 1),)), "N must be an integer >= 2, got 1"),
    (lambda: FlowMCEBM(ENERGY, THREE), "energy and flow must agree in d, got 2 and 3"),
    (lambda: FlowMCEBM(ENERGY, FLOW, moves=()), "blocks must hold at least one"),
    (lambda: FlowMCEBM(ENERGY, FLOW, moves=((MALA(0.1), 0),)), "steps must be an integer >= 1, got 0"),
    (lambda: FlowMCEBM(ENERGY, FLOW, used=0), "used must be an integer >= 1, got 0"),
    (lambda: FlowMCEBM(ENERGY, FLOW, used=11), "used must be at most the number of moves, 10, got 11"),
    (lambda: FlowMCEBM(ENERGY, FLOW, moves=((IndependentMH, 1),), adapt=True), "moves must have local ones"),
    (lambda: NTEBM(ENERGY, THREE), "energy and flow must agree in d, got 2 and 3"),
    (lambda: NTEBM(ENERGY, FLOW, steps=0), "steps must be an integer >= 1, got 0"),
    (lambda: NTEBM(ENERGY, FLOW, batch=0), "batch must be an integer >= 1, got 0"),
    (lambda: CoopFlow(ENERGY, THREE), "energy and flow must agree in d, got 2 and 3"),
    (lambda: CoopFlow(ENERGY, FLOW, step_size=0.0), "step_size must be positive and finite, got 0.0"),
    (lambda: CoopFlow(ENERGY, FLOW, steps=0), "steps must be an integer >= 1, got 0"),
    (lambda: CoopFlow(ENERGY, FLOW, batch=0), "batch must be an integer >= 1, got 0"),
    (lambda: FCE(ENERGY, THREE), "energy and flow must agree in d, got 2 and 3"),
    (lambda: FCE(ENERGY, FLOW, batch=0), "batch must be an integer >= 1, got 0"),
    (lambda: Jarzynski(ENERGY, Normal(3)), "energy and tilt must agree in d, got 2 and 3"),
    *((lambda other=other: other(tilt=Normal(3)).ebm, "energy and tilt must agree in d, got 2 and 3") for other in (
        partial(PCD, ENERGY, Normal(2)), partial(CoopFlow, ENERGY, FLOW), partial(FCE, ENERGY, FLOW))),
    (lambda: Jarzynski(ENERGY, Normal(2), step_size=0.0), "step_size must be positive and finite, got 0.0"),
    (lambda: Jarzynski(ENERGY, Normal(2), walkers=0), "walkers must be an integer >= 1, got 0"),
    (lambda: Jarzynski(ENERGY, Normal(2), threshold=1.5), "threshold must lie between 0 and 1, got 1.5"),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_choices_that_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


@pytest.mark.parametrize("name", ["pcd", "flowmc", "nt"])
def test_noise_for_another_number_of_moves_is_refused(name: str) -> None:
    algorithm, state = trained(name, 1)
    noise = algorithm.noise(generator(0))
    with pytest.raises(ValueError, match=r"noise|zip\(\)"):
        algorithm.step(state, data(), {**noise, "moves": noise["moves"][:-1]}, RATES)
