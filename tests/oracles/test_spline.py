"""The rational-quadratic spline against TensorFlow Probability's, on the same constrained knots."""
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.reference.core.trees import Array
from evenflow.reference.flows import rational_quadratic_spline, rational_quadratic_spline_inverse
from tests import tolerances
from tests.strategies import generator, seeds

pytestmark = pytest.mark.peers

tfb: Any = pytest.importorskip("tensorflow_probability.substrates.numpy.bijectors", reason="the oracle for splines")

BOUND = 3.0


def legal_knots(rng: np.random.Generator, K: int, n: int) -> tuple[Array, Array, Array]:
    """Widths (n, K), heights (n, K), inner slopes (n, K - 1); bins from thin to wide, slopes 1 at both ends."""
    widths, heights = (2 * BOUND * rng.dirichlet(np.ones(K), n) * 0.97 + 2 * BOUND * 0.03 / K for _ in range(2))
    return widths, heights, np.exp(rng.uniform(-2, 2, (n, K - 1)))


def ours(widths: Array, heights: Array, inner: Array) -> tuple[Array, Array, Array]:
    x_knots, y_knots = (np.cumsum(np.pad(a, ((0, 0), (1, 0))), axis=1) - BOUND for a in (widths, heights))
    return x_knots, y_knots, np.pad(inner, ((0, 0), (1, 1)), constant_values=1.0)


@given(seed=seeds, K=st.integers(2, 8))
def test_spline_and_inverse_agree_with_tfp(seed: int, K: int) -> None:
    """Inside, at the knots and in the tails (the identity: the slopes at the ends are 1)."""
    rng, n = generator(seed), 40
    widths, heights, inner = legal_knots(rng, K, n)
    shape = ours(widths, heights, inner)
    theirs = tfb.RationalQuadraticSpline(widths[:, None], heights[:, None], inner[:, None], range_min=-BOUND)
    z = rng.uniform(-1.3 * BOUND, 1.3 * BOUND, n)
    z[: K + 1] = shape[0][range(K + 1), range(K + 1)]  # row k at its own knot k
    x, log_slope = rational_quadratic_spline(z, *shape)
    back, log_slope_back = rational_quadratic_spline_inverse(x, *shape)
    rounding = tolerances.value(np.float64, BOUND)
    steep = np.exp(np.abs(log_slope)).max()  # a rounding of the place on the way back moves the slope there
    for said, expected, allowed in (
        (x, theirs.forward(z[:, None]), rounding),
        (log_slope, theirs.forward_log_det_jacobian(z[:, None], event_ndims=0), rounding),
        (back, theirs.inverse(x[:, None]), rounding),
        (log_slope_back, theirs.inverse_log_det_jacobian(x[:, None], event_ndims=0), steep * rounding),
    ):
        np.testing.assert_allclose(said, expected[:, 0], rtol=0, atol=allowed)
