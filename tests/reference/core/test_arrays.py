"""arrays.py itself; that every public function goes through it is tested in tests/agreement/test_arrays.py."""
from typing import Any

import numpy as np
import pytest
from autograd import grad, make_vjp

from evenflow.reference.core.arrays import array, arrays, numbers


def test_native_floats_pass_untouched() -> None:
    for dtype in (np.float64, np.float32):
        x = np.ones(3, dtype)
        assert array("x", x) is x
    assert array("x", None) is None


@pytest.mark.parametrize("given", [[1, 2], (1.0, 2.0), *(np.array([1, 2], dtype) for dtype in ("u1", "i8", ">f8", ">i4", "g"))])
def test_everything_else_becomes_float64(given: Any) -> None:
    x = array("x", given)
    assert (type(x), x.dtype, x.tolist()) == (np.ndarray, np.float64, [1.0, 2.0])
    assert x.dtype.isnative


def test_half_precision_becomes_float32() -> None:
    assert array("x", np.ones(2, np.float16)).dtype == array("x", np.ones(2, ">f4")).dtype == np.float32


def test_the_mask_of_a_row_in_a_list_counts() -> None:
    for hidden in (np.ma.masked_array([1.0, 2.0], [False, True]), [[np.ma.masked, 1.0]], ([np.ma.masked_array([1.0])],)):
        with pytest.raises(ValueError, match="x must not be masked"):
            array("x", hidden)


def test_whole_numbers_stay_whole_where_they_are_meant() -> None:
    assert numbers("zones", np.array([1, 2], np.uint8)).dtype == np.uint8
    with pytest.raises(ValueError, match="zones must hold real numbers, got dtype object"):
        numbers("zones", [None])


def test_what_is_differentiated_stays_in_the_trace() -> None:
    f = arrays("x")(lambda x: (x**2).sum())
    assert grad(f)(np.array([1.0, 2.0])).tolist() == [2.0, 4.0]
    assert grad(f)(np.array([1.0, 2.0], np.float16)).tolist() == [2.0, 4.0]
    with pytest.raises(ValueError, match="x must hold floating-point numbers to be differentiated, got int64"):
        make_vjp(f)(np.array([1, 2]))


def test_arguments_by_place_by_name_and_left_out() -> None:
    @arrays("y", "x")
    def f(x: Any = 0, y: Any = None, z: Any = "z") -> Any:
        return x, y, z

    for got in (f([1], [2]), f([1], y=[2]), f(y=[2], x=[1]), f([1], z=0)):
        assert all(part is None or isinstance(part, np.ndarray) for part in got[:2])
    assert f([1], z=[0])[2] == [0]
    assert f(y=[1])[0] == 0  # a default is the function's own business


def test_a_name_that_the_function_lacks_is_a_mistake_in_the_code() -> None:
    with pytest.raises(ValueError, match="'z' is not in list"):
        arrays("z")(lambda x: x)
