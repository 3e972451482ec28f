"""Data and units: round trips, log_det, what files may hold, and that each bad file is refused with its place named."""
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autograd import jacobian
from hypothesis import given
from hypothesis import strategies as st

from evenflow.reference.targets.toys import TARGETS
from evenflow.reference.work.data import load
from evenflow.reference.work.given import one_hot
from evenflow.reference.work.shapes import Shape, patch_order
from evenflow.reference.work.units import Units

REAL = Units(np.array([1.0, -200.0]), np.array([0.5, 1e3]))
WHOLE = Units(np.full(3, 8.3), np.full(3, 4.9), levels=17)


@given(seed=st.integers(0, 999), n=st.integers(1, 9), single=st.booleans())
def test_real_numbers_there_and_back(seed: int, n: int, single: bool) -> None:
    dtype = np.float32 if single else np.float64
    x = np.random.default_rng(seed).normal(REAL.shift, REAL.scale, (n, 2)).astype(dtype)
    u = REAL.to_model(x)
    assert u.dtype == REAL.to_user(u).dtype == dtype
    assert REAL.to_user(u) == pytest.approx(x, rel=1e-5 if single else 1e-12, abs=1e-3 if single else 1e-9)


@given(seed=st.integers(0, 999), n=st.integers(1, 9))
def test_whole_numbers_there_and_back(seed: int, n: int) -> None:
    """Exactly, for all uniforms that are not within rounding of 0 or 1."""
    rng = np.random.default_rng(seed)
    x, uniforms = rng.integers(17, size=(n, 3)), rng.uniform(1e-9, 1 - 1e-9, (n, 3))
    u = WHOLE.to_model(x, uniforms)
    assert (WHOLE.to_user(u) == x).all()
    assert WHOLE.to_model(WHOLE.to_user(u), uniforms) == pytest.approx(u)


def test_draws_beyond_the_levels_are_clipped_and_made_whole() -> None:
    draws = (np.array([[-3.0, 3.7, 99.0]]) - WHOLE.shift) / WHOLE.scale
    assert WHOLE.to_user(draws).tolist() == [[0, 3, 16]]
    wanted = (np.array([[0.5, 3.5, 16.5]]) - 8.3) / 4.9
    assert WHOLE.to_model(WHOLE.to_user(draws), np.full((1, 3), 0.5)) == pytest.approx(wanted)


@pytest.mark.parametrize("units", [REAL, Units(np.full(3, 8.3), np.full(3, 4.9))])
def test_log_det_is_that_of_the_map(units: Units) -> None:
    J = jacobian(lambda x: ((x - units.shift) / units.scale))(np.zeros(len(units.shift)))
    columns = np.stack([units.to_model(row[None])[0] - units.to_model(0 * row[None])[0] for row in np.eye(len(units.shift))])
    assert columns == pytest.approx(J, abs=1e-12)
    assert units.steps(np.zeros((1, len(J))))[1] == pytest.approx([np.linalg.slogdet(columns)[1]], abs=1e-9)


def test_standardised_columns_have_mean_0_and_sd_1() -> None:
    x = np.random.default_rng(0).normal([1e6, -3], [1e-3, 1e3], (500, 2))
    u = Units.standardised(x).to_model(x)
    assert u.mean(axis=0) == pytest.approx(np.zeros(2), abs=1e-6)
    assert u.std(axis=0) == pytest.approx(np.ones(2))


def test_the_digits() -> None:
    data = load("digits")
    assert data.train.shape == (1500, 64)
    assert data.held_out.shape == (297, 64)
    assert set(np.unique(data.train)) == set(range(17))
    assert data.train_labels is not None
    assert set(data.train_labels) == set(range(10))
    assert data.train_labels.shape == (1500,)
    u = data.units.to_model(data.train, np.random.default_rng(0).random(data.train.shape))
    assert u.mean() == pytest.approx(0, abs=6e-4)  # four standard errors: both are 1.5e-4, by the uniforms alone
    assert u.std() == pytest.approx(1, abs=6e-4)   # without the 1/12 it would be 1.0012
    assert len(set(data.units.scale)) == 1
    assert np.array_equal(load("digits").train, data.train)
    assert not np.array_equal(load("digits", seed=1).train, data.train)


def test_digits_are_split_not_shared_and_keep_their_labels() -> None:
    from sklearn.datasets import load_digits
    data = load("digits", seed=3)
    rows = {tuple(row): label for row, label in zip(*load_digits(return_X_y=True), strict=True)}
    assert data.train_labels is not None
    assert data.held_out_labels is not None
    both = np.concatenate([data.train, data.held_out]), np.concatenate([data.train_labels, data.held_out_labels])
    assert {tuple(row) for row in both[0]} == set(rows)
    assert all(rows[tuple(row)] == label for row, label in zip(*both, strict=True))


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_the_toys(name: str) -> None:
    data = load(name, seed=5)
    d = TARGETS[name]().d
    assert (data.name, data.train.shape, data.held_out.shape) == (name, (10_000, d), (2_000, d))
    assert data.train_labels is data.held_out_labels is data.columns is None
    assert data.units.to_model(data.train).std(axis=0) == pytest.approx(np.ones(d))
    assert not set(map(tuple, data.train)) & set(map(tuple, data.held_out))


def test_npy_of_any_plain_dtype(tmp_path: Path) -> None:
    table = np.arange(40).reshape(20, 2)
    for dtype in (np.float64, np.float32, np.float16, np.int32, np.uint8):
        np.save(tmp_path / "a.npy", table.astype(dtype))
        data = load(tmp_path / "a.npy")
        assert data.train.dtype == np.float64
        assert (data.train.shape, data.held_out.shape) == ((16, 2), (4, 2))
        assert sorted(np.concatenate([data.train, data.held_out]).tolist()) == table.tolist()


def test_a_vector_is_one_column(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(10.0))
    assert load(tmp_path / "a.npy", held_out=0.5).train.shape == (5, 1)


def test_npz_with_labels_that_stay_with_their_rows(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((30, 3))
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(30.0))
    data = load(str(tmp_path / "a.npz"), seed=2)
    assert data.train_labels is not None
    assert data.train_labels.dtype == np.int64
    assert (x[data.train_labels] == data.train).all()
    assert (x[data.held_out_labels] == data.held_out).all()


def test_csv_with_header_labels_and_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\ufeff a ,label,b\n1,0,2\n\n3,1,4e0\n5,2,7\n-1,3,-2\n", encoding="utf-8")
    data = load(tmp_path / "a.csv", held_out=0.25)
    assert data.columns == ("a", "b")
    rows = {0: [1, 2], 1: [3, 4], 2: [5, 7], 3: [-1, -2]}
    assert data.train_labels is not None
    assert [rows[int(y)] for y in data.train_labels] == data.train.tolist()


def test_csv_without_header(tmp_path: Path) -> None:
    (tmp_path / "A.CSV").write_text("1,2\n3,4\n5,6\n")
    data = load(tmp_path / "A.CSV", held_out=0.3)
    assert data.columns is None
    assert sorted(np.concatenate([data.train, data.held_out]).tolist()) == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(("text", "message"), [
    ("a,b\n1,2\n3,x\n", r"line 3, column 2 \('b'\): expected a finite number, got 'x'"),
    ("1,2\n\n3,\n", "values are missing in 2 rows: '2' 1, the first in line 3;"),
    ("1,2\n3,nan\n", "values are missing in 2 rows: '2' 1, the first in line 2;"),
    ("1,2\n3,4\n5\n", "line 3: expected 2 cells as in the first line, got 1"),
    ("a,1\n3,4\n", "line 1, column 1: expected a finite number, got 'a'"),
    ("", r"must be a table .* got shape \(0, 0\)"),
    ("a,b\n", r"must be a table .* got shape \(0, 2\)"),
    ("label\n1\n2\n", r"must be a table .* got shape \(2, 0\)"),
    ("a,label\n1,0.5\n2,1\n", "label in .* must hold whole numbers .* got 0.5"),
    ("a,b,c\n1,7,0.1\n2,7,0.1\n3,7,0.1\n4,7,0.1\n", r"constant ones \(leave them out\): 'b', 'c'"),
])
def test_bad_csv_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "a.csv", held_out=0.25)


def test_csv_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="comma-separated text in UTF-8"):
        load(tmp_path / "a.csv")


class Bomb:
    """Unpickled, it would raise what no `except Exception` holds."""
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('unpickled')",)


@pytest.mark.parametrize(("write", "message"), [
    (lambda p: np.save(p, np.array([[Bomb()]]), allow_pickle=True), "without Python objects"),
    (lambda p: p.write_bytes(b"no array at all"), "must be a whole NumPy file"),
    (lambda p: p.write_bytes(b""), "must be a whole NumPy file"),
    (lambda p: np.save(p, np.array([["a", "b"]])), "must hold real numbers, got dtype <U1"),
    (lambda p: np.save(p, np.ones((3, 2)) * 1j), "must hold real numbers, got dtype complex128"),
    (lambda p: np.save(p, np.array([[1.0, 2], [3, np.nan], [np.inf, 0]])), "values are missing in 3 rows: '2' 1, .* row 2"),
    (lambda p: np.save(p, np.array([[1.0, 2], [np.inf, 0]])), r"1 NaN or infinite .* index \(1, 0\)"),
    (lambda p: np.save(p, np.zeros((0, 3))), r"must be a table .* got shape \(0, 3\)"),
    (lambda p: np.save(p, np.zeros((3, 2, 2, 2, 2))), r"must be a table .* got shape \(3, 2, 2, 2, 2\)"),
    (lambda p: np.save(p, np.float64(1)), r"must be a table .* got shape \(\)"),
    (lambda p: np.save(p, np.array([[1.0, 2], [3, 2], [4, 2], [5, 2]])), r"constant ones \(leave them out\): 1"),
    (lambda p: np.save(p, np.array([[1e300], [-1e300], [3.0]])), "standard deviations must be finite"),
    (lambda p: np.save(p, np.array([[1.0]])), "held_out must leave rows on both sides"),
])
def test_bad_npy_is_refused(tmp_path: Path, write: Callable[[Path], Any], message: str) -> None:
    write(tmp_path / "a.npy")
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "a.npy")


@pytest.mark.parametrize(("arrays", "message"), [
    ({"X": np.ones(3)}, r"must hold an array 'x', got \['X'\]"),
    ({"x": np.arange(3.0), "y": np.arange(4)}, r"y in .* must have shape \(3,\), got \(4,\)"),
    ({"x": np.arange(3.0), "y": np.array([0, 1, 0.5])}, "y in .* must hold whole numbers or words, got 0.5"),
    ({"x": np.arange(3.0), "y": np.array([0, 1, np.nan])}, "y in .* must hold a label in every row, got nan in row 3"),
])
def test_bad_npz_is_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "a.npz")


def test_a_truncated_npy_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((9, 9)))
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:200])
    with pytest.raises(ValueError, match="must be a whole NumPy file"):
        load(tmp_path / "a.npy")


def test_a_damaged_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).random((50, 3)))
    whole = bytearray(path.read_bytes())
    whole[200] ^= 255
    for damaged in (bytes(whole), bytes(whole[:-40])):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="must be a whole NumPy file"):
            load(path)


@pytest.mark.parametrize(("source", "error", "message"), [
    ("digit", ValueError, "unknown data set 'digit', did you mean 'digits'"),
    ("two_moons", ValueError, "did you mean 'two-moons'"),
    ("table.cvs", ValueError, "unknown file ending '.cvs', did you mean '.csv'"),
    ("nowhere/table.csv", FileNotFoundError, "nowhere/table.csv"),
    ("nowhere/table.npy", FileNotFoundError, "nowhere/table.npy"),
])
def test_unknown_sources(source: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load(source)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: WHOLE.to_model(np.zeros((2, 3))), "uniforms must be an array: there are whole numbers"),
    (lambda: REAL.to_model(np.zeros((2, 2)), np.zeros((2, 2))), "uniforms must be None: there are no whole numbers"),
    (lambda: WHOLE.to_model(np.zeros((2, 3)), np.zeros((2, 1))), r"uniforms must have shape \(2, 3\)"),
    (lambda: WHOLE.to_model(np.zeros((1, 3)), np.ones((1, 3))), r"uniforms must lie in \[0, 1\)"),
    (lambda: WHOLE.to_model(np.full((1, 3), 2.5), np.zeros((1, 3))), "whole numbers from 0 to 16, got 2.5"),
    (lambda: WHOLE.to_model(np.full((1, 3), 17), np.zeros((1, 3))), "whole numbers from 0 to 16, got 17"),
    (lambda: REAL.to_model(np.zeros((2, 1))), r"x must have shape \(n, 2\), got \(2, 1\)"),
    (lambda: REAL.to_model(np.full((1, 2), np.nan)), "x must be finite"),
    (lambda: REAL.to_user(np.full((1, 2), np.inf)), "u must be finite"),
    (lambda: Units(np.zeros(2), np.array([1.0, 0.0])), "scale must be positive"),
    (lambda: Units(np.zeros(2), np.ones(3)), r"scale must have shape \(2,\)"),
    (lambda: Units.standardised(np.zeros((0, 2))), "must be a table"),
    (lambda: Units.standardised(np.array([[0.1], [0.1], [0.1]])), "constant ones"),  # its computed sd is not 0
    (lambda: one_hot(np.array([0, 3]), 3), "labels must hold whole numbers from 0 to 2, got 3"),
    (lambda: one_hot(np.array([-1]), 3), "got -1"),
    (lambda: one_hot(np.array([[1]]), 3), r"labels must have shape \(n,\)"),
    (lambda: patch_order(Shape((8, 8)), 3), "patch must divide h and w = 8 x 8, got 3"),
    (lambda: patch_order(Shape((8, 8)), 0), "patch must be an integer >= 1"),
])
def test_bad_input_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_one_hot_from_item_0_to_the_last_class() -> None:
    assert one_hot(np.array([2, 0, 1]), 3).tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_patch_order_of_a_small_image() -> None:
    assert patch_order(Shape((4, 4)), 2) == (0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15)
    assert patch_order(Shape((3, 3)), 1) == patch_order(Shape((3, 3)), 3) == tuple(range(9))


@given(patch=st.integers(1, 4), squares=st.integers(1, 4))
def test_patches_are_squares_and_every_pixel_comes_once(patch: int, squares: int) -> None:
    side = patch * squares
    order = patch_order(Shape((side, side)), patch)
    assert sorted(order) == list(range(side * side))
    rows, columns = np.divmod(np.array(order).reshape(-1, patch * patch), side)
    assert (np.ptp(rows, axis=1) == patch - 1).all()
    assert (np.ptp(columns, axis=1) == patch - 1).all()
