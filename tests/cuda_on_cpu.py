"""CUDA sources on the CPU: the same .cu text, compiled by g++ behind a small header, run block after block.

Each thread of a block is a fiber with a stack of its own. A fiber runs until it ends or waits at a barrier (or in a warp
shuffle, which is two barriers); when all have done so, the barrier that all of its threads have reached lets them go on. So
launch code, shared memory and barriers are exercised as they stand, and more strictly than a device would: shared memory
holds NaN before a block begins, a barrier that some threads never reach is an error, so is a write beyond the shared memory
asked for, so is an argument whose type is not the parameter's. What cannot be seen here are races between two barriers.
"""
import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

HEADER, RUNTIME = (Path(__file__).with_name(f"cuda_on_cpu.{ending}") for ending in ("hpp", "cpp"))
KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(')
DYNAMIC = re.compile(r"extern\s+__shared__\s+(?:__align__\(\d+\)\s+)?(\w+)\s+(\w+)\s*\[\s*\]\s*;")
FLAGS = ("-std=c++17", "-O1", "-w", "-shared", "-fPIC", "-fno-strict-aliasing", "-U_FORTIFY_SOURCE", "-fcf-protection=none")
ERRORS = {
    1: "a barrier was reached by some threads of its block or warp and not by others",
    2: "the kernel has written beyond its dynamic shared memory",
}


class Library:
    """The kernels of one compiled source."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._library = ctypes.CDLL(str(path))
        self._parameters = {name: self._describe(name) for name in names}

    def _describe(self, name: str) -> list[str]:
        parameters = self._library[f"parameters_{name}"]
        parameters.restype = ctypes.c_char_p
        text: bytes = parameters()
        return text.decode().split()

    def launch(
        self, name: str, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[Any], shared_mem: int = 0
    ) -> None:
        """Run a kernel: args are NumPy arrays, C-contiguous, and NumPy scalars; np.uint64(0) is the null pointer.

        Raises ValueError for a name or a launch that does not exist, TypeError for arguments that are not the kernel's,
        RuntimeError for what the kernel does wrong with barriers or shared memory.
        """
        if name not in self.names:
            raise ValueError(f"name must be one of {', '.join(self.names)}, got {name!r}")
        parameters = self._parameters[name]
        if len(parameters) != len(args):
            raise TypeError(f"{name} takes {len(parameters)} arguments, got {len(args)}")
        kept = [pointed(f"argument {i} of {name}", *pair) for i, pair in enumerate(zip(parameters, args, strict=True))]
        addresses = (ctypes.c_void_p * len(kept))(*(ctypes.addressof(held) for held in kept))
        shape = (ctypes.c_uint * 6)(*three("grid", grid, 2**31 - 1), *three("block", block, 1024))
        failed = self._library[f"launch_{name}"](shape, addresses, ctypes.c_size_t(shared_mem))
        if failed:
            raise RuntimeError(f"{name}: {ERRORS[failed]}")


def three(name: str, lengths: tuple[int, ...], most: int) -> tuple[int, ...]:
    if not 1 <= len(lengths) <= 3 or min(lengths) < 1 or np.prod(lengths, dtype=object) > most:
        raise ValueError(f"{name} must be 1 to 3 lengths >= 1 whose product is at most {most}, got {lengths}")
    return (*lengths, 1, 1)[:3]


def pointed(what: str, parameter: str, arg: Any) -> Any:
    """The bytes that the kernel takes as this parameter: "*f4" is a pointer to float32, "i4" an int32."""
    if parameter.startswith("*"):
        if isinstance(arg, np.uint64) and arg == 0:
            return ctypes.c_void_p(0)
        if not isinstance(arg, np.ndarray) or arg.dtype.str[1:] != parameter[1:]:
            raise TypeError(f"{what} must be an array of {parameter[1:]}, got {described(arg)}")
        if not arg.flags.c_contiguous:
            raise TypeError(f"{what} must be C-contiguous, got strides {arg.strides} at shape {arg.shape}")
        return ctypes.c_void_p(arg.ctypes.data)
    if not isinstance(arg, np.generic) or arg.dtype.str[1:] != parameter:
        raise TypeError(f"{what} must be a NumPy scalar of {parameter}, got {described(arg)}")
    return ctypes.create_string_buffer(arg.tobytes(), arg.nbytes)


def described(arg: Any) -> str:
    return f"{type(arg).__name__} of {arg.dtype}" if isinstance(arg, np.ndarray) else f"{arg!r} ({type(arg).__name__})"


def load(code: str, options: tuple[str, ...] = ()) -> Library:
    """Compile a CUDA source without includes; of the options the -D ones count. Raises RuntimeError where that fails."""
    names = KERNEL.findall(code)
    body = DYNAMIC.sub(r"\1* \2 = reinterpret_cast<\1*>(emulated::dynamic_shared);", code)
    text = "\n".join((body, *(f"EMULATED_KERNEL({name})" for name in names)))
    defines = [option for option in options if option.startswith("-D")]
    header = ["-include", str(built(HEADER.read_text(), ["-x", "c++-header"], ".hpp.gch").with_suffix(""))]
    runtime = built(RUNTIME.read_text(), [*header, "-c", "-x", "c++"], ".o")
    return Library(built(text, [str(runtime), *defines, *header, "-x", "c++"], ".so"), names)


def built(text: str, options: Sequence[str], ending: str) -> Path:
    """What g++ makes of a text, kept for the next one who asks: header and runtime once for all kernels, which take half."""
    key = hashlib.sha256("\0".join((text, *FLAGS, *options)).encode()).hexdigest()[:24]
    path = Path(tempfile.gettempdir()) / f"cuda_on_cpu_{os.getuid()}" / f"{key}{ending}"
    if not path.exists():
        build(text, options, path)
    return path


def build(text: str, options: Sequence[str], path: Path) -> None:
    if shutil.which("g++") is None:
        raise RuntimeError("running CUDA sources on the CPU needs the compiler g++, and none was found")
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        source, part = Path(folder) / "source", Path(folder) / "made"
        source.write_text(text)
        command = ["g++", *FLAGS, *options, str(source), "-o", str(part)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"g++ does not compile the source:\n{done.stderr}")
        os.replace(part, path)  # two processes may build the same: each puts a whole file there
