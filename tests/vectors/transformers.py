"""What couplings and autoregressive layers do to one number: affine, with log scale = limit tanh(raw / limit), or a spline."""
from collections.abc import Callable
from typing import Any, NamedTuple

from evenflow.conformance.arrays import Array
from tests.vectors.exact import exp, tanh
from tests.vectors.spline import Pair, bounded_spline, bounded_spline_inverse


class Transformer(NamedTuple):
    name: str
    choice: str                       # the name of the input that goes with it
    meaning: str                      # of that
    forward: Callable[..., Pair]      # z, raw, choice -> x, log dx/dz
    inverse: Callable[..., Pair]      # x, raw, choice -> z, log dz/dx
    width: int                        # of raw, in the cases here


def affine(z: Any, raw: Array, limit: Any) -> Pair:
    s = limit * tanh(raw[0] / limit)
    return z * exp(s) + raw[1], s


def affine_inverse(x: Any, raw: Array, limit: Any) -> Pair:
    s = limit * tanh(raw[0] / limit)
    return (x - raw[1]) / exp(s), -s


AFFINE = Transformer("affine", "limit", "log scale = limit tanh(raw / limit)", affine, affine_inverse, 2)
SPLINE = Transformer("spline", "bound", "the spline's square is [-bound, bound]^2", bounded_spline, bounded_spline_inverse, 5)
