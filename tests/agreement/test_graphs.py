"""Whole steps as graphs, on the stand-in: played back they leave what they leave one by one, to the last bit; every family,
objective and algorithm can be recorded; a stretch has one wait; errors, Ctrl-C and checkpoints are as ever."""
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from evenflow.accel import graphs, playback
from evenflow.reference.core import SGD, Adam, Array, Tree, leaves, optim, placed
from evenflow.reference.ebm.energies import EBM, MLPEnergy
from evenflow.reference.flows import Normal
from evenflow.reference.flows.flow import realnvp
from evenflow.reference.mcmc import HMC, ISIR, MALA, FlowMC, IndependentMH, RandomWalk, run
from evenflow.reference.saef.objectives import Likelihood
from evenflow.reference.work import flow_model
from evenflow.reference.work.checkpoints import State
from evenflow.reference.work.data import load
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import load_run, train_on
from evenflow.reference.work.stretches import TrainingStopped
from evenflow.reference.work.training import Progress, Settings, train
from tests.agreement.backends import ON_DEVICE, backend, host
from tests.standin import counting
from tests.strategies import generator

FLOW = realnvp(2, 2, (8, 8))
NARROW: dict[str, Any] = {"hidden": (8,), "layers": 2}
SAEF = {**NARROW, "context_hidden": (8,), "context_width": 4}  # and below one whose network for the context is wide
FAMILIES: list[tuple[str, dict[str, Any]]] = [
    ("realnvp", NARROW), ("realnvp", {"hidden": (300,), "layers": 2}), ("maf", NARROW), ("spline", NARROW),
    ("dense", {"layers": 2}), ("dense", {"layers": 2, "matrix": "plu"}),
    ("saef", SAEF), ("saef", {**SAEF, "block_map": "free_form"}), ("saef", {**SAEF, "block_map": "spline"}),
    ("saef", {**SAEF, "blocks": (2,), "block_map": "dense"}),
    ("aqf", {"hidden": (8,)}), ("aqf", {"hidden": (8,), "transformer": "spline"}),
]
OBJECTIVES = ("likelihood", "energy", "sliced", "mmd")
WHOLLY = (("realnvp", NARROW), ("aqf", {"hidden": (8,)}))  # quick with each objective; the others with one
FLOWS: list[Any] = [
    pytest.param(family, {**how, "objective": objective}, marks=[pytest.mark.slow] * (
        objective != "energy" and (family, how) not in WHOLLY))
    for family, how in FAMILIES for objective in OBJECTIVES
    if how.get("block_map") != "free_form" or objective != "likelihood"
] + [
    ("aqf", {"hidden": (8,), "objective": "quantile"}), ("realnvp", {**NARROW, "base": "uniform", "base_scale": 8.0}),
    ("saef", {**NARROW, "objective": "energy", "beta": 0.5, "average_decay": 0.9, "clip": 1.0, "schedule": "cosine"}),
]
ALGORITHMS: list[dict[str, Any]] = [
    {"algorithm": "flowmc", **NARROW}, {"algorithm": "flowmc", **NARROW, "local_kernel": "hmc", "global_kernel": "independent"},
    {"algorithm": "flowmc", **NARROW, "local_kernel": "random-walk", "energy_optimiser": "sgd"},
    {"algorithm": "pcd"}, {"algorithm": "nt", **NARROW, "pretrain_steps": 3},
    {"algorithm": "coopflow", **NARROW, "pretrain_steps": 3},
    {"algorithm": "fce", **NARROW}, {"algorithm": "jarzynski"},
]


class Run(NamedTuple):
    params: list[Array]
    told: list[Any]  # (step, loss, learning rate, gradient norm, info) of every step
    waits: int
    launches: int


@contextmanager
def one_by_one() -> Iterator[None]:
    """The device's own way without graphs."""
    patch = pytest.MonkeyPatch()
    patch.setattr(graphs, "recorded", lambda advance, state: None)
    try:
        yield
    finally:
        patch.undo()


def heard(progress: Progress) -> Any:
    return (progress.step, progress.loss, progress.learning_rate, progress.gradient_norm, dict(progress.info))


def run_of(where: str, config: Config, data: str = "rings") -> Run:
    told: list[Any] = []
    with backend(where, "device"), counting() as count:
        trained = train_on(config, load(data), callback=lambda progress: told.append(heard(progress)))
        params = trained.params._asdict() if hasattr(trained.params, "_asdict") else trained.params
        return Run(list(leaves(host(params))), told, count.synchronisations, count.launches)


def equal(a: Run, b: Run) -> None:
    assert a.told == b.told
    assert all(np.array_equal(x, y, equal_nan=True) and x.dtype == y.dtype for x, y in zip(a.params, b.params, strict=True))


def name(case: Any) -> str:
    return "-".join(map(str, case.values() if isinstance(case, dict) else [case]))


@pytest.mark.parametrize("where", ON_DEVICE)
@pytest.mark.parametrize(("family", "how"), FLOWS, ids=name)
def test_a_flow_is_trained_by_graphs_as_one_by_one(where: str, family: str, how: dict[str, Any]) -> None:
    """A step that could not be recorded would warn, and warnings are errors here."""
    config = Config(family, **{"steps": 3, "batch": 8, "keep": "last", **how})
    by_graphs = run_of(where, config)
    with one_by_one():
        equal(by_graphs, run_of(where, config))


@pytest.mark.parametrize("where", ON_DEVICE)
@pytest.mark.parametrize("how", ALGORITHMS, ids=name)
def test_an_energy_based_model_likewise(where: str, how: dict[str, Any]) -> None:
    buffer = {} if how["algorithm"] in ("nt", "coopflow", "fce") else {"buffer": 16}
    config = Config("ebm", **{"steps": 3, "batch": 8, "keep": "last", **buffer, **how})
    by_graphs = run_of(where, config)
    with one_by_one():
        equal(by_graphs, run_of(where, config))


@pytest.mark.parametrize("where", ON_DEVICE)
def test_labels_and_dequantised_pixels_are_drawn_on_the_device(where: str) -> None:
    config = Config("saef", blocks=4, class_conditional=True, steps=2, batch=4, keep="last", hidden=(8,), context_hidden=(8,))
    by_graphs = run_of(where, config, "digits")
    with one_by_one():
        equal(by_graphs, run_of(where, config, "digits"))


# The loop itself


def loss(params: Tree, x: Array) -> Array:
    return Likelihood()(params, FLOW, x, {})


def draws(x: Array) -> Callable[[np.random.Generator], tuple[Array]]:
    return lambda rng: (x[rng.choice(len(x), size=8, replace=False)],)


def trained(settings: Settings, loss: Any = loss, x: Array | None = None, **kept: Any) -> State:
    data = placed(generator(1).standard_normal((30, 2)) if x is None else x, "float32")
    return train(loss, draws(data), placed(FLOW.init(generator(0)), "float32"), settings, generator(2), **kept)


MORE: list[dict[str, Any]] = [
    {}, {"clip": 0.5}, {"average_decay": 0.9}, {"optimiser": SGD(0.5)}, {"optimiser": Adam(0.5, 0.9, 1e-6)},
    {"schedule": optim.linear_decay(1e-2, 25)},
]


@pytest.mark.parametrize("where", ON_DEVICE)
@pytest.mark.parametrize("more", MORE, ids=["plain", "clip", "average", "sgd", "adam", "decay"])
def test_settings_and_the_generator(where: str, more: dict[str, Any]) -> None:
    settings, ends = Settings(25, evaluate_every=10, checkpoint_every=8, **more), []
    for way in (one_by_one, nullcontext):
        with backend(where, "device"), way():
            ends.append(host_state(trained(settings)))
    assert ends[0] == ends[1]


def host_state(state: State) -> Any:
    parts = {"params": state.params, "memory": state.optimiser_state, "average": state.average or []}
    return state.step, str(state.rng.bit_generator.state), [leaf.tolist() for leaf in leaves(host(parts))]


@pytest.mark.parametrize("noise", ["host", "device"])
def test_a_stretch_is_one_upload_its_graphs_and_one_wait(noise: str) -> None:
    counts: list[tuple[int, int, int]] = []
    with backend("standin", noise), counting() as count:
        def look(progress: Progress) -> None:
            if progress.step % 10 == 0:
                counts.append((count.uploads, count.synchronisations, count.by_name["graph"]))

        trained(Settings(40, evaluate_every=10), callback=look)
    steps = np.diff(np.array(counts), axis=0)
    assert steps.tolist() == [[1, 1, 10]] * 3


def test_launches_of_a_recorded_step() -> None:
    """Of loss, gradient and Adam; the norm and three looks; the row; theta, m, v and t put back; what is told; the next."""
    with backend("standin", "device"), counting() as count:
        trained(Settings(5))
    assert count.recorded == RECORDED


RECORDED = 36


@pytest.mark.parametrize("where", ON_DEVICE)
def test_what_is_not_finite_is_named_as_ever(where: str, tmp_path: Path) -> None:
    """In the middle of a stretch a step goes much too far."""
    settings = Settings(60, evaluate_every=30, checkpoint_every=30, schedule=lambda step: 1e-3 if step < 13 else 1e30)
    said, kept = [], []
    for way in (one_by_one, nullcontext):
        told: list[int] = []
        kept_there: Any = {"callback": lambda progress, to=told: to.append(progress.step), "checkpoint": tmp_path / "c.npz"}
        with backend(where, "device"), way(), pytest.raises(TrainingStopped) as stopped:
            trained(settings, **kept_there)
        said.append((stopped.value.step, stopped.value.what, told))
        with np.load(tmp_path / "c.npz") as file:
            kept.append({key: file[key].tolist() for key in file.files})
    assert said[0] == said[1]
    assert kept[0] == kept[1]
    assert said[0][0] == 15


@pytest.mark.parametrize("where", ON_DEVICE)
def test_an_interrupted_stretch_is_made_again(where: str, tmp_path: Path) -> None:
    settings = Settings(40, evaluate_every=20, checkpoint_every=20)

    def stop(progress: Progress) -> None:
        if progress.step == 27:
            raise KeyboardInterrupt

    with backend(where, "device"):
        whole = host_state(trained(settings))
        with pytest.raises(KeyboardInterrupt):
            trained(settings, callback=stop, checkpoint=tmp_path / "c.npz")
        assert host_state(trained(settings, checkpoint=tmp_path / "c.npz", resume=True)) == whole


@pytest.mark.parametrize("where", ON_DEVICE)
def test_a_loss_with_host_code_says_so_once_and_is_trained_one_by_one(where: str) -> None:
    def on_the_host(params: Tree, x: Array) -> Array:
        return loss(params, x) * float(abs(x).max())

    with backend(where, "device"):
        with pytest.warns(RuntimeWarning, match="cannot be recorded, and are made one by one: ") as said:
            by_warning = host_state(trained(Settings(20, evaluate_every=5), on_the_host))
        with one_by_one():
            assert host_state(trained(Settings(20, evaluate_every=5), on_the_host)) == by_warning
    assert len(said) == 1


@pytest.mark.parametrize("where", ON_DEVICE)
def test_a_rate_of_zero_has_a_graph_of_its_own(where: str) -> None:
    """CoopFlow's flow waits for the first twentieth of the training: 2 steps of 40."""
    config = Config("ebm", algorithm="coopflow", steps=40, batch=4, keep="last", pretrain_steps=2, local_steps=2, **NARROW)
    by_graphs = run_of(where, config)
    with one_by_one():
        equal(by_graphs, run_of(where, config))


def test_a_run_goes_on_under_any_backend(tmp_path: Path) -> None:
    config = Config("realnvp", steps=20, batch=8, keep="last", **NARROW)
    for first, then in (("standin", "numpy"), ("numpy", "standin")):
        folder, data = tmp_path / first, load("rings")

        def stop(progress: Progress) -> None:
            if progress.step == 12:
                raise KeyboardInterrupt

        with backend(first), pytest.raises(KeyboardInterrupt):
            train_on(config, data, folder, callback=stop)
        with backend(then):
            train_on(config, data, folder, resume=True)
            assert load_run(folder).sample(3, generator(0)).shape == (3, 2)


# Sampling


def counted(where: str, call: Callable[[], Any]) -> tuple[Any, int, int]:
    with backend(where, "device"), counting() as count:
        result = host(call())
        return result, count.by_name["graph"], count.synchronisations


@contextmanager
def call_by_call() -> Iterator[None]:
    """Without `replayed`."""
    patch = pytest.MonkeyPatch()
    patch.setattr(playback.Replayed, "recorded", lambda self, *given: False)
    try:
        yield
    finally:
        patch.undo()


KERNELS: list[Callable[[Tree], Any]] = [
    lambda params: MALA(0.1), lambda params: HMC(0.1, 3), lambda params: RandomWalk(0.5), lambda params: ISIR(FLOW, params, 4),
    lambda params: FlowMC(((MALA(0.1), 2), (IndependentMH(FLOW, params), 1))),
]


@pytest.mark.parametrize("where", ON_DEVICE)
@pytest.mark.parametrize("of", range(len(KERNELS)))
@pytest.mark.parametrize("known", [True, False])
def test_chains_are_played_back(where: str, of: int, known: bool) -> None:
    """Whether the device knows the density or not."""
    ebm, target = EBM(MLPEnergy(2, (8,)), Normal(2)), Normal(2, 1.5)
    parts: tuple[Any, ...] = (ebm, FLOW)

    def call() -> Any:
        params, flow = (placed(part.init(generator(k)), "float32") for k, part in enumerate(parts))
        log_density = partial(ebm.log_density, params) if known else target.log_prob
        x = placed(generator(3).standard_normal((5, 2)), "float32")
        chains = run(KERNELS[of](flow), x, log_density, 12, generator(4), every=2)
        return [chains.x, chains.accepted]

    by_graphs, launched, waits = counted(where, call)
    with call_by_call():
        one_by_one, none, more_waits = counted(where, call)
    assert all(map(np.array_equal, by_graphs, one_by_one))
    assert (launched, none) == (5 * (where == "standin"), 0)  # counted there; the first sweep of six is made as ever
    assert waits <= more_waits + 13    # each call of the others has one, and one for what came before it


@pytest.mark.parametrize("how", [
    ("saef", {**NARROW, "blocks": 2}), ("maf", NARROW), ("spline", NARROW), ("dense", {"layers": 1}),
], ids=name)
@pytest.mark.parametrize("where", ON_DEVICE)
def test_chunks_of_samples_are_played_back(where: str, how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_model, "ROWS", 16)
    model = flow_model.FlowModel.of(Config(how[0], steps=1, **how[1]), 2, 0)
    call = lambda: model.sample(model.init(generator(0)), 70, generator(1))
    by_graphs, launched, _ = counted(where, call)
    with call_by_call():
        one_by_one, none, _ = counted(where, call)
    assert np.array_equal(by_graphs, one_by_one)
    assert (launched, none) == (3 * (where == "standin"), 0)
