"""The normal quantile and the error function: entry by entry, to the ends of their ranges."""
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.reference.core.special import normal_quantile
from evenflow.reference.scores.crps import erf_entries
from tests.agreement.backends import BACKENDS, backend, here, host, same
from tests.agreement.comparison import agreement, dtypes, few
from tests.strategies import generator, seeds
from tests.tolerances import ROUNDINGS, eps


@agreement("core.special.normal_quantile")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, st.sampled_from([(1,), (3, 4), (0,)]), st.floats(0, 37))
def test_normal_quantile(where: str, seed: int, dtype: Any, shape: tuple[int, ...], far: float) -> None:
    """Down to e^-far, and up to the largest number below 1."""
    u = generator(seed).random(shape)
    alpha = np.clip(np.where(u < 0.5, u * math.exp(-far), 1 - (1 - u) * math.exp(-far)), 1e-36, np.nextafter(dtype(1), 0))
    alpha = alpha.astype(dtype)
    expected = normal_quantile(alpha)
    with backend(where):
        a, e = same(normal_quantile(here(alpha)), expected)
    np.testing.assert_allclose(a, e, rtol=4 * eps(dtype), atol=4 * eps(np.float64))


@pytest.mark.parametrize("where", BACKENDS)
def test_normal_quantile_where_its_formula_changes(where: str) -> None:
    """At 0.5 -+ 0.425, and where sqrt(-log alpha) = 5; and of a number that is no array."""
    ends = [0.5, 0.075, 0.925, math.exp(-25.0), 5e-324, 1e-300]
    alpha = np.array([near for end in ends for near in (end, np.nextafter(end, 1), np.nextafter(end, 0)) if near > 0])
    expected = normal_quantile(alpha)
    with backend(where):
        np.testing.assert_allclose(host(normal_quantile(here(alpha))), expected, rtol=4 * eps(np.float64), atol=1e-16)
        assert float(host(normal_quantile(0.25))) == pytest.approx(-0.6744897501960817, rel=1e-15)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("bad", [0.0, 1.0, -0.5, np.nan])
def test_normal_quantile_refuses_what_is_no_level(where: str, bad: float) -> None:
    with backend(where), pytest.raises(ValueError, match="alpha must lie strictly between 0 and 1, got values from"):
        normal_quantile(here(np.array([0.25, bad])))


@agreement("scores.crps.erf_entries")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, st.sampled_from([(1,), (3, 4), (0,)]), st.sampled_from([0.0, 1e-20, 0.5, 3.0, 1e3]))
def test_erf_entries(where: str, seed: int, dtype: Any, shape: tuple[int, ...], size: float) -> None:
    x = (size * generator(seed).standard_normal(shape)).astype(dtype)
    expected = erf_entries(x)
    with backend(where):
        a, e = same(erf_entries(here(x)), expected)
    np.testing.assert_allclose(a, e, rtol=ROUNDINGS * eps(dtype), atol=0)
