"""The one contract that every bijection goes through. Each clause would have caught a mistake that a library shipped."""
import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from itertools import pairwise
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import elementwise_grad, grad, jacobian, make_vjp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array, Tree, leaves, tree_map
from evenflow.reference.flows import (
    PLU,
    AffineTransformer,
    Bijection,
    Chain,
    Coupling,
    Dense,
    Invert,
    LeakyReLU,
    MaskedAutoregressive,
    Permutation,
    SmoothLeakyReLU,
    SplineTransformer,
    elementwise,
    reversal,
)
from evenflow.reference.flows.convolutional import ActNorm, ConvCoupling, EachPlace, Inside
from evenflow.reference.flows.densities import Normal
from evenflow.reference.flows.flow import Flow, dense_flow, maf, realnvp, spline_flow
from evenflow.reference.flows.image import channel_half, checkerboard, glow, image_realnvp, squeeze
from evenflow.reference.flows.spline import SLOPE_LIMIT
from evenflow.reference.saef.image import image_saef
from evenflow.reference.saef.semiautoregressive import SAEF, saef
from tests import tolerances
from tests.strategies import generator, randomise, seeds

Build = Callable[[int, int, np.random.Generator], Bijection]  # d, context_dim, rng (for static choices) -> bijection
HIDDEN = (7, 6)


def order(d: int, rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(i) for i in rng.permutation(d))


def mask(d: int, rng: np.random.Generator) -> tuple[bool, ...]:
    """Any mask that leaves something to transform."""
    chosen = rng.random(d) < 0.5
    chosen[rng.integers(d)] = False
    return tuple(map(bool, chosen))


LEARNED: dict[str, Build] = {  # layers with parameters, which must answer to the context
    "affine": lambda d, c, rng: elementwise(d, AffineTransformer(), c, (5,)),
    "spline": lambda d, c, rng: elementwise(d, SplineTransformer(5, 3.0), c, (5,)),
    "spline-two-bins": lambda d, c, rng: elementwise(d, SplineTransformer(2, 2.0), c),
    "dense": lambda d, c, rng: Dense(d, c),
    "plu": lambda d, c, rng: PLU(order(d, rng), c),
    "coupling-affine": lambda d, c, rng: Coupling(mask(d, rng), AffineTransformer(), HIDDEN, "tanh", c),
    "coupling-spline": lambda d, c, rng: Coupling(mask(d, rng), SplineTransformer(4), HIDDEN, "silu", c),
    "maf-affine": lambda d, c, rng: MaskedAutoregressive(order(d, rng), AffineTransformer(), HIDDEN, "tanh", c),
    "maf-spline": lambda d, c, rng: MaskedAutoregressive(order(d, rng), SplineTransformer(4), HIDDEN, "softplus", c),
    "iaf": lambda d, c, rng: Invert(MaskedAutoregressive(order(d, rng), AffineTransformer(1.0), HIDDEN, "tanh", c)),
    "chain": lambda d, c, rng: Chain((
        Dense(d, c), SmoothLeakyReLU(d), Permutation(order(d, rng)),
        Coupling(mask(d, rng), SplineTransformer(3), HIDDEN, "tanh", c),
        Invert(Chain((elementwise(d, AffineTransformer(1.0), c), SmoothLeakyReLU(d)))),
    )),
    "saef-affine": lambda d, c, rng: random_saef("affine", d, c, rng),
    "saef-dense": lambda d, c, rng: random_saef("dense", d, c, rng),
    "saef-coupling": lambda d, c, rng: random_saef("coupling", d, c, rng),
    "saef-spline": lambda d, c, rng: random_saef("spline", d, c, rng),
    "realnvp": lambda d, c, rng: realnvp(d, 3, HIDDEN, c).bijection,
    "maf": lambda d, c, rng: maf(d, 2, HIDDEN, c).bijection,
    "spline-flow": lambda d, c, rng: spline_flow(d, 2, HIDDEN, c, 4).bijection,
    "dense-flow": lambda d, c, rng: dense_flow(d, 2, c).bijection,
}
FIXED: dict[str, Build] = {
    "leaky": lambda d, c, rng: LeakyReLU(d, 0.2, c),
    "smooth-leaky": lambda d, c, rng: SmoothLeakyReLU(d, 0.1, c),
    "permutation": lambda d, c, rng: Permutation(order(d, rng), c),
    "reversal": lambda d, c, rng: reversal(d),
}
IMAGES: dict[str, Build] = {  # of images of one size, whatever d is asked for
    "squeeze": lambda d, c, rng: squeeze((4, 2, 1)),
    "inside": lambda d, c, rng: Inside(Coupling((True, False), AffineTransformer(), HIDDEN, "tanh", c), (3, 1), 4),
    "each-place-dense": lambda d, c, rng: EachPlace((2, 1, 3), Dense(3)),
    "each-place-plu": lambda d, c, rng: EachPlace((2, 1, 3), PLU((1, 2, 0))),
    "each-place-actnorm": lambda d, c, rng: EachPlace((2, 2, 2), ActNorm(2)),
    "actnorm": lambda d, c, rng: ActNorm(3),
    "conv-checkerboard": lambda d, c, rng: ConvCoupling((2, 3, 1), checkerboard((2, 3, 1), bool(rng.integers(2))), 4, 1, c),
    "conv-channels": lambda d, c, rng: ConvCoupling((2, 1, 3), channel_half((2, 1, 3), bool(rng.integers(2))), 4, 1, c),
    "glow": lambda d, c, rng: glow((2, 2, 2), 1, 2, 4, 1, "free", c).bijection,
    "glow-two-scales": lambda d, c, rng: glow((4, 4, 1), 2, 1, 4, 0, "plu", c).bijection,
    "image-realnvp": lambda d, c, rng: image_realnvp((2, 2, 1), 1, 4, 1, c).bijection,
    "image-saef-affine": lambda d, c, rng: image_of_saef((2, 2, 2), 1, "affine", c),
    "image-saef-dense": lambda d, c, rng: image_of_saef((2, 2, 2), 1, "dense", c),
    "image-saef-coupling": lambda d, c, rng: image_of_saef((2, 4, 1), 2, "coupling", c),
    "image-saef-spline": lambda d, c, rng: image_of_saef((2, 2, 1), 1, "spline", c),
}
ALL = LEARNED | FIXED | IMAGES


def random_saef(name: str, d: int, c: int, rng: np.random.Generator) -> Bijection:
    """Block sizes that need not be equal, along a random order."""
    cuts = np.flatnonzero(rng.random(d - 1) < 0.5) + 1
    sizes = np.diff([0, *cuts, d]).tolist()
    flow = saef(d, sizes, order(d, rng), name, HIDDEN, 3, (5,), 2, c)
    assert isinstance(flow, Flow)
    assert isinstance(flow.bijection, SAEF)
    return flow.bijection


def image_of_saef(shape: tuple[int, int, int], patch: int, name: str, c: int) -> Bijection:
    flow = image_saef(shape, patch, name, (4,), 3, (5,), 1, c)
    assert isinstance(flow, Flow)
    return flow.bijection


class Case:
    """A bijection with random parameters, random inputs and a context where it takes one."""

    def __init__(self, name: str, seed: int, d: int, c: int, n: int = 3, dtype: type = np.float64) -> None:
        rng = generator(seed)
        self.bijection = ALL[name](d, c, rng)
        c, d = self.bijection.context_dim, self.bijection.d
        self.params: Tree = placed(randomise(self.bijection.init(rng), rng, 0.2), dtype)
        self.context: Array = rng.standard_normal((n, c)).astype(dtype) if c else None
        self.z: Array = (2 * rng.standard_normal((n, d))).astype(dtype)

    def forward(self, z: Array) -> tuple[Array, Array]:
        return self.bijection.forward(self.params, z, self.context)

    def inverse(self, x: Array) -> tuple[Array, Array]:
        return self.bijection.inverse(self.params, x, self.context)

    def jacobians(self, direction: str, v: Array) -> Array:
        """(n, d, d), of all rows at once: they do not see each other, as a test below wants it."""
        f = getattr(self.bijection, direction)
        vjp, out = make_vjp(lambda v: f(self.params, v, self.context)[0])(v.astype(np.float64))
        return np.stack([vjp(np.broadcast_to(e, out.shape)) for e in np.eye(out.shape[1])], axis=1)

    def steepness(self) -> list[float]:
        """How much one rounding of each row may grow on the way there and back."""
        Js = self.jacobians("forward", self.z)
        return [float(np.linalg.cond(J, 2) * max(1.0, np.linalg.norm(np.linalg.inv(J), 2))) for J in Js]


every = pytest.mark.parametrize("name", ALL)
few = settings(max_examples=8)  # times all bijections: Jacobians are slow
dims = st.integers(1, 4)
contexts = st.sampled_from([0, 2])


@every
@few
@given(seed=seeds, d=dims, c=contexts)
def test_log_det_is_that_of_the_full_jacobian_both_ways(name: str, seed: int, d: int, c: int) -> None:
    case = Case(name, seed, d, c, n=2)
    x, log_det = case.forward(case.z)
    _, log_det_back = case.inverse(x)
    for direction, points, said in (("forward", case.z, log_det), ("inverse", x, log_det_back)):
        for i, J in enumerate(case.jacobians(direction, points)):
            truth = np.linalg.slogdet(J)[1]
            allowed = tolerances.JACOBIAN_RTOL * max(1.0, abs(truth)) * max(1.0, np.linalg.cond(J))
            assert abs(said[i] - truth) <= allowed, (direction, i)


@every
@few
@given(seed=seeds, d=dims, c=contexts)
def test_forward_jacobian_agrees_with_finite_differences(name: str, seed: int, d: int, c: int) -> None:
    """So that the Jacobians above are not judged by the same autodiff alone."""
    case = Case(name, seed, d, c, n=1)
    (J,), h, steps = case.jacobians("forward", case.z), 1e-6, np.eye(case.bijection.d)

    def f(v: Array) -> Array:
        context = None if case.context is None else case.context.repeat(len(v), 0)
        return case.bijection.forward(case.params, v, context)[0]

    (here,), ahead, behind = f(case.z), f(case.z + h * steps), f(case.z - h * steps)
    one_sided = np.stack([ahead - here, here - behind]) / h
    kink = np.abs(one_sided[0] - one_sided[1])  # a kink (leaky, relu) between the two: either side may be right
    assert np.all(np.abs(one_sided - J.T).min(axis=0) <= 1e-4 * (1 + np.abs(J).max()) + kink)


@every
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@few
@given(seed=seeds, d=dims, c=contexts)
def test_round_trip_both_ways(name: str, dtype: type, seed: int, d: int, c: int) -> None:
    case = Case(name, seed, d, c, dtype=dtype)
    x, log_det = case.forward(case.z)
    z, log_det_back = case.inverse(x)
    x_again, _ = case.forward(z)
    for i, steep in enumerate(case.steepness()):
        size = float(max(np.abs(x[i]).max(), np.abs(case.z[i]).max()))
        allowed = tolerances.round_trip(dtype, steep, size)
        assume(allowed <= 0.1)  # steeper maps lose all digits: nothing would be tested
        assert np.abs(z - case.z)[i].max() <= allowed
        assert np.abs(x_again - x)[i].max() <= allowed
        assert abs(float(log_det[i] + log_det_back[i])) <= allowed


@every
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@few
@given(seed=seeds, d=dims, c=contexts)
def test_dtype_kept_inputs_untouched_and_rows_independent(name: str, dtype: type, seed: int, d: int, c: int) -> None:
    case = Case(name, seed, d, c, dtype=dtype)
    frozen = [*leaves(case.params), case.z] + ([] if case.context is None else [case.context])
    for array in frozen:
        array.flags.writeable = False
    for f, v in ((case.forward, case.z), (case.inverse, case.z)):
        out, log_det = f(v)
        assert out.dtype == log_det.dtype == dtype
        assert out.shape == v.shape
        assert log_det.shape == v.shape[:1]
        one_way = getattr(case.bijection, f.__name__)
        for i in range(3):
            context = None if case.context is None else case.context[i : i + 1]
            alone, log_det_alone = one_way(case.params, v[i : i + 1], context)
            allowed = tolerances.value(dtype, 10 * max(1.0, np.abs(out).max(), np.abs(log_det).max()))
            np.testing.assert_allclose(alone[0], out[i], rtol=0, atol=allowed)
            np.testing.assert_allclose(log_det_alone[0], log_det[i], rtol=0, atol=allowed)
        nobody, none = one_way(case.params, v[:0], None if case.context is None else case.context[:0])
        assert nobody.shape == (0, case.bijection.d)
        assert none.shape == (0,)


@pytest.mark.parametrize("name", [name for name in LEARNED | IMAGES if ALL[name](2, 2, generator(0)).context_dim])
@few
@given(seed=seeds, d=dims)
def test_every_learned_layer_answers_to_its_context(name: str, seed: int, d: int) -> None:
    case = Case(name, seed, d, 2, n=1)
    z = np.tanh(case.z)  # away from the tails of splines, which nothing moves
    f = lambda context: case.bijection.forward(case.params, z, context)[0][0]
    J = jacobian(f)(case.context)[:, 0, :]
    moved = np.abs(J).max(axis=1) > 0
    passes = np.array(getattr(case.bijection, "mask", (False,) * len(moved)))
    if isinstance(case.bijection, Inside):
        passes = np.array([True, False, True, True])
    assert np.all(moved | passes), "a transformed coordinate does not depend on the context"


KNOTS = [2.0, -2.0, 3.0, -3.0, 5.0, -5.0, np.nextafter(5.0, 6.0), np.nextafter(-3.0, -4.0)]
EDGES = [0.0, -0.0, 1e-300, -1e-30, 1e3, -1e6, 1e30, *KNOTS]


@every
@few
@given(seed=seeds, d=dims, c=contexts, data=st.data())
def test_values_and_gradients_are_finite_at_and_beyond_every_boundary(
    name: str, seed: int, d: int, c: int, data: st.DataObject
) -> None:
    """Knots, tails, +-0, huge and tiny values; also where all coordinates lie in the tails."""
    case = Case(name, seed, d, c, n=2)
    many = 2 * case.bijection.d
    v = np.array(data.draw(st.lists(st.sampled_from(EDGES), min_size=many, max_size=many))).reshape(2, -1)
    for f in (case.bijection.forward, case.bijection.inverse):
        out, log_det = f(case.params, v, case.context)
        assert np.isfinite(out).all()
        assert np.isfinite(log_det).all()

        def total(given: dict[str, Tree], f: Callable[..., tuple[Array, Array]] = f) -> Array:
            out, log_det = f(given.get("params", case.params), given["v"], case.context)
            return anp.sum(out) + anp.sum(log_det)

        learned = any(np.size(p) for p in leaves(case.params))
        gradients = grad(total)({"params": case.params, "v": v} if learned else {"v": v})
        assert all(np.isfinite(leaf).all() for leaf in leaves(gradients))


@every
@few
@given(seed=seeds, d=dims)
def test_huge_values_come_back(name: str, seed: int, d: int) -> None:
    case = Case(name, seed, d, 0, n=1)
    v = 1e6 * np.sign(case.z)
    there = case.forward(v)[0]
    back = case.inverse(there)[0]
    (J,) = case.jacobians("forward", v)
    steep = np.linalg.cond(J) * max(1.0, np.linalg.norm(np.linalg.inv(J), 2))
    assert np.abs(back - v).max() <= tolerances.round_trip(np.float64, steep, np.abs(there).max())


@every
def test_wrong_shapes_are_refused_by_name(name: str) -> None:
    case = Case(name, 0, 3, 2)
    d, other = case.bijection.d, np.zeros((3, 5))
    with pytest.raises(ValueError, match=rf"z must have shape \(n, {d}\), got \(3, 5\)"):
        case.bijection.forward(case.params, other, case.context)
    with pytest.raises(ValueError, match=rf"x must have shape \(n, {d}\), got \(5,\)"):
        case.bijection.inverse(case.params, other[0], case.context)
    wrong = None if case.context is not None else other
    with pytest.raises(ValueError, match="context must"):
        case.bijection.forward(case.params, case.z, wrong)
    if case.context is not None:
        with pytest.raises(ValueError, match=r"context must have shape \(3, 2\), got \(2, 2\)"):
            case.bijection.forward(case.params, case.z, case.context[:2])


@pytest.mark.parametrize("name", LEARNED)
@few
@given(seed=seeds)
def test_density_integrates_to_one_on_a_line(name: str, seed: int) -> None:
    check_mass(name, seed, 1, 0, 4001)


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("seed", range(3))
def test_density_integrates_to_one_on_a_plane(name: str, seed: int) -> None:
    check_mass(name, seed, 2, 2, 501)


def check_mass(name: str, seed: int, d: int, c: int, points: int) -> None:
    """The trapezoidal rule over the box that holds all samples of the flow, and some room."""
    case = Case(name, seed, d, c, n=1)
    params = tree_map(lambda p: 0.5 * p, case.params)  # milder, so that a grid resolves it
    flow = Flow(Normal(d), case.bijection)
    context = None if case.context is None else np.repeat(case.context, 4000, axis=0)
    samples = flow.sample(params, flow.noise(generator(seed), 4000), context)
    room = 1.0 + 0.5 * np.ptp(samples, axis=0)
    axes = [np.linspace(low - r, high + r, points) for low, high, r in zip(samples.min(0), samples.max(0), room, strict=True)]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, d)
    context = None if case.context is None else np.repeat(case.context, len(x), axis=0)
    mass = np.exp(flow.log_prob(params, x, context)).sum() * math.prod(a[1] - a[0] for a in axes)
    assert abs(mass - 1) <= tolerances.QUADRATURE


@given(seed=seeds, d=dims)
def test_autoregressive_zeros_are_exact_in_any_order(seed: int, d: int) -> None:
    case = Case("maf-spline", seed, d, 0, n=1)
    (J,) = case.jacobians("inverse", case.z)
    place = list(case.bijection.order)  # type: ignore[attr-defined]
    J = J[np.ix_(place, place)]
    assert np.all(np.triu(J, 1) == 0)
    assert np.all(np.diag(J) > 0)


def test_iaf_is_maf_the_other_way_round() -> None:
    case = Case("maf-affine", 3, 3, 2)
    flipped = Invert(case.bijection)
    for a, b in zip(flipped.forward(case.params, case.z, case.context), case.inverse(case.z), strict=True):
        assert np.array_equal(a, b)


def test_splines_are_the_identity_at_their_start() -> None:
    """With linear tails some libraries' identity start is off by 8e-3, with slope 1.3 at the boundary."""
    z = np.linspace(-7, 7, 1001)[:, None]
    layer = elementwise(1, SplineTransformer())
    params = tree_map(np.zeros_like, layer.init(generator(0)))
    x, log_det = layer.forward(params, z)
    np.testing.assert_allclose(x, z, rtol=0, atol=1e-14)
    np.testing.assert_allclose(log_det, 0, rtol=0, atol=1e-14)


@given(seed=seeds)
def test_spline_is_continuous_and_smooth_across_knots_and_into_the_tails(seed: int) -> None:
    rng = generator(seed)
    transformer = SplineTransformer(5, 2.0)
    raw = rng.standard_normal((1, transformer.width))
    x_knots, y_knots, slopes = transformer.shape(raw)
    at: Callable[[Array], tuple[Array, Array]] = lambda z: transformer.forward(np.repeat(raw, len(z), axis=0), z)
    x, log_slope = at(x_knots[0])
    np.testing.assert_allclose(x, y_knots[0], rtol=0, atol=1e-13)
    np.testing.assert_allclose(np.exp(log_slope), slopes[0], rtol=1e-10)
    for side in (-1e-12, 1e-12):
        x_near, log_slope_near = at(x_knots[0] + side)
        np.testing.assert_allclose(x_near, x, rtol=0, atol=1e-7)
        np.testing.assert_allclose(log_slope_near, log_slope, rtol=0, atol=1e-5)
    fine = np.linspace(-4, 4, 2001)
    assert all(a < b for a, b in pairwise(at(fine)[0]))


def test_leaky_by_hand() -> None:
    z, x = np.array([[-2.0, -0.5, -1e-9], [0.0, 1e-9, 0.5], [1.0, 1.5, 2.0]]), np.zeros((3, 3))
    x[0], x[1:] = 0.2 * z[0], z[1:]
    said, log_det = LeakyReLU(3, 0.2).forward({}, z)
    back, log_det_back = LeakyReLU(3, 0.2).inverse({}, x)
    np.testing.assert_allclose(said, x, rtol=1e-15)
    np.testing.assert_allclose(back, z, rtol=1e-15)
    np.testing.assert_allclose(log_det, [3 * math.log(0.2), 0, 0], rtol=1e-15)
    np.testing.assert_allclose(log_det_back, -log_det, rtol=1e-15)


def test_smooth_leaky_has_the_slopes_it_says() -> None:
    z = np.array([[-1e8], [0.0], [1e8]])
    slopes = elementwise_grad(lambda z: SmoothLeakyReLU(1, 0.3).forward({}, z)[0])(z)
    np.testing.assert_allclose(slopes[:, 0], [0.3, 0.65, 1.0], rtol=1e-9)


@pytest.mark.parametrize("build", [
    *(lambda name=name: ALL[name](3, 0, generator(5)) for name in ALL), AffineTransformer, SplineTransformer,
])
def test_a_bijection_is_its_choices(build: Callable[[], Any]) -> None:
    """Equal and of one hash where these are equal; they cannot be changed."""
    one, other = build(), build()
    assert one == other
    assert hash(one) == hash(other)
    for name in (*(field.name for field in fields(one)), "something"):
        with pytest.raises(FrozenInstanceError):
            setattr(one, name, None)


def test_what_is_chosen_where_nothing_is_said() -> None:
    affine = AffineTransformer(3.0)
    assert AffineTransformer() == affine
    assert SplineTransformer() == SplineTransformer(8, 5.0)
    assert Coupling((True, False)) == Coupling((True, False), affine, (64, 64), "relu", 0, 0.01)
    assert elementwise(2) == Coupling((False, False), affine, (), "relu", 0, 0.01)
    assert MaskedAutoregressive((1, 0)) == MaskedAutoregressive((1, 0), affine, (64, 64), "relu", 0)
    assert LeakyReLU(2) == LeakyReLU(2, 0.3, 0)
    assert SmoothLeakyReLU(2) == SmoothLeakyReLU(2, 0.3, 0)
    for layer in (Dense(2), PLU((1, 0)), Permutation((1, 0)), reversal(2)):
        assert layer.context_dim == 0


@pytest.mark.parametrize(("build", "message"), [
    (lambda: Coupling((True, True)), "mask must leave at least one"),
    (lambda: MaskedAutoregressive((0, 2)), "order must hold each of 0"),
    (lambda: Permutation((1, 1)), "order must hold each of 0"),
    (lambda: Chain(()), "layers must hold at least one"),
    (lambda: Chain((Dense(2), Dense(3))), r"layers must agree in d, got \[2, 3\]"),
    (lambda: Chain((Dense(2, 1), Dense(2, 3))), "layers must agree in context_dim"),
    *((lambda layer=layer, slope=slope: layer(2, slope), f"slope must lie strictly between 0 and 1, got {slope}")
      for layer in (LeakyReLU, SmoothLeakyReLU) for slope in (1.5, 1.0, 0.0, -0.5)),
    (lambda: SplineTransformer(1), "bins must be an integer >= 2, got 1"),
    (lambda: SplineTransformer(1000), "bins must be fewer than 1000"),
    (lambda: SplineTransformer(4, -1.0), "bound must be positive"),
    (lambda: AffineTransformer(0.0), "limit must be positive"),
    (lambda: Dense(0), "d must be an integer >= 1"),
    (lambda: Coupling((False,), activation="tahn").net, "unknown activation 'tahn', did you mean 'tanh'"),
])
def test_bad_choices_are_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("raw", [-1e6, -40.0, 40.0, 1e6])
def test_no_raw_number_of_a_network_gets_past_the_bounds_of_the_scales(raw: float) -> None:
    """exp of a raw 1e6 would be infinite; e^limit is not."""
    one = np.full((1, 1), 0.5)
    for limit in (1.0, 3.0):
        _, log_slope = AffineTransformer(limit).forward(np.full((1, 1, 2), raw), one)
        assert abs(log_slope[0, 0]) <= limit
    spline = SplineTransformer(4)
    slopes = spline.shape(np.full((1, spline.width), raw))[2]
    assert np.abs(np.log(slopes)).max() <= SLOPE_LIMIT * (1 + 1e-12)
    plu = PLU((0,))
    params = {**plu.init(generator(0)), "log_diagonal": np.array([raw])}
    assert abs(plu.forward(params, one)[1][0]) <= 5.0


def test_cores_never_broadcast() -> None:
    """A conditioner output of the wrong width must not halve the log_det in silence."""
    with pytest.raises(ValueError, match=r"raw must have shape \(3, 2, 2\), got \(3, 1, 2\)"):
        AffineTransformer().forward(np.zeros((3, 1, 2)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="raw must have shape"):
        SplineTransformer(4).inverse(np.zeros((3, 2, 10)), np.zeros((3, 2)))
