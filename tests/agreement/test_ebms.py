"""Energy-based models as wholes: a few steps of every algorithm, runs in a folder, what is drawn and weighed."""
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenflow.reference.core.optim import Adam
from evenflow.reference.core.placement import placed, streams
from evenflow.reference.core.trees import leaves, tree_map
from evenflow.reference.ebm import FCE, NTEBM, PCD, CoopFlow, FlowMCEBM, Jarzynski, Rates
from evenflow.reference.ebm.energies import EBM, MLPEnergy, contrast
from evenflow.reference.ebm.normalizer import annealed, importance
from evenflow.reference.flows.densities import Normal
from evenflow.reference.flows.flow import realnvp
from evenflow.reference.mcmc.adaptation import warm_up
from evenflow.reference.mcmc.chains import run as run_chains
from evenflow.reference.mcmc.contract import noise_like
from evenflow.reference.mcmc.hmc import HMC
from evenflow.reference.mcmc.independence import ISIR
from evenflow.reference.mcmc.langevin import MALA
from evenflow.reference.work import energy_evaluation, energy_model, sampling
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.options import ALGORITHMS as NAMES
from evenflow.reference.work.options import OPTIONS, Config
from evenflow.reference.work.runs import Trained, load_run, train_on
from evenflow.reference.work.units import Units
from tests.agreement.backends import BACKENDS, backend, here, host, on_its_device
from tests.strategies import generator, randomise

ENERGY, FLOW, RHO = MLPEnergy(2, (8, 6)), realnvp(2, layers=2, hidden=(6,)), Normal(2)
MOVES: Any = ((MALA(0.02), 2), (partial(ISIR, N=4), 1), (MALA(0.02), 1))
ALGORITHMS: dict[str, Any] = {
    "pcd": PCD(ENERGY, RHO, steps=3, step_size=0.02, batch=8, buffer=20, tilt=RHO),
    "flowmc": FlowMCEBM(ENERGY, FLOW, MOVES, batch=8, buffer=20, adapt=True, energy_optimiser=Adam()),
    "flowmc, all states": FlowMCEBM(ENERGY, FLOW, MOVES, batch=8, buffer=20, used=1),
    "nt": NTEBM(ENERGY, FLOW, MALA(0.1), steps=3, batch=8), "nt, hmc": NTEBM(ENERGY, FLOW, HMC(0.2, 2), steps=2, batch=8),
    "coopflow": CoopFlow(ENERGY, FLOW, steps=4, step_size=0.01, batch=8, tilt=RHO),
    "fce": FCE(ENERGY, FLOW, batch=8, tilt=RHO), "jarzynski": Jarzynski(ENERGY, RHO, 0.02, walkers=30, threshold=0.97),
}


def steps(name: str, count: int = 12) -> tuple[Any, list[dict[str, float]], Any]:
    """States and reports of an algorithm's steps on the backend in use, and the density at some points."""
    algorithm, rng, infos = ALGORITHMS[name], generator(4), []
    given = (randomise(FLOW.init(generator(2)), generator(3)),) if name.startswith(("nt", "coopflow")) else ()
    state = algorithm.init(generator(1), *given)
    state = type(state)(*(placed(part, "float64") for part in state))
    for _ in range(count):
        data = placed(rng.standard_normal((10, 2)) + 1, "float64")
        noise = placed(algorithm.noise(streams(rng, "float64")), "float64")
        state, info = algorithm.step(state, data, noise, Rates(0.01, 0.01))
        infos.append(info)
    return state, infos, algorithm.log_density(state, here(generator(5).standard_normal((4, 2))))


steps_of_the_reference = cache(steps)


def test_log_z_of_a_training_does_not_depend_on_the_backend() -> None:
    """In float64. 10 data beside 8 chains: the weights 1/10 and -1/8 add up to 0 but for rounding, and a constant in E would
    have that for a gradient, out of which Adam made full steps."""
    def log_z() -> float:
        state, _, _ = steps("flowmc", 60)
        assert "b" not in state.energy[-1]
        x = FLOW.base.sample(generator(6).standard_normal((4000, 2)))
        return importance(ALGORITHMS["flowmc"].log_density(state, x), RHO.log_prob(x)).log_z

    expected = log_z()
    with backend("numpy"):
        assert log_z() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_dozen_steps_of_every_algorithm(where: str, name: str) -> None:
    expected = steps_of_the_reference(name)
    with backend(where):
        state, infos, log_p = steps(name)
        assert on_its_device(where, state.energy)
    for part, e in zip(state, expected[0], strict=True):
        tree_map(lambda a, b: np.testing.assert_allclose(host(a), b, rtol=1e-7, atol=1e-8), part, e)
    for info, wanted in zip(infos, expected[1], strict=True):
        assert all(type(number) is float for number in info.values())
        assert info == pytest.approx(wanted, rel=1e-6, abs=1e-8)
    np.testing.assert_allclose(host(log_p), expected[2], rtol=1e-7, atol=1e-8)


# ------------------------------------------------------------------------------------------------ runs in a folder

FEW: dict[str, Any] = {
    "buffer": 24, "local_steps": 2, "global_steps": 1, "N": 4, "layers": 1, "hidden": (8,), "pretrain_steps": 3,
}


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("kind", [int, np.uint8, bool, np.float16])
def test_positives_of_any_dtype_have_their_weight(where: str, kind: Any) -> None:
    """1 / n in the dtype of whole numbers is 0: the data would count for nothing."""
    params = randomise(ENERGY.init(generator(0)), generator(1))
    whole, negatives = generator(2).integers(0, 2, (6, 2)), generator(3).standard_normal((4, 2))
    expected, gradient = contrast(ENERGY, params, whole.astype(float), negatives)
    with backend(where):
        got, slopes = contrast(ENERGY, here(params), here(whole.astype(float)).astype(kind), here(negatives))
        assert got == pytest.approx(expected, rel=1e-6)
        for a, e in zip(leaves(host(slopes)), leaves(gradient), strict=True):
            np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-6)


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few of what only makes samples and estimates better."""
    monkeypatch.setattr(sampling, "WARM_UP", 5)
    for name, few in (("CHAINS", (4, 1000)), ("BURN_IN", 2), ("DRAWS", 50)):
        monkeypatch.setattr(energy_model, name, few)
    for name, number in (("DRAWS", 60), ("CHAINS", 8), ("SWEEPS", 4), ("POINTS", 20)):
        monkeypatch.setattr(energy_evaluation, name, number)


def quick(algorithm: str, **more: Any) -> Config:
    known = {option.name for option in OPTIONS if algorithm in option.defaults}
    few = {name: choice for name, choice in FEW.items() if name in known}
    return Config("ebm", algorithm=algorithm, **{"steps": 5, "batch": 16, "dtype": "float64", **few, **more})


def table() -> Dataset:
    x = 100 + 10 * np.random.default_rng(0).standard_normal((80, 2))
    return Dataset("table", x[:60], x[60:], None, None, Units.standardised(x[:60]), None)


def used(run: Trained) -> list[Any]:
    """All that a user asks of a trained model."""
    row = energy_evaluation.evaluate_energy(run, table(), generator(0))
    return [run.sample(6, generator(1)), run.log_density(table().held_out), *run.log_z(40, generator(2)),
            *(row[field] for field in ("log_z_grid", "held_out_log_likelihood", "acceptance_local", "moment_gap"))]


@cache
def used_by_the_reference(algorithm: str) -> list[Any]:
    return used(train_on(quick(algorithm), table()))


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("algorithm", NAMES)
def test_runs(where: str, algorithm: str, tmp_path: Path) -> None:
    """Trained in a folder under one backend, read and resumed under the reference: the same numbers in the user's units."""
    config, expected = quick(algorithm), used_by_the_reference(algorithm)
    with backend(where):
        found = used(train_on(config, table(), tmp_path))
        again = load_run(tmp_path)
        assert again.can("log_z")
        found_again = [again.sample(6, generator(1))]
    resumed = train_on(config, table(), tmp_path, resume=True)
    for result in (found, found_again):
        for a, e in zip(result, expected, strict=False):
            np.testing.assert_allclose(a, e, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(resumed.log_density(table().held_out), expected[1], rtol=1e-6)


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize(("algorithm", "noise"), [*((name, "device") for name in NAMES), ("flowmc", "host")])
def test_runs_in_float32_stay_there(where: str, algorithm: str, noise: str) -> None:
    with backend(where, noise):
        run = train_on(quick(algorithm, dtype="float32"), table())
        assert {leaf.dtype for leaf in leaves(run.params.energy)} == {np.dtype("float32")}
        assert np.isfinite(run.sample(6, generator(1))).all()
        assert run.log_density(table().held_out).dtype == np.float32
        assert on_its_device(where, run.params.energy)


# --------------------------------------------------------------------------------------------- sampling and weighing


@pytest.mark.parametrize("where", BACKENDS)
def test_chains_warm_up_and_annealing(where: str) -> None:
    ebm = EBM(ENERGY, RHO)
    params, x = randomise(ebm.init(generator(1)), generator(1)), generator(2).standard_normal((8, 2))

    def f() -> list[Any]:
        p, q, start, rng = partial(ebm.log_density, here(params)), RHO.log_prob, here(x), generator(3)
        kernel, warm = warm_up(MALA(0.1), start, p, 10, rng)
        chains = run_chains(kernel, warm, p, 6, rng, every=2)
        noises = [noise_like(start, kernel, rng) for _ in range(3)]
        z, end, log_w = annealed(p, q, start, np.linspace(0, 1, 5), kernel, noises)
        return [kernel.step_size, chains.x, chains.accepted, z.log_z, z.ess, end, log_w]

    expected = f()
    with backend(where):
        for a, e in zip(f(), expected, strict=True):
            np.testing.assert_allclose(host(a), e, rtol=1e-8, atol=1e-9)
