"""Folders of images as they are published: MNIST's idx files and CIFAR-10's python batches, known by the files in them.

    idx      train-images-idx3-ubyte, train-labels-idx1-ubyte and t10k- likewise, each also as .gz, a dot or a dash before idx:
             two zeros, the type (8: bytes), the number of axes, each axis as four bytes, the largest first, then the bytes
    CIFAR    data_batch_1 ... data_batch_5, test_batch: pickled dicts with data (n, 3072), channel by channel, and labels

Both hold bytes, 0 ... 255, and end with the official test set, which is then what is held out. A pickle can run any program:
these are read by an unpickler that makes arrays and plain values, and refuses all else.
"""
import gzip
import math
import pickle
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenflow.reference.core import Array
from evenflow.reference.work.shapes import Shape

LEVELS = 256
BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
CHANNELS, SIDE = 3, 32
PARTS, KINDS = ("train", "t10k"), {"images-idx3": 3, "labels-idx1": 1}  # and how many axes each has
# What an array needs: NumPy's function to begin one with has moved, and the file may call it by either place.
ALLOWED: dict[tuple[str, str], Any] = {
    **dict.fromkeys(((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")), np.empty(0).__reduce__()[0]),
    ("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype, ("_codecs", "encode"): str.encode,
}


class Images(NamedTuple):
    """The images of a folder, the official test set last."""
    x: Array        # (n, h, w) or (n, h, w, c), bytes
    labels: Array   # (n,)
    tested: int     # how many are the test set's
    shape: Shape


def read_folder(folder: Path) -> Images:
    """Raises ValueError that names the file where one is damaged; FileNotFoundError where one is missing."""
    if any((folder / name).exists() for name in BATCHES):
        parts = [cifar_batch(folder / name) for name in BATCHES]
    elif any(idx_file(folder, part, kind) for part in PARTS for kind in KINDS):
        parts = [idx_pair(folder, part) for part in PARTS]
    else:
        known = "MNIST's idx files (train-images-idx3-ubyte, ...) or CIFAR-10's python batches (data_batch_1, ...)"
        raise ValueError(f"{folder} is a folder, and must hold {known}")
    sizes = sorted({x.shape[1:] for x, _ in parts})
    if len(sizes) > 1:
        raise ValueError(f"{folder} must hold images of one size, got {sizes[0]} and {sizes[1]}")
    x, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Images(x, labels, len(parts[-1][0]), Shape(sizes[0]))


def idx_file(folder: Path, part: str, kind: str) -> Path | None:
    names = [f"{part}-{name}-ubyte{packed}" for name in (kind, kind.replace("-", ".")) for packed in ("", ".gz")]
    return next((folder / name for name in names if (folder / name).exists()), None)


def idx_pair(folder: Path, part: str) -> tuple[Array, Array]:
    arrays, path = [], folder
    for kind, axes in KINDS.items():
        found = idx_file(folder, part, kind)
        if found is None:
            raise FileNotFoundError(f"{folder} is not complete: there is no {part}-{kind}-ubyte, nor one packed as .gz")
        arrays.append(idx(found, axes))
        path = found
    x, labels = arrays
    return x, checked(path, labels, len(x))


def idx(path: Path, axes: int) -> Array:
    """An array of bytes with so many axes. Raises ValueError where the file is not a whole one of these."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} must be a whole file, packed by gzip: {error}") from error
    if content[:4] != bytes([0, 0, 8, axes]):
        raise ValueError(f"{path} must be an idx file of bytes with {axes} axes, got one that begins {content[:4].hex(' ')}")
    start = 4 + 4 * axes
    shape = tuple(int(part) for part in np.frombuffer(content[4:start].ljust(4 * axes, b"\0"), ">i4"))
    there = max(len(content) - start, 0)
    if min(shape) < 1 or there != math.prod(shape):
        raise ValueError(f"{path} must hold {' x '.join(map(str, shape))} bytes, as it says, got {there}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def cifar_batch(path: Path) -> tuple[Array, Array]:
    """x (n, 32, 32, 3), channels last, and labels (n,)."""
    if not path.exists():
        raise FileNotFoundError(f"{path.parent} is not complete: there is no {path.name}")
    with open(path, "rb") as file:
        try:
            batch = dict(Unpickler(file, encoding="bytes").load())
        except Exception as error:  # a damaged pickle may raise anything
            raise ValueError(f"{path} must be a whole python batch of CIFAR-10: {error or type(error).__name__}") from error
    batch = {key.encode() if isinstance(key, str) else key: each for key, each in batch.items()}
    x, labels = batch.get(b"data"), batch.get(b"labels")
    if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.ndim != 2 or x.shape[1] != CHANNELS * SIDE**2 or len(x) < 1:
        told = f"{x.dtype} {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
        raise ValueError(f"{path} must hold data (n, {CHANNELS * SIDE**2}) in bytes, got {told}")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise ValueError(f"{path} must hold labels, a list of whole numbers, got {type(labels).__name__}")
    return x.reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1), checked(path, np.array(labels), len(x))


class Unpickler(pickle.Unpickler):
    """Makes NumPy's arrays, and of Python what needs no import: numbers, bytes, text, lists, dicts."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        return ALLOWED[module, name]


def checked(path: Path, labels: Array, n: int) -> Array:
    if len(labels) != n:
        raise ValueError(f"{path} must hold a label for each of {n} images, got {len(labels)}")
    return labels
