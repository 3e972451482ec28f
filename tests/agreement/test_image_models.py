"""Models of images: trained and sampled as graphs, started on a device, place by place as in one pass, their launches."""
from functools import partial
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest

from evenflow.accel.core.convolution import Window, backward, forward
from evenflow.reference.core import Array, Tree, placed
from evenflow.reference.core.convolution import ConvNet
from evenflow.reference.ebm import FlowMCEBM, Rates
from evenflow.reference.ebm.convolutional import ConvEnergy
from evenflow.reference.ebm.energies import EBM
from evenflow.reference.flows import Normal
from evenflow.reference.flows.image import glow, image_realnvp, started
from evenflow.reference.mcmc import ISIR, MALA
from evenflow.reference.mcmc.contract import density_and_gradient
from evenflow.reference.saef.image import image_saef
from evenflow.reference.saef.objectives import Energy, Likelihood
from evenflow.reference.work import flow_model
from evenflow.reference.work.ebm_training import train_ebm
from evenflow.reference.work.options import Config
from evenflow.reference.work.shapes import Shape
from evenflow.reference.work.training import Settings
from tests.agreement.backends import BACKENDS, ON_DEVICE, backend, here, host
from tests.agreement.comparison import agree, agreement
from tests.agreement.test_graphs import Run, call_by_call, counted, equal, heard, one_by_one, run_of
from tests.agreement.test_launches import steps
from tests.standin import counting
from tests.strategies import generator, randomise

SHAPE = (4, 4, 1)
TINY: dict[str, Any] = {"width": 3, "blocks": 1}
SAEF = partial(image_saef, SHAPE, 2, hidden=(5,), context_width=4, map_hidden=(5,), map_layers=2)
FLOWS: dict[str, Any] = {
    "glow": glow(SHAPE, 2, 2, **TINY), "free": glow(SHAPE, 1, 2, matrix="free", context_dim=2, **TINY),
    "realnvp": image_realnvp(SHAPE, 2, **TINY), "saef": SAEF(), "saef, class": SAEF(context_dim=2),
    "saef, spline": SAEF(block_map="spline"),
}


def arguments(flow: Any, n: int = 3) -> dict[str, Any]:
    rng = generator(0)
    args = {"params": randomise(flow.init(rng), rng), "x": rng.standard_normal((n, flow.d))}
    return {**args, **({"context": rng.standard_normal((n, flow.context_dim))} if flow.context_dim else {})}


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("name", FLOWS)
def test_both_ways(where: str, name: str) -> None:
    flow = FLOWS[name]
    agree(where, lambda params, x, context=None: flow.inverse(params, x, context), arguments(flow))
    agree(where, lambda params, x, context=None: flow.bijection.forward(params, x, context), arguments(flow))


@agreement("core.convolution.ConvNet.walker")
@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize(("kernel", "context_dim"), [(3, 0), (3, 2), (5, 0)])
def test_place_by_place(where: str, kernel: int, context_dim: int) -> None:
    """All outputs, one after the other, are those of one pass; plain, and traced in everything or in x alone."""
    net, rng = ConvNet((3, 4, 2), 3, 5, 2, kernel, context_dim, groups=1), generator(0)
    args: dict[str, Tree] = {"params": randomise(net.init(rng), rng), "x": rng.standard_normal((2, 3, 4, 2))}
    if context_dim:
        args["context"] = rng.standard_normal((2, context_dim))

    def walked(params: Tree, x: Array, context: Array | None = None) -> tuple[Array, ...]:
        step, places = net.walker(params, context), list(np.ndindex(3, 4))
        before = [anp.zeros_like(x[:, 0, 0]), *(x[:, i, j] for i, j in places)]
        outputs = [step(place, x_before) for place, x_before in zip(places, before, strict=False)]
        return outputs[-1], outputs[5]

    for dtype in (np.float32, np.float64):
        agree(where, walked, {k: here_in(v, dtype) for k, v in args.items()}, used="both")
    with backend(where):
        whole, last = host(net(*map(here, args.values()))), host(list(walked(*map(here, args.values()))))
    np.testing.assert_allclose(last[0], whole[:, 2, 3], rtol=1e-10, atol=1e-10)


def here_in(tree: Tree, dtype: Any) -> Tree:
    with backend("numpy"):
        return placed(tree, dtype)


@pytest.mark.parametrize("where", BACKENDS)
def test_a_start_from_data(where: str) -> None:
    flow, x = FLOWS["glow"], generator(1).standard_normal((6, 16))
    params = flow.init(generator(0))
    expected = started(flow.bijection, params, x)
    with backend(where):
        found = host(started(flow.bijection, here(params), here(x))[1])
    np.testing.assert_allclose(found, expected[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("tilt", [None, Normal(16, 2.0)])
def test_the_energy_and_its_slope(where: str, tilt: Any) -> None:
    ebm = EBM(ConvEnergy(SHAPE, (3, 4)), tilt)
    rng = generator(0)
    args = {"params": randomise(ebm.init(rng), rng), "x": rng.standard_normal((5, 16))}
    agree(where, ebm.log_density, args)
    expected = density_and_gradient(args["x"], partial(ebm.log_density, args["params"]))
    with backend(where), counting() as count:
        params, x = here(args["params"]), here(args["x"])
        for found, e in zip(density_and_gradient(x, partial(ebm.log_density, params)), expected, strict=True):
            np.testing.assert_allclose(host(found), e, rtol=1e-9, atol=1e-9)
    assert where != "standin" or count.by_name["patches"] == 2  # two layers forth; the slope in x needs no patches


# Graphs

IMAGES: list[dict[str, Any]] = [
    {"family": "saef", "patch": 4, "contexts": "conv", "context_hidden": (4,), "context_width": 4, "objective": "energy",
     "class_conditional": True, "hidden": (4,), "layers": 2},
    {"family": "saef", "patch": 4, "contexts": "conv", "context_hidden": (4,), "context_width": 4, "hidden": (4,), "layers": 2,
     "block_map": "free_form", "objective": "energy"},
    {"family": "glow", "layers": 1, "hidden": (4,), "scales": 2, "objective": "likelihood"},
    {"family": "glow", "layers": 1, "hidden": (4,), "scales": 1, "matrix": "free", "objective": "energy"},
]


@pytest.mark.parametrize("where", ON_DEVICE)
@pytest.mark.parametrize("how", [*IMAGES[:-1], pytest.param(IMAGES[-1], marks=pytest.mark.slow)])
def test_a_training_by_graphs_is_one_step_by_step(where: str, how: dict[str, Any]) -> None:
    config = Config(**{"steps": 3, "batch": 4, "keep": "last", **how})
    by_graphs = run_of(where, config, "digits")
    with one_by_one():
        equal(by_graphs, run_of(where, config, "digits"))


def trained_ebm(where: str) -> Run:
    """flowMC-EBM with a convolutional energy and an image flow."""
    moves, flow = ((MALA(0.01), 2), (partial(ISIR, N=2), 1)), image_realnvp(SHAPE, 2, **TINY)
    algorithm = FlowMCEBM(ConvEnergy(SHAPE, (2, 3)), flow, moves, batch=4, buffer=8)
    data, told = generator(1).standard_normal((9, 16)), []
    with backend(where, "device"), counting() as count:
        x, begun = placed(data, "float32"), algorithm.init(generator(0))
        begun = type(begun)(**placed(begun._asdict(), "float32"))
        state = train_ebm(
            algorithm, begun, lambda step, rng: x[rng.choice(len(x), size=4)], lambda step: Rates(1e-3, 1e-3), Settings(3),
            generator(2), callback=lambda progress: told.append(heard(progress)),
        )
        leaves: list[Array] = [host(leaf) for leaf in state.params["energy"][0].values()]
        return Run(leaves, told, count.synchronisations, count.launches)


@pytest.mark.parametrize("where", ON_DEVICE)
def test_an_energy_likewise(where: str) -> None:
    by_graphs = trained_ebm(where)
    with one_by_one():
        equal(by_graphs, trained_ebm(where))


@pytest.mark.parametrize("where", ON_DEVICE)
def test_images_are_sampled_by_graphs_place_by_place(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_model, "ROWS", 8)
    how = {**IMAGES[0], "class_conditional": False}
    model = flow_model.FlowModel.of(Config(**how, steps=1), 64, 0, shape=Shape((8, 8, 1)))
    call = lambda: model.sample(model.init(generator(0)), 30, generator(1))
    by_graphs, launched, _ = counted(where, call)
    with call_by_call():
        one_by_one, none, _ = counted(where, call)
    assert np.array_equal(by_graphs, one_by_one)
    assert (launched, none) == (2 * (where == "standin"), 0)


# Launches


def test_a_convolution_forth_and_back() -> None:
    """Forth patches, the weights above the bias, a product; back patches, two products, a gather."""
    rng = generator(0)
    with backend("standin"):
        args = here({"x": rng.standard_normal((2, 4, 4, 2)), "W": rng.standard_normal((3, 3, 2, 3)), "b": np.ones(3)})
        g = here(rng.standard_normal((2, 4, 4, 3)))
        with counting() as count:
            _, back = forward(Window(3, 1, 1, 4, 4, 9), args["x"], args["W"], args["b"])
            backward(back, (1, 2, 3), g)
    assert +count.by_name == {"patches": 2, "pieces": 1, "gemm": 3, "unpatched": 1}
    assert (count.uploads, count.synchronisations) == (0, 0)


@pytest.mark.parametrize(("name", "objective", "expected"), [
    ("saef", Energy(1.0, 2), 62), ("glow", Likelihood(), 471), ("realnvp", Likelihood(), 547),
])
def test_a_training_step(name: str, objective: Any, expected: int) -> None:
    with backend("standin"):
        gradients, wholes = steps(FLOWS[name], objective, 4)
    assert gradients[1:] == [expected] * 3
    assert wholes[1:] == [expected + 1] * 3


def test_a_sample_of_a_grid_of_49_squares() -> None:
    """31 launches a square, however many images."""
    flow = image_saef((28, 28, 1), 4, hidden=(8, 8), context_width=4, map_hidden=(4,), map_layers=1)
    with backend("standin"):
        params, z = here(flow.init(generator(0))), here(generator(1).standard_normal((2, 784)))
        flow.sample(params, z)
        with counting() as count:
            flow.sample(params, z)
    assert (count.launches, count.uploads, count.synchronisations) == (1531, 0, 0)
