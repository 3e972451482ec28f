"""docs/experiments/regression*.py: that they write what they promise, resume, split fairly, and measure truly.

Small fits, in this process; the numbers of the real ones stand in docs/experiments/regression.md."""
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenflow.experiments import EXPERIMENTS, judged, regression, regression_data, regression_models
from evenflow.experiments import regression_pages as pages
from evenflow.experiments.regression import Preset
from evenflow.experiments.regression_data import BEFORE, DATA, PLACE, parts
from evenflow.experiments.regression_models import LEVELS, between
from evenflow.experiments.regression_pictures import pooled, ratios
from evenflow.experiments.results import Row
from evenflow.reference.scores import crps_normal
from evenflow.reference.work.threads import single_blas_thread

DOCS = Path(__file__).parents[2] / "docs/experiments"
FEW = ("SAEF, energy", "linear Gaussian", "engression", "truth")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two data sets, few methods, two steps, and a package that is not there."""
    for module in (regression, pages):
        monkeypatch.setattr(module, "DATA", ("heteroscedastic", "wine"))
    monkeypatch.setattr(regression, "PRESETS", {name: Preset(FEW, {"steps": 2}) for name in ("quick", "best")})
    monkeypatch.setattr(regression, "LARGE_SEEDS", 1)
    monkeypatch.setattr(regression_data, "ROWS", 300)
    monkeypatch.setattr(regression, "find_spec", lambda name: None)
    with single_blas_thread():
        yield


def without_seconds(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "train_seconds"} for row in rows]


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_it_writes_what_it_promises_and_resumes(tmp_path: Path) -> None:
    rows = regression.run(tmp_path, "best", (0, 1))
    tables = [("wine", name, seed) for name in FEW[:3] for seed in (0, 1)]
    assert [(row["data"], row["method"], row["seed"]) for row in rows] == [
        *(("heteroscedastic", name, 0) for name in FEW), *tables]
    for row in rows:
        assert row["unavailable"] == ("engression" if row["method"] == "engression" else None)
        assert (row["crps"] is None) == (row["pit"] is None) == (row["method"] == "engression")
        assert (row["log_likelihood"] is None) == (row["method"] == "engression")
        if row["crps"] is not None:
            assert (row["rows"], row["columns"]) == ((142, 12) if row["data"] == "wine" else (300, 2))
            assert sum(row["pit"]) == pytest.approx(1)
    truth = next(row for row in rows if row["method"] == "truth")
    split = parts("heteroscedastic", 0)
    exact = crps_normal(*regression_data.moments(split.X_test), split.y_test)
    assert truth["crps"] == pytest.approx(float(exact.mean()), rel=0.02), "200 draws against the formula"
    written = json.loads((tmp_path / "results.json").read_text())
    assert (written["experiment"], written["preset"], written["seeds"], written["rows"]) == ("regression", "best", [0, 1], rows)
    for picture in regression.PICTURES:
        assert (tmp_path / picture).read_bytes()[:4] == b"\x89PNG"
    page = pages.page([written])
    assert "| engression | unavailable: engression is not installed | - |" in page
    assert len(regression.summary(rows)) == len(rows)
    assert regression.run(tmp_path, "best", (0, 1), resume=True) == rows
    (tmp_path / "wine-0-seed0/row.json").unlink()
    assert without_seconds(regression.run(tmp_path, "best", (0, 1), resume=True)) == without_seconds(rows)
    with pytest.raises(ValueError, match="holds another run"):
        regression.run(tmp_path, "quick", (0, 1), resume=True)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="unknown preset 'fast'"):
        regression.run(Path("nowhere"), "fast")
    assert EXPERIMENTS["regression"] == regression.__name__


@pytest.mark.parametrize("name", DATA)
def test_what_is_tested_is_not_fitted(name: str) -> None:
    split = parts(name, 0)
    fitted = {tuple(row) for row in np.column_stack([split.X, split.y])}
    assert not fitted & {tuple(row) for row in np.column_stack([split.X_test, split.y_test])}
    assert len(split.X) == len(split.y)
    assert len(split.X_test) == len(split.y_test)
    again, other = parts(name, 0), parts(name, 1)
    assert all((a == b).all() for a, b in zip(split, again, strict=True))
    assert (other.y_test != split.y_test).any()


def test_no_table_is_given_what_it_should_predict() -> None:
    for name in regression_data.TABLES:
        split = parts(name, 0)
        assert all(abs(np.corrcoef(column, split.y)[0, 1]) < 0.99 for column in split.X.T)


def test_a_pixel_is_given_those_before_it() -> None:
    """Each pixel of the patch is its place."""
    patch = np.arange(64.0)[None]
    X, y = regression_data.pixels(patch, np.random.default_rng(0))
    at = [8 * (PLACE[0] + down) + PLACE[1] + right for down, right in BEFORE]
    assert np.floor(X[0]).tolist() == at
    assert np.floor(y[0]) == 8 * PLACE[0] + PLACE[1] > max(at)


def test_quantiles_are_drawn_from_by_straight_lines() -> None:
    q = np.stack([LEVELS, 2 * LEVELS], axis=1)
    u = np.array([[0.0, 0.0], [0.025, 0.31], [0.5, 0.5], [1.0, 0.99]])
    assert between(q, u) == pytest.approx(u * [1, 2])
    bent = np.where(LEVELS > 0.5, 3 * LEVELS, LEVELS)[:, None]
    assert between(bent, np.array([[0.525], [0.52]]))[:, 0] == pytest.approx([(0.5 + 1.65) / 2, 0.5 + 0.4 * 1.15])


def test_linear_regression_by_hand() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 2))
    y = 3 + X @ [1.0, -2.0] + 0.5 * rng.standard_normal(4000)
    fitted = regression_models.linear(X, y, 0, {})
    at = np.array([[0.0, 0.0], [1.0, 1.0]])
    drawn = fitted.draw(at, 20_000)
    assert drawn.mean(axis=0) == pytest.approx([3, 2], abs=0.05)
    assert drawn.std(axis=0) == pytest.approx([0.5, 0.5], abs=0.02)
    assert fitted.log_density is not None
    assert fitted.log_density(at, np.array([3.0, 2.0])) == pytest.approx([-np.log(0.5 * np.sqrt(2 * np.pi))] * 2, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["boosted quantiles", "Gaussian process"])
def test_scikit_learns_follow_a_line(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regression_models, "SUBSAMPLE", 100)
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (300, 1))
    y = 10 * X[:, 0] + rng.standard_normal(300)
    drawn = regression_models.METHODS[method](X, y, 0, {}).draw(np.array([[-0.5], [0.5]]), 2000)
    assert drawn.shape == (2000, 2)
    assert np.median(drawn, axis=0) == pytest.approx([-5, 5], abs=1.0)
    assert (np.quantile(drawn, 0.9, axis=0) - np.quantile(drawn, 0.1, axis=0) > 1).all()


def test_ratios_and_shares_by_hand() -> None:
    def row(method: str, seed: int, crps: float, pit: list[float]) -> Row:
        return {"data": "wine", "method": method, "seed": seed, "crps": crps, "pit": pit}

    rows = [row("linear Gaussian", 0, 2.0, [0.1] * 10), row("linear Gaussian", 1, 4.0, [0.1] * 10),
            row("SAEF, energy", 0, 1.0, [0.2] * 5 + [0.0] * 5), row("SAEF, energy", 1, 1.0, [0.0] * 5 + [0.2] * 5)]
    assert ratios(rows, "wine", "SAEF, energy") == [0.5, 0.25]
    assert pages.paired(rows, "wine", "SAEF, energy", "linear Gaussian") == [-0.5, -0.75]
    shares = pooled(rows[:3], "wine", "SAEF, energy")
    assert shares is not None
    assert shares.tolist() == [0.2] * 5 + [0.0] * 5
    assert pages.unevenness(rows[:3], "wine", "SAEF, energy") == pytest.approx(0.5)
    assert pages.unevenness(rows, "wine", "SAEF, energy") == pytest.approx(0.0)
    assert pooled(rows, "wine", "engression") is None


def committed() -> list[Row]:
    found = [DOCS.parent / f"results/regression-{preset}.json" for preset in ("best", "quick")]
    return [json.loads(path.read_text()) for path in found if path.exists()]


def test_the_page_is_made_of_the_committed_results() -> None:
    page, results = (DOCS / "regression.md").read_text(), committed()
    assert results
    assert pages.page(results) == page
    for field in ("crps", "coverage_90", "width_50", "train_seconds"):
        changed: list[dict[str, Any]] = copy.deepcopy(results)
        changed[0]["rows"][0][field] *= 1.5
        assert pages.page(changed) != page, "a number that does not come from the results"


def test_the_committed_results_are_whole() -> None:
    for results in committed():
        how = regression.PRESETS[results["preset"]]
        assert results["settings"] == json.loads(json.dumps(how._asdict()))
        seeds = results["seeds"]
        wanted = {
            (data, method, seed) for data in DATA for method in how.methods if method != "truth" or data == "heteroscedastic"
            for seed in (seeds if data in regression_data.TABLES else seeds[: regression.LARGE_SEEDS])
        }
        assert {(row["data"], row["method"], row["seed"]) for row in results["rows"]} == wanted
        assert all(judged.column([row], "crps") or row["unavailable"] for row in results["rows"])
