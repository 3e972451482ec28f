r"""Operations with a hand-derived adjoint: however much one of them computes, autograd sees one node.

    forward(*args) -> (outputs, saved)         plain arrays in, a tuple of arrays out, and what the way back needs
    backward(saved, wanted, *g) -> gradients   g: one for each output, None where nothing depends on it;
                                               one gradient for each argument number in `wanted`

autograd's nodes have one output. The first output is the node; each further one hangs below it as a node without
arithmetic: on the way back (children come before parents) it hands its g to the common `Tape`, and the first output's
node, whose turn comes next, finds all g there and runs `backward` once.
"""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from autograd.extend import SparseObject, defvjp_argnum, defvjp_argnums, primitive, vspace
from autograd.tracer import isbox

from evenflow.reference.core import Array

Forward = Callable[..., tuple[tuple[Array, ...], Any]]
Backward = Callable[..., Sequence[Array]]


class Tape:
    """What one call leaves for its way back."""

    def __init__(self, forward: Forward, backward: Backward) -> None:
        self.forward, self.backward = forward, backward
        self.outputs: tuple[Array, ...] = ()
        self.saved: Any = None
        self.mixed = False  # whether the dtypes of the arguments differed
        self.pending: dict[int, Array] = {}


def nothing(like: Array) -> SparseObject:
    """The gradient that a further output passes on to the first one: none, but the first one's turn will come."""
    return SparseObject(vspace(like), add_nothing)


def add_nothing(total: Array) -> Array:
    return total


def fused(forward: Forward, backward: Backward, plain: Forward | None = None) -> Callable[..., tuple[Array, ...]]:
    """One operation on the tape out of its two directions. All its outputs come back, as a tuple.

    plain: the way forth where there will be no way back, if that can be had for less.
    """
    def call(*args: Any) -> tuple[Array, ...]:
        if not any(map(isbox, args)):
            return (plain or forward)(*of_one_dtype(args))[0]
        tape = Tape(forward, backward)
        first = _first(tape, *args)
        return (first, *(_further(tape, i, first) for i in range(1, len(tape.outputs))))

    return call


def run(tape: Tape, *args: Any) -> Array:
    alike = of_one_dtype(args)
    tape.mixed = alike is not args
    tape.outputs, tape.saved = tape.forward(*alike)
    return tape.outputs[0]


def run_back(argnums: Sequence[int], ans: Array, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[Any], Any]:
    tape = args[0]
    if any(map(isbox, args[1:])):
        raise NotImplementedError("fused operations have first derivatives only: for second ones use the reference backend")

    def vjp(g: Array | None) -> Sequence[Array]:
        if isbox(g):
            raise NotImplementedError("fused operations have first derivatives only: use the reference backend")
        given, tape.pending = tape.pending, {}
        each = [g, *map(given.get, range(1, len(tape.outputs)))]
        gs = [in_dtype(part, out) for part, out in zip(each, tape.outputs, strict=True)]
        grads: Sequence[Array] = tape.backward(tape.saved, tuple(n - 1 for n in argnums), *gs)
        return [in_dtype(part, args[n]) for n, part in zip(argnums, grads, strict=True)] if tape.mixed else grads

    return vjp


def of_one_dtype(args: Sequence[Any]) -> Sequence[Any]:
    """With the arrays among them in the dtype that NumPy's promotion gives all together: results are written into buffers."""
    dtypes = {arg.dtype for arg in args if hasattr(arg, "dtype")}
    if len(dtypes) < 2:
        return args
    widest = np.result_type(*dtypes)
    return [arg.astype(widest) if getattr(arg, "dtype", widest) != widest else arg for arg in args]


def in_dtype(g: Array | None, out: Array) -> Array | None:
    """An adjoint in the dtype of its array: some of autograd's rules turn float32 into float64."""
    return g if g is None or g.dtype == out.dtype else g.astype(out.dtype)


def hand_over(argnum: int, ans: Array, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[Array], SparseObject]:
    tape, i, first = args

    def vjp(g: Array) -> SparseObject:
        tape.pending[i] = g
        return nothing(first)

    return vjp


_first = primitive(run)
defvjp_argnums(_first, run_back)
_further = primitive(lambda tape, i, first: tape.outputs[i])
defvjp_argnum(_further, hand_over)
