"""docs/experiments/latent_chains*.py: that it writes what it promises, resumes, and measures what it says.

A tiny preset, in this process; the numbers of the real ones stand in docs/experiments/latent-chains.md."""
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenflow.experiments import latent_chains, latent_chains_pages, latent_chains_samplers, planar
from evenflow.experiments import latent_chains_pictures as draw
from evenflow.experiments.ebm_trainings import ALGORITHMS, Preset
from evenflow.experiments.latent_chains_measures import barriers, divergence, highest_pass, of_chains, pulled_back
from evenflow.experiments.latent_chains_samplers import SAMPLERS, Sampler, Uphill, evaluations, samplers, to_data, walked
from evenflow.reference.core import tree_map
from evenflow.reference.ebm.coopflow import revised
from evenflow.reference.ebm.normalizer import grid, lattice
from evenflow.reference.flows import Normal, realnvp
from evenflow.reference.mcmc import ISIR, MALA, ULA, FlowMC, IndependentMH, pullback
from evenflow.reference.targets.mixtures import four_modes
from tests.experiments.runs import written

TARGET = four_modes()
TINY = Preset(
    epochs=1, decays=True, rates=dict.fromkeys(ALGORITHMS, 1e-3), plain=("pcd",), shorter=64, pretraining=2, points=96,
    batch=32, buffer=64,
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    study = replace(latent_chains.STUDY, presets={"quick": TINY, "other": TINY})
    for module, name, value in (
        (latent_chains, "STUDY", study), (latent_chains, "PRESETS", {"quick": 12, "other": 12}), (latent_chains, "CELLS", 40),
        (planar, "CELLS", 40), (draw, "CELLS", 20),
        (latent_chains_samplers, "CHAINS", 8), (latent_chains_samplers, "WARMING", 2),
    ):
        monkeypatch.setattr(module, name, value)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_it_writes_what_it_promises_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = latent_chains.run(tmp_path, "quick", (0,))
    assert [row["sampler"] for row in rows] == [name for a in ALGORITHMS for name in SAMPLERS if name in OF[a]]
    for row in rows:
        assert tuple(row) == latent_chains.ROW
        assert row["stopped_at"] is None
        assert row["steps"] == 12 * (latent_chains.LONGER if row["sampler"] == "nt-longer" else 1)
        assert len(row["barriers"]) == TARGET.count - 1
        assert min(row["barriers"]) >= 0
        assert sum(row["zones_chains"]) == pytest.approx(1)
        assert row["kl"] == pytest.approx(0, abs=1e-9) if "exact" in row["sampler"] else row["kl"] > 0.01
        assert (row["ess_per_1000"] is None) == (row["sampler"] == "fce")
    assert written(tmp_path, latent_chains)["rows"] == rows
    assert len(latent_chains.summary(rows)) == len(rows)
    monkeypatch.setattr(draw, "pictures", lambda *kept: None)               # they take the most time
    assert latent_chains.run(tmp_path, "quick", (0,), resume=True) == rows  # read
    shutil.rmtree(tmp_path / "pcd-seed0")                                   # as if it had not begun
    (tmp_path / "nt-seed0" / "rows.json").unlink()                          # as if it had not been measured
    assert latent_chains.run(tmp_path, "quick", (0,), resume=True) == rows
    with pytest.raises(ValueError, match="preset is quick there, other here"):
        latent_chains.run(tmp_path, "other", (0,), resume=True)


OF = {
    "flowmc": ("flowmc", "flowmc-local", "flowmc-latent", "flowmc-exact"), "pcd": ("pcd",), "coopflow": ("coopflow",),
    "nt": ("nt", "nt-longer", "nt-exact", "exact-local", "exact-flowmc"), "fce": ("fce",), "jarzynski": ("jarzynski",),
}


@pytest.mark.usefixtures("small")
def test_a_training_that_runs_away_is_a_row_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = replace(TINY, rates={"pcd": 1e30}, algorithms=("pcd",))
    monkeypatch.setattr(latent_chains, "STUDY", replace(latent_chains.STUDY, presets={"quick": away}))
    row, = latent_chains.run(tmp_path)
    assert row["stopped_at"] is not None
    assert (row["sampler"], row["tau"]) == ("pcd", None)
    assert all((tmp_path / picture).exists() for picture in latent_chains.PICTURES)


def model_of(algorithm: str) -> tuple[Any, Any]:
    """Not trained; energy and flow moved away from their start."""
    study = replace(latent_chains.STUDY, presets={"quick": TINY})
    model, rng = study.model(algorithm, replace(TINY, batch=64, buffer=128)), np.random.default_rng(0)
    flow = [study.flow.init(rng)] if algorithm in ("nt", "coopflow") else []
    state = model.init(rng, *flow)
    moved = {name: tree_map(lambda leaf: leaf + 0.05 * rng.standard_normal(leaf.shape), getattr(state, name))
             for name in ("energy", "flow") if hasattr(state, name)}
    return model, state._replace(**moved)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_sampler_walks_on_the_density_that_it_names(algorithm: str) -> None:
    """In latent space log p(T(z)) + log |det dT/dz|, whichever way it is computed, up to a constant."""
    model, state = model_of(algorithm)
    found = {one.name: one for one in samplers(latent_chains.STUDY, model, state, 3, np.random.default_rng(1))}
    assert tuple(found) == OF[algorithm]
    for one in found.values():
        x, log_det = model.flow.bijection.forward(state.flow, one.start) if one.latent else (one.start, 0.0)
        log_p = TARGET.log_prob(x) if one.exact else model.log_density(state, x)
        if algorithm == "fce":
            log_p = model.flow.log_prob(state.flow, x)
        apart = one.log_density(one.start) - log_p - log_det
        assert len(one.start) == 8
        assert np.ptp(apart) < 1e-3, one.name
    if algorithm == "nt":
        x = model.flow.bijection.forward(state.flow, found["nt-exact"].start)[0]
        assert np.array_equal(found["nt-exact"].start, found["nt"].start)
        assert all(np.allclose(x, found[name].start) for name in ("exact-local", "exact-flowmc"))
        assert found["nt-longer"].longer == 3
        assert [steps for _, steps in found["exact-flowmc"].kernel.blocks] == [1, 24]
    if algorithm == "flowmc":
        x = model.flow.bijection.forward(state.flow, found["flowmc-latent"].start)[0]
        assert np.allclose(x, state.chains[:8], atol=1e-4)
        assert [steps for _, steps in found["flowmc"].kernel.blocks] == [1, 24]


def test_coopflow_goes_uphill_as_in_its_training() -> None:
    x = np.random.default_rng(0).standard_normal((5, 2))
    after, took = walked(Sampler("coopflow", Uphill(0.01), x, TARGET.log_prob), 7, np.random.default_rng(0))
    assert np.allclose(after[-1], revised(x, 7, 0.01, TARGET.log_prob))
    assert took == {}


FLOW = realnvp(2, layers=2, hidden=(8,), final_scale=0.5, base=Normal(2, 2.0))
PARAMS = FLOW.init(np.random.default_rng(0))


@pytest.mark.parametrize("kernel", [
    MALA(0.02), ULA(0.02), FlowMC(((ISIR(FLOW, PARAMS, 5), 1), (MALA(0.02), 4))),
    FlowMC(((ISIR(FLOW, PARAMS, 3), 2), (MALA(0.1), 1))),
])
def test_evaluations_are_those_that_the_chains_make(kernel: Any) -> None:
    looked = 0

    def log_p(x: Any) -> Any:
        nonlocal looked
        looked += len(x)
        return TARGET.log_prob(x)

    x = TARGET.sample(TARGET.noise(np.random.default_rng(0), 6))
    moves = sum(steps for _, steps in kernel.blocks) if isinstance(kernel, FlowMC) else 1
    states, _ = walked(Sampler("any", kernel, x, log_p), 20 * moves, np.random.default_rng(0))
    assert states.shape == (20 * moves, 6, 2)
    assert looked == pytest.approx(6 * (20 * moves * evaluations(kernel) + 1))  # the start's, once
    assert evaluations(IndependentMH(FLOW, PARAMS)) == 0


def test_every_move_of_flowmc_is_a_step() -> None:
    kernel = FlowMC(((ISIR(FLOW, PARAMS, 20), 1), (MALA(1e-12), 4)))
    x, took = walked(Sampler("flowmc", kernel, np.zeros((50, 2)), TARGET.log_prob), 12, np.random.default_rng(0))
    assert x.shape == (12, 50, 2)
    jumps = np.abs(np.diff(x[:, :, 0], axis=0)).max(axis=1) > 1e-3
    assert np.flatnonzero(jumps).tolist() == [4, 9]  # from the last local move to the next global one
    assert 0 < took["acceptance_global"] < 1
    assert took["acceptance_local"] > 0.99


def reached(log_p: Any, start: int, level: float) -> Any:
    """The cells that can be walked to from `start` without falling below the level: by spreading, until nothing changes."""
    high, found = log_p >= level, np.zeros(log_p.shape, dtype=bool)
    found.flat[start] = high.flat[start]
    while True:
        padded = np.pad(found, 1)
        spread = high & np.any([padded[i : i + len(found), j : j + found.shape[1]] for i in range(3) for j in range(3)], axis=0)
        if np.array_equal(spread, found):
            return found
        found = spread


def test_the_highest_pass_is_the_level_at_which_two_cells_part() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        log_p = rng.standard_normal((9, 7))
        start, end = rng.choice(63, 2, replace=False)
        level = highest_pass(log_p, start, end)
        assert reached(log_p, start, level).flat[end]
        assert not reached(log_p, start, np.nextafter(level, 9.0)).flat[end]


def test_barriers_by_hand() -> None:
    log_p = np.array([[0.0, -3.0, 2.0, 1.0], [-9.0, -9.0, -9.0, 0.5], [5.0, 4.5, -1.0, 0.0]])
    zones = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 2]])
    assert barriers(log_p, zones) == [3.0, 3.0]  # 0 to 2 over -3; 2 to 5 over -1
    assert barriers(np.array([[1.0, 2.0, 3.0]]), np.array([[0, 0, 1]])) == [0.0]  # one mode, that reaches into both zones


def test_barriers_of_p_are_those_on_the_line_through_the_centres() -> None:
    box = lattice((-5.0, -5.0), (5.0, 5.0), 200)
    found = barriers(grid(TARGET.log_prob, box).log_p.reshape(200, 200), TARGET.zones(box.points).reshape(200, 200))

    def on_line(low: float, high: float) -> Any:
        t = np.linspace(low, high, 20_001)
        return TARGET.log_prob(np.stack([t, np.zeros_like(t)], axis=1))

    for k, low in enumerate((-3.0, -1.0, 1.0)):
        expected = on_line(low - 0.5, low + 0.5).max() - on_line(low, low + 2.0).min()
        assert found[k] == pytest.approx(expected, abs=0.08)  # the cells are a twentieth wide


def test_the_pulled_back_density_is_that_of_the_latent_space() -> None:
    class Model:
        flow = FLOW

    class State:
        flow = PARAMS

    box = lattice((-3.0, -3.0), (3.0, 3.0), 15)
    z, _ = FLOW.inverse(PARAMS, box.points)
    expected = pullback(TARGET.log_prob, FLOW, PARAMS)(z)
    assert np.allclose(pulled_back(Model, State, box, TARGET.log_prob(box.points)), expected, atol=1e-3)
    states = np.reshape(z[:200], (50, 4, 2))
    assert np.allclose(to_data(Model, State, states).reshape(-1, 2), box.points[:200], atol=1e-4)


def test_chains_that_mix_and_chains_that_do_not() -> None:
    rng, weights = np.random.default_rng(0), TARGET.zone_weights()
    x = TARGET.sample(TARGET.noise(rng, 20_000)).reshape(500, 40, 2)
    free = of_chains(TARGET, x, weights, 4.0)
    assert free["tau"] == pytest.approx(1, abs=0.1)
    assert free["tau_evaluations"] == 4 * free["tau"]
    assert free["ess_per_1000"] == pytest.approx(250 / free["tau"])
    assert free["switch_rate"] == pytest.approx(1 - np.sum(weights**2), abs=0.02)
    assert max(free["rhat_mode"], free["rhat"]) < 1.02
    assert free["chains_density"] < 1e-4
    stuck = of_chains(TARGET, x[:1] + 0.1 * rng.standard_normal(x.shape), np.array([0.4, 0.3, 0.2, 0.1]), 1.0)
    assert stuck["rhat_mode"] == "inf"
    assert stuck["switch_rate"] == 0
    assert stuck["tau"] > 100
    assert stuck["chains_density"] > 0.01


def test_divergence_of_gaussians() -> None:
    box = lattice((-12.0, -12.0), (12.0, 12.0), 120)
    p, q = (grid(Normal(2, sd).log_prob, box) for sd in (1.0, 2.0))
    assert divergence(p, q) == pytest.approx(2 * (math.log(2) + 1 / 8 - 1 / 2), abs=1e-6)


def test_what_is_said_by_hand() -> None:
    def row(sampler: str, **values: Any) -> dict[str, Any]:
        return dict.fromkeys(latent_chains.ROW) | {"sampler": sampler, "stopped_at": None} | values

    rows = [row("pcd", rhat_mode=1.01), row("pcd", rhat_mode="inf"), row("fce", rhat_mode=1.01), row("nt", stopped_at=3)]
    said, = latent_chains_pages.findings({"rows": rows})
    assert said == (
        "**own samplers**, each on its own model: R-hat of the mode is below 1.05 in every seed for FCE (1.010); not for "
        "PCD-ULA (inf)"
    )
    highest = {"exact-local": 9.0, "nt-exact": 8.5, "flowmc-exact": 7.0}
    rows = [row(name, barriers=[1.0, high, 0.0]) for name, high in highest.items()]
    assert latent_chains_pages.of_barriers({"rows": rows}).endswith("the flows take 0.50 and 2.00 of it away")
    assert latent_chains_pages.cell([np.array(1.0), np.array(2.0)]) == "1.5 (0.7)"
    assert latent_chains_pages.cell([np.array([1.0, 2.0]), np.array([2.0, 2.0])], ".2f") == "1.50 2.00"
    assert latent_chains_pages.cell([]) == "-"
