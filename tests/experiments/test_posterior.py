"""docs/experiments/posterior*.py: that they write what they promise, resume, and measure what they say.

Small trainings, in this process; the numbers of the real ones stand in docs/experiments/posterior.md."""
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenflow.experiments import block_sweep, judged, posterior
from evenflow.experiments import posterior_measures as measures
from evenflow.experiments import posterior_pages as pages
from evenflow.experiments import posterior_pictures as pictures
from evenflow.reference.core import Array
from evenflow.reference.work import evaluation
from evenflow.reference.work.options import Config
from evenflow.reference.work.runs import Trained, train_on
from tests.experiments.runs import Stopped, stopping, without_times, written


@pytest.fixture
def small(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models, two steps, few draws, nothing learned to judge by."""
    digits = judged.dataset_of(judged.Z_ORDER)
    of_each = np.concatenate([np.flatnonzero(digits.held_out_labels == k)[:4] for k in range(10)])
    assert digits.held_out_labels is not None
    digits = digits._replace(held_out=digits.held_out[of_each], held_out_labels=digits.held_out_labels[of_each])
    monkeypatch.setattr(posterior, "RUNS", ((1, "energy"), (4, "likelihood")))
    steps = {"quick": {"steps": 2, "learning_rate": 1e-3}, "paper": {"steps": 2, "learning_rate": 1e-3, "beta": 0.5}}
    for module in (block_sweep, posterior):
        monkeypatch.setattr(module, "PRESETS", steps)
    monkeypatch.setattr(judged, "dataset_of", lambda name: digits)
    monkeypatch.setattr(measures, "DRAWS", 3)
    monkeypatch.setattr(measures, "NORMALS", 100)
    for module in (measures, evaluation):
        monkeypatch.setattr(module, "d_loss", lambda real, generated, seed: (float(np.mean(generated)), 0.0))


@pytest.fixture
def trained() -> Trained:
    config = Config("saef", blocks=4, block_map="affine", class_conditional=True, steps=1)
    return train_on(config, judged.dataset_of(judged.Z_ORDER))


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_it_writes_what_it_promises_and_resumes(tmp_path: Path) -> None:
    rows = posterior.run(tmp_path / "whole", "quick", (0,))
    assert [(row["blocks"], row["objective"]) for row in rows] == [(None, "real"), (1, "energy"), (4, "likelihood")]
    for row in rows[1:]:
        assert row["pixels_wrong"] == 0
        assert row["round_trip_median"] < row["round_trip_max"] < 1e-3
        assert row["latent_round_trip_median"] < row["latent_round_trip_max"] < 1e-3
        assert set(row["midpoints"]) == set(pages.IMAGES)
        assert len(row["z_variances"]) == 64
    kept = [{n for n, told in row["completed"].items() if "score" in told} for row in rows]
    assert kept == [{"16", "32", "48"}, set(), {"16", "32", "48"}]
    assert rows[2]["completed"]["32"]["kept_wrong"] == 0
    told = written(tmp_path / "whole", posterior)
    assert told["rows"] == rows
    assert len(posterior.summary(rows)) == len(rows)
    assert "**z at B = 4**" in pages.page([told])
    assert posterior.run(tmp_path / "whole", "quick", (0,), resume=True) == rows
    (block_sweep.folder_of(tmp_path / "whole", 4, "likelihood", 0) / "posterior.json").unlink()  # as if not yet measured
    assert posterior.run(tmp_path / "whole", "quick", (0,), resume=True) == rows
    with pytest.raises(Stopped):
        posterior.run(tmp_path / "stopped", "quick", (0,), stopping("B = 1,", 1))
    assert without_times(posterior.run(tmp_path / "stopped", "quick", (0,), resume=True)) == without_times(rows)
    with pytest.raises(ValueError, match="holds another run: go on with the preset it was begun with"):
        posterior.run(tmp_path / "whole", "paper", (0,), resume=True)


def test_partners_are_of_the_class_and_of_another() -> None:
    labels = np.random.default_rng(0).integers(0, 10, 297)
    found = measures.partners(labels, 0)
    assert (labels[found["same"]] == labels).all()
    assert (labels[found["other"]] != labels).all()
    for partner in found.values():
        assert sorted(partner) == list(range(297))
        assert (partner != np.arange(297)).all()


def test_judges_are_training_digits_of_the_classes() -> None:
    dataset = judged.dataset_of(judged.Z_ORDER)
    chosen, known = measures.judges(dataset, 0), {tuple(x): k for x, k in zip(dataset.train, dataset.train_labels, strict=True)}  # type: ignore[arg-type]
    assert [known[tuple(x)] for x in chosen] == list(dataset.held_out_labels)  # type: ignore[arg-type]


def test_latents_of_normals_and_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    z = rng.standard_normal((297, 64))
    right = measures.latents(z, 1)
    assert abs(right["z_distance"]) < 0.02
    assert right["z_d_loss"] > 0.68
    assert np.mean(right["z_variances"]) == pytest.approx(1, abs=0.03)
    assert right["z_mean"] == pytest.approx(1 / math.sqrt(297), rel=0.3)
    monkeypatch.setattr(measures, "d_loss", lambda real, generated, seed: (0.6, 0.05))  # takes a second
    wide = measures.latents(np.concatenate([2 * z[:, :1], z[:, 1:]], axis=1), 1)
    assert wide["z_variances"][0] == pytest.approx(4 * right["z_variances"][0])
    assert wide["z_variances"][1:] == right["z_variances"][1:]
    shifted = measures.latents(z + 1, 1)  # E|z - z' + 1| is about sqrt(2 * 64 + 64), E|z - z'| about sqrt(2 * 64)
    assert shifted["z_distance"] == pytest.approx(2 * (math.sqrt(192) - math.sqrt(128)), rel=0.02)
    assert shifted["z_mean"] == pytest.approx(1, abs=0.05)


def test_errors_by_hand() -> None:
    assert measures.errors("e", np.array([[1.0, -4.0], [0.0, 2.0]])) == {"e_max": 4.0, "e_median": 1.5}


def test_completions_keep_whole_blocks_and_draw_the_others(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "DRAWS", 3)
    dataset = judged.dataset_of(judged.Z_ORDER)
    x, labels = dataset.held_out[:5], dataset.held_out_labels[:5]  # type: ignore[index]
    z = trained.encode(x, labels, np.random.default_rng(0).random(x.shape))
    drawn = measures.draws(trained, z, labels, 32, 0)
    assert (drawn[:, :, :32] == x[:, :32]).all()
    assert len({tuple(one) for one in drawn[:, 0, 32:]}) == 3
    assert (measures.draws(trained, z, labels, 64, 0) == x).all(), "all kept: the digit itself"
    first = measures.draws(trained, z, labels, 0, 0)
    other = measures.draws(trained, z + 1, labels, 0, 0)
    assert (first == other).all(), "no z kept: they do not depend on the digit"


def test_the_missing_pixels_alone_are_scored() -> None:
    dataset, rng = judged.dataset_of(judged.Z_ORDER), np.random.default_rng(0)
    x = dataset.held_out[:4]
    drawn = np.stack([x, x, x])
    drawn[:, :, :16] = rng.integers(0, 17, (3, 4, 16))
    told = measures.missing_score(dataset, drawn, x, 16, 0)
    # what is left is the dequantisation, uniform: of 48 pixels a distance of about sqrt(48 / 6), a half of it left by the score
    unit = math.sqrt(48 / 6) / float(dataset.units.scale[0])
    assert told == pytest.approx(unit / 2, rel=0.1)
    assert measures.missing_score(dataset, drawn, x, 8, 0) > 2 * told


def test_training_digits_in_the_place_of_completions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "DRAWS", 2)
    dataset = judged.dataset_of(judged.Z_ORDER)
    x = dataset.train[:3].copy()
    x[:, 60] = (x[:, 60] + 1) % 17  # of what is missing
    dataset = dataset._replace(held_out=x, held_out_labels=dataset.train_labels[:3])  # type: ignore[index]
    near = measures.of_training(dataset, 32, True, 0)
    assert (near[:, :, :32] == x[:, :32]).all()
    assert (near[0, :, 32:] == dataset.train[:3, 32:]).all(), "nearest is the digit itself"
    assert (measures.of_training(dataset, 32, False, 0)[:, :, :32] == x[:, :32]).all()


def test_midpoints_by_hand(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is decoded is what is asked for."""
    asked: list[Array] = []

    def decode(self: Trained, z: Array, labels: Array) -> Array:
        asked.append(z)
        return np.zeros_like(z)

    shown: list[Array] = []

    def told_apart(dataset: Any, x: Array, seed: int) -> float:
        shown.append(x)
        return 0.5

    monkeypatch.setattr(measures, "told_apart", told_apart)
    monkeypatch.setattr(Trained, "decode", decode)
    dataset = judged.dataset_of(judged.Z_ORDER)
    z = np.random.default_rng(0).standard_normal((297, 64)).astype(np.float32)
    told = measures.between(trained, dataset, z, 0)["midpoints"]
    arc, line = asked[:2]
    assert set(told) == set(pages.IMAGES)
    assert arc.var() == pytest.approx(1, abs=0.03), "normals on the arc stay normal"
    assert line.var() == pytest.approx(0.5, abs=0.02)
    assert (line == (z + z[measures.partners(dataset.held_out_labels, 0)["same"]]) / 2).all()
    images, x = dict(zip(told, shown, strict=True)), dataset.held_out
    partner = measures.partners(dataset.held_out_labels, 0)["other"]
    between = images["other, line in pixels"] - (x + x[partner]) / 2
    assert np.abs(between).max() < 1, "the mean, but for rounding and the noise of both"
    assert images["other, arc in pixels"].var() > 1.2 * images["other, line in pixels"].var()
    assert told["held out"]["bits"] > 0


def test_the_arc_ends_at_both_digits(trained: Trained) -> None:
    dataset = judged.dataset_of(judged.Z_ORDER)
    x, labels = measures.held_out(dataset)
    ends = np.array([0, 1]), np.array([2, 3])
    way = pictures.arc(trained, x, labels, np.full(x.shape, 0.5), ends)
    assert way.shape == (2, pictures.STEPS, 64)
    assert (way[:, 0] == x[ends[0]]).all()
    assert (way[:, -1] == x[ends[1]]).all()
