"""Value and gradient, operations with several outputs, flat buffers, Adam and what a training step looks at."""
import mmap
import pickle
from pathlib import Path
from typing import Any
from unittest import mock

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import elementwise_grad, grad, make_vjp, value_and_grad
from autograd.core import vspace
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from evenflow import accel
from evenflow.accel import buffers
from evenflow.accel.backends import module_of
from evenflow.accel.core import optim as fast
from evenflow.accel.fused import fused
from evenflow.reference.core.gradients import value_and_gradient
from evenflow.reference.core.optim import SGD, Adam, check_all_finite, clip_by_global_norm, global_norm, moving_average
from evenflow.reference.core.trees import Array, Tree, leaves, tree_map
from evenflow.reference.flows import Coupling
from tests.agreement.backends import BACKENDS, backend, here, host, same
from tests.agreement.comparison import agreement, dtypes, few
from tests.strategies import generator, seeds
from tests.tolerances import ROUNDINGS, eps

Numbers = np.random.Generator


def tree(rng: Numbers, dtype: Any = np.float64, other: Any = None) -> Tree:
    """Leaves of all sorts: no axes, no entries, in lists and dicts; one of another dtype where asked for."""
    drawn: Tree = {"a": [{"W": rng.standard_normal((3, 4)), "b": rng.standard_normal(4)}, {"W": rng.standard_normal((0, 2))}],
                   "s": np.array(rng.standard_normal()), "t": rng.standard_normal(5)}
    return {**tree_map(lambda leaf: leaf.astype(dtype), drawn), "t": drawn["t"].astype(other or dtype)}


def close(fast: Tree, expected: Tree, dtype: Any = None) -> None:
    """Alike to a few roundings of the largest entry; dtype: of both, else each leaf's own."""
    def check(a: Array, e: Array) -> None:
        a, e = same(a, e) if dtype is None else (a, e)
        unit = ROUNDINGS * eps(a.dtype if dtype is None else dtype) if np.asarray(e).dtype.kind == "f" else 0
        np.testing.assert_allclose(a, e, rtol=unit, atol=unit * float(np.max(np.abs(e), initial=0)))

    tree_map(check, host(fast), expected)


# ------------------------------------------------------------------------------------------------- value and gradient


def curved(params: Tree, y: Array) -> Array:
    """Uses one leaf twice, one not at all, one of no axes."""
    first = params["a"][0]
    h = anp.tanh(y @ first["W"] + first["b"])
    return anp.sum(h * first["b"]) * params["s"] + anp.sum(first["W"] ** 2)


@agreement("core.gradients.value_and_gradient")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, st.sampled_from([None, np.float64]))
def test_value_and_gradient(where: str, seed: int, dtype: Any, other: Any) -> None:
    rng = generator(seed)
    params, y = tree(rng, dtype, other), rng.standard_normal((2, 3)).astype(dtype)
    value, gradient = value_and_grad(curved)(*(tree_map(lambda leaf: leaf.astype(float), t) for t in (params, y)))
    with backend(where):
        given_, noise = here(params), here(y)
        got, found = value_and_gradient(curved, given_, noise)
        assert host(got).dtype == dtype
        np.testing.assert_allclose(host(got), value, rtol=ROUNDINGS * eps(dtype), atol=ROUNDINGS * eps(dtype))
        tree_map(lambda g, p: np.testing.assert_equal((g.dtype, g.shape), (p.dtype, p.shape)), found, given_)
        close(found, gradient, dtype)
        tree_map(np.testing.assert_array_equal, host(given_), params)


@pytest.mark.parametrize("where", BACKENDS)
def test_a_loss_that_does_not_look_at_the_parameters(where: str) -> None:
    with backend(where):
        params = here(tree(generator(0)))
        for loss in (lambda params: 2.0, lambda params: anp.sum(here(np.ones(3)))):
            value, gradient = value_and_gradient(loss, params)
            assert float(value) in (2.0, 3.0)
            tree_map(lambda g, p: np.testing.assert_array_equal(host(g), 0 * host(p)), gradient, params)


@pytest.mark.parametrize("where", ["reference", "numpy"])
def test_a_loss_that_autograd_cannot_differentiate_is_called_so(where: str) -> None:
    params = {"w": np.ones((3, 2))}
    for loss in (lambda p: float(np.linalg.norm(np.asarray(p["w"], float))), lambda p: norm.logpdf(p["w"]).sum()):
        with backend(where), pytest.raises(TypeError, match=r"the loss must be written with autograd\.numpy"):
            value_and_gradient(loss, params)


@pytest.mark.parametrize("where", BACKENDS)
def test_an_error_in_the_loss_leaves_nothing_behind(where: str) -> None:
    with backend(where):
        params = here(tree(generator(0)))
        with pytest.raises(ZeroDivisionError):
            value_and_gradient(lambda params: 1 / 0, params)
        assert float(value_and_gradient(lambda params: anp.sum(params["t"]), params)[1]["t"].sum()) == 5


def test_inside_a_trace_of_someone_else_s() -> None:
    """Derivatives of value and gradient, in what the loss closes over and in the parameters themselves."""
    def loss(params: Tree, y: Array) -> Array:
        return curved(params, anp.ones((2, 3)) * y)

    def slope(params: Tree, y: Array) -> Array:
        value, gradient = value_and_gradient(loss, params, y)
        return value + anp.sum(gradient["a"][0]["W"] ** 2)

    params = tree(generator(1))
    of_y, of_params = elementwise_grad(slope, 1)(params, 0.7), grad(slope)(params, 0.7)
    with accel.use("numpy"):
        np.testing.assert_allclose(elementwise_grad(slope, 1)(params, 0.7), of_y, rtol=1e-12)
        tree_map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), grad(slope)(params, 0.7), of_params)


# ------------------------------------------------------------------------------------------------ several outputs


def three(x: Array, y: Array) -> tuple[tuple[Array, ...], Any]:
    return (x * y, x + y, x - y), (x, y)


def three_back(kept: Any, wanted: tuple[int, ...], *g: Array | None) -> list[Array]:
    x, y = kept
    p, s, d = (0.0 if part is None else part for part in g)
    return [p * y + s + d if i == 0 else p * x + s - d for i in wanted]


OPERATION = fused(three, three_back)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("weights", [(1, 2, 3), (0, 2, 0), (0, 0, 3), (1, 0, 3), (1, 0, 0)])
def test_every_output_hands_its_cotangent_back(where: str, weights: tuple[int, ...]) -> None:
    """The outputs used in several places, and together with the inputs themselves."""
    def loss(outputs: tuple[Array, ...], x: Array) -> Array:
        return sum(anp.sum(w * o * o + w * o) for w, o in zip(weights, outputs, strict=True) if w) + anp.sum(x)

    x, y = generator(0).standard_normal((2, 4))
    plain = lambda x, y: loss((x * y, x + y, x - y), x)
    for argnum in (0, 1, (0, 1)):
        expected = value_and_grad(plain, argnum)(x, y)
        with backend(where):
            got = host(value_and_grad(lambda x, y: loss(OPERATION(x, y), x), argnum)(here(x), here(y))[1])
        for a, e in zip(*((g if isinstance(g, tuple) else (g,)) for g in (got, expected[1])), strict=True):
            np.testing.assert_allclose(host(a), e, rtol=1e-12)


def test_the_way_back_can_be_walked_twice() -> None:
    """Nothing of the first walk is left for the second."""
    T, rng = Coupling((True, False), hidden=(3,), final_scale=1.0), generator(0)
    params, z = T.init(rng), rng.standard_normal((4, 2))
    with accel.use("numpy"):
        vjp, _ = make_vjp(lambda z: anp.sum(T.forward(params, z)[0]) + anp.sum(T.forward(params, z)[1]))(z)
        once = vjp(1.0)
        np.testing.assert_array_equal(vjp(1.0), once)
        np.testing.assert_allclose(vjp(2.0), 2 * once)
    assert vspace(once) == vspace(z)


# ------------------------------------------------------------------------------------------------------------ buffers


@pytest.mark.parametrize("where", BACKENDS)
def test_a_packed_tree_is_the_same_tree_in_one_buffer(where: str) -> None:
    with backend(where):
        params = here(tree(generator(0)))
        packed = buffers.packed(params)
        tree_map(np.testing.assert_array_equal, host(packed), host(params))
        buffer = buffers.flat(packed)
        assert buffer is not None
        assert buffers.flat(packed) is buffer  # found again, not copied
        assert all(leaf.base is buffer for leaf in leaves(packed) if leaf.size)
        assert buffers.flat(tree(generator(0), np.float32, np.float64)) is None
        W, b = packed["a"][0]["W"], packed["a"][0]["b"]
        stack = buffers.stacked(W, b)
        assert stack.base is buffer
        np.testing.assert_array_equal(host(stack), np.concatenate([host(W), host(b)[None]]))


@pytest.mark.parametrize("where", BACKENDS)
def test_a_buffer_is_not_mistaken_for_another_tree(where: str) -> None:
    """Leaves in another order, some of them, views of them, or leaves of two buffers are gathered anew."""
    with backend(where):
        a, b = (buffers.packed(here(tree(generator(seed)))) for seed in (0, 1))
        turned = {"t": a["t"], "s": a["s"], "a": a["a"]}
        square = module_of(a["t"]).ones((4, 4))
        mixed: list[Any] = [
            turned, {"a": a["a"], "t": a["t"]}, {**a, "t": b["t"]}, {**a, "t": a["t"][::-1]}, [a["t"], a["t"]],
            [a["a"][0]["W"].T, a["a"][0]["b"]], [square[0], square[1]], list(square), [a["t"][1:], a["t"][:1]],
        ]
        for mix in mixed:
            expected = np.concatenate([host(leaf).reshape(-1) for leaf in leaves(mix)])
            np.testing.assert_array_equal(host(buffers.flat(mix)), expected)
        W, b = a["a"][0]["W"], b["a"][0]["b"]
        np.testing.assert_array_equal(host(buffers.stacked(W, b)), np.concatenate([host(W), host(b)[None]]))
        W, b = a["t"][:3].reshape(3, 1), a["t"][4:]
        np.testing.assert_array_equal(host(buffers.stacked(W, b)), np.concatenate([host(W), host(b)[None]]))


def out_of_a_pickle(tree: Tree, folder: Path) -> Tree:
    return pickle.loads(pickle.dumps(tree))


def out_of_memory_maps(tree: Tree, folder: Path) -> Tree:
    """As joblib gives them: np.memmap, and plain arrays cut from one."""
    def mapped(leaf: Array) -> Array:
        if not leaf.size:
            return leaf
        np.save(folder / "leaf.npy", leaf)
        found = np.load(folder / "leaf.npy", mmap_mode="c")
        (folder / "leaf.npy").unlink()
        return found if leaf.ndim > 1 else np.asarray(found)

    return tree_map(mapped, tree)


@pytest.mark.parametrize("kept", [out_of_a_pickle, out_of_memory_maps])
def test_leaves_may_be_cut_from_what_is_no_array(kept: Any, tmp_path: Path) -> None:
    """From bytes (a pickle's large arrays), or a map: they are gathered anew, and trained on."""
    made = {**tree(generator(0)), "large": [{"W": np.ones((30, 40)), "b": np.ones(400)}]}
    with accel.use("numpy"):
        params = kept(made, tmp_path)
        assert any(isinstance(leaf.base, bytes | mmap.mmap) for leaf in leaves(params))
        np.testing.assert_array_equal(buffers.flat(params), buffers.flat(made))
        tree_map(np.testing.assert_array_equal, buffers.packed(params), made)
        W, b = params["a"][0]["W"], params["a"][0]["b"]
        np.testing.assert_array_equal(buffers.stacked(W, b), np.concatenate([W, b[None]]))
        W, b = params["large"][0]["W"], params["large"][0]["b"][:40]
        np.testing.assert_array_equal(buffers.stacked(W, b), np.ones((31, 40)))
        check_all_finite("the parameter", params)
        after, _ = Adam().update(params, made, Adam().init(params), 0.1)
    expected, _ = Adam().update(made, made, Adam().init(made), 0.1)
    close(after, expected)


# ------------------------------------------------------------------------------------------------------------ the step


@agreement("core.optim.Adam.update")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, st.sampled_from([None, np.float64]), st.sampled_from([1e-8, 1.0, 1e8]), st.sampled_from([3, 7, 2**14]),
       st.sampled_from([Adam(), Adam(0.5, 0.9, 1e-3), Adam(0.0, 0.0)]))
def test_adam(where: str, seed: int, dtype: Any, other: Any, size: float, piece: int, optimiser: Adam) -> None:
    """Five steps along gradients of any size; buffers shorter and longer than one piece, not a multiple of it."""
    def walk(place: Any) -> list[Tree]:
        rng, states = generator(seed), []
        params = place(tree(rng, dtype, other))
        state = optimiser.init(params)
        for k in range(5):
            grads = place(tree_map(lambda g: size * g, tree(rng, dtype, other)))
            before = host([params, grads, state])
            after = optimiser.update(params, grads, state, 0.1 / (k + 1))
            tree_map(np.testing.assert_array_equal, host([params, grads, state]), before)
            params, state = after
            states.append(host([params, state]))
        return states

    expected = walk(lambda tree: tree)
    with backend(where), mock.patch.object(fast, "PIECE", piece):
        for got, e in zip(walk(here), expected, strict=True):
            close(got[0], e[0])
            for moment in ("m", "v", "t"):
                close(got[1][moment], e[1][moment])


@pytest.mark.parametrize("where", BACKENDS)
def test_adam_refuses_a_gradient_of_another_shape(where: str) -> None:
    with backend(where):
        params = here(tree(generator(0)))
        grads = {**params, "t": params["t"][:4]}
        with pytest.raises(ValueError, match=r"a leaf of the gradient must have shape \(5,\), got \(4,\)"):
            Adam().update(params, grads, Adam().init(params), 0.1)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("dtype", [int, np.float16])
def test_parameters_that_no_step_moves_are_refused(where: str, dtype: Any) -> None:
    """A step of 0.1 is none for whole numbers; eps = 1e-8 is 0 in half precision."""
    with backend(where):
        params = here(np.ones(3)).astype(dtype)
        for optimiser in (Adam(), SGD()):
            with pytest.raises(ValueError, match="parameters must be float64 or float32 to be moved, got"):
                optimiser.update(params, here(np.ones(3)), optimiser.init(params), 0.1)


@pytest.mark.parametrize("where", BACKENDS)
def test_leaves_are_paired_by_their_keys(where: str) -> None:
    """In whatever order the dicts were filled; trees of another nesting are refused, whatever their leaves."""
    with backend(where):
        rate, one = 0.1, np.ones(2)
        params, turned = here({"a": one, "b": [2 * one, 3 * one]}), here({"b": [one, 0 * one], "a": -one})
        state = Adam().init(params)
        backwards = {"t": state["t"], "m": dict(reversed(state["m"].items())), "v": state["v"]}
        for before in (state, backwards):
            after, _ = Adam().update(params, turned, before, rate)
            np.testing.assert_allclose(host(after["a"]), one + rate, rtol=1e-6)
            np.testing.assert_allclose(host(after["b"]), [2 * one - rate, 3 * one], rtol=1e-6)
        average = moving_average(turned, params, 0.5, 2)
        np.testing.assert_allclose(host(average["a"]), (2 * one - one) / 3, rtol=1e-12)
        np.testing.assert_allclose(host(average["b"]), [5 * one / 3, 2 * one], rtol=1e-12)
        for other in ({"a": one, "c": [one, one]}, {"a": [one], "b": [one, one]}, {"a": one, "b": [[one, one]]},
                      {"a": one, "b": {"0": one, "1": one}}, [one, [one, one]], {"a": [one, one], "b": one}, {"a": one},
                      {"a": one, "b": [one, one], "c": []}):
            with pytest.raises(ValueError, match="trees differ"):
                Adam().update(params, here(other), state, rate)
            with pytest.raises(ValueError, match="trees differ"):
                moving_average(here(other), params, 0.5, 2)


@agreement("core.optim.global_norm")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, st.sampled_from([None, np.float64]), st.sampled_from([0.0, 1e-30, 1.0, 1e30]))
def test_global_norm_and_clipping(where: str, seed: int, dtype: Any, other: Any, size: float) -> None:
    """Squares that float32 could not hold."""
    grads = tree_map(lambda g: (size * g).astype(g.dtype), tree(generator(seed), dtype, other))
    expected, (clipped, _) = global_norm(grads), clip_by_global_norm(grads, 1.0)
    with backend(where):
        got = global_norm(here(grads))
        assert type(got) is float
        np.testing.assert_allclose(got, expected, rtol=ROUNDINGS * eps(np.float64))
        close(clip_by_global_norm(here(grads), 1.0)[0], clipped)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_norm_that_overflows_is_infinite(where: str, dtype: Any) -> None:
    with backend(where):
        assert global_norm(here({"W": np.full(3, np.finfo(np.float64).max)})) == np.inf
        assert np.isnan(global_norm(here({"W": np.array([np.nan, 1.0], dtype)})))


@agreement("core.optim.moving_average")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, st.sampled_from([None, np.float64]), st.sampled_from([0.0, 0.9, 0.999]), st.sampled_from([1, 2, 1000]))
def test_moving_average(where: str, seed: int, dtype: Any, other: Any, decay: float, t: int) -> None:
    a, theta = (tree(generator(seed + k), dtype, other) for k in range(2))
    expected = moving_average(a, theta, decay, t)
    with backend(where):
        close(moving_average(here(a), here(theta), decay, t), expected)
        with pytest.raises(ValueError, match="decay"):
            moving_average(here(a), here(theta), 1.0, t)


@agreement("core.optim.check_all_finite")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, st.sampled_from([None, np.float64]), st.sampled_from(["a/0/W", "a/0/b", "s", "t", ""]),
       st.sampled_from([np.nan, np.inf, -np.inf]))
def test_check_all_finite(where: str, seed: int, dtype: Any, other: Any, leaf: str, bad: float) -> None:
    """The first leaf that is not finite is named, as in the reference; whole numbers and large ones pass."""
    params = {**tree(generator(seed), dtype, other), "n": np.array(3)}
    params["t"][0] = np.finfo(params["t"].dtype).max
    params["t"][1] = np.finfo(params["t"].dtype).max
    if leaf:
        *path, last = leaf.split("/")
        branch = params
        for name in path:
            branch = branch[int(name) if name.isdigit() else name]
        branch[last] = np.full_like(branch[last], bad)
    with backend(where):
        placed = here(params)
        if not leaf:
            check_all_finite("the parameter", placed)
            return
        with pytest.raises(FloatingPointError, match=f"the parameter {leaf} is not finite"):
            check_all_finite("the parameter", placed)
