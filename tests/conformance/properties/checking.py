r"""What a property is, how it is asked, and how far an answer may be off.

A property holds for all legal inputs, and needs no oracle: Hypothesis draws a shape and a seed, a NumPy generator the numbers.
`check(adapter)` gives the largest error / tolerance that it has met, at most 1; a property that does not hold is an
AssertionError, with what is off, by how much, and the example. NotImplementedError: the adapter lacks an operation. What the
adapter raises goes through.

Where an answer is computed from a number that carries one rounding already, the tolerance is that of the vectors,

$$256\, (\text{what the rounding does} + \epsilon \max(1, \text{size})),$$

but never more than LARGEST: what a broken map does with a rounding is no excuse. Derivatives are central differences of the
adapter's own answers with the step h = cbrt(eps), in doubt by 16 roundings / h and by the second difference / h, which
bounds what curvature and a kink can do.
"""
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st

from evenflow.conformance.adapter import Adapter
from evenflow.conformance.arrays import Array, Arrays, of_dtype
from evenflow.conformance.compare import in_tolerances, mutated

EXAMPLES = 25
ROUNDINGS = 256
LARGEST = 0.1


@dataclass(frozen=True)
class Property:
    name: str
    check: Callable[[Adapter], float]
    level: str = "properties"  # or "statistics"


@dataclass(frozen=True)
class Draw:
    """What Hypothesis has drawn: n rows of d numbers, c of a context (0: none), and where the numbers come from."""
    n: int
    d: int
    c: int
    seed: int

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)


Body = Callable[[Adapter, Draw], float]
quiet = settings(
    deadline=None, derandomize=True, database=None, print_blob=False, report_multiple_bugs=False,
    verbosity=Verbosity.quiet, phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
)


def for_all(body: Body, share: float, adapter: Adapter) -> float:
    """The largest error / tolerance of this share of EXAMPLES; those that the adapter does not support do not count."""
    met: list[float] = []
    lacking: list[NotImplementedError] = []

    @settings(quiet, max_examples=max(1, round(share * EXAMPLES)))
    @given(st.sampled_from([1, 3]), st.sampled_from([1, 2, 3, 4]), st.sampled_from([0, 2]), st.integers(0, 9999))
    def example(n: int, d: int, c: int, seed: int) -> None:
        draw = Draw(n, d, c, seed)
        try:
            met.append(body(adapter, draw))
        except NotImplementedError as error:
            lacking.append(error)
        except AssertionError as error:
            raise AssertionError(f"{error}, at {draw}") from None

    example()
    if not met:
        raise lacking[0]
    return max(met)


def named(bodies: Mapping[str, Body], share: float = 1.0) -> tuple[Property, ...]:
    return tuple(Property(name, partial(for_all, body, share)) for name, body in bodies.items())


def ask(adapter: Adapter, operation: str, inputs: Arrays) -> dict[str, Array]:
    """The answer, in float64, once its dtype is right, it is finite, and the inputs are what they were."""
    given, before = of_dtype(inputs, adapter.dtype), of_dtype(inputs, adapter.dtype)
    with np.errstate(all="ignore"):
        outputs = {name: np.asarray(out) for name, out in adapter.call(operation, given).items()}
    assert not (changed := mutated(given, before)), f"{operation} {changed}"
    for name, out in outputs.items():
        if out.dtype.kind == "f":
            assert out.dtype == adapter.dtype, f"{operation}: {name} has dtype {out.dtype}, expected {adapter.dtype}"
            assert np.isfinite(out).all(), f"{operation}: {name} is not finite in {int(np.sum(~np.isfinite(out)))} entries"
    return {name: out.astype(np.float64) if out.dtype.kind == "f" else out for name, out in outputs.items()}


def within(what: str, got: Array, want: Array, tolerance: float) -> float:
    """The largest error in tolerances; AssertionError where it is above 1."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"{what} has shape {got.shape}, expected {want.shape}"
    off = in_tolerances(got, want, tolerance)
    assert off <= 1, f"{what} is off by {off * tolerance:.2g}, allowed are {tolerance:.2g}"
    return off


def above(what: str, got: float, least: float) -> float:
    """The other way round: what must not vanish."""
    assert got > least, f"{what} is {got:.2g}, expected more than {least:.2g}"
    return least / got


def eps(dtype: str) -> float:
    return float(np.finfo(dtype).eps)


def tolerance(dtype: str, size: Array, rounding: float = 0.0) -> float:
    """The formula at the top. size: of the numbers on the way; rounding: what one of them does."""
    largest = max(1.0, float(np.max(np.abs(size), initial=0.0)))
    return min(ROUNDINGS * (rounding + eps(dtype) * largest), LARGEST * largest)


def shaken(f: Callable[[Array], Array], point: Array, dtype: str) -> float:
    """How far f(point) moves where every number of the point is off by one rounding, up or down: that of ROUNDINGS, scaled.

    Not of more: a way that leads out of a steep piece of the map shows less than a rounding does inside it.
    """
    signs = np.random.default_rng(0).choice([-1.0, 1.0], point.shape)
    moved = f(point + ROUNDINGS * eps(dtype) * np.maximum(1.0, np.abs(point)) * signs) - f(point)
    return float(np.max(np.abs(moved), initial=0.0)) / ROUNDINGS


def slope(behind: Array, here: Array, ahead: Array, dtype: str) -> tuple[Array, Array]:
    """A central difference of step(dtype), and how much it is in doubt."""
    h = step(dtype)
    roundings = 16 * eps(dtype) * np.maximum(1.0, np.abs(here))
    return (ahead - behind) / (2 * h), (np.abs(ahead - 2 * here + behind) + roundings) / h


def step(dtype: str) -> float:
    return float(np.cbrt(eps(dtype)))


def representable(inputs: dict[str, Any]) -> dict[str, Array]:
    """As arrays whose floating-point numbers are float32 numbers in float64: the same for adapters of either dtype."""
    return of_dtype(of_dtype(inputs, "float32"), "float64")
