"""Theorems about the scores. Exact identities hold for every sample; the others are tested with fixed seeds.

A z-test here fails, for a correct program, with probability 1e-6 over seeds: |z| < 4.9. Where a test must *see* a
difference, the sample is large enough that z is above 10 on average: z > 4.9 fails with probability below 1e-6 as well.
"""
import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.reference.scores import (
    crps,
    crps_normal,
    distance_kernel,
    energy_distance,
    energy_score,
    kernel_score,
    linear_kernel,
    mmd,
    quantile_score,
    random_directions,
    rbf_kernel,
    sliced_energy_distance,
    sliced_energy_score,
    slicing_constant,
)
from evenflow.reference.scores.energy import EPS

Z = 4.9
seeds = st.integers(0, 2**32 - 1)
betas = st.sampled_from([0.5, 1.0, 1.5])
estimators = st.sampled_from(["U", "V"])


def z_score(sample: Any, expected: float = 0.0) -> float:
    return float((np.mean(sample) - expected) / (np.std(sample, ddof=1) / math.sqrt(len(sample))))


def moment(variance: float, d: int, beta: float) -> float:
    """E|u|^beta for u ~ N(0, variance I) in d dimensions."""
    return math.pow(2 * variance, beta / 2) * math.exp(math.lgamma((d + beta) / 2) - math.lgamma(d / 2))


# ------------------------------------------------------------------------------------------- propriety and unbiasedness

WRONG = {
    "shifted": lambda z: z + np.array([0.5, 0.0]),
    "too narrow": lambda z: 0.6 * z,
    "too wide": lambda z: 1.5 * z,
    "correlated": lambda z: z @ np.array([[1.0, 0.8], [0.0, 0.6]]),  # the marginals are right
    "heavier tails": lambda z: z * np.where(np.abs(z[..., :1]) > 1, 1.6, 0.5),
}


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("name", sorted(WRONG))
def test_the_truth_scores_best(name: str, beta: float) -> None:
    """Propriety: against N(0, I) every wrong forecast scores worse, z > 4.9 (found: 11 to 50)."""
    rng = np.random.default_rng(1)
    z, y = rng.standard_normal((8, 20000, 2)), rng.standard_normal((20000, 2))
    assert z_score(energy_score(WRONG[name](z), y, beta) - energy_score(z, y, beta)) > Z


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5])
def test_what_a_wrong_forecast_loses_is_half_the_energy_distance(beta: float) -> None:
    """Forecast N(0, 4 I), truth N(0, I), d = 3, both means in closed form: two z-tests."""
    rng = np.random.default_rng(2)
    z, y = rng.standard_normal((2, 40000, 3)), rng.standard_normal((40000, 3))
    half = moment(5, 3, beta) - moment(8, 3, beta) / 2 - moment(2, 3, beta) / 2
    assert abs(z_score(energy_score(2 * z, y, beta) - energy_score(z, y, beta), half)) < Z
    batches = [energy_distance(2 * z[0, i:i + 20], y[i:i + 20], beta) for i in range(0, 40000, 20)]
    assert abs(z_score(np.array(batches), 2 * half)) < Z


@pytest.mark.parametrize("m", [2, 5])
@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5])
def test_u_is_unbiased_and_v_is_biased_as_predicted(beta: float, m: int) -> None:
    """Forecast N(0, 4 I), truth N(0, I), d = 2. V counts (m - 1) / m of the spread: its mean is off by spread / 2m.

    Three z-tests; the last sees that the bias is there (expected z above 10).
    """
    rng = np.random.default_rng(3)
    draws, y = 2 * rng.standard_normal((m, 40000, 2)), rng.standard_normal((40000, 2))
    fidelity, spread = moment(5, 2, beta), moment(8, 2, beta)
    U, V = (energy_score(draws, y, beta, e) for e in ("U", "V"))
    assert abs(z_score(U, fidelity - spread / 2)) < Z
    assert abs(z_score(V, fidelity - (m - 1) / m * spread / 2)) < Z
    assert z_score(V, fidelity - spread / 2) > Z


@pytest.mark.parametrize("estimator", ["U", "V"])
def test_kernel_scores_have_the_mean_they_should(estimator: str) -> None:
    """RBF kernel, N(0, 4 I) against N(0, I), d = 2, m = 3: E k(u) = s^2 / (s^2 + variance of u). Two z-tests."""
    rng = np.random.default_rng(4)
    draws, y = 2 * rng.standard_normal((3, 40000, 2)), rng.standard_normal((40000, 2))
    kxx, kxy, kyy = 9 / (9 + 8), 9 / (9 + 5), 9 / (9 + 2)
    if estimator == "V":  # of 3 x 3 and of 4 x 4 pairs, 3 and 4 are of a point with itself, where k = 1
        kxx, kyy = (2 * kxx + 1) / 3, (3 * kyy + 1) / 4
    assert abs(z_score(kernel_score(draws, y, rbf_kernel((3,)), estimator), kxx / 2 - kxy + 1 / 2)) < Z
    trials = [mmd(draws[:, i], y[4 * i:4 * i + 4], rbf_kernel((3,)), estimator) for i in range(5000)]
    assert abs(z_score(np.array(trials), kxx - 2 * kxy + kyy)) < Z


# ---------------------------------------------------------------------------------------------------- sliced and full


@pytest.mark.parametrize("estimator", ["U", "V"])
@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("d", [2, 5])
def test_sliced_over_c_is_the_full_score(d: int, beta: float, estimator: str) -> None:
    """For fixed points, over 300 batches of 30 directions: one z-test for each form and for the distance."""
    rng = np.random.default_rng(5)
    draws, shared, y = (rng.standard_normal(shape) for shape in ((3, 4, d), (6, d), (4, d)))
    c = slicing_constant(d, beta)
    batches = [random_directions(rng.standard_normal((30, d))) for _ in range(300)]
    for x in (draws, shared):
        sliced = np.array([np.sum(sliced_energy_score(x, y, v, beta, estimator)) for v in batches])
        assert abs(z_score(sliced / c, float(np.sum(energy_score(x, y, beta, estimator))))) < Z
    sliced = np.array([sliced_energy_distance(shared, y, v, beta, estimator) for v in batches])
    assert abs(z_score(sliced / c, float(energy_distance(shared, y, beta, estimator)))) < Z


@given(seeds, betas, estimators)
def test_sliced_is_the_full_score_in_one_dimension(seed: int, beta: float, estimator: str) -> None:
    """Exactly: c(1, beta) = 1 and both directions are the axis. Sorting (beta = 1) does not smooth: 4 EPS."""
    rng = np.random.default_rng(seed)
    draws, x, y = rng.standard_normal((3, 4, 1)), rng.standard_normal((5, 1)), rng.standard_normal((4, 1))
    v, atol = np.array([[1.0], [-1.0]]), 4 * EPS if beta == 1 else 1e-13
    for forecast in (draws, x):
        full = energy_score(forecast, y, beta, estimator)
        np.testing.assert_allclose(sliced_energy_score(forecast, y, v, beta, estimator), full, rtol=0, atol=atol)
    full = energy_distance(x, y, beta, estimator)
    np.testing.assert_allclose(sliced_energy_distance(x, y, v, beta, estimator), full, rtol=0, atol=atol)


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("d", [1, 2, 7])
def test_slicing_constant_is_a_ratio_of_normal_moments(d: int, beta: float) -> None:
    """v . u for u ~ N(0, I) is N(0, 1) whatever v: so c(d, beta) E|u|^beta = E|N(0, 1)|^beta, of two formulas."""
    assert slicing_constant(d, beta) * moment(1, d, beta) == pytest.approx(moment(1, 1, beta), rel=1e-13)


# --------------------------------------------------------------------------------------------------- kernels, exactly


@given(seeds, betas, estimators, st.integers(2, 6), st.integers(2, 6), st.integers(1, 3), st.booleans())
def test_the_distance_kernel_gives_the_energy_score_and_distance(
    seed: int, beta: float, estimator: str, m: int, n: int, d: int, ties: bool
) -> None:
    """Exactly, with factor 1, for U and V, with coincident points too."""
    rng = np.random.default_rng(seed)
    points = [rng.standard_normal(shape) for shape in ((m, n, d), (m, d), (n, d))]
    draws, x, y = (np.rint(p) if ties else p for p in points)
    k = distance_kernel(beta)
    for forecast in (draws, x):
        full = energy_score(forecast, y, beta, estimator)
        np.testing.assert_allclose(kernel_score(forecast, y, k, estimator), full, rtol=0, atol=1e-13)
    np.testing.assert_allclose(mmd(x, y, k, estimator), energy_distance(x, y, beta, estimator), rtol=0, atol=1e-13)


@given(seeds, st.integers(2, 6), st.integers(2, 6), st.integers(1, 3))
def test_the_v_statistics_are_never_negative(seed: int, n: int, m: int, d: int) -> None:
    """Up to rounding; and 0 for equal samples, and |mean x - mean y|^2 for the linear kernel, exactly."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    kernels = [rbf_kernel((0.5, 3)), linear_kernel(), *map(distance_kernel, (0.5, 1.0, 1.5))]
    for kernel in kernels:
        assert mmd(x, y, kernel, "V") > -1e-13
        assert mmd(x, x[::-1], kernel, "V") == pytest.approx(0, abs=1e-13)
    gap = np.mean(x, axis=0) - np.mean(y, axis=0)
    assert mmd(x, y, linear_kernel(), "V") == pytest.approx(gap @ gap, abs=1e-13)


# --------------------------------------------------------------------------------------------------------- on the line


def integral(f: Any, start: float, end: float) -> float:
    """Gauss-Legendre with 80 nodes: exact to rounding for what is smooth between start and end."""
    nodes, weights = np.polynomial.legendre.leggauss(80)
    at = (start + end) / 2 + (end - start) / 2 * nodes
    return float((end - start) / 2 * np.sum(weights * np.array([f(t) for t in at])))


@given(seeds, st.integers(2, 12), st.booleans())
def test_crps_is_the_integral_of_its_definition(seed: int, m: int, ties: bool) -> None:
    """For the empirical F, which V is the score of: the integral of (F - 1{t >= y})^2 and of twice the pinball score.

    Both integrands are piecewise constant or linear, so both sums are exact.
    """
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 4, m).astype(float) if ties else rng.standard_normal(m)
    y = float(rng.choice(x)) if ties else float(rng.standard_normal())
    ours = crps(x[:, None], np.array([y]), "V")[0]
    t = np.sort(np.append(x, y))
    F, step = np.mean(x[:, None] <= t[:-1], axis=0), t[:-1] >= y
    assert ours == pytest.approx(np.sum((F - step) ** 2 * np.diff(t)), abs=1e-13)
    levels = (np.arange(m) + 0.5) / m  # the middle of the interval of alpha on which the k-th smallest is the quantile
    assert ours == pytest.approx(2 * np.mean(quantile_score(np.sort(x), np.full(m, y), levels)), abs=1e-13)


@pytest.mark.parametrize(("mean", "sd", "y"), [(0.0, 1.0, 0.0), (0.0, 1.0, -1.7), (2.0, 0.5, 2.9), (-1.0, 3.0, 6.0)])
def test_crps_of_a_normal_is_the_integral_of_its_definition(mean: float, sd: float, y: float) -> None:
    """The integral of (F - 1{t >= y})^2, and of twice the pinball score over alpha = F(t), to rounding."""
    normal = NormalDist(mean, sd)
    low, high = mean - 10 * sd, mean + 10 * sd
    squares = integral(lambda t: normal.cdf(t) ** 2, low, y) + integral(lambda t: (1 - normal.cdf(t)) ** 2, y, high)
    assert crps_normal(mean, sd, y) == pytest.approx(squares, rel=1e-12)
    low, high = mean - 8 * sd, mean + 8 * sd  # beyond, alpha rounds to 1, and the rest is below 1e-13
    pinball = lambda t: 2 * quantile_score(t, y, normal.cdf(t)) * normal.pdf(t)
    assert crps_normal(mean, sd, y) == pytest.approx(integral(pinball, low, y) + integral(pinball, y, high), rel=1e-12)


def test_crps_of_a_normal_is_the_mean_over_its_samples() -> None:
    """Fair CRPS of m = 2 draws from N(1, 4) at fixed y: one z-test for each y; and V is off by spread / 2m."""
    rng = np.random.default_rng(6)
    draws = 1 + 2 * rng.standard_normal((2, 50000))
    for y in (-4.0, 0.5, 1.0, 3.0):
        expected = float(crps_normal(1.0, 2.0, y))
        at = np.full(50000, y)
        assert abs(z_score(crps(draws, at), expected)) < Z
        assert abs(z_score(crps(draws, at, "V"), expected + moment(8, 1, 1.0) / 4)) < Z


@given(seeds, st.integers(2, 12), st.integers(2, 12), st.booleans())
def test_the_energy_distance_on_the_line_is_twice_the_cramer_distance(seed: int, n: int, m: int, ties: bool) -> None:
    """V-statistic at beta = 1: exactly 2 * integral of (F - G)^2 for the empirical F and G; smoothed, up to 4 EPS."""
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(-3, 4, k).astype(float) if ties else rng.standard_normal(k) for k in (n, m))
    t = np.sort(np.concatenate([x, y]))
    gap = np.mean(x[:, None] <= t[:-1], axis=0) - np.mean(y[:, None] <= t[:-1], axis=0)
    cramer = np.sum(gap**2 * np.diff(t))
    x, y = x[:, None], y[:, None]
    assert energy_distance(x, y, 1.0, "V") == pytest.approx(2 * cramer, abs=4 * EPS)
    assert sliced_energy_distance(x, y, np.ones((1, 1)), 1.0, "V") == pytest.approx(2 * cramer, abs=1e-13)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.83])
def test_the_quantile_score_is_least_at_the_quantile(alpha: float) -> None:
    """Of 100 candidates, the sorted sample itself: exact, the minimiser is the order statistic ceil(alpha n)."""
    y = np.sort(np.random.default_rng(7).standard_normal(99))
    means = [np.mean(quantile_score(np.full(99, q), y, alpha)) for q in y]
    assert int(np.argmin(means)) + 1 == math.ceil(alpha * 99)
