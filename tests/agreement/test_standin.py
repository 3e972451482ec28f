"""The stand-in is worth something only if it refuses what CuPy refuses, and counts what CuPy would launch."""
import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from autograd.tracer import new_box, trace_stack
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.standin import counting, xp
from tests.standin_table import ALIASES, SIGNATURES, SPECIAL, UFUNCS, signature

HOST = np.arange(6.0).reshape(2, 3)
ENTRIES = st.floats(-4, 4, width=32)
MATRICES = hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=4), elements=ENTRIES)


iadd: Any = operator.iadd
setitem: Any = operator.setitem
add_at: Any = np.add.at
Attempt = Callable[[Any], Any]


def device(array: Any = HOST) -> Any:
    return xp.asarray(array)


def boxed() -> Any:
    with trace_stack.new_trace() as trace:
        return new_box(np.ones(3), trace, None)


REFUSED: dict[str, tuple[type[Exception], Attempt]] = {
    "a host array on the right": (TypeError, lambda x: x + HOST),
    "a host array on the left": (TypeError, lambda x: HOST + x),
    "a host array without axes": (TypeError, lambda x: x * np.array(2.0)),
    "a host array added in place": (TypeError, lambda x: iadd(x, HOST)),
    "a device array added in place to a host array": (TypeError, lambda x: iadd(HOST.copy(), x)),
    "a host array compared": (TypeError, lambda x: x > HOST),
    "a product with a host array": (TypeError, lambda x: x @ HOST.T),
    "a product with a number": (TypeError, lambda x: np.matmul(x, 2.0)),
    "an implicit copy to the host": (TypeError, lambda x: np.asarray(x)),
    "a host array made of parts on the device": (TypeError, lambda x: np.array([x[0, 0], 1.0])),
    "a list of device and host values": (TypeError, lambda x: xp.array([x[0, 0], 1.0])),
    "assignment of a host array": (TypeError, lambda x: setitem(x, 0, HOST[0])),
    "a device array assigned to a part of a host array": (TypeError, lambda x: setitem(HOST.copy(), 0, x[0])),
    "scattering host values": (TypeError, lambda x: xp.add.at(x, slice(0, 1), HOST[:1])),
    "a host array joined": (TypeError, lambda x: np.concatenate([x, HOST])),
    "a number joined": (TypeError, lambda x: np.stack([x[0, 0], 1.0])),
    "a host condition": (TypeError, lambda x: np.where(HOST > 0, x, 0.0)),
    "a plain condition": (AttributeError, lambda x: xp.where(True, x, 0.0)),
    "a host array as out": (TypeError, lambda x: np.exp(x, out=HOST.copy())),
    "a host array among a function's arguments": (TypeError, lambda x: np.clip(x, HOST, 1.0)),
    "a host array as the only argument": (TypeError, lambda x: xp.sum(HOST)),
    "where= in a ufunc": (TypeError, lambda x: np.exp(x, where=x > 0)),
    "where= in a reduction": (TypeError, lambda x: np.sum(x, where=x > 0)),
    "initial= in a reduction": (TypeError, lambda x: np.max(x, initial=0.0)),
    "a function CuPy lacks": (TypeError, lambda x: np.insert(x, 0, 1.0)),
    "a name CuPy lacks": (AttributeError, lambda x: xp.errstate),
    "a reduction CuPy lacks": (NotImplementedError, lambda x: np.maximum.reduce(x)),
    "a running minimum": (NotImplementedError, lambda x: np.minimum.accumulate(x)),
    "scattering by a ufunc that cannot": (NotImplementedError, lambda x: xp.multiply.at(x, 0, 2.0)),
    "slices scattered to through NumPy": (TypeError, lambda x: add_at(x, (slice(0, 1),), x[:1])),
    "order=None": (TypeError, lambda x: np.reshape(x, (3, 2), order=None)),
    "an unstable sort": (ValueError, lambda x: np.argsort(x, kind="quicksort")),
    "subok": (TypeError, lambda x: x.astype(np.float32, subok=True)),
    "an index of floats": (IndexError, lambda x: x[np.array([0.0])]),
    "two masks in an index": (IndexError, lambda x: x[xp.asarray([True, False]), xp.asarray([True, False, True])]),
    "an index out of range": (IndexError, lambda x: x[2]),
    "a slice bounded by a device number": (TypeError, lambda x: x[: xp.asarray(1)]),
    "range of a device number": (TypeError, lambda x: range(xp.asarray(3))),
    "an array of objects": (ValueError, lambda x: xp.asarray(np.array([None]))),
    "the truth of many numbers": (ValueError, lambda x: bool(x)),
    "len of a number": (TypeError, lambda x: len(x[0, 0])),
    "a key of a dict": (TypeError, lambda x: {x: 1}),
    "autograd's box where it is not known": (TypeError, lambda x: xp.exp(boxed())),
    "a system with too many right sides": (ValueError, lambda x: np.linalg.solve(x[:, :2], x.T[:, :1][:1])),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    error, attempt = REFUSED[what]
    with pytest.raises(error):
        attempt(device())


ALLOWED: dict[str, Attempt] = {
    "numbers": lambda x: 2.0 - x * np.float64(3) + True, "powers": lambda x: x**2 + 2.0**x,
    "a reduction": lambda x: np.sum(x, axis=(0, 1)), "mean and deviation": lambda x: np.mean(x, axis=0) / (1 + np.std(x)),
    "a product": lambda x: x @ x.T, "a product of vectors": lambda x: x[0] @ x[0], "views": lambda x: x.T[::-1, None, :1],
    "a list as an index": lambda x: x[[0, 1, 1], [2, 2, 0]], "a mask": lambda x: x[x > 1], "a new axis": lambda x: x[..., None],
    "joining": lambda x: np.concatenate([x, 2 * x], axis=1), "stacking": lambda x: np.stack([x, x], axis=-1),
    "choosing": lambda x: np.where(x > 1, x, 0.0), "sorting": lambda x: np.argsort(x, axis=0),
    "splitting": lambda x: np.split(x, 3, axis=1), "shapes": lambda x: np.squeeze(np.reshape(x, (3, 1, 2)), 1),
    "triangles": lambda x: np.tril(x[:, :2]) - np.triu(x[:, :2], 1), "running sums": lambda x: np.cumsum(x, axis=1),
    "a system": lambda x: np.linalg.solve(x[:, :2] + np.tril(x[:, :2]), x),
    "a determinant": lambda x: np.linalg.slogdet(x[:, 1:] + 3 * np.tril(x[:, 1:]))[1], "limits": lambda x: np.clip(x, 1.0, 3.0),
    "along an axis": lambda x: np.take_along_axis(x, np.argsort(-x, axis=1), axis=1), "outer": lambda x: np.add.outer(x, x[0]),
    "like": lambda x: np.zeros_like(x, shape=(2,)) + np.ones_like(x[0, :2]), "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
}


@pytest.mark.parametrize("what", ALLOWED)
def test_allowed_and_computed_as_numpy_does(what: str) -> None:
    expected: Any = ALLOWED[what](HOST)
    got: Any = ALLOWED[what](device())
    pairs = zip(expected, got, strict=True) if isinstance(expected, list) else [(expected, got)]
    for a, b in pairs:
        assert type(b) is xp.ndarray  # a number without axes too
        assert b.dtype == np.asarray(a).dtype
        np.testing.assert_array_equal(b.get(), a)


@settings(max_examples=30)
@given(MATRICES, st.sampled_from([np.float32, np.float64]))
def test_in_place_operations_and_views_share_memory(values: np.ndarray, dtype: type) -> None:
    x: Any = device(values.astype(dtype))
    expected: Any = values.astype(dtype)
    x.T[0] += 1.5
    xp.add.at(x, ([0, 0],), x[:1] * 0 + 1)
    x[..., -1] = 0.25
    np.multiply(x, 2.0, out=x)
    expected.T[0] += 1.5
    np.add.at(expected, ([0, 0],), np.ones_like(expected[:1]))
    expected[..., -1] = 0.25
    expected *= 2.0
    assert x.dtype == dtype
    np.testing.assert_array_equal(x.get(), expected)


def test_views_know_their_base() -> None:
    x = device()
    for view in (x.T, x[1:], x.reshape(-1)[2:], x[0, 0]):
        assert view.base is x
    assert x.base is None
    assert x[[0]].base is None
    assert x.T.reshape(-1).base is None
    assert x[1:].data.ptr == x.data.ptr + 24
    assert x.flags.c_contiguous
    assert not x.T.flags.c_contiguous


def test_empty_memory_cannot_be_read_unnoticed() -> None:
    made: Any
    for made in (xp.empty((2, 3)), xp.empty_like(device()), xp.ndarray((2,))):
        assert np.isnan(made.get()).all()
    assert (xp.empty(3, np.int32).get() != 0).all()


def test_singular_matrices_raise_nothing() -> None:
    solution: Any = np.linalg.solve(device(np.zeros((2, 2))), device())
    assert np.isnan(solution.get()).all()
    assert np.linalg.slogdet(device(np.zeros((2, 2))))[1].item() == -np.inf


def test_nothing_warns() -> None:
    assert np.isinf((1 / device(np.zeros(2))).get()).all()
    assert np.isnan(np.log(device(-np.ones(2))).get()).all()


# Counts

COUNTED: dict[str, tuple[tuple[int, ...], Attempt]] = {  # expected launches, views, uploads, synchronisations
    "elementwise": ((2, 0, 0, 0), lambda x: x * 2 + 1), "reduction": ((1, 0, 0, 0), lambda x: np.sum(x, axis=0)),
    "views": ((0, 6, 0, 0), lambda x: (x.T, x[1:], x.reshape(-1), np.broadcast_to(x, (4, 2, 3)), np.squeeze(x[:1], 0))[:0]),
    "a reshape that copies": ((1, 1, 0, 0), lambda x: x.T.reshape(-1)), "product": ((1, 1, 0, 0), lambda x: x @ x.T),
    "a product of two dtypes": ((3, 1, 0, 0), lambda x: x @ x.T.astype(np.float32)),
    "a product that copies": ((2, 1, 0, 0), lambda x: x[:, :2] @ x), "upload": ((0, 0, 1, 0), lambda x: xp.asarray(HOST)),
    "download": ((0, 0, 0, 1), lambda x: x.get()), "a number": ((1, 0, 0, 1), lambda x: float(np.sum(x))),
    "a truth": ((2, 0, 0, 1), lambda x: bool(np.any(x > 9))), "a mask": ((4, 0, 0, 1), lambda x: x[x > 1]),
    "a list as an index": ((1, 0, 1, 0), lambda x: x[[0, 1, 1]]), "two lists": ((4, 0, 2, 0), lambda x: x[[0, 1], [1, 2]]),
    "joining three": ((3, 0, 0, 0), lambda x: np.concatenate([x, x, x])),
    "joining nine": ((1, 0, 0, 0), lambda x: np.stack([x] * 9)),
    "a cast that is none": ((0, 0, 0, 0), lambda x: x.astype(np.float64, copy=False)),
    "a fill": ((1, 0, 0, 0), lambda x: x.fill(0)), "nothing to compute": ((0, 1, 0, 0), lambda x: x[:0] * 2),
    "np.asarray(like=)": ((0, 0, 1, 0), lambda x: np.asarray(HOST, like=x)),
    "waiting": ((0, 0, 0, 1), lambda x: xp.cuda.Stream.null.synchronize()), "shape": ((0, 0, 0, 0), lambda x: np.shape(x)),
}


@pytest.mark.parametrize("what", COUNTED)
def test_counts(what: str) -> None:
    expected, act = COUNTED[what]
    x = device()
    with counting() as outer, counting() as count:
        act(x)
    assert (count.launches, count.views, count.uploads, count.synchronisations) == expected
    assert sum(count.by_name.values()) == count.launches == outer.launches


def test_the_memory_pool_knows_what_is_held() -> None:
    pool = xp.get_default_memory_pool()
    before = pool.used_bytes()
    x = xp.zeros((1000,), np.float32)
    view = x[1:]
    assert pool.used_bytes() - before == 4096  # 4000, in blocks of 512
    del x
    assert pool.used_bytes() - before == 4096  # the view keeps it
    del view
    assert pool.used_bytes() == before


# The real one


def test_the_table_is_cupys() -> None:
    """Names, parameters, kinds and defaults are those of the real CuPy, where it can be imported (no GPU is needed)."""
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed here: the table was compared with 14.2.0")
    for name, text in {**SIGNATURES, **SPECIAL}.items():
        real: Any = operator.attrgetter(name)(cupy)
        if not inspect.isbuiltin(real):
            ours, theirs = (
                [(p.name, p.kind, p.default) for p in s.parameters.values()] for s in (signature(text), inspect.signature(real))
            )
            assert ours == theirs, name
    for name in (*UFUNCS, *ALIASES):
        assert "ufunc" in type(getattr(cupy, name)).__name__.lower(), name
    assert cupy.ndarray.__array_priority__ == xp.ndarray.__array_priority__


def test_the_real_cupy_has_our_arrays_attributes() -> None:
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed here: the table was compared with 14.2.0")
    assert {name for name in dir(xp.ndarray) if not name.startswith("_")} <= set(dir(cupy.ndarray))
    ours = {name for name in vars(xp) if not name.startswith("_")}
    assert ours <= set(dir(cupy))
