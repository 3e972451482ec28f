"""Densities of energy-based models, their gradients, single steps and whole walks over all chains, with the same noise."""
from collections.abc import Callable
from functools import partial
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
from autograd.extend import defvjp, primitive
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from evenflow.reference.core.networks import ACTIVATIONS
from evenflow.reference.core.trees import Array, Tree, leaves, tree_map
from evenflow.reference.ebm.energies import EBM, MLPEnergy
from evenflow.reference.flows.densities import Normal
from evenflow.reference.flows.flow import realnvp
from evenflow.reference.mcmc import langevin, run
from evenflow.reference.mcmc.contract import density_and_gradient, log_density_at, noise_like, walk
from evenflow.reference.mcmc.flowmc import FlowMC
from evenflow.reference.mcmc.hmc import HMC
from evenflow.reference.mcmc.independence import ISIR, IndependentMH, isir
from evenflow.reference.mcmc.langevin import MALA, ULA
from evenflow.reference.mcmc.metropolis import RandomWalk
from tests import tolerances
from tests.agreement.backends import BACKENDS, backend, here, host, same
from tests.agreement.comparison import agree, agreement, dtypes, few, off_by_one
from tests.energies import MixtureEnergy
from tests.samplers import TARGETS, Latent
from tests.strategies import generator, randomise, seeds

tilts = st.sampled_from(["none", "standard", "normal", "unknown"])
activations = st.sampled_from(sorted(ACTIVATIONS))
hiddens = st.sampled_from([(5,), (6, 4)])
dimensions = st.integers(1, 3)
chains = st.sampled_from([1, 3, 8])


def model(tilt: str, d: int, hidden: tuple[int, ...] = (6, 4), activation: str = "tanh") -> EBM:
    """With every tilt that accel knows, and one that it does not."""
    energy = MLPEnergy(d, hidden, activation)
    known = {"none": None, "standard": Normal(d), "normal": Normal(d, 1.7), "unknown": Shifted(d)}
    return EBM(energy, known[tilt])


class Shifted(Normal):
    """A density of one's own."""

    def log_prob(self, x: Array) -> Array:
        return super().log_prob(x - 1.0)


def parameters(ebm: EBM, seed: int, dtype: Any) -> Tree:
    return tree_map(lambda leaf: leaf.astype(dtype), randomise(ebm.init(generator(seed)), generator(seed), 0.5))


def compare(where: str, f: Callable[..., Any], args: dict[str, Tree], dtype: Any) -> list[tuple[Array, Array]]:
    """f(**args), a tuple of arrays: the backend's within what conditioning allows of the reference's, in float64."""
    wide = tree_map(lambda leaf: leaf.astype(np.float64), args)
    exact = f(**wide)
    nearby = [f(**tree_map(lambda leaf, r=r: off_by_one(leaf, dtype, r), wide)) for r in range(3)]
    size = max(float(np.max(np.abs(leaf), initial=0)) for leaf in leaves(args))
    with backend(where):
        fast = [host(a) for a in f(**here(args))]
    for k, (a, e) in enumerate(zip(fast, exact, strict=True)):
        assert (a.dtype, a.shape) == (np.dtype(dtype), e.shape)
        np.testing.assert_array_less(np.abs(a - e), tolerances.agreement(dtype, e, [other[k] for other in nearby], size))
    return list(zip(fast, exact, strict=True))


# ---------------------------------------------------------------------------------------------------------- densities


@agreement("flows.densities.Normal.log_prob")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, st.integers(1, 5), st.sampled_from([1.0, 0.3, 2.5]), chains, st.sampled_from([1.0, 1e3]))
def test_normal(where: str, seed: int, dtype: Any, d: int, sd: float, n: int, size: float) -> None:
    x = (size * generator(seed).standard_normal((n, d))).astype(dtype)
    for density in (Normal(d, sd), Shifted(d, sd)):
        agree(where, density.log_prob, {"x": x})


@agreement("ebm.energies.EBM.log_density")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, tilts, activations, hiddens, dimensions, chains, st.sampled_from([1.0, 100.0]))
def test_log_density(
    where: str, seed: int, dtype: Any, tilt: str, activation: str, hidden: tuple[int, ...], d: int, n: int, size: float
) -> None:
    ebm = model(tilt, d, hidden, activation)
    x = (size * generator(seed).standard_normal((n, d))).astype(dtype)
    agree(where, ebm.log_density, {"params": parameters(ebm, seed, dtype), "x": x})


@agreement("mcmc.contract.density_and_gradient")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, tilts, activations, hiddens, dimensions, chains, st.sampled_from([1.0, 100.0]))
def test_density_and_gradient(
    where: str, seed: int, dtype: Any, tilt: str, activation: str, hidden: tuple[int, ...], d: int, n: int, size: float
) -> None:
    ebm = model(tilt, d, hidden, activation)
    x = (size * generator(seed).standard_normal((n, d))).astype(dtype)
    args = {"params": parameters(ebm, seed, dtype), "x": x}
    compare(where, lambda params, x: density_and_gradient(x, partial(ebm.log_density, params)), args, dtype)
    compare(where, lambda params, x: density_and_gradient(x, lambda x: ebm.log_density(params, x)), args, dtype)


@pytest.mark.parametrize("where", BACKENDS)
def test_other_energies_go_to_the_definition(where: str) -> None:
    mixture: Any = TARGETS["three modes"]
    ebm, x = EBM(MixtureEnergy(mixture)), generator(1).standard_normal((5, 2))
    compare(where, lambda x: density_and_gradient(x, partial(ebm.log_density, {})), {"x": x}, np.float64)


class Doubled(EBM):
    """A model of one's own."""

    def log_density(self, params: Tree, x: Array) -> Array:
        return 2 * super().log_density(params, x)


class Lazy(MALA):
    """A kernel of one's own: half its step."""

    def step(self, state: Any, noise: Tree, log_density: Any) -> Any:
        return langevin.mala(state, noise["normal"], noise["uniform"], self.step_size / 2, log_density)


@pytest.mark.parametrize("where", BACKENDS)
def test_what_is_derived_from_a_known_class_is_not_mistaken_for_it(where: str) -> None:
    ebm, rng = Doubled(MLPEnergy(2, (3,), "tanh"), Normal(2)), generator(0)
    args = {"params": parameters(ebm, 0, np.float64), "x": rng.standard_normal((5, 2)), "noise": rng.standard_normal((5, 2))}

    def f(params: Tree, x: Array, noise: Array) -> Any:
        p = partial(ebm.log_density, params)
        moves = [{"normal": noise, "uniform": noise[:, 0] ** 2}] * 2
        return (*density_and_gradient(x, p), walk(Lazy(0.5), langevin.start(x, p), moves, p)[1])

    compare(where, f, args, np.float64)


def refused(where: str, f: Callable[[], Any]) -> str:
    with backend(where), np.errstate(all="ignore"), pytest.raises(FloatingPointError) as caught:
        f()
    return str(caught.value)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("bad", [np.nan, 1e300])
def test_what_is_no_density_is_refused_in_the_same_words(where: str, bad: float) -> None:
    """NaN in the parameters; a density of +inf."""
    ebm = model("none", 2, (3,), "relu")
    params = tree_map(lambda leaf: np.full_like(leaf, bad), parameters(ebm, 0, np.float64))
    params[-1]["W"] *= -1
    f = lambda: density_and_gradient(here(np.ones((2, 2))), partial(ebm.log_density, here(params)))
    assert refused(where, f) == refused("reference", f)


@pytest.mark.parametrize("where", BACKENDS)
def test_points_out_of_the_world(where: str) -> None:
    """log p is -inf where x is infinite or the tilt underflows, and the gradient 0 there; the other chain is as ever."""
    ebm = model("standard", 2)
    x = np.array([[0.5, 1.0], [np.inf, 0.0], [1e200, 0.0], [np.nan, 1.0]])
    args = {"params": parameters(ebm, 0, np.float64), "x": x}

    def f(params: Tree, x: Array) -> tuple[Array, Array]:
        return density_and_gradient(x, partial(ebm.log_density, params))

    expected = f(**args)
    with backend(where):
        got = [host(a) for a in f(**here(args))]
        at = host(log_density_at(here(x), partial(ebm.log_density, here(args["params"]))))
    assert np.isneginf(got[0][1:]).all()
    for a, e in ((got[0], expected[0]), (got[1], expected[1]), (at, expected[0])):
        np.testing.assert_allclose(a, e, rtol=1e-12)


# ------------------------------------------------------------------------------------------------------- single steps


@agreement("mcmc.langevin.ula")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, tilts, activations, dimensions, chains, st.sampled_from([1e-3, 0.3]))
def test_ula(where: str, seed: int, dtype: Any, tilt: str, activation: str, d: int, n: int, step: float) -> None:
    ebm, rng = model(tilt, d, activation=activation), generator(seed)
    args = {"params": parameters(ebm, seed, dtype), **{k: rng.standard_normal((n, d)).astype(dtype) for k in ("x", "noise")}}

    def move(params: Tree, x: Array, noise: Array) -> Any:
        log_density = partial(ebm.log_density, params)
        return langevin.ula(langevin.start(x, log_density), noise, step, log_density)

    compare(where, move, args, dtype)


@agreement("mcmc.langevin.mala")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, tilts, activations, dimensions, chains, st.sampled_from([0.01, 0.3, 2.0]))
def test_mala(where: str, seed: int, dtype: Any, tilt: str, activation: str, d: int, n: int, step: float) -> None:
    """The ratio; and that each chain took or left its proposal by it, in all of its state."""
    ebm, rng = model(tilt, d, activation=activation), generator(seed)
    args = {"params": parameters(ebm, seed, dtype), **{k: rng.standard_normal((n, d)).astype(dtype) for k in ("x", "noise")}}
    uniform = rng.random(n).astype(dtype)

    def log_density(params: Tree) -> Any:
        return partial(ebm.log_density, params)

    def ratio(params: Tree, x: Array, noise: Array) -> Any:
        start = langevin.start(x, log_density(params))
        return (langevin.mala(start, noise, here(uniform.astype(x.dtype)), step, log_density(params))[1].log_ratio,)

    (log_ratio, _), = compare(where, ratio, args, dtype)
    took = uniform < np.exp(np.minimum(log_ratio, 0))
    with backend(where):
        placed, p = here(args), log_density(here(args["params"]))
        start = langevin.start(placed["x"], p)
        after, info = langevin.mala(start, placed["noise"], here(uniform), step, p)
        there = langevin.evaluate(langevin.drift(start, step) + (2 * step) ** 0.5 * placed["noise"], p)
        np.testing.assert_array_equal(host(info.accepted), took)
        for now, new, old in zip(host(list(after)), host(list(there)), host(list(start)), strict=True):
            unit = tolerances.value(dtype, float(np.max(np.abs(new))))
            np.testing.assert_allclose(now[took], new[took], atol=unit)
            np.testing.assert_array_equal(now[~took], old[~took])


@pytest.mark.parametrize("where", BACKENDS)
def test_proposals_that_overflow_are_refused(where: str) -> None:
    """By themselves, by their density, by a ratio that is nearly so; the chain of the ordinary one goes on."""
    ebm = model("standard", 1, activation="tanh")
    params, x, uniform = parameters(ebm, 0, np.float64), np.full((4, 1), 0.5), np.full(4, 1e-300)
    noise = np.array([[np.inf], [1e200], [1e154], [0.01]])
    with backend(where):
        p = partial(ebm.log_density, here(params))
        after, info = langevin.mala(langevin.start(here(x), p), here(noise), here(uniform), 0.1, p)
        np.testing.assert_array_equal(host(info.accepted), [False, False, False, True])
        assert np.isneginf(host(info.log_ratio)[:2]).all()
        assert host(info.log_ratio)[2] < -1e300
        np.testing.assert_array_equal(host(after.x)[:3], x[:3])


@pytest.mark.parametrize("where", BACKENDS)
def test_ula_that_leaves_the_support_says_so_in_the_same_words(where: str) -> None:
    ebm = model("standard", 1)
    params = parameters(ebm, 0, np.float64)

    def f() -> Any:
        p = partial(ebm.log_density, here(params))
        return langevin.ula(langevin.start(here(np.zeros((3, 1))), p), here(np.array([[0.1], [1e200], [np.inf]])), 0.5, p)

    assert refused(where, f) == refused("reference", f)


FLOW = realnvp(2, layers=2, hidden=(6,))


def flow_parameters(dtype: Any, scale: float = 0.3) -> Tree:
    return tree_map(lambda leaf: leaf.astype(dtype), randomise(FLOW.init(generator(3)), generator(4), scale))


@agreement("mcmc.independence.isir")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, chains, st.sampled_from([2, 3, 6]))
def test_isir(where: str, seed: int, dtype: Any, n: int, N: int) -> None:
    """The weights; and that the slot in which the uniform number falls is the state afterwards, in all its parts."""
    ebm, rng = model("standard", 2), generator(seed)
    args = {"params": parameters(ebm, seed, dtype), "flow": flow_parameters(dtype), "x": rng.standard_normal((n, 2)),
            "noise": rng.standard_normal((n * (N - 1), 2))}
    args, uniform = tree_map(lambda leaf: leaf.astype(dtype), args), rng.random(n).astype(dtype)

    def move(params: Tree, flow: Tree, x: Array, noise: Array) -> Any:
        p, kernel = partial(ebm.log_density, params), ISIR(FLOW, flow, N)
        return isir(kernel.init(x, p), noise, here(uniform.astype(x.dtype)), p, FLOW, flow)

    (log_w, _), = compare(where, lambda **args: (move(**args)[1].log_weights,), args, dtype)
    w = np.exp(log_w - log_w.max(axis=1, keepdims=True)).astype(np.float64)
    share = np.cumsum(w, axis=1) / np.sum(w, axis=1, keepdims=True)
    clear = np.min(np.abs(share - uniform[:, None]), axis=1) > tolerances.ROUNDINGS * tolerances.eps(dtype)
    slot = np.sum(uniform[:, None] >= share, axis=1)
    with backend(where):
        after, choice = move(**here(args))
        fresh = FLOW.sample(here(args["flow"]), here(args["noise"]))
        slots = np.concatenate([args["x"][:, None], host(fresh).reshape(n, N - 1, 2)], axis=1)
        np.testing.assert_array_equal(host(choice.accepted)[clear], (slot > 0)[clear])
        x, log_p, log_lambda = map(host, after)
        unit = tolerances.value(dtype, 10.0)
        np.testing.assert_allclose(x[clear], slots[np.arange(n), slot][clear], atol=unit)
        np.testing.assert_allclose((log_p - log_lambda)[clear], log_w[np.arange(n), slot][clear], atol=unit)


@pytest.mark.parametrize("where", BACKENDS)
def test_isir_at_the_edges(where: str) -> None:
    """A uniform number of 1; points that overflow in the flow have weight 0; noise for another number of points."""
    ebm = model("standard", 2)
    params, flow, x = parameters(ebm, 0, np.float64), flow_parameters(np.float64, 1.0), np.zeros((2, 2))
    noise = np.array([[0.1, 0.2], [1e300, 1e300], [np.inf, 0.0], [0.3, -0.4]])
    ordinary = np.array([[0.1, 0.2], [0.3, 0.1], [-0.2, 0.4], [60.0, -60.0]])  # the last slot's weight underflows

    def f(uniform: Array, noise: Array) -> Any:
        p, kernel = partial(ebm.log_density, here(params)), ISIR(FLOW, here(flow), 3)
        after, choice = isir(kernel.init(here(x), p), here(noise), here(uniform), p, FLOW, here(flow))
        return [*map(host, after), *map(host, choice)]

    for uniform in (np.array([1.0, 1.0]), np.array([0.0, 0.999]), np.array([0.6, 0.4])):
        for given_ in (noise, noise[:2], ordinary):
            with np.errstate(all="ignore"):
                expected = f(uniform, given_)
                with backend(where):
                    got = f(uniform, given_)
            for a, e in zip(got, expected, strict=True):
                np.testing.assert_allclose(a, e, rtol=1e-10)
    with backend(where), pytest.raises(ValueError, match=r"noise must be for \(N - 1\) points for each of 2 chains, got 3"):
        f(np.zeros(2), noise[:3])
    with backend(where), pytest.raises(ValueError, match=r"uniform must have shape \(2,\), got \(3,\)"):
        f(np.zeros(3), noise)


# ------------------------------------------------------------------------------------------------------- fifty steps


def kernels(flow: Tree, tilt: str = "standard") -> dict[str, Any]:
    return {
        "mala": MALA(0.1), "ula": ULA(0.05), "hmc": HMC(0.2, 3), "random walk": RandomWalk(0.3), "isir": ISIR(FLOW, flow, 4),
        "independent": IndependentMH(FLOW, flow), "latent": Latent(MALA(0.2), FLOW, flow),
        "flowmc": FlowMC(((MALA(0.1), 2), (ISIR(FLOW, flow, 4), 1), (HMC(0.2, 2), 1))),
    }


@agreement("mcmc.contract.walk")
@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("name", list(kernels({})))
def test_fifty_steps_with_the_same_noise(where: str, name: str) -> None:
    """In float64 every chain takes and leaves the same proposals, and stands at the same places all the way."""
    ebm = model("standard", 2, activation="softplus" if name == "mala" else "leaky_relu")
    params, flow, x = parameters(ebm, 1, np.float64), flow_parameters(np.float64), generator(2).standard_normal((6, 2))

    def path() -> Any:
        p, kernel, rng = partial(ebm.log_density, here(params)), kernels(here(flow))[name], generator(5)
        start = here(x)
        noises = [noise_like(start, kernel, rng) for _ in range(50)]
        state, path, accepted = walk(kernel, kernel.init(start, p), noises, p)
        return host(state.x), host(path), host(accepted)

    expected = path()
    with backend(where):
        got = path()
    assert 0.1 < np.mean(expected[2]) <= 1
    np.testing.assert_array_equal(got[2], expected[2])
    np.testing.assert_allclose(got[1], expected[1], rtol=1e-8, atol=1e-8)
    np.testing.assert_array_equal(got[0], got[1][-1])


@pytest.mark.parametrize("where", BACKENDS)
@settings(few, max_examples=10)
@given(seeds, tilts, activations, dimensions, st.sampled_from([1, 3, 40]), st.integers(1, 4))
def test_a_walk_in_float32_is_its_steps_one_by_one(
    where: str, seed: int, tilt: str, activation: str, d: int, n: int, steps: int
) -> None:
    """Each step from where the walk stood before it: proposals are taken as the reference does, in float64, at that place."""
    ebm, rng = model(tilt, d, activation=activation), generator(seed)
    params = parameters(ebm, seed, np.float32)
    x, moves = rng.standard_normal((n, d)).astype(np.float32), MALA(0.2)
    with backend(where):
        p, start = partial(ebm.log_density, here(params)), here(x)
        noises = [noise_like(start, moves, rng) for _ in range(steps)]
        state, path, accepted = walk(moves, langevin.start(start, p), noises, p)
        path, accepted, noises = host(path), host(accepted), host(noises)
        last = [host(part) for part in state]
    assert path.dtype == last[1].dtype == last[2].dtype == np.float32
    wide = partial(ebm.log_density, tree_map(lambda leaf: leaf.astype(float), params))
    for before, after, took, noise in zip([x, *path[:-1]], path, accepted, noises, strict=True):
        normal, uniform = (noise[name].astype(float) for name in ("normal", "uniform"))
        there, info = langevin.mala(langevin.start(before.astype(float), wide), normal, uniform, 0.2, wide)
        unit = tolerances.value(np.float32, 1.0 + np.max(np.abs(there.score)) ** 2)
        clear = np.abs(uniform - np.exp(np.minimum(info.log_ratio, 0))) > unit
        np.testing.assert_array_equal(took[clear], info.accepted[clear])
        np.testing.assert_allclose(after[clear], there.x[clear], atol=unit)
        np.testing.assert_array_equal(after[~took], before[~took])
    np.testing.assert_array_equal(last[0], path[-1])
    for part, e in zip(last[1:], density_and_gradient(path[-1].astype(float), wide), strict=True):
        np.testing.assert_allclose(part, e, atol=unit)


@pytest.mark.parametrize("where", BACKENDS)
def test_a_walk_of_no_steps_is_refused_as_in_the_reference(where: str) -> None:
    ebm = model("standard", 2)
    with backend(where):
        p = partial(ebm.log_density, here(parameters(ebm, 0, np.float64)))
        with pytest.raises(ValueError, match="need at least one array to stack"):
            walk(MALA(0.1), langevin.start(here(np.zeros((2, 2))), p), [], p)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("kernel", [MALA(0.1), ULA(0.1), RandomWalk(0.1), HMC(0.1, 2)])
def test_noise_of_another_shape_or_dtype_in_the_middle_of_a_walk(where: str, kernel: Any) -> None:
    """The first is refused as in the reference, the second is rounded on its way as there."""
    ebm, x, rng = model("standard", 2), np.zeros((3, 2), np.float32), generator(0)
    params = parameters(ebm, 0, np.float32)
    noises = [noise_like(x, kernel, rng) for _ in range(3)]
    with backend(where):
        p = partial(ebm.log_density, here(params))
        start = kernel.init(here(x), p)
        with pytest.raises(ValueError, match=r"(noise|momentum) must have shape \(3, 2\), got \(2, 3\)"):
            walk(kernel, start, here([*noises[:2], {**noises[2], "normal": noises[2]["normal"].reshape(2, 3)}]), p)
        wide = [*noises[:2], {name: part.astype(float) for name, part in noises[2].items()}]
        (_, a, _), (_, e, _) = (walk(kernel, start, here(given), p) for given in (wide, noises))
        np.testing.assert_allclose(host(a), host(e), atol=1e-6)


@pytest.mark.parametrize("where", BACKENDS)
def test_densities_of_one_s_own(where: str) -> None:
    """Functions that no backend knows, written with NumPy's functions, walk on all of them."""
    p = lambda x: -anp.sum(anp.abs(x) ** 1.5, axis=1)
    x, moves = generator(0).standard_normal((4, 2)), MALA(0.1)
    expected = walk(moves, langevin.start(x, p), [noise_like(x, moves, generator(k)) for k in range(5)], p)
    with backend(where):
        start = here(x)
        got = walk(moves, langevin.start(start, p), [noise_like(start, moves, generator(k)) for k in range(5)], p)
        for k, bound in ((1, 1e-10), (2, 0)):
            a, e = same(got[k], expected[k])
            np.testing.assert_allclose(a, e, rtol=bound)


def looped(x: Array) -> Array:
    return np.array([-sum(float(a) ** 2 for a in row) / 2 for row in x])


PLAIN: dict[str, Callable[[Array], Array]] = {
    "einsum": lambda x: -np.einsum("ij,ij->i", x, x) / 2, "where": lambda x: np.where(x > 0, -x, x).sum(axis=1),
    "a loop": looped, "a loop of arrays": lambda x: np.array([-np.sum(row**2) / 2 for row in x]),
    "a list": lambda x: [-np.sum(row**2) / 2 for row in x], "scipy": multivariate_normal(np.zeros(2)).logpdf,
    "filled": lambda x: np.add(np.zeros(len(x)), -x[:, 0] ** 2, out=np.zeros(len(x))),
    "by entry": lambda x: np.vectorize(lambda a: -(a**2))(x).sum(axis=1),
}


@pytest.mark.parametrize("where", ["reference", "numpy"])
@pytest.mark.parametrize("name", PLAIN)
def test_a_density_that_autograd_cannot_differentiate_is_called_so(where: str, name: str) -> None:
    """Where a gradient is needed; where none is, it walks."""
    x, p = generator(0).standard_normal((4, 2)), PLAIN[name]
    with backend(where):
        for kernel in (MALA(0.1), HMC(0.1, 2), ULA(0.1)):
            with pytest.raises(TypeError, match=r"log_density must be written with autograd\.numpy, or give its"):
                kernel.init(x, p)
        walker = RandomWalk(0.1)
        assert run(walker, x, p, 3, generator(1)).x.shape == (3, 4, 2)


@pytest.mark.parametrize("where", ["reference", "numpy"])
def test_a_density_that_gives_its_gradient(where: str) -> None:
    p = primitive(multivariate_normal(np.zeros(2)).logpdf)
    defvjp(p, lambda ans, x: lambda g: -g[:, None] * x)
    x = generator(0).standard_normal((4, 2))
    with backend(where):
        log_p, score = density_and_gradient(x, p)
        np.testing.assert_allclose(log_p, Normal(2).log_prob(x))
        np.testing.assert_allclose(score, -x)


@pytest.mark.parametrize("where", ["reference", "numpy"])
@pytest.mark.parametrize("error", [TypeError, ValueError, AttributeError])
def test_a_mistake_in_a_density_stays_what_it_is(where: str, error: Any) -> None:
    def p(x: Array) -> Array:
        raise error("mine")

    with backend(where), pytest.raises(error, match=r"^mine$"):
        MALA(0.1).init(np.zeros((4, 2)), p)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("kind", [int, np.float32, np.float16])
def test_a_density_s_own_dtype(where: str, kind: Any) -> None:
    """Whole numbers, or less than the positions have: a floating-point log density all the same."""
    x = generator(0).standard_normal((4, 2))

    def walked() -> Any:
        p = lambda x: (0 * anp.sum(x, axis=1)).astype(kind)
        with_gradient = langevin.start(here(x), p) if kind is not int else ()
        return [host(part) for part in (log_density_at(here(x), p), *with_gradient)]

    expected = walked()
    with backend(where):
        for a, e in zip(walked(), expected, strict=True):
            assert np.array_equal(a, e)
            assert a.dtype == e.dtype
            assert a.dtype.kind == "f"


@pytest.mark.parametrize("where", BACKENDS)
def test_a_density_that_refuses_infinity_is_not_asked_there(where: str) -> None:
    """A flow is such a density: i-SIR gives points that overflow weight 0, and the chain stays."""
    flow, far, x = flow_parameters(np.float64), flow_parameters(np.float64, 1.0), np.zeros((2, 2))

    def f() -> Any:
        p, params = partial(FLOW.log_prob, here(flow)), here(far)
        state = ISIR(FLOW, params, 3).init(here(x), p)
        with np.errstate(all="ignore"):
            after, choice = isir(state, here(np.full((4, 2), 1e308)), here(np.full(2, 0.5)), p, FLOW, params)
        return [*map(host, after), *map(host, choice)]

    expected = f()
    assert not expected[3].any()
    assert np.isneginf(expected[4][:, 1:]).all()
    with backend(where):
        for a, e in zip(f(), expected, strict=True):
            np.testing.assert_allclose(a, e, rtol=1e-10)
