"""docs/experiments/image_ebm.py and what belongs to it: small trainings, in this process, and figures by hand.

The numbers of the real ones stand in docs/experiments/image-ebm.md."""
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenflow.experiments import image_ebm, image_ebm_measures, image_ebm_pages
from evenflow.experiments.image_ebm import PRESETS, copies, learn, logit_units, model_of, read, shape_of
from evenflow.experiments.image_ebm_measures import Judge, along, bits, mean_log_density, walk
from evenflow.experiments.image_ebm_pages import flop, parameters, products_of_energy, products_of_flow
from evenflow.reference.core import Array
from evenflow.reference.ebm import PCD, ConvEnergy, FlowMCEBM
from evenflow.reference.ebm.normalizer import LogZ
from evenflow.reference.flows.densities import Normal
from evenflow.reference.flows.image import image_realnvp
from evenflow.reference.mcmc import MALA
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.shapes import Shape
from evenflow.reference.work.units import Units
from tests.experiments.runs import Stopped, stopping, without_times, written

TINY = PRESETS["quick"]._replace(
    steps=4, widths=(2, 2), width=2, N=3, local=1, batch=4, walked=2, judged=24, draws=50)


class Known:
    """Names an image by whether its first pixel is bright."""
    classes_, n_features_in_ = range(2), 64
    coefs_, intercepts_ = [np.ones((64, 1)), None], [np.zeros(1), None]

    def predict(self, x: Array) -> Array:
        return (x[:, 0] > 2).astype(int)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(image_ebm.PRESETS, "quick", TINY)
    monkeypatch.setattr(image_ebm, "EVERY", 2)
    monkeypatch.setattr(image_ebm, "COPIED", 0)
    monkeypatch.setattr(image_ebm_measures, "digit_classifier", lambda images, labels, seed: Known())
    monkeypatch.setattr(image_ebm_measures, "d_loss", lambda real, generated, seed: (0.5, 0.1))


def grey(n: int = 40, levels: int = 256, side: int = 4) -> Dataset:
    x = np.random.default_rng(0).integers(levels, size=(n, side * side)).astype(np.uint8)
    units, shape = Units.whole_numbers(x, levels), Shape((side, side))
    return Dataset("grey", x[: n // 2], x[n // 2 :], None, None, units, None, shape=shape)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_it_writes_what_it_promises_and_resumes(tmp_path: Path) -> None:
    rows = image_ebm.run(tmp_path)
    assert [row["algorithm"] for row in rows] == ["flowmc", "pcd", "data"]
    assert all(set(row) == set(image_ebm.ROW) for row in rows)
    flowmc, pcd, data = rows
    assert list(flowmc["samples"]) == ["chains", "fresh chains", "flow"]
    assert list(pcd["samples"]) == ["chains", "fresh chains"]
    assert (pcd["log_z"], pcd["bits"], data["curve"]) == (None, None, None)
    assert flowmc["bits"] == pytest.approx(flowmc["bits_flow"], abs=0.05)  # four steps from where both are N(0, I)
    assert abs(flowmc["log_z"]) < 1
    assert 0 <= flowmc["switches"] <= 100 / 6
    assert written(tmp_path, image_ebm)["rows"] == rows
    shutil.rmtree(tmp_path / "pcd-seed0")  # as if it had not begun
    assert without_times(image_ebm.run(tmp_path, resume=True)) == without_times(rows)


@pytest.mark.usefixtures("small")
def test_a_stop_leaves_the_rows_that_are_over(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        image_ebm.run(tmp_path, on_step=stopping("PCD", 3))
    told = json.loads((tmp_path / "results.json").read_text())
    assert [row["algorithm"] for row in told["rows"]] == ["flowmc"]
    shown = image_ebm.summary(told["rows"])[0]
    assert tuple(shown) == image_ebm.SHOWN
    assert shown["fresh chains"] == shown["flow"] == 0.5
    assert (tmp_path / "pcd-seed0" / "checkpoint.npz").exists()


@pytest.mark.usefixtures("small")
def test_a_training_that_breaks_off_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(image_ebm.PRESETS, "quick", TINY._replace(ula=1e38))
    row = learn("pcd", "quick", 0, tmp_path, False, lambda name, progress: None)
    assert row["stopped_at"] is not None
    assert row["samples"] is None
    said = image_ebm_pages.findings({"rows": [row], "settings": {}})
    assert said == [f"PCD-ULA, seed 0: the training broke off at step {row['stopped_at']}, it had run away"]


def test_the_space_is_the_logit_of_the_pixel_with_its_margin() -> None:
    """By the formula; log_det by differences; and back to the pixel."""
    data = grey(levels=16)
    units = logit_units(data)
    x, uniforms = data.train.astype(np.float64), np.full(data.train.shape, 0.25)
    p = 0.05 + 0.9 * (x + uniforms) / 16
    assert units.scale[0] * units.to_model(x, uniforms) + units.shift[0] == pytest.approx(np.log(p / (1 - p)), abs=1e-9)
    u = units.dequantised(x, np.random.default_rng(1))
    assert (abs(u.mean()) < 0.1, abs(u.std() - 1) < 0.1) == (True, True)
    h = 1e-6
    slope = (units.to_model(x, uniforms + h) - units.to_model(x, uniforms - h)) / (2 * h)
    assert units.steps(x, uniforms)[1] == pytest.approx(np.sum(np.log(slope), axis=1), rel=1e-6)
    assert (units.to_user(u) == x).all()
    assert set(units.to_user(np.array([[-40.0] * 16, [40.0] * 16])).ravel()) == {0, 15}


def test_copies_are_flipped_each_second_one_but_of_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_ebm, "COPIED", 600)
    data = grey(n=400, levels=16)
    units = logit_units(data)
    mirrored = data.train.reshape(-1, 4, 4)[:, :, ::-1].reshape(-1, 16)
    for name, flips in (("grey", True), ("digits", False)):
        three = np.concatenate(list(copies(data._replace(name=name), units, np.random.default_rng(0))))
        back = units.to_user(three.astype(np.float64))
        as_it_is, flipped = ((back == np.tile(side, (3, 1))).all(axis=1) for side in (data.train, mirrored))
        assert three.dtype == np.float32
        assert (as_it_is | flipped).all()
        assert abs(flipped.mean() - 0.5 * flips) < 0.1 * flips + 1e-9  # 600 flips: four standard deviations
        assert not (three[:200] == three[200:400]).all()


def test_grey_images_are_taken_in_fewer_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_ebm, "images", lambda name, data: grey())
    coarse = read(PRESETS["quick"], Path("somewhere"))
    assert (coarse.name, coarse.units.levels, coarse.train.max()) == ("fashion-14", 16, 15)
    assert (coarse.train == grey().train // 16).all()
    assert read(PRESETS["paper"], Path("somewhere")).units.levels == 256
    assert shape_of(coarse) == (4, 4, 1)


def test_bits_need_a_log_z_that_can_be_trusted() -> None:
    assert bits(-3 * math.log(2), 3, LogZ(6 * math.log(2), 10.0, 0.1), 1000) == pytest.approx(3.0)
    assert bits(-3 * math.log(2), 3, LogZ(6 * math.log(2), 9.9, 0.1), 1000) is None


def test_the_density_of_pixels_adds_up() -> None:
    """Of N(0, I) in the model's space, over all levels of one pixel: 1 with what lies in the margin."""
    x = np.arange(16, dtype=np.uint8)[:, None]
    data = Dataset("grey", x, x, None, None, Units.whole_numbers(x, 16), None, shape=Shape((1, 1)))
    units = logit_units(data)
    judge = [Judge(data._replace(held_out=np.repeat(x[k : k + 1], 4000, axis=0)), units, 4000, 0) for k in range(16)]
    log_p = [mean_log_density(lambda u: -np.sum(u**2, axis=1) / 2 - math.log(2 * math.pi) / 2, one) for one in judge]
    ends = (np.log([0.05 / 0.95, 0.95 / 0.05]) - units.shift) / units.scale
    inside = (math.erf(ends[1] / math.sqrt(2)) - math.erf(ends[0] / math.sqrt(2))) / 2
    assert np.exp(log_p).sum() == pytest.approx(inside, rel=0.02)  # a mean of logarithms, a little below


def test_acceptances_along_the_training() -> None:
    lines = [{"loss": float(k), "acceptance_global": k / 200} for k in range(100)]
    told = along(lines)
    assert told["acceptance_start"] == pytest.approx(4.5 / 200)
    assert (told["acceptance_global"], told["contrast"]) == (pytest.approx(74.5 / 200), pytest.approx(74.5))
    assert told["acceptance_local"] is None
    assert told["curve"]["steps"] == 100
    assert np.mean(told["curve"]["contrast"][:2]) == pytest.approx(np.mean([0, 1, 2, 3]), abs=0.6)


def test_fresh_chains_of_a_model_at_its_start_stay_normal() -> None:
    """E = 0 and the flow is N(0, I). 200 chains of 16 numbers: the mean square within five standard deviations."""
    rng = np.random.default_rng(0)
    for name in ("flowmc", "pcd"):
        model: Any = model_of(name, (4, 4, 1), TINY)
        state = model.init(rng)
        found = walk(model, state, lambda x, state=state, model=model: model.log_density(state, x), 200, 3, rng)
        assert set(found) == ({"own", "local"} if name == "flowmc" else {"own"})
        for x in found.values():
            assert x.shape == (3, 200, 16)
            assert np.mean(x[-1] ** 2) == pytest.approx(1, abs=5 * math.sqrt(2 / 3200))


def test_classes_are_compared_by_one_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_ebm_measures, "digit_classifier", lambda images, labels, seed: Known())
    x = np.zeros((40, 64), dtype=np.uint8)
    x[:10, 0] = 16
    labels = np.zeros(40, dtype=int)
    data = Dataset("digits", x, x, labels, labels, Units.whole_numbers(x, 17), None)
    judge = Judge(data, logit_units(data), 40, 0)
    told = judge.of(np.zeros((40, 64)))
    assert (told["classes"], told["class_distance"]) == ([1.0, 0.0], pytest.approx(0.25))
    assert judge.of(x)["class_distance"] == 0
    u = judge.units.dequantised(x, np.random.default_rng(0)).reshape(2, 20, 64)
    assert (judge.classes(u) == (x[:, 0] > 0).reshape(2, 20)).all()


def test_costs_by_hand() -> None:
    assert products_of_energy(ConvEnergy((4, 4, 1), (2, 3))) == 16 * 9 * 2 + 4 * 16 * 2 * 3
    flow = image_realnvp((2, 2, 1), scales=1, width=3, blocks=1)
    wide, small = 4 * (9 * 3 + 9 * 3 * 6 + 9 + 3 * 2), 9 * 4 * 3 + 9 * 3 * 6 + 9 + 3 * 8
    assert products_of_flow(flow.bijection) == 3 * (wide + small)
    model = model_of("flowmc", (4, 4, 1), TINY)
    assert isinstance(model, FlowMCEBM)
    E, T = products_of_energy(model.energy), products_of_flow(model.flow.bijection)
    assert flop(model, TINY) == {"isir": 2 * 12 * 3 * (E + T), "mala": 4 * 12 * 2 * E, "updates": 24 * (2 * E + T)}
    assert parameters(ConvEnergy((4, 4, 1), (2, 3))) == 18 + 2 + 96 + 3 + 12


def test_pcd_differs_in_the_sampler_alone() -> None:
    ours, theirs = (model_of(name, (4, 4, 1), TINY) for name in ("flowmc", "pcd"))
    assert isinstance(ours, FlowMCEBM)
    assert isinstance(theirs, PCD)
    assert ours.ebm == theirs.ebm
    assert theirs.start == ours.flow.base == Normal(16)
    assert theirs.steps == sum(steps for kernel, steps in ours.moves if isinstance(kernel, MALA))
    for name in ("energy_optimiser", "penalty", "batch", "buffer"):
        assert getattr(ours, name) == getattr(theirs, name)


def test_the_paper_has_the_papers_sizes() -> None:
    how = PRESETS["paper"]
    model = model_of("flowmc", (32, 32, 3), how)
    assert isinstance(model, FlowMCEBM)
    assert 4e6 < parameters(model.energy) < 5e6
    assert 3.5e6 < parameters(model.flow) < 4.5e6
    assert [steps for _, steps in model.moves] == [1, 32] * 3
    assert (model.batch, model.buffer, model.penalty, how.N) == (128, 1024, 1e-4, 128)
    assert how.steps == image_ebm.PAPER_EPOCHS * (50_000 // 128)
