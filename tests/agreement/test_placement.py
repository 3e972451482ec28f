"""The switch and what it switches: where numbers live, what noise is drawn, what is there and what is missing."""
import contextvars
import ctypes
import importlib
import platform
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest

from evenflow import accel
from evenflow.accel import devices
from evenflow.accel.backends import module_of
from evenflow.reference.core import dispatch
from evenflow.reference.core.dispatch import definitions
from evenflow.reference.core.networks import MLP
from evenflow.reference.core.placement import beside, fetched, placed, streams
from evenflow.reference.core.trees import Array, Tree, leaves, tree_map
from evenflow.reference.flows.densities import Normal
from evenflow.reference.work.training import Settings, train
from tests import standin
from tests.agreement.backends import BACKENDS, HOST, ON_DEVICE, backend, here, host, on_its_device
from tests.agreement.comparison import agreement
from tests.strategies import generator

TREE: Tree = {
    "x": np.ones((2, 3)), "many": [np.zeros(2, np.float32), np.array(1.5)], "index": np.arange(3), "who": np.array([True]),
}


# ------------------------------------------------------------------------------------------------- where numbers live


@agreement("core.placement.placed", "core.placement.fetched")
@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_placed_and_fetched(where: str, dtype: str) -> None:
    """Floats move and take the dtype, whole numbers stay; placed again they are as they were; what comes back is NumPy's."""
    with backend(where):
        there = placed(TREE, dtype)
        floats = {"x": there["x"], "many": there["many"]}
        assert on_its_device(where, floats)
        assert all(leaf.dtype == dtype for leaf in leaves(floats))
        assert type(there["index"]) is type(there["who"]) is np.ndarray
        assert all(a is b or where in HOST for a, b in zip(leaves(placed(there, dtype)), leaves(there), strict=True))
        other = placed(there, "float64" if dtype == "float32" else "float32")
        assert on_its_device(where, other["x"])
        assert other["x"].dtype != dtype
        back = fetched({**there, "index": there["x"]})
        assert all(type(leaf) is np.ndarray for leaf in leaves(back))
        tree_map(np.testing.assert_array_equal, fetched(there), TREE)
        assert placed(3.0, dtype).shape == ()


@pytest.mark.parametrize("where", BACKENDS)
def test_what_is_placed_can_be_changed_without_changing_the_original(where: str) -> None:
    x = np.zeros(3)
    with backend(where):
        there = placed(x, "float64")
        there += 1
    np.testing.assert_array_equal(x, 0)


@pytest.mark.parametrize("where", BACKENDS)
def test_beside(where: str) -> None:
    with backend(where):
        x = here(np.ones(2))
        assert module_of(beside(np.arange(2.0), x)) is module_of(x)
        assert on_its_device(where, beside((True, False), x))


# -------------------------------------------------------------------------------------------------------------- noise


def drawn(rng: np.random.Generator, dtype: Any) -> Tree:
    """All that models and samplers ask of a generator."""
    s = streams(rng, dtype)
    return [s.standard_normal((3, 2)), s.standard_normal(4), s.random(5), np.asarray(s.random()), s.integers(7, size=(20, 2)),
            s.choice(9, size=4, replace=False)]


@agreement("core.placement.streams")
@pytest.mark.parametrize("where", BACKENDS)
def test_noise_from_the_host_is_the_reference_s(where: str) -> None:
    with backend(where, noise="host"):
        tree_map(np.testing.assert_array_equal, host(drawn(generator(3), "float32")), drawn(generator(3), "float32"))


@pytest.mark.parametrize("where", ON_DEVICE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_noise_of_the_device_is_a_function_of_the_generator(where: str, dtype: str) -> None:
    """The same state, the same numbers; the next ones are others; in the run's dtype, where the model is."""
    with backend(where, noise="device"):
        rng = generator(3)
        first, second, again = drawn(rng, dtype), drawn(rng, dtype), drawn(generator(3), dtype)
        tree_map(np.testing.assert_array_equal, host(again), host(first))
        for a, b in zip(host(first)[:5], host(second)[:5], strict=True):
            assert not np.array_equal(a, b)
        for k, shape in ((0, (3, 2)), (1, (4,)), (2, (5,))):
            assert (first[k].dtype, first[k].shape) == (np.dtype(dtype), shape)
            assert on_its_device(where, first[k])
        whole, chosen = host(first[4]), host(first[5])
        assert whole.dtype == np.int64
        assert set(np.unique(whole)) <= set(range(7))
        assert len(set(chosen.tolist())) == 4
        assert 0 <= first[3] < 1


@pytest.mark.parametrize("where", ON_DEVICE)
def test_noise_of_the_device_is_what_it_says(where: str) -> None:
    """Normal and uniform, in both dtypes; nothing repeats; whole numbers are all there."""
    with backend(where, noise="device"):
        for dtype in ("float32", "float64"):
            s = streams(generator(0), dtype)
            z, u, k = host(s.standard_normal((4000, 5))), host(s.random(20000)), host(s.integers(5, size=20000))
            assert np.isfinite(z).all()
            assert abs(z.mean()) < 5 / len(u) ** 0.5
            assert abs(z.var() - 1) < 5 * (2 / len(u)) ** 0.5
            assert np.max(np.abs(np.corrcoef(z.T) - np.eye(5))) < 0.1
            assert (u >= 0).all()
            assert abs(u.mean() - 0.5) < 5 * (1 / 12 / len(u)) ** 0.5
            assert np.abs(np.bincount(k, minlength=5) / len(k) - 0.2).max() < 0.02
            assert len(np.unique(z)) > 0.99 * z.size


NET = MLP(2, 1, (4,))


def run(steps: int, path: Path | None = None, resume: bool = False) -> Any:
    def draw(rng: np.random.Generator) -> tuple[Array]:
        return (placed(Normal(2).noise(streams(rng, "float64"), 8), "float64"),)

    def loss(params: Tree, x: Array) -> Array:
        return anp.sum((NET(params, x)[:, 0] - x[:, 0] * x[:, 1]) ** 2) / 8

    start = here(NET.init(generator(0)))
    return train(loss, draw, start, Settings(steps), generator(1), checkpoint=path, resume=resume)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("noise", ["host", "device"])
def test_a_run_that_was_stopped_goes_on_equal(where: str, noise: str, tmp_path: Path) -> None:
    with backend(where, noise):
        whole = run(12)
        run(5, tmp_path / "c.npz")
        halves = run(12, tmp_path / "c.npz", resume=True)
        for a, b in ((halves.params, whole.params), (halves.optimiser_state, whole.optimiser_state)):
            tree_map(np.testing.assert_array_equal, host(a), host(b))
        assert halves.rng.bit_generator.state == whole.rng.bit_generator.state
        assert on_its_device(where, halves.params)


# --------------------------------------------------------------------------------------------------------- the switch


def replaced() -> int:
    """How many definitions are replaced here."""
    table = dispatch.chosen().table
    return sum(table.get(name, f) is not f for name, f in definitions.items())


def test_blocks_end_where_they_end_also_inside_each_other() -> None:
    assert (accel.active(), replaced()) == ("reference", 0)
    with accel.use("numpy") as used:
        assert (accel.active(), used.backend, replaced()) == ("numpy", "numpy", len(accel.replacements("numpy")))
        with accel.use("reference"):
            assert (accel.active(), replaced()) == ("reference", 0)
            with backend("standin"):
                assert (accel.active(), replaced()) == ("cupy", len(definitions) - 1)  # streams: from the host
                assert on_its_device("standin", placed(np.ones(2), "float64"))
            assert type(placed(np.ones(2), "float64")) is np.ndarray
        assert accel.active() == "numpy"
        with pytest.raises(KeyError), accel.use("reference"):
            raise KeyError
        assert (accel.active(), replaced()) == ("numpy", len(accel.replacements("numpy")))
    assert (accel.active(), replaced()) == ("reference", 0)


def test_a_plain_call_holds_from_then_on_in_its_own_context() -> None:
    def inside() -> tuple[str, str, str]:
        accel.use("numpy")
        before = accel.active()
        with accel.use("reference"):
            within = accel.active()
        return before, within, accel.active()

    assert contextvars.copy_context().run(inside) == ("numpy", "reference", "numpy")
    assert accel.active() == "reference"


def test_one_object_heads_many_blocks_also_inside_each_other_and_in_other_threads() -> None:
    contextvars.copy_context().run(many_blocks)  # what is chosen there is chosen there alone


def many_blocks() -> None:
    used = accel.use("numpy")
    for _ in range(3):
        with used:
            with used, accel.use("reference") as other, used:
                assert accel.active() == "numpy"
                with pytest.raises(KeyError), other:
                    raise KeyError
                with other:
                    assert (accel.active(), replaced()) == ("reference", 0)
                assert accel.active() == "numpy"
            assert (accel.active(), replaced()) == ("numpy", len(accel.replacements("numpy")))
        assert (accel.active(), replaced()) == ("reference", 0)

    def inside() -> tuple[str, str]:
        with made_here:
            within = accel.active()
        return within, accel.active()

    made_here = accel.use("numpy")
    with ThreadPoolExecutor(1) as pool:
        assert [pool.submit(inside).result() for _ in range(2)] == [("numpy", "reference")] * 2
    assert accel.active() == "numpy"
    with accel.use("reference"):
        assert inside() == ("numpy", "reference")


def test_a_function_may_be_decorated() -> None:
    @accel.use("numpy")
    def inside(again: bool) -> list[str]:
        """Its docstring."""
        return [accel.active(), *(inside(False) if again else [])]

    assert (accel.active(), inside.__doc__) == ("reference", "Its docstring.")
    assert inside(True) == inside(True) == ["numpy", "numpy"]
    assert accel.active() == "reference"


def test_another_thread_sees_nothing_of_it() -> None:
    seen: list[Any] = []

    def look() -> None:
        seen.append((accel.active(), replaced()))
        accel.use("numpy")
        seen.append(accel.active())

    with accel.use("numpy"):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            carried = pool.submit(contextvars.copy_context().run, accel.active).result()
    assert seen == [("reference", 0), "numpy"]
    assert carried == "numpy"
    assert accel.active() == "reference"


def test_the_environment_names_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    for named, expected in (("numpy", "numpy"), ("", "reference"), (None, "reference")):
        if named is None:
            monkeypatch.delenv("EVENFLOW_BACKEND", raising=False)
        else:
            monkeypatch.setenv("EVENFLOW_BACKEND", named)
        with accel.use():
            assert accel.active() == expected
    monkeypatch.setenv("EVENFLOW_BACKEND", "numpi")
    with pytest.raises(ValueError, match="unknown backend 'numpi', did you mean 'numpy'"):
        accel.use()
    with accel.use("reference"):
        assert accel.active() == "reference"


def test_names_that_are_none() -> None:
    with pytest.raises(ValueError, match=r"unknown backend 'jax'.* Known: reference, numpy, compiled, cupy"):
        accel.use("jax")
    with pytest.raises(ValueError, match="unknown noise 'hosts', did you mean 'host'"):
        accel.use("numpy", "hosts")
    assert (accel.active(), replaced()) == ("reference", 0)


def test_the_functions_are_replaced_by_name() -> None:
    """Every backend replaces what it says, by functions that take the same arguments."""
    assert accel.replacements("reference") == {}
    with backend("standin"):
        tables = [accel.replacements("numpy"), accel.replacements("cupy"), accel.replacements("cupy", "host")]
    names = ("placed", "fetched", "streams", "beside")
    of_a_device = {"work.stretches.stretched"} | {f"core.placement.{name}" for name in names}
    of_a_device |= {f"core.looking.{name}" for name in ("anywhere", "finite", "told", "per_step", "replayed")}
    assert set(tables[1]) == set(tables[0]) | of_a_device == set(definitions)
    assert set(tables[1]) - set(tables[2]) == {"core.placement.streams"}


# ------------------------------------------------------------------------------------------------- what is missing


def without_cupy() -> Any:
    raise devices.Unavailable(f"the backend cupy needs CuPy, which is not installed: {devices.INSTALL}")


class Runtime:
    def __init__(self, count: int | Exception) -> None:
        self.count = count

    def getDeviceCount(self) -> int:
        if isinstance(self.count, Exception):
            raise self.count
        return self.count


def driver(count: int | Exception) -> Any:
    """CuPy where the driver finds so many devices, or says what this error says."""
    class Module:
        class cuda:
            runtime = Runtime(count)

    return Module


MISSING = {
    "no CuPy": (without_cupy, r"needs CuPy, which is not installed: pip install 'evenflow\[cupy13\]'"),
    "no device": (lambda: driver(0), "needs a CUDA device, and the driver finds none"),
    "no driver": (lambda: driver(RuntimeError("cudaErrorInsufficientDriver: old\nmore")),
                  "needs a CUDA device and its driver: cudaErrorInsufficientDriver: old$"),
}


@pytest.mark.parametrize("what", MISSING)
def test_what_is_missing_is_said_in_one_line(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found, said = MISSING[what]
    monkeypatch.setattr(devices, "import_cupy", found)
    for ask in (lambda: accel.use("cupy"), lambda: accel.to_device(TREE), lambda: accel.replacements("cupy")):
        with pytest.raises(accel.Unavailable, match=said) as caught:
            ask()
        assert "\n" not in str(caught.value)
    assert (accel.active(), replaced()) == ("reference", 0)
    rows = accel.available()
    assert [row.backend for row in rows if row.available or row.backend == "compiled"] == ["reference", "numpy", "compiled"]
    assert rows[3].details == str(caught.value)


def test_cupy_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Any:
        raise ImportError("libcudart.so is not there")

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(accel.Unavailable, match="needs CuPy, which is not installed"):
        devices.import_cupy()


def test_available_names_versions_and_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "import_cupy", lambda: standin.xp)
    rows = accel.available()
    assert all(row.available for row in rows if row.backend != "compiled")
    assert f"numpy {np.__version__}, autograd " in rows[0].details
    assert rows[3].details.startswith(f"cupy {standin.xp.__version__}, ")
    assert "GiB, driver for CUDA " in rows[3].details


def test_to_device_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "import_cupy", lambda: standin.xp)
    before = accel.memory_used()
    there = accel.to_device({"x": np.zeros((1000,), np.float32)})
    assert accel.memory_used() - before == 4096
    with standin.counting() as count:
        accel.synchronise()
    assert count.synchronisations == 1
    np.testing.assert_array_equal(accel.to_host(there)["x"], np.zeros(1000, np.float32))
    assert accel.to_host(there)["x"].dtype == np.float32


class C:
    """A C library that notes what it is told."""
    said: list[tuple[int, int]]

    def __init__(self, name: Any) -> None:
        assert name is None

    def mallopt(self, what: int, size: int) -> None:
        self.said.append((what, size))


@pytest.mark.parametrize(("system", "libc", "expected"), [
    ("linux", "glibc", [(-1, 2**28), (-3, 2**28)]), ("linux", "musl", []), ("darwin", "", []), ("win32", "", []),
])
def test_freed_memory_is_kept_under_glibc_alone(
    system: str, libc: str, expected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    C.said = []
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "libc_ver", lambda: (libc, "2.36"))
    monkeypatch.setattr(ctypes, "CDLL", C)
    devices.keep_freed_memory.__wrapped__()
    assert C.said == expected
    devices.keep_freed_memory()
