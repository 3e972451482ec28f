"""Couplings, transformers, spline cores and knots, both ways: inside, at, and far outside the knots; any mask and context."""
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.accel.core import networks
from evenflow.reference.core.dispatch import definitions
from evenflow.reference.core.networks import ACTIVATIONS
from evenflow.reference.core.trees import Array, Tree, tree_map
from evenflow.reference.flows import (
    AffineTransformer,
    Chain,
    Coupling,
    Dense,
    SplineTransformer,
    elementwise,
    rational_quadratic_spline,
    rational_quadratic_spline_inverse,
)
from evenflow.reference.flows import spline as splines
from evenflow.reference.saef.maps import FreeFormHead
from evenflow.reference.saef.semiautoregressive import draws_of
from tests import tolerances
from tests.agreement.backends import BACKENDS, backend, here, host
from tests.agreement.comparison import agree, agreement, cotangents, dtypes, few
from tests.strategies import generator, randomise, seeds


class Doubled(AffineTransformer):
    """A transformer of one's own, that no backend may take for the one it is derived from."""

    def shape(self, raw: Array) -> tuple[Array, Array]:
        log_scale, shift = super().shape(raw)
        return log_scale, 2 * shift


transformers = st.sampled_from([
    AffineTransformer(), AffineTransformer(0.5), SplineTransformer(2, 1.5), SplineTransformer(5, 3.0), Doubled(),
])
masks = st.lists(st.booleans(), min_size=1, max_size=5).filter(lambda mask: not all(mask)).map(tuple)
hiddens = st.sampled_from([(), (5,), (6, 4)])
scales = st.sampled_from([0.3, 1.0, 5.0])      # of the inputs: inside a spline, at its ends, mostly outside
flats = st.sampled_from([0.3, 3.0])            # of the parameters: gentle, and log scales and slopes at their limits
cores = pytest.mark.parametrize("core", [rational_quadratic_spline, rational_quadratic_spline_inverse])


def in_dtype(tree: Tree, dtype: Any) -> Tree:
    return tree_map(lambda leaf: np.asarray(leaf).astype(dtype), tree)


@agreement("flows.coupling.Coupling.forward", "flows.coupling.Coupling.inverse")
@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("way", ["forward", "inverse"])
@few
@given(
    seeds, dtypes, cotangents, masks, transformers, hiddens, st.sampled_from(sorted(ACTIVATIONS)), st.integers(0, 2),
    st.sampled_from([1, 2, 11]), scales, st.sampled_from([2, 1024]),
)
def test_couplings(
    where: str, way: str, seed: int, dtype: Any, used: str, mask: tuple[bool, ...], transformer: Any, hidden: tuple[int, ...],
    activation: str, context: int, n: int, scale: float, piece: int,
) -> None:
    T, rng = Coupling(mask, transformer, hidden, activation, context, final_scale=1.0), generator(seed)
    args = {"params": randomise(T.init(rng), rng), "v": scale * rng.standard_normal((n, len(mask)))}
    if context:
        args["context"] = rng.standard_normal((n, context))
    with mock.patch.object(networks, "ROWS", piece):
        agree(where, lambda params, v, context=None: getattr(T, way)(params, v, context), in_dtype(args, dtype), used)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("way", ["forward", "inverse"])
@pytest.mark.parametrize("transformer", [AffineTransformer(), SplineTransformer()])
def test_couplings_of_more_rows_than_one_piece(where: str, way: str, transformer: Any) -> None:
    T, rng = Coupling((True, False, True), transformer, (4,), context_dim=1, final_scale=1.0), generator(1)
    n = networks.ROWS + 1
    args = {"params": T.init(rng), "v": 3 * rng.standard_normal((n, 3)), "context": rng.standard_normal((n, 1))}
    agree(where, lambda **args: getattr(T, way)(*args.values()), in_dtype(args, np.float32), "both")


@agreement("flows.affine.AffineTransformer.forward", "flows.affine.AffineTransformer.inverse")
@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("way", ["forward", "inverse"])
@few
@given(seeds, dtypes, cotangents, st.sampled_from([(), (4,), (2, 3), (2, 1, 3)]), st.sampled_from([0.1, 3.0, 100.0]), scales)
def test_affine_transformers(
    where: str, way: str, seed: int, dtype: Any, used: str, shape: tuple[int, ...], size: float, scale: float
) -> None:
    """size, of the raw numbers: at 100 the log scales are at their limits and have no slope left."""
    T, rng = AffineTransformer(2.0), generator(seed)
    args = in_dtype({"raw": size * rng.standard_normal((*shape, 2)), "v": scale * rng.standard_normal(shape)}, dtype)
    agree(where, lambda raw, v: getattr(T, way)(raw, v), args, used)


@agreement("flows.spline.SplineTransformer.forward", "flows.spline.SplineTransformer.inverse")
@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("way", ["forward", "inverse"])
@few
@given(
    seeds, dtypes, cotangents, st.sampled_from([(), (4,), (2, 3), (2, 1, 3)]), st.sampled_from([2, 3, 8]),
    st.sampled_from([0.1, 3.0]), scales,
)
def test_spline_transformers(
    where: str, way: str, seed: int, dtype: Any, used: str, shape: tuple[int, ...], bins: int, size: float, scale: float
) -> None:
    """size, of the raw numbers."""
    T, rng = SplineTransformer(bins, 1.5), generator(seed)
    args = in_dtype({"raw": size * rng.standard_normal((*shape, T.width)), "v": scale * rng.standard_normal(shape)}, dtype)
    agree(where, lambda raw, v: getattr(T, way)(raw, v), args, used)


def bent(rng: Any, shape: tuple[int, ...], bins: int, flat: float) -> tuple[Array, Array, Array]:
    """Knots from -1 to 1 or beyond and slopes, in general position; the outer slopes are not 1."""
    x, y = (splines.knots(flat * rng.standard_normal((*shape, bins)), -1.0, high) for high in (1.0, 2.5))
    return x, y, np.exp(flat * rng.standard_normal((*shape, bins + 1)))


@agreement("flows.spline.rational_quadratic_spline", "flows.spline.rational_quadratic_spline_inverse")
@cores
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, cotangents, st.sampled_from([(1,), (9,), (3, 2)]), st.integers(1, 6), flats, scales)
def test_spline_cores(
    core: Any, where: str, seed: int, dtype: Any, used: str, shape: tuple[int, ...], bins: int, flat: float, scale: float
) -> None:
    rng = generator(seed)
    x, y, slopes = bent(rng, shape, bins, min(flat, 1.0))
    args = in_dtype({"v": scale * rng.standard_normal(shape), "x": x, "y": y, "slopes": slopes}, dtype)
    agree(where, lambda v, x, y, slopes: core(v, x, y, slopes), args, used)


def exact_spline(*args: Array) -> Any:
    """The definition alone: the gate before it would make float64 of long doubles."""
    return definitions["flows.spline.rational_quadratic_spline"](*args)


def bisected(x: Array, shape: tuple[Array, ...]) -> tuple[Array, Array]:
    """The spline's inverse in long double, by bisection, and its log slope."""
    x, low, high = x.astype(np.longdouble), *(shape[0][:, end].astype(np.longdouble) for end in (0, -1))
    shape = tuple(part.astype(np.longdouble) for part in shape)
    for _ in range(70):
        z = (low + high) / 2
        below = exact_spline(z, *shape)[0] < x
        low, high = np.where(below, z, low), np.where(below, high, z)
    return z, -exact_spline(z, *shape)[1]


@pytest.mark.parametrize("where", ["reference", *BACKENDS])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [2.0, 10.0, 30.0])
def test_splines_keep_their_digits_both_ways(where: str, dtype: Any, spread: float) -> None:
    """Bins far flatter and far steeper than their ends, anywhere in them (at the knot there is a vector)."""
    rng, T, n = generator(0), SplineTransformer(), 3000
    shape = T.shape((spread * rng.standard_normal((n, T.width))).astype(dtype))
    y, rows, k = shape[1], np.arange(n), rng.integers(T.bins, size=n)
    x = (y[rows, k] + (y[rows, k + 1] - y[rows, k]) * rng.random(n)).astype(dtype)
    z, log_slope = bisected(x, shape)
    v = rng.uniform(-5, 5, n).astype(dtype)
    there, steep = exact_spline(*(a.astype(np.longdouble) for a in (v, *shape)))
    with backend(where):
        said = *rational_quadratic_spline_inverse(*here([x, *shape])), *rational_quadratic_spline(*here([v, *shape]))
    for got, exact in zip(host(list(said)), (z, log_slope, there, steep), strict=True):
        np.testing.assert_allclose(got, exact.astype(float), rtol=0, atol=tolerances.value(dtype, T.bound))


@cores
@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("used", ["both", "first", "second"])
def test_points_on_knots_belong_to_the_reference_s_bin(core: Any, where: str, dtype: Any, used: str) -> None:
    """On every knot, both ends included, and a step beyond each end: numbers that both dtypes hold exactly. Left and right
    of a knot the log slope bends differently, so its gradient tells in which bin a point was put."""
    knots = np.array([-2.0, -1.0, 0.5, 1.0, 4.0])
    other = np.array([-3.0, -1.5, -1.0, 2.0, 2.25])
    points = np.concatenate([knots, [-3.0, 8.0, 1000.0, -1000.0]])
    x, y = (knots, other) if core is rational_quadratic_spline else (other, knots)
    x, y, slopes = (np.tile(row, (len(points), 1)) for row in (x, y, np.array([0.5, 2.0, 1.0, 0.25, 3.0])))
    args = in_dtype({"v": points, "x": x, "y": y, "slopes": slopes}, dtype)
    agree(where, lambda v, x, y, slopes: core(v, x, y, slopes), args, used, rounded=False)


@agreement("flows.spline.knots")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, st.sampled_from([(1,), (4,), (2, 3)]), st.integers(1, 7), st.sampled_from([0.0, 1.0, 50.0, 1e4]))
def test_knots(where: str, seed: int, dtype: Any, shape: tuple[int, ...], bins: int, size: float) -> None:
    raw = size * generator(seed).standard_normal((*shape, bins))
    agree(where, lambda raw: splines.knots(raw, -2.0, 3.0), in_dtype({"raw": raw}, dtype))


BLOCK_MAPS: dict[str, Any] = {
    "couplings": Chain((Coupling((True, False), AffineTransformer(), (4,), context_dim=2, final_scale=1.0),
                        elementwise(2, AffineTransformer(5.0), 2, final_scale=1.0))),
    "splines": Chain((Coupling((False, True), SplineTransformer(3), (4,), context_dim=2, final_scale=1.0),
                      Coupling((False, True), SplineTransformer(3), (4,), context_dim=2, final_scale=1.0))),
    "layers that are no couplings": Chain((Dense(2, 2), elementwise(2, AffineTransformer(), 2))),
    "a transformer of one's own": Chain((Coupling((True, False), Doubled(), (4,), context_dim=2),)),
    "not a chain": FreeFormHead(2, 2, (5,)),
    "one without the context": Chain((Coupling((True, False), hidden=(3,)), elementwise(2, AffineTransformer(), 2))),
}


@agreement("flows.compose.Chain.forward", "flows.compose.Chain.inverse")
@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("way", ["forward", "inverse"])
@pytest.mark.parametrize("name", [name for name in BLOCK_MAPS if name != "not a chain"])
@settings(few, max_examples=6)
@given(seeds, dtypes, cotangents, st.sampled_from([1, 7]), st.sampled_from([3, 1024]))
def test_chains(where: str, way: str, name: str, seed: int, dtype: Any, used: str, n: int, piece: int) -> None:
    T, rng = BLOCK_MAPS[name], generator(seed)
    args = {"params": randomise(T.init(rng), rng), "v": rng.standard_normal((n, 2)), "context": rng.standard_normal((n, 2))}
    with mock.patch.object(networks, "ROWS", piece):
        agree(where, lambda params, v, context: getattr(T, way)(params, v, context), in_dtype(args, dtype), used)


@agreement("saef.semiautoregressive.draws_of")
@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("name", BLOCK_MAPS)
@settings(few, max_examples=8)
@given(seeds, dtypes, st.integers(1, 5), st.sampled_from([1, 3, 6]), st.sampled_from([1, 4, 7, 1024]))
def test_draws_that_share_a_context(where: str, name: str, seed: int, dtype: Any, m: int, rows: int, piece: int) -> None:
    """piece: rows at a time, less than the contexts, as many, several draws, and all."""
    T, rng = BLOCK_MAPS[name], generator(seed)
    args = {"params": randomise(T.init(rng), rng), "z": rng.standard_normal((m, rows, 2)), "h": rng.standard_normal((rows, 2))}
    with mock.patch.object(networks, "ROWS", piece):
        agree(where, lambda params, z, h: draws_of(T, params, z, h), in_dtype(args, dtype))


@pytest.mark.parametrize("where", BACKENDS)
def test_more_draws_than_one_piece(where: str) -> None:
    T, rng = BLOCK_MAPS["couplings"], generator(2)
    for m, rows in ((5, 400), (2, 1100)):
        args = {"params": T.init(rng), "z": rng.standard_normal((m, rows, 2)), "h": rng.standard_normal((rows, 2))}
        agree(where, lambda params, z, h: draws_of(T, params, z, h), in_dtype(args, np.float32))


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("transformer", [AffineTransformer(), SplineTransformer(3, 1.5)])
def test_saturated_couplings_stay_finite(where: str, transformer: Any) -> None:
    """Parameters and inputs far out: log scales at their limits, points in the tails."""
    T, rng = Coupling((True, False), transformer, (5,), "tanh", final_scale=1.0), generator(5)
    args = in_dtype({"params": randomise(T.init(rng), rng, 30.0), "v": 1e3 * rng.standard_normal((7, 2))}, np.float32)
    for way in (T.forward, T.inverse):
        agree(where, lambda params, v, way=way: way(params, v), args, "both")


class Turned(Coupling):
    """A coupling of one's own."""

    def raw(self, params: Tree, passing: Array, context: Array | None) -> Array:
        return -super().raw(params, passing, context)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("T", [Coupling((True, False), Doubled(), (4,)), Turned((True, False), AffineTransformer(), (4,))])
def test_what_is_derived_from_a_known_class_is_not_mistaken_for_it(where: str, T: Coupling) -> None:
    rng = generator(3)
    args = {"params": randomise(T.init(rng), rng), "v": rng.standard_normal((5, 2))}
    for way in (T.forward, T.inverse):
        agree(where, lambda params, v, way=way: way(params, v), args, "both")


@pytest.mark.parametrize("where", BACKENDS)
def test_bad_shapes_are_named(where: str) -> None:
    T = Coupling((True, False))
    with backend(where):
        params, v = here(T.init(generator(0))), here(np.zeros((3, 3)))
        for way, name in ((T.forward, "z"), (T.inverse, "x")):
            with pytest.raises(ValueError, match=rf"{name} must have shape \(n, 2\), got \(3, 3\)"):
                way(params, v)
        with pytest.raises(ValueError, match=r"raw must have shape \(3, 3, 2\), got \(3, 3\)"):
            AffineTransformer().forward(v, v)
        with pytest.raises(ValueError, match="x_knots must have shape"):
            rational_quadratic_spline(v, v, v, v)
        with pytest.raises(ValueError, match="y_knots must have the shape of x_knots"):
            rational_quadratic_spline_inverse(v[:, 0], v, v[:, :2], v)
