"""accel/autodiff.py: every NumPy function that the models differentiate, on device arrays and on NumPy's, against autograd as
it comes (run in a process of its own), in both dtypes.
"""
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import elementwise_grad, grad, make_jvp, make_vjp
from autograd.core import primitive_vjps
from autograd.numpy import numpy_vjps, numpy_wrapper
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from evenflow.accel import autodiff
from tests import tolerances
from tests.standin import counting, xp
from tests.standin_autograd import taught

Function = Callable[[Any], Any]
DTYPES = [onp.float32, onp.float64]

# f(x) of x (3, 4); where a function has a domain or a kink, x is moved off it
CASES: dict[str, Function] = {
    "add": lambda x: x + x[0], "subtract": lambda x: 2.0 - x, "multiply": lambda x: x * x[:, :1],
    "divide": lambda x: x / (2.0 + x * x), "product of one row": lambda x: (x[:1] * x[:, :1])[0], "matmul": lambda x: x @ x.T,
    "matrix and vector": lambda x: x @ x[0], "stacked matmul": lambda x: x[:, None] @ x.T, "square": lambda x: x**2,
    "cube": lambda x: x**3, "to the 0": lambda x: x**0, "root": lambda x: np.abs(x) ** 0.5,
    "power of arrays": lambda x: (1.0 + x * x) ** x, "number to the power": lambda x: 2.0**x, "exp": np.exp,
    "log": lambda x: np.log(1.0 + x * x), "sqrt": lambda x: np.sqrt(1.0 + x * x), "sin": np.sin, "cos": np.cos, "tanh": np.tanh,
    "abs": np.abs, "negative": lambda x: -x, "logaddexp": lambda x: np.logaddexp(x, 0.0),
    "logaddexp of two": lambda x: np.logaddexp(x, x[0]), "mod": lambda x: np.mod(x + 3.1, 6.2) - 3.1,
    "floor": lambda x: x * np.floor(x), "maximum": lambda x: np.maximum(x, 0.3),
    "minimum": lambda x: np.minimum(x[:, :2], x[:1, 2:]), "ties": lambda x: np.maximum(x, x * 1.0),
    "clip": lambda x: np.clip(x, -0.5, 0.5), "where": lambda x: np.where(x > 0, x, 0.0),
    "where, both": lambda x: np.where(x > 0, x * x, x), "where, a row": lambda x: np.where(x > 0, x[:1], x[:, :1]),
    "product with a mask": lambda x: x * (x > 0), "sum": np.sum, "sum of an axis": lambda x: np.sum(x, axis=0) * 2.0,
    "sum, kept": lambda x: np.sum(x, axis=-1, keepdims=True) * x, "sum of axes": lambda x: np.sum(x[:, None] * x, axis=(0, -1)),
    "mean": np.mean, "mean of an axis": lambda x: np.mean(x * x, axis=1), "var": lambda x: np.var(x, axis=0),
    "var, all": np.var, "std": lambda x: np.std(x, axis=1, ddof=1), "prod": lambda x: np.prod(x, axis=1),
    "max": lambda x: np.max(x, axis=1), "max, kept": lambda x: np.max(x, axis=0, keepdims=True), "min, all": np.min,
    "ties of max": lambda x: np.max(np.concatenate([x, x]), axis=0), "cumsum": lambda x: np.cumsum(x, axis=-1),
    "cumsum, rows": lambda x: np.cumsum(x, axis=0), "cumsum, flat": np.cumsum, "reshape": lambda x: np.reshape(x * x, (2, -1)),
    "reshape method": lambda x: (x * x).reshape(4, 3), "ravel": lambda x: np.ravel(x) ** 2,
    "transpose": lambda x: np.transpose(x) * 2.0, "T": lambda x: x.T ** 2, "swapaxes": lambda x: np.swapaxes(x, 0, 1) * x.T,
    "squeeze": lambda x: np.squeeze(x[:, :1], -1) ** 2, "expand_dims": lambda x: np.expand_dims(x, 1) * x,
    "broadcast_to": lambda x: np.broadcast_to(x[:1], (3, 4)) * x, "split": lambda x: np.split(x, 2, axis=-1)[1] ** 2,
    "split at": lambda x: sum(part.sum() for part in np.split(x * x, [1, 3], axis=1)),
    "concatenate": lambda x: np.concatenate([x, x * x, x[:1]]),
    "concatenate, columns": lambda x: np.concatenate([x, x[:, :1]], axis=-1) ** 2,
    "stack": lambda x: np.stack([x, x * x], axis=1), "array": lambda x: np.array([x[0, 0], x[1, 1] ** 2]),
    "repeat": lambda x: np.repeat(x, 2, axis=0) ** 2, "tile": lambda x: np.tile(x, (2, 1)) ** 2,
    "roll": lambda x: np.roll(x, 1, axis=0) * x, "tril": lambda x: np.tril(x, -1) ** 2, "triu": lambda x: np.triu(x, 1) ** 2,
    "slice": lambda x: x[1:, ::2] ** 2, "row": lambda x: x[1] ** 2, "entry": lambda x: x[2, 3] ** 2,
    "new axis": lambda x: x[..., None] ** 2, "backwards": lambda x: x[::-1] * x, "list": lambda x: x[:, [3, 0, 0]] ** 2,
    "empty list": lambda x: x[:, []], "two lists": lambda x: x[[0, 2, 0], [1, 1, 1]] ** 2,
    "array of indices": lambda x: x[onp.array([1, 1, 2])] ** 2, "mask": lambda x: x[onp.array([True, False, True])] ** 2,
    "own order": lambda x: np.sum(x[np.argsort(x[:, 0])] * x[0]), "astype": lambda x: (x * x).astype(x.dtype),
    "zeros_like": lambda x: x + np.zeros_like(x[:1]),
    "solve": lambda x: np.linalg.solve(x[:, :3] @ x[:, :3].T + x[:, 1:].T @ x[:, 1:], x),
    "slogdet": lambda x: np.linalg.slogdet(x @ x.T)[1], "einsum": lambda x: np.einsum("ij,kj->ik", x, x * x),
    "a dead end": lambda x: x * np.argmax(x, axis=0),
    "einsum, broadcast behind": lambda x: np.einsum(x[:, 0], [0, ...], x * x, [0, ...], [0, ...]),
    "through complex numbers": lambda x: np.real(x * (1.0 + 2.0j) * x),
}
WRONG = {"where, a row"}  # autograd as it comes forgets that where broadcasts
X = onp.random.default_rng(0).uniform(0.2, 2.0, (3, 4)) * onp.random.default_rng(1).choice([-1.0, 1.0], (3, 4))


def gradients(x: Any) -> dict[str, Any]:
    return {name: make_vjp(f)(x)[0](weights(f(x))) for name, f in CASES.items() if name not in WRONG}


def weights(y: Any) -> Any:
    return 0.5 * y + 1.0


STOCK = """
import pickle, sys
import tests.agreement.test_autodiff as cases
from autograd.numpy import numpy_vjps
assert numpy_vjps.repeat_to_match_shape.__module__ == "autograd.numpy.numpy_vjps", "imported, but not installed"
pickle.dump({dtype.__name__: cases.gradients(cases.X.astype(dtype)) for dtype in cases.DTYPES}, sys.stdout.buffer)
"""


CLEAN = """
from autograd.core import primitive_vjps
from autograd.numpy import numpy_vjps
from tests.standin_autograd import taught
before = dict(primitive_vjps), dict(vars(numpy_vjps))
with taught():
    assert numpy_vjps.unbroadcast is not before[1]["unbroadcast"]
assert (primitive_vjps, vars(numpy_vjps)) == before
print("restored")
"""


@cache
def stock() -> dict[str, dict[str, Any]]:
    """The answers of autograd as it comes."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", STOCK], capture_output=True, check=True)
    answers: dict[str, dict[str, Any]] = pickle.loads(done.stdout)
    return answers


@pytest.fixture(autouse=True)
def rules_installed() -> Iterator[None]:
    with taught():
        yield


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in CASES if name not in WRONG])
def test_device_numpy_and_autograd_as_it_comes_agree(name: str, dtype: type) -> None:
    expected, x = stock()[dtype.__name__][name], X.astype(dtype)
    for array in (x, xp.asarray(x)):
        kept = array.copy()
        vjp, y = make_vjp(CASES[name])(array)
        g = weights(y)
        given_g = g.copy()
        found = vjp(g)
        assert type(found) is type(array)
        assert found.dtype == dtype
        assert found.shape == x.shape
        onp.testing.assert_allclose(host(found), expected, rtol=0, atol=rounding(dtype, expected))
        onp.testing.assert_array_equal(host(array), host(kept))
        onp.testing.assert_array_equal(host(g), host(given_g))


def rounding(dtype: type, expected: Any) -> float:
    return tolerances.value(dtype, float(onp.max(onp.abs(expected), initial=0)))


def host(array: Any) -> onp.ndarray:
    return array.get() if isinstance(array, xp.ndarray) else onp.asarray(array)


SMOOTH = [name for name in CASES if name not in ("floor", "ties", "ties of max", "a dead end", "mod", "slogdet", "solve")]
ENTRIES = st.integers(-40, 39).filter(lambda n: abs(n) > 4).map(lambda n: n / 20 + 0.02)  # no kink of CASES is among them


@pytest.mark.parametrize("name", SMOOTH)
@settings(max_examples=5)
@given(hnp.arrays(onp.float64, (3, 4), elements=ENTRIES, unique=True), st.integers(0, 2**32 - 1))
def test_the_rules_are_the_derivatives(name: str, x: onp.ndarray, seed: int) -> None:
    """On the device, against a central difference in a random direction; no entry and no difference lies near a kink."""
    f, direction, step = CASES[name], onp.random.default_rng(seed).uniform(-1, 1, x.shape), 1e-6
    vjp, y = make_vjp(f)(xp.asarray(x))
    g = onp.random.default_rng(seed + 1).uniform(-1, 1, y.shape)
    found = onp.sum(host(vjp(xp.asarray(g))) * direction)
    expected = onp.sum(g * (f(x + step * direction) - f(x - step * direction))) / (2 * step)
    size = float(onp.max(onp.abs(g), initial=0)) * max(1.0, abs(expected))
    assert abs(found - expected) <= tolerances.GRADIENT_RTOL * size + 10 * tolerances.GRADIENT_ATOL


@settings(max_examples=60)
@given(
    hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), st.sampled_from(DTYPES), st.integers(0, 2**32 - 1),
    st.sampled_from([np.add, np.multiply, np.subtract, np.maximum, np.divide]),
)
def test_whatever_was_broadcast_is_summed(shapes: Any, dtype: type, seed: int, ufunc: Any) -> None:
    rng = onp.random.default_rng(seed)
    a, b = (rng.uniform(0.5, 2.0, shape).astype(dtype) for shape in shapes.input_shapes)
    g = rng.uniform(0.5, 2.0, shapes.result_shape).astype(dtype)
    full = [onp.broadcast_to(x, shapes.result_shape).astype(onp.float64) for x in (a, b)]
    for i in (0, 1):
        partial = make_vjp(ufunc, i)(*map(xp.asarray, (a, b)))[0](xp.asarray(g))
        each = make_vjp(ufunc, i)(*full)[0](g.astype(onp.float64))
        lead = each.ndim - (a, b)[i].ndim
        once = (lead + k for k, n in enumerate((a, b)[i].shape) if n == 1)
        expected = each.sum(axis=(*range(lead), *once), keepdims=True).reshape((a, b)[i].shape)
        assert partial.dtype == dtype
        assert partial.shape == (a, b)[i].shape
        onp.testing.assert_allclose(host(partial), expected, rtol=0, atol=rounding(dtype, expected))


def test_dtypes_that_meet_give_each_operand_its_own() -> None:
    for make in (onp.asarray, xp.asarray):
        single, double = make(X.astype(onp.float32)), make(X)
        f, g = lambda a, b: a * b @ b.T @ a, make(onp.ones_like(X))
        g_single, g_double = (make_vjp(f, i)(single, double)[0](g) for i in (0, 1))
        assert g_single.dtype == onp.float32
        assert g_double.dtype == onp.float64


TWICE = [
    "square", "exp", "divide", "matmul", "where", "maximum", "sum, kept", "var", "max", "slice", "list", "concatenate", "solve",
]


@pytest.mark.parametrize("name", TWICE)
def test_second_derivatives(name: str) -> None:
    f = lambda x: np.sum(elementwise_grad(lambda x: CASES[name](x) ** 2)(x) ** 2)
    on_host, on_device = grad(f)(X), grad(f)(xp.asarray(X))
    onp.testing.assert_allclose(host(on_device), on_host, rtol=0, atol=rounding(onp.float64, on_host))


@pytest.mark.parametrize("name", ["concatenate", "stack", "array"])
def test_forward_mode_knows_the_new_primitives(name: str) -> None:
    f, v = CASES[name], onp.ones_like(X)
    expected = (f(X + 1e-6 * v) - f(X - 1e-6 * v)) / 2e-6
    found = make_jvp(f)(X)(v)[1]
    onp.testing.assert_allclose(found, expected, rtol=tolerances.GRADIENT_RTOL, atol=10 * tolerances.GRADIENT_ATOL)


def test_infinite_gradients_stop_where_nothing_was_chosen() -> None:
    """0 where another entry was taken, not 0 times infinity."""
    for f in (lambda x: np.where(x > 0, x, 0.0), lambda x: np.maximum(x, 0.0)):
        vjp, _ = make_vjp(f)(xp.asarray([-1.0, 1.0]))
        onp.testing.assert_array_equal(vjp(xp.asarray([onp.inf, 2.0])).get(), [0.0, 2.0])


def test_installing_again_changes_nothing() -> None:
    before = dict(primitive_vjps), numpy_vjps.unbroadcast, numpy_wrapper.concatenate_args
    autodiff.install(xp)
    autodiff.install(onp)
    assert (numpy_vjps.unbroadcast, numpy_wrapper.concatenate_args) == before[1:]
    assert primitive_vjps.keys() == before[0].keys()


def test_the_other_tests_see_autograd_as_it_comes() -> None:
    with taught():
        pass
    assert numpy_vjps.unbroadcast is autodiff.unbroadcast  # of the fixture
    done = subprocess.run([sys.executable, "-c", CLEAN], capture_output=True, text=True, check=True)
    assert done.stdout == "restored\n"


def test_the_way_back_of_a_sum_is_a_view() -> None:
    x = xp.asarray(X)
    vjp, y = make_vjp(lambda x: np.sum(x, axis=0))(x)
    with counting() as count:
        found = vjp(y)
    assert found.shape == x.shape
    assert count.launches == 0


def test_the_way_back_of_a_bias_is_one_sum() -> None:
    x, b = xp.asarray(X), xp.asarray(X[0])
    vjp, y = make_vjp(lambda b: x + b)(b)
    with counting() as count:
        vjp(y)
    assert count.by_name == {"sum": 1}
