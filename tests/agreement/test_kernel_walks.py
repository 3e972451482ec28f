"""The kernel for whole walks, run on the CPU by tests/cuda_on_cpu.py, against the steps of the reference."""
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.accel import backends, kernels
from evenflow.accel.kernels import network
from evenflow.accel.kernels.network import Form
from evenflow.reference.core.networks import MLP
from evenflow.reference.mcmc import langevin
from tests.agreement.kernel_forms import COMPILED, KERNELS, NETWORKS, begun, energy_walk, of_form, only, walked
from tests.standin import xp
from tests.strategies import generator, seeds
from tests.tolerances import ROUNDINGS, eps

backends.register(xp)


TILTS = st.sampled_from([None, 1.7])


def step_of(move: str, state: Any, noise: kernels.Given, k: int, log_density: Any, dtype: Any = float) -> Any:
    draws = {name: part[k].astype(dtype) for name, part in noise._asdict().items() if part is not None}
    return KERNELS[move].step(state, draws, log_density)


@pytest.mark.parametrize("move", KERNELS)
@settings(deadline=None, derandomize=True, max_examples=15)
@given(seeds, NETWORKS, COMPILED, TILTS, st.integers(1, 11), st.sampled_from([1, 2, 16]))
def test_many_steps_are_the_reference_s(
    move: str, seed: int, hidden: tuple[int, ...], compiled: tuple[str, int], sd: float | None, chains: int, d: int
) -> None:
    """float64: every position, log density, ratio and decision; 1e-10 is a million roundings of a sum of 64 terms, less what
    the steps multiply them by."""
    K, (activation, form) = 50 if move == "mala" else 12, compiled
    params, log_density, state, noise = energy_walk(seed, hidden, activation, sd, chains, d, K, np.float64)
    state, noise = begun(move, state, noise)
    kernel = KERNELS[move]
    with of_form(form, np.float64):
        walk = walked(params, state, noise, kernel.step_size, activation, sd, move, getattr(kernel, "leapfrog_steps", 1))
    for k in range(K):
        state, info = step_of(move, state, noise, k, log_density)
        assert np.array_equal(walk.accepted[k], info.accepted)
        assert np.allclose(walk.x[k], state.x, rtol=1e-10, atol=1e-10)
        assert np.allclose(walk.log_p[k], state.log_p, rtol=1e-10, atol=1e-10)
        assert np.allclose(walk.log_ratio[k], info.log_ratio, rtol=1e-10, atol=1e-10)
    if move == "random_walk":
        assert walk.score is None
    else:
        assert walk.score is not None
        assert np.allclose(walk.score, state.score, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("move", KERNELS)
@settings(deadline=None, derandomize=True, max_examples=15)
@given(seeds, NETWORKS, COMPILED, TILTS, st.integers(1, 11), st.sampled_from([1, 2, 16]))
def test_float32_steps_are_the_reference_s(
    move: str, seed: int, hidden: tuple[int, ...], compiled: tuple[str, int], sd: float | None, chains: int, d: int
) -> None:
    """Each step from where the kernel stood before it, so that roundings do not add up; the reference steps in float64. A
    decision that a rounding of the ratio could turn is left out."""
    activation, form = compiled
    params, _, start, noise = energy_walk(seed, hidden, activation, sd, chains, d, 10, np.float32)
    start, noise = begun(move, start, noise)
    kernel = KERNELS[move]
    with of_form(form, np.float32):
        walk = walked(params, start, noise, kernel.step_size, activation, sd, move, getattr(kernel, "leapfrog_steps", 1))
    _, log_density, *_ = energy_walk(seed, hidden, activation, sd, chains, d, 10, np.float64)
    x = start.x
    for k in range(10):
        state = langevin.evaluate(x.astype(float), log_density)
        size = 1 + abs(state.log_p).max() + abs(state.score).max()
        after, info = step_of(move, begun(move, state, noise)[0], noise, k, log_density)
        error = ROUNDINGS * eps(np.float32) * (size + abs(info.log_ratio).max())
        assert (abs(walk.log_ratio[k] - info.log_ratio) <= error).all()
        clear = np.full(chains, True)
        if noise.uniform is not None:
            clear = abs(noise.uniform[k] - np.exp(np.minimum(info.log_ratio, 0))) > error
        assert np.array_equal(walk.accepted[k][clear], info.accepted[clear])
        assert (abs(walk.x[k] - after.x)[clear] <= error).all()
        assert (abs(walk.log_p[k] - after.log_p)[clear] <= error).all()
        x = walk.x[k]


@pytest.mark.parametrize("form", range(5))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hidden", [(9, 70, 5), (64, 33)])
def test_whatever_a_thread_does_of_a_layer(form: int, dtype: Any, hidden: tuple[int, ...]) -> None:
    """70 chains are a multiple of no tile; the walk is the same to the last bit."""
    params, _, start, noise = energy_walk(1, hidden, "tanh", 1.0, 70, 3, 2, dtype)
    forms = network.FORMS[np.dtype(dtype).itemsize]
    with only(forms[-1]):
        expected = walked(params, start, noise, 0.1, "tanh", 1.0)
    with of_form(form, dtype):
        assert all(map(np.array_equal, walked(params, start, noise, 0.1, "tanh", 1.0), expected))


@pytest.mark.parametrize(("dtype", "chains", "processors", "form", "columns", "in_all"), [
    (np.float32, 1, 132, Form(4, 1, 16), 8, 1), (np.float32, 64, 132, Form(4, 1, 16), 8, 8),
    (np.float32, 1000, 132, Form(4, 1, 16), 8, 125), (np.float32, 2000, 132, Form(4, 2, 16), 16, 125),
    (np.float32, 5000, 132, Form(4, 4, 16), 40, 125),
    (np.float32, 10_000, 132, Form(8, 4, 8), 76, 132), (np.float32, 100_000, 132, Form(8, 8, 8), 128, 782),
    (np.float64, 10_000, 132, Form(4, 4, 16), 40, 250), (np.float64, 100_000, 132, Form(4, 4, 16), 64, 1563),
])
def test_the_tile_leaves_no_scheduler_without_a_warp(
    dtype: Any, chains: int, processors: int, form: Form, columns: int, in_all: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The papers' network, on an H100: what a thread does, chains of a block, blocks."""
    monkeypatch.setattr(network, "attribute", lambda xp, name: {"multiProcessorCount": processors}.get(name, 227 * 1024))
    net = network.Perceptron((2, 32, 64, 64, 64, 1), np.zeros(1, dtype), True, 2)
    there = network.layout(xp, net, -(-chains // processors), 9)
    assert (there.form, there.columns, -(-chains // there.columns)) == (form, columns, in_all)
    assert there.shared <= 227 * 1024


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_drawn_inside_is_that_of_the_arrays(dtype: Any) -> None:
    params, _, start, _ = energy_walk(2, (7,), "softplus", None, 5, 3, 1, dtype)
    noise = kernels.Given(*(draw(xp, 2**40 + 3, shape, dtype, call=6).get()
                            for draw, shape in ((kernels.normal, (4, 5, 3)), (kernels.uniform, (4, 5)))))
    inside = walked(params, start, kernels.Drawn(4, 2**40 + 3, 6), 0.1, "softplus", None)
    assert all(map(np.array_equal, inside, walked(params, start, noise, 0.1, "softplus", None)))
    other = walked(params, start, kernels.Drawn(4, 2**40 + 3, 7), 0.1, "softplus", None)
    assert not np.array_equal(inside.x, other.x)


@pytest.mark.parametrize("move", ["mala", "random_walk", "hmc"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sd", [None, 1.0])
def test_proposals_out_of_the_world_are_refused(move: str, dtype: Any, sd: float | None) -> None:
    """Infinite ones, ones whose density overflows, and any where the uniform number was rounded to 1; as in the reference."""
    params, log_density, start, noise = energy_walk(3, (6,), "tanh", sd, 4, 2, 2, dtype)
    noise.normal[0, 0], noise.normal[0, 1], noise.uniform[:, 2] = np.inf, np.finfo(dtype).max ** 0.75, 1
    state, kernel = begun(move, start, noise)[0], replace(KERNELS[move], step_size=1e-4)
    walk = walked(params, state, noise, 1e-4, "tanh", sd, move, getattr(kernel, "leapfrog_steps", 1))
    for k in range(2):
        with np.errstate(all="ignore"):
            state, info = kernel.step(state, {"normal": noise.normal[k], "uniform": noise.uniform[k]}, log_density)
        assert np.array_equal(walk.accepted[k], info.accepted)
        assert np.array_equal(walk.x[k][~info.accepted], state.x[~info.accepted])
        finite = np.isfinite(info.log_ratio)
        assert np.array_equal(walk.log_ratio[k][~finite], info.log_ratio[~finite], equal_nan=True)
    assert not walk.accepted[0, [0, 2]].any()
    assert walk.accepted[1].tolist() == [True, True, False, True]  # the next proposals are none the worse


@pytest.mark.parametrize("move", KERNELS)
def test_a_step_size_on_the_device(move: str) -> None:
    params, _, start, noise = energy_walk(5, (6,), "tanh", None, 4, 2, 3, np.float32)
    start, noise = begun(move, start, noise)
    expected = walked(params, start, noise, 0.3, "tanh", None, move, 2)
    for dtype in (np.float32, np.float64):
        found = walked(params, start, noise, xp.asarray(dtype(0.3)), "tanh", None, move, 2)
        assert all(a is None or np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    with pytest.raises(ValueError, match=r"step_size must have shape \(\), got \(1,\)"):
        walked(params, start, noise, xp.ones(1), "tanh", None, move)


def test_arguments_that_are_none() -> None:
    params, _, start, noise = energy_walk(4, (6,), "tanh", None, 4, 2, 2, np.float32)
    with pytest.raises(ValueError, match=r"unknown activation of this kernel 'tan', did you mean 'tanh'\?"):
        walked(params, start, noise, 0.1, "tan", None)
    with pytest.raises(ValueError, match=r"unknown move 'mal', did you mean 'mala'\?"):
        walked(params, start, noise, 0.1, "tanh", None, "mal")
    with pytest.raises(ValueError, match=r"layers\[1\]\[0\] must have shape \(7, 1\), got \(6, 1\)|layers\[0\]\[0\]"):
        walked([params[0], {"W": np.ones((7, 1)), "b": np.ones(1)}], start, noise, 0.1, "tanh", None)
    with pytest.raises(ValueError, match=r"uniform must have shape \(2, 4\), got \(1, 4\)"):
        walked(params, start, noise._replace(uniform=noise.uniform[:1]), 0.1, "tanh", None)
    with pytest.raises(ValueError, match=r"layers must fit into the device's shared memory, got widths \(2, 400, 400, 1\)"):
        walked(MLP(2, 1, (400, 400)).init(generator(0)), start, noise, 0.1, "tanh", None)
    assert kernels.fits(xp, (2, 32, 64, 64, 64, 1), np.float64)
