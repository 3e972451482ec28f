r"""The data of regression.py: one with a known truth, and four real tables that come with scikit-learn.

    heteroscedastic   $y = \sin 3 x_1 + \tfrac14 e^{x_2} \varepsilon$, x uniform on (-1, 1)^2, $\varepsilon \sim N(0, 1)$; 2,000
                      rows to fit and 2,000 to test
    diabetes          442 rows: the progress of the disease in a year, of 10 measurements (Efron et al. 2004)
    wine              178: proline, of the 12 other columns (UCI, Forina et al.)
    breast_cancer     569: the standard error of the area of a cell's nucleus, of the 10 means (UCI, Wolberg et al.)
    pixels            4,000 and 2,000: a grey value of a photograph, of the six next to it that are above it or to the left

A fifth of a table's rows is to test, another for each seed. Pixels are those of tabular_data.py, whole numbers with uniform
noise: those to test are from regions of their own.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from evenflow.experiments.tabular_data import from_sklearn, patches
from evenflow.reference.core import Array

TRUTH = "heteroscedastic"
TABLES = ("diabetes", "wine", "breast_cancer")
DATA = (TRUTH, *TABLES, "pixels")
ROWS = 2000                                                      # of the first, in each of its two parts
PIXELS = (3200, 800, 2000)                                       # the first two are to fit
PLACE = (4, 4)                                                   # in a patch
BEFORE = ((0, -1), (0, -2), (-1, -1), (-1, 0), (-1, 1), (-2, 0))  # down, right of it


class Parts(NamedTuple):
    """X (n, k), y (n,) to fit, and to test."""
    X: Array
    y: Array
    X_test: Array
    y_test: Array


def parts(name: str, seed: int) -> Parts:
    """Of data by name; seed: of the split, of the draws."""
    rng = np.random.default_rng(seed)
    if name == TRUTH:
        return Parts(*truth(rng), *truth(rng))
    if name == "pixels":
        first, second, test = patches(from_sklearn(), PIXELS, rng)
        return Parts(*pixels(np.concatenate([first, second]), rng), *pixels(test, rng))
    X, y = table(name)
    order, k = rng.permutation(len(y)), round(0.2 * len(y))
    return Parts(X[order[k:]], y[order[k:]], X[order[:k]], y[order[:k]])


def table(name: str) -> tuple[Array, Array]:
    from sklearn import datasets
    if name == "diabetes":
        X, y = datasets.load_diabetes(return_X_y=True)
        return X, y
    whole = getattr(datasets, f"load_{name}")()
    target, given = {"wine": ("proline", 13), "breast_cancer": ("area error", 10)}[name]
    names = [str(each) for each in whole.feature_names]
    given_columns = [j for j in range(given) if names[j] != target]
    return whole.data[:, given_columns], whole.data[:, names.index(target)]


def truth(rng: np.random.Generator) -> tuple[Array, Array]:
    X = rng.uniform(-1, 1, (ROWS, 2))
    mean, sd = moments(X)
    return X, mean + sd * rng.standard_normal(ROWS)


def moments(X: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of y given X (n, 2), where they are known."""
    return np.sin(3 * X[:, 0]), np.exp(X[:, 1]) / 4


def pixels(patch: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Patches (n, 64) of whole numbers -> the pixels before PLACE (n, 6), and that one (n,)."""
    square = (patch + rng.random(patch.shape)).reshape(-1, 8, 8)
    at: Callable[[int, int], Array] = lambda down, right: square[:, PLACE[0] + down, PLACE[1] + right]
    return np.stack([at(*place) for place in BEFORE], axis=1), at(0, 0)
