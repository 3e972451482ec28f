"""Tables as people have them: each is read as it is meant, or refused in one line that names the place and what to do."""
import gzip
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenflow.reference.work.columns import read
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.folders import describe_run
from evenflow.reference.work.options import Config
from evenflow.reference.work.tables import PLAIN

THIRD: dict[str, Any] = {"held_out": 0.3}


def rows_of(dataset: Dataset) -> list[list[float]]:
    return sorted(np.concatenate([dataset.train, dataset.held_out]).tolist())


@pytest.mark.parametrize(("name", "text", "how", "columns", "rows"), [
    ("a.csv", "0,1\n.5,2.5\n3.5,4.5\n5.5,6.5\n7.5,8.5\n", {}, ("0", "1"), [[0.5, 2.5], [3.5, 4.5], [5.5, 6.5], [7.5, 8.5]]),
    ("a.csv", "2019,2020\n.5,7\n3.5,4\n5.5,6\n7.5,9\n", {}, ("2019", "2020"), [[0.5, 7], [3.5, 4], [5.5, 6], [7.5, 9]]),
    ("a.csv", "400,410,425\n.5,1.5,2e0\n3.5,4.,2.\n5.5,6.5,7.5\n", {}, ("400", "410", "425"),
     [[0.5, 1.5, 2], [3.5, 4, 2], [5.5, 6.5, 7.5]]),  # wavelengths
    ("a.csv", "0\n.5\n3.5\n5.5\n", {}, ("0",), [[0.5], [3.5], [5.5]]),  # a Series
    ("a.csv", "0,1\n1,2\n3,4\n5,7\n", {"header": "yes"}, ("0", "1"), [[1, 2], [3, 4], [5, 7]]),
    ("a.csv", "0,1\n1,2\n3,4\n5,7\n", {"header": "no"}, None, [[0, 1], [1, 2], [3, 4], [5, 7]]),
    ("a.csv", "1,2\n3,4\n5,6\n", {}, None, [[1, 2], [3, 4], [5, 6]]),
    ("a.csv", "1879,1955\n1901,1976\n1918,1988\n", {}, None, [[1879, 1955], [1901, 1976], [1918, 1988]]),  # born, died
    ("a.csv", ",a,b\n0,1,2\n1,3,4\n2,5,7\n", {}, ("a", "b"), [[1, 2], [3, 4], [5, 7]]),
    ("a.csv", ",0,1\n0,1,2\n1,3,4\n2,5,7\n", {}, ("0", "1"), [[1, 2], [3, 4], [5, 7]]),
    ("a.csv", "Unnamed: 0,a,b\nx,1,2\ny,3,4\nz,5,7\n", {}, ("a", "b"), [[1, 2], [3, 4], [5, 7]]),
    ("a.csv", "a,b,\n1,2,\n3,4,\n5,7,\n", {}, ("a", "b"), [[1, 2], [3, 4], [5, 7]]),
    ("a.csv", "1,2,\n3,4,\n5,7,\n", {}, None, [[1, 2], [3, 4], [5, 7]]),
    ("a.csv", "2023_01,2023_02\n1,2\n3,4\n5,7\n", {}, ("2023_01", "2023_02"), [[1, 2], [3, 4], [5, 7]]),
    ("a.csv", "# a,b\n1,2\n3,4\n5,7\n", {}, ("a", "b"), [[1, 2], [3, 4], [5, 7]]),  # numpy.savetxt
    ("a.csv", "id,a,b\nx,1,2\ny,3,4\nz,5,7\n", {"drop": "id"}, ("a", "b"), [[1, 2], [3, 4], [5, 7]]),
    ("a.csv", "id,a,b\nx,1,2\ny,3,4\nz,5,7\n", {"columns": ("b", "a")}, ("b", "a"), [[2, 1], [4, 3], [7, 5]]),
    ("a.csv", "7,1,2\n7,3,4\n7,5,7\n", {"columns": "2,3"}, None, [[1, 2], [3, 4], [5, 7]]),
    ("a.csv", "7,1,2\n7,3,4\n7,5,7\n", {"drop": ["1"]}, None, [[1, 2], [3, 4], [5, 7]]),
    ("a.csv", "age,2020\n1,2\n3,4\n5,7\n", {"columns": "age,2020"}, ("age", "2020"), [[1, 2], [3, 4], [5, 7]]),
    ("a.csv", "a;b\n1;2\n3;4\n5;7\n", {"sep": ";"}, ("a", "b"), [[1, 2], [3, 4], [5, 7]]),
    ("a.csv", "a;b\n1;2\n3;4\n5;7\n", {"sep": "semicolon"}, ("a", "b"), [[1, 2], [3, 4], [5, 7]]),
    ("a.csv", "a,flag\n1,True\n3,False\n5,True\n7,False\n", {}, ("a", "flag"), [[1, 1], [3, 0], [5, 1], [7, 0]]),
    ("a.csv", '"x, y",b\n1,2\n3,4\n5,7\n', {"columns": '"x, y",b'}, ("x, y", "b"), [[1, 2], [3, 4], [5, 7]]),
    ("a.tsv", "a\tb\n1\t2\n3\t4\n5\t7\n", {}, ("a", "b"), [[1, 2], [3, 4], [5, 7]]),
    ("a.txt", "1  2\n3 4\n5   7\n", {"sep": " "}, None, [[1, 2], [3, 4], [5, 7]]),
    ("a.csv", '"last, first",b\n"1","2"\n3,4\n5,7\n', {}, ("last, first", "b"), [[1, 2], [3, 4], [5, 7]]),
])
def test_what_is_meant_is_read(
    name: str, text: str, how: dict[str, Any], columns: tuple[str, ...] | None, rows: list[list[float]], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    data = load(tmp_path / name, **THIRD, **how)
    assert data.columns == columns
    assert rows_of(data) == sorted(rows)
    plural = "s" if len(rows[0]) > 1 else ""
    assert f"{len(rows)} rows, {len(rows[0])} column{plural}, header {'yes' if columns else 'no'}" in data.notes[0]


@pytest.mark.parametrize(("name", "text", "how", "said"), [
    ("a.csv", "nan,inf\n1,2\n3,4\n", {}, "values are missing in 3 rows: '1' 1, the first in line 1;"),
    ("a.csv", "NA,?\n1,2\n3,4\n", {}, "'1' 1, the first in line 1; '2' 1, the first in line 1;"),
    ("a.csv", "a,b\n2023_01,2\n3,4\n", {}, "line 2, column 1 ('a'): expected a finite number, got '2023_01'"),
    ("a.csv", "1_000,2\n3,4\n5,6\n", {}, "line 1, column 1: expected a finite number, got '1_000'"),
    ("a.csv", "0,1,2\n5,6,9\n3,4,1\n", {}, "the first line, 0,1,2, may name the columns or be a row: say --header yes"),
    ("a.csv", "2019,2020\n55,66\n33,44\n", {}, "the first line, 2019,2020, may name the columns or be a row"),
    ("a.csv", "age,2020\n1,2\n3,4\n", {}, "got 'age'; if the first line names the columns: --header yes"),
    ("a.csv", "a,b\n1,x\n3,4\n", {}, "got 'x'; --drop b leaves the column out, and --label-column b makes it the labels"),
    ("a.csv", "a,b\n1,\n3,4\n", {}, "values are missing in 2 rows: 'b' 1, the first in line 2; fill them in"),
    ("a.csv", "a;b\n1;2\n3;4\n", {}, "are they separated by a semicolon? --sep semicolon"),
    ("a.csv", "a;b\n1,5;2\n3,5;4,1\n", {}, "--sep semicolon"),
    ("a.csv", "a;b\n1,5;2\n3;4\n", {"sep": ";"}, "got '1,5'; numbers are written like 1234.5"),
    ("a.csv", 'a,b\n"1,000",2\n3,4\n', {}, "got '1,000'; numbers are written like 1234.5"),
    ("a.csv", "a b\n1 2\n3 4\n", {}, "are they separated by a space? --sep space"),
    ("a.csv", "5.1,3.5,setosa\n4.9,3.0,virginica\n1,2,3\n", {}, "got 'setosa'; --drop 3 leaves the column out, and --label-"),
    ("a.csv", "a,b\nTrue,2\n3,4\n", {}, "line 2, column 1 ('a'): expected a finite number, got 'True'"),
    ("a.csv", "a,b c\n1,x\n3,4\n", {}, "--drop 'b c' leaves the column out"),
    ("a.csv", "a,b\n1,2\n3,4\n", {"columns": "a,a"}, "columns and drop must name each column once, got a, a"),
    ("a.csv", ",a\n.5,1\n.7,2\n", {}, "column 1 has no name and is no index"),
    ("a.csv", "a,,c\n1,2,3\n4,5,7\n", {}, "column 2 has no name and is no index"),
    ("a.csv", "a,b,a\n1,2,3\n4,5,7\n", {}, "names of columns must differ, got 'a' 2 times"),
    ("a.csv", "a,b\n1,2\n3,4\n", {"columns": "a,z"}, "has no column 'z': it has 'a', 'b'"),
    ("a.csv", "a,b\n1,2\n3,4\n", {"drop": "z"}, "has no column 'z'"),
    ("a.csv", "a,b\n1,2\n3,4\n", {"label_column": "z"}, "has no column 'z'"),
    ("a.csv", "a,b\n1,2\n3,4\n", {"columns": "a,b", "label_column": "b"}, "label_column must be none of the columns taken"),
    ("a.csv", "a,b\n1,2\n3,4\n", {"header": "maybe"}, "unknown header 'maybe'"),
    ("a.csv", "a,b\n1,2\n3,4\n", {"sep": ";;"}, "sep must be one character"),
    ("a.csv", "a,label\n1,x\n2,\n3,y\n", {}, "must hold a label in every row, got '' in line 3"),
    ("a.csv", "a,label\n1,0.5\n2,1\n3,1\n", {}, "label in"),
    ("a.csv.gz", "no gzip", {}, "must be comma-separated text in UTF-8, packed by gzip"),
    ("a.txt", "1,2\n", {}, "unknown file ending '.txt'"),
    ("digits", "", {"sep": ";"}, "sep say how to read a file, and digits is none"),
])
def test_what_may_be_meant_otherwise_is_refused(name: str, text: str, how: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        load(tmp_path / name if "." in name else name, **THIRD, **how)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("ending", "sep"), [(".csv.gz", ","), (".tsv.gz", "\t")])
def test_packed_tables(ending: str, sep: str, tmp_path: Path) -> None:
    with gzip.open(tmp_path / f"a{ending}", "wt") as file:
        file.write("a,b\n1,2\n3,4\n5,7\n".replace(",", sep))
    assert rows_of(load(tmp_path / f"a{ending}", **THIRD)) == [[1, 2], [3, 4], [5, 7]]
    whole = (tmp_path / f"a{ending}").read_bytes()
    (tmp_path / f"a{ending}").write_bytes(whole[:-9])
    with pytest.raises(ValueError, match="packed by gzip"):
        load(tmp_path / f"a{ending}")


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet
    table = {"a": [1, 3, 5], "b": [2.0, 4.0, 7.0], "kind": ["x", "y", "x"], "__index_level_0__": [0, 1, 2]}
    parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    data = load(tmp_path / "a.parquet", label_column="kind", **THIRD)
    assert (data.columns, data.classes, rows_of(data)) == (("a", "b"), ("x", "y"), [[1, 2], [3, 4], [5, 7]])
    assert read(tmp_path / "a.parquet", PLAIN).words == {"kind": ("x", "y")}
    parquet.write_table(pyarrow.table({"a": [1, None, 5]}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match="values are missing in 3 rows: 'a' 1, the first in row 2"):
        load(tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_bytes(b"no parquet")
    with pytest.raises(ValueError, match="must be a whole Parquet file"):
        load(tmp_path / "c.parquet")


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match="pyarrow"):
        load(tmp_path / "a.parquet")


@pytest.mark.parametrize(("labels", "classes"), [
    (["20240101", "20240102"], (20240101, 20240102)), (["10000000000000000000", "0"], (0, 10**19)), (["-1", "1"], (-1, 1)),
    (["1.0", "2e0"], (1, 2)), (["b", "a"], ("a", "b")), (["1", "x"], ("1", "x")),
    (["12345678901234567890", "12345678901234567891"], (12345678901234567890, 12345678901234567891)),
    (["2023_01", "2023_02"], ("2023_01", "2023_02")),
])
def test_labels_are_numbered_by_class(labels: list[str], classes: tuple[Any, ...], tmp_path: Path) -> None:
    rows = [f"{i},{labels[i % 2]}" for i in range(60)]
    (tmp_path / "a.csv").write_text("\n".join(["a,kind", *rows]))
    data = load(tmp_path / "a.csv", label_column="kind")
    assert data.classes == classes
    assert data.train_labels is not None
    order = [0, 1] if str(classes[0]) in (labels[0], "1") else [1, 0]  # of the two labels as they are written
    assert [order[int(x) % 2] for x in data.train[:, 0]] == data.train_labels.tolist()
    described = describe_run(Config("maf", class_conditional=True), data)
    assert described["given"]["shares"] == pytest.approx([0.5, 0.5], abs=0.15)


def test_labels_of_arrays(tmp_path: Path) -> None:
    for y in (np.array(["b", "a"] * 20), np.array([1e19, 3.0] * 20), np.array([True, False] * 20), np.array([5, 7] * 20)):
        np.savez(tmp_path / "a.npz", x=np.arange(40.0), y=y)
        data = load(tmp_path / "a.npz")
        assert len(data.classes) == 2
        assert data.train_labels is not None
        assert set(data.train_labels) == {0, 1}


def test_too_many_classes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n".join(["a,label", *(f"{i % 7},{i}" for i in range(300))]))
    data = load(tmp_path / "a.csv")
    with pytest.raises(ValueError, match="got 300 in 240 rows: is that column the label"):
        describe_run(Config("maf", class_conditional=True), data)


def test_every_class_and_every_flag_is_in_the_training_part(tmp_path: Path) -> None:
    """One row of 50 has the class and the flag: by chance alone it would be held out in a fifth of the seeds."""
    rows = [f"{i * 0.1:.1f},{int(i == 7)},{'rare' if i == 7 else 'often'}" for i in range(50)]
    (tmp_path / "a.csv").write_text("\n".join(["a,flag,label", *rows]))
    for seed in range(40):
        data = load(tmp_path / "a.csv", seed=seed)
        assert data.train_labels is not None
        assert set(data.train_labels) == {0, 1}
        assert data.train[:, 1].max() == 1
        assert len(rows_of(data)) == 50


def test_a_split_without_rare_things_is_the_plain_shuffle(tmp_path: Path) -> None:
    x = np.random.default_rng(3).standard_normal((30, 2))
    np.save(tmp_path / "a.npy", x)
    data = load(tmp_path / "a.npy", seed=5)
    assert np.array_equal(np.concatenate([data.train, data.held_out]), x[np.random.default_rng(5).permutation(30)])


def test_an_outlier_is_named_and_ordinary_columns_are_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = np.stack([rng.standard_normal(4000), rng.exponential(size=4000), rng.integers(2, size=4000) * 1.0,
                  rng.random(4000) < 0.01, rng.lognormal(size=4000)], axis=1)
    np.save(tmp_path / "a.npy", x)
    assert load(tmp_path / "a.npy").notes[1:] == ("whole numbers, dequantised, and whole in samples: 3, 4",)
    x[17, 0] = 1e6
    np.save(tmp_path / "a.npy", x)
    said = load(tmp_path / "a.npy").notes
    assert len(said) == 3
    assert "column '1': 1 of 4000 rows lie far from all others" in said[2]
    assert "they are brought in, by asinh" in said[2]
    assert "row 18: 1e+06" in said[2]
    x[:, 0], x[5, 3] = 0.0, 1e6
    x[:5, 0] = 1.0
    np.save(tmp_path / "a.npy", x)
    assert "column '4': 1 of 4000 rows" in load(tmp_path / "a.npy").notes[2]


def test_a_column_that_counts_the_rows_gets_a_word(tmp_path: Path) -> None:
    """pandas' index in a file without a header, or an id."""
    (tmp_path / "a.csv").write_text("\n".join(f"{i},{(7 * i) % 50}.5" for i in range(50)))
    assert load(tmp_path / "a.csv").notes[2:] == ("column '1' counts the rows: where that is no measurement, --drop 1",)


def test_few_rows_get_a_word(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).standard_normal((570, 30)))
    assert load(tmp_path / "a.npy").notes[1].startswith("456 rows to train on in 30 dimensions is little")


def test_the_digest_is_that_of_the_numbers_labels_and_split(tmp_path: Path) -> None:
    text = "a,label\n" + "\n".join(f"{i},{i % 2}" for i in range(20))
    (tmp_path / "a.csv").write_text(text)
    digest = load(tmp_path / "a.csv").digest
    (tmp_path / "b.csv").write_text(text)
    assert load(tmp_path / "b.csv").digest == digest
    for changed in (text.replace("19,1", "19.5,1"), text.replace("19,1", "19,0")):
        (tmp_path / "b.csv").write_text(changed)
        assert load(tmp_path / "b.csv").digest != digest
    assert load(tmp_path / "a.csv", seed=1).digest != digest
