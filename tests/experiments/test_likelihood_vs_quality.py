"""docs/experiments/likelihood_vs_quality*.py and ranks.py: that they write what they promise, resume, and say what is so.

Small trainings, in this process; the numbers of the real ones stand in docs/experiments/likelihood-vs-quality.md."""
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenflow.experiments import EXPERIMENTS, block_sweep, judged
from evenflow.experiments import likelihood_vs_quality as study
from evenflow.experiments import likelihood_vs_quality_pages as pages
from evenflow.experiments.likelihood_vs_quality import Preset, Training
from evenflow.experiments.likelihood_vs_quality_pictures import MARKERS, OBJECTIVES
from evenflow.experiments.ranks import correlated, kendall, ranks, resampled, spearman
from evenflow.experiments.results import Row
from evenflow.reference.core import fetched, named_leaves
from evenflow.reference.work import evaluation
from evenflow.reference.work.runs import load_run, train_on
from evenflow.reference.work.stretches import TrainingStopped
from tests.experiments.runs import Stopped, stopping, without_times, written

TINY = Preset((2, 3), False)
TOY = "eight-gaussians"
TWO = [Training(TOY, "SAEF affine", 1, "large", "energy"), Training(TOY, "RealNVP", None, "large", "likelihood")]


@pytest.fixture
def small(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two trainings of three steps, few points to judge by, no classifiers."""
    monkeypatch.setattr(study, "PRESETS", {"quick": TINY, "best": Preset((2, 4), False)})
    monkeypatch.setattr(study, "of", lambda data: [training for training in TWO if training.data == data])
    monkeypatch.setattr(evaluation, "d_loss", lambda real, generated, seed: (float(np.mean(generated)), 0.0))
    monkeypatch.setattr(block_sweep, "real", lambda seed: {"d_loss": 0.7, "frechet": 2.0})


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_it_writes_what_it_promises_and_resumes(tmp_path: Path) -> None:
    rows = study.run(tmp_path / "whole", "quick", (0,))
    assert [(row["family"], row.get("steps")) for row in rows] == [
        ("real", None), ("real", None), ("RealNVP", 2), ("RealNVP", 3), ("SAEF affine", 2), ("SAEF affine", 3)]
    fields = ("d_loss", "frechet", "nll", "likelihood", "parameters")
    assert all(math.isfinite(row[field]) for row in rows[2:] for field in fields)
    assert rows[2]["nll"] != rows[3]["nll"], "the lengths are two models"
    assert all(row["likelihood"] == -row["nll"] for row in rows[2:]), "nats a row of the toy"
    told = written(tmp_path / "whole", study)
    assert told["rows"] == rows
    assert (told["experiment"], told["preset"], told["seeds"]) == ("likelihood-vs-quality", "quick", [0])
    assert len(study.summary(rows)) == len(rows)
    assert study.run(tmp_path / "whole", "quick", (0,), resume=True) == rows  # read
    folder = tmp_path / "whole" / rows[2]["training"]
    shutil.rmtree(tmp_path / "whole" / rows[4]["training"])  # as if it had not begun
    (folder / "row-3.json").unlink()                         # as if it had not been measured
    assert without_times(study.run(tmp_path / "whole", "quick", (0,), resume=True)) == without_times(rows)
    with pytest.raises(ValueError, match="holds another run: go on with the preset it was begun with"):
        study.run(tmp_path / "whole", "best", (0,), resume=True)
    with pytest.raises(FileExistsError, match="holds a run already"):
        study.run(tmp_path / "whole", "quick", (0,))
    with pytest.raises(Stopped):
        study.run(tmp_path / "stopped", "quick", (0,), stopping("eight-gaussians-SAEF", 3))
    assert without_times(study.run(tmp_path / "stopped", "quick", (0,), resume=True)) == without_times(rows)


@pytest.mark.usefixtures("small")
def test_a_length_is_bit_for_bit_a_training_of_so_many_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judged, "measure", lambda *args, **how: {"nll": 1.0})
    study.learn(*TWO[1], "quick", 0, tmp_path, False, lambda name, progress: None)
    config = TWO[1].config(steps=3, seed=0, learning_rate=1e-3, schedule="constant", keep="last")
    alone = train_on(config, judged.dataset_of(TOY))
    kept = load_run(tmp_path / "eight-gaussians-RealNVP-large-likelihood-seed0")
    for (_, a), (_, b) in zip(named_leaves(fetched(alone.params)), named_leaves(fetched(kept.params)), strict=True):
        assert (a == b).all()


@pytest.mark.usefixtures("small")
def test_a_training_that_breaks_off_is_a_row_a_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*args: Any) -> None:
        raise TrainingStopped(1, "the loss is nan", None)

    monkeypatch.setattr(study, "train_on", breaks)
    rows = study.learn(*TWO[0], "quick", 0, tmp_path, False, lambda name, progress: None)
    assert [(row["steps"], row["stopped_at"], row["d_loss"]) for row in rows] == [(2, 1, None), (3, 1, None)]
    assert pages.models(rows, TOY) == []


def test_the_trainings_are_what_is_said_of_them() -> None:
    counts = {name: len(preset.trainings()) for name, preset in study.PRESETS.items()}
    said = study.__doc__ or ""
    assert f"quick   {counts['quick']} trainings, at 50 and 150 steps" in said
    assert f"best    {counts['best']} trainings, at 100 and 500 steps" in said
    every = study.PRESETS["best"].trainings()
    assert len({training.name for training in every}) == len(every)
    assert set(study.PRESETS["quick"].trainings()) < set(every)
    assert {training.family for training in every} == set(MARKERS)
    assert {training.objective for training in every} == set(OBJECTIVES)
    assert not any(training.family == "SAEF dense" and training.blocks == 64 for training in every)
    for training in every:
        config = training.config(steps=1)
        assert config.family == training.family.lower().split()[0]
        assert config.objective == training.objective
        assert config.class_conditional == (training.data == "digits")
    wide, narrow = (Training("digits", "SAEF spline", 4, size, "energy").config() for size in ("large", "small"))
    assert (wide.context_hidden, narrow.context_hidden, narrow.hidden) == (None, (64, 64), (16,))  # None: the default, 256,256
    assert EXPERIMENTS["likelihood-vs-quality"] == study.__name__


def test_likelihood_is_bits_per_dim_of_digits() -> None:
    assert study.per_unit(judged.dataset_of(judged.Z_ORDER)) == pytest.approx(64 * math.log(2))
    assert study.per_unit(judged.dataset_of(TOY)) == 1.0


def test_ranks_by_hand() -> None:
    x = np.array([3.0, 1.0, 3.0, 7.0])
    assert ranks(x, np.ones((1, 4))).tolist() == [[2.5, 1.0, 2.5, 4.0]]
    assert ranks(x, np.array([[1.0, 2.0, 1.0, 0.0]]))[0, :3].tolist() == [3.5, 1.5, 3.5]  # 1 1 3 3
    y = np.array([1.0, 2.0, 3.0, 4.0])  # against ranks 2.5 1 2.5 4: sum of products of deviations 3, of squares 4.5 and 5
    assert spearman(x, y, np.ones((1, 4)))[0] == pytest.approx(3 / math.sqrt(4.5 * 5))
    # pairs: 1 discordant (3, 1), 1 tied in x (3, 3), 4 concordant; 5 of x, 6 of y are not tied
    assert kendall(x, y, np.ones((1, 4)))[0] == pytest.approx(3 / math.sqrt(5 * 6))
    assert np.isnan(spearman(np.ones(4), y, np.ones((1, 4)))[0])
    assert np.isnan(kendall(np.ones(4), y, np.ones((1, 4)))[0])


def test_a_weight_is_a_point_so_often() -> None:
    rng = np.random.default_rng(0)
    x, y, weights = rng.standard_normal(8).round(1), rng.standard_normal(8), rng.integers(0, 4, 8).astype(float)
    often = np.repeat(np.arange(8), weights.astype(int))
    for correlation in (spearman, kendall):
        plain = correlation(x[often], y[often], np.ones((1, len(often))))
        assert correlation(x, y, weights[None])[0] == pytest.approx(plain[0], abs=1e-12)


def test_ranks_are_those_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 9, (2, 40)).astype(float)
    assert spearman(x, y, np.ones((1, 40)))[0] == pytest.approx(stats.spearmanr(x, y).statistic)
    assert kendall(x, y, np.ones((1, 40)))[0] == pytest.approx(stats.kendalltau(x, y).statistic)


def test_whole_groups_are_resampled() -> None:
    weights = resampled(["a", "b", "a", "c"], np.random.default_rng(0))
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(4), abs=0.1)


def test_the_interval_is_wider_where_points_are_copies() -> None:
    """Of 30 independent points it is about 2 * 1.96 / sqrt(30); three copies of each of 30 groups tell no more than one."""
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((2, 30))
    names = [str(i) for i in range(30)]
    _, alone = correlated(spearman, x, y, names)
    _, grouped = correlated(spearman, np.tile(x, 3), np.tile(y, 3), names * 3)
    _, ignored = correlated(spearman, np.tile(x, 3), np.tile(y, 3), [str(i) for i in range(90)])
    assert alone is not None
    assert grouped is not None
    assert ignored is not None
    assert alone[1] - alone[0] == pytest.approx(2 * 1.96 / math.sqrt(30), rel=0.25)
    assert grouped[1] - grouped[0] == pytest.approx(alone[1] - alone[0], rel=0.05)
    assert ignored[1] - ignored[0] < 0.7 * (alone[1] - alone[0])
    assert correlated(spearman, x, y, ["one"] * 30)[1] is None


def made(objective: str, training: str, steps: int, likelihood: float, d_loss: float, family: str = "RealNVP") -> Row:
    known = {"data": "digits", "family": family, "blocks": None, "size": "large", "objective": objective, "training": training}
    told = {"likelihood": likelihood, "d_loss": d_loss, "frechet": 1 - d_loss}
    return {**known, "steps": steps, "seed": 0, **told, "stopped_at": None}


def simpson() -> list[Row]:
    """Within each objective likelihood and samples rank alike; together they do not: energy has better samples, worse bits."""
    of_likelihood = [made("likelihood", f"l{i}", 9, -2 + 0.01 * i, 0.1 + 0.01 * i) for i in range(6)]
    return of_likelihood + [made("energy", f"e{i}", 9, -4 + 0.01 * i, 0.5 + 0.01 * i) for i in range(6)]


def test_what_is_said_of_simpsons_paradox() -> None:
    rows = simpson()
    known = pages.groups(rows)
    assert pages.agreement(known["all"], "d_loss").value < -0.4
    assert pages.agreement(known["energy"], "d_loss").value == pytest.approx(1)
    assert pages.agreement(known["energy"], "frechet").value == pytest.approx(1), "less is better"
    said = pages.findings(rows, "bits per dim")
    assert said[0].startswith("**D-loss, all models**: -0.51 [-"), "ranks 6 apart: 1 - 6 * 12 * 36 / (12 * 143)"
    assert pages.agreement(known["all"], "d_loss", kendall).value == pytest.approx((30 - 36) / 66)
    assert "alike in 6 (energy; energy, longest; likelihood; likelihood, longest; RealNVP, energy; RealNVP, like" in said[2]
    assert "quarter with the best D-loss** (0.530 to 0.550) has 3.95 to 3.97 bits per dim, all models 1.95 to 4.00" in said[-1]
    assert said[-1].endswith("Inside it likelihood and D-loss have +1.00, likelihood and Frechet +1.00")


def test_what_is_said_of_pairs_by_hand() -> None:
    rows = [
        made("likelihood", "a", 9, -2.0, 0.5), made("energy", "b", 9, -3.0, 0.6),
        made("likelihood", "a", 5, -2.5, 0.4), made("energy", "b", 5, -2.4, 0.3),
        made("energy", "c", 5, -9.0, 0.3, "MAF"),
    ]
    found = [(a["training"], b["training"], a["steps"]) for a, b in pages.pairs(rows, "energy")]
    assert found == [("b", "a", 9), ("b", "a", 5)]
    assert pages.matched(rows, "energy", "bits").startswith(
        "**energy beside likelihood**, 2 pairs equal in all but the objective: energy has the worse likelihood in 1 (median "
        "gap 0.45 bits), a better D-loss in 1, in 1 of them in spite of the worse likelihood")
    assert pages.poorest(rows, "bits") == [
        "**good samples, poor likelihood**: of the 1 pairs with 80 % of the best D-loss in which likelihood has the lesser, "
        "furthest apart in bits are RealNVP, at 9 steps, D-loss and bits: energy 0.600 and 3.00; likelihood 0.500 and 2.00"
    ]
    assert pages.along(rows) == (
        "**longer training**, from one length to the next: energy: of 1, likelihood better in 0, D-loss in 1, Frechet in 1, "
        "D-loss better and likelihood worse in 1. likelihood: of 1, likelihood better in 1, D-loss in 1, Frechet in 1, D-loss "
        "better and likelihood worse in 0"
    )
