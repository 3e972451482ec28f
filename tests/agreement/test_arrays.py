"""What a user may pass as an array, everywhere and on every backend: the same as float64 (float32), or one clear error."""
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.accel import to_device
from evenflow.reference.core.trees import Array
from evenflow.reference.ebm import normalizer
from evenflow.reference.flows import Normal
from evenflow.reference.mcmc import RandomWalk, ess, rhat, zones
from evenflow.reference.mcmc.ess import autocorrelation, integrated_time
from evenflow.reference.mcmc.rhat import split_rhat
from evenflow.reference.work.metrics import frechet_distance
from tests.agreement.backends import BACKENDS, backend, host
from tests.public import CALLS, EXEMPT, Small, public

DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "g", ">f8", ">f4", ">i4", ">u2", "f8"]
CONTAINERS: dict[str, Callable[[Array], Any]] = {
    "list": lambda x: x.tolist(), "tuple": tuple, "list of whole numbers": lambda x: x.astype(int).tolist(),
    "Fortran": np.asfortranarray, "every second": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x: x[::-1].copy()[::-1], "subclass": lambda x: x.view(np.recarray),
    "read only": lambda x: np.broadcast_to(x, x.shape), "table": lambda x: Table(x),
    "table of whole numbers": lambda x: Table(x.astype(int)),
}
REFUSED: dict[str, Callable[[Array], Any]] = {
    "masked": lambda x: np.ma.masked_array(x, mask=np.arange(x.size).reshape(x.shape) == 0),
    "not masked": np.ma.masked_array, "masked rows": lambda x: [np.ma.masked_array(row, mask=True) for row in x],
    "objects": lambda x: x.astype(object), "complex": lambda x: x + 0j, "words": lambda x: x.astype(str),
    "ragged": lambda x: [x.ravel()[:1].tolist(), x.ravel().tolist()], "dates": lambda x: x.astype("M8[D]"),
    "word": lambda x: "x", "a number": lambda x: np.float64(1.0), "no axes": lambda x: np.array(1),
}
NUMBERS = {"bounded", "normal_quantile", "affine", "affine_inverse", "AffineTransformer", "quantile_score", "crps_normal",
           "rational_quadratic_spline", "logsumexp", "RBF", "Linear", "DistanceKernel"}  # where a number alone has a meaning


class Table:
    """What NumPy sees of a frame or column of pandas: something that can be made an array, and has other manners itself."""

    def __init__(self, x: Array) -> None:
        self.x = x

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return self.x.astype(dtype or self.x.dtype)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)


def arguments(name: str, seed: int, most: int) -> dict[str, Array]:
    """Whole numbers up to `most`, as float64."""
    rng = np.random.default_rng(seed)

    def drawn(spec: Any) -> Array:
        if isinstance(spec, np.ndarray):
            return spec.copy()
        return rng.integers(0, min(4, most + 1) if isinstance(spec, Small) else most + 1, tuple(spec[0]) if isinstance(
            spec, Small) else spec).astype(np.float64)

    return {argument: drawn(spec) for argument, spec in CALLS[name][1].items()}


def parts(result: Any) -> list[Array]:
    """The arrays and numbers in what a function gives."""
    if isinstance(result, dict):
        return [part for branch in result.values() for part in parts(branch)]
    if isinstance(result, list | tuple):
        return [part for branch in result for part in parts(branch)]
    return [] if result is None or hasattr(result, "__dataclass_fields__") else [np.asarray(host(result))]


def same(got: Any, expected: Any) -> None:
    for a, b in zip(parts(got), parts(expected), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        tolerance = 1e-4 if b.dtype == np.float32 else 1e-9  # rows that lie otherwise in memory are summed in another order
        largest = np.max(np.abs(b), where=np.isfinite(b), initial=1.0) if b.dtype.kind == "f" else 0
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * largest)


def narrow(dtype: str) -> type:
    kind = np.dtype(dtype)
    return np.float32 if kind.kind == "f" and kind.itemsize <= 4 else np.float64


def of_dtype(name: str, chosen: list[str], dtype: str, seed: int, where: str) -> None:
    """These arguments in another dtype: as float64 ones, or float32."""
    kind = np.dtype(dtype)
    most = 100 if kind.kind == "f" else 1 if kind.kind == "b" else min(100_000, int(np.iinfo(kind).max * 0.9))
    plain = arguments(name, seed, most)
    held = [k for k in chosen if plain[k].dtype.kind == "f" and np.array_equal(plain[k].astype(kind), plain[k])]
    as_floats = {k: x.astype(narrow(dtype)) if k in held else x for k, x in plain.items()}
    as_they_come = {k: x.astype(kind) if k in held else x for k, x in plain.items()}
    f = CALLS[name][0]
    expected = f(**as_floats)
    with backend(where):
        same(f(**as_they_come), f(**as_floats))
        got = f(**as_floats)
    kinds, wanted = ([part.dtype for part in parts(result)] for result in (got, expected))
    assert kinds == wanted if len(kinds) == len(wanted) else set(kinds) == set(wanted)  # blocks with one map are one on numpy


def of_container(name: str, chosen: list[str], container: str, seed: int, where: str) -> None:
    plain = arguments(name, seed, 100)
    whole = [k for k in chosen if "whole" not in container or np.array_equal(plain[k].astype(int), plain[k])]
    f = CALLS[name][0]
    with backend(where):
        same(f(**{**plain, **{k: CONTAINERS[container](plain[k]) for k in whole}}), f(**plain))


def refused(name: str, argument: str, kind: str, where: str) -> None:
    if name.split(".")[0].split(" ")[0] in NUMBERS and kind in ("a number", "no axes"):
        return
    plain = arguments(name, 0, 100)
    called = "noise|momentum" if argument == "noise" else argument
    if kind in ("a number", "no axes"):  # the shape of one asks another's
        called = "|".join((*plain, "noise", "momentum", "z"))
    with backend(where), pytest.raises(ValueError, match=rf"^(the length of )?({called}) "):
        CALLS[name][0](**{**plain, argument: REFUSED[kind](plain[argument])})


def subsets(name: str) -> list[list[str]]:
    each = list(CALLS[name][1])
    return [[k] for k in each] + ([each] if len(each) > 1 else [])


def test_every_public_function_is_in_the_table() -> None:
    assert public() - {name.split(" ")[0] for name in CALLS} == set(EXEMPT)


@settings(max_examples=60)
@given(st.data())
def test_any_dtype_any_container(data: Any) -> None:
    name, where = data.draw(st.sampled_from(list(CALLS))), data.draw(st.sampled_from(["reference", "numpy"]))
    chosen, seed = data.draw(st.sampled_from(subsets(name))), data.draw(st.integers(0, 100))
    of_dtype(name, chosen, data.draw(st.sampled_from(DTYPES)), seed, where)
    of_container(name, chosen, data.draw(st.sampled_from(list(CONTAINERS))), seed, where)
    refused(name, chosen[0], data.draw(st.sampled_from(list(REFUSED))), where)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["reference", "numpy"])
@pytest.mark.parametrize("name", CALLS)
def test_all_dtypes_all_containers(name: str, where: str) -> None:
    for chosen in subsets(name):
        for dtype in DTYPES:
            of_dtype(name, chosen, dtype, 0, where)
        for container in CONTAINERS:
            of_container(name, chosen, container, 0, where)
    for argument in CALLS[name][1]:
        for kind in REFUSED:
            refused(name, argument, kind, where)


@pytest.mark.parametrize("name", CALLS)
def test_no_rows_are_as_they_are_in_the_reference(name: str) -> None:
    """Empty arrays, or an error in the same words."""
    f, plain = CALLS[name][0], arguments(name, 0, 3)
    none = {k: x[:0] if x.dtype.kind == "f" and k != "temperatures" else x for k, x in plain.items()}
    try:
        expected = f(**none)
    except ValueError as error:
        with backend("numpy"), pytest.raises(ValueError, match=re.escape(str(error))):
            f(**none)
    else:
        with backend("numpy"):
            got = f(**none)
        assert {(part.shape, part.dtype) for part in parts(got)} == {(part.shape, part.dtype) for part in parts(expected)}


DRAWS = np.random.default_rng(0).standard_normal((200, 2, 2))
ON_DEVICE: dict[str, tuple[Callable[..., Any], tuple[Array, ...]]] = {  # what a user calls with what a sampler left
    **{f.__name__: (f, (DRAWS,)) for f in (ess, rhat, split_rhat, autocorrelation, integrated_time)},
    "zone_weights": (partial(zones.zone_weights, count=2), (np.arange(12) % 2,)),
    "mode_rhat": (partial(zones.mode_rhat, count=2), (np.arange(12).reshape(6, 2) % 2,)),
    "switch_rate": (zones.switch_rate, (np.arange(12).reshape(6, 2) % 2,)),
    "acceptance": (zones.acceptance, (DRAWS[..., 0] > 0,)), "frechet_distance": (frechet_distance, (DRAWS[:, 0], DRAWS[:, 1])),
    "importance": (normalizer.importance, (DRAWS[:, 0, 0], DRAWS[:, 1, 0])),
    "grid": (lambda centre: normalizer.grid(lambda x: -((x - centre) ** 2).sum(axis=1), normalizer.lattice([-2], [2], 9)),
             (np.ones(1),)),
    "annealed": (lambda x, b: normalizer.annealed(
        lambda x: -((x - 1) ** 2).sum(axis=1), Normal(2).log_prob, x, b, RandomWalk(1.0),
        [{"normal": 0 * x + 1, "uniform": 0 * x[:, 0]}]), (DRAWS[0], np.array([0.0, 0.5, 1.0]))),
}


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("name", ON_DEVICE)
def test_what_judges_chains_takes_them_where_they_are(where: str, name: str) -> None:
    f, given = ON_DEVICE[name]
    expected = f(*given)
    with backend(where):
        there = to_device(list(given)) if where in ("standin", "cupy") else given
        same(f(*there), expected)
