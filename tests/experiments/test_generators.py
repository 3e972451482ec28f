"""docs/experiments/generators*.py: that the head is that of reference/, the run writes what it promises and resumes, and the
measures of diversity are what closed forms say.

Small trainings, in this process; the numbers of the real ones stand in docs/experiments/generators.md."""
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from evenflow import accel
from evenflow.experiments import draws_measures, generators, generators_measures, generators_pages
from evenflow.experiments.generators_model import Generator, generator
from evenflow.experiments.results import Row
from evenflow.reference.core import tree_map, value_and_gradient
from evenflow.reference.saef import FreeForm, saef
from evenflow.reference.saef.objectives import Energy
from evenflow.reference.work.rows import Rows
from evenflow.reference.work.units import Units
from tests.experiments.runs import Stopped, stopping, without_times, written

TINY = {"steps": 2, "learning_rate": 1e-3, "beta": 1.0, "draws": 4, "batch": 8}


@pytest.fixture
def small(few: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two steps, few of everything; the rest as it is."""
    monkeypatch.setattr(generators, "PRESETS", {"tiny": TINY, "other": TINY | {"steps": 3}})
    tiny = {"NOISE": (1, 16), "NOISE_OF_FEW": (16,), "DRAWS": (4,), "BETA": (1.0,), "HEADS": ("affine",)}
    for name, value in {**tiny, "ROUNDS": 1, "ROWS": 20, "HIDDEN": (8,)}.items():
        monkeypatch.setattr(generators, name, value)
    monkeypatch.setattr(draws_measures, "SAMPLED", 3)
    monkeypatch.setattr(generators_measures, "CLOUD", 4)
    with accel.use("numpy"):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_it_writes_what_it_promises_and_resumes(tmp_path: Path) -> None:
    rows = generators.run(tmp_path / "whole", "tiny", (0,))
    kinds = [(row["head"], row["blocks"], row["noise"]) for row in rows]
    assert kinds == [
        ("real digits", None, None), ("free form", 16, 16), ("free form", 16, 1), ("free form", 4, 16),
        ("affine", 16, None), ("affine", 4, None),
    ]
    for row in rows[1:]:
        assert (row["nll"] is None) == (row["round_trip_error"] is None) == (row["head"] == "free form")
        assert row["sampling_time"] > 0
        assert 1 <= row["dimension"] <= 64 / row["blocks"]
        assert 0 < row["spread_over_error"] < 2
    assert rows[1]["sampling_time"] == 1
    assert written(tmp_path / "whole", generators)["rows"] == rows
    assert generators.run(tmp_path / "whole", "tiny", (0,), resume=True) == rows
    assert len(generators.summary(rows)) == len(rows)
    one = *generators.of_row(rows[2]), "tiny", 0, tmp_path / "stopped"
    with pytest.raises(Stopped):
        generators.learn(*one, False, stopping("", 1))
    again = generators.learn(*one, True, lambda name, progress: None)
    assert without_times([again]) == without_times(rows[2:3])
    with pytest.raises(ValueError, match="holds another run: go on with the preset it was begun with"):
        generators.run(tmp_path / "whole", "other", (0,), resume=True)


@pytest.mark.parametrize("preset", generators.PRESETS)
def test_one_thing_is_changed_at_a_time(preset: str) -> None:
    one, several = generators.base(preset), generators.models(preset)
    assert several[0] == one
    assert len(set(several)) == len(several) == 16
    for model in several:
        if model.head == one.head:
            assert sum(a != b for a, b in zip(model, one, strict=True)) <= (1 if model.blocks == one.blocks else 2)
        else:
            assert (model.draws, model.beta, model.noise) == (one.draws, one.beta, None)
    assert len({model.folder(Path("out"), 0) for model in several}) == len(several)


def test_the_paper_preset_is_that_of_the_authors() -> None:
    assert generators.PRESETS["paper"] == {
        "steps": 3000, "learning_rate": 1e-4, "schedule": "constant", "batch": 200, "beta": 0.5, "draws": 2}


def free_form(context_dim: int = 3) -> FreeForm:
    model = saef(8, 4, order=[7, 6, 5, 4, 0, 1, 2, 3], block_map="free_form", hidden=(16,), context_width=5, map_hidden=(8, 8),
                 context_dim=context_dim)
    assert isinstance(model, FreeForm)
    return model


def test_with_as_much_noise_as_numbers_it_is_the_head_of_the_reference() -> None:
    theirs, rng = free_form(), np.random.default_rng(0)
    ours, params = generator(theirs, 2), theirs.init(rng)
    assert tree_map(np.shape, ours.init(np.random.default_rng(1))) == tree_map(np.shape, params)
    x, z, context = rng.standard_normal((5, 8)), rng.standard_normal((15, 8)), np.eye(3)[[0, 1, 2, 1, 0]]
    by_block = z[:, [7, 6, 5, 4, 0, 1, 2, 3]]  # there the noise stands where the block's numbers do, here block after block
    assert ours.sample(params, by_block[:5], context) == pytest.approx(theirs.sample(params, z[:5], context))

    def gradient(model: FreeForm, z: Any) -> Any:
        return value_and_gradient(lambda p: Energy(1.0, 3)(p, model, x, {"z": z}, context), params)

    (a, by_a), (b, by_b) = gradient(ours, by_block), gradient(theirs, z)
    assert a == pytest.approx(b)
    tree_map(lambda u, v: np.testing.assert_allclose(u, v, atol=1e-12), by_a, by_b)


@pytest.mark.parametrize("r", [1, 2, 5])
def test_each_block_sees_its_own_noise_and_what_came_before(r: int) -> None:
    model, rng = generator(free_form(), r), np.random.default_rng(0)
    params, context = model.init(rng), np.eye(3)[[0, 1, 2]]
    z = model.noise(rng, 3)
    assert z.shape == (3, 4 * r)
    x, other = model.sample(params, z, context), z.copy()
    other[:, 2 * r] += 1.0  # of the third block: coordinates 0 and 1
    changed = (model.sample(params, other, context) != x).any(axis=0)
    assert changed.tolist() == [True, True, True, True, False, False, False, False]
    (draws, y), = model.forecasts(params, x, z, context)  # from its own past each block comes out as it was sampled
    assert draws[0] == pytest.approx(y)


def test_a_generator_refuses_what_does_not_fit() -> None:
    model = generator(free_form(), 3)
    params = model.init(np.random.default_rng(0))
    with pytest.raises(ValueError, match="noise must have shape"):
        model.sample(params, np.zeros((2, 8)), np.eye(3)[:2])
    with pytest.raises(ValueError, match="noise must be an integer >= 1, got 0"):
        generator(free_form(), 0)
    with pytest.raises(ValueError, match="one head for all its blocks"):
        Generator(model.blocks, free_form().maps, 5, (16,), 3)
    assert not hasattr(model, "log_prob")


class Clouds(FreeForm):
    """Forecasts whose draws have a known covariance."""

    def __init__(self, root: Any) -> None:
        object.__setattr__(self, "root", root)

    def noise(self, rng: np.random.Generator, n: int) -> Any:
        return rng.standard_normal((n, 3))

    def forecasts(self, params: Any, x: Any, z: Any, context: Any = None) -> list[tuple[Any, Any]]:
        return [(np.reshape(z, (-1, len(x), 3)) @ self.root, x)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("root", "dimension"), [
    (np.eye(3), 3.0), (np.diag([1.0, 0.0, 0.0]), 1.0), (np.ones((3, 3)), 1.0), (np.diag([1.0, 0.5, 0.0]), 1.25**2 / 1.0625),
])
def test_the_dimension_of_a_cloud(root: Any, dimension: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generators_measures, "CLOUD", 2000)
    rows = Rows(np.zeros((20, 3)), None, Units(np.zeros(3), np.ones(3)), "float32")
    model: Any = SimpleNamespace(flow=Clouds(root))
    told = generators_measures.cloud_dimension(model, None, rows, np.random.default_rng(0))
    assert told == pytest.approx(dimension, rel=0.01)


def made_up() -> Row:
    known: Row = {"seed": 0, "stopped_at": None, "nll": None, "frechet": 1.0, "spread_over_error": 1.0, "parameters": 10}
    known |= {"energy_score": 3.0, "head": "free form", "beta": 1.0}
    rows = [{**known, "blocks": B, "noise": r, "draws": m, "d_loss": d, "spread": d, "spread_over_error": d, "dimension": d * 4}
            for B, r, m, d in ((16, 16, 4, 0.5), (16, 1, 4, 0.25), (16, 16, 2, 0.4), (4, 16, 4, 0.3))]
    rows += [{**rows[0], "head": "affine", "noise": None, "d_loss": 0.6, "nll": 64 * math.log(2)}]
    return {"rows": rows}


def test_what_is_said_by_hand() -> None:
    results = made_up()
    said = generators_pages.findings(results)
    assert said[0] == (
        "**noise numbers** (D-loss, spread, dimensions): 1: 0.250, 0.25, 1.00; 16: 0.500, 0.50, 2.00. D-loss is best at 16, "
        "the energy score at 1 (3.000; the others to 3.000)"
    )
    assert said[4] == (
        "**little noise at B = 16**: from 1 in the place of 16 a block's draws do not collapse: spread 0.25 and 0.5, "
        "spread / error 0.25 and 0.5, dimensions 1 and 2 (of at most 4); the D-loss is worse for it, 0.250 and 0.500"
    )
    assert said[6] == "**heads at B = 16**, D-loss: affine 0.600, free form 0.500"
    results["rows"][1] |= {"dimension": 0.9, "d_loss": 0.6}
    assert "a block's draws collapse: spread" in generators_pages.narrow(results, 16)
    assert "the D-loss is no worse for it, 0.600 and 0.500" in generators_pages.narrow(results, 16)
    table = generators_pages.table(results["rows"])
    assert "| free form | 16 | 16 | 4 | 1 | 10 | 0.5 | 1 | 3 | - | 0.5 | 0.5 | 2 | - |" in table
    assert "| affine | 16 | - | 4 | 1 | 10 | 0.6 | 1 | 3 | 1 |" in table
