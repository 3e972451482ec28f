"""Runs: a model trained on a data set, kept in a folder, and found again as it was; always in the user's units."""
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenflow.reference.core.trees import leaves
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.files import CorruptFileError
from evenflow.reference.work.flow_model import four_blocks
from evenflow.reference.work.folders import describe_run, read_log
from evenflow.reference.work.options import BY_NAME, FLOWS, Config
from evenflow.reference.work.runs import load_run, train_on
from evenflow.reference.work.shapes import Shape
from evenflow.reference.work.training import Progress
from evenflow.reference.work.units import Units
from tests import tolerances

QUICK: dict[str, Any] = {"steps": 6, "batch": 16, "context_hidden": (8,), "context_width": 4, "hidden": (8,)}


def quick(family: str, **more: Any) -> Config:
    """Six steps of a small model."""
    few = {name: choice for name, choice in QUICK.items() if family in BY_NAME[name].defaults}
    return Config(family, **{**few, **more})


def table(d: int = 3, labels: bool = False, levels: int = 0) -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.integers(levels, size=(80, d)).astype(float) if levels else 50 + 7 * rng.standard_normal((80, d))
    y = rng.integers(3, size=80)
    units = Units(np.full(d, 2.0), np.full(d, 1.5), levels) if levels else Units.standardised(x[:60])
    told, judged = (y[:60], y[60:]) if labels else (None, None)
    return Dataset("table", x[:60], x[60:], told, judged, units, ("a", "b", "c")[:d])


def images() -> Dataset:
    """Of 4 x 4 pixels, real numbers."""
    return table(16)._replace(columns=None, shape=Shape((4, 4)))


@pytest.mark.parametrize("family", FLOWS)
def test_every_family_trains_is_kept_and_is_found_again(family: str, tmp_path: Path) -> None:
    dataset = images() if family == "glow" else table()
    trained = train_on(quick(family), dataset, tmp_path / "run")
    found = load_run(tmp_path / "run")
    assert all(np.array_equal(a, b) for a, b in zip(leaves(trained.params), leaves(found.params), strict=True))
    assert (found.config, found.columns, found.data) == (trained.config, dataset.columns, "table")
    x = found.sample(20, np.random.default_rng(1))
    assert x.shape == (20, dataset.train.shape[1])
    assert np.array_equal(x, trained.sample(20, np.random.default_rng(1)))
    assert np.array_equal(found.log_density(dataset.held_out), trained.log_density(dataset.held_out))
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["checkpoint.npz", "config.json", "log.jsonl"]
    assert [line["step"] for line in read_log(tmp_path / "run" / "log.jsonl")] == [1, 2, 3, 4, 5, 6]


class Stop(Exception):
    pass


@pytest.mark.parametrize("levels", [0, 5])
def test_a_resumed_run_is_the_run_that_was_never_stopped(levels: int, tmp_path: Path) -> None:
    dataset, config = table(labels=True, levels=levels), quick("saef", class_conditional=True)

    def stop_at_four(progress: Progress) -> None:
        if progress.step == 4:
            raise Stop

    whole = train_on(config, dataset, tmp_path / "whole")
    with pytest.raises(Stop):
        train_on(config, dataset, tmp_path / "halves", callback=stop_at_four)
    resumed = train_on(config, dataset, tmp_path / "halves", resume=True)
    assert all(np.array_equal(a, b) for a, b in zip(leaves(whole.params), leaves(resumed.params), strict=True))
    logs = [read_log(tmp_path / name / "log.jsonl") for name in ("whole", "halves")]
    for log in logs:
        for line in log:
            del line["seconds"]
    assert logs[0] == logs[1]


def test_a_log_is_cut_back_to_the_checkpoint_it_goes_on_from(tmp_path: Path) -> None:
    """A power cut may leave log lines beyond the last checkpoint, and half a line."""
    config, dataset = quick("maf"), table()
    with pytest.raises(Stop):
        train_on(config, dataset, tmp_path, callback=raise_at_three)
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"step": 4, "loss": 0.0}\n{"step": 5, "lo')
    train_on(config, dataset, tmp_path, resume=True)
    lines = read_log(tmp_path / "log.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert lines[3]["loss"] != 0.0


def raise_at_three(progress: Progress) -> None:
    if progress.step == 3:
        raise Stop


def test_a_run_is_never_written_over(tmp_path: Path) -> None:
    train_on(quick("maf"), table(), tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(FileExistsError, match="holds a run already: resume it, or choose another folder"):
        train_on(quick("maf"), table(), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_checkpoint_of_another_model_or_data_set_is_refused(tmp_path: Path) -> None:
    train_on(quick("maf"), table(), tmp_path)
    with pytest.raises(ValueError, match=r"checkpoint of another model: config/learning_rate is 3e-05 there, 0\.1 here"):
        train_on(quick("maf", learning_rate=0.1), table(), tmp_path, resume=True)
    moved = table()
    moved = moved._replace(units=Units(moved.units.shift + 1, moved.units.scale))
    with pytest.raises(ValueError, match="was trained on other data than table: units differ"):
        train_on(quick("maf"), moved, tmp_path, resume=True)


def test_folders_that_hold_no_whole_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no run"):
        load_run(tmp_path)
    train_on(quick("maf"), table(), tmp_path)
    checkpoint, config = (tmp_path / name for name in ("checkpoint.npz", "config.json"))
    whole, text = checkpoint.read_bytes(), config.read_text()
    checkpoint.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptFileError, match=r"checkpoint.npz is not a whole evenflow file"):
        load_run(tmp_path)
    checkpoint.unlink()
    with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
        load_run(tmp_path)
    described = json.loads(text)
    without = [json.dumps({k: v for k, v in described.items() if k != part}) for part in described]
    others = [json.dumps({**described, part: 7}) for part in described if part not in ("data", "steps")]
    others += [json.dumps({**described, "steps": wrong}) for wrong in (None, "7", 0, 1.5)]
    for bad in (text[:20], "[]", "{}", text.replace('"format": 4', '"format": 1'), *without, *others):
        config.write_text(bad)
        with pytest.raises(CorruptFileError, match=r"config.json is not the description of a run"):
            load_run(tmp_path)
    config.write_text(text.replace('"batch"', '"bacht"'))
    with pytest.raises(ValueError, match="unknown choice 'bacht', did you mean 'batch'"):
        load_run(tmp_path)


@pytest.mark.slow
def test_samples_come_out_in_the_users_units() -> None:
    """Means 50 +- 7 fitted by maximum likelihood: the error of a mean is 7/sqrt(4000) = 0.1 by the data, as much again by
    2,000 samples; the bound is 7 of these."""
    rng = np.random.default_rng(0)
    x = 50 + rng.standard_normal((5000, 2)) * [7.0, 0.01]
    dataset = Dataset("x", x[:4000], x[4000:], None, None, Units.standardised(x[:4000]), None)
    trained = train_on(Config("maf", steps=300, learning_rate=1e-2, layers=1, hidden=(8,)), dataset)
    samples = trained.sample(2000, rng)
    np.testing.assert_allclose(samples.mean(axis=0), [50, 50], rtol=0, atol=1.1)
    np.testing.assert_allclose(samples.std(axis=0), [7.0, 0.01], rtol=0.15)
    assert abs(samples[:, 1].mean() - 50) < 0.002


def test_samples_of_data_far_from_zero_keep_their_digits() -> None:
    """A float32 cannot tell 1.6e9 from 1.6e9 + 50; the model's numbers are float32, the user's are not."""
    x = 1.6e9 + 10 * np.random.default_rng(0).standard_normal((200, 2))
    dataset = Dataset("x", x[:160], x[160:], None, None, Units.standardised(x[:160]), None)
    trained = train_on(quick("realnvp", layers=1), dataset)
    samples = trained.sample(500, np.random.default_rng(0))
    assert len(np.unique(samples[:, 0])) == 500
    np.testing.assert_allclose(samples.std(axis=0), 10, rtol=0.3)  # a start near the identity
    np.testing.assert_allclose(trained.decode(trained.encode(x)), x, rtol=0, atol=1e-4)


def test_log_prob_in_the_users_units_integrates_to_one() -> None:
    dataset = table(1)
    trained = train_on(quick("spline", dtype="float64"), dataset)
    x = np.linspace(-50, 150, 20001)[:, None]
    assert abs(np.exp(trained.log_density(x)).sum() * (x[1, 0] - x[0, 0]) - 1) < tolerances.QUADRATURE


def test_whole_numbers_stay_whole_and_need_their_uniforms() -> None:
    dataset = table(2, levels=5)
    trained = train_on(quick("saef", blocks=2), dataset)
    x = trained.sample(100, np.random.default_rng(0))
    assert np.array_equal(x, np.floor(x))
    assert x.min() >= 0
    assert x.max() <= 4
    with pytest.raises(ValueError, match="uniforms must be an array"):
        trained.log_density(dataset.held_out)
    assert np.isfinite(trained.log_density(dataset.held_out, uniforms=np.full((20, 2), 0.5))).all()


def test_encode_and_decode_are_each_others_inverse() -> None:
    dataset = table(3, labels=True)
    trained = train_on(quick("saef", class_conditional=True, dtype="float64"), dataset)
    z = trained.encode(dataset.held_out, dataset.held_out_labels)
    back = trained.decode(z, dataset.held_out_labels)
    np.testing.assert_allclose(back, dataset.held_out, rtol=1e-10)


def test_labels_are_asked_for_where_they_are_needed_and_only_there() -> None:
    labelled, plain = table(labels=True), table()
    with pytest.raises(ValueError, match="class_conditional needs labels, and table has none"):
        train_on(quick("maf", class_conditional=True), plain)
    trained = train_on(quick("maf", class_conditional=True), labelled)
    with pytest.raises(ValueError, match=r"labels must be given, one of 0, \.\.\., 2"):
        trained.log_density(labelled.held_out)
    with pytest.raises(ValueError, match=r"labels must have shape \(20,\), got \(3,\)"):
        trained.log_density(labelled.held_out, np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match="labels must hold whole numbers from 0 to 2, got 7"):
        trained.sample(2, np.random.default_rng(0), [7, 7])
    without = train_on(quick("maf"), labelled)
    with pytest.raises(ValueError, match="given must be None: the model is not class-conditional"):
        without.sample(2, np.random.default_rng(0), [1, 1])


@pytest.mark.slow
def test_each_label_gets_its_own_samples() -> None:
    """Three classes with means 0, 10 and 20, sd 1: mixed up, every label would have mean 10. The bound on a mean of 300
    samples, 3, is far above its error of 0.06 and leaves the short training room."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(900) % 3)
    x = 10.0 * y[:, None] + rng.standard_normal((900, 2))
    dataset = Dataset("x", x[:800], x[800:], y[:800], y[800:], Units.standardised(x[:800]), None)
    config = Config("realnvp", layers=2, hidden=(16,), class_conditional=True, steps=200, learning_rate=1e-2)
    trained = train_on(config, dataset)
    for label in range(3):
        assert abs(trained.sample(300, rng, np.full(300, label)).mean() - 10 * label) < 3
    drawn = trained.sample(3000, rng)[:, 0]  # labels as frequent as in the data
    np.testing.assert_allclose(np.bincount(np.clip(np.rint(drawn / 10), 0, 2).astype(int)) / 3000, 1 / 3, atol=0.06)


def test_a_free_form_head_has_samples_only() -> None:
    dataset = table()
    trained = train_on(quick("saef", block_map="free_form"), dataset)
    assert np.isfinite(trained.sample(5, np.random.default_rng(0))).all()
    for ask in (trained.log_density, trained.encode):
        with pytest.raises(ValueError, match="free-form head has no inverse and no density"):
            ask(dataset.held_out)
    with pytest.raises(ValueError, match="free-form head has no log_prob: choose energy, sliced or mmd"):
        train_on(quick("saef", objective="likelihood", block_map="free_form"), dataset)


def test_bad_data_are_refused() -> None:
    trained = train_on(quick("maf"), table())
    with pytest.raises(ValueError, match=r"x must have shape \(n, 3\), got \(2, 4\)"):
        trained.log_density(np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"x must be finite, got 1 NaN or infinite values, the first at index \(1, 2\)"):
        trained.log_density(np.array([[0, 0, 0], [0, 0, np.nan]]))
    with pytest.raises(ValueError, match="n must be an integer >= 1, got 0"):
        trained.sample(0, np.random.default_rng(0))


def test_digits_are_cut_into_patches() -> None:
    described = describe_run(Config("saef", blocks=16), load("digits"))
    assert json.loads(json.dumps(described)) == described
    trained = train_on(quick("saef", blocks=16), load("digits"))
    blocks = trained.flow_model().flow.bijection.blocks  # type: ignore[union-attr]
    assert blocks[0] == (0, 1, 8, 9)
    assert blocks[15] == (54, 55, 62, 63)


@pytest.mark.parametrize(("d", "sizes"), [(1, (1,)), (3, (1, 1, 1)), (4, (1, 1, 1, 1)), (7, (2, 2, 2, 1)), (64, (16,) * 4)])
def test_four_blocks(d: int, sizes: tuple[int, ...]) -> None:
    assert four_blocks(d) == sizes


def test_the_same_choices_give_the_same_model_and_another_seed_another() -> None:
    a, b, c = (train_on(quick("saef", seed=seed), table()) for seed in (0, 0, 1))
    assert all(np.array_equal(p, q) for p, q in zip(leaves(a.params), leaves(b.params), strict=True))
    assert not all(np.array_equal(p, q) for p, q in zip(leaves(a.params), leaves(c.params), strict=True))


@pytest.mark.parametrize(("choices", "said"), [
    ({"objective": "enrgy"}, "unknown objective 'enrgy', did you mean 'energy'"),
    ({"schedule": "lineer"}, "unknown schedule 'lineer', did you mean 'linear'"),
    ({"dtype": "float16"}, "unknown dtype 'float16', did you mean 'float"),
    ({"block_map": "splin"}, "unknown block_map 'splin', did you mean 'spline'"),
    ({"beta": 2.0}, "beta must lie strictly between 0 and 2"),
    ({"draws": 1}, "draws must be an integer >= 2, got 1"),
    ({"steps": 0}, "steps must be an integer >= 1, got 0"),
    ({"learning_rate": -1.0}, "learning_rate must be positive"),
    ({"average_decay": 1.0}, "average_decay must be at least 0 and less than 1"),
    ({"average_decay": 0.0}, "average_decay must be positive and finite, got 0.0"),
    ({"layers": 0}, "layers must be an integer >= 1, got 0"), ({"blocks": 0}, "blocks must be an integer >= 1, got 0"),
    ({"objective": ""}, "unknown objective ''"),
    ({"base_scale": 0.0}, "base_scale must be positive"), ({"base": "norml"}, "unknown base 'norml', did you mean 'normal'"),
    ({"transformer": "affine"}, "transformer means nothing for saef, only for maf, aqf"),
    ({"objective": "likelihood", "beta": 1.0}, "beta means nothing for the objective likelihood, only for energy, sliced"),
    ({"class_conditional": 2}, "class_conditional must be True or False, got 2"),
    ({"blocks": (1, 1)}, r"blocks must add up to d = 3, got \[1, 1\] with sum 2"),
    ({"blocks": 2}, "blocks must divide d = 3"),
    ({"objective": "quantile"}, "the quantile objective trains autoregressive quantile flows"),
])
def test_bad_choices_are_refused(choices: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        train_on(quick("saef", **choices), table())


def test_a_batch_larger_than_the_data_is_all_of_them() -> None:
    trained = train_on(Config("maf", steps=2, batch=1000, hidden=(8,)), table())
    assert math.isfinite(float(trained.log_density(table().held_out).sum()))
