"""Units of columns as they are: whole numbers, bounds, values far out; what is given; weights."""
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autograd import jacobian
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from evenflow.reference.core import Array
from evenflow.reference.work import far
from evenflow.reference.work.columns import Table, read
from evenflow.reference.work.data import Dataset, bounds_of_columns, load
from evenflow.reference.work.given import Given
from evenflow.reference.work.rows import by_weight, judges, rows_of
from evenflow.reference.work.tables import PLAIN, Reading, bounds_of
from evenflow.reference.work.units import Units

COLUMNS = ("real", "count", "share", "age", "income")
WHOLE = np.array([False, True, False, True, False])
BOUNDS = np.array([[-np.inf, -np.inf, 0, 0, -np.inf], [np.inf, np.inf, 1, np.inf, np.inf]])


def table(n: int = 400, seed: int = 0) -> Array:
    """A real column, counts, a share, ages from 0 on, and incomes with one far from all others."""
    rng = np.random.default_rng(seed)
    income = rng.standard_normal(n)
    income[3] = 1e6
    x = [rng.normal(50, 7, n), rng.poisson(3.0, n), rng.beta(2, 5, n), rng.integers(0, 90, n), income]
    return np.stack(x, axis=1).astype(float)


def mixed() -> Units:
    return Units.whitened(table(), COLUMNS, WHOLE, BOUNDS)


def test_columns_come_back_as_they_were() -> None:
    x = table()
    units, uniforms = mixed(), np.random.default_rng(1).random(x.shape)
    assert units.counted.tolist() == WHOLE.tolist()
    u = units.to_model(x, uniforms)
    again = units.to_user(u)
    np.testing.assert_allclose(again[:, ~WHOLE], x[:, ~WHOLE], rtol=1e-9)
    assert np.array_equal(again[:, WHOLE], x[:, WHOLE])


def test_the_log_det_is_that_of_the_map_at_every_row() -> None:
    """Against autograd's Jacobian of the formula, in the letters of the module."""
    import autograd.numpy as anp
    x, units = table(), mixed()
    assert units.far is not None
    assert units.L is not None
    uniforms = np.random.default_rng(1).random(x.shape)
    c, w = units.far[:, 4]

    def u(y: Array) -> Array:
        line = [y[0], y[1], anp.log(y[2]) - anp.log(1 - y[2]), anp.log(y[3]), anp.arcsinh((y[4] - c) / w)]
        return anp.linalg.solve(units.L, (anp.array(line) - units.shift) / units.scale)

    for i in (0, 3, 17):
        y = x[i] + np.where(WHOLE, uniforms[i], 0)
        np.testing.assert_allclose(units.to_model(x[i : i + 1], uniforms[i : i + 1])[0], u(y), rtol=1e-9)
        expected = np.linalg.slogdet(jacobian(u)(y))[1]
        assert units.steps(x[i : i + 1], uniforms[i : i + 1])[1] == pytest.approx([expected], rel=1e-9)


def test_one_far_value_no_longer_sets_the_unit() -> None:
    x = table()
    u = Units.standardised(x).to_model(x)[:, 4]
    assert np.abs(np.delete(u, 3)).max() < 0.1  # one point
    units = Units.whitened(x)
    assert units.far is not None
    assert np.isfinite(units.far[0]).tolist() == [False, False, False, False, True]
    t = Units.whitened(x[:, 4:]).to_model(x[:, 4:])[:, 0]
    assert 0.5 < np.delete(t, 3).std() < 2
    assert abs(t[3]) < 25


@settings(max_examples=60, deadline=None)
@drawn(st.floats(-1e9, 1e9), st.floats(-1e3, 1e3), st.floats(1e-3, 1e6))
def test_asinh_and_back(y: float, c: float, w: float) -> None:
    t, log_slope = far.asinh(np.array([[y, y]]), np.array([c, np.nan]), np.array([w, np.nan]))
    back = far.from_asinh(t, np.array([c, np.nan]), np.array([w, np.nan]))
    np.testing.assert_allclose(back, [[y, y]], rtol=1e-9, atol=1e-9 * (abs(c) + w))
    np.testing.assert_allclose(log_slope, -0.5 * np.log(w**2 + (y - c) ** 2), rtol=1e-9, atol=1e-9)


def test_units_of_all_kinds_are_json_and_back() -> None:
    x, uniforms = table(), np.full((400, 5), 0.25)
    for units in (mixed(), Units.standardised(x), Units.whitened(x)):
        again = Units.from_json(json.loads(json.dumps(units.as_json(), allow_nan=False)))
        at = uniforms if units.counted is not None else None
        assert np.array_equal(units.to_model(x, at), again.to_model(x, at))
        assert np.array_equal(units.steps(x, at)[1], again.steps(x, at)[1])
        assert np.array_equal(units.to_user(units.to_model(x, at)), again.to_user(again.to_model(x, at)))


@pytest.mark.parametrize(("column", "value", "said"), [
    (2, 0.0, "column 'share' must lie strictly between its bounds 0 and 1, got 0"),
    (2, 1.5, "column 'share' must lie strictly between its bounds 0 and 1, got 1.5"),
    (3, -1.0, "column 'age' must lie between its bounds 0 and inf, got -1"),
])
def test_what_lies_outside_its_bounds_is_named(column: int, value: float, said: str) -> None:
    x = table()
    x[5, column] = value
    with pytest.raises(ValueError, match=said):
        Units.whitened(x, COLUMNS, WHOLE, BOUNDS)


def test_a_whole_number_may_stand_on_its_bound() -> None:
    units = mixed()
    x = table(4)
    x[:, 3] = 0
    for uniforms in (np.zeros(x.shape), np.full(x.shape, 1 - 1e-16)):
        u = units.to_model(x, uniforms)
        assert np.isfinite(u).all()
        assert (units.to_user(u)[:, 3] == 0).all()


@pytest.mark.parametrize(("given", "made"), [
    ("age:0:", (("age", 0.0, np.inf),)), ("share:0:1,x::2.5", (("share", 0.0, 1.0), ("x", -np.inf, 2.5))),
    ({"age": (0, None)}, (("age", 0.0, np.inf),)), ([["a:b", None, 1]], (("a:b", -np.inf, 1.0),)), (None, None),
    ("a:b:0:1", (("a:b", 0.0, 1.0),)),
])
def test_bounds_may_be_said_in_several_ways(given: Any, made: Any) -> None:
    assert bounds_of(given) == made
    assert Reading(bounds=given).bounds == made
    assert Reading(**json.loads(json.dumps(Reading(bounds=given).as_json(), allow_nan=False))).bounds == made


@pytest.mark.parametrize(("given", "said"), [
    ("age", "bounds must say column:low:high for each"), ("age:0", "bounds must say column:low:high"),
    ("age:a:1", "bounds must say column:low:high"), ("age:1:0", "bounds must have low below high, got 1 and 0 for 'age'"),
    ({"age": 3}, "bounds must say column:low:high"),
])
def test_bounds_that_are_none(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        bounds_of(given)


def test_bounds_go_by_the_names_of_columns() -> None:
    pair = bounds_of_columns(2, ("a", "b"), bounds_of("b:0:"))
    assert pair is not None
    assert pair.tolist() == [[-np.inf, 0], [np.inf, np.inf]]
    assert bounds_of_columns(2, None, bounds_of("2:0:"))[1].tolist() == [np.inf, np.inf]  # type: ignore[index]
    with pytest.raises(ValueError, match="bounds must be of columns that are modelled: unknown column 'c'"):
        bounds_of_columns(2, ("a", "b"), bounds_of("c:0:"))


# -- files: words, targets, what is given, weights --------------------------------------------------------------------

TEXT = "x,age,colour,y,w\n" + "".join(
    f"{i * 0.1:.1f},{i % 7},{('red', 'blue', 'green')[i % 3]},{i * 0.01:.2f},{i % 4}\n" for i in range(60))


def file(tmp_path: Path, text: str = TEXT) -> Path:
    (tmp_path / "t.csv").write_text(text)
    return tmp_path / "t.csv"


def test_words_are_classes(tmp_path: Path) -> None:
    data = load(file(tmp_path))
    assert data.words == {"colour": ("blue", "green", "red")}
    row = next(row for row in [*data.train, *data.held_out] if row[0] == 0.1)
    assert row.tolist() == [0.1, 1, 0, 0.01, 1]
    assert data.units.counted.tolist() == [False, True, True, False, True]
    assert data.notes[1:3] == (
        "column 'colour': words, 3 classes (blue, green, red)", "whole numbers, dequantised, and whole in samples: age, w")


def test_target_and_given(tmp_path: Path) -> None:
    data = load(file(tmp_path), target="y", drop="w")
    assert (data.columns, data.given and data.given.columns) == (("y",), ("x", "age", "colour"))
    assert data.train.shape == (48, 1)
    assert data.train_given is not None
    assert data.train_given.shape == (48, 3)
    assert data.given is not None
    c = data.given.context(data.train_given)
    assert c.shape == (48, 5)
    np.testing.assert_allclose(c[:, :2].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(c[:, :2].std(axis=0), 1)
    assert np.array_equal(c[:, 2:].argmax(axis=1), data.train_given[:, 2])
    assert (c[:, 2:].sum(axis=1) == 1).all()
    some = load(file(tmp_path), target=["y", "x"], given="age")
    assert (some.columns, some.given and some.given.columns) == (("y", "x"), ("age",))
    others = load(file(tmp_path), given=("colour", "w"))
    assert (others.columns, others.given and others.given.columns) == (("x", "age", "y"), ("colour", "w"))
    again = Given.from_json(json.loads(json.dumps(data.given.as_json(), allow_nan=False)))
    assert np.array_equal(again.context(data.train_given), c)


def test_a_constant_column_may_be_given() -> None:
    given = Given.fitted(np.array([[1.0, 5], [2, 5], [4, 5]]), ("a", "b"), {})
    assert given.context(np.array([[1.0, 5]]))[0, 1] == 0


@pytest.mark.parametrize(("how", "said"), [
    ({"target": "z"}, "target must be among the columns that are taken, x, age, colour, y, w, got z"),
    ({"target": "y", "columns": "y"}, "target must leave columns that are given, got all of y"),
    ({"target": "y", "given": "y,x"}, "target and given must name each column once, got y, y, x"),
    ({"weights": "z"}, "has no column 'z'"),
    ({"weights": "y", "drop": "x"}, None),
    ({"bounds": "colour:0:1", "target": "y"}, "bounds must be of columns that are modelled: unknown column 'colour'"),
    ({"levels": 4}, "x must hold whole numbers from 0 to 3"),
])
def test_roles_that_do_not_fit(how: dict[str, Any], said: str | None, tmp_path: Path) -> None:
    if said is None:
        load(file(tmp_path), **how)
        return
    with pytest.raises(ValueError, match=said):
        load(file(tmp_path), **how)


def test_missing_values_are_counted_column_by_column(tmp_path: Path) -> None:
    text = "a,b,kind\n1,,x\nNA,2,y\n3,nan,\n4,5,x\n"
    said = "values are missing in 4 rows: 'a' 1, the first in line 3; 'b' 2, the first in line 2; 'kind' 1, the first in line 4"
    with pytest.raises(ValueError, match=said):
        load(file(tmp_path, text))
    np.save(tmp_path / "a.npy", np.array([[1.0, np.nan], [2, np.nan]]))
    with pytest.raises(ValueError, match="values are missing in 2 rows: '2' 2, the first in row 1"):
        load(tmp_path / "a.npy")


def test_rows_of_weight_0_are_not_there_and_others_count_by_weight(tmp_path: Path) -> None:
    data = load(file(tmp_path), weights="w", drop="colour")
    assert len(data.train) + len(data.held_out) == 45
    assert "15 rows of weight 0 are left out" in data.notes
    assert data.train_weights is not None
    i = np.array([*data.train[:, 0], *data.held_out[:, 0]]) * 10
    assert data.held_out_weights is not None
    assert np.array_equal([*data.train_weights, *data.held_out_weights], np.round(i) % 4)
    with pytest.raises(ValueError, match="weights must be at least 0, and not all 0, got -1 to 3"):
        load(file(tmp_path, TEXT.replace("0.59,3", "0.59,-1")), weights="w", drop="colour")


def test_batches_hold_rows_by_their_weights() -> None:
    """100,000 draws: each share within 5 standard deviations of its weight's."""
    x, w = np.arange(4.0)[:, None], np.array([1.0, 2, 3, 10])
    rows = rows_of(x, Units(np.zeros(1), np.ones(1)), "float64", weights=w)
    rng = np.random.default_rng(0)
    shares = np.bincount(np.concatenate([rows.some(4, rng) for _ in range(25_000)])) / 100_000
    p = w / w.sum()
    assert (np.abs(shares - p) < 5 * np.sqrt(p * (1 - p) / 100_000)).all()
    assert np.bincount(by_weight(w, 160)).tolist() == [10, 20, 30, 100]
    assert judges(None) == slice(500)


def test_a_file_of_a_models_columns_is_read_as_its_own(tmp_path: Path) -> None:
    from evenflow.reference.work.columns import Like
    like = Like(("y",), ("x", "colour"), {"colour": ("blue", "green", "red")})
    other = tmp_path / "o.csv"
    other.write_text("colour,x,y\nred,1,2\nblue,3,4\n")
    table: Table = read(other, PLAIN, like)
    assert (table.x.tolist(), table.given is not None and table.given.tolist()) == ([[2], [4]], [[1, 2], [3, 0]])
    alone = read(other, PLAIN, like._replace(columns=()))
    assert alone.x.shape == (2, 0)
    other.write_text("colour,x,y\nviolet,1,2\n")
    with pytest.raises(ValueError, match=r"column 1 \('colour'\): unknown class 'violet'"):
        read(other, PLAIN, like)


def test_the_digest_is_of_what_is_given_and_of_weights_too(tmp_path: Path) -> None:
    first = load(file(tmp_path), target="y", given="x,w")
    assert first.digest != load(file(tmp_path, TEXT.replace("5.9,", "5.8,")), target="y", given="x,w").digest
    assert first.digest != load(file(tmp_path), target="y", given="x,age").digest
    assert isinstance(first, Dataset)


def test_a_column_is_whole_and_bounded_in_all_rows_or_not_at_all(tmp_path: Path) -> None:
    """One row of 60 has a half, or lies outside: whichever part it comes to."""
    for seed in range(8):
        text = TEXT.replace("\n3.0,2,", "\n3.0,2.5,")
        assert not load(file(tmp_path, text), seed=seed, drop="colour").units.counted[1]
        with pytest.raises(ValueError, match=r"column .age. must lie strictly between its bounds 2\.6 and inf, got 0"):
            load(file(tmp_path, text), seed=seed, bounds="age:2.6:", drop="colour")
