"""docs/experiments/own_density*.py: that the densities are what is said of them, and that a row measures what it says."""
import json
from pathlib import Path
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest

from evenflow.experiments import EXPERIMENTS, own_density
from evenflow.experiments.own_density import effective, measure, measured, run, summary
from evenflow.experiments.own_density_pages import page, table
from evenflow.experiments.own_density_peers import SAMPLERS, Found, installed
from evenflow.experiments.own_density_targets import SIGMA, TARGETS, Y, modes_of, normal, starts
from evenflow.reference.core import Array
from evenflow.reference.ebm.normalizer import importance

ROOT = Path(__file__).parents[2]


def drawn(name: str, n: int, rng: np.random.Generator) -> Array:
    """Independent draws by each density's own recipe; of the schools from the prior."""
    target = TARGETS[name]()
    noise = rng.standard_normal((n, target.d))
    if name == "funnel":
        v = 3 * noise[:, :1]
        return np.concatenate([v, np.exp(v / 2) * noise[:, 1:]], axis=1)
    if name == "banana":
        first = 10 * noise[:, 0]
        return np.column_stack([first, 0.03 * (first**2 - 100) + noise[:, 1]])
    assert target.modes is not None
    assert target.weights is not None
    k = rng.choice(len(target.weights), n, p=target.weights)
    sds = np.array([[0.7] * 5, [1.0] * 5]) if name == "two-modes" else sds_of_mixture()
    return target.modes[k] + sds[k] * noise


def sds_of_mixture() -> Array:
    rng = np.random.default_rng(20)
    rng.choice([-3.0, 3.0], (4, 20))
    return rng.uniform(0.5, 1.5, (4, 20))


@pytest.mark.parametrize("name", ["two-modes", "mixture", "funnel", "banana"])
def test_draws_by_the_recipe_have_the_moments_and_the_modes(name: str) -> None:
    """200,000 draws; 5 errors each, 6e-7 a coordinate, of the funnel v alone."""
    target, n = TARGETS[name](), 200_000
    x = drawn(name, n, np.random.default_rng(0))[:, : target.looked]
    mean, sd = target.mean[: target.looked], target.sd[: target.looked]
    error = x.std(axis=0) / n**0.5
    assert (np.abs(x.mean(axis=0) - mean) < 5 * error).all()
    of_square = ((x - mean) ** 2).std(axis=0) / n**0.5
    assert (np.abs(((x - mean) ** 2).mean(axis=0) - sd**2) < 5 * of_square).all()
    if target.weights is not None:
        seen = np.bincount(modes_of(target, x)) / n
        assert np.abs(seen - target.weights).max() < 5 * 0.5 / n**0.5


@pytest.mark.parametrize("name", ["two-modes", "mixture", "funnel", "banana"])
def test_their_mass_is_one(name: str) -> None:
    """log p of draws by the recipe, widened a little, as weights: E[p / q] = 1, within 5 errors (6e-7)."""
    target, rng, n, wide = TARGETS[name](), np.random.default_rng(1), 100_000, 1.1
    if name in ("funnel", "banana"):
        noise = wide * rng.standard_normal((n, target.d))
        base = normal(noise, 0.0, wide, np)
        if name == "funnel":
            v = 3 * noise[:, :1]
            x, log_q = np.concatenate([v, np.exp(v / 2) * noise[:, 1:]], axis=1), base - np.log(3) - 9 * v[:, 0] / 2
        else:
            first = 10 * noise[:, 0]
            x, log_q = np.column_stack([first, 0.03 * (first**2 - 100) + noise[:, 1]]), base - np.log(10)
    else:
        assert target.weights is not None
        assert target.modes is not None
        sds = np.array([[0.7] * 5, [1.0] * 5]) if name == "two-modes" else sds_of_mixture()
        k = rng.choice(len(target.weights), n, p=target.weights)
        x = target.modes[k] + wide * sds[k] * rng.standard_normal((n, target.d))
        parts = [np.log(w) + normal(x, m, wide * s, np) for w, m, s in zip(target.weights, target.modes, sds, strict=True)]
        log_q = np.logaddexp.reduce(parts)
    found = importance(target.log_density(x, np), log_q)
    assert found.ess > 0.02 * n
    assert abs(found.log_z - target.log_z) < 5 * found.standard_error


def test_the_schools_by_draws_of_the_prior() -> None:
    """What quadrature says of log Z and the means, by 300,000 draws of the prior; 5 errors."""
    target, rng, n = TARGETS["eight-schools"](), np.random.default_rng(2), 300_000
    mu, tau, eta = 5 * rng.standard_normal(n), 5 * np.abs(np.tan(np.pi * (rng.random(n) - 0.5))), rng.standard_normal((n, 8))
    x = np.column_stack([mu, tau, eta])
    log_w = normal(mu[:, None] + tau[:, None] * eta, Y, SIGMA, np)
    found = importance(log_w, np.zeros(n))
    assert abs(found.log_z - target.log_z) < 5 * found.standard_error
    w = np.exp(log_w - log_w.max()) / np.exp(log_w - log_w.max()).sum()
    mean = w @ x
    error = np.sqrt(w**2 @ (x - mean) ** 2)
    assert (np.abs(mean - target.mean) < 5 * error).all()
    assert np.abs(np.sqrt(w @ (x - mean) ** 2) / target.sd - 1).max() < 0.05
    of_tau = np.log(2 / (5 * np.pi * (1 + (tau / 5) ** 2)))
    prior = normal(mu[:, None], 0.0, 5.0, np) + of_tau + normal(eta, 0.0, 1.0, np)
    np.testing.assert_allclose(target.log_density(x, np), prior + log_w, rtol=1e-10)


@pytest.mark.parametrize("name", list(TARGETS))
def test_a_density_is_the_same_for_any_module(name: str) -> None:
    target = TARGETS[name]()
    x = starts(target, 20, np.random.default_rng(0))
    one_by_one = [float(target.log_density(row[None], np)[0]) for row in x]
    np.testing.assert_allclose(target.log_density(x, np), one_by_one, rtol=1e-12)
    np.testing.assert_allclose(target.log_density(x, anp), one_by_one, rtol=1e-12)
    assert target.low is None or (x > target.low).all()
    assert (target.box[0] < target.mean - 2 * target.sd).all() or name == "eight-schools"


def test_a_row_measures_what_it_says() -> None:
    target = TARGETS["two-modes"]()
    x = np.concatenate([np.full((40, 5), -3.0), np.full((60, 5), 3.0)])
    row = measured(target, Found(x, 100, 0, 0.25, 0.1), 2.0)
    assert row["weights"] == pytest.approx(0.4 - 1 / 3)
    assert row["mean"] == pytest.approx(abs(0.6 - 1.0) / target.sd[0])
    assert row["sd"] == pytest.approx(1 - np.sqrt(36 * 0.24) / target.sd[0])
    assert (row["log_z"], row["told"], row["ess"], row["per_call"]) == (0.25, 0.1, None, None)
    w = np.repeat([1 / 40 / 3, 2 / 60 / 3], [40, 60])
    row = measured(target, Found(x, 100, 0, w=w), 2.0)
    assert row["weights"] == pytest.approx(0, abs=1e-12)
    assert row["ess"] == pytest.approx(1 / np.sum(w**2))
    assert row["per_call"] == pytest.approx(10 * row["ess"])
    assert row["per_second"] == pytest.approx(row["ess"] / 2)
    chains = np.random.default_rng(0).standard_normal((500, 4, 5))
    worth = effective(Found(chains.reshape(-1, 5), 1, 1, chains=chains), np.ones(2000))
    assert worth is not None
    assert 1500 < worth < 2500


def test_what_a_peer_raises_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(target: Any, n: int, seed: int) -> Found:
        raise RuntimeError("no | way")

    monkeypatch.setitem(SAMPLERS, "emcee", (broken, "emcee"))
    measure("banana", "emcee", 0, 10, tmp_path, lambda name, at: None)
    (row,) = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert row["raised"] == "RuntimeError: no | way"
    lines = table({"rows": [row], "samplers": {}}, "banana")
    assert any("raised RuntimeError: no / way" in line for line in lines)
    assert any("| flowMC, RQSpline and MALA | unavailable |" in line for line in lines)


@pytest.mark.slow
def test_a_small_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One density and our own sampler, in a process of its own; gone on with, nothing is made again."""
    monkeypatch.setattr(own_density, "PRESETS", {"tiny": 640})
    monkeypatch.setattr(own_density, "TARGETS", {"banana": TARGETS["banana"]})
    monkeypatch.setattr(own_density, "SAMPLERS", {"evenflow": SAMPLERS["evenflow"]})
    (row,) = run(tmp_path, "tiny")
    assert row["calls"] > 100_000
    assert abs(row["log_z"]) < 0.3
    assert run(tmp_path, "tiny", resume=True) == [row]
    assert {path.name for path in tmp_path.iterdir()} == {"results.json", "rows.jsonl", "banana.npy", "own-density.png"}
    (line,) = summary([row])
    assert line["sampler"] == "evenflow"
    assert "### banana" in page([json.loads((tmp_path / "results.json").read_text())])


def test_it_is_one_of_the_experiments() -> None:
    assert EXPERIMENTS["own-density"] == "evenflow.experiments.own_density"
    assert installed("evenflow") == ""


def test_the_page_is_made_of_the_results() -> None:
    path = ROOT / "docs/results/own-density-quick.json"
    assert page([json.loads(path.read_text())]) == (ROOT / "docs/experiments/own-density.md").read_text()
