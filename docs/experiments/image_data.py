"""Images for the experiments on images, each a Dataset with its shape: two sets that come with libraries, others of the user's.

    digits          8 x 8, 17 levels, classes: scikit-learn's, 1,500 to train on, 297 held out
    photographs     32 x 32 x 3 at random places of the photographs in colour that scikit-learn and scikit-image ship; squares
                    of 40 x 40 pixels are dealt to the two parts: no held-out image overlaps one that is trained on
    fashion         28 x 28, classes: from a folder with MNIST's idx files; as published, 60,000 and 10,000
    fashion-14      the same, each 2 x 2 pixels one
    cifar           32 x 32 x 3, classes: from a folder with CIFAR-10's python batches, 50,000 and 10,000
"""
from pathlib import Path

import numpy as np

from evenflow.experiments.tabular_data import TILE
from evenflow.reference.core import Array, lookup
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.images import LEVELS
from evenflow.reference.work.shapes import Shape
from evenflow.reference.work.units import Units

SHIPPED, IN_A_FOLDER = ("digits", "photographs"), ("fashion", "fashion-14", "cifar")
SIDE = 32
TILES, DRAWN = 0.8, (20_000, 2_000)  # the share of the squares that is trained on; images of each part
COLOURED = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")  # of scikit-image
WHERE = "a folder of yours, --data DIR: MNIST's idx files, or CIFAR-10's python batches (docs/images.md says where to get them)"


def images(name: str, data: Path | None = None) -> Dataset:
    """By name. data: the folder, for those that need one; ValueError where it is not given."""
    lookup("images", name, dict.fromkeys((*SHIPPED, *IN_A_FOLDER)))
    if name == "digits":
        return load("digits")
    if name == "photographs":
        return photographs()
    if data is None or not data.is_dir():
        raise ValueError(f"{name} needs {WHERE}, got {data}")
    dataset = load(data)
    return halved(dataset) if name == "fashion-14" else dataset


def photographs() -> Dataset:
    """Whole numbers 0 ... 255; the same at every call."""
    rng = np.random.default_rng(0)
    tiles = rng.permutation(np.concatenate([tiled(image) for image in in_colour()]))  # (T, TILE, TILE, 3)
    at = round(TILES * len(tiles))
    train, held_out = (windows(mine, n, rng) for mine, n in zip((tiles[:at], tiles[at:]), DRAWN, strict=True))
    units = Units.whole_numbers(train, LEVELS)
    return Dataset("photographs", train, held_out, None, None, units, None, shape=Shape((SIDE, SIDE, 3)))


def in_colour() -> list[Array]:
    """Six photographs (h, w, 3), read from the libraries' folders: nothing is downloaded."""
    import skimage
    from PIL import Image
    from sklearn.datasets import load_sample_images
    folder = Path(skimage.__path__[0]) / "data"
    return [*load_sample_images().images, *(np.asarray(Image.open(folder / name).convert("RGB")) for name in COLOURED)]


def tiled(image: Array) -> Array:
    """(h, w, c) -> its whole squares (k, TILE, TILE, c)."""
    (h, w), c = (size // TILE for size in image.shape[:2]), image.shape[2]
    whole = image[: h * TILE, : w * TILE].reshape(h, TILE, w, TILE, c)
    return whole.swapaxes(1, 2).reshape(-1, TILE, TILE, c)


def windows(tiles: Array, n: int, rng: np.random.Generator) -> Array:
    """n squares (n, SIDE SIDE 3) at random places, each within one tile."""
    which, down, along = (rng.integers(size, size=n) for size in (len(tiles), TILE - SIDE + 1, TILE - SIDE + 1))
    parts = [tiles[k, i : i + SIDE, j : j + SIDE] for k, i, j in zip(which, down, along, strict=True)]
    return np.stack(parts).reshape(n, -1)


def halved(dataset: Dataset) -> Dataset:
    """Means of 2 x 2 pixels, rounded to whole numbers."""
    assert dataset.shape is not None
    h, w = dataset.shape.axes[:2]
    train, held_out = (
        np.round(x.reshape(-1, h // 2, 2, w // 2, 2).mean(axis=(2, 4))).reshape(len(x), -1).astype(np.uint8)
        for x in (dataset.train, dataset.held_out))
    units = Units.whole_numbers(train, LEVELS)
    return dataset._replace(name=f"{dataset.name}, halved", train=train, held_out=held_out, units=units,
                            shape=Shape((h // 2, w // 2)))
