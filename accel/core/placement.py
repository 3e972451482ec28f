"""The replacements of reference/core/placement.py on a device: what goes in, what comes out, and the noise drawn there.

A run keeps NumPy's generator: its state is what a checkpoint holds, so a checkpoint of any backend goes on under any other. For
each array of noise the generator gives a seed, and the array is a function of that seed (kernels/philox.cuh): the same on every
device, and the same again after a checkpoint.
"""
import weakref
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from evenflow.accel.backends import on_device, to_host
from evenflow.accel.kernels import normal, uniform
from evenflow.reference.core import Array, Tree, tree_map, value
from evenflow.reference.core.dispatch import definitions

SMALL = 2**18  # bytes

Shape = int | tuple[int, ...]


class Streams:
    """NumPy's generator as far as models and samplers use it; whatever has a shape is drawn on the device, in `dtype`."""

    def __init__(self, xp: Any, rng: np.random.Generator, dtype: Any) -> None:
        self.xp, self.rng, self.dtype = xp, rng, np.dtype(dtype)

    def seed(self) -> Any:
        """A number below 2^63; while a step is recorded, the memory that holds that of each step."""
        seed = self.rng.integers(2**63)
        return seed.view(np.uint64) if on_device(seed) else int(seed)

    def standard_normal(self, size: Shape) -> Array:
        return normal(self.xp, self.seed(), shape_of(size), self.dtype)

    def random(self, size: Shape | None = None) -> Array:
        return self.rng.random() if size is None else uniform(self.xp, self.seed(), shape_of(size), self.dtype)

    def integers(self, high: int, size: Shape) -> Array:
        """Whole numbers 0 ... high - 1, as int64. In float32 only up to 2^24, beyond which it has gaps."""
        wide = uniform(self.xp, self.seed(), shape_of(size), np.float64)
        return self.xp.floor(wide * float(high)).astype(np.int64)

    def choice(self, n: int, size: int, replace: bool = True) -> Array:
        """Indices, from the host: few, and where they are used they are looked up once."""
        return self.xp.asarray(self.rng.choice(n, size=size, replace=replace))


def shape_of(size: Shape) -> tuple[int, ...]:
    return (size,) if isinstance(size, int) else tuple(size)


def replacements(xp: Any) -> dict[str, Callable[..., Any]]:
    """The functions for one device module."""
    def placed(tree: Tree, dtype: Any) -> Tree:
        """Floats on the device, in this dtype; whole numbers stay where they are."""
        def place(leaf: Array) -> Array:
            if not on_device(leaf):
                leaf = np.asarray(leaf)
                return xp.asarray(leaf.astype(dtype)) if leaf.dtype.kind == "f" else leaf
            return leaf.astype(dtype, copy=False) if leaf.dtype.kind == "f" else leaf

        return tree_map(place, tree)

    def streams(rng: np.random.Generator, dtype: Any) -> Streams:
        return Streams(xp, rng, dtype)

    @lru_cache(256)
    def kept(numbers: bytes, dtype: str, shape: tuple[int, ...]) -> Array:
        return xp.asarray(np.frombuffer(numbers, dtype).reshape(shape))

    there: dict[int, tuple[Any, Array]] = {}  # id -> a weak reference, and the same on the device

    def known(constant: Array) -> Array:
        key = id(constant)
        if key not in there:
            there[key] = weakref.ref(constant, lambda gone: there.pop(key, None)), xp.asarray(constant)
        return there[key][1]

    def beside(constant: Any, array: Array) -> Array:
        """Small constants are sent over once, and so are those that cannot change: the same array every time, which nobody
        writes to."""
        if on_device(constant) or not on_device(value(array)):
            return definitions["core.placement.beside"](constant, array) if not on_device(constant) else constant
        constant = np.asarray(constant)
        if constant.nbytes <= SMALL:
            return kept(constant.tobytes(), constant.dtype.str, constant.shape)
        return xp.asarray(constant) if constant.flags.writeable else known(constant)

    return {
        "core.placement.beside": beside, "core.placement.placed": placed, "core.placement.fetched": to_host,
        "core.placement.streams": streams,
    }
