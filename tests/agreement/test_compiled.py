"""What only the backend compiled has: blocks and strips of points, its own functions, and the choice between C++ and NumPy."""
import ctypes
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest

from evenflow import accel
from evenflow.accel import compiler
from evenflow.accel.compiled import calls
from evenflow.accel.core.elementwise import ACTIVATIONS
from evenflow.reference.core import Tree, tree_map, value_and_gradient
from evenflow.reference.ebm.energies import EBM, MLPEnergy
from evenflow.reference.flows import AffineTransformer, Chain, Coupling, Invert, Normal, elementwise, reversal
from evenflow.reference.flows.densities import Uniform
from evenflow.reference.flows.flow import Flow, realnvp, spline_flow
from evenflow.reference.flows.spline import SplineTransformer
from evenflow.reference.mcmc.contract import density_and_gradient, walk
from evenflow.reference.mcmc.langevin import MALA, ULA
from evenflow.reference.mcmc.latent import pullback
from tests.agreement.backends import COMPILER
from tests.agreement.comparison import agree
from tests.strategies import generator, randomise

pytestmark = pytest.mark.skipif(not COMPILER, reason="no C++ compiler")
ODD = Coupling((True, False, True), hidden=(5, 11), activation="tanh")
NUMPYS = r"broadcast|dimension|mismatch|reshape"  # what NumPy says of shapes
SIZES = (0, 1, 31, 33, 255, 257, 600)  # around the lengths of strips and blocks


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The functions of the library that were called, in their order."""
    names: list[str] = []
    found = calls.function

    def function(name: str, *args: Any) -> Any:
        names.append(name)
        return found(name, *args)

    monkeypatch.setattr(calls, "function", function)
    return names


def parameters(model: Any, dtype: Any, scale: float = 0.3) -> Tree:
    rng = generator(1)
    return tree_map(lambda leaf: leaf.astype(dtype), randomise(model.init(rng), rng, scale))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_chains_of_any_length(direction: str, n: int, dtype: Any, counted: list[str]) -> None:
    chain = Chain((ODD, Coupling((False, True, False), hidden=(9,)), elementwise(3)))
    z = generator(2).standard_normal((n, 3)).astype(dtype)

    def f(params: Tree, z: Any) -> Any:
        return getattr(chain, direction)(params, z)

    agree("compiled", f, {"params": parameters(chain, dtype), "z": z}, "both")
    assert {"chain_forward", "chain_backward"} <= set(counted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_all_activations_in_a_coupling(activation: str, dtype: Any, counted: list[str]) -> None:
    coupling = Coupling((True, False, True, False), hidden=(7, 16), activation=activation)
    z = 2 * generator(2).standard_normal((50, 4)).astype(dtype)

    def f(params: Tree, z: Any) -> Any:
        return coupling.inverse(params, z)

    agree("compiled", f, {"params": parameters(coupling, dtype), "z": z}, "both")
    assert "chain_backward" in counted


FLOW = realnvp(2, layers=3, hidden=(9, 13), base=Normal(2, 1.3))


def latent(dtype: Any, flow: Flow = FLOW, tilt: Normal | None = None, tilted: bool = True, of_flow: Any = None) -> Any:
    """The log density of an energy in a flow's latent space. of_flow: the dtype of the flow's parameters, if it is another."""
    model = EBM(MLPEnergy(2, (9, 13)), tilt)
    return pullback(partial(model.log_density, parameters(model, dtype)), flow, parameters(flow, of_flow or dtype), tilted)


def log_density_of(model: EBM | None, dtype: Any) -> Any:
    return latent(dtype) if model is None else partial(model.log_density, parameters(model, dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", [MALA(0.05), ULA(0.02)])
@pytest.mark.parametrize("model", [
    *(EBM(MLPEnergy(2, (9, 13), activation), tilt) for activation in ACTIVATIONS for tilt in (None, Normal(2, 1.5))), None,
])
def test_walks_of_any_length(model: EBM | None, kernel: Any, dtype: Any, counted: list[str]) -> None:
    """The same noise, the same chains, whose positions are those of the reference up to what rounding becomes in four steps."""
    log_density = log_density_of(model, dtype)
    for n in SIZES[1:]:
        rng = generator(n)
        noises = [tree_map(lambda leaf: leaf.astype(dtype), kernel.noise(rng, n, 2)) for _ in range(4)]
        x = rng.standard_normal((n, 2)).astype(dtype)
        right = walk(kernel, kernel.init(x, log_density), noises, log_density)
        step = kernel.step(kernel.init(x, log_density), noises[0], log_density)
        with accel.use("compiled"):
            counted.clear()
            found = walk(kernel, kernel.init(x, log_density), noises, log_density)
            assert counted == ["density", "walk"]
            first = kernel.step(kernel.init(x, log_density), noises[0], log_density)
        bound = 1e-4 if dtype == np.float32 else 1e-11
        here, there = ((*each[0], *each[1:], *one[0]) for each, one in ((found, first), (right, step)))
        for a, b in zip(here, there, strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            np.testing.assert_allclose(a, b, rtol=bound, atol=bound)


@pytest.mark.parametrize("log_density", [
    latent(np.float64, tilted=False), latent(np.float64, tilt=Normal(2)), latent(np.float64, Flow(Uniform(2), FLOW.bijection)),
    latent(np.float64, spline_flow(2, layers=2)), latent(np.float64, of_flow=np.float32),
])
def test_latent_spaces_left_to_numpy(log_density: Any, counted: list[str]) -> None:
    """The flow's determinant in it, an energy tilted twice, another base, another flow, its parameters in another dtype."""
    z = generator(2).uniform(0.1, 0.9, (5, 2))
    with accel.use("numpy"):
        right = density_and_gradient(z, log_density)
    with accel.use("compiled"):
        found = density_and_gradient(z, log_density)
    assert "density" not in counted
    for a, b in zip(found, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_noise_that_lacks_a_part_never_reaches_the_kernels(counted: list[str]) -> None:
    """C++ would read behind the end of the list."""
    kernel, log_density = MALA(0.1), latent(np.float64)
    noises = [kernel.noise(generator(1), 3, 2), {"normal": np.ones((3, 2))}]
    with accel.use("compiled"):
        state = kernel.init(np.ones((3, 2)), log_density)
        with pytest.raises(KeyError, match="uniform"):
            walk(kernel, state, noises, log_density)
    assert "walk" not in counted


@pytest.mark.parametrize("kernel", [MALA(0.1), ULA(0.1)])
def test_latent_chains_whose_images_overflow(kernel: Any, counted: list[str]) -> None:
    """MALA refuses them, ULA says so: as the reference does, to which they are left."""
    log_density, z = latent(np.float64), np.ones((3, 2))
    noises = [tree_map(lambda leaf: np.full_like(leaf, 1e200), kernel.noise(generator(1), 3, 2))]
    said: list[Any] = []
    for backend in ("reference", "compiled"):
        with accel.use(backend):
            state = kernel.init(z, log_density)
            try:
                said.append(walk(kernel, state, noises, log_density)[1].tolist())
            except FloatingPointError as error:
                said.append(str(error))
    assert "walk" in counted
    assert said[0] == said[1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_from_end_to_end(activation: str, dtype: Any) -> None:
    """Of one neuron with weight 1: near 0, where differences cancel, and far out, where exponentials overflow."""
    model = EBM(MLPEnergy(1, (1,), activation))
    params = [{"W": np.ones((1, 1), dtype), "b": np.zeros(1, dtype)}, {"W": np.ones((1, 1), dtype)}]
    size = np.concatenate([np.logspace(-6, 2, 200), [300.0, 1e4]])
    x = np.concatenate([-size, [0.0], size]).astype(dtype)[:, None]
    log_density = partial(model.log_density, params)
    right = density_and_gradient(x.astype(np.float64), partial(model.log_density, tree_map(np.float64, params)))
    with accel.use("compiled"):
        found = density_and_gradient(x, log_density)
    eps = np.finfo(dtype).eps
    for a, b in zip(found, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=8 * eps, atol=32 * eps)
    if activation in ("tanh", "relu", "leaky_relu"):  # elsewhere the definition itself loses digits near 0
        near = np.abs(x[:, 0]) < 0.1
        np.testing.assert_allclose(found[0][near], right[0][near], rtol=8 * eps)


ELSEWHERE = {
    "a spline": Coupling((True, False), SplineTransformer(4)), "a context": Coupling((True, False), context_dim=2),
    "a wide network": Coupling((True, False), hidden=(129,)), "a large limit": Coupling((True, False), AffineTransformer(90.0)),
    "a permutation": Chain((reversal(2), Coupling((True, False)))),
    "another way round": Chain((Invert(Coupling((True, False), context_dim=1)),)),
}


@pytest.mark.parametrize("what", ELSEWHERE)
def test_what_is_left_to_numpy(what: str, counted: list[str]) -> None:
    """Nothing of it is called, and the results are NumPy's."""
    bijection: Any = ELSEWHERE[what]
    params, z = parameters(bijection, np.float64), generator(2).standard_normal((5, 2))
    context = np.ones((5, bijection.context_dim)) if bijection.context_dim else None
    if what == "a permutation":
        bijection, params = Chain((reversal(2),)), [{}]
    with accel.use("numpy"):
        right = bijection.forward(params, z, context)
    with accel.use("compiled"):
        found = bijection.forward(params, z, context)
    assert not counted
    tree_map(np.testing.assert_array_equal, list(found), list(right))


def test_shapes_that_do_not_fit_are_numpys_to_refuse(counted: list[str]) -> None:
    """C++ looks at no shape: parameters of another model never reach it."""
    flow, ebm = realnvp(2, layers=2, hidden=(4,)), EBM(MLPEnergy(2, (4,)))
    wider, x = realnvp(2, layers=2, hidden=(6,)).init(generator(1)), np.ones((3, 2))
    mixed = flow.init(generator(1))
    mixed[0][0]["b"] = np.zeros(3)
    energy = ebm.init(generator(1))
    energy[0]["b"] = np.zeros(3)
    with accel.use("compiled"):
        assert np.shape(flow.log_prob(wider, x)) == (3,)  # another flow, and one that fits together
        counted.clear()
        with pytest.raises(ValueError, match=NUMPYS):
            flow.log_prob(mixed, x)
        with pytest.raises(ValueError, match=NUMPYS):
            density_and_gradient(x, partial(ebm.log_density, energy))
    assert not counted


def test_what_is_not_finite_is_said_as_the_reference_says_it() -> None:
    model, kernel = EBM(MLPEnergy(1, (3,))), MALA(0.1)
    params = parameters(model, np.float64)
    state = kernel.init(np.zeros((40, 1)), partial(model.log_density, params))
    params[0]["W"][0, 1] = np.nan
    noises, said = [kernel.noise(generator(1), 40, 1)], []
    for backend in ("reference", "compiled"):
        with accel.use(backend), pytest.raises(FloatingPointError) as caught:
            walk(kernel, state, noises, partial(model.log_density, params))
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_nan_stays_nan(counted: list[str]) -> None:
    """In its own row, and in the gradient of what all rows share."""
    params, x = parameters(ODD, np.float64), np.ones((40, 3))
    x[7, 0] = np.nan
    with accel.use("compiled"):
        value, gradient = value_and_gradient(lambda p: anp.sum(ODD.forward(p, x)[0]), params)
        image, log_det = ODD.forward(params, x)
    assert counted.count("chain_forward") == 2
    assert np.isnan(value)
    assert all(np.isnan(leaf).any() for layer in gradient for leaf in layer.values())
    for result in (image[:, 1], log_det):
        assert [i for i, each in enumerate(result) if np.isnan(each)] == [7]


def test_no_compiler_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    compiler.library.cache_clear()
    try:
        with pytest.raises(accel.Unavailable, match=r"^the backend compiled needs a C\+\+ compiler, .* or named by CXX$"):
            accel.use("compiled")
        row = next(row for row in accel.available() if row.backend == "compiled")
        assert (row.available, row.details[:29]) == (False, "the backend compiled needs a ")
    finally:
        compiler.library.cache_clear()


def test_a_compiler_that_fails_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "cxx"
    broken.write_text("#!/bin/sh\necho 'no such processor' >&2\necho more >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    compiler.library.cache_clear()
    try:
        with pytest.raises(accel.Unavailable, match=r"^the backend compiled: .*: no such processor$"):
            compiler.library()
    finally:
        compiler.library.cache_clear()


def test_no_place_to_keep_them_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    compiler.library.cache_clear()
    try:
        with pytest.raises(accel.Unavailable, match=r"^the backend compiled cannot keep its kernels in .*XDG_CACHE[^\n]*$"):
            compiler.library()
    finally:
        compiler.library.cache_clear()


@pytest.mark.slow
def test_compiled_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a name made of the source: another source is compiled anew. What is half written is never seen."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiler.library.cache_clear()
    try:
        first = compiler.library()
        assert isinstance(first, ctypes.CDLL)
        assert [path.name for path in (tmp_path / "evenflow").iterdir()] == [compiler.cached().name]
        made = os.stat(compiler.cached()).st_mtime_ns
        compiler.library.cache_clear()
        compiler.library()
        assert os.stat(compiler.cached()).st_mtime_ns == made
        before = compiler.cached()
        monkeypatch.setattr(compiler, "OPTIONS", (*compiler.OPTIONS, "-DOTHER"))
        assert compiler.cached() != before
    finally:
        compiler.library.cache_clear()
