"""The kernels' sources: they compile for devices, they draw what they should, and the CPU runs them strictly."""
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from evenflow.accel import backends, kernels
from evenflow.accel.kernels.loading import options
from evenflow.accel.kernels.network import FORMS
from tests.cuda_on_cpu import load
from tests.standin import xp

backends.register(xp)
SOURCES = sorted(path.name for path in files("evenflow.accel.kernels").iterdir() if path.name.endswith(".cu"))
NVCC = pytest.mark.skipif(shutil.which("nvcc") is None, reason="there is no nvcc here")
TARGETS = ("-gencode=arch=compute_80,code=sm_80", "-gencode=arch=compute_90,code=[sm_90,compute_90]")  # the last one: PTX


PAIR = {"SCALES": 0, "HALVES": 2}  # of a distance, beta = 1
CROSS = {**PAIR, "LATER": 0, "WEIGHTED": 0, "BY_ROW": 1, "BY_COLUMN": 1}
WITHIN, BY_DRAWS = {**CROSS, "LATER": 1}, {**CROSS, "WEIGHTED": 1, "BY_COLUMN": 0}
CONSTANTS: dict[str, list[dict[str, int]]] = {  # with what the sources of pairs are compiled
    "each.cu": [{**PAIR, "DIM": 4, "LANES": 1}, {"SCALES": 3, "HALVES": 0, "DIM": 784, "LANES": 32}],
    "energy.cu": [{**CROSS, "DIM": 2}, {**WITHIN, "DIM": 8}, {**BY_DRAWS, "DIM": 3, "HALVES": 0}],
    "energy_tiled.cu": [{**way, "EXPANDED": expanded} for way in (CROSS, WITHIN, BY_DRAWS) for expanded in (0, 1)],
}
EACH = [  # quick: in floats, each source but the longest with its first constants
    pytest.param(name, constants, dtype, marks=[pytest.mark.slow] * (dtype is np.float64 or name == "chain.cu" or k > 0))
    for name in SOURCES for k, constants in enumerate(CONSTANTS.get(name, [{"DIM": 3}])) for dtype in (np.float32, np.float64)
]


def compiles(name: str, dtype: Any, folder: Path, **constants: int) -> set[int]:
    """How many bytes its kernels hold in memory for want of registers."""
    (folder / name).write_text(kernels.source(name))
    told = (*options(dtype, **constants), *TARGETS, "-Werror=all-warnings", "-Xptxas=-v")
    command = ["nvcc", *told, "-fatbin", "-o", "out", name]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return set(map(int, re.findall(r"(\d+) bytes spill stores", done.stderr)))


@NVCC
@pytest.mark.parametrize(("name", "constants", "dtype"), EACH)
def test_it_compiles_for_devices_without_warnings(name: str, constants: dict[str, int], dtype: Any, tmp_path: Path) -> None:
    """And what holds its pairs in registers has registers enough, but for a number or two that all tiles share."""
    spilled = compiles(name, dtype, tmp_path, **constants)
    assert spilled
    assert max(spilled) <= 16 or name not in CONSTANTS


@NVCC
@pytest.mark.slow
@pytest.mark.parametrize("move", range(4))
def test_walks_compile_with_every_tile_and_activation(move: int, tmp_path: Path) -> None:
    """Each once."""
    cases = [(np.float32, form) for form in FORMS[4]] + [(np.float64, form) for form in FORMS[8]]
    for at, (dtype, (units, chains, lanes)) in enumerate(cases[move::2]):
        compiles("walk.cu", dtype, tmp_path, UNITS=units, CHAINS=chains, LANES=lanes, MOVE=move, ACTIVATION=(at + move) % 4)


@pytest.mark.parametrize("name", SOURCES)
def test_it_asks_for_no_header(name: str) -> None:
    """CuPy compiles with NVRTC, which has no host headers, nor what nvcc takes from them unasked."""
    code = re.sub(r"//.*", "", kernels.source(name))
    assert not re.findall(r"#include|\bstd::|\b(?:INFINITY|NAN|M_PI|u?int\d+_t|size_t|assert|printf)\b", code)


# Philox

def test_philox_gives_the_published_words() -> None:
    """The known answers of philox4x32-10 that its authors publish: all zeros, all ones, the digits of pi."""
    code = kernels.source("philox.cuh") + """
    extern "C" __global__ void cipher(const unsigned int* c, const unsigned int* key, unsigned int* out) {
      Words words = philox({{c[0], c[1], c[2], c[3]}}, key[0], key[1]);
      for (int i = 0; i < 4; i++) out[i] = words.w[i];
    }"""
    answers = {
        "00000000 00000000 00000000 00000000 00000000 00000000": "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
        "ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff": "408f276d 41c83b0e a20bc7c6 6d5451fd",
        "243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0": "d16cfe09 94fdcceb 5001e420 24126ea1",
    }
    for given, expected in answers.items():
        words, out = np.array([int(word, 16) for word in given.split()], np.uint32), np.empty(4, np.uint32)
        load(code, options(np.float32)).launch("cipher", (1,), (1,), (words[:4], words[4:], out))
        assert " ".join(f"{word:08x}" for word in out) == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", [0, 2**63 + 5])
def test_the_numbers_have_their_distributions(dtype: Any, seed: int) -> None:
    """Kolmogorov-Smirnov against both, at 1e-4 each; neighbours and the two streams are uncorrelated within 4.5 deviations."""
    n = 40_000
    u, z = (draw(xp, seed, (n,), dtype).get() for draw in (kernels.uniform, kernels.normal))
    assert u.dtype == z.dtype == dtype
    assert 0 <= u.min() <= u.max() < 1
    for fractions in (u, np.array([NormalDist().cdf(value) for value in z.tolist()])):
        up = np.arange(1, n + 1) / n - np.sort(fractions.astype(float))
        assert max(up.max(), (1 / n - up).max()) < np.sqrt(np.log(2 / 1e-4) / 2 / n)
    for a, b in ((z[1:], z[:-1]), (z[2:], z[:-2]), (z, u), (u[1:], u[:-1]), (u[2:], u[:-2]), (z[1:] ** 2, z[:-1] ** 2)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4.5 / np.sqrt(n)


def test_a_number_depends_on_seed_call_and_place_alone() -> None:
    whole = kernels.normal(xp, 7, (1000,), np.float64).get()
    assert np.array_equal(kernels.normal(xp, 7, (10, 7), np.float64).get().ravel(), whole[:70])
    others = [kernels.normal(xp, *key).get() for key in ((8, (1000,), np.float64), (7 + 2**32, (1000,), np.float64))]
    others.append(kernels.normal(xp, 7, (1000,), np.float64, call=1).get())
    assert all(not np.isin(other, whole).any() for other in others)
    assert kernels.uniform(xp, 7, (0, 3), np.float32).shape == (0, 3)


@pytest.mark.parametrize("draw", [kernels.normal, kernels.uniform])
def test_a_seed_on_the_device_gives_the_same_numbers(draw: Any) -> None:
    """And other numbers once it has changed there, without a word from the host."""
    seed, call = xp.asarray(np.uint64(2**63 + 9)), xp.asarray(np.uint64(5))
    for dtype in (np.float32, np.float64):
        for given in ((seed, 5), (2**63 + 9, call), (seed, call)):
            there = draw(xp, given[0], (7, 3), dtype, call=given[1]).get()
            assert np.array_equal(there, draw(xp, 2**63 + 9, (7, 3), dtype, call=5).get())
    call += 1
    assert np.array_equal(draw(xp, seed, (9,), np.float32, call).get(), draw(xp, 2**63 + 9, (9,), np.float32, 6).get())


def test_places_beyond_32_bits_have_numbers_of_their_own() -> None:
    code = kernels.source("philox.cuh") + """
    extern "C" __global__ void at(REAL* u, unsigned long long i) { *u = uniform_at(1, 0, i); }"""
    seen = set()
    for i in (0, 2**34, 2**40, 2**63):
        u = np.zeros(1)
        load(code, options(np.float64)).launch("at", (1,), (1,), (u, np.uint64(i)))
        seen.add(float(u[0]))
    assert len(seen) == 4


def test_the_largest_word_is_below_one() -> None:
    code = kernels.source("philox.cuh") + """
    extern "C" __global__ void largest(REAL* u) { unsigned int w[2] = {~0u, ~0u}; fraction(w, *u); }"""
    for dtype, bits in ((np.float32, 24), (np.float64, 53)):
        u = np.zeros(1, dtype)
        load(code, options(dtype)).launch("largest", (1,), (1,), (u,))
        assert float(u[0]) == 1 - 2.0**-bits


def test_arguments_that_are_none() -> None:
    with pytest.raises(ValueError, match=r"dtype must be float32 or float64, got <class 'numpy\.float16'>"):
        kernels.normal(xp, 0, (3,), np.float16)
    with pytest.raises(ValueError, match=r"seed must be an integer from 0 to 2\^64 - 1, got -1"):
        kernels.uniform(xp, -1, (3,), np.float32)
    with pytest.raises(ValueError, match=r"call must be an array of uint64 where it lives on the device, got int64"):
        kernels.uniform(xp, 1, (3,), np.float32, call=xp.asarray(np.int64(1)))
    with pytest.raises(ValueError, match=r"seed must have shape \(\), got \(1,\)"):
        kernels.normal(xp, xp.asarray(np.array([1], np.uint64)), (3,), np.float32)


# Running on the CPU

SHIM = """
extern "C" __global__ void reversed(const REAL* x, REAL* y) {
  extern __shared__ REAL there[];
  __shared__ REAL again[64];
  int i = threadIdx.x, at = blockIdx.x * blockDim.x + i;
  there[i] = x[at];
  __syncthreads();
  again[i] = there[blockDim.x - 1 - i];
  __syncthreads();
  y[at] = again[i];
}
extern "C" __global__ void of_warp(const REAL* x, REAL* y) {
  REAL sum = x[threadIdx.x];
  for (int o = 16; o; o /= 2) sum += __shfl_xor_sync(~0u, sum, o);
  y[threadIdx.x] = sum + __shfl_down_sync(~0u, x[threadIdx.x], 1) + __shfl_sync(~0u, x[threadIdx.x], 3);
}
extern "C" __global__ void some_wait(REAL* y) { if (threadIdx.x < 3) __syncthreads(); y[threadIdx.x] = 1; }
extern "C" __global__ void beyond(REAL* y) { extern __shared__ REAL s[]; s[threadIdx.x + 1] = 1; y[threadIdx.x] = 1; }
extern "C" __global__ void unset(REAL* y) { __shared__ REAL s[4]; y[threadIdx.x] = s[threadIdx.x]; s[threadIdx.x] = 1; }
extern "C" __global__ void places(int* y, long long n) {
  int t = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  int b = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  int i = b * blockDim.x * blockDim.y * blockDim.z + t;
  if (i < n) y[i] = i;
}
"""


def test_threads_meet_at_barriers_and_in_warps() -> None:
    library, x, y = load(SHIM, options(np.float32)), np.arange(128, dtype=np.float32), np.empty(128, np.float32)
    library.launch("reversed", (2,), (64,), (x, y), 256)
    assert np.array_equal(y, x.reshape(2, 64)[:, ::-1].ravel())
    library.launch("of_warp", (1,), (64,), (x, y))
    down = x[:64].reshape(2, 32)[:, [*range(1, 32), 31]]
    assert np.array_equal(y[:64].reshape(2, 32), x[:64].reshape(2, 32).sum(axis=1, keepdims=True) + down + [[3], [35]])
    places = np.zeros(2 * 3 * 2 * 4 * 2 * 3 - 1, np.int32)
    library.launch("places", (2, 3, 2), (4, 2, 3), (places, np.int64(len(places))))
    assert np.array_equal(places, np.arange(len(places)))


def test_what_a_device_would_not_say_is_an_error() -> None:
    library, y = load(SHIM, options(np.float32)), np.zeros(4, np.float32)
    with pytest.raises(RuntimeError, match="some_wait: a barrier was reached by some threads"):
        library.launch("some_wait", (1,), (4,), (y,))
    with pytest.raises(RuntimeError, match="beyond: the kernel has written beyond its dynamic shared memory"):
        library.launch("beyond", (1,), (4,), (y,), 16)
    for _ in range(2):
        library.launch("unset", (2,), (4,), (y,))
        assert np.isnan(y).all()
    for bad in (y.astype(np.float64), y[::2], np.float32(1), 1.0):
        with pytest.raises(TypeError, match="argument 0 of unset must be"):
            library.launch("unset", (1,), (4,), (bad,))
    for scalar in (1, np.int32(1), y):
        with pytest.raises(TypeError, match="argument 1 of places must be a NumPy scalar of i8"):
            library.launch("places", (1,), (1,), (np.zeros(1, np.int32), scalar))
    with pytest.raises(TypeError, match="unset takes 1 arguments, got 2"):
        library.launch("unset", (1,), (4,), (y, y))
    with pytest.raises(ValueError, match="name must be one of"):
        library.launch("none", (1,), (4,), (y,))
    with pytest.raises(ValueError, match="block must be 1 to 3 lengths"):
        library.launch("unset", (1,), (1025,), (y,))
    with pytest.raises(RuntimeError, match=r"does not compile the source(.|\n)*nowhere"):
        load("int i = nowhere;")
