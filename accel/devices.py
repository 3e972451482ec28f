"""What is there to compute on: CuPy and its device where there are any, and what is missing where there are none."""
import ctypes
import importlib
import platform
import sys
from functools import cache
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from evenflow.accel import autodiff, compiler
from evenflow.accel.backends import Unavailable as Unavailable
from evenflow.accel.backends import devices, first_line
from evenflow.reference.core import Tree, tree_map

INSTALL = "pip install 'evenflow[cupy13]' for CUDA 13, or 'evenflow[cupy12]' for CUDA 12"


class Availability(NamedTuple):
    """One backend, for `evenflow backends`."""
    backend: str
    available: bool
    details: str


def cupy() -> Any:
    """CuPy, ready for use: autograd knows its arrays. Raises Unavailable."""
    xp = import_cupy()
    try:
        count = int(xp.cuda.runtime.getDeviceCount())
    except Exception as error:  # whatever the driver says
        raise Unavailable(f"the backend cupy needs a CUDA device and its driver: {first_line(error)}") from error
    if count == 0:
        raise Unavailable("the backend cupy needs a CUDA device, and the driver finds none")
    autodiff.install(xp)
    return xp


def import_cupy() -> Any:
    try:
        return importlib.import_module("cupy")
    except ImportError as error:
        raise Unavailable(f"the backend cupy needs CuPy, which is not installed: {INSTALL}") from error


def available() -> list[Availability]:
    """All backends, with versions and device, or with what is missing."""
    host = f"numpy {np.__version__}, autograd {version('autograd')}, Python {platform.python_version()}"
    rows = [Availability(name, True, host) for name in ("reference", "numpy")]
    for name, details in (("compiled", kernels), ("cupy", device)):
        try:
            rows.append(Availability(name, True, details()))
        except Unavailable as error:
            rows.append(Availability(name, False, str(error)))
    return rows


def kernels() -> str:
    """The compiler, once it has compiled what it has to. Raises Unavailable."""
    compiler.library()
    return compiler.version()


def device() -> str:
    """CuPy and the current device. Raises Unavailable."""
    xp = cupy()
    return f"cupy {xp.__version__}, {device_name(xp)}"


def device_name(xp: Any) -> str:
    """The current device, its memory, and the versions of driver and runtime."""
    runtime = xp.cuda.runtime
    device = runtime.getDeviceProperties(xp.cuda.Device().id)
    name, memory = device["name"], device["totalGlobalMem"] / 2**30
    name = name.decode() if isinstance(name, bytes) else name
    driver, made_for = (f"{v // 1000}.{v % 1000 // 10}" for v in (runtime.driverGetVersion(), runtime.runtimeGetVersion()))
    return f"{name}, {memory:.0f} GiB, driver for CUDA {driver}, runtime {made_for}"


def to_device(tree: Tree) -> Tree:
    """A tree of NumPy arrays on the device. Raises Unavailable where there is none."""
    xp = cupy()
    return tree_map(xp.asarray, tree)


def synchronise() -> None:
    """Wait until the device has done all that it was told, if one is in use."""
    for xp in devices():
        xp.cuda.Stream.null.synchronize()


def memory_used() -> int:
    """Bytes of device memory that arrays occupy; 0 where no device is in use."""
    return sum(int(xp.get_default_memory_pool().used_bytes()) for xp in devices())


@cache
def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory up to 256 MiB for the next array of that size.

    By default it gives large arrays back to the system at once, and the next one begins with a page fault for every 4 KiB.
    The process is then larger by what it keeps. Elsewhere than under glibc nothing happens.
    """
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc, trim, mmap = ctypes.CDLL(None), -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
        libc.mallopt(trim, 2**28)
        libc.mallopt(mmap, 2**28)
