"""What the kernels that keep a network in shared memory are compiled for in tests: every tile, every activation, once each."""
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from hypothesis import strategies as st

from evenflow.accel.kernels import network
from evenflow.accel.kernels.network import Form

NETWORKS = st.sampled_from([(32, 64, 64, 64), (5,), (), (70, 3), (4, 4, 4, 4, 4, 4)])
COMPILED = st.sampled_from([("leaky_relu", 0), ("tanh", 1), ("softplus", 2), ("relu", 3), ("leaky_relu", 4)])  # with a tile


@contextmanager
def only(form: Form) -> Iterator[None]:
    """Every kernel with this tile; else few chains get the smallest."""
    before = network.FORMS
    network.FORMS = dict.fromkeys(before, (form,))
    try:
        yield
    finally:
        network.FORMS = before


def of_form(number: int, dtype: Any) -> Any:
    forms = network.FORMS[np.dtype(dtype).itemsize]
    return only(forms[number % len(forms)])
