"""The data of tabular.py in three parts: scikit-learn's tables and patches of photographs, all of them shipped with libraries.

A table's columns are made continuous as POWER's are by Papamakarios et al. 2017: uniform noise as wide as the column's smallest
step, without which a density could grow beyond bounds; a column of two values is left out. Patches are made as their BSDS300:
grey values 0 ... 255 with uniform noise, divided by 256, less the patch's mean, without the last pixel, which follows from the
others.
"""
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evenflow.reference.core import Array
from evenflow.reference.work.data import Dataset
from evenflow.reference.work.units import Units

TABLES = ("diabetes", "wine", "breast_cancer")
PATCHES = ("patches", "photographs", "bsds300")  # what can be seen
SHARES = (0.64, 0.16, 0.2)                       # to train on, to choose the weights by, to measure on
TILE, SIDE = 40, 8                               # pixels along an edge: of a region, of a patch
DRAWN = (16_000, 2_000, 2_000)                   # patches in each part
GREY = (0.299, 0.587, 0.114)                     # of red, green and blue
FROM_SKIMAGE = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png",
    "rocket.jpg",
)


class Parts(NamedTuple):
    """Rows (n, d) to train on, to choose the weights by, and to measure on: the last are seen by no training."""
    name: str
    train: Array
    validation: Array
    test: Array

    def dataset(self) -> Dataset:
        """For a training: the validation rows are its held-out ones."""
        return Dataset(self.name, self.train, self.validation, None, None, Units.whitened(self.train), None)


def shipped(name: str, seed: int) -> Parts:
    """A table, or patches, by name; seed: of the split and of the noise."""
    rng = np.random.default_rng(seed)
    if name in TABLES:
        x = rng.permutation(continuous(read_table(name), rng))
        at = np.round(np.cumsum(SHARES[:2]) * len(x)).astype(int)
        return Parts(name, *np.split(x, at))
    images = from_sklearn() if name == "patches" else [*from_sklearn(), *from_skimage()]
    return Parts(name, *(centred(part, rng) for part in patches(images, DRAWN, rng)))


def read_table(name: str) -> Array:
    from sklearn import datasets
    how = {"scaled": False} if name == "diabetes" else {}
    return np.asarray(getattr(datasets, f"load_{name}")(**how).data, dtype=np.float64)


def continuous(x: Array, rng: np.random.Generator) -> Array:
    """x (n, d) without the columns of two values, and with uniform noise as wide as the smallest step of each."""
    levels = [np.unique(column) for column in x.T]
    kept = [j for j, values in enumerate(levels) if len(values) > 2]
    steps = [np.diff(levels[j]).min() for j in kept]
    return x[:, kept] + steps * rng.random((len(x), len(kept)))


def from_sklearn() -> list[Array]:
    """The two photographs that scikit-learn ships, grey."""
    from sklearn.datasets import load_sample_images
    return [grey(image) for image in load_sample_images().images]


def from_skimage() -> list[Array]:
    """Nine that scikit-image ships, read from its folder: nothing is downloaded."""
    import skimage
    from PIL import Image
    folder = Path(skimage.__path__[0]) / "data"
    return [grey(np.asarray(Image.open(folder / name))) for name in FROM_SKIMAGE]


def grey(image: Array) -> Array:
    """(h, w) or (h, w, 3 or more) -> (h, w), whole numbers 0 ... 255."""
    return np.asarray(image if image.ndim == 2 else np.round(image[..., :3] @ GREY), dtype=np.float64)


def patches(images: Sequence[Array], counts: Sequence[int], rng: np.random.Generator) -> list[Array]:
    """Patches (n, 64) at random places, so many for each part, all parts from regions of their own.

    The images are cut into squares of TILE x TILE pixels, which are dealt to the parts by SHARES; a patch lies within one.
    """
    tiles = rng.permutation(np.concatenate([tiled(image) for image in images]))  # (T, TILE, TILE)
    at = np.round(np.cumsum(SHARES[:2]) * len(tiles)).astype(int)
    drawn = []
    for mine, n in zip(np.split(tiles, at), counts, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(mine, (SIDE, SIDE), axis=(1, 2))
        place = tuple(rng.integers(size, size=n) for size in windows.shape[:3])
        drawn.append(windows[place].reshape(n, -1))
    return drawn


def tiled(image: Array) -> Array:
    """(h, w) -> its whole tiles (k, TILE, TILE); what is left over at the edges is left out."""
    down, across = (size // TILE for size in image.shape)
    whole = image[: down * TILE, : across * TILE].reshape(down, TILE, across, TILE)
    return whole.swapaxes(1, 2).reshape(-1, TILE, TILE)


def centred(patch: Array, rng: np.random.Generator) -> Array:
    """Whole numbers (n, 64) -> (n, 63): with noise, in [0, 1), less the mean, without the last pixel."""
    x = (patch + rng.random(patch.shape)) / 256
    return (x - x.mean(axis=1, keepdims=True))[:, :-1]


def completed(x: Array) -> Array:
    """(n, 63) -> (n, 64): with the last pixel, which makes the sum 0."""
    return np.column_stack([x, -x.sum(axis=1)])
