"""docs/experiments/tabular*.py: that they write what they promise, resume, read the five sets rightly, and measure truly.

Small trainings, in this process; the numbers of the real ones stand in docs/experiments/tabular.md."""
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from evenflow.experiments import commands, tabular, tabular_data, tabular_measures, tabular_pages, tabular_uci
from evenflow.experiments.results import Row
from evenflow.experiments.tabular import Preset
from evenflow.experiments.tabular_data import Parts, completed, continuous, patches, shipped
from evenflow.experiments.tabular_pictures import gains
from evenflow.reference.app.errors import EXTRAS
from evenflow.reference.core import Array
from evenflow.reference.scores import crps, crps_normal
from evenflow.reference.work.runs import load_run
from evenflow.reference.work.threads import single_blas_thread
from tests.experiments.runs import Stopped, stopping, without_times, written
from tests.experiments.test_experiments import committed

FEW = {name: tabular.MODELS[name] for name in ("SAEF, B = 3, energy", "SAEF, B = 3, likelihood", "AQF, pinball")}

app = Typer()
commands.extend(app)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two steps, few models, patches and draws, no classifier; the rest as it is. One BLAS thread, as in the pool."""
    monkeypatch.setattr(tabular, "MODELS", FEW)
    presets = {name: Preset(("wine", "patches"), {"steps": 2}, {"steps": 2}) for name in ("quick", "best")}
    monkeypatch.setattr(tabular, "PRESETS", presets | {"paper": tabular.PRESETS["paper"], "images": tabular.PRESETS["images"]})
    monkeypatch.setattr(tabular_data, "DRAWN", (200, 60, 60))
    monkeypatch.setattr(tabular_measures, "DRAWS", 60)
    monkeypatch.setattr(tabular_measures, "d_loss", lambda real, generated, seed: (abs(float(np.mean(generated - 1))), 0.0))
    with single_blas_thread():
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_it_writes_what_it_promises_and_resumes(tmp_path: Path) -> None:
    rows = tabular.run(tmp_path / "whole", "quick", (0,))
    models = (*tabular.YARDSTICKS, *FEW)
    assert [(row["data"], row["model"]) for row in rows] == [(d, m) for d in ("wine", "patches") for m in models]
    for row in rows:
        assert (row["rows"], row["columns"]) == ((114, 13) if row["data"] == "wine" else (200, 63))
        assert all((row[field] is None) == (field == "log_density" and row["model"] == "training rows")
                   for field in tabular_measures.MEASURED)
    a, b = (next(row for row in rows if row["model"] == name) for name in list(FEW)[:2])
    assert a["parameters"] == b["parameters"], "one architecture under both objectives"
    for k, (name, choices) in enumerate(FEW.items(), start=2):
        trained, parts = load_run(tmp_path / f"whole/wine-{k}-seed0"), shipped("wine", 0)
        assert trained.config.objective == choices["objective"]
        row = next(row for row in rows if row["model"] == name)
        assert row["log_density"] == pytest.approx(trained.log_density(parts.test).mean(), rel=1e-5)
        assert row["best_step"] == trained.best.step  # type: ignore[union-attr]
    assert tabular.summary(rows)[0].keys() == {"data", "model", "seed", *tabular_measures.MEASURED}
    told = written(tmp_path / "whole", tabular)
    assert (told["experiment"], told["preset"], told["seeds"], told["rows"]) == ("tabular", "quick", [0], rows)
    assert tabular.run(tmp_path / "whole", "quick", (0,), resume=True) == rows
    with pytest.raises(Stopped):
        tabular.run(tmp_path / "stopped", "quick", (0,), stopping("wine, AQF", 1))
    assert without_times(tabular.run(tmp_path / "stopped", "quick", (0,), resume=True)) == without_times(rows)
    with pytest.raises(ValueError, match="holds another run: go on with the preset it was begun with"):
        tabular.run(tmp_path / "whole", "best", (0,), resume=True)


@pytest.mark.usefixtures("small")
def test_a_training_that_breaks_off_is_a_row_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = {"steps": 4, "learning_rate": 1e30}
    monkeypatch.setattr(tabular, "PRESETS", {"quick": Preset(("wine",), away, away)})
    row = tabular.learn("wine", "SAEF, B = 3, likelihood", "quick", 0, tmp_path, False, lambda name, progress: None)
    assert row["stopped_at"] is not None
    assert row["log_density"] is row["d_loss"] is None
    table = tabular_pages.table([row], "wine")
    assert "| SAEF, B = 3, likelihood (0 of 1 trained) | - | - | - | - | - | - |" in table


@pytest.mark.usefixtures("small")
def test_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(ValueError, match=r"the preset paper is of the five UCI sets, --data DIR; .* Zenodo record 1161203"):
        tabular.run(nowhere, "paper")
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ModuleNotFoundError, match="skimage"):
        tabular.run(nowhere, "images")
    assert not nowhere.exists()


def test_what_the_command_says_of_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, whatever is missing; nothing is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "power").mkdir()
    (tmp_path / "power/data.npy").touch()
    monkeypatch.setitem(sys.modules, "skimage", None)
    tabular_uci_wants = "data folder . has no gas/ethylene_CO.pickle; the five sets are in data.tar.gz of Zenodo record 1161203"
    for status, arguments, said in (
        (1, ["two-modes", "--data", "."], "--data means nothing for two-modes, only for tabular, image-saef,"),
        (1, ["tabular", "--data", "gone"], "data folder gone has no power/data.npy; the five sets are in data.tar.gz"),
        (1, ["tabular", "--preset", "paper", "--data", "."], tabular_uci_wants),
        (2, ["tabular", "--preset", "images"], "this needs skimage, which is not installed: pip install 'evenflow[images]'"),
    ):
        refused = CliRunner().invoke(app, ["reproduce", *arguments, "--out", f"out-{arguments[0]}"])
        assert (refused.exit_code, refused.stdout) == (status, "")
        assert said in refused.stderr
    assert not list(tmp_path.rglob("results.json"))


def test_h5py_and_pandas_are_asked_for_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for files in tabular_uci.FILES.values():
        for file in files:
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).touch()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ModuleNotFoundError, match="h5py"):
        tabular_uci.check_folder(tmp_path)
    assert EXTRAS["h5py"] == EXTRAS["pandas"] == "uci"


# The shipped data.

def test_tables_are_made_continuous() -> None:
    x = np.array([[1.0, 0.0, 0.10], [2.0, 1.0, 0.13], [5.0, 1.0, 0.11], [2.0, 0.0, 0.10]])
    u = continuous(x, np.random.default_rng(0))
    assert u.shape == (4, 2), "a column of two values is left out"
    assert (np.floor(u[:, 0]) == x[:, 0]).all()
    assert ((u[:, 1] >= x[:, 2]) & (u[:, 1] < x[:, 2] + 0.01 + 1e-12)).all()
    assert len(np.unique(u)) == u.size


@pytest.mark.parametrize(("name", "rows", "d"), [("diabetes", 442, 9), ("wine", 178, 13), ("breast_cancer", 569, 30)])
def test_the_parts_of_a_table_are_all_its_rows_once(name: str, rows: int, d: int) -> None:
    parts = shipped(name, 0)
    whole = np.concatenate(parts[1:])
    assert whole.shape == (rows, d)
    assert len(np.unique(whole, axis=0)) == rows
    assert [round(len(part) / rows, 2) for part in parts[1:]] == pytest.approx([0.64, 0.16, 0.2], abs=0.011)
    assert (shipped(name, 0).test == parts.test).all()
    assert (shipped(name, 1).test[0] != parts.test[0]).all()
    assert parts.dataset().train is parts.train
    assert parts.dataset().held_out is parts.validation


def test_patches_of_different_parts_share_no_pixel() -> None:
    """Each tile of these images has a number of its own; what is left over at the edges is -1 and must not be seen."""
    images, number = [], 0
    for down, across in ((3, 4), (5, 2)):
        ids = number + np.arange(down * across).reshape(down, across)
        image = np.full((40 * down + 7, 40 * across + 3), -1.0)
        image[: 40 * down, : 40 * across] = np.kron(ids, np.ones((40, 40)))
        images.append(image)
        number += down * across
    drawn = patches(images, (500, 200, 200), np.random.default_rng(0))
    assert [part.shape for part in drawn] == [(500, 64), (200, 64), (200, 64)]
    assert all((part == part[:, :1]).all() for part in drawn), "a patch lies in one tile"
    seen = [set(part[:, 0]) for part in drawn]
    assert [len(tiles) for tiles in seen] == [14, 4, 4]
    assert set.union(*seen) == set(range(22))


def test_a_patch_is_a_square_of_the_image_less_its_mean() -> None:
    image = np.arange(40 * 40, dtype=float).reshape(40, 40) % 251
    (part, *_) = patches([image] * 5, (50, 1, 1), np.random.default_rng(0))
    i, j = np.argwhere(image == part[0, 0])[0]
    squares = np.lib.stride_tricks.sliding_window_view(image, (8, 8)).reshape(-1, 64)
    assert all((squares == patch).all(axis=1).any() for patch in part)
    assert i >= 0
    assert j >= 0
    x = tabular_data.centred(part, np.random.default_rng(0))
    whole = completed(x)
    assert x.shape == (50, 63)
    assert whole.sum(axis=1) == pytest.approx(0, abs=1e-12)
    off = 256 * (whole - whole[:, :1]) - (part - part[:, :1])  # the noise of a pixel less that of the first
    assert (np.abs(off) < 1).all()
    assert np.ptp(off) > 1


def test_patches_of_the_two_photographs() -> None:
    images = tabular_data.from_sklearn()
    assert [image.shape for image in images] == [(427, 640)] * 2
    assert all((image == np.round(image)).all() and image.min() >= 0 and 200 < image.max() <= 255 for image in images)
    parts = shipped("patches", 0)
    assert [part.shape for part in parts[1:]] == [(16_000, 63), (2_000, 63), (2_000, 63)]
    assert 0.03 < parts.train.std() < 0.2


def test_photographs_of_scikit_image() -> None:
    """They are read from the folder of the package, so that nothing is ever downloaded."""
    pytest.importorskip("skimage")
    images = tabular_data.from_skimage()
    assert len(images) == len(tabular_data.FROM_SKIMAGE)
    assert all(image.ndim == 2 and image.min() >= 0 and 150 < image.max() <= 255 for image in images)
    assert [part.shape for part in shipped("photographs", 0)[1:]] == [(16_000, 63), (2_000, 63), (2_000, 63)]


# The five sets, from generated files.

@pytest.fixture
def table() -> Array:
    return np.random.default_rng(0).standard_normal((1000, 8)) * 3 + 1


def test_power(tmp_path: Path, table: Array) -> None:
    path = tmp_path / "data.npy"
    table[:, 1] = table[:, 3] = 1e9  # both are left out
    np.save(path, np.round(table, 2))
    train, validation, test = parts = tabular_uci.power(path)
    assert [part.shape for part in parts] == [(810, 6), (90, 6), (100, 6)]
    known = np.concatenate([train, validation])
    assert known.mean(axis=0) == pytest.approx(np.zeros(6), abs=1e-9)
    assert known.std(axis=0) == pytest.approx(np.ones(6))
    order = np.random.RandomState(42).permutation(1000)  # the rows in the published order
    time = np.round(table[order, 7], 2)                  # the only column without noise
    assert test[:, 5] == pytest.approx((time[900:] - time[:900].mean()) / time[:900].std())
    voltage = np.round(table[order, 2], 2)
    noise = test[:, 1] * known_sd(voltage) + 0  # up to a shift, the voltage and noise of at most 0.01
    assert np.ptp(noise - voltage[900:]) < 0.03


def known_sd(column: Array) -> float:
    return float(column[:900].std())


def test_power_has_the_published_noise(tmp_path: Path) -> None:
    """Of rows that are all equal the noise is left, standardised: its correlations name its columns."""
    np.save(tmp_path / "data.npy", np.tile(np.arange(8.0), (500, 1)) + np.linspace(0, 1e-9, 500)[:, None])
    x = np.concatenate(tabular_uci.power(tmp_path / "data.npy"))
    rng = np.random.RandomState(42)
    rng.shuffle(np.zeros((500, 8)))
    voltage, power, meters = rng.rand(500), rng.rand(500), rng.rand(500, 3)
    for j, noise in enumerate((power, voltage, *meters.T)):
        assert np.corrcoef(x[:, j], noise)[0, 1] == pytest.approx(1, abs=1e-6)


def test_gas(tmp_path: Path, table: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eleven sensors, three of which follow from others: eight are left. In the place of pandas, which the next test has."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1000, 8))
    near = x[:, [0, 0, 5]] + 0.01 * rng.standard_normal((1000, 3))
    whole = np.column_stack([x, near])
    frame = SimpleNamespace(drop=lambda columns: whole if columns == ["Meth", "Eth", "Time"] else None)
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(read_pickle=lambda path: frame, __version__="0"))
    parts = tabular_uci.gas(tmp_path / "ethylene_CO.pickle")
    assert [part.shape for part in parts] == [(810, 8), (90, 8), (100, 8)]
    left = whole[:, [1, 2, 3, 4, 6, 7, 9, 10]]  # of 0, 8, 9 the last, of 5 and 10 the last
    expected = (left - left.mean(axis=0)) / left.std(axis=0, ddof=1)
    assert np.concatenate(parts) == pytest.approx(expected)

    def broken(path: Path) -> None:
        raise AttributeError("no such index")

    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(read_pickle=broken, __version__="9"))
    with pytest.raises(ValueError, match="cannot be read by pandas 9: AttributeError: no such index"):
        tabular_uci.gas(tmp_path)


def test_gas_from_a_real_pickle(tmp_path: Path, table: Array) -> None:
    pandas = pytest.importorskip("pandas")
    names = ["Time", "Meth", "Eth", *(f"S{k}" for k in range(8))]
    path = tmp_path / "ethylene_CO.pickle"
    pandas.DataFrame(np.column_stack([table[:, :3], table]), columns=names).to_pickle(path)
    assert [part.shape for part in tabular_uci.gas(path)] == [(810, 8), (90, 8), (100, 8)]


def write_hepmass(folder: Path, rows: int, more: bool) -> tuple[Array, Array]:
    """A csv in HEPMASS's format: label, 27 numbers, six of which repeat their smallest value; `more`: one column too many."""
    rng = np.random.default_rng(rows)
    labels, x = (np.arange(rows) % 2).astype(float), rng.standard_normal((rows, 27)) + 2
    x[:, [3, 7, 11, 15, 19, 23]] = rng.integers(0, 3, (rows, 6))
    x[:, 5] = np.minimum(x[:, 5], 2.0)  # repeats its largest value, and stays
    heads = ["# label", *(f"f{k}" for k in range(27)), *(["mass"] if more else [])]
    lines = [",".join(f"{value:.18e}" for value in (label, *row, *([1000.0] if more else [])))
             for label, row in zip(labels, x, strict=True)]
    (folder / f"1000_{'test' if more else 'train'}.csv").write_text("\n".join([",".join(heads), *lines]) + "\n")
    return labels, x


def test_hepmass(tmp_path: Path) -> None:
    labels, x = write_hepmass(tmp_path, 400, more=False)
    test_labels, y = write_hepmass(tmp_path, 300, more=True)
    parts = tabular_uci.hepmass(tmp_path / "1000_train.csv", tmp_path / "1000_test.csv")
    assert [part.shape for part in parts] == [(180, 21), (20, 21), (150, 21)]
    kept = [j for j in range(27) if j not in (3, 7, 11, 15, 19, 23)]
    signal = x[labels == 1][:, kept]
    mean, sd = signal.mean(axis=0), signal.std(axis=0, ddof=1)
    assert np.concatenate(parts[:2]) == pytest.approx((signal - mean) / sd)
    assert parts[2] == pytest.approx((y[test_labels == 1][:, kept] - mean) / sd)


def test_miniboone(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((1000, 43)) * 5 - 2
    np.save(tmp_path / "data.npy", x)
    train, validation, test = tabular_uci.miniboone(tmp_path / "data.npy")
    assert (train.shape, validation.shape, test.shape) == ((810, 43), (90, 43), (100, 43))
    assert test == pytest.approx((x[900:] - x[:900].mean(axis=0)) / x[:900].std(axis=0))
    assert validation == pytest.approx((x[810:900] - x[:900].mean(axis=0)) / x[:900].std(axis=0))


class File(dict[str, Array]):
    def __enter__(self) -> "File":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_bsds300(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = File({name: np.full((n, 63), n, dtype=np.float32) for name, n in (("train", 20), ("validation", 5), ("test", 8))})
    monkeypatch.setitem(sys.modules, "h5py", SimpleNamespace(File=lambda path, mode: there))
    parts = tabular_uci.uci("bsds300", tmp_path)
    assert [part.shape for part in parts[1:]] == [(20, 63), (5, 63), (8, 63)]
    assert [part[0, 0] for part in parts[1:]] == [20, 5, 8]
    there["test"] = there["test"][:, :62]
    with pytest.raises(ValueError, match="bsds300 must have 63 columns after its rules, got 62 and 63 from"):
        tabular_uci.uci("bsds300", tmp_path)


def test_bsds300_from_a_real_file(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for name, n in (("train", 20), ("validation", 5), ("test", 8)):
            file[name] = np.full((n, 63), n, dtype=np.float32)
    assert [part.shape for part in tabular_uci.bsds300(tmp_path / "a.hdf5")] == [(20, 63), (5, 63), (8, 63)]


def test_the_published_numbers_of_rows_are_those_of_the_rules() -> None:
    """Papamakarios et al., Table 4 and the sets' own sizes."""
    for n, expected in ((2_049_280, (1_659_917, 184_435, 204_928)), (1_052_065, (852_174, 94_685, 105_206)),
                        (36_488, (29_556, 3_284, 3_648))):
        assert tuple(map(len, tabular_uci.in_parts(np.empty(n)))) == expected


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_a_run_on_the_five(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through run, with readers that give small parts: two of them, in the preset of the paper, its steps cut short."""
    def parts(name: str, folder: Path) -> Parts:
        rng, d = np.random.default_rng(0), tabular_uci.WIDTHS[name]
        return Parts(name, *(rng.standard_normal((n, d)) for n in (150, 40, 40)))

    monkeypatch.setattr(tabular, "check_folder", lambda folder: None)
    monkeypatch.setattr(tabular, "uci", parts)
    monkeypatch.setattr(tabular, "EPOCHS", 1)
    monkeypatch.setattr(tabular, "UCI", ("power", "bsds300"))
    monkeypatch.setattr(tabular, "MODELS", {"RealNVP, likelihood": {"family": "realnvp"}})
    rows = tabular.run(tmp_path, "paper", (0,), data=tmp_path)
    assert list(dict.fromkeys(row["data"] for row in rows)) == ["power", "bsds300"]
    described = json.loads((tmp_path / "power-2-seed0/config.json").read_text())["config"]
    assert {name: described[name] for name in ("batch", "learning_rate", "schedule", "layers", "hidden", "steps")} == {
        "batch": 100, "learning_rate": 1e-4, "schedule": "constant", "layers": 5, "hidden": [100, 100], "steps": 2}
    assert (tmp_path / "patches.png").exists(), "BSDS300's"
    last = tabular_pages.published([json.loads((tmp_path / "results.json").read_text())]).splitlines()[-1]
    assert [bool(cell.strip()) for cell in last.split("|")[2:-1]] == [True, False, False, False, True], "ours, where it was run"


def test_what_the_paper_preset_makes_of_the_sizes() -> None:
    choices = tabular.printed("saef", "hepmass", 315_123)
    assert choices == {"context_hidden": (512, 512), "steps": 3_151_230, "patience": 946}  # 30 epochs, in looks of 100 steps
    assert tabular.printed("aqf", "gas", 852_174)["hidden"] == (100, 100)
    parts = Parts("power", *(np.random.default_rng(0).standard_normal((50, 6)) for _ in range(3)))
    assert tabular.config_of("SAEF, B = 9, energy", "paper", 0, parts).blocks == (1,) * 6


@pytest.mark.parametrize("d", [6, 9, 13, 63])
@pytest.mark.parametrize("B", tabular.BLOCKS)
def test_blocks_are_nearly_equal(d: int, B: int) -> None:
    found = tabular.sizes(d, B)
    assert sum(found) == d
    assert len(found) == min(B, d)
    assert max(found) - min(found) <= 1


# The measures.

def test_crps_of_columns_is_that_of_scores() -> None:
    rng = np.random.default_rng(0)
    draws, y = rng.standard_normal((50, 3)), rng.standard_normal((20, 3)) + 1
    expected = [crps(np.broadcast_to(draws[:, j, None], (50, 20)), y[:, j]).mean() for j in range(3)]
    assert tabular_measures.crps_of_columns(draws, y) == pytest.approx(expected)
    many, at = rng.standard_normal((40_000, 1)), np.array([[0.3], [-1.2]])
    exact = crps_normal(np.zeros(2), np.ones(2), at[:, 0]).mean()
    assert tabular_measures.crps_of_columns(many, at)[0] == pytest.approx(exact, abs=0.01)


def normal_parts(shift: float = 0.0) -> Parts:
    rng = np.random.default_rng(0)
    A = np.array([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.5, 0.1]])
    return Parts("normal", *(rng.standard_normal((n, 3)) @ A.T + at for n, at in ((4000, 0.0), (500, 0.0), (400, shift))))


def test_of_normal_rows_the_gaussian_is_the_truth() -> None:
    """Its log density is minus the entropy, 3/2 log(2 pi e) + log |det A|; nothing can be told; CRPS is 1/sqrt(pi) a column."""
    row, _ = tabular_measures.of_gaussian(normal_parts(), 0)
    assert row["log_density"] == pytest.approx(-1.5 * math.log(2 * math.pi * math.e) - math.log(0.2), abs=0.15)
    assert row["d_loss"] == pytest.approx(math.log(2), abs=0.02)
    assert row["crps"] == pytest.approx(3 / math.sqrt(math.pi), abs=0.12)
    assert row["parameters"] == 9
    same, _ = tabular_measures.of_training_rows(normal_parts(), 0)
    assert same["log_density"] is None
    assert same["d_loss"] == pytest.approx(math.log(2), abs=0.02)
    assert same["energy_score"] == pytest.approx(row["energy_score"], rel=0.02)
    away, _ = tabular_measures.of_gaussian(normal_parts(shift=3.0), 0)
    assert away["log_density"] < row["log_density"] - 3
    assert away["d_loss"] < 0.3
    assert away["crps"] > row["crps"] + 1
    assert away["energy_score"] > row["energy_score"] + 1


def test_what_is_not_finite_is_none() -> None:
    parts = normal_parts()
    draws = np.full((100, 3), np.inf)
    row = tabular_measures.measured(parts, draws, np.full(400, -np.inf), 0)
    assert row == dict.fromkeys(tabular_measures.MEASURED)


# The page.

def rows_by_hand() -> list[Row]:
    return [
        {"data": "wine", "model": model, "seed": seed, "parameters": 1000 * k, "best_step": 10 * k, "stopped_at": None,
         "log_density": None if model == "training rows" else -20.0 + 0.5 * k + seed, "energy_score": 3 - 0.01 * k,
         "crps": 7 - 0.1 * k, "d_loss": 0.6 - 0.01 * k, "train_seconds": 60.0}
        for k, model in enumerate((*tabular.YARDSTICKS, *tabular.MODELS)) for seed in (0, 1)
    ]


def test_what_is_said_by_hand() -> None:
    rows = rows_by_hand()
    said = tabular_pages.findings(rows, "wine")
    assert said[0] == (
        "**log density**: RealNVP, likelihood is first (-13.50), SAEF, B = 1, energy last (-18.50), the Gaussian has -19.50; "
        "SAEF by energy less SAEF by likelihood, B = 1, 3, 9: -1.50 (-1.50, -1.50), -1.50 (-1.50, -1.50), "
        "-1.50 (-1.50, -1.50)"
    )
    assert said[3].startswith("**D-loss**: SAEF, B = 1, energy is first (0.580), RealNVP, likelihood last (0.480)")
    verdicts = tabular_pages.verdicts({"rows": rows})
    assert verdicts[0].endswith("ahead in 0 of 3 in log density, 0 of 3 in energy score, 0 of 3 in CRPS, 3 of 3 in D-loss")
    assert verdicts[1].endswith("data set by data set: beaten by those trained by energy or pinball loss in 4 of 4")
    assert verdicts[2].endswith("beaten by those trained by likelihood in 7 of 7")
    for row in rows:
        if row["model"] == "AQF, pinball":
            row["log_density"] = -30.0
    assert "pinball loss in 3 of 4" in tabular_pages.verdicts({"rows": rows})[1]
    line = tabular_pages.table(rows, "wine").splitlines()[3]
    assert line == "| training rows | 1,000 | - | 2.990 (0) | 6.900 (0) | 0.590 (0) | 10 |"


def test_gains_are_positive_where_it_is_better_than_the_gaussian() -> None:
    rows = rows_by_hand()
    assert gains(rows, "wine", "SAEF, B = 1, energy", "log_density") == [1.0, 1.0]
    assert gains(rows, "wine", "SAEF, B = 1, energy", "energy_score") == pytest.approx([0.02, 0.02])
    assert gains(rows, "wine", "SAEF, B = 1, energy", "d_loss") == pytest.approx([-0.02, -0.02])
    assert gains(rows, "wine", "training rows", "log_density") == []
    assert gains(rows, "diabetes", "Gaussian", "crps") == []


def test_no_number_of_ours_stands_where_nothing_was_run() -> None:
    lines = tabular_pages.published(committed("tabular")[2]).splitlines()
    assert lines[2] == "| MAF (5), Papamakarios et al. | 0.14 | 9.07 | -17.70 | -11.75 | 155.69 |"
    for line in lines[4:]:
        assert set(line.partition("|")[2].partition("|")[2]) <= {"|", " "}, line


def test_the_presets_are_those_of_the_page() -> None:
    last = {"steps": 1500, "keep": "last"}
    assert tabular.PRESETS["best"] == Preset(("diabetes", "wine", "breast_cancer", "patches"), {}, last)
    printed = {"batch": 100, "learning_rate": 1e-4, "schedule": "constant"}
    assert tabular.PRESETS["paper"] == Preset((), printed, printed)
