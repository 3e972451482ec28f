r"""How a vector comes about: inputs from a seeded generator, outputs and gradients from an oracle in 40 digits.

Each operation has an `Oracle` here: who bears witness, and a function of exact numbers written from the papers' formula, not
from evenflow.reference. What an implementation may be off by comes from the oracle too: with every number that goes in moved
by one rounding of the dtype, up or down,

$$\text{tolerance} = 256\, (\max |\text{moved} - \text{exact}| + \epsilon \max(1, \max |\text{exact}|)),$$

array by array. That is the conditioning: no order of summation and no rearrangement of the formula can be asked to avoid it.
A wrong formula is off by 1e8 times more. What is no floating-point number must be equal.
"""
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evenflow.conformance.arrays import DTYPES, Array, Arrays, differentiable
from evenflow.conformance.suites import Case, Suite
from tests.tolerances import ROUNDINGS, eps
from tests.vectors.exact import exact, gradients, rounded

PLAN = "float32"  # the roundings are tried in this dtype; their effect in the other is in proportion


@dataclass(frozen=True)
class Given:
    """The inputs of a case, before anything is known of its outputs."""
    id: str
    inputs: Mapping[str, Any]
    flags: tuple[str, ...] = ()
    grads: tuple[str, ...] | None = None  # in which inputs the gradient is asked for; None: in all of Oracle.grads it has
    slack: float = 0.0                    # absolute, where the definition itself leaves room (said in a note)


@dataclass(frozen=True)
class Oracle:
    """An operation, its cases, and who knows the answers."""
    operation: str
    summary: str
    source: str
    witness: str                               # "closed form, mpmath with 40 digits" and the like
    inputs: Mapping[str, str]                  # "z": "(n,) noise"
    outputs: Mapping[str, str]
    answer: Callable[[dict[str, Any]], Mapping[str, Array]]  # exact inputs -> exact outputs
    cases: Callable[[np.random.Generator], Sequence[Given]]
    log_dets: tuple[str, ...] = ()
    grads: tuple[str, ...] = ()                # inputs to differentiate in; a name that ends in / stands for all below it
    notes: Mapping[str, str] = field(default_factory=dict)

    def suite(self) -> Suite:
        """The vectors, made anew."""
        given = self.cases(np.random.default_rng(zlib.crc32(self.operation.encode())))
        made = tuple(self.case(each) for each in given)
        notes = self.notes_of(made)
        return Suite(self.operation, self.summary, self.source, self.inputs, self.outputs, self.log_dets, notes, made)

    def notes_of(self, cases: Sequence[Case]) -> dict[str, str]:
        """Of the flags that these cases carry: oracles of one family share their notes."""
        return {flag: note for flag, note in self.notes.items() if any(flag in case.flags for case in cases)}

    def case(self, given: Given) -> Case:
        inputs = {name: representable(array) for name, array in given.inputs.items()}
        rng = np.random.default_rng(zlib.crc32(f"{self.operation}/{given.id}".encode()))
        x = {name: exact(a) for name, a in inputs.items()}
        outputs = dict(self.answer(x))
        names = self.differentiated(inputs) if given.grads is None else given.grads
        cotangents = {
            name: representable(rng.standard_normal(np.shape(out)))
            for name, out in outputs.items() if names and np.asarray(out).dtype == object
        }
        grads = self.pulled(x, cotangents, names)
        moved = [{name: off_by_one(a, rng) for name, a in x.items()} for _ in range(3)]
        off = [dict(self.answer(m)) for m in moved]
        off_grads = self.pulled(moved[0], cotangents, names)
        tolerance = {
            dtype: {
                "outputs": {k: allowed(v, [o[k] for o in off], dtype, given.slack) for k, v in outputs.items()},
                "grads": {k: allowed(v, [off_grads[k]], dtype, given.slack) for k, v in grads.items()},
            }
            for dtype in DTYPES
        }
        return Case(
            given.id, given.flags, self.witness, inputs, {k: rounded(v) for k, v in outputs.items()}, tolerance,
            cotangents, {k: rounded(v) for k, v in grads.items()},
        )

    def differentiated(self, inputs: Arrays) -> tuple[str, ...]:
        return tuple(
            name for name, array in inputs.items()
            if differentiable(array) and any(name == g or (g.endswith("/") and name.startswith(g)) for g in self.grads)
        )

    def pulled(self, x: dict[str, Any], cotangents: Arrays, names: tuple[str, ...]) -> dict[str, Array]:
        """The gradients of the sum of cotangent times output."""
        def loss(moved: dict[str, Any]) -> Any:
            outputs = self.answer(moved)
            return sum(np.sum(exact(c) * outputs[k]) for k, c in cotangents.items())

        return gradients(loss, x, names)


def representable(array: Any) -> Array:
    """As an array whose floating-point numbers are float32 numbers in float64."""
    array = np.asarray(array)
    return array.astype(np.float32).astype(np.float64) if array.dtype.kind == "f" else array


def off_by_one(a: Any, rng: np.random.Generator) -> Any:
    """Each exact number off by one rounding, up or down; single numbers are choices and stay."""
    if np.asarray(a).dtype != object or np.ndim(a) == 0:
        return a
    return a * (1 + eps(PLAN) * rng.choice([-1, 1], a.shape).astype(object))


def allowed(exactly: Array, moved: Sequence[Array], dtype: str, slack: float) -> float:
    """The error allowed in an output, by the formula at the top."""
    exactly = np.asarray(exactly)
    if exactly.dtype != object:
        if any(not np.array_equal(exactly, other) for other in moved):
            raise ValueError("a rounding of the inputs must not change what is to be equal: choose other inputs")
        return 0.0
    here = rounded(exactly)
    finite = np.isfinite(here)
    off = max((float(np.max(np.abs(rounded(m - exactly)[finite]), initial=0.0)) for m in moved), default=0.0)
    size = max(1.0, float(np.max(np.abs(here[finite]), initial=0.0)))
    return float(f"{ROUNDINGS * (off * eps(dtype) / eps(PLAN) + eps(dtype) * size) + slack:.3g}")
