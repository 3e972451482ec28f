"""The C++ of the folder compiled/, compiled for this processor when it is first needed, and kept for later processes.

What is kept has a name made of the source, the compiler and the processor: a change of any of them compiles anew.
"""
import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path

from evenflow.accel.backends import Unavailable, first_line

PACKAGE = "evenflow.accel.compiled"
OPTIONS = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-shared")
COMPILERS = ("c++", "g++", "clang++")  # after the one that CXX names
FILES = ("vectors.hpp", "perceptron.hpp", "coupling.hpp", "energy.hpp", "kernels.cpp")


def compiler() -> str:
    """Raises Unavailable where there is none."""
    for name in filter(None, (os.environ.get("CXX"), *COMPILERS)):
        found = shutil.which(name)
        if found is not None:
            return found
    raise Unavailable("the backend compiled needs a C++ compiler, g++ or clang++, on the PATH or named by CXX")


def told(*command: str, what: str) -> str:
    """What a command prints. Raises Unavailable with its first complaint."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"the backend compiled: {what}: {first_line(error.stderr)}") from error


def cached() -> Path:
    """Where this source, by this compiler, for this processor is kept."""
    macros = told(compiler(), *OPTIONS, "-dM", "-E", "-x", "c++", os.devnull, what="the compiler does not know this processor")
    source = "".join(files(PACKAGE).joinpath(file).read_text(encoding="utf-8") for file in FILES)
    name = hashlib.sha256("\n".join((source, macros, *OPTIONS)).encode()).hexdigest()[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "evenflow" / f"kernels-{name}.so"


@cache
def library() -> ctypes.CDLL:
    """The compiled kernels. Raises Unavailable, saying what is missing."""
    place = cached()
    try:
        if not place.exists():
            build(place)
        return ctypes.CDLL(str(place))
    except OSError as error:
        where = f"{place.parent} (XDG_CACHE_HOME names another place)"
        raise Unavailable(f"the backend compiled cannot keep its kernels in {where}: {first_line(error)}") from error


def build(place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:  # so that no other process sees half of it
        made = Path(folder) / "made.so"
        source = str(files(PACKAGE).joinpath("kernels.cpp"))
        told(compiler(), *OPTIONS, "-o", str(made), source, what="its source does not compile")
        os.replace(made, place)


def version() -> str:
    """The compiler, as it names itself."""
    return first_line(told(compiler(), "--version", what="the compiler does not say its version"))
