"""Images and series: what a row stands for, blocks that are squares, folders as they are published, and what is refused."""
import gzip
import io
import pickle
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenflow.reference.core import Array, leaves
from evenflow.reference.flows import Chain, Flow, squeeze
from evenflow.reference.work import evaluation, gaussian
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.energy_model import EnergyModel
from evenflow.reference.work.estimators import FlowEstimator
from evenflow.reference.work.matching import other_data, own_data
from evenflow.reference.work.metrics import COMPONENTS, components
from evenflow.reference.work.options import Config
from evenflow.reference.work.regressor import FlowRegressor
from evenflow.reference.work.rows import rows_of
from evenflow.reference.work.runs import Trained, load_run, train_on
from evenflow.reference.work.shapes import Shape, patch_order, square_for
from evenflow.reference.work.training import Progress
from evenflow.reference.work.units import WIDEST, Units

FASHION = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package dataset-fashion-mnist puts its files
RNG = np.random.default_rng(0)
GREY = RNG.integers(256, size=(60, 6, 4)).astype(np.uint8)
TWO = np.zeros((2, 3072), np.uint8)
QUICK: dict[str, Any] = {"steps": 1, "batch": 8, "context_hidden": (8,), "context_width": 4, "hidden": (8,), "layers": 1}


def as_python_2(path: Path, what: Any) -> None:
    """A pickle as Python 2 wrote them, CIFAR-10's too: text and bytes are one, and NumPy's parts have their old places."""
    def save_text(pickler: Any, text: str | bytes) -> None:
        content = text if isinstance(text, bytes) else text.encode("ascii")
        pickler.write(b"T" + struct.pack("<i", len(content)) + content)
        pickler.memoize(text)

    python: Any = vars(pickle)["_Pickler"]  # the one that can be changed
    pickler = python(file := io.BytesIO(), protocol=2)
    pickler.dispatch = {**python.dispatch, str: save_text, bytes: save_text}
    pickler.dump(what)
    path.write_bytes(file.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))


def cifar(folder: Path, n: int = 20) -> tuple[Array, list[int]]:
    """A folder in CIFAR-10's format; the images (6 n, 3, 32, 32) and labels that it holds."""
    folder.mkdir()
    x, labels = np.random.default_rng(1).integers(256, size=(6 * n, 3, 32, 32)).astype(np.uint8), [i % 10 for i in range(6 * n)]
    for i, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        part = slice(n * i, n * (i + 1))
        batch = {"batch_label": name, "labels": labels[part], "data": x[part].reshape(n, -1), "filenames": ["a.png"] * n}
        as_python_2(folder / name, batch)
    return x, labels


def idx(x: Array) -> bytes:
    return b"".join([bytes([0, 0, 8, x.ndim]), struct.pack(f">{x.ndim}i", *x.shape), x.tobytes()])


def mnist(folder: Path, packed: bool = False, n: int = 60, dot: bool = False) -> None:
    """A folder in MNIST's format: GREY, the last 10 as the test set, labels 0, 1, 2, 0, ..."""
    folder.mkdir()
    labels = np.arange(n, dtype=np.uint8) % 3
    for part, rows in (("train", slice(0, n - 10)), ("t10k", slice(n - 10, n))):
        for kind, x in (("images-idx3", GREY), ("labels-idx1", labels)):
            path = folder / f"{part}-{kind.replace('-idx', '.idx') if dot else kind}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(idx(x[rows])) if packed else idx(x[rows]))


def trained_on(dataset: Dataset, folder: Path | None = None, **how: Any) -> Trained:
    return train_on(Config("saef", **{**QUICK, **how}), dataset, folder)


def blocks_of(trained: Trained) -> Any:
    flow = trained.flow_model().flow
    assert isinstance(flow, Flow)
    return flow.bijection.blocks  # type: ignore[attr-defined]


@pytest.mark.parametrize("shape", [Shape((6, 4)), Shape((6, 4, 3)), Shape((4, 8, 2))])
def test_blocks_of_images_are_squares_with_all_their_channels(shape: Shape) -> None:
    order, p, k = patch_order(shape, 2), 2, shape.channels
    assert sorted(order) == list(range(shape.d))
    i, j, c = np.unravel_index(np.array(order), (*shape.axes[:2], k))
    squares = [part.reshape(-1, p * p * k) for part in (i // p, j // p)]
    assert all((square == square[:, :1]).all() for square in squares)
    corners = list(zip(*(square[:, 0].tolist() for square in squares), strict=True))
    assert corners == sorted(corners)  # in reading order
    assert len(corners) == shape.patches(2) == shape.d // (4 * k)
    assert c.reshape(-1, k).tolist() == [list(range(k))] * (shape.d // k)


def test_blocks_of_series_are_stretches_of_time() -> None:
    shape = Shape.of([6, 2], series=True)
    assert patch_order(shape, 3) == tuple(range(12))
    assert (shape.patches(3), shape.channels, square_for(shape, 2)) == (2, 2, None)


@pytest.mark.parametrize(("axes", "blocks", "edge"), [
    ((8, 8), 4, 4), ((8, 8), 1, 8), ((8, 8), 16, 2), ((8, 8), 64, 1), ((8, 8), 2, None), ((8, 8), 5, None), ((8, 8), 65, None),
    ((6, 4), 6, 2), ((6, 4, 3), 6, 2), ((6, 4), 24, 1), ((9, 4), 4, None), ((12, 3), 4, 3),
])
def test_so_many_blocks_are_squares_where_there_are_such(axes: tuple[int, ...], blocks: int, edge: int | None) -> None:
    assert square_for(Shape(axes), blocks) == edge


@pytest.mark.parametrize(("name", "array", "how", "said"), [
    ("a.npy", GREY, {"levels": 256}, "60 images of 6 x 4"),
    ("a.npy", GREY[..., None], {"levels": 256}, "60 images of 6 x 4"),
    ("a.npy", np.repeat(GREY[..., None], 3, axis=3), {"levels": 256}, "60 images of 6 x 4, 3 channels"),
    ("a.npz", GREY, {"levels": 256}, "60 images of 6 x 4, with labels"),
    ("a.npy", np.random.default_rng(0).standard_normal((60, 6, 4)), {}, "60 images of 6 x 4"),
    ("a.npy", np.random.default_rng(0).standard_normal((60, 6, 4)), {"series": True}, "60 series of 6 times, 4 channels"),
])
def test_arrays_of_three_and_four_axes(name: str, array: Array, how: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    np.save(path, array) if path.suffix == ".npy" else np.savez(path, x=array, y=["a", "b"] * 30)
    data = load(path, **how)
    assert data.notes[0] == f"{path}: {said}"
    assert data.shape == Shape(array.shape[1:], "series" in how)
    rows = {row.tobytes() for row in array.reshape(60, -1)}
    assert {row.tobytes() for row in np.concatenate([data.train, data.held_out])} == rows
    assert data.train.dtype == array.dtype  # bytes stay bytes
    assert (data.train_labels is not None) == (path.suffix == ".npz")
    assert data.units.levels == how.get("levels")


@pytest.mark.parametrize(("packed", "dot"), [(False, False), (True, False), (False, True)])
def test_mnists_files(packed: bool, dot: bool, tmp_path: Path) -> None:
    mnist(tmp_path / "m", packed, dot=dot)
    data = load(tmp_path / "m")
    assert data.notes[0] == f"{tmp_path / 'm'}: 60 images of 6 x 4, with labels; the last 10, its test set, are held out"
    assert (data.shape, data.reading.levels, data.units.levels) == (Shape((6, 4)), 256, 256)
    assert np.array_equal(data.held_out, GREY[50:].reshape(10, -1))
    assert data.held_out_labels is not None
    assert data.held_out_labels.tolist() == [i % 3 for i in range(50, 60)]
    known = {row.tobytes(): i % 3 for i, row in enumerate(GREY[:50].reshape(50, -1))}
    assert data.train_labels is not None
    assert [known[row.tobytes()] for row in data.train] == data.train_labels.tolist()
    assert not np.array_equal(data.train, GREY[:50].reshape(50, -1))  # shuffled


def test_cifars_batches(tmp_path: Path) -> None:
    x, labels = cifar(tmp_path / "c")
    data = load(tmp_path / "c")
    assert data.shape == Shape((32, 32, 3))
    assert np.array_equal(data.held_out.reshape(-1, 32, 32, 3)[..., 1], x[100:, 1])  # channels last
    assert data.held_out_labels is not None
    assert data.held_out_labels.tolist() == labels[100:]
    assert len(data.train) == 100


@pytest.mark.parametrize("protocol", [2, 4])
def test_batches_that_python_3_wrote(protocol: int, tmp_path: Path) -> None:
    cifar(tmp_path / "c")
    before = load(tmp_path / "c")
    for path in (tmp_path / "c").iterdir():
        batch = pickle.loads(path.read_bytes(), encoding="latin1")
        path.write_bytes(pickle.dumps({name: batch[name] for name in ("data", "labels")}, protocol))
    assert load(tmp_path / "c").digest == before.digest


class Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("harm"),))


@pytest.mark.parametrize(("name", "harm", "said"), [
    ("m", lambda m: (m / "t10k-images-idx3-ubyte").unlink(), "there is no t10k-images-idx3-ubyte, nor one packed as .gz"),
    ("m", lambda m: (m / "train-labels-idx1-ubyte").unlink(), "there is no train-labels-idx1-ubyte"),
    ("m", lambda m: cut(m / "train-images-idx3-ubyte", 700), "train-images-idx3-ubyte must hold 50 x 6 x 4 bytes, as it says"),
    ("m", lambda m: cut(m / "train-images-idx3-ubyte", 9), "got 0"),
    ("m", lambda m: cut(m / "t10k-labels-idx1-ubyte", 2), "t10k-labels-idx1-ubyte must be an idx file of bytes with 1 axes"),
    ("m", lambda m: (m / "t10k-images-idx3-ubyte").write_bytes(idx(GREY[50:, :5])), "of one size, got (5, 4) and (6, 4)"),
    ("m", lambda m: (m / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(9, np.uint8))), "for each of 10 images, got 9"),
    ("m", lambda m: [path.unlink() for path in m.iterdir()], "is a folder, and must hold MNIST's idx files"),
    ("z", lambda z: cut(z / "train-images-idx3-ubyte.gz", 100), "idx3-ubyte.gz must be a whole file, packed by gzip"),
    ("c", lambda c: (c / "data_batch_3").unlink(), "c is not complete: there is no data_batch_3"),
    ("c", lambda c: cut(c / "data_batch_3", 5000), "data_batch_3 must be a whole python batch of CIFAR-10"),
    ("c", lambda c: pickled(c, Evil()), "it asks for pathlib.Path.touch, which no array needs"),
    ("c", lambda c: (c / "test_batch").write_bytes(b"cos\nsystem\n(S'touch harm'\ntR."), "it asks for os.system"),
    ("c", lambda c: pickled(c, [1, 2]), "test_batch must be a whole python batch"),
    ("c", lambda c: pickled(c, {"data": GREY[0], "labels": [1]}), "must hold data (n, 3072) in bytes, got uint8 (6, 4)"),
    ("c", lambda c: pickled(c, {"data": TWO, "labels": [1]}), "test_batch must hold a label for each of 2 images, got 1"),
    ("c", lambda c: pickled(c, {"data": TWO}), "test_batch must hold labels, a list of whole numbers, got NoneType"),
    ("c", lambda c: pickled(c, {"data": TWO.astype(float), "labels": [1, 2]}), "in bytes, got float64 (2, 3072)"),
])
def test_damaged_folders_name_the_file_in_one_line(
    name: str, harm: Callable[[Path], object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / name
    make: dict[str, Callable[[Path], object]] = {"m": mnist, "z": partial(mnist, packed=True), "c": cifar}
    make[name](folder)
    harm(folder)
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        load(folder)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "harm").exists()


def pickled(folder: Path, what: Any) -> None:
    (folder / "test_batch").write_bytes(pickle.dumps(what))


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize(("array", "how", "said"), [
    (np.zeros((60, 6, 4), np.uint8), {}, "24 of 24 numbers are the same in all 48 images of 6 x 4: real numbers must vary"),
    (GREY, {"levels": 200}, "must hold whole numbers from 0 to 199"),
    (GREY / 2, {"levels": 256}, "must hold whole numbers from 0 to 255"),
    (GREY, {"levels": 256, "columns": "1,2"}, "columns mean nothing for"),
    (GREY, {"levels": 256, "target": "1", "weights": "2"}, "target, weights mean nothing for"),
    (GREY[:, 0], {"series": True}, "must have the axes (n, t, c) to be series, got shape (60, 4)"),
    (GREY[..., None], {"series": True}, "must have the axes (n, t, c) to be series, got shape (60, 6, 4, 1)"),
    (GREY.reshape(60, 6, 2, 1, 2), {}, "must be a table (n >= 1, d >= 1), got shape (60, 6, 2, 1, 2)"),
    (GREY[:, :0], {}, "must be a table"),
    (np.where(GREY > 254, np.nan, GREY), {}, "must be finite"),
    (GREY + 1j, {}, "must hold real numbers"),
])
def test_arrays_that_are_no_images_are_refused(array: Array, how: dict[str, Any], said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        load(tmp_path / "a.npy", **how)
    assert said in str(caught.value)


def images(tmp_path: Path) -> Dataset:
    np.savez(tmp_path / "a.npz", x=np.where(GREY > 250, 0, GREY) * (np.arange(4) > 0), y=np.arange(60) % 2)
    return load(tmp_path / "a.npz", levels=256)


def test_constant_pixels_a_run_and_the_way_back(tmp_path: Path) -> None:
    """One column of pixels is empty: with levels that is no error, and the run knows its shape and blocks again."""
    data = images(tmp_path)
    trained = trained_on(data, tmp_path / "run", patch=2, class_conditional=True)
    assert (trained.config.blocks, trained.shape) == (6, Shape((6, 4)))
    assert blocks_of(trained)[0] == (0, 1, 4, 5)
    again = load_run(tmp_path / "run")
    assert (again.shape, again.config) == (trained.shape, trained.config)
    x, y = (load_run(tmp_path / "run").sample(3, np.random.default_rng(0)) for _ in range(2))
    assert np.array_equal(x, y)
    assert own_data(again).notes == data.notes
    model = FlowEstimator.load(tmp_path / "run")
    assert (model.shape, model.series, model.patch, model.levels) == ((6, 4), False, 2, 256)
    assert set(evaluation.evaluate(again, own_data(again))) > {"held_out_log_likelihood", "d_loss"}


def test_without_a_patch_images_in_so_many_blocks_are_squares_and_digits_are_a_case_of_it(tmp_path: Path) -> None:
    data = images(tmp_path)
    assert blocks_of(trained_on(data, blocks=6))[1] == (2, 3, 6, 7)
    assert blocks_of(trained_on(data))[0] == tuple(range(6))  # no four squares: as they come
    assert load("digits").shape == Shape((8, 8))


@pytest.mark.parametrize(("how", "said"), [
    ({"patch": 4}, "patch must divide h and w = 6 x 4, got 4"),
    ({"patch": 2, "blocks": 4}, "blocks and patch must agree: patch 2 makes 6, got 4"),
    ({"patch": 2, "blocks": (12, 12)}, r"blocks and patch must agree: patch 2 makes 6, got \(12, 12\)"),
    ({"patch": 0}, "patch must be an integer >= 1"),
])
def test_patches_that_do_not_fit_are_refused(how: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        trained_on(images(tmp_path), **how)


def test_a_table_has_no_patches_and_other_families_have_none() -> None:
    with pytest.raises(ValueError, match="patch means nothing for a table"):
        trained_on(load("rings"), patch=2)
    with pytest.raises(ValueError, match="patch means nothing for maf, only for saef"):
        Config("maf", patch=2)


def test_other_images_must_have_the_models_shape(tmp_path: Path) -> None:
    trained = trained_on(images(tmp_path), tmp_path / "run")
    np.save(tmp_path / "b.npy", GREY)
    data = other_data(trained, tmp_path / "b.npy")
    assert np.array_equal(data.held_out, GREY.reshape(60, -1))
    np.save(tmp_path / "b.npy", images(tmp_path).train.reshape(-1, 6, 4).astype(float))
    assert "48 of 48 rows" in other_data(trained, tmp_path / "b.npy").notes[1]  # whatever their dtype
    np.save(tmp_path / "b.npy", GREY.swapaxes(1, 2))
    with pytest.raises(ValueError, match="must hold images of 6 x 4, as what the model was trained on, got images of 4 x 6"):
        other_data(trained, tmp_path / "b.npy")


def test_a_folder_is_known_by_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mnist(Path("m"))
    trained = trained_on(load("m"), tmp_path / "run", class_conditional=True)
    assert trained.data == str(tmp_path / "m")
    monkeypatch.chdir("/")
    assert np.array_equal(own_data(load_run(tmp_path / "run")).held_out, GREY[50:].reshape(10, -1))


def test_estimators_take_a_shape() -> None:
    X = GREY.reshape(60, -1).astype(float)
    model = FlowEstimator("saef", shape=(6, 4), patch=2, levels=256, random_state=0, **QUICK).fit(X)
    assert blocks_of(model.trained_)[1] == (2, 3, 6, 7)
    assert model.sample(2).shape == (2, 24)
    times = FlowEstimator("saef", shape=(6, 4), series=True, patch=2, random_state=0, **QUICK)
    times.fit(np.random.default_rng(0).standard_normal((60, 24)))
    assert blocks_of(times.trained_)[1] == tuple(range(8, 16))


@pytest.mark.parametrize(("X", "how", "said"), [
    (GREY.reshape(60, -1), {"shape": (6, 5)}, "shape must be of the 24 numbers in a row, got 6 x 5 = 30"),
    (GREY.reshape(60, -1), {"shape": 24}, r"shape must be \(h, w\) or \(h, w, c\) of one image, got 24"),
    (GREY.reshape(60, -1), {"shape": (6, 4, 1), "series": True}, r"shape must be \(t, c\) of one series"),
    (GREY.reshape(60, -1), {"shape": (6, -4)}, "shape must be an integer >= 1"),
    (GREY.reshape(60, -1), {"series": True}, r"series needs shape=\(t, c\)"),
    (GREY.reshape(60, -1), {"patch": 2}, "patch means nothing for a table"),
    (GREY.reshape(60, -1) * (np.arange(24) > 0), {"shape": (6, 4)}, "1 of 24 numbers are the same in all 48 images"),
    (GREY, {"shape": (6, 4)}, "dim 3"),  # scikit-learn's own
])
def test_shapes_that_do_not_fit_are_refused(X: Array, how: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FlowEstimator("saef", **QUICK, **how).fit(X)


def test_bytes_are_trained_on_as_the_numbers_that_they_are(tmp_path: Path) -> None:
    """Units of bytes are those of the same numbers in float64, more rows than fit into one part of them."""
    x = np.random.default_rng(0).integers(256, size=(9000, 2)).astype(np.uint8)
    units, wide = Units.whole_numbers(x, 256), Units.whole_numbers(x.astype(float), 256)
    expected = [x.mean() + 0.5, np.sqrt(x.astype(float).var() + 1 / 12)]
    np.testing.assert_allclose([units.shift[0], units.scale[0]], expected, rtol=1e-12)
    for dtype in ("float32", "float64"):
        ours, theirs = (rows_of(rows, units, dtype).at(np.arange(99), np.random.default_rng(1))[0]
                        for rows, units in ((x, units), (x.astype(float), wide)))
        assert ours.dtype == theirs.dtype == dtype
        assert np.array_equal(ours, theirs)


def test_wide_real_rows_are_not_whitened() -> None:
    x = np.random.default_rng(0).standard_normal((40, WIDEST + 1))
    units = Units.whitened(x)
    assert units.L is None
    np.testing.assert_allclose(units.to_model(x).std(axis=0), 1)
    assert Units.whitened(x[:, 1:]).L is not None


def test_wide_samples_are_compared_by_their_components() -> None:
    real, generated = np.random.default_rng(0).standard_normal((2, 400, COMPONENTS + 100))
    generated[:, 0] *= 30  # what differs most is among them
    seen, other = components(real, generated)
    assert seen.shape == other.shape == (400, COMPONENTS)
    assert other.std(axis=0).max() > 10 * seen.std(axis=0).max()
    assert components(real[:, :COMPONENTS], generated[:, :COMPONENTS])[0].shape == (400, COMPONENTS)
    assert np.array_equal(components(real[:, :5], generated[:, :5])[0], real[:, :5])


def test_wide_rows_are_judged_by_the_first_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    n, wide = 12, COMPONENTS + 1
    x, labels = np.random.default_rng(0).standard_normal((n, wide)), np.arange(n)
    dataset = Dataset("x", x, x, labels, labels, Units.standardised(x), None, train_given=x[:, :2])
    monkeypatch.setattr(evaluation, "NUMBERS", 5 * wide)
    monkeypatch.setattr(evaluation, "FEWEST", 2)
    monkeypatch.setattr(evaluation, "FITTED", 7 * wide)
    few = evaluation.first_rows(dataset)
    parts = (few.train, few.held_out, few.train_labels, few.held_out_labels, few.train_given)
    assert [0 if part is None else len(part) for part in parts] == [7, 5, 7, 5, 7]
    assert np.array_equal(few.train, x[:7])
    narrow = dataset._replace(held_out=x[:, 1:])
    assert evaluation.first_rows(narrow) is narrow


def test_a_gaussian_is_of_all_columns_or_there_is_none() -> None:
    x = np.random.default_rng(0).standard_normal((50, 6))
    assert gaussian.fitted(x) is not None
    assert gaussian.fitted(np.column_stack([x, x @ np.arange(6)])) is None


def test_energy_based_models_take_images(tmp_path: Path) -> None:
    config = Config("ebm", algorithm="pcd", steps=2, batch=8, buffer=16, local_steps=1)
    trained = train_on(config, images(tmp_path), tmp_path / "run")
    assert isinstance(trained.model, EnergyModel)
    assert trained.sample(3, np.random.default_rng(0)).shape == (3, 24)
    assert load_run(tmp_path / "run").shape == Shape((6, 4))


@pytest.mark.slow
@pytest.mark.skipif(not FASHION.exists(), reason="needs Fashion-MNIST: apt-get install dataset-fashion-mnist")
def test_fashion_mnist() -> None:
    data = load(FASHION)
    assert (data.train.shape, data.held_out.shape, data.shape) == ((60_000, 784), (10_000, 784), Shape((28, 28)))
    assert data.train.dtype == np.uint8
    assert data.classes == tuple(range(10))
    assert data.train_labels is not None
    assert np.bincount(data.train_labels).tolist() == [6000] * 10
    trained = trained_on(data, patch=7, class_conditional=True, steps=3)
    assert len(blocks_of(trained)) == 16
    assert trained.sample(2, np.random.default_rng(0), np.array([3, 9])).shape == (2, 784)


# -- convolutions: glow, and contexts of masked convolutions -------------------------------------------------------------

GLOW: dict[str, Any] = {"steps": 4, "batch": 8, "hidden": (8,), "layers": 1, "scales": 1}
CONV: dict[str, Any] = {**QUICK, "steps": 4, "contexts": "conv", "patch": 2}
CONVOLUTIONS = {"glow": Config("glow", **GLOW), "saef": Config("saef", **CONV)}


class Stop(Exception):
    pass


def stop_at_two(progress: Progress) -> None:
    if progress.step == 2:
        raise Stop


@pytest.mark.parametrize("family", CONVOLUTIONS)
def test_convolutional_models_of_a_folder_are_kept_found_and_resumed(family: str, tmp_path: Path) -> None:
    """Bit for bit; glow's actnorm is not started again."""
    mnist(tmp_path / "m")
    config, dataset = CONVOLUTIONS[family], load(tmp_path / "m")
    whole = train_on(config, dataset, tmp_path / "whole")
    with pytest.raises(Stop):
        train_on(config, dataset, tmp_path / "halves", callback=stop_at_two)
    resumed = train_on(config, dataset, tmp_path / "halves", resume=True)
    for other in (resumed, load_run(tmp_path / "whole"), load_run(tmp_path / "halves")):
        assert all(np.array_equal(a, b) for a, b in zip(leaves(whole.params), leaves(other.params), strict=True))
    found = load_run(tmp_path / "whole")
    assert (found.config, found.shape) == (whole.config, Shape((6, 4)))
    x = found.sample(7, np.random.default_rng(0))
    assert np.array_equal(x, np.clip(np.floor(x), 0, 255))
    uniforms = dataset.units.uniforms(dataset.held_out, np.random.default_rng(1))
    assert np.isfinite(found.log_density(dataset.held_out, uniforms=uniforms)).all()


def test_colours_go_through_convolutions(tmp_path: Path) -> None:
    """CIFAR-10's axes: the model sees the channels of one pixel side by side."""
    cifar(tmp_path / "c", n=4)
    dataset = load(tmp_path / "c")
    trained = train_on(Config("saef", **{**CONV, "patch": 16, "block_map": "free_form", "steps": 1}), dataset)
    model: Any = trained.flow_model().flow
    assert model.grid == (2, 2, 768)
    assert list(model.blocks[1][:4]) == [48, 49, 50, 51]  # pixel (0, 16), its channels, and the next
    assert trained.sample(2, np.random.default_rng(0)).shape == (2, 3072)
    deep = train_on(Config("glow", **{**GLOW, "steps": 1, "scales": 2}), dataset).flow_model().flow
    assert isinstance(deep, Flow)
    assert isinstance(deep.bijection, Chain)
    assert deep.bijection.layers[-1] == squeeze((32, 32, 3))


def test_glow_starts_at_its_data() -> None:
    """Of each 2 x 2 square two pixels are dark and two bright: after the start the four channels of noise are alike."""
    x = (GREY // 8 + 100 * (np.indices((6, 4)).sum(axis=0) % 2)).reshape(60, -1)
    dataset = Dataset("striped", x[:50], x[50:], None, None, Units.whole_numbers(x[:50], 256), None, shape=Shape((6, 4)))
    trained = train_on(Config("glow", **{**GLOW, "steps": 1, "learning_rate": 1e-9, "keep": "last"}), dataset)
    z = trained.encode(dataset.train, uniforms=dataset.units.uniforms(dataset.train, np.random.default_rng(0))).reshape(-1, 4)
    assert np.ptp(x.mean(axis=0)) > dataset.units.scale[0]  # in the model's units, more than 1
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(z.var(axis=0), 1, atol=0.05)


@pytest.mark.parametrize(("family", "how"), [
    ("glow", {"shape": (8, 8), "scales": 2}), ("glow", {"shape": (8, 4, 2), "scales": 2, "objective": "energy"}),
    ("glow", {"shape": (8, 8), "matrix": "free", "class_conditional": True}), ("glow", {"shape": (8, 8), "base": "uniform"}),
    ("saef", {"shape": (8, 8), "patch": 2}), ("saef", {"shape": (8, 4, 2), "blocks": 2}),
    ("saef", {"shape": (8, 8), "patch": 4, "block_map": "affine", "class_conditional": True}),
    ("saef", {"shape": (8, 8), "patch": 4, "objective": "likelihood"}),
])
def test_estimators_of_images_with_convolutions(family: str, how: dict[str, Any]) -> None:
    """Sample, score, there and back."""
    choices = {**(GLOW if family == "glow" else {**CONV, "patch": None}), "steps": 2, **how}
    X, y = RNG.integers(256, size=(60, 64)).astype(float), np.arange(60) % 2
    model = FlowEstimator(family, levels=256, random_state=0, **choices)
    given: dict[str, Any] = {"labels": y[:5]} if how.get("class_conditional") else {}
    model.fit(X, y if given else None)
    assert model.sample(5, **given).shape == (5, 64)
    assert np.isfinite(model.score_samples(X[:5], **given)).all()
    assert np.array_equal(model.inverse_transform(model.transform(X[:5], **given), **given), X[:5])


def test_a_free_form_head_over_convolutions_has_samples_alone() -> None:
    model = FlowEstimator("saef", block_map="free_form", shape=(8, 8), levels=256, random_state=0, **CONV)
    model.fit(RNG.integers(256, size=(40, 64)))
    assert model.sample(3).shape == (3, 64)
    assert not hasattr(model, "score_samples")


TABLE = RNG.standard_normal((60, 16))


@pytest.mark.parametrize(("estimator", "family", "how", "said"), [
    (FlowEstimator, "glow", {}, r"glow is for images, \(n, h, w\) or \(n, h, w, c\), got a table"),
    (FlowEstimator, "glow", {"shape": (4, 4), "series": True}, "glow is for images, .* got series of 4 times, 4 channels"),
    (FlowEstimator, "glow", {"shape": (2, 8), "scales": 2}, r"scales must be few enough to halve h and w of \(2, 8, 1\)"),
    (FlowEstimator, "glow", {"shape": (4, 4), "hidden": (8, 9)},
     r"hidden must be one width, once for each residual block, got \(8, 9\)"),
    (FlowEstimator, "glow", {"shape": (4, 4), "patch": 2}, "patch means nothing for glow, only for saef"),
    (FlowEstimator, "maf", {"shape": (4, 4), "scales": 2}, "scales means nothing for maf, only for glow"),
    (FlowEstimator, "maf", {"shape": (4, 4), "contexts": "conv"}, "contexts means nothing for maf, only for saef"),
    (FlowEstimator, "saef", {"contexts": "conv"}, r"contexts conv is for images, \(n, h, w\) or \(n, h, w, c\), got a table"),
    (FlowEstimator, "saef", {"contexts": "conv", "shape": (4, 4), "series": True}, "contexts conv is for .* got series"),
    (FlowEstimator, "saef", {"contexts": "conv", "shape": (4, 4), "blocks": 5},
     "contexts conv needs blocks that are equal squares: give patch; got blocks 5 for images of 4 x 4"),
    (FlowEstimator, "saef", {"contexts": "conv", "shape": (4, 4), "context_hidden": (8, 9)},
     r"context_hidden must be one width, once for each residual block, got \(8, 9\)"),
    (FlowEstimator, "saef", {"contexts": "convs"}, "unknown contexts 'convs', did you mean 'conv'"),
    (FlowRegressor, "glow", {}, r"glow is for images, \(n, h, w\) or \(n, h, w, c\), got a table"),
    (FlowRegressor, "saef", {"contexts": "conv"}, "contexts conv is for images, .* got a table"),
])
def test_what_convolutions_are_not_for_is_refused(estimator: Any, family: str, how: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        estimator(family, steps=1, **how).fit(TABLE, TABLE)
