"""What the agreement tests compare: the reference with the fused operations on NumPy, in C++, on a CuPy stand-in, on CuPy."""
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from evenflow import accel
from evenflow.accel import devices, to_host
from evenflow.accel.backends import module_of
from evenflow.accel.compiler import COMPILERS
from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array, Tree, leaves
from tests import standin

COMPILER = any(map(shutil.which, COMPILERS))
COMPILED = pytest.param("compiled", marks=pytest.mark.skipif(not COMPILER, reason="no C++ compiler"))
BACKENDS = ["numpy", COMPILED, "standin", pytest.param("cupy", marks=pytest.mark.gpu)]
ON_DEVICE = BACKENDS[2:]
HOST = ("reference", "numpy", "compiled")


@contextmanager
def backend(name: str, noise: str = "host") -> Iterator[None]:
    """Use a backend; "standin" is the backend cupy with the stand-in in the place of CuPy."""
    if name != "standin":
        with accel.use(name, noise):
            yield
        return
    real, devices.import_cupy = devices.import_cupy, lambda: standin.xp
    try:
        with accel.use("cupy", noise):
            yield
    finally:
        devices.import_cupy = real


def here(tree: Tree) -> Tree:
    """A tree of NumPy arrays where the backend in use computes; dtypes stay."""
    if isinstance(tree, dict):
        return {name: here(branch) for name, branch in tree.items()}
    if isinstance(tree, list):
        return [here(branch) for branch in tree]
    return tree if tree is None else placed(tree, tree.dtype)


def on_its_device(name: str, tree: Tree) -> bool:
    """Whether all leaves live where the backend's arrays live."""
    return all((module_of(leaf) is np) == (name in HOST) for leaf in leaves(tree))


def host(tree: Any) -> Any:
    return to_host(tree)


def same(a: Array, b: Array) -> Array:
    """Both as host arrays, of one shape and dtype: for assert_allclose."""
    a, b = np.asarray(to_host(a)), np.asarray(to_host(b))
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    return a, b
