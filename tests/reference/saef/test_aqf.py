"""Autoregressive quantile flows: quantiles that are quantiles, a loss that is half the CRPS, and the flow they make."""
import math
from collections.abc import Callable
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import pytest
import scipy.special
from autograd import grad
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.reference.core.networks import ACTIVATIONS
from evenflow.reference.core.placement import placed
from evenflow.reference.core.special import normal_quantile
from evenflow.reference.core.trees import Array, Tree, leaves
from evenflow.reference.flows import SplineTransformer, Transformer
from evenflow.reference.saef.aqf import AQF, aqf
from evenflow.reference.saef.objectives import Quantile
from evenflow.reference.scores import crps_normal
from tests import tolerances
from tests.strategies import directional_check, generator, randomise, seeds

KINDS: dict[str, Callable[..., AQF]] = {
    "affine": lambda d, c=0, order=None: aqf(d, order, (8, 6), c),
    "spline": lambda d, c=0, order=None: aqf(d, order, (8, 6), c, SplineTransformer(4, 4.0)),
}
every = pytest.mark.parametrize("kind", KINDS)
few = settings(max_examples=10)


def case(kind: str, seed: int, d: int, c: int = 0, n: int = 3) -> tuple[AQF, Tree, Array, Array | None]:
    """A model with random parameters and a random order, data, and a context where it takes one."""
    rng = generator(seed)
    model = KINDS[kind](d, c, tuple(int(i) for i in rng.permutation(d)))
    params = randomise(model.init(rng), rng, 0.2)
    return model, params, rng.uniform(-1.5, 1.5, (n, d)), rng.standard_normal((n, c)) if c else None


def midpoints(m: int, n: int, d: int) -> Array:
    return np.broadcast_to(((np.arange(m) + 0.5) / m)[:, None, None], (m, n, d))


@every
@few
@given(seed=seeds, d=st.integers(1, 4), c=st.sampled_from([0, 2]))
def test_quantiles_increase_in_alpha(kind: str, seed: int, d: int, c: int) -> None:
    model, params, x, context = case(kind, seed, d, c)
    q = model.quantiles(params, midpoints(200, 3, d), x, context)
    assert q.shape == (200, 3, d)
    assert np.all(np.diff(q, axis=0) > 0)


@every
@few
@given(seed=seeds, d=st.integers(1, 4))
def test_quantiles_depend_on_earlier_coordinates_alone(kind: str, seed: int, d: int) -> None:
    model, params, x, _ = case(kind, seed, d)
    alpha = generator(seed).uniform(0.1, 0.9, (2, 3, d))
    here = model.quantiles(params, alpha, x)
    order = model.bijection.order
    for place, i in enumerate(order):
        moved = x.copy()
        moved[:, i] += 1.0
        there = model.quantiles(params, alpha, moved)
        assert np.array_equal(there[..., order[: place + 1]], here[..., order[: place + 1]])


@every
@few
@given(seed=seeds, d=st.integers(1, 4), c=st.sampled_from([0, 2]))
def test_samples_are_quantiles_of_themselves(kind: str, seed: int, d: int, c: int) -> None:
    """x = sample(z) is Q_j(Phi(z_j); x_<j), and the inverse says at which level each x_j lies."""
    model, params, _, context = case(kind, seed, d, c)
    z = np.clip(generator(seed).standard_normal((3, d)), -3, 3)
    x = model.sample(params, z, context)
    q = model.quantiles(params, scipy.special.ndtr(z)[None], x, context)[0]
    np.testing.assert_allclose(q, x, rtol=1e-10, atol=1e-10)
    back, log_det = model.inverse(params, x, context)
    np.testing.assert_allclose(back, z, rtol=1e-8, atol=1e-8)
    log_p = model.log_prob(params, x, context)
    np.testing.assert_allclose(log_p, np.sum(-0.5 * (back**2 + math.log(math.tau)), axis=1) + log_det, rtol=1e-12)
    np.testing.assert_allclose(model.sample_and_log_prob(params, z, context)[1], log_p, rtol=1e-7, atol=1e-7)


@every
@few
@given(seed=seeds, d=st.integers(1, 3))
def test_density_is_the_slope_of_the_levels(kind: str, seed: int, d: int) -> None:
    """p(x) = prod_j dF_j/dx_j, where F_j is the level at which Q_j gives x_j: by central differences, and p = 1 / Q'."""
    model, params, x, _ = case(kind, seed, d)
    alpha, step = scipy.special.ndtr(model.inverse(params, x)[0]), 1e-6
    ahead, behind = (model.quantiles(params, (alpha + s * alpha * (1 - alpha))[None], x)[0] for s in (step, -step))
    slopes = (ahead - behind) / (2 * step * alpha * (1 - alpha))
    np.testing.assert_allclose(model.log_prob(params, x), -np.log(slopes).sum(axis=1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("seed", "d", "c"), [(1, 1, 0), (2, 1, 2), (3, 2, 0), (4, 4, 2)])
def test_loss_is_half_the_crps_of_normal_conditionals(seed: int, d: int, c: int) -> None:
    model, params, x, context = case("affine", seed, d, c)
    log_sd, mean = model.bijection.transformer.shape(model.bijection.raw(params, x, context))  # type: ignore[attr-defined]
    truth = crps_normal(mean, np.exp(log_sd), x).sum(axis=1).mean() / 2
    loss = model.quantile_loss(params, x, midpoints(4000, 3, d), context)
    np.testing.assert_allclose(loss, truth, rtol=tolerances.LEVELS)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_loss_is_half_the_crps_of_spline_conditionals(seed: int) -> None:
    """CRPS as the integral of (F(t) - 1{t >= x})^2, with F from the inverse: no quantile enters."""
    model, params, x, _ = case("spline", seed, 2, n=2)
    t, step = np.linspace(-9, 9, 6001, retstep=True)
    truth = 0.0
    for row in x:
        for j in range(2):
            grid = np.repeat(row[None], len(t), axis=0)
            grid[:, j] = t
            F = scipy.special.ndtr(model.inverse(params, grid)[0][:, j])
            truth += np.sum((F - (t >= row[j])) ** 2) * step / 2 / len(x)
    loss = model.quantile_loss(params, x, midpoints(1000, 2, 2))
    np.testing.assert_allclose(loss, truth, rtol=0, atol=2 * step)  # of the jump at x, at most step / 4 in each coordinate


def test_loss_is_a_plain_loop() -> None:
    model, params, x, _ = case("spline", 3, 2)
    alpha = generator(0).uniform(0.01, 0.99, (4, 3, 2))
    q, total = model.quantiles(params, alpha, x), 0.0
    for k, i, j in np.ndindex(4, 3, 2):
        u = x[i, j] - q[k, i, j]
        total += max(alpha[k, i, j] * u, (alpha[k, i, j] - 1) * u)
    np.testing.assert_allclose(model.quantile_loss(params, x, alpha), total / 12, rtol=1e-12)
    np.testing.assert_allclose(Quantile(4)(params, model, x, {"alpha": alpha}), total / 12, rtol=1e-12)


@every
@few
@given(seed=seeds, d=st.integers(1, 3), c=st.sampled_from([0, 2]))
def test_gradient_of_the_quantile_loss(kind: str, seed: int, d: int, c: int) -> None:
    """Smooth activations, so that finite differences meet no kink of the network (see test_flows.py)."""
    model, params, x, context = case(kind, seed, d, c)
    alpha = model.levels(generator(seed), 3, 3)
    loss: Any = lambda params: model.quantile_loss(params, x, alpha, context)
    with mock.patch.dict(ACTIVATIONS, relu=ACTIVATIONS["silu"]):
        numeric, analytic = directional_check(loss, grad(loss), params, generator(seed))
    assert abs(numeric - analytic) <= tolerances.GRADIENT_ATOL + tolerances.GRADIENT_RTOL * abs(numeric)


class Extremes:
    """A generator that gives the least and the greatest integers."""
    given: ClassVar[list[int]] = []

    def integers(self, high: int, size: tuple[int, ...]) -> Array:
        self.given.append(high)
        return np.resize([0, high - 1], size)


def test_levels_lie_inside_the_open_interval_in_float32_too() -> None:
    ends = aqf(2).levels(Extremes(), 1, 1)  # type: ignore[arg-type]
    drawn = aqf(3).levels(generator(0), 50, 40)
    assert drawn.shape == (50, 40, 3)
    for alpha in (ends, drawn):
        single = alpha.astype(np.float32)
        assert np.all((single > 0) & (single < 1))
        assert np.array_equal(single, alpha)
        assert np.isfinite(normal_quantile(single)).all()
    np.testing.assert_allclose(ends.sum(), 1.0, rtol=1e-15)  # symmetric
    assert abs(drawn.mean() - 0.5) <= 4.9 / math.sqrt(12 * drawn.size)  # error rate 1e-6


@every
def test_float32_is_kept(kind: str) -> None:
    model, params, x, context = cast_case(kind)
    alpha = model.levels(generator(0), 4, 3).astype(np.float32)
    for array in (*leaves(params), x, alpha, context):
        array.flags.writeable = False
    assert model.quantiles(params, alpha, x, context).dtype == np.float32
    assert model.quantile_loss(params, x, alpha, context).dtype == np.float32


def cast_case(kind: str) -> tuple[AQF, Tree, Array, Array]:
    model, params, x, context = case(kind, 0, 2, 2)
    return model, placed(params, np.float32), x.astype(np.float32), np.asarray(context, np.float32)


@pytest.mark.parametrize("transformer", [SplineTransformer(3), None])
def test_constructor(transformer: Transformer | None) -> None:
    model = aqf(3, (2, 0, 1)) if transformer is None else aqf(3, (2, 0, 1), transformer=transformer)
    assert model.bijection.order == (2, 0, 1)
    assert model.d == 3
    assert transformer is None or model.bijection.transformer == transformer
    with pytest.raises(ValueError, match="order must hold each of 0"):
        aqf(3, (0, 1, 1))
    with pytest.raises(ValueError, match="must agree in d, got 3 and 2"):
        aqf(3, (0, 1))


def test_bad_input() -> None:
    model, params, x, _ = case("affine", 0, 2)
    alpha = np.full((4, 3, 2), 0.5)
    with pytest.raises(ValueError, match=r"alpha must have shape \(m, 3, 2\), got \(4, 3, 1\)"):
        model.quantile_loss(params, x, alpha[..., :1])
    with pytest.raises(ValueError, match=r"alpha must have shape \(m, 3, 2\), got \(3, 2\)"):
        model.quantiles(params, alpha[0], x)
    for level in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="alpha must lie strictly between 0 and 1"):
            model.quantile_loss(params, x, np.full((4, 3, 2), level))
    with pytest.raises(ValueError, match="x must have shape"):
        model.quantiles(params, np.full((4, 3, 3), 0.5), np.zeros((3, 3)))
    x[0, 1] = math.nan
    with pytest.raises(ValueError, match=r"x must be finite, got 1 NaN .* index \(0, 1\)"):
        model.quantiles(params, alpha, x)
