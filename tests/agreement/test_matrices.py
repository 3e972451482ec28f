"""Columns taken and put, in any order; rows repeated."""
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.reference.core import put, repeated, take
from evenflow.reference.core.matrices import product
from tests.agreement.backends import BACKENDS, backend, here
from tests.agreement.comparison import agree, agreement, dtypes, few
from tests.agreement.test_bijections import in_dtype
from tests.standin import counting
from tests.strategies import generator, seeds

shapes = st.tuples(st.integers(1, 4), st.integers(1, 6))


@agreement("core.matrices.take", "core.matrices.put")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, shapes, st.integers(1, 6))
def test_columns(where: str, seed: int, dtype: Any, shape: tuple[int, int], k: int) -> None:
    rng = generator(seed)
    columns = rng.permutation(shape[1])[:k].tolist()
    x, values = rng.standard_normal(shape), rng.standard_normal((shape[0], len(columns)))
    agree(where, lambda x: take(x, columns), in_dtype({"x": x}, dtype))
    agree(where, lambda x, values: put(x, columns, values), in_dtype({"x": x, "values": values}, dtype))


@agreement("core.matrices.product")
@pytest.mark.parametrize("where", BACKENDS)
@few
@given(seeds, dtypes, shapes, st.integers(0, 3))
def test_product(where: str, seed: int, dtype: Any, shape: tuple[int, int], m: int) -> None:
    rng = generator(seed)
    agree(where, product, in_dtype({"a": rng.standard_normal(shape), "b": rng.standard_normal((shape[1], m))}, dtype))


@pytest.mark.parametrize("where", BACKENDS)
def test_repeated_rows(where: str) -> None:
    agree(where, lambda x: repeated(x, 3), in_dtype({"x": generator(0).standard_normal((2, 5))}, np.float32))


def test_the_tables_stay_on_the_device() -> None:
    with backend("standin"):
        x, values = here(np.ones((3, 4), np.float32)), here(np.ones((3, 2), np.float32))
        for _ in range(2):
            with counting() as count:
                put(x, (3, 1), values)
                take(repeated(x, 2), (3, 1))
        assert (count.uploads, count.synchronisations) == (0, 0)
        assert count.by_name["put_columns"] == count.by_name["take_columns"] == 1
