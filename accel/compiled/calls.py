"""The C++ of this folder, called on NumPy arrays. The models come as plans: whole numbers in the order that kernels.cpp reads."""
import ctypes
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from evenflow.accel.compiled.building import library
from evenflow.accel.core.elementwise import ACTIVATIONS
from evenflow.accel.flows.coupling import Layer
from evenflow.reference.core import Array

NAMES = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
LINE = 64  # bytes
Plan = tuple[int, ...]


@cache
def function(name: str, dtype: Any, result: Any = None) -> Any:
    found = getattr(library(), f"{NAMES[dtype]}_{name}")
    found.restype = result
    return found


def address(array: Array) -> Any:
    return ctypes.c_void_p(array.__array_interface__["data"][0])


def addresses(arrays: Iterable[Array]) -> Any:
    found = [array.__array_interface__["data"][0] for array in arrays]
    return (ctypes.c_void_p * len(found))(*found)


def aligned(n: int, dtype: Any) -> Array:
    """An empty (n,) that begins where a line of the cache begins."""
    room = np.empty(n + LINE // dtype.itemsize, dtype)
    start = -room.__array_interface__["data"][0] % LINE // dtype.itemsize
    return room[start : start + n]


@cache
def numbers(plan: Plan) -> Any:
    return (ctypes.c_int64 * len(plan))(*plan)


@cache
def limits_of(limits: tuple[float, ...]) -> Any:
    return (ctypes.c_double * len(limits))(*limits)


def fit(leaves: Sequence[Array], inputs: int, outputs: int) -> bool:
    """Whether W, b, W, b, ... are those of a perceptron with so many inputs and outputs: C++ looks at no shape."""
    W, b = leaves[::2], leaves[1::2]
    ends = [inputs, *(w.shape[-1] for w in W)]
    return ends[-1] == outputs and all(
        w.shape == (k, m) and bias.shape == (m,) for w, bias, k, m in zip(W, b, ends[:-1], ends[1:], strict=True)
    )


def perceptron(activation: str, leaves: Iterable[Array]) -> Plan:
    """leaves: W, b, W, b, ..."""
    W = list(leaves)[::2]
    return (len(W), ACTIVATIONS.index(activation), len(W[0]), *(w.shape[1] for w in W))


class Chain:
    """A chain of affine couplings and its leaves, W, b, W, b, ... layer by layer."""

    def __init__(self, layers: list[Layer], counts: list[int], leaves: Iterable[Array]) -> None:
        self.leaves = list(map(np.ascontiguousarray, leaves))
        plan, at = [0, len(layers), int(layers[0].back)], 0
        for layer, count in zip(layers, counts, strict=True):
            plan += perceptron(layer.net.activation, self.leaves[at : at + count])
            plan += [len(layer.passing), len(layer.moved), *layer.passing, *layer.moved]
            at += count
        plan[0] = len(layers[0].passing) + len(layers[0].moved)
        self.plan, self.limits = numbers(tuple(plan)), limits_of(tuple(layer.transformer.limit for layer in layers))
        self.given = self.plan, self.limits, addresses(self.leaves)

    def forward(self, x: Array, keep: bool) -> tuple[Array, Array, Array]:
        """x (n, d) -> image (n, d), log_det (n,), and what `backward` needs, if it is to be kept."""
        x, n, kind = np.ascontiguousarray(x), len(x), x.dtype
        block, size = function("block", kind, ctypes.c_int64)(), function("kept", kind, ctypes.c_int64)(self.plan)
        image, log_det = np.empty_like(x), np.empty(n, kind)
        kept = aligned(size * (-(-n // block) if keep else 1), kind)
        function("chain_forward", kind)(
            *self.given, ctypes.c_int64(n), *map(address, (x, image, log_det, kept)), ctypes.c_int64(size if keep else 0)
        )
        return image, log_det, kept

    def backward(self, g: Array, g_log_det: Array, kept: Array, leaves: bool) -> tuple[Array, list[Array]]:
        """The adjoints of x and, if wanted, of all leaves."""
        g, g_log_det, kind = np.ascontiguousarray(g), np.ascontiguousarray(g_log_det), g.dtype
        of_x, of_leaves = np.empty_like(g), np.zeros(sum(leaf.size for leaf in self.leaves) if leaves else 0, kind)
        function("chain_backward", kind)(
            *self.given, ctypes.c_int64(len(g)), *map(address, (g, g_log_det, kept, of_x)), address(of_leaves) if leaves else None
        )
        if not leaves:
            return of_x, []
        parts = np.split(of_leaves, np.cumsum([leaf.size for leaf in self.leaves])[:-1])
        return of_x, [part.reshape(leaf.shape) for part, leaf in zip(parts, self.leaves, strict=True)]


class Energy:
    """log p = -E(x) - precision |x|^2 / 2 + constant. leaves: those of E, W, b, ..."""

    def __init__(self, activation: str, leaves: Iterable[Array], precision: float, constant: float) -> None:
        self.leaves = list(map(np.ascontiguousarray, leaves))
        self.given = (
            numbers(perceptron(activation, self.leaves)), addresses(self.leaves), ctypes.c_double(precision),
            ctypes.c_double(constant),
        )

    def density(self, x: Array) -> tuple[Array, Array]:
        """log p (n,) and its gradient (n, d)."""
        x = np.ascontiguousarray(x)
        log_p, score = np.empty(len(x), x.dtype), np.empty_like(x)
        function("density", x.dtype)(*self.given, ctypes.c_int64(len(x)), *map(address, (x, log_p, score)))
        return log_p, score

    def mala(
        self, state: tuple[Array, Array, Array], noises: list[Array], uniforms: list[Array], step_size: float
    ) -> tuple[tuple[Array, Array, Array], Array, Array, Array] | None:
        """All steps: x, log p and score at the end, path, accepted, log ratios; None where something was not finite."""
        x, log_p, score = after = tuple(np.array(part, order="C") for part in state)
        steps, (n, d), kind = len(noises), x.shape, x.dtype
        path, accepted, log_ratio = np.empty((steps, n, d), kind), np.empty((steps, n), bool), np.empty((steps, n), kind)
        noises, uniforms = (list(map(np.ascontiguousarray, arrays)) for arrays in (noises, uniforms))
        fine = function("mala", kind, ctypes.c_int)(
            *self.given, ctypes.c_double(step_size), ctypes.c_int64(steps), ctypes.c_int64(n), *map(address, (x, log_p, score)),
            addresses(noises), addresses(uniforms), *map(address, (path, accepted, log_ratio)),
        )
        return (after, path, accepted, log_ratio) if fine else None
