"""Where arrays live: NumPy on the host, CuPy on the device. Operations are written once and ask here whose an array is."""
from types import ModuleType
from typing import Any

import numpy as np

from evenflow.reference.core import Array, Tree, tree_map, value


class Unavailable(RuntimeError):
    """A backend that cannot be had here: the message says what is missing and how to install it."""


_modules: dict[type, Any] = {np.ndarray: np}  # type of array -> its module


def register(xp: ModuleType) -> None:
    """Make `xp` (CuPy, or a stand-in with its interface) known as the module of xp.ndarray."""
    _modules[xp.ndarray] = xp


def module_of(*arrays: Array) -> Any:
    """numpy, or the device module if any of the arrays (autograd's boxes are looked through) lives on the device."""
    for array in arrays:
        xp = _modules.get(type(array)) or _modules.get(type(value(array)))
        if xp is not None and xp is not np:
            return xp
    return np


def on_device(array: Array) -> bool:
    return module_of(array) is not np


def devices() -> list[Any]:
    """The device modules in use."""
    return [xp for xp in _modules.values() if xp is not np]


def first_line(said: object) -> str:
    return str(said).strip().split("\n")[0]


def to_host(tree: Tree) -> Tree:
    """A tree as NumPy arrays, wherever it lives."""
    return tree_map(lambda leaf: leaf.get() if on_device(leaf) else leaf, tree)
