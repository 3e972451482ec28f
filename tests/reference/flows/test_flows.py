"""Flows: three ways to say one density, two kinds of loss; and the gradient of every objective for every model."""
import math
from collections.abc import Callable
from typing import Any
from unittest import mock

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.stats
from autograd import grad, jacobian
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.reference.core import Adam
from evenflow.reference.core.networks import ACTIVATIONS
from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array, Tree, leaves, size, tree_map
from evenflow.reference.flows import AffineTransformer, Chain, Coupling, MaskedAutoregressive, SplineTransformer, elementwise
from evenflow.reference.flows.densities import Density, Normal, Uniform
from evenflow.reference.flows.flow import Flow, dense_flow, maf, realnvp, spline_flow
from evenflow.reference.saef.aqf import AQF, aqf
from evenflow.reference.saef.objectives import (
    MMD,
    OBJECTIVES,
    Energy,
    Likelihood,
    Model,
    Objective,
    Quantile,
    Sliced,
    objective_for,
)
from evenflow.reference.saef.semiautoregressive import saef
from evenflow.reference.scores import energy_score, kernel_score, random_directions, rbf_kernel, sliced_energy_score
from evenflow.reference.targets.mixtures import GaussianMixture
from tests import tolerances
from tests.strategies import directional_check, generator, randomise, seeds

HIDDEN = (6, 5)


def two_bumps(d: int) -> GaussianMixture:
    return GaussianMixture(((0.7,) * d, (-0.8,) * d), (0.4, 0.6), (0.9, 0.6))


FLOWS: dict[str, Callable[[int, int], Flow]] = {  # d, context_dim
    "realnvp": lambda d, c: realnvp(d, 3, HIDDEN, c),
    "maf": lambda d, c: maf(d, 2, HIDDEN, c),
    "spline": lambda d, c: spline_flow(d, 2, HIDDEN, c, bins=4, bound=4.0),
    "dense": lambda d, c: dense_flow(d, 2, c),
    "aqf": lambda d, c: aqf(d, None, HIDDEN, c),
    "wide base": lambda d, c: dense_flow(d, 1, c, base=Normal(d, 1.7)),
    "mixture base": lambda d, c: realnvp(d, 2, HIDDEN, c, base=two_bumps(d)),
}
every = pytest.mark.parametrize("name", FLOWS)
few = settings(max_examples=8)
dims = st.sampled_from([1, 2, 5])
contexts = st.sampled_from([0, 2])


class Case:
    """A flow with random parameters, noise for n samples, and a context where it takes one."""

    def __init__(self, name: str, seed: int, d: int, c: int, n: int = 4, dtype: type = np.float64) -> None:
        rng = generator(seed)
        self.flow = FLOWS[name](d, c)
        self.params: Tree = placed(randomise(self.flow.init(rng), rng, 0.2), dtype)
        self.noise: Tree = placed(self.flow.noise(rng, n), dtype)
        self.context: Array | None = rng.standard_normal((n, c)).astype(dtype) if c else None


# -------------------------------------------------------------------------------------- samples and densities agree

@every
@few
@given(seed=seeds, d=dims, c=contexts)
def test_sample_log_prob_and_both_at_once_agree(name: str, seed: int, d: int, c: int) -> None:
    case = Case(name, seed, d, c)
    x, log_p = case.flow.sample_and_log_prob(case.params, case.noise, case.context)
    assert np.array_equal(x, case.flow.sample(case.params, case.noise, case.context))
    z = case.flow.base.sample(case.noise)

    def forward(v: Array, i: int) -> Array:
        context = None if case.context is None else case.context[i : i + 1]
        return case.flow.bijection.forward(case.params, v[None], context)[0][0]

    back, log_det = case.flow.inverse(case.params, x, case.context)
    through = case.flow.bijection.inverse(case.params, x, case.context)
    assert np.array_equal(back, through[0])
    assert np.array_equal(log_det, through[1])
    again = case.flow.log_prob(case.params, x, case.context)
    base = case.flow.base.log_prob(z)
    for i in range(4):
        J = jacobian(lambda v, i=i: forward(v, i))(z[i])
        steep = float(np.linalg.cond(J) * max(1.0, np.linalg.norm(np.linalg.inv(J), 2)))
        allowed = tolerances.round_trip(np.float64, steep, max(np.abs(x[i]).max(), np.abs(z[i]).max()) ** 2)
        assert np.abs(back[i] - z[i]).max() <= allowed
        assert abs(log_p[i] - again[i]) <= d * allowed
        truth = base[i] - np.linalg.slogdet(J)[1]  # the change of variables
        assert abs(log_p[i] - truth) <= tolerances.JACOBIAN_RTOL * max(1.0, abs(truth))


@every
@pytest.mark.parametrize("d", [1, 2, 5])
def test_dtype_is_kept_and_inputs_untouched(name: str, d: int) -> None:
    case = Case(name, 3, d, 2, dtype=np.float32)
    assert case.context is not None
    for array in (*leaves(case.params), *leaves(case.noise), case.context):
        array.flags.writeable = False
    x, log_p = case.flow.sample_and_log_prob(case.params, case.noise, case.context)
    assert x.dtype == log_p.dtype == np.float32
    assert x.shape == (4, d)
    assert log_p.shape == (4,)
    x.flags.writeable = False
    assert case.flow.log_prob(case.params, x, case.context).dtype == np.float32
    assert {a.dtype for a in case.flow.inverse(case.params, x, case.context)} == {np.dtype(np.float32)}
    two = tree_map(lambda a: np.concatenate([a, a]), case.noise)
    assert case.flow.loss(case.params, x, two, energy_score, case.context).dtype == np.float32


@every
def test_the_context_matters(name: str) -> None:
    case = Case(name, 4, 3, 2)
    assert case.context is not None
    x = 0.1 * generator(0).standard_normal((4, 3))
    other = case.context + np.array([0.5, 0.0])
    back = lambda *args: case.flow.inverse(*args)[0]
    for f, v in ((case.flow.sample, case.noise), (case.flow.log_prob, x), (back, x)):
        assert np.all(f(case.params, v, case.context) != f(case.params, v, other))
    with pytest.raises(ValueError, match=r"context must have shape \(4, 2\), got None"):
        case.flow.log_prob(case.params, x)
    assert case.flow.context_dim == 2
    assert case.flow.d == 3


@pytest.mark.parametrize("base", [Normal(2, 1.7), two_bumps(2)], ids=lambda base: type(base).__name__)
@pytest.mark.parametrize("build", [realnvp, spline_flow, maf, dense_flow])
def test_a_base_of_one_s_own(build: Callable[..., Flow], base: Density) -> None:
    """Every constructor takes it, and parameters, bijection and map are those of the flow without it: only z is another."""
    flow, usual = build(2, layers=2, base=base), build(2, layers=2)
    assert (flow.base, flow.bijection) == (base, usual.bijection)
    params = randomise(flow.init(generator(0)), generator(1), 0.2)
    tree_map(np.testing.assert_array_equal, flow.init(generator(0)), usual.init(generator(0)))
    noise = flow.noise(generator(2), 6)
    tree_map(np.testing.assert_array_equal, noise, base.noise(generator(2), 6))
    x = flow.sample(params, noise)
    assert np.array_equal(x, usual.sample(params, base.sample(noise)))
    z, log_det = usual.inverse(params, x)
    assert np.array_equal(flow.log_prob(params, x), base.log_prob(z) + log_det)


def test_a_spline_flow_on_a_cube_stays_in_it() -> None:
    """Couplings alone, nothing after them: the cube onto itself, and mass 1 inside, by the midpoint rule."""
    flow = spline_flow(2, 3, HIDDEN, bins=4, bound=2.0, base=Uniform(2, -2.0, 2.0))
    params = randomise(flow.init(generator(0)), generator(1))
    assert isinstance(flow.bijection, Chain)
    assert flow.bijection.layers == spline_flow(2, 3, HIDDEN, bins=4, bound=2.0).bijection.layers[:-1]  # type: ignore[attr-defined]
    x = flow.sample(params, flow.noise(generator(2), 500))
    assert 1.9 < np.abs(x).max() <= 2
    side = (np.arange(400) + 0.5) / 100 - 2
    inside = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
    log_prob = flow.log_prob(params, inside)
    assert np.exp(log_prob).sum() / 100**2 == pytest.approx(1, abs=tolerances.QUADRATURE)
    assert np.ptp(log_prob) > 1
    assert flow.log_prob(params, np.array([[2.5, 0.0]])) == -math.inf


def test_a_flow_on_angles_has_a_uniform_base() -> None:
    """Where noise is uniform on the cube, log_prob is -inf outside its image, and samples lie inside."""
    flow = Flow(Uniform(2, -3.0, 3.0), elementwise(2, SplineTransformer(4, 3.0)))
    params = randomise(flow.init(generator(0)), generator(1))
    x = flow.sample(params, flow.noise(generator(2), 200))
    assert np.abs(x).max() <= 3
    assert np.isfinite(flow.log_prob(params, x)).all()
    assert flow.log_prob(params, np.array([[3.5, 0.0]])) == -math.inf


# ------------------------------------------------------------------------------------------------- the constructors

def test_what_is_chosen_where_nothing_is_said() -> None:
    affine, base = AffineTransformer(3.0), Normal(2)
    assert realnvp(2) == realnvp(2, 8, (64, 64), 0, affine, 0.01, base)
    assert spline_flow(2) == spline_flow(2, 4, (64, 64), 0, 8, 5.0, 0.01, base)
    assert maf(2) == maf(2, 5, (64, 64), 0, affine, base)
    assert dense_flow(2) == dense_flow(2, 4, 0, 0.3, base, "free")


@pytest.mark.parametrize("d", [1, 2, 5])
def test_constructors(d: int) -> None:
    checkerboard = [tuple((i + k) % 2 == 1 for i in range(d)) if d > 1 else (False,) for k in range(4)]
    for flow, spline in ((realnvp(d, 4), False), (spline_flow(d, 4, bins=6, bound=2.0), True)):
        assert isinstance(flow.bijection, Chain)
        *couplings, last = flow.bijection.layers
        assert [layer.mask for layer in couplings if isinstance(layer, Coupling)] == checkerboard
        assert isinstance(last, Coupling)
        assert not any(last.mask)
        if spline:
            assert {layer.transformer for layer in couplings if isinstance(layer, Coupling)} == {SplineTransformer(6, 2.0)}
    chain = maf(d, 3).bijection
    assert isinstance(chain, Chain)
    assert [isinstance(layer, MaskedAutoregressive) for layer in chain.layers] == [True, False, True, False, True]
    for flow in (realnvp(d), maf(d), spline_flow(d), dense_flow(d)):
        assert flow.base == Normal(d)
        params = flow.init(generator(0))
        x, log_p = flow.sample_and_log_prob(params, flow.noise(generator(1), 9))
        np.testing.assert_allclose(flow.log_prob(params, x), log_p, rtol=1e-9)
        assert size(params) > 0


@pytest.mark.parametrize("build", [realnvp, maf, spline_flow])
def test_start_is_close_to_the_base(build: Callable[[int], Flow]) -> None:
    """The networks start near 0, where every transformer is the identity."""
    flow = build(3)
    params = flow.init(generator(0))
    assert isinstance(flow.bijection, Chain)
    layers = flow.bijection.layers[:-1] if build is not maf else flow.bijection.layers
    z = generator(1).standard_normal((50, 3))
    for layer, p in zip(layers, params, strict=False):
        if isinstance(layer, Coupling | MaskedAutoregressive):
            assert np.abs(layer.forward(p, z)[0] - z).max() < 0.2


@pytest.mark.parametrize("d", [2, 5])
def test_every_coordinate_meets_every_other(d: int) -> None:
    for flow in (realnvp(d, 4), spline_flow(d, 4), maf(d, 2), dense_flow(d, 1)):
        params = randomise(flow.init(generator(0)), generator(1), 0.1)
        J = jacobian(lambda z, flow=flow, params=params: flow.sample(params, z[None])[0])(generator(2).uniform(-1, 1, d))
        assert np.all(J != 0)


# -------------------------------------------------------------------------------------------------------- bad input

@every
def test_nan_and_wrong_shapes_are_refused(name: str) -> None:
    case = Case(name, 0, 2, 0)
    x = np.zeros((4, 2))
    x[2, 1] = math.nan
    for f in (case.flow.log_prob, case.flow.inverse):
        with pytest.raises(ValueError, match=r"x must be finite, got 1 NaN .* at index \(2, 1\)"):
            f(case.params, x)
        with pytest.raises(ValueError, match=r"x must have shape \(n, 2\), got \(4, 3\)"):
            f(case.params, np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"x must be finite, got 1 NaN .* at index \(2, 1\)"):
        case.flow.loss(case.params, x, case.noise, energy_score)
    with pytest.raises(ValueError, match=r"x must have shape \(n, 2\), got \(4, 3\)"):
        case.flow.loss(case.params, np.zeros((4, 3)), case.noise, energy_score)


@pytest.mark.parametrize(("act", "message"), [
    (lambda: Flow(Normal(2), dense_flow(3).bijection), "base and bijection must agree in d, got 2 and 3"),
    *((lambda build=build: build(0), "d must be an integer >= 1, got 0") for build in (realnvp, maf, spline_flow, dense_flow)),
    (lambda: realnvp(2, 0), "layers must be an integer >= 1, got 0"),
    (lambda: maf(2, 0), "layers must be an integer >= 1, got 0"),
    (lambda: dense_flow(2, 0), "layers must be an integer >= 1, got 0"),
    (lambda: spline_flow(2, bins=1), "bins must be an integer >= 2, got 1"),
    (lambda: spline_flow(2, bound=3.0, base=Uniform(2, -2.0, 2.0)), r"base must be Uniform\(2, -3.0, 3.0\), the cube"),
    (lambda: dense_flow(2, slope=1.0), "slope must lie strictly between 0 and 1"),
    (lambda: objective_for(maf(2), "enrgy"), "unknown objective 'enrgy', did you mean 'energy'"),
    (lambda: objective_for(maf(2), "quantile"), "quantile objective trains autoregressive quantile flows"),
    (lambda: objective_for(saef(2, 2, block_map="free_form"), "likelihood"), "free-form head has no log_prob"),
    (lambda: objective_for(maf(2), "energy", beta=2.0), "beta must lie strictly between 0 and 2"),
    (lambda: objective_for(maf(2), "energy", draws=1), "draws must be an integer >= 2, got 1"),
    (lambda: Sliced(0.0), "beta must lie strictly between 0 and 2"),
    (lambda: Sliced(1.0, 1), "draws must be an integer >= 2"),
    (lambda: Sliced(1.0, 2, 0), "directions must be an integer >= 1"),
    (lambda: MMD(1), "draws must be an integer >= 2"),
    (lambda: Quantile(0), "draws must be an integer >= 1"),
])
def test_bad_choices(act: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        act()


def test_objectives_by_name() -> None:
    expected = {
        "energy": Energy(0.5, 3), "likelihood": Likelihood(), "sliced": Sliced(0.5, 3), "mmd": MMD(3), "quantile": Quantile(3),
    }
    assert {name: objective_for(aqf(2), name, 0.5, 3) for name in OBJECTIVES} == expected


# ------------------------------------------------------------------------------------------------------------- losses

def test_likelihood_is_the_mean_in_nats() -> None:
    """At parameters 0 an affine flow is N(0, I)."""
    flow = Flow(Normal(2), elementwise(2))
    params = tree_map(np.zeros_like, flow.init(generator(0)))
    x = generator(1).standard_normal((5, 2))
    loss = Likelihood()(params, flow, x, {})
    np.testing.assert_allclose(loss, -scipy.stats.norm.logpdf(x).sum(axis=1).mean(), rtol=1e-12)


@every
@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5])
def test_without_context_all_samples_are_one_forecast(name: str, beta: float) -> None:
    """Batch against batch, any number of samples; and the objective asks for draws * n of them."""
    case = Case(name, 1, 2, 0, n=7)
    x = generator(2).standard_normal((3, 2))
    draws = case.flow.sample(case.params, case.noise)
    loss = case.flow.loss(case.params, x, case.noise, lambda a, b: energy_score(a, b, beta))
    np.testing.assert_allclose(loss, energy_score(draws, x, beta).mean(), rtol=1e-12)
    to_data, to_others = (np.linalg.norm(draws[:, None] - a[None], axis=-1) ** beta for a in (x, draws))
    truth = to_data.mean() - to_others[~np.eye(7, dtype=bool)].mean() / 2
    np.testing.assert_allclose(loss, truth, rtol=tolerances.SMOOTHING)
    energy = Energy(beta, 4)
    noise = energy.noise(generator(3), case.flow, 5)
    assert case.flow.sample(case.params, noise["z"]).shape == (20, 2)


@every
def test_with_context_each_datum_has_draws_of_its_own(name: str) -> None:
    """m draws a datum, each under the datum's context; a plain loop says the same."""
    m, n = 3, 4
    case = Case(name, 5, 2, 2, n=n)
    assert case.context is not None
    x = generator(2).standard_normal((n, 2))
    noise = case.flow.noise(generator(3), m * n)
    loss = case.flow.loss(case.params, x, noise, energy_score, case.context)
    total = 0.0
    for j in range(n):
        mine = tree_map(lambda a, j=j: a[[k * n + j for k in range(m)]], noise)
        draws = case.flow.sample(case.params, mine, np.stack([case.context[j]] * m))
        total += energy_score(draws, x[j : j + 1])[0]
    np.testing.assert_allclose(loss, total / n, rtol=1e-12)


def test_objectives_are_the_scores_they_name() -> None:
    """Unconditional, on one set of samples."""
    case = Case("realnvp", 6, 3, 0)
    x, rng = generator(1).standard_normal((5, 3)), generator(2)
    scores: dict[Objective, Callable[[Tree, Array], Array]] = {
        Energy(0.5, 2): lambda noise, draws: energy_score(draws, x, 0.5),
        Sliced(1.5, 2, 7): lambda noise, draws: sliced_energy_score(draws, x, random_directions(noise["v"]), 1.5),
        MMD(2, (0.5, 2.0)): lambda noise, draws: kernel_score(draws, x, rbf_kernel((0.5, 2.0))),
    }
    for objective, score in scores.items():
        noise = objective.noise(rng, case.flow, 5)
        draws = case.flow.sample(case.params, noise["z"])
        assert len(draws) == 10
        said = objective(case.params, case.flow, x, noise)
        np.testing.assert_allclose(said, score(noise, draws).mean(), rtol=1e-12)


# ------------------------------------------------------------------------------------------- gradients of everything

MODELS: dict[str, Callable[[int, int], Model]] = {
    **FLOWS,
    "aqf-spline": lambda d, c: aqf(d, None, HIDDEN, c, SplineTransformer(4, 4.0)),
    **{f"saef-{m}": lambda d, c, m=m: saef(  # type: ignore[misc]
        d, [1] * (d > 1) + [d - (d > 1)], None, m, HIDDEN, 3, (5,), 2, c) for m in
        ("affine", "dense", "coupling", "spline", "free_form")},
}
GRADED: dict[str, Objective] = {
    "likelihood": Likelihood(), "energy-0.5": Energy(0.5, 3), "energy-1": Energy(1.0, 3), "energy-1.5": Energy(1.5, 3),
    "sliced-1": Sliced(1.0, 3, 4), "sliced-1.5": Sliced(1.5, 3, 4), "mmd": MMD(3, (0.5, 2.0)), "quantile": Quantile(3),
}


def fits(model: str, objective: str) -> bool:
    return {"likelihood": "free_form" not in model, "quantile": "aqf" in model}.get(objective, True)


PAIRS = [(model, objective) for model in MODELS for objective in GRADED if fits(model, objective)]


@pytest.mark.parametrize(("name", "objective"), PAIRS)
@settings(max_examples=3)
@given(seed=seeds, d=st.integers(1, 3), c=contexts)
def test_gradients_against_finite_differences(name: str, objective: str, seed: int, d: int, c: int) -> None:
    """One random direction in all parameters at once. relu is replaced by a smooth activation, so that no kink lies on
    the way; its own gradient is in test_networks.py."""
    rng, n = generator(seed), 4
    model, f = MODELS[name](d, c), GRADED[objective]
    params = randomise(model.init(rng), rng, 0.2)
    x, noise = rng.standard_normal((n, d)), f.noise(rng, model, n)
    context = rng.standard_normal((n, c)) if c else None
    loss: Any = lambda params: f(params, model, x, noise, context)
    with mock.patch.dict(ACTIVATIONS, relu=ACTIVATIONS["silu"]):
        numeric, analytic = directional_check(loss, grad(loss), params, rng)
    assert analytic != 0
    assert abs(numeric - analytic) <= tolerances.GRADIENT_ATOL + tolerances.GRADIENT_RTOL * abs(numeric)


def test_a_quantile_flow_is_a_flow() -> None:
    model = aqf(2)
    assert isinstance(model, AQF)
    assert isinstance(model, Flow)


@pytest.mark.slow
def test_the_spread_of_a_dense_flow_follows_its_context() -> None:
    """y = |x| times noise: intervals of 90 % hold what they say near x = 0 and far from it. 2,000 data: sd 0.007 each."""
    flow, rng = dense_flow(1, 2, 1), generator(0)
    c = rng.uniform(-2, 2, (2000, 1))
    x = (0.1 + np.abs(c)) * rng.standard_normal((2000, 1))
    params, adam = flow.init(rng), Adam()
    state = adam.init(params)
    for _ in range(600):
        slope = grad(lambda p: -anp.mean(flow.log_prob(p, x, c)))(params)
        params, state = adam.update(params, slope, state, 3e-3)
    z = np.abs(flow.inverse(params, x, c)[0][:, 0])
    for near in (np.abs(c[:, 0]) < 0.3, np.abs(c[:, 0]) > 1.5):
        assert abs(np.mean(z[near] < scipy.stats.norm.ppf(0.95)) - 0.9) < 0.06
