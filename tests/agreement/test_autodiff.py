"""accel/autodiff.py: every NumPy function that the models differentiate, on device arrays and on NumPy's, against autograd as
it comes (run in a process of its own), in both dtypes.
"""
import pickle
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
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
from tests.agreement.autodiff_cases import CASES, DTYPES, WRONG, Function, X, weights
from tests.standin import counting, xp
from tests.standin_autograd import taught

STOCK = """
import pickle, sys
import evenflow.accel.autodiff
from tests.agreement import autodiff_cases as cases
from autograd.numpy import numpy_vjps
assert numpy_vjps.repeat_to_match_shape.__module__ == "autograd.numpy.numpy_vjps", "imported, but not installed"
pickle.dump({dtype.__name__: cases.gradients(cases.X.astype(dtype)) for dtype in cases.DTYPES}, sys.stdout.buffer)
"""


@cache
def stock() -> dict[str, dict[str, Any]]:
    """The answers of autograd as it comes."""
    answers: dict[str, dict[str, Any]] = pickle.loads(elsewhere(STOCK))
    return answers


def elsewhere(script: str) -> bytes:
    """What a script prints, in a process of its own."""
    command = [sys.executable, "-W", "error", "-c", script]
    return subprocess.run(command, capture_output=True, check=True, cwd=Path(__file__).parents[2]).stdout


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
        g, given_g = weights(y), weights(y)
        found = vjp(g)
        assert (type(found), found.dtype, found.shape) == (type(array), dtype, x.shape)
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
        assert (partial.dtype, partial.shape) == (dtype, (a, b)[i].shape)
        onp.testing.assert_allclose(host(partial), expected, rtol=0, atol=rounding(dtype, expected))


def test_a_number_may_be_reduced_along_axis_0() -> None:
    assert grad(lambda x: np.sum(x, axis=0) * np.max(x, axis=0))(3.0) == 6.0


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


@pytest.mark.parametrize("make", [onp.asarray, xp.asarray])
def test_powers_of_zero(make: Function) -> None:
    zero = make(onp.zeros(2))
    for y, expected in ((0, 0.0), (1, 1.0), (2, 0.0), (3.0, 0.0)):
        slope = elementwise_grad(np.power)(zero, y)
        onp.testing.assert_array_equal(host(slope), expected)
    for y in (0.0, 2.0):
        for argnum in (0, 1):
            slope = elementwise_grad(np.power, argnum)(zero, make(onp.full(2, y)))
            onp.testing.assert_array_equal(host(slope), 0.0)


def test_infinite_gradients_stop_where_nothing_was_chosen() -> None:
    """0 where another entry was taken, not 0 times infinity."""
    for f in (lambda x: np.where(x > 0, x, 0.0), lambda x: np.maximum(x, 0.0)):
        vjp, _ = make_vjp(f)(xp.asarray([-1.0, 1.0]))
        onp.testing.assert_array_equal(vjp(xp.asarray([onp.inf, 2.0])).get(), [0.0, 2.0])


def test_installing_again_changes_nothing() -> None:
    before = set(primitive_vjps), numpy_vjps.unbroadcast, numpy_wrapper.concatenate_args
    autodiff.install(xp)
    autodiff.install(onp)
    assert (primitive_vjps.keys(), numpy_vjps.unbroadcast, numpy_wrapper.concatenate_args) == before


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


def test_the_other_tests_see_autograd_as_it_comes() -> None:
    assert elsewhere(CLEAN) == b"restored\n"


def test_the_way_back_of_a_sum_is_a_view_and_of_a_bias_one_sum() -> None:
    x, b = xp.asarray(X), xp.asarray(X[0])
    for f, at, launches in ((lambda x: np.sum(x, axis=0), x, {}), (lambda b: x + b, b, {"sum": 1})):
        vjp, y = make_vjp(f)(at)
        with counting() as count:
            vjp(y)
        assert count.by_name == launches
