"""An interval and the line: the four cases by the formula, the derivatives by autograd, the extremes, what is refused."""
import autograd.numpy as anp
import numpy as np
import pytest
from autograd import elementwise_grad, grad

from evenflow.reference.work.bounds import from_line, to_line
from tests import tolerances

INF = np.inf
LOW, HIGH = np.array([-1.0, 2.0, -INF, -INF]), np.array([3.0, INF, 5.0, INF])
T = np.random.default_rng(0).standard_normal((50, 4)) * 6
T[0] = 0.0  # where |t| has its corner


def test_the_four_cases_are_the_formula() -> None:
    y = np.array([[0.5, 4.0, 1.0, -7.0]])
    t, log_slope = to_line(y, LOW, HIGH)
    assert t == pytest.approx(np.array([[np.log(1.5) - np.log(2.5), np.log(2.0), -np.log(4.0), -7.0]]), abs=1e-15)
    assert log_slope == pytest.approx([np.log(1 / 1.5 + 1 / 2.5) - np.log(2.0) - np.log(4.0)], abs=1e-14)


def test_there_and_back() -> None:
    y, log_slope = from_line(T, LOW, HIGH)
    again, back = to_line(y, LOW, HIGH)
    steep = float(np.exp(np.abs(T)).max())  # a rounding of y, read as a change of t
    np.testing.assert_allclose(again, T, rtol=0, atol=tolerances.round_trip(np.float64, steep, 5.0))
    np.testing.assert_allclose(back, -log_slope, rtol=0, atol=tolerances.round_trip(np.float64, steep, 20.0))
    assert ((y > LOW) & (y < HIGH)).all()


def test_the_log_derivatives_are_those_of_autograd() -> None:
    y = from_line(T, LOW, HIGH)[0]
    by_autograd = elementwise_grad(lambda t: from_line(t, LOW, HIGH)[0])(T)
    np.testing.assert_allclose(np.log(by_autograd).sum(axis=1), from_line(T, LOW, HIGH)[1], rtol=1e-10, atol=1e-10)
    by_autograd = elementwise_grad(lambda y: to_line(y, LOW, HIGH)[0])(y)
    np.testing.assert_allclose(np.log(by_autograd).sum(axis=1), to_line(y, LOW, HIGH)[1], rtol=1e-10, atol=1e-10)


def test_the_gradient_of_the_log_derivative_is_that_of_differences() -> None:
    step = 1e-6
    for f, x in ((from_line, T), (to_line, from_line(T / 4, LOW, HIGH)[0])):
        gradient = grad(lambda x, f=f: anp.sum(f(x, LOW, HIGH)[1]))(x)
        for j in range(4):
            moved = np.zeros(4)
            moved[j] = step
            difference = (f(x + moved, LOW, HIGH)[1] - f(x - moved, LOW, HIGH)[1]) / (2 * step)
            np.testing.assert_allclose(gradient[:, j], difference, rtol=tolerances.GRADIENT_RTOL, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [40.0, 800.0, 1e300])
def test_far_out_nothing_lands_on_a_bound_and_no_gradient_is_lost(size: float, dtype: type) -> None:
    """Warnings are errors here."""
    size = min(size, float(np.finfo(dtype).max) / 2)
    t: np.ndarray = np.array([[size] * 4, [-size] * 4], dtype)
    y, log_slope = from_line(t, LOW, HIGH)
    assert (y.dtype, log_slope.dtype) == (dtype, dtype)
    assert np.isfinite(y).all()
    assert ((y > LOW) & (y < HIGH)).all()
    assert np.isfinite(log_slope).all() or dtype is np.float32  # the sum of two of the largest numbers overflows
    assert np.isfinite(grad(lambda t: anp.sum(from_line(t, LOW, HIGH)[0][:, :1]))(t)).all()
    to_line(y, LOW, HIGH)


def test_near_a_bound_no_digit_is_lost() -> None:
    t = np.array([[-30.0], [-600.0], [30.0]])
    y, log_slope = from_line(t, np.array([0.0]), np.array([1.0]))
    assert y[:2, 0] == pytest.approx(np.exp(t[:2, 0]), rel=1e-12, abs=0)
    assert log_slope == pytest.approx([-30.0, -600.0, -30.0], rel=1e-12)
    assert to_line(y[:2], np.array([0.0]), np.array([1.0]))[0] == pytest.approx(t[:2], rel=1e-12)


def test_a_mass_stays_a_mass() -> None:
    """The uniform density on (-1, 3), seen on the line, sums to 1."""
    t = np.linspace(-40, 40, 8001)[:, None]
    density = np.exp(from_line(t, np.array([-1.0]), np.array([3.0]))[1]) / 4
    assert float(np.sum(density) * 0.01) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(("y", "low", "high", "said"), [
    ([[0.0]], [0.0], [1.0], "y must lie strictly between low and high, got 0.0 in row 0, column 0, whose bounds are 0.0 and 1"),
    ([[0.5], [2.0]], [0.0], [1.0], "got 2.0 in row 1, column 0"),
    ([[0.5]], [1.0], [0.0], r"low must be below high.*got 1.0 and 0.0 in column 0"),
    ([[0.5]], [1.0], [np.nextafter(1.0, 2.0)], "numbers between that can be told apart"),
    ([[0.5]], [np.nan], [1.0], "low must be below high"),
    ([[0.5]], [-1e308], [1e308], "low must be below high"),
    ([[0.5, 0.5]], [0.0], [1.0], r"y must have shape \(n, 1\), got \(1, 2\)"),
    ([[0.5]], [0.0], [1.0, 2.0], r"high must have shape \(1,\), got \(2,\)"),
    ([[np.nan]], [0.0], [1.0], "y must be finite"),
])
def test_what_is_refused(y: list[list[float]], low: list[float], high: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        to_line(y, low, high)


def test_an_infinite_t_is_refused() -> None:
    with pytest.raises(ValueError, match="t must be finite"):
        from_line(np.array([[INF]]), np.zeros(1), np.ones(1))
