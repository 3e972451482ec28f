"""From an interval to the line and back, on every backend: nothing is replaced, all must dispatch."""
from typing import Any

import numpy as np
import pytest

from evenflow.reference.work.bounds import from_line, to_line
from tests.agreement.backends import BACKENDS
from tests.agreement.comparison import agree
from tests.agreement.test_bijections import in_dtype
from tests.strategies import generator

LOW, HIGH = np.array([-1.0, 2.0, -np.inf, -np.inf]), np.array([3.0, np.inf, 5.0, np.inf])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("where", BACKENDS)
def test_both_ways(where: str, dtype: Any) -> None:
    t = generator(0).standard_normal((5, 4))
    agree(where, lambda t: from_line(t, LOW, HIGH), in_dtype({"t": t}, dtype))
    agree(where, lambda y: to_line(y, LOW, HIGH), in_dtype({"y": from_line(t, LOW, HIGH)[0]}, dtype))
