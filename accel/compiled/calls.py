"""The C++ of this folder, called on NumPy arrays. It looks at no shape: whoever calls has compared them with the plan's."""
import ctypes
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from evenflow.accel.buffers import cut, joined
from evenflow.accel.compiler import library
from evenflow.accel.core.elementwise import ACTIVATIONS
from evenflow.reference.core import Array
from evenflow.reference.flows import Coupling

NAMES = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
LINE = 64  # bytes of the cache
State = tuple[Array, Array, Array]  # x (n, d), log p (n,), score (n, d)


class Plan(NamedTuple):
    """A model for C++: whole numbers in the order in which kernels.cpp reads them, limits of log scales, the leaves' shapes."""
    numbers: Any
    limits: Any
    shapes: tuple[tuple[int, ...], ...]  # of W, b, W, b, ... of each perceptron


def perceptron(widths: Sequence[int], activation: str) -> tuple[list[int], list[tuple[int, ...]]]:
    shapes: list[tuple[int, ...]] = [shape for k, m in pairwise(widths) for shape in ((k, m), (m,))]
    return [len(widths) - 1, ACTIVATIONS.index(activation), *widths], shapes


@cache
def plan_of_energy(activation: str, widths: tuple[int, ...]) -> Plan:
    numbers, shapes = perceptron(widths, activation)
    return Plan((ctypes.c_int64 * len(numbers))(*numbers), None, tuple(shapes))


@cache
def plan_of_chain(couplings: tuple[Coupling, ...], back: bool) -> Plan:
    """Affine couplings from noise to data."""
    numbers, shapes, limits = [couplings[0].d, len(couplings), int(back)], [], []
    for each in couplings:
        transformer: Any = each.transformer
        of_net, of_leaves = perceptron((each.net.inputs, *each.hidden, each.net.outputs), each.activation)
        which = [[i for i, passes in enumerate(each.mask) if passes == stays] for stays in (True, False)]
        numbers += [*of_net, *map(len, which), *which[0], *which[1]]
        shapes += of_leaves
        limits.append(transformer.limit)
    return Plan((ctypes.c_int64 * len(numbers))(*numbers), (ctypes.c_double * len(limits))(*limits), tuple(shapes))


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


def whole(leaves: list[Array]) -> Array:
    """All numbers of leaves of one dtype behind each other, without a copy where they lie so already."""
    return np.ascontiguousarray(joined(leaves))


def aligned(n: int, dtype: Any) -> Array:
    """An empty (n,) that begins where a line of the cache begins."""
    room = np.empty(n + LINE // dtype.itemsize, dtype)
    start = -room.__array_interface__["data"][0] % LINE // dtype.itemsize
    return room[start : start + n]


class Pass:
    """A chain of affine couplings with its leaves."""

    def __init__(self, plan: Plan, leaves: list[Array]) -> None:
        self.plan, self.leaves = plan, whole(leaves)
        self.given = plan.numbers, plan.limits, address(self.leaves)

    def forward(self, x: Array, keep: bool) -> tuple[Array, Array, Array]:
        """x (n, d) -> image (n, d), log_det (n,), and what `backward` needs, if it is to be kept."""
        x, n, kind = np.ascontiguousarray(x), len(x), x.dtype
        block, size = function("block", kind, ctypes.c_int64)(), function("kept", kind, ctypes.c_int64)(self.plan.numbers)
        image, log_det = np.empty_like(x), np.empty(n, kind)
        kept = aligned(size * (-(-n // block) if keep else 1), kind)
        function("chain_forward", kind)(
            *self.given, ctypes.c_int64(n), *map(address, (x, image, log_det, kept)), ctypes.c_int64(size if keep else 0)
        )
        return image, log_det, kept

    def backward(self, g: Array, g_log_det: Array, kept: Array, leaves: bool) -> tuple[Array, list[Array]]:
        """The adjoints of x and, if wanted, of all leaves."""
        g, g_log_det, kind = np.ascontiguousarray(g), np.ascontiguousarray(g_log_det), g.dtype
        of_x, of_leaves = np.empty_like(g), np.zeros(self.leaves.size if leaves else 0, kind)
        function("chain_backward", kind)(
            *self.given, ctypes.c_int64(len(g)), *map(address, (g, g_log_det, kept, of_x)),
            address(of_leaves) if leaves else None,
        )
        return of_x, cut(of_leaves, self.plan.shapes) if leaves else []


class Energy:
    """log p = -E(x) - precision |x|^2 / 2 + constant, E a perceptron with these leaves; with a way T, -E(T(x)) in its place."""

    def __init__(self, plan: Plan, leaves: list[Array], precision: float, constant: float, way: Pass | None = None) -> None:
        self.leaves, self.way = whole(leaves), way
        of_way = (None, None, None) if way is None else way.given
        self.given = plan.numbers, address(self.leaves), ctypes.c_double(precision), ctypes.c_double(constant), *of_way

    def density(self, x: Array) -> tuple[Array, Array]:
        """log p (n,) and its gradient (n, d)."""
        x = np.ascontiguousarray(x)
        log_p, score = np.empty(len(x), x.dtype), np.empty_like(x)
        function("density", x.dtype)(*self.given, ctypes.c_int64(len(x)), *map(address, (x, log_p, score)))
        return log_p, score

    def walk(
        self, state: State, noises: Sequence[Array], uniforms: Sequence[Array] | None, step_size: float
    ) -> tuple[State, Array, Array, Array] | None:
        """All steps of MALA, or without uniforms of ULA: the state at the end, positions, acceptances and log ratios.

        None where something was not finite.
        """
        x, log_p, score = (np.array(part, order="C") for part in state)
        steps, (n, d), kind = len(noises), x.shape, x.dtype
        path, accepted, log_ratio = np.empty((steps, n, d), kind), np.empty((steps, n), bool), np.empty((steps, n), kind)
        noises, uniforms = list(map(np.ascontiguousarray, noises)), uniforms and list(map(np.ascontiguousarray, uniforms))
        fine = function("walk", kind, ctypes.c_int)(
            *self.given, ctypes.c_double(step_size), ctypes.c_int64(steps), ctypes.c_int64(n), *map(address, (x, log_p, score)),
            addresses(noises), uniforms and addresses(uniforms), *map(address, (path, accepted, log_ratio)),
        )
        return ((x, log_p, score), path, accepted, log_ratio) if fine else None
