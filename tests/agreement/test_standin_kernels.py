"""The stand-in launches CUDA sources as CuPy does, and refuses what a device would refuse or take wrongly."""
from typing import Any

import numpy as np
import pytest

from tests.standin import counting, xp

SOURCE = """
extern "C" __global__ void scaled(const float* x, float* y, float a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i];
}
"""


THREE, FIVE = np.float32(3), np.int32(5)


def scaled(x: Any, y: Any, a: Any = THREE, n: Any = FIVE, grid: Any = (2,), block: Any = (4,), shared_mem: int = 0) -> None:
    kernel = xp.RawModule(code=SOURCE, options=("-std=c++17",)).get_function("scaled")
    kernel(grid, block, (x, y, a, n), shared_mem=shared_mem)


def test_a_kernel_runs_and_is_one_launch() -> None:
    x, y = xp.arange(5, dtype=np.float32), xp.empty(5, np.float32)
    with counting() as count:
        scaled(x, y)
    np.testing.assert_array_equal(y.get(), 3 * np.arange(5))
    assert count.by_name == {"scaled": 1}


BAD_LAUNCHES: dict[str, tuple[type[Exception], dict[str, Any]]] = {
    "a Python float": (TypeError, {"a": 3.0}), "a Python int": (TypeError, {"n": 5}),
    "a host array": (TypeError, {"y": np.zeros(5)}),
    "strides": (ValueError, {"x": xp.zeros(10, np.float32)[::2]}), "no block": (RuntimeError, {"grid": (0,)}),
    "a block too large": (RuntimeError, {"block": (32, 33)}), "shared memory": (RuntimeError, {"shared_mem": 48 * 1024 + 1}),
}


@pytest.mark.parametrize("what", BAD_LAUNCHES)
def test_launches_refused(what: str) -> None:
    error, wrong = BAD_LAUNCHES[what]
    with pytest.raises(error):
        scaled(**{"x": xp.zeros(5, np.float32), "y": xp.zeros(5, np.float32), **wrong})
