"""docs/experiments/image_saef.py, glow_objectives.py and what they share: that they write what they promise after each row,
resume, train on what they say, and say what is so. Small trainings, in this process."""
import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from evenflow.experiments import glow_objectives, image_data, image_pages, image_saef, image_study, judged
from evenflow.experiments.image_saef import FIRST, Study
from evenflow.experiments.image_study import REAL
from evenflow.experiments.results import Row
from evenflow.reference.core import named_leaves
from evenflow.reference.flows.flow import realnvp
from evenflow.reference.scores import energy_score, kernel_score, rbf_kernel
from evenflow.reference.work import evaluation
from evenflow.reference.work.data import load
from evenflow.reference.work.flow_model import FlowModel
from evenflow.reference.work.folders import read_log
from evenflow.reference.work.metrics import frechet_distance
from evenflow.reference.work.options import Config
from evenflow.reference.work.shapes import Shape
from tests.experiments.runs import Stopped, stopping, without_times, written

FEW = (FIRST, "free form, energy", "coupling, likelihood", "coupling, energy, dense contexts")
TINY = {"context_hidden": (4, 4), "hidden": (8,), "context_width": 4, "steps": 2, "batch": 8, "draws": 2}


@pytest.fixture
def small(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps of narrow models, and the pixels as features."""
    for name, value in {"JUDGED": 40, "TIMED": 10, "ROUNDS": 1}.items():
        monkeypatch.setattr(image_study, name, value)
    monkeypatch.setattr(image_study, "digit_features", lambda images, labels: lambda x: x)
    monkeypatch.setattr(evaluation, "d_loss", lambda a, b, seed: (math.exp(-abs(np.std(a) - np.std(b))), 0.0))
    image_study.features_of.cache_clear()
    monkeypatch.setattr(image_saef, "MODELS", {name: image_saef.MODELS[name] for name in FEW})
    presets = {"quick": {"digits": Study((4, 8), TINY)}, "paper": {"digits": Study((4, 8), TINY | {"beta": 0.5})}}
    monkeypatch.setattr(image_saef, "PRESETS", presets)
    narrow = {"hidden": (4,), "layers": 1, "steps": 2}
    monkeypatch.setattr(glow_objectives, "PRESETS", {"quick": {"digits": narrow}, "paper": {"digits": narrow | {"steps": 3}}})


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_saef_writes_what_it_promises_and_resumes(tmp_path: Path) -> None:
    rows = image_saef.run(tmp_path / "whole", "quick", (0,))
    assert [row["model"] for row in rows] == [REAL, *FEW, f"{FIRST}, b = 8"]
    assert [row["blocks"] for row in rows] == [None, 4, 4, 4, 4, 1]
    real, first, free, likelihood, dense, _ = rows
    assert real["d_loss"] > first["d_loss"]
    assert real["frechet"] < first["frechet"]
    assert first["parameters"] == likelihood["parameters"] != dense["parameters"]
    assert first["bits_per_dim"] == pytest.approx(first["nll"] / (64 * math.log(2)))
    assert free["bits_per_dim"] is None
    assert "inversion_time" not in free
    assert first["sampling_time"] == 1.0
    assert ["naive_time" in row for row in rows] == [False, True, False, False, False, False]
    assert all(row["sampling_time"] > 0 and row["time"] > 0 for row in rows[1:])
    told = written(tmp_path / "whole", image_saef)
    assert told["rows"] == rows
    assert (told["experiment"], told["preset"], told["settings"]["data"]) == ("image-saef", "quick", "digits")
    assert image_saef.run(tmp_path / "whole", "quick", (0,), resume=True) == rows
    with pytest.raises(Stopped):
        image_saef.run(tmp_path / "stopped", "quick", (0,), stopping("digits, coupling, likelihood", 1))
    there = json.loads((tmp_path / "stopped/results.json").read_text())["rows"]
    assert without_times(there) == without_times(rows[:3]), "what was done is written"
    assert without_times(image_saef.run(tmp_path / "stopped", "quick", (0,), resume=True)) == without_times(rows)
    with pytest.raises(ValueError, match=r"beta is 1.0 there, 0.5 here: .* holds another run"):
        image_saef.run(tmp_path / "whole", "paper", (0,), resume=True)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_glow_writes_what_it_promises_and_resumes(tmp_path: Path) -> None:
    rows = glow_objectives.run(tmp_path / "whole", "quick", (0,))
    assert [row["model"] for row in rows] == [REAL, *glow_objectives.OBJECTIVES]
    assert len({row["parameters"] for row in rows[1:]}) == 1
    logs = [read_log(tmp_path / f"whole/{k}-seed0/log.jsonl") for k in range(1, 5)]
    assert all(abs(a[0]["loss"] - b[0]["loss"]) > 0.1 for a, b in pairwise(logs)), "each of them is another objective"
    assert written(tmp_path / "whole", glow_objectives)["rows"] == rows
    assert glow_objectives.run(tmp_path / "whole", "quick", (0,), resume=True) == rows
    with pytest.raises(Stopped):
        glow_objectives.run(tmp_path / "stopped", "quick", (0,), stopping("digits, MMD, scaled", 1))
    resumed = glow_objectives.run(tmp_path / "stopped", "quick", (0,), resume=True)
    assert without_times(resumed) == without_times(rows)
    config, dataset = Config("glow", batch=100, hidden=(4,), layers=1, steps=2), load("digits")
    with pytest.raises(ValueError, match="objective"):  # the folder of one objective is not that of another
        glow_objectives.train("energy, beta = 1", config, dataset, tmp_path / "whole/1-seed0", True, lambda progress: None)


def test_a_batch_of_samples_is_one_forecast_for_a_batch_of_data() -> None:
    rng = np.random.default_rng(0)
    flow, x = realnvp(2, layers=2), rng.standard_normal((5, 2))
    params = flow.init(rng)
    scores: list[glow_objectives.Score] = [energy_score, lambda draws, y: kernel_score(draws, y, rbf_kernel((1.0, 2.0)))]
    for score in scores:
        objective = glow_objectives.Batches(score)
        noise = objective.noise(rng, flow, 5)
        samples = flow.sample(params, noise["z"])
        assert samples.shape == (5, 2)
        assert objective(params, flow, x, noise) == pytest.approx(np.mean(score(samples, x)), rel=1e-12)


def test_the_median_distance_of_two_images() -> None:
    digits, rng = load("digits"), np.random.default_rng(1)
    u = digits.units.dequantised(digits.train[:300], rng)
    apart = [float(np.linalg.norm(a - b)) for i, a in enumerate(u) for b in u[:i]]
    assert glow_objectives.median_distance(digits) == pytest.approx(np.median(apart), rel=0.05)
    three = digits._replace(train=np.concatenate([digits.train[:1], digits.train[:1], digits.train[:1]]))
    assert glow_objectives.median_distance(three) < 1, "each but its noise is the same"


def test_photographs_in_colour() -> None:
    """Of the two libraries' wheels, cut into squares that are whole pieces of them."""
    pytest.importorskip("skimage")
    images = image_data.in_colour()
    assert [image.shape[2] for image in images] == [3] * 6
    dataset = image_data.photographs()
    assert [x.shape for x in (dataset.train, dataset.held_out)] == [(20_000, 3072), (2_000, 3072)]
    assert (dataset.train.dtype, dataset.train.min(), dataset.train.max()) == (np.uint8, 0, 255)
    square = dataset.train[0].reshape(32, 32, 3)
    assert any(
        (image[i : i + 32, j : j + 32] == square).all()
        for image in images for i, j in np.argwhere((image[:-31, :-31] == square[0, 0]).all(axis=2)))
    assert dataset.shape == Shape((32, 32, 3))


def test_which_images_a_preset_is_of(tmp_path: Path) -> None:
    for script in (image_saef, glow_objectives):
        assert image_study.set_for(script.PRESETS["quick"], None) == "digits"
        assert image_study.set_for(script.PRESETS["paper"], None) == "photographs"
        assert image_study.set_for(script.PRESETS["quick"], tmp_path) == "fashion-14"
        assert image_study.set_for(script.PRESETS["paper"], tmp_path) == "fashion"
    (tmp_path / "data_batch_3").touch()
    assert image_study.set_for(image_saef.PRESETS["paper"], tmp_path) == "cifar"
    with pytest.raises(ValueError, match="unknown images 'cifar'"):
        image_study.set_for(image_saef.PRESETS["quick"], tmp_path)
    with pytest.raises(ValueError, match=r"fashion-14 needs a folder of yours, --data DIR: MNIST's idx .*, got .*nowhere"):
        image_saef.run(tmp_path, "quick", (0,), data=tmp_path / "nowhere")



@pytest.mark.parametrize(("name", "axes", "blocks"), [
    ("photographs", (32, 32, 3), [64, 256, 1024]), ("cifar", (32, 32, 3), [64, 256, 1024]),
    ("fashion", (28, 28), [49, 16, 196])])
def test_paper_trains_as_printed(name: str, axes: tuple[int, ...], blocks: list[int]) -> None:
    """As far as the page says so: parameters within 2 % of 587,026."""
    shape, models = Shape(axes), image_saef.PRESETS["paper"][name].models()
    configs = {model: image_saef.config_of(name, model, "paper", 0).for_data(60_000, shape) for model in models}
    sweep = [configs[model].blocks for model in models if model == FIRST or model.startswith(f"{FIRST}, b = ")]
    first = configs[FIRST]
    assert sweep == blocks
    grey = name == "fashion"
    assert (first.batch, first.draws, first.beta, first.learning_rate) == ((200, 2, 0.5, 1e-4) if grey else (50, 10, 1.5, 3e-4))
    assert (first.schedule, first.class_conditional) == ("constant", name != "photographs")
    assert configs["coupling, energy, dense contexts"].context_hidden is None
    if grey:
        model = FlowModel.of(first, shape.d, 10, whole=True, shape=shape)
        sizes = [leaf.size for _, leaf in named_leaves(model.flow.init(np.random.default_rng(0)))]
        assert sum(sizes) == 576_800 == pytest.approx(587_026, rel=0.02)


def test_the_filters_by_hand() -> None:
    x = np.random.default_rng(1).standard_normal((3, 8, 8, 2))
    W = np.random.default_rng(0).standard_normal((2, 5, 5, 32)) / (5 * math.sqrt(2))
    seen = image_study.filtered((8, 8, 2))(x.reshape(3, -1)).reshape(3, 2, 2, 32)
    for i, j in np.ndindex(2, 2):  # of 8 pixels two places of stride 2 in each direction are left: each is a quarter
        window = x[1, 2 * i : 2 * i + 5, 2 * j : 2 * j + 5]
        assert seen[1, i, j] == pytest.approx(np.maximum(np.einsum("uvc,cuvf->f", window, W), 0), abs=1e-12)
    smooth = np.repeat(np.random.default_rng(2).standard_normal((400, 64, 1)), 2, axis=2).reshape(400, -1)
    features = image_study.filtered((8, 8, 2))
    a, b = features(smooth[:200]), features(np.random.default_rng(3).standard_normal((200, 128)))
    assert frechet_distance(a, features(smooth[200:])) < 0.7 * frechet_distance(a, b), "grey from coloured noise"


def test_times_are_multiples_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([9.0, 9.0, *(1.0, 3.0) * 2, *(2.0, 8.0) * 3])
    monkeypatch.setattr(judged, "seconds", lambda call: next(clock))
    told = image_study.times({"sampling": lambda: None, "naive": lambda: None})
    assert told == {"time": 2.0 * 1e6 / image_study.TIMED, "sampling_time": 1.0, "naive_time": 4.0}


def row(model: str, seed: int, blocks: int, value: float) -> Row:
    known = {"model": model, "seed": seed, "blocks": blocks, "data": "fashion", "stopped_at": None, "steps": 8000}
    known |= {"d_loss": value, "frechet": 100 * value, "energy_score": None, "bits_per_dim": 3 * value}
    return known | {"time": 500.0, "parameters": 576_800, "sampling_time": 2.0, "inversion_time": 0.5, "naive_time": 20.0,
                    "train_seconds": 60.0}


def test_what_the_page_says_by_hand() -> None:
    rows = [row(FIRST, seed, 49, value) for seed, value in enumerate((0.5, 0.6))]
    rows += [row(f"{FIRST}, b = 7", 0, 16, 0.25), row("coupling, likelihood", 0, 49, 0.125)]
    one = {"experiment": "image-saef", "preset": "paper", "backend": "cupy", "settings": {"data": "fashion"}, "rows": rows,
           "python": "3", "versions": {}}
    assert image_pages.pairs(one, image_pages.PAIRS) == [
        f"**{FIRST}** against **coupling, likelihood**: D-loss 0.55 against 0.125, Frechet 55 against 12.5, bits per dim 1.65 "
        "against 0.375"]
    assert image_pages.of_blocks(one)[0].startswith(f"**{FIRST}, B = 16, 49**: D-loss 0.25, 0.55; Frechet 25, 55;")
    assert "takes 20 times as long as place by place, inversion 0.5 times" in image_pages.of_times(one)[0]
    assert "| a training step | 27 ms | 7.5 ms |" in image_pages.printed(one)
    assert "| sampling 5,940 images | 47.1 s | 5.94 s, at the rate of 500 |" in image_pages.printed(one)
    assert image_pages.printed(one | {"backend": "numpy"}) == "", "of a host there are no seconds"
    text = image_pages.saef_page([one])
    assert "EVENFLOW_BACKEND=cupy evenflow reproduce image-saef --preset paper --seeds 2 --data DIR" in text
    assert "Not run: free form, energy; spline, energy; spline, likelihood; coupling, energy, beta = 1;" in text
    assert "Not run yet: digits (quick), fashion-14 (quick), photographs (paper), cifar (paper)." in text
    assert "image-saef-paper-fashion-samples.png" in text
