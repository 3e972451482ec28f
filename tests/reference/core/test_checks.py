"""checks.py: bad input is refused with the argument's name, what came and what was expected; good input passes."""
import math
from typing import Any

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import elementwise_grad, grad

from evenflow.reference.core import checks, value
from evenflow.reference.core.checks import check_context, check_count, check_finite, check_positive, check_shape
from evenflow.reference.core.dispatch import lookup, unknown


@pytest.mark.parametrize(("shape", "expected"), [
    ((), ()), ((3,), (3,)), ((3,), ("n",)), ((0, 2), ("n", 2)), ((4, 2, 1), ("m", "n", 1)),
])
def test_shapes_that_fit(shape: Any, expected: Any) -> None:
    check_shape("x", onp.zeros(shape), *expected)


@pytest.mark.parametrize(("shape", "expected", "message"), [
    ((3,), (), r"x must have shape \(\), got \(3,\)"),
    ((), ("n",), r"x must have shape \(n,\), got \(\)"),
    ((3, 1), ("n", 3), r"x must have shape \(n, 3\), got \(3, 1\)"),
    ((1, 3), (3,), r"x must have shape \(3,\), got \(1, 3\)"),
    ((3,), ("n", 3), r"x must have shape \(n, 3\), got \(3,\)"),
    ((2, 3, 1), ("n", 3), r"x must have shape \(n, 3\), got \(2, 3, 1\)"),
])
def test_shapes_that_do_not_fit(shape: Any, expected: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_shape("x", onp.zeros(shape), *expected)


def test_context_present_or_absent() -> None:
    check_context(None, 5, 0)
    check_context(onp.zeros((5, 2)), 5, 2)
    with pytest.raises(ValueError, match=r"context must be None .* got an array of shape \(5, 2\)"):
        check_context(onp.zeros((5, 2)), 5, 0)
    with pytest.raises(ValueError, match=r"context must have shape \(5, 2\), got None"):
        check_context(None, 5, 2)
    with pytest.raises(ValueError, match=r"context must have shape \(5, 2\), got \(1, 2\)"):
        check_context(onp.zeros((1, 2)), 5, 2)


@pytest.mark.parametrize("good", [onp.zeros((0, 3)), onp.array(1e308), onp.arange(3), onp.array([True]), 1.5, [1, 2]])
def test_finite_values_pass(good: Any) -> None:
    check_finite("x", good)


@pytest.mark.parametrize(("bad", "message"), [
    (onp.array([[1.0, 2.0], [onp.inf, onp.nan]]), r"x must be finite, got 2 NaN or infinite values, .* index \(1, 0\)"),
    (onp.array(-onp.inf), r"x must be finite, got 1 .* index \(\)"),
    (onp.array([0, onp.nan], onp.float32), r"x must be finite, got 1 .* index \(1,\)"),
    (math.nan, "x must be finite"),
    (onp.array(["a", "b"]), "x must hold numbers, got array"),
    (onp.array([None]), "x must hold numbers"),
    (None, "x must hold numbers, got None"),
])
def test_what_is_not_finite_is_counted_and_found(bad: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_finite("x", bad)


@pytest.mark.parametrize("good", [1, 7, onp.int64(3), onp.uint8(2), onp.array(4)])
def test_counts(good: Any) -> None:
    check_count("m", good)


@pytest.mark.parametrize("bad", [0, -1, onp.float64(3), "3", None, True, onp.True_, math.nan, [1], onp.ones(2, int)])
def test_what_is_no_count(bad: Any) -> None:
    with pytest.raises(ValueError, match="m must be an integer >= 1, got"):
        check_count("m", bad)


def test_counts_from_another_least() -> None:
    check_count("m", 0, least=0)
    check_count("m", 2, least=2)
    with pytest.raises(ValueError, match="m must be an integer >= 2, got 1"):
        check_count("m", 1, least=2)
    with pytest.raises(ValueError, match="m must be an integer >= 0, got -1"):
        check_count("m", -1, least=0)


@pytest.mark.parametrize("good", [1, 1e-300, onp.float32(2), onp.int64(3), onp.array(0.5)])
def test_positive_numbers(good: Any) -> None:
    check_positive("rate", good)


@pytest.mark.parametrize("bad", [0, -0.0, -1, math.inf, -math.inf, math.nan, "1", None, 1j, [1.0], onp.ones(1)])
def test_what_is_not_positive(bad: Any) -> None:
    with pytest.raises(ValueError, match="rate must be positive and finite, got"):
        check_positive("rate", bad)


def test_lookup_finds_or_suggests() -> None:
    table = {"linear": 1, "cosine": 2}
    assert lookup("schedule", "cosine", table) == 2
    with pytest.raises(ValueError, match=r"^unknown schedule 'cosin', did you mean 'cosine'\? Known: linear, cosine$"):
        lookup("schedule", "cosin", table)
    with pytest.raises(ValueError, match=r"^unknown schedule 'zzz'\. Known: linear, cosine$"):
        lookup("schedule", "zzz", table)


def test_unknown_takes_any_iterable_and_any_name() -> None:
    assert unknown("thing", "a", iter(["ab"])) == "unknown thing 'a', did you mean 'ab'? Known: ab"
    assert unknown("thing", None, ["ab"]).startswith("unknown thing None.")  # type: ignore[arg-type]


def test_value_opens_boxes_however_deep() -> None:
    x = onp.array([1.0, 2.0])
    assert value(x) is x
    seen = []

    def f(y: Any) -> Any:
        seen.append(value(y))
        return np.sum(y**3)

    assert grad(lambda y: np.sum(elementwise_grad(f)(y)))(x).tolist() == [6, 12]
    assert type(seen[0]) is onp.ndarray
    assert seen[0].tolist() == [1, 2]


@pytest.mark.parametrize("x", [onp.array([1.0, 2.0, 3.0]), onp.array([1, 2, 3], onp.float32)])
def test_checks_inside_a_gradient_neither_fail_nor_alter_it(x: Any) -> None:
    def f(y: Any) -> Any:
        check_shape("y", y, "n")
        check_finite("y", y)
        check_positive("y[0]", y[0])
        check_context(y[:, None], 3, 1)
        return np.sum(y**2)

    assert grad(f)(x).tolist() == [2, 4, 6]
    assert grad(lambda y: np.sum(grad(f)(y) ** 2))(x).tolist() == [8, 16, 24]


@pytest.mark.parametrize("check", [
    lambda y: check_shape("y", y, 2), lambda y: check_finite("y", y / np.array([1.0, 0.0, 1.0])),
    lambda y: check_positive("y", -y[0]), lambda y: checks.check_context(y, 3, 1),
])
def test_checks_inside_a_gradient_refuse_what_they_should(check: Any) -> None:
    def f(y: Any) -> Any:
        with onp.errstate(divide="ignore"):
            check(y)
        return np.sum(y)

    with pytest.raises(ValueError, match="must"):
        grad(f)(onp.ones(3))
