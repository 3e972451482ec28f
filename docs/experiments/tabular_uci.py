"""The five sets of Papamakarios et al. 2017, section 4.1, from a folder of the user's: POWER, GAS, HEPMASS, MINIBOONE, BSDS300.

The rules are those of their published code (github.com/gpapamak/maf, datasets/), so that log densities are in their units, and
the rows and the parts the same:

    power      columns 1 and 3 (reactive power, current) left out; rows shuffled, and noise as wide as the rounding added (0.001
               on power, 0.01 on voltage, 1 on each of three meters, none on time), both by RandomState(42)
    gas        Meth, Eth and Time left out, then again and again the first column that correlates by more than 0.98 with
               another; standardised by all rows
    hepmass    signal alone (label 1); columns left out whose smallest value occurs more than five times; standardised by the
               rows of the training file, the last tenth of which is the validation part
    miniboone  as it comes: outliers and columns that repeat values are out of the archive's file already
    bsds300    as it comes, in three parts

POWER, GAS and MINIBOONE end with a tenth of all rows to measure on, before it a tenth of the others to validate; POWER and
MINIBOONE are standardised by what is before the test part.
"""
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from evenflow.experiments.tabular_data import Parts
from evenflow.reference.core import Array

FILES = {
    "power": ("power/data.npy",), "gas": ("gas/ethylene_CO.pickle",),
    "hepmass": ("hepmass/1000_train.csv", "hepmass/1000_test.csv"), "miniboone": ("miniboone/data.npy",),
    "bsds300": ("BSDS300/BSDS300.hdf5",),
}
UCI = tuple(FILES)
WIDTHS = {"power": 6, "gas": 8, "hepmass": 21, "miniboone": 43, "bsds300": 63}  # columns, after the rules
WHERE = "the five sets are in data.tar.gz of Zenodo record 1161203 (doi 10.5281/zenodo.1161203); unpack it and give its folder"


def check_folder(folder: Path) -> None:
    """Raises FileNotFoundError that says what is missing, and ModuleNotFoundError for a package that a file needs."""
    for files in FILES.values():
        for file in files:
            if not (folder / file).is_file():
                raise FileNotFoundError(f"data folder {folder} has no {file}; {WHERE}")
    import h5py  # noqa: F401
    import pandas  # noqa: F401


def uci(name: str, folder: Path) -> Parts:
    """One of the five. Raises ValueError where it has not the columns that it should have."""
    parts = READERS[name](*(folder / file for file in FILES[name]))
    widths = {part.shape[1] for part in parts}
    if widths != {WIDTHS[name]}:
        found = " and ".join(map(str, sorted(widths)))
        raise ValueError(f"{name} must have {WIDTHS[name]} columns after its rules, got {found} from {folder / FILES[name][0]}")
    return Parts(name, *parts)


def power(path: Path) -> list[Array]:
    rng, x = np.random.RandomState(42), np.load(path)  # theirs: so are the rows and the noise
    rng.shuffle(x)
    x, n = np.delete(x, [1, 3], axis=1), len(x)
    voltage, power, meters = rng.rand(n, 1), rng.rand(n, 1), rng.rand(n, 3)  # in the order in which theirs are drawn
    return standardised(in_parts(x + np.column_stack([0.001 * power, 0.01 * voltage, meters, np.zeros(n)])))


def gas(path: Path) -> list[Array]:
    import pandas
    try:
        table = pandas.read_pickle(path).drop(columns=["Meth", "Eth", "Time"])
    except Exception as error:  # a pickle can fail in any way
        raise ValueError(f"{path} cannot be read by pandas {pandas.__version__}: {type(error).__name__}: {error}") from error
    x = uncorrelated(np.asarray(table, dtype=np.float64))
    return in_parts((x - x.mean(axis=0)) / x.std(axis=0, ddof=1))


def uncorrelated(x: Array, most: float = 0.98) -> Array:
    """x (n, d) without the first column that correlates by more than `most` with another, until there is none."""
    while (again := (np.corrcoef(x.T) > most).sum(axis=1) > 1).any():
        x = np.delete(x, again.argmax(), axis=1)
    return x


def hepmass(train: Path, test: Path) -> list[Array]:
    x = signal(train)
    y = signal(test, columns=x.shape[1] + 1)  # its header and rows have one more, at the end
    kept = [j for j, column in enumerate(x.T) if (column == column.min()).sum() <= 5]
    x, y = ((part - x.mean(axis=0)) / x.std(axis=0, ddof=1) for part in (x, y))
    x, y, k = x[:, kept], y[:, kept], int(0.1 * len(x))
    return [x[:-k], x[-k:], y]


def signal(path: Path, columns: int | None = None) -> Array:
    """The rows of label 1, without the label.  columns: how many to read, the label included; None: those of the header."""
    with open(path) as file:
        named = len(file.readline().rstrip(",\n").split(","))
    x = np.loadtxt(path, delimiter=",", skiprows=1, usecols=range(columns or named), comments=None, ndmin=2)
    return np.asarray(x[x[:, 0] == 1, 1:])


def miniboone(path: Path) -> list[Array]:
    return standardised(in_parts(np.load(path)))


def bsds300(path: Path) -> list[Array]:
    import h5py
    with h5py.File(path, "r") as file:
        return [np.asarray(file[part], dtype=np.float64) for part in ("train", "validation", "test")]


def in_parts(x: Array) -> list[Array]:
    """The last tenth of the rows is the test part, the last tenth of the others the validation part."""
    test = int(0.1 * len(x))
    validation = int(0.1 * (len(x) - test))
    return np.split(x, [len(x) - test - validation, len(x) - test])


def standardised(parts: list[Array]) -> list[Array]:
    """By mean and standard deviation of all but the test part."""
    known = np.concatenate(parts[:2])
    return [(part - known.mean(axis=0)) / known.std(axis=0) for part in parts]


READERS: dict[str, Callable[..., Any]] = {
    "power": power, "gas": gas, "hepmass": hepmass, "miniboone": miniboone, "bsds300": bsds300,
}
