"""Perceptron energies for the kernels that keep one in shared memory (perceptron.cuh), and how such a kernel is launched."""
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from evenflow.accel.backends import module_of
from evenflow.accel.kernels.layers import numbers
from evenflow.accel.kernels.loading import PLAIN_SHARED, attribute, blocks, function, pointer
from evenflow.accel.kernels.pieces import in_one
from evenflow.reference.core import Array, check_shape, lookup
from evenflow.reference.flows.densities import LOG_2PI

ACTIVATIONS = {"tanh": 0, "relu": 1, "leaky_relu": 2, "softplus": 3}  # the numbers of perceptron.cuh
BUSY, MOST = 128, 256  # threads of a block: a warp for each scheduler, which 64 sums a thread keep busy; the limit


Layers: TypeAlias = Sequence[tuple[Array, Array | None]]


class Form(NamedTuple):
    """UNITS, CHAINS, LANES of perceptron.cuh."""
    units: int
    chains: int
    lanes: int


FORMS = {  # bytes of a number -> the largest tile first
    4: (Form(8, 8, 8), Form(8, 4, 8), Form(4, 4, 16), Form(4, 2, 16), Form(4, 1, 16)),
    8: (Form(4, 4, 16), Form(4, 2, 16), Form(4, 1, 16)),
}


class Perceptron(NamedTuple):
    """An energy E: its widths (d, *hidden, 1), W and b of each layer, one after the other, and whether the last one has a b."""
    sizes: tuple[int, ...]
    weights: Array
    biased: bool
    activation: int


class Target(NamedTuple):
    """log p = -E + log N(0, sd^2 I), or -E where sd is None.  layers: W (fan_in, fan_out) and b (fan_out,) of a perceptron.

    The last b may be None, for 0.
    """
    layers: Layers
    activation: str
    sd: float | None


class Layout(NamedTuple):
    """What a block holds: `groups` of form.chains columns, in so many bytes of shared memory."""
    form: Form
    groups: int
    shared: int

    @property
    def columns(self) -> int:
        return self.groups * self.form.chains


def perceptron(layers: Layers, activation: str, dtype: Any) -> Perceptron:
    """layers: as of a Target, each taking what the one before gives, the last fan_out 1."""
    sizes, code = widths(layers), lookup("activation of this kernel", activation, ACTIVATIONS)
    for i, ((W, b), (fan_in, fan_out)) in enumerate(zip(layers, pairwise(sizes), strict=True)):
        check_shape(f"layers[{i}][0]", W, fan_in, fan_out)
        if b is not None or i < len(layers) - 1:
            check_shape(f"layers[{i}][1]", b, fan_out)
    xp, parts = module_of(layers[0][0]), [part for layer in layers for part in layer if part is not None]
    return Perceptron(sizes, in_one([pointer(xp, part, dtype) for part in parts]), layers[-1][1] is not None, code)


def widths(layers: Layers) -> tuple[int, ...]:
    return (*(W.shape[0] for W, _ in layers), 1)


def shared_bytes(sizes: Sequence[int], dtype: Any, form: Form, groups: int, own: int, more: int = 0) -> int:
    """Of a block: weights, and a table with the rows of x, units and parts of E, and `own` others; `more` numbers behind it."""
    size = int(np.dtype(dtype).itemsize)
    vector = 16 // size
    read = min(form.chains, vector)
    spread = [blocks(width, vector) for width in sizes[:-1]]
    weights = sum((a * vector + 1) * (b | 1) * vector for a, b in pairwise(spread)) + (spread[-1] + 1) * vector
    pitch = (groups * form.chains // read | 1) * read
    return size * (weights + pitch * (sum(spread) * vector + spread[-1] + own) + more)


def fits(xp: Any, sizes: Sequence[int], dtype: Any, more: int = 0) -> bool:
    """Whether a network with these widths (d, *hidden, 1) can stay in shared memory, with a chain and `more` numbers."""
    least = shared_bytes(sizes, dtype, FORMS[np.dtype(dtype).itemsize][-1], 1, 5 * sizes[0] + 1, more)
    return least <= attribute(xp, "sharedMemPerBlockOptin")


def layout(xp: Any, net: Perceptron, wanted: int, own: int, more: int = 0) -> Layout:
    """For `wanted` columns on each multiprocessor: the largest tile that leaves a warp for each of its schedulers.

    Where there are so few that none does, the smallest one, with as many columns as it takes: they cost no time, all its
    threads help to load the weights, and fewer multiprocessors have to. Raises ValueError where not even one column fits.
    """
    sizes, dtype, most = net.sizes, net.weights.dtype, attribute(xp, "sharedMemPerBlockOptin")
    found = None
    for form in FORMS[dtype.itemsize]:
        last, limit = form is FORMS[dtype.itemsize][-1], BUSY if form.units * form.chains == 64 else MOST
        groups = min(max(blocks(wanted, form.chains), BUSY // form.lanes if last else 0), limit // form.lanes)
        while groups and shared_bytes(sizes, dtype, form, groups, own, more) > most:
            groups -= 1
        if groups:
            found = form, groups
        if groups * form.lanes >= BUSY:
            break
    if found is None:
        raise ValueError(f"layers must fit into the device's shared memory, got widths {tuple(sizes)} in {dtype}")
    form, groups = found
    turns = blocks(wanted, groups * form.chains)
    if turns > 1:
        groups = blocks(blocks(wanted, turns), form.chains)
    return Layout(form, groups, shared_bytes(sizes, dtype, form, groups, own, more))


def tilt_args(sd: float | None, d: int, dtype: Any) -> tuple[Any, ...]:
    """Whether there is a tilt, 1 / sd, and the constant of log N(x; 0, sd^2 I)."""
    tilt = (0.0, 1.0, 0.0) if sd is None else (1.0, 1 / sd, -d * (math.log(sd) + LOG_2PI / 2))
    return tuple(map(dtype.type, tilt))


def launch(xp: Any, name: str, net: Perceptron, there: Layout, grid: int, args: tuple[Any, ...], **constants: int) -> None:
    """Run the kernel `name` of <name>.cu; its arguments without those of the network, which come first."""
    units, chains, lanes = there.form
    told = {"UNITS": units, "CHAINS": chains, "LANES": lanes, "ACTIVATION": net.activation, **constants}
    kernel = function(xp, name, name, net.weights.dtype, **told)
    if there.shared > PLAIN_SHARED:
        kernel.max_dynamic_shared_size_bytes = there.shared
    network = net.weights, numbers(xp, net.sizes), np.int32(len(net.sizes) - 1), np.int32(net.biased)
    kernel((grid,), (lanes, there.groups), (*network, *args), shared_mem=there.shared)
