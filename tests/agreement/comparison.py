"""How accel and the reference are compared, and which test compares which function.

Values and gradients of a backend, in its dtype, stand against those of the reference in float64 on the same numbers. What
may lie between them is told by the reference itself: by how much its own result moves where all numbers that go in are off
by one rounding (tests/tolerances.py). Where all backends are asked the same (Hypothesis asks each of them something else),
the reference answers once.
"""
import marshal
import pickle
from collections.abc import Callable
from functools import partial
from io import BytesIO
from types import FunctionType
from typing import Any, NamedTuple, TypeVar

import autograd.numpy as anp
import numpy as np
from autograd import grad
from hypothesis import settings
from hypothesis import strategies as st

from evenflow.reference.core.gradients import value_and_gradient
from evenflow.reference.core.looking import value
from evenflow.reference.core.trees import Array, Tree, leaves, tree_map
from tests import tolerances
from tests.agreement.backends import HOST, backend, here, host

T = TypeVar("T", bound=Callable[..., Any])
Outputs = tuple[Array, ...]

few = settings(deadline=None, derandomize=True, max_examples=20)
dtypes = st.sampled_from([np.float32, np.float64])
cotangents = st.sampled_from(["both", "first", "second"])  # which outputs anything depends on


def agreement(*names: str) -> Callable[[T], T]:
    """Mark a test as that of these functions of `dispatch.definitions`: test_completeness.py wants one for each."""
    def mark(test: T) -> T:
        test.covers = names  # type: ignore[attr-defined]
        return test

    return mark


def agree(
    where: str, f: Callable[..., Any], args: dict[str, Tree], used: str = "first", rounded: bool = True
) -> None:
    """f(**args) -> array or arrays: outputs and gradients in all of args, together and in each argument alone.

    used: the outputs that the gradient is of; rounded: False where args lie exactly on a kink, in numbers without rounding.
    """
    dtype, before = next(leaves(args)).dtype, tree_map(np.copy, args)
    exact, nearby = once(by_the_reference, f, args, used, rounded)
    size = max(float(np.max(np.abs(leaf), initial=0.0)) for leaf in leaves(args))

    def check(fast: Any, pick: Callable[[Any], Any], dtypes: set[Any]) -> None:
        result, *others = (list(leaves(pick(each))) for each in (exact, *nearby))
        for i, (a, e) in enumerate(zip(leaves(fast), result, strict=True)):
            assert a.dtype in dtypes
            assert a.shape == np.shape(e)
            np.testing.assert_array_less(
                np.abs(a - e), tolerances.agreement(dtype, e, [np.asarray(other[i]) for other in others], size)
            )

    kept = {np.dtype(dtype)}
    promoted = kept | {np.dtype(np.float64)} if where in HOST else kept  # by autograd's rules, there as they come
    # A product of finite matrices has, once in thousands of runs, raised the flag "invalid"; a NaN would fail below.
    with backend(where), np.errstate(invalid="ignore"):
        placed = here(args)
        check(host(list(outputs(f, placed))), lambda each: each[0], kept)
        check(host(list(together(f, placed, used))), list, kept)
        for name in args:
            check(host(alone(f, placed, name, used)), partial(gradient_of, name), promoted)
        tree_map(np.testing.assert_array_equal, host(placed), before)


class Expected(NamedTuple):
    exact: Any
    nearby: list[Any]  # the same of numbers that are off by one rounding


def by_the_reference(f: Callable[..., Any], args: dict[str, Tree], used: str, rounded: bool) -> Expected:
    """In float64."""
    dtype, wide = next(leaves(args)).dtype, tree_map(lambda leaf: leaf.astype(np.float64), args)
    near = [tree_map(lambda a, r=r: off_by_one(a, dtype, r), wide) for r in range(3 * rounded)]
    return Expected(together(f, wide, used), [together(f, each, used) for each in near])


known: dict[bytes, Any] = {}


def once(compute: Callable[..., Any], *question: Any) -> Any:
    """compute(*question), or what it was the last time."""
    key = written((compute, question))
    if key not in known:
        if len(known) > 64:  # backends follow each other: what is older is not asked again
            known.clear()
        known[key] = compute(*question)
    return known[key]


class Writer(pickle.Pickler):
    """Writes a function within another one as its code and what it holds of its surroundings, which pickle refuses."""

    def reducer_override(self, x: Any) -> Any:
        if isinstance(x, FunctionType) and "<locals>" in x.__qualname__:
            held = [cell.cell_contents for cell in x.__closure__ or ()]
            return tuple, ((marshal.dumps(x.__code__), held, x.__defaults__, x.__kwdefaults__),)
        return NotImplemented


def written(what: Any) -> bytes:
    """Two that are written alike are alike."""
    file = BytesIO()
    Writer(file).dump(what)
    return file.getvalue()


def gradient_of(name: str, result: tuple[list[Array], Tree]) -> Tree:
    return result[1][name]


def off_by_one(a: Array, dtype: Any, seed: int) -> Array:
    """Each number off by one rounding of dtype, up or down."""
    return a * (1 + tolerances.eps(dtype) * np.random.default_rng(seed).choice([-1.0, 1.0], a.shape))


def outputs(f: Callable[..., Any], args: Tree) -> Outputs:
    out = f(**args)
    return tuple(out) if isinstance(out, tuple) else (out,)


def weighted(out: Outputs, used: str) -> Array:
    """One number that depends on the outputs asked for: their sum with weights that differ from entry to entry."""
    total = 0.0
    for k, o in enumerate(out):
        if used in ("both", ("first", "second")[k]) or len(out) == 1:
            g = np.random.default_rng(k).standard_normal(np.shape(value(o)))
            total = total + anp.sum(here(g.astype(value(o).dtype)) * o)
    return total


def together(f: Callable[..., Any], args: dict[str, Tree], used: str) -> tuple[list[Array], Tree]:
    """The outputs as the trace saw them, and the gradient in all of args, as a training step takes it."""
    seen: list[Array] = []

    def loss(args: Tree) -> Array:
        out = outputs(f, {name: args[name] for name in args})
        seen[:] = [value(o) for o in out]
        return weighted(out, used)

    return seen, value_and_gradient(loss, args)[1]


def alone(f: Callable[..., Any], args: dict[str, Tree], name: str, used: str) -> Tree:
    """The gradient in one argument, the others fixed, by autograd's own grad."""
    return grad(lambda arg: weighted(outputs(f, {**args, name: arg}), used))(args[name])
