"""The kernel for whole MALA walks, run on the CPU by tests/cuda_on_cpu.py, against the steps of the reference."""
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.accel import backends, kernels
from evenflow.accel.kernels import walk
from evenflow.reference.core.networks import MLP
from evenflow.reference.core.placement import placed
from evenflow.reference.flows.densities import Normal
from evenflow.reference.mcmc import langevin
from tests.standin import xp
from tests.strategies import generator, randomise, seeds
from tests.tolerances import ROUNDINGS, eps

backends.register(xp)


def energy_walk(
    seed: int, hidden: tuple[int, ...], activation: str, sd: float | None, chains: int, d: int, K: int, dtype: Any
) -> Any:
    """A network with random weights, its log density, where chains start, and the noise of K steps."""
    rng = generator(seed)
    net = MLP(d, 1, hidden, activation)
    params = placed(randomise(net.init(rng), rng, 0.1), dtype)
    base = None if sd is None else Normal(d, sd)
    log_density = lambda x: -net(params, x)[:, 0] + (0.0 if base is None else base.log_prob(x))
    start = langevin.start(rng.standard_normal((chains, d)).astype(dtype), log_density)
    noise = kernels.Given(rng.standard_normal((K, chains, d)).astype(dtype), rng.random((K, chains)).astype(dtype))
    return params, log_density, start, noise


def on_device(tree: Any) -> Any:
    return type(tree)(*map(xp.asarray, tree))


def walked(params: Any, start: Any, noise: Any, step_size: float, activation: str, sd: float | None) -> kernels.Walk:
    """The kernel's walk, back on the host; what it was given must be as it was."""
    place, randomness = on_device(start), on_device(noise) if isinstance(noise, kernels.Given) else noise
    layers = [(xp.asarray(layer["W"]), xp.asarray(layer["b"])) for layer in params]
    walk = kernels.mala(place, randomness, step_size, layers, activation, sd)
    assert all(np.array_equal(now.get(), was) for now, was in zip(place, start, strict=True))
    assert all(part.dtype == start.x.dtype for part in (walk.x, walk.log_p, walk.log_ratio, walk.score))
    return kernels.Walk(*(part.get() for part in walk))


STEP = 1.0  # large enough that a good part of the proposals is refused
NETWORKS = st.sampled_from([(32, 64, 64, 64), (5,), (), (70, 3), (4, 4, 4, 4, 4, 4)])
ACTIVATIONS = st.sampled_from(list(walk.ACTIVATIONS))
TILTS = st.sampled_from([None, 1.7])


@settings(deadline=None, derandomize=True, max_examples=25)
@given(seeds, NETWORKS, ACTIVATIONS, TILTS, st.integers(1, 11), st.sampled_from([1, 2, 16]))
def test_fifty_steps_are_the_reference_s(
    seed: int, hidden: tuple[int, ...], activation: str, sd: float | None, chains: int, d: int
) -> None:
    """float64: every position, log density, ratio and decision; 1e-10 is a million roundings of a sum of 64 terms, less what
    fifty steps multiply them by."""
    params, log_density, state, noise = energy_walk(seed, hidden, activation, sd, chains, d, 50, np.float64)
    walk = walked(params, state, noise, STEP, activation, sd)
    for k in range(50):
        state, info = langevin.mala(state, noise.normal[k], noise.uniform[k], STEP, log_density)
        assert np.array_equal(walk.accepted[k], info.accepted)
        assert np.allclose(walk.x[k], state.x, rtol=1e-10, atol=1e-10)
        assert np.allclose(walk.log_p[k], state.log_p, rtol=1e-10, atol=1e-10)
        assert np.allclose(walk.log_ratio[k], info.log_ratio, rtol=1e-10, atol=1e-10)
    assert np.allclose(walk.score, state.score, rtol=1e-10, atol=1e-10)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(seeds, NETWORKS, ACTIVATIONS, TILTS, st.integers(1, 11), st.sampled_from([1, 2, 16]))
def test_float32_steps_are_the_reference_s(
    seed: int, hidden: tuple[int, ...], activation: str, sd: float | None, chains: int, d: int
) -> None:
    """Each step from where the kernel stood before it, so that roundings do not add up; the reference steps in float64. A
    decision that a rounding of the ratio could turn is left out."""
    params, _, start, noise = energy_walk(seed, hidden, activation, sd, chains, d, 10, np.float32)
    walk = walked(params, start, noise, STEP, activation, sd)
    _, log_density, *_ = energy_walk(seed, hidden, activation, sd, chains, d, 10, np.float64)
    x = start.x
    for k in range(10):
        state = langevin.evaluate(x.astype(float), log_density)
        after, info = langevin.mala(state, noise.normal[k].astype(float), noise.uniform[k].astype(float), STEP, log_density)
        size = 1 + abs(state.log_p).max() + abs(state.score).max() + abs(info.log_ratio).max()
        error = ROUNDINGS * eps(np.float32) * size
        assert (abs(walk.log_ratio[k] - info.log_ratio) <= error).all()
        clear = abs(noise.uniform[k] - np.exp(np.minimum(info.log_ratio, 0))) > error
        assert np.array_equal(walk.accepted[k][clear], info.accepted[clear])
        assert (abs(walk.x[k] - after.x)[clear] <= error).all()
        assert (abs(walk.log_p[k] - after.log_p)[clear] <= error).all()
        x = walk.x[k]


@pytest.mark.parametrize(("processors", "pitch"), [(1, 64), (3, 32), (5, 16), (132, 4)])
def test_however_many_chains_a_block_has(processors: int, pitch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """70 chains are a multiple of none of them; the walk is the same to the last bit."""
    params, _, start, noise = energy_walk(1, (9, 5), "tanh", 1.0, 70, 2, 3, np.float64)
    expected = walked(params, start, noise, 0.1, "tanh", 1.0)
    monkeypatch.setattr(walk, "attribute", lambda xp, name: {"multiProcessorCount": processors}.get(name, 2**17))
    assert walk.pitch_of(xp, (2, 9, 5, 1), np.float64, 70) == pitch
    assert all(map(np.array_equal, walked(params, start, noise, 0.1, "tanh", 1.0), expected))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_drawn_inside_is_that_of_the_arrays(dtype: Any) -> None:
    params, _, start, _ = energy_walk(2, (7,), "softplus", None, 5, 3, 1, dtype)
    noise = kernels.Given(*(draw(xp, 2**40 + 3, shape, dtype, call=6).get()
                            for draw, shape in ((kernels.normal, (4, 5, 3)), (kernels.uniform, (4, 5)))))
    inside = walked(params, start, kernels.Drawn(4, 2**40 + 3, 6), 0.1, "softplus", None)
    assert all(map(np.array_equal, inside, walked(params, start, noise, 0.1, "softplus", None)))
    other = walked(params, start, kernels.Drawn(4, 2**40 + 3, 7), 0.1, "softplus", None)
    assert not np.array_equal(inside.x, other.x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sd", [None, 1.0])
def test_proposals_out_of_the_world_are_refused(dtype: Any, sd: float | None) -> None:
    """Infinite ones, ones whose density overflows, and any where the uniform number was rounded to 1; as in the reference."""
    params, log_density, start, noise = energy_walk(3, (6,), "tanh", sd, 4, 2, 2, dtype)
    noise.normal[0, 0], noise.normal[0, 1], noise.uniform[:, 2] = np.inf, np.finfo(dtype).max ** 0.75, 1
    walk, state = walked(params, start, noise, 1e-4, "tanh", sd), start
    for k in range(2):
        state, info = langevin.mala(state, noise.normal[k], noise.uniform[k], 1e-4, log_density)
        assert np.array_equal(walk.accepted[k], info.accepted)
        assert np.array_equal(walk.x[k][~info.accepted], state.x[~info.accepted])
        finite = np.isfinite(info.log_ratio)
        assert np.array_equal(walk.log_ratio[k][~finite], info.log_ratio[~finite], equal_nan=True)
    assert not walk.accepted[0, [0, 2]].any()
    assert walk.accepted[1].tolist() == [True, True, False, True]  # the next proposals are none the worse


def flat_start(d: int) -> Any:
    return langevin.State(np.full((5, d), 1e-30, np.float32), np.zeros(5, np.float32), np.zeros((5, d), np.float32))


@pytest.mark.parametrize(("W", "said"), [
    ([np.nan, 1.0], "log_density must be finite, or -inf outside the support, got nan at"),
    ([1e38, -1e38], "log_density must be finite, or -inf outside the support, got inf at"),
    ([1e20, 1e20], "the gradient of log_density must be finite, got .* at"),
])
def test_what_is_no_density_is_an_error(W: list[float], said: str) -> None:
    """NaN, +inf, and a density that is finite where its gradient overflows; chain 3 alone, at the second of two steps."""
    params = [{"W": np.full((1, 1), w, np.float32), "b": np.zeros(1, np.float32)} for w in W]
    x = 1e-30 if "gradient" in said else 10.0
    noise = kernels.Given(np.zeros((2, 5, 1), np.float32), np.zeros((2, 5), np.float32))
    if W[0] == W[0]:
        noise.normal[1, 3] = x
    log_density = lambda x: -MLP(1, 1, (1,), "relu")(params, x)[:, 0]
    with pytest.raises(FloatingPointError, match=said):
        langevin.mala(flat_start(1), noise.normal[1] if W[0] == W[0] else noise.normal[0], noise.uniform[0], 0.5, log_density)
    with pytest.raises(FloatingPointError, match=said):
        walked(params, flat_start(1), noise, 0.5, "relu", None)


def test_arguments_that_are_none() -> None:
    params, _, start, noise = energy_walk(4, (6,), "tanh", None, 4, 2, 2, np.float32)
    with pytest.raises(ValueError, match=r"unknown activation of this kernel 'tan', did you mean 'tanh'\?"):
        walked(params, start, noise, 0.1, "tan", None)
    with pytest.raises(ValueError, match=r"layers\[1\]\[0\] must have shape \(7, 1\), got \(6, 1\)|layers\[0\]\[0\]"):
        walked([params[0], {"W": np.ones((7, 1)), "b": np.ones(1)}], start, noise, 0.1, "tanh", None)
    with pytest.raises(ValueError, match=r"uniform must have shape \(2, 4\), got \(1, 4\)"):
        walked(params, start, noise._replace(uniform=noise.uniform[:1]), 0.1, "tanh", None)
    with pytest.raises(ValueError, match=r"layers must fit into the device's shared memory, got widths \(2, 400, 400, 1\)"):
        walked(MLP(2, 1, (400, 400)).init(generator(0)), start, noise, 0.1, "tanh", None)
    assert kernels.fits(xp, (2, 32, 64, 64, 64, 1), np.float64)
