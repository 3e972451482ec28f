"""optim.py against first steps worked out by hand, closed forms, and its own formulas written the long way."""
import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.reference.core import optim
from evenflow.reference.core.optim import SGD, Adam
from evenflow.reference.core.trees import leaves, tree_map
from evenflow.reference.work.files import load, save

OPTIMISERS = [Adam(), Adam(0.5, 0.9, 1e-3), SGD(), SGD(momentum=0.9)]


def example(dtype: Any = np.float64) -> Any:
    W = np.array([[1.0, -2.0], [3.0, 0.5]], dtype)
    return {"W": W, "rest": [np.array([0.25], dtype), {}, np.array(4.0, dtype)]}


def descend(optimiser: Any, theta: Any, gradient: Any, rate: float, steps: int) -> Any:
    state = optimiser.init(theta)
    for _ in range(steps):
        theta, state = optimiser.update(theta, gradient(theta), state, rate)
    return theta


# -- steps by hand -------------------------------------------------------------------------------------------------

def test_adam_by_hand() -> None:
    """beta1 = 1/2, beta2 = 3/4, eps = 1, rate 1, theta_0 = 0, gradients 2 and -4.
    m: 1, -3/2; v: 1, 19/4; corrected m: 2, -2; corrected v: 4, (19/4) / (7/16) = 76/7."""
    adam = Adam(beta1=0.5, beta2=0.75, eps=1.0)
    theta = np.array([0.0])
    state = adam.init(theta)
    theta, state = adam.update(theta, np.array([2.0]), state, 1.0)
    assert (state["t"], state["m"], state["v"]) == (1, 1, 1)
    np.testing.assert_allclose(theta, -2 / (2 + 1), rtol=1e-15)
    theta, state = adam.update(theta, np.array([-4.0]), state, 1.0)
    assert (state["t"], state["m"], state["v"]) == (2, -1.5, 4.75)
    np.testing.assert_allclose(theta, -2 / 3 + 2 / (math.sqrt(76 / 7) + 1), rtol=1e-15)


@given(st.lists(st.floats(-1e3, 1e3).filter(lambda g: abs(g) > 1e-3), min_size=1, max_size=5), st.floats(1e-6, 10))
def test_adams_first_step_is_the_rate_whatever_the_gradient(gradient: list[float], rate: float) -> None:
    """theta_1 = theta_0 - rate g / (|g| + eps) (Kingma & Ba, section 2.1)."""
    g = np.array(gradient)
    theta, _ = Adam().update(np.zeros(len(g)), g, Adam().init(np.zeros(len(g))), rate)
    np.testing.assert_allclose(theta, -rate * g / (abs(g) + 1e-8), rtol=1e-12)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=8), st.floats(0, 0.99), st.floats(0, 0.999))
def test_adam_against_its_sums_written_out(gradients: list[float], beta1: float, beta2: float) -> None:
    """m_t = (1 - beta1) sum_i beta1^(t-i) g_i, and so v_t: from which the correction is derived (section 3)."""
    adam, theta, expected = Adam(beta1, beta2, 1e-3), np.array(1.0), 1.0
    state = adam.init(theta)
    for t in range(1, len(gradients) + 1):
        theta, state = adam.update(theta, np.array(gradients[t - 1]), state, 0.1)
        past = list(enumerate(gradients[:t], 1))
        m = sum(beta1 ** (t - i) * g for i, g in past) / sum(beta1 ** (t - i) for i, _ in past)
        v = sum(beta2 ** (t - i) * g * g for i, g in past) / sum(beta2 ** (t - i) for i, _ in past)
        expected -= 0.1 * m / (math.sqrt(v) + 1e-3)
    np.testing.assert_allclose(theta, expected, rtol=1e-9, atol=1e-12)


def test_sgd_by_hand() -> None:
    theta, state = SGD().update(np.array([1.0]), np.array([4.0]), SGD().init(np.array([1.0])), 0.25)
    assert theta == 0
    theta, state = SGD().update(theta, np.array([2.0]), state, 0.25)
    assert theta == -0.5
    heavy = SGD(momentum=0.5)
    theta, state = heavy.update(np.array([1.0]), np.array([4.0]), heavy.init(np.array([1.0])), 0.25)
    theta, state = heavy.update(theta, np.array([2.0]), state, 0.25)
    assert state["u"] == 4
    assert theta == -1


def test_sgd_on_a_quadratic_is_a_geometric_series() -> None:
    """f = h theta^2 / 2: theta_t = (1 - rate h)^t theta_0."""
    h = np.array([1.0, 0.5, 3.0])
    theta = descend(SGD(), np.ones(3), lambda theta: h * theta, 0.1, 40)
    np.testing.assert_allclose(theta, (1 - 0.1 * h) ** 40, rtol=1e-13)


def test_momentum_on_a_quadratic_follows_its_recurrence() -> None:
    """theta_(t+1) = (1 + mu - rate h) theta_t - mu theta_(t-1), the heavy ball (Polyak 1964)."""
    rate, h, mu = 0.1, 2.0, 0.7
    path = [1.0, 1.0 - rate * h]
    for _ in range(29):
        path.append((1 + mu - rate * h) * path[-1] - mu * path[-2])
    theta = descend(SGD(momentum=mu), np.array([1.0]), lambda theta: h * theta, rate, 30)
    np.testing.assert_allclose(theta, path[30], rtol=1e-12)


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=repr)
def test_convergence_on_a_badly_scaled_quadratic(optimiser: Any) -> None:
    h, centre = np.array([0.1, 1.0, 10.0]), np.array([1.0, -2.0, 3.0])
    theta = {"x": [np.zeros(3)]}
    state = optimiser.init(theta)
    schedule = optim.cosine_decay(0.1, 800)
    for step in range(800):
        theta, state = optimiser.update(theta, {"x": [h * (theta["x"][0] - centre)]}, state, schedule(step))
    np.testing.assert_allclose(theta["x"][0], centre, atol=0.02)


# -- what both must keep -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_shapes_and_arguments_are_kept(optimiser: Any, dtype: Any) -> None:
    params, grads = example(dtype), tree_map(lambda p: np.ones_like(p, dtype=np.float64), example())
    state = optimiser.init(params)
    before = [leaf.copy() for leaf in leaves([params, grads, state])]
    new, new_state = optimiser.update(params, grads, state, np.float64(0.1))
    assert all((a == b).all() for a, b in zip(before, leaves([params, grads, state]), strict=True))
    for _ in range(2):
        new, new_state = optimiser.update(new, grads, new_state, np.float64(0.1))
    assert [(p.dtype, p.shape) for p in leaves(new)] == [(p.dtype, p.shape) for p in leaves(params)]
    assert {leaf.dtype for leaf in leaves(new_state) if leaf.dtype != np.int64} == {np.dtype(dtype)}
    assert all((a != b).all() for a, b in zip(leaves(new), leaves(params), strict=True))


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=repr)
def test_the_state_is_a_tree_that_can_be_saved(optimiser: Any, tmp_path: Any) -> None:
    params = example()
    _, state = optimiser.update(params, params, optimiser.init(params), 0.1)
    save(tmp_path / "state.npz", state)
    again = load(tmp_path / "state.npz")
    one, two = (list(optimiser.update(params, params, s, 0.1)) for s in (state, again))
    assert all((a == b).all() for a, b in zip(leaves(one), leaves(two), strict=True))


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=repr)
def test_gradients_of_another_shape_are_refused_not_broadcast(optimiser: Any) -> None:
    params, state = np.zeros((3, 2)), optimiser.init(np.zeros((3, 2)))
    for wrong in (np.zeros(2), np.zeros((1, 2)), np.zeros((2, 3)), np.zeros(())):
        with pytest.raises(ValueError, match=r"a leaf of the gradient must have shape \(3, 2\), got"):
            optimiser.update(params, wrong, state, 0.1)
    with pytest.raises(ValueError, match="trees differ"):
        optimiser.update({"a": params}, {"b": params}, optimiser.init({"a": params}), 0.1)


@pytest.mark.parametrize("make", [
    lambda: Adam(beta1=1.0), lambda: Adam(beta1=-0.1), lambda: Adam(beta2=1.0), lambda: Adam(beta2=math.nan),
    lambda: Adam(eps=0.0), lambda: SGD(momentum=1.0), lambda: SGD(momentum=-0.5), lambda: optim.constant(0.0),
    lambda: optim.linear_decay(-1.0, 5), lambda: optim.linear_decay(1.0, 0), lambda: optim.cosine_decay(math.inf, 5),
    lambda: optim.cosine_decay(1.0, 2.5),  # type: ignore[arg-type]
    lambda: optim.clip_by_global_norm(example(), 0.0), lambda: optim.clip_by_global_norm(example(), math.nan),
    lambda: optim.moving_average(example(), example(), 1.0, 1),
    lambda: optim.moving_average(example(), example(), 0.9, 0),
])
def test_settings_out_of_range_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        make()


# -- schedules -----------------------------------------------------------------------------------------------------

def test_schedules_at_their_ends_and_in_the_middle() -> None:
    linear, cosine = optim.linear_decay(0.5, 8), optim.cosine_decay(0.5, 8)
    assert [optim.constant(0.5)(t) for t in (0, 7, 10**9)] == [0.5, 0.5, 0.5]
    assert [linear(t) for t in (0, 2, 4, 7, 8, 9, 100)] == [0.5, 0.375, 0.25, 0.0625, 0, 0, 0]
    assert [cosine(t) for t in (0, 8, 9, 100)] == [0.5, 0, 0, 0]
    np.testing.assert_allclose([cosine(2), cosine(4), cosine(6)], [0.25 * (1 + 0.5**0.5), 0.25, 0.25 * (1 - 0.5**0.5)])


@given(st.sampled_from(sorted(optim.SCHEDULES)), st.floats(1e-6, 1), st.integers(1, 50))
def test_schedules_start_at_the_rate_and_never_rise(name: str, rate: float, steps: int) -> None:
    schedule = optim.SCHEDULES[name](rate, steps)
    rates = [schedule(t) for t in range(steps + 3)]
    assert rates[0] == rate
    assert all(type(r) is float and r >= 0 for r in rates)
    assert all(a >= b for a, b in itertools.pairwise(rates))
    assert rates[-1] == (rate if name == "constant" else 0)
    assert rates[steps - 1] > 0


# -- clipping ------------------------------------------------------------------------------------------------------

def test_the_norm_is_that_of_all_leaves_together() -> None:
    grads = {"a": [np.array([[2.0, 3.0]]), {}], "b": np.array(6.0), "c": np.zeros((0, 2))}
    assert optim.global_norm(grads) == 7
    assert optim.global_norm({}) == 0
    large = [np.array([3e30], np.float32), np.array([4e30], np.float32)]  # whose squares float32 cannot hold
    assert optim.global_norm(large) == pytest.approx(5e30, rel=1e-6)
    assert math.isnan(optim.global_norm([np.array([1.0]), np.array([math.nan])]))
    assert optim.global_norm(np.array([1e200])) == math.inf


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6), st.floats(1e-3, 1e6))
def test_clipping_shortens_to_the_limit_and_spares_short_ones(numbers: list[float], limit: float) -> None:
    grads = {"a": np.array(numbers[::2]), "b": [np.array(numbers[1::2])]}
    clipped, norm = optim.clip_by_global_norm(grads, limit)
    assert norm == optim.global_norm(grads)
    if norm <= limit:
        assert clipped is grads
    else:
        np.testing.assert_allclose(optim.global_norm(clipped), limit, rtol=1e-13)
        for before, after in zip(leaves(grads), leaves(clipped), strict=True):
            np.testing.assert_allclose(after * norm, before * limit, rtol=1e-13)


def test_clipping_at_the_limit_itself_and_in_float32() -> None:
    grads = [np.array([3.0, 4.0])]
    assert optim.clip_by_global_norm(grads, 5.0)[0] is grads
    clipped, norm = optim.clip_by_global_norm([np.array([3.0, 4.0], np.float32)], 2.5)
    assert (clipped[0].tolist(), clipped[0].dtype, norm) == ([1.5, 2.0], np.float32, 5.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_clipping_refuses_what_is_not_finite(bad: float) -> None:
    with pytest.raises(ValueError, match="grads must have a finite norm"):
        optim.clip_by_global_norm([np.array([1.0, bad])], 1.0)


# -- averages ------------------------------------------------------------------------------------------------------

@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30), st.floats(0, 0.999), st.floats(-1e6, 1e6))
def test_the_average_is_the_weighted_mean_whatever_it_held(path: list[float], decay: float, start: float) -> None:
    average: Any = {"x": np.array([start])}
    for t, theta in enumerate(path, 1):
        average = optim.moving_average(average, {"x": np.array([theta])}, decay, t)
    weights = decay ** np.arange(len(path))[::-1]
    np.testing.assert_allclose(average["x"], np.sum(weights * path) / np.sum(weights), rtol=1e-10, atol=1e-10)


def test_the_first_average_is_the_first_parameters_exactly_and_dtypes_are_kept() -> None:
    average = optim.moving_average(tree_map(lambda p: p + 1e6, example(np.float32)), example(np.float32), 0.999, 1)
    assert all((a == b).all() for a, b in zip(leaves(average), leaves(example()), strict=True))
    later = optim.moving_average(average, example(np.float32), 0.9, 7)
    assert {leaf.dtype for leaf in leaves(later)} == {np.dtype(np.float32)}
