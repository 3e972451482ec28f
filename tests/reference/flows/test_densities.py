"""Base densities and the special functions under them: mass 1, samples that follow the density, gradients, edges."""
import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from autograd import elementwise_grad, grad
from hypothesis import given
from hypothesis import strategies as st

from evenflow.reference.core.placement import placed
from evenflow.reference.core.special import bounded, logsumexp, normal_quantile, tanh
from evenflow.reference.core.trees import Array, leaves
from evenflow.reference.flows.densities import Density, Normal, Uniform
from evenflow.reference.targets.mixtures import GaussianMixture
from tests import tolerances
from tests.strategies import directional_check, generator, seeds

BASES: dict[str, Callable[[int], Density]] = {
    "normal": Normal,
    "scaled": lambda d: Normal(d, 1.3),
    "uniform": lambda d: Uniform(d, -1.5, 2.5),
    "mixture": lambda d: GaussianMixture(((0.7,) * d, (-0.4,) * d, (1.1,) * d), (0.25, 0.45, 0.3), (0.8, 1.3, 0.6)),
}
every = pytest.mark.parametrize("name", BASES)
BOX = (-8.5, 9.5)  # holds all but 1e-9 of every density below; its cells end where the uniform's cube does


def grid(d: int, per_unit: int) -> tuple[Array, float]:
    """The middles of equal cells that fill the box, and the volume of one."""
    side = np.arange(BOX[0], BOX[1], 1 / per_unit) + 0.5 / per_unit
    return np.stack(np.meshgrid(*[side] * d, indexing="ij"), axis=-1).reshape(-1, d), per_unit**-d


# ------------------------------------------------------------------------------------------------- density and samples

@every
@pytest.mark.parametrize("d", [1, 2])
def test_mass_is_one(name: str, d: int) -> None:
    z, cell = grid(d, 20)
    assert abs(np.exp(BASES[name](d).log_prob(z)).sum() * cell - 1) <= tolerances.MASS


@every
def test_samples_follow_the_density_on_a_line(name: str) -> None:
    """sup |F_n - F| > sqrt(log(2 / p) / 2n) with probability at most p = 1e-6 (Dvoretzky, Kiefer, Wolfowitz, Massart)."""
    base, n = BASES[name](1), 20_000
    z = np.sort(base.sample(base.noise(generator(1), n))[:, 0])
    middles, cell = grid(1, 1000)
    F = np.interp(z, middles[:, 0] + cell / 2, np.cumsum(np.exp(base.log_prob(middles))) * cell)
    F_n = np.arange(n + 1) / n
    assert max(np.abs(F_n[1:] - F).max(), np.abs(F_n[:-1] - F).max()) <= math.sqrt(math.log(2e6) / (2 * n))


@every
def test_samples_follow_the_density_on_a_plane(name: str) -> None:
    """Chi-square over the unit cells of the plane; those where fewer than 10 are expected count as one. Error rate 1e-6."""
    base, n = BASES[name](2), 20_000
    z, cell = grid(2, 20)
    sides = int(BOX[1] - BOX[0])

    def number(z: Array) -> Array:  # of the cell
        return (np.floor(z - BOX[0]) @ [sides, 1]).astype(int)

    expected = n * np.bincount(number(z), np.exp(base.log_prob(z)) * cell, sides**2)
    found = np.bincount(number(base.sample(base.noise(generator(2), n))), minlength=sides**2)
    rare = expected < 10
    expected, found = (np.append(a[~rare], a[rare].sum()) for a in (expected, found))
    assert len(expected) > 10
    statistic = np.sum((found - expected) ** 2 / np.maximum(expected, 1e-3))
    assert scipy.stats.chi2.sf(statistic, len(expected) - 1) > 1e-6


@pytest.mark.parametrize("d", [1, 3])
def test_closed_forms(d: int) -> None:
    rng = generator(4)
    z = rng.standard_normal((7, d))

    def norm(mean: Array, sd: Array) -> Array:
        return scipy.stats.norm.logpdf(z, mean, sd).sum(axis=1)

    def close(said: Array, truth: Array) -> None:
        np.testing.assert_allclose(said, truth, rtol=0, atol=tolerances.value(np.float64, 30.0))

    close(Normal(d).log_prob(z), norm(0.0, 1.0))
    close(Normal(d, 0.2).log_prob(z), norm(0.0, 0.2))
    close(Normal(d, 0.2).sample(z), 0.2 * z)
    close(Uniform(d, -9.0, 9.0).log_prob(z), np.full(7, -d * math.log(18.0)))
    assert np.array_equal(Normal(d).sample(z), z)
    assert Normal(d) == Normal(d, 1.0)


# ------------------------------------------------------------------------------------------------ dtypes and gradients

@every
def test_float32_is_kept_and_inputs_untouched(name: str) -> None:
    base = BASES[name](2)
    noise = placed(base.noise(generator(0), 50), np.float32)
    for array in leaves(noise):
        array.flags.writeable = False
    z = base.sample(noise)
    assert z.dtype == np.float32
    assert z.shape == (50, 2)
    log_p = base.log_prob(z)
    assert log_p.dtype == np.float32
    assert log_p.shape == (50,)
    np.testing.assert_allclose(log_p, base.log_prob(z.astype(np.float64)), rtol=1e-4)
    assert base.log_prob(z[:0]).shape == (0,)


@pytest.mark.parametrize("name", [name for name in BASES if name != "uniform"])
@given(seed=seeds, d=st.integers(1, 3))
def test_gradients_of_log_prob(name: str, seed: int, d: int) -> None:
    base, rng = BASES[name](d), generator(seed)
    f = lambda x: anp.sum(base.log_prob(x))
    numeric, analytic = directional_check(f, grad(f), rng.standard_normal((4, d)), rng)
    assert abs(numeric - analytic) <= tolerances.GRADIENT_ATOL + tolerances.GRADIENT_RTOL * abs(numeric)


# -------------------------------------------------------------------------------------------------------------- edges

@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_uniform_outside_its_cube(dtype: type) -> None:
    below = np.nextafter(dtype(3), dtype(0))
    z: Array = np.array([[-1, 0], [below, -1], [3, 0], [0, -1.001], [math.inf, 0], [math.nan, 0], [9, math.nan]], dtype)
    with np.errstate(all="raise"):
        log_p = Uniform(2, -1.0, 3.0).log_prob(z)
    inside = -2 * math.log(4.0)
    expected = [inside, inside, -math.inf, -math.inf, -math.inf, math.nan, math.nan]
    np.testing.assert_array_equal(log_p, np.array(expected, dtype))


@every
def test_nan_stays_nan(name: str) -> None:
    log_p = BASES[name](2).log_prob(np.array([[0.0, math.nan], [0.0, 1.0]]))
    assert np.isnan(log_p).tolist() == [True, False]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_deviation_of_any_kind_keeps_float32(dtype: type) -> None:
    z: Array = np.ones((3, 2), dtype)
    base = Normal(2, np.float64(0.5))
    assert base.sample(z).dtype == base.log_prob(z).dtype == dtype


@pytest.mark.parametrize("base", [Normal(2, 3.0), Uniform(2, -1.0, 2.0)])
def test_a_density_is_its_choices(base: Normal | Uniform) -> None:
    """Equal, of one hash, frozen."""
    assert replace(base) == base
    assert hash(replace(base)) == hash(base)
    with pytest.raises(FrozenInstanceError):
        base.d = 3  # type: ignore[misc]


@pytest.mark.parametrize(("act", "message"), [
    (lambda: Normal(0), "d must be an integer >= 1, got 0"),
    (lambda: Uniform(1.5), "d must be an integer >= 1, got 1.5"),  # type: ignore[arg-type]
    (lambda: Uniform(1, 2.0, 2.0), "low must be smaller than high and both finite, got low 2.0 and high 2.0"),
    (lambda: Uniform(1, 2.0, 1.0), "low must be smaller than high and both finite, got low 2.0 and high 1.0"),
    (lambda: Uniform(1, math.nan, 2.0), "low must be smaller than high and both finite, got low nan"),
    (lambda: Uniform(1, -math.inf, 2.0), "low must be smaller than high and both finite, got low -inf"),
    (lambda: Normal(0, 1.0), "d must be an integer >= 1, got 0"),
    (lambda: Normal(2, 0.0), "sd must be positive and finite, got 0.0"),
    (lambda: Normal(2, math.nan), "sd must be positive and finite, got nan"),
])
def test_bad_choices(act: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        act()


@every
def test_wrong_shapes(name: str) -> None:
    base = BASES[name](2)
    with pytest.raises(ValueError, match=r"x must have shape \(n, 2\), got \(4, 1\)"):
        base.log_prob(np.zeros((4, 1)))
    with pytest.raises(ValueError, match=r"x must have shape \(n, 2\), got \(2,\)"):
        base.log_prob(np.zeros(2))
    if name != "mixture":
        with pytest.raises(ValueError, match=r"noise must have shape \(n, 2\), got \(4, 3\)"):
            base.sample(np.zeros((4, 3)))


# -------------------------------------------------------------------------------------------------- special functions

def test_normal_quantile_against_scipy() -> None:
    alpha = np.concatenate([10.0 ** -np.arange(1, 300), np.linspace(0.001, 0.999, 500), 1 - 10.0 ** -np.arange(1, 16)])
    np.testing.assert_allclose(normal_quantile(alpha), scipy.special.ndtri(alpha), rtol=1e-14, atol=1e-15)
    cube = normal_quantile(np.full((2, 3, 1), 0.25, np.float32))
    assert cube.shape == (2, 3, 1)
    assert cube.dtype == np.float32
    assert normal_quantile(np.array(0.5)) == 0


@pytest.mark.parametrize("bad", [0.0, 1.0, -0.1, math.nan, math.inf])
def test_normal_quantile_refuses(bad: float) -> None:
    with pytest.raises(ValueError, match="alpha must lie strictly between 0 and 1"):
        normal_quantile(np.array([0.5, bad]))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_bounded(dtype: type) -> None:
    """The identity near 0, never beyond the limit, increasing, with finite slopes everywhere."""
    raw: Array = np.array([-1e30, -20.0, -1e-4, 0.0, 1e-4, 20.0, 1e30], dtype)
    for limit in (5.0, 0.5):
        out = bounded(raw, limit)
        assert out.dtype == dtype
        assert np.all(np.diff(out) >= 0)
        assert np.abs(out).max() <= limit
        np.testing.assert_allclose(out[2:5], raw[2:5], rtol=1e-6)
        slopes = elementwise_grad(lambda r, limit=limit: bounded(r, limit))(raw)
        assert slopes.dtype == dtype
        np.testing.assert_allclose(slopes[[0, 3, -1]], [0, 1, 0], atol=1e-7)


def test_tanh() -> None:
    x = np.linspace(-5, 5, 21)
    assert np.array_equal(tanh(x), np.tanh(x))
    np.testing.assert_allclose(elementwise_grad(tanh)(x), np.cosh(x) ** -2, rtol=1e-9)
    np.testing.assert_allclose(
        elementwise_grad(elementwise_grad(tanh))(x), -2 * np.tanh(x) / np.cosh(x) ** 2, rtol=1e-9, atol=1e-15
    )


@given(seed=seeds, scale=st.sampled_from([1.0, 1e3, 1e300]))
def test_logsumexp(seed: int, scale: float) -> None:
    a = scale * generator(seed).standard_normal((3, 4))
    for axis in (0, 1):
        truth = scipy.special.logsumexp(a, axis=axis)
        np.testing.assert_allclose(logsumexp(a, axis), truth, rtol=tolerances.value(np.float64, 1.0))
        slopes = grad(lambda a, axis=axis: anp.sum(logsumexp(a, axis)))(a)
        np.testing.assert_allclose(slopes, scipy.special.softmax(a, axis=axis), rtol=1e-9, atol=1e-15)


def test_logsumexp_of_a_tie_and_of_minus_infinity() -> None:
    a = np.array([[2.0, 2.0, -math.inf]])
    np.testing.assert_allclose(logsumexp(a, 1), [2 + math.log(2)], rtol=1e-15)
    slopes: Any = grad(lambda a: logsumexp(a, 1)[0])(a)
    np.testing.assert_allclose(slopes, [[0.5, 0.5, 0.0]], rtol=1e-15)


def test_logsumexp_of_nothing_is_nothing_without_a_warning() -> None:
    a = np.array([[-np.inf, -np.inf], [0.0, -np.inf], [np.inf, 0.0]])
    np.testing.assert_array_equal(logsumexp(a, 1), [-np.inf, 0.0, np.inf])
    np.testing.assert_array_equal(grad(lambda a: anp.sum(logsumexp(a, 1)))(a[:2]), [[0.0, 0.0], [1.0, 0.0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 2.0), (0.1, 0.7), (1000.0, 1000.1)])
def test_noise_that_rounds_to_one_stays_in_the_cube(low: float, high: float, dtype: type) -> None:
    """In float32 it does once in 2^25 draws, and the largest float64 below 1 can lead to the end, too."""
    noise: Array = np.array([[0.0], [0.5], [1 - 2.0**-53], [1.0]]).astype(dtype)
    cube = Uniform(1, low, high)
    x = cube.sample(noise)
    assert x.dtype == dtype
    assert np.isfinite(cube.log_prob(x)).all()
    assert cube.log_prob(np.array([[high]], dtype))[0] == -np.inf
