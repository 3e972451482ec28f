"""docs/experiments/draws*.py: that they write what they promise and resume, and that the measures are what closed forms say.

Small trainings, in this process; the numbers of the real ones stand in docs/experiments/draws.md."""
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from evenflow import accel
from evenflow.experiments import draws, draws_findings, draws_measures, draws_pages, draws_trainings
from evenflow.experiments.draws_measures import Pairs, Reference, blend, class_spread, least_spread, normal_check, variances
from evenflow.experiments.draws_trainings import Preset, Training
from evenflow.experiments.results import Row
from evenflow.reference.core import normal_quantile
from evenflow.reference.scores import energy_score
from evenflow.reference.work.rows import Rows
from evenflow.reference.work.units import Units
from tests.experiments.runs import Stopped, stopping, without_times, written

TINY = Preset(101, 101, 2, ("steps",))  # one step beyond EARLY


@pytest.fixture
def small(few: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small batches, few of everything; the rest as it is."""
    for module in (draws, draws_trainings):
        monkeypatch.setattr(module, "BATCH", 8)
        monkeypatch.setattr(module, "PRESETS", {"tiny": TINY, "other": TINY._replace(pairs=3, steps=102)})
    for name, value in {"DRAWS": (2, 4), "EPS": (0.0, 1.0), "DIRECTIONS": (2,), "REPEATS": 20}.items():
        monkeypatch.setattr(draws, name, value)
    monkeypatch.setattr(draws, "REFERENCES", {"digits": (16, 4, 2), "eight-gaussians": (16, 4, 2)})
    monkeypatch.setattr(draws_trainings, "TRAINED", (4,))
    monkeypatch.setattr(draws_trainings, "TRAINED_EPS", (0.0, 1.0))
    monkeypatch.setattr(draws_measures, "SAMPLED", 3)
    with accel.use("numpy"):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_it_writes_what_it_promises_and_resumes(tmp_path: Path) -> None:
    rows = draws.run(tmp_path / "whole", "tiny", (0,))
    looked = [row for row in rows if row["kind"] == "gradient"]
    places = [(data, step) for data in ("digits", "eight-gaussians") for step in (0, 100, 101)]
    assert [(row["data"], row["step"]) for row in looked[::5]] == places
    for row in looked:
        assert row["draws_noise"] > 0
        assert row["time"] > 0
        assert (row["bias"] is None) == (row["directions"] is not None)
        assert row["bias"] != 0 if row["eps"] else not row["bias"]
    trained = [row for row in rows if row["kind"] == "training"]
    assert [(row["data"], row["eps"]) for row in trained] == [("digits", 0.0), ("digits", 1.0), ("eight-gaussians", 0.0)]
    assert trained[0]["spread_over_error"] > trained[1]["spread_over_error"] > 0
    assert written(tmp_path / "whole", draws)["rows"] == rows
    assert draws.run(tmp_path / "whole", "tiny", (0,), resume=True) == rows
    assert len(draws.summary(rows)) == 2 * 6 + 3
    blended = *Training("digits", 4, 1.0, "steps"), "tiny", 0, tmp_path / "stopped"
    with pytest.raises(Stopped):
        draws_trainings.learn(*blended, False, stopping("", 60))
    again = draws_trainings.learn(*blended, True, lambda name, progress: None)
    assert without_times([again]) == without_times(trained[1:2])
    with pytest.raises(ValueError, match="holds another run: go on with the preset it was begun with"):
        draws.run(tmp_path / "whole", "other", (0,), resume=True)


def test_equal_draws_are_equal_draws() -> None:
    how = draws_trainings.PRESETS["best"]
    planned = draws_trainings.trainings(how)
    assert {one.draws * one.steps(how) for one in planned if one.plan == "draws"} == {how.steps * draws_trainings.BASE}
    assert {one.steps(how) for one in planned if one.plan == "steps"} == {how.steps}
    assert len(set(planned)) == len(planned) == 16
    assert draws_trainings.base("digits") in planned
    assert Training("digits", 16, 0.05, "draws").config(how, 3).seed == 3


def test_the_blend_by_hand() -> None:
    x, y = np.array([[[0.0]], [[2.0]]]), np.array([[0.0]])
    assert blend(x, y, eps=0.0) == pytest.approx([1.0 - 1.0])  # 1 - |0 - 2| / 2
    assert blend(x, y, eps=1.0) == pytest.approx([1.0 - 0.5])
    assert blend(x, y, eps=0.05) == pytest.approx([0.05 * 0.5])
    many = np.random.default_rng(0).standard_normal((5, 3, 2))
    fair, biased = (energy_score(many, many[0], 0.5, kind) for kind in "UV")
    assert blend(many, many[0], 0.5, 0.2) == pytest.approx(0.8 * fair + 0.2 * biased)


def test_the_blend_is_the_score_with_less_weight_on_the_spread() -> None:
    """1 - eps / m in front of E|X - X'| / 2, and where a normal forecast then has its least."""
    x, y = np.random.default_rng(0).standard_normal((4, 3, 2)), np.zeros((3, 2))
    fair, fidelity = energy_score(x, y), np.linalg.norm(x, axis=2).mean(axis=0)
    assert blend(x, y, eps=0.2) == pytest.approx(fidelity - (1 - 0.2 / 4) * (fidelity - fair))
    s = np.linspace(0.01, 1.2, 100_000)
    for c in (0.5, 0.75, 0.95, 1.0):
        scores = np.sqrt(1 + s**2) - c * s / math.sqrt(2)  # over E|Z|
        least = least_spread(c)
        assert s[scores.argmin()] == pytest.approx(least, abs=1e-4)
        assert math.sqrt(2) * least / math.sqrt(1 + least**2) == pytest.approx(c)


@pytest.mark.parametrize("c", [0.5, 0.9])
def test_on_the_line_the_least_is_the_law_without_its_tails(c: float) -> None:
    """As the page says: F_P = 1/2 + (F - 1/2) / c. No point can then be worth moving: E|x - Y| - c E|x - X'| is level on it."""
    data = normal_quantile((np.arange(2000) + 0.5) / 2000)
    model = data[(np.abs(np.arange(2000) - 999.5) < c * 1000)]
    level = [np.mean(np.abs(x - data)) - c * np.mean(np.abs(x - model)) for x in model[::100]]
    assert np.ptp(level) < 1e-3
    beyond = np.mean(np.abs(data[-1] - data)) - c * np.mean(np.abs(data[-1] - model))
    assert beyond > level[0] + 0.1 * (1 - c)


def test_the_noise_is_taken_apart_as_it_was_put_together() -> None:
    """g = mu + D + z in 50 dimensions, D of variance 4 each, z of variance 9."""
    rng, d, mu = np.random.default_rng(0), 50, np.full(50, 3.0)
    known, pairs = Reference(mu, 0.0), Pairs()
    for _ in range(4000):
        batch = mu + 2 * rng.standard_normal(d)
        pairs.add([batch + 3 * rng.standard_normal(d) for _ in range(2)], known)
    told = pairs.told(known)
    assert told["gradient"] == pytest.approx(9 * d)
    assert told["draws_noise"] == pytest.approx(9 * d, rel=0.02)
    assert told["data_noise"] == pytest.approx(4 * d, rel=0.03)
    assert pairs.length_squared == pytest.approx(9 * d, rel=0.02)
    assert abs(told["off_reference"]) < 0.01 * 9 * d
    assert pairs.off(Reference(mu + 1.0, 0.0)) == pytest.approx(d, rel=0.1)
    assert pairs.off(Reference(mu, 5.0)) == pytest.approx(pairs.off(known) - 5)
    assert told["cosine"] == pytest.approx(math.sqrt(9 / (9 + 13)), abs=0.02)


def test_the_reference_knows_its_own_error() -> None:
    rng = np.random.default_rng(0)
    known = [Reference.of(list(rng.standard_normal((8, 3)))) for _ in range(2000)]
    assert np.mean([one.error for one in known]) == pytest.approx(3 / 8, rel=0.05)
    assert np.mean([one.squared for one in known]) == pytest.approx(0.0, abs=0.03)


@pytest.mark.parametrize("m", [2, 3, 8])
def test_a_normal_forecast_has_the_variances_of_the_closed_form(m: int) -> None:
    told = normal_check(m, 4000, np.random.default_rng(m))
    assert told["mean_ratio"] == pytest.approx(1, abs=0.08)
    assert told["scale_ratio"] == pytest.approx(1, abs=0.08)
    assert told["bias_ratio"] == pytest.approx(1, abs=0.03)


def test_the_closed_form_by_hand() -> None:
    assert variances(0.0, 4)[0] == pytest.approx(4 * 0.25 / 4)  # the mean of four fair signs
    assert variances(50.0, 2)[0] == pytest.approx(0, abs=1e-9)
    far = variances(-50.0, 2)[1]  # every sign is +: mean of z less |z - z'| / 2
    assert far == pytest.approx(1 / 2 + (2 - 4 / math.pi) / 4, rel=1e-2)


class Normals:
    """Forecasts N(0, s^2 I), m draws a datum."""

    def __init__(self, s: float) -> None:
        self.s = s

    def noise(self, rng: np.random.Generator, n: int) -> Any:
        return rng.standard_normal((n, 2))

    def loss(self, params: Any, x: Any, noise: Any, score: Any, context: Any) -> Any:
        return np.mean(score(self.s * noise.reshape(-1, len(x), 2), x))


@pytest.mark.parametrize("s", [0.4, 1.0, 1.5])
def test_spread_over_error_of_normals(s: float) -> None:
    x = np.random.default_rng(0).standard_normal((4000, 2))
    rows = Rows(x, None, Units(np.zeros(2), np.ones(2)), "float32")
    model: Any = SimpleNamespace(flow=Normals(s))
    told = draws_measures.spread_over_error(model, None, rows, np.random.default_rng(1))
    assert told == pytest.approx(math.sqrt(2) * s / math.sqrt(1 + s**2), rel=0.02)


def test_the_spread_of_classes_by_hand() -> None:
    u = np.array([[0.0, 0.0], [2.0, 0.0], [10.0, 10.0], [10.0, 14.0]])
    assert class_spread(u, np.array([0, 0, 1, 1])) == pytest.approx(math.sqrt((2 + 0 + 0 + 8) / 4))


def made_up() -> list[Row]:
    """Noise 8 / m against data's 1, times 1 + m / 4."""
    known: Row = {"kind": "gradient", "data": "digits", "step": 0, "data_noise": 1.0, "gradient": 2.0, "off_reference": 0.0}
    known["cosine"] = 0.5
    rows = [
        {**known, "draws": m, "directions": None, "eps": eps, "draws_noise": 8 / m, "time": 1 + m / 4, "bias": eps / m}
        for m in (2, 4, 8, 16) for eps in (0.0, 1.0)
    ]
    return [*rows, {**known, "draws": 4, "directions": 16, "eps": 0.0, "draws_noise": 3.0, "time": 1.0, "bias": None}]


def test_what_is_said_of_the_noise_by_hand() -> None:
    rows = made_up()
    assert draws_findings.of_noise(rows, ("digits", 0)) == (
        "**digits, step 0**: the draws' noise falls like m^-1.00; it is below the data's from 16 draws on (4 times that at 2); "
        "noise times time is least at 4 draws"
    )
    assert draws_findings.of_bias(rows).endswith("digits, step 0: 0.5 at 2 draws, like m^-1.00")
    assert draws_findings.of_slices(rows).endswith("digits, step 0: 0.75 at 16 directions")
    for row in rows:
        row["data_noise"] = 2.0
    assert "below the data's from 8 draws on (2 times that at 2)" in draws_findings.of_noise(rows, ("digits", 0))
    for row in rows:
        row["data_noise"] = 0.1
    assert "never below the data's" in draws_findings.of_noise(rows, ("digits", 0))


def test_the_tables_by_hand() -> None:
    rows = [row for row in made_up() if row["draws"] < 8]
    assert draws_pages.noise_table(rows).splitlines()[2:] == [
        "| digits | 0 | 2 | 1 | 4 | 2 | 0.5 | 1.5 | 1 | 1 |", "| digits | 0 | 4 | 1 | 2 | 2 | 0.5 | 2 | 0.667 | 0.8 |"]
    assert draws_pages.blend_table(rows).splitlines()[2:] == ["| digits | 0 | 2 | 0.5 | 1 |", "| digits | 0 | 4 | 0.25 | 1 |"]
    assert draws_pages.sliced_table(rows).splitlines()[2:] == ["| digits | 0 | 1.5 | 0.5 |"]
    rows += [{"kind": "training", "data": "digits", "plan": "steps", "draws": 2, "eps": 0.0, "steps": 800, "nll": None}]
    assert draws_findings.cost(rows, 4, 400) == pytest.approx(400 * 2 / (800 * 1.5))
