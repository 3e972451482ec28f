"""An implementation's answer against a vector: one row for each kind of answer.

Kinds: values and log_det (an operation's outputs), vjp (its gradients). A row passes where every array that is asked for is
there, has the right shape and dtype, and lies within the case's tolerance; `worst` is the largest error / tolerance. A NaN
counts as infinitely wrong. An implementation that writes into its inputs fails, whatever it answers.
"""
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from evenflow.conformance.adapter import Adapter
from evenflow.conformance.arrays import Arrays, of_dtype
from evenflow.conformance.suites import Case, Suite

PASS, FAIL, UNSUPPORTED = "pass", "fail", "unsupported"
VALUES, LOG_DET, VJP = "values", "log_det", "vjp"


@dataclass(frozen=True)
class Row:
    operation: str
    kind: str
    case: str
    flags: tuple[str, ...] = ()
    status: str = PASS
    worst: float = 0.0   # the largest error / tolerance; inf where there is no number to compare
    reason: str = ""     # of a failure


def asked(suite: Suite, case: Case) -> dict[str, Mapping[str, np.ndarray]]:
    """What a case asks for, by kind."""
    values = {k: v for k, v in case.outputs.items() if k not in suite.log_dets}
    log_dets = {k: v for k, v in case.outputs.items() if k in suite.log_dets}
    kinds = {VALUES: values, LOG_DET: log_dets, VJP: dict(case.grads)}
    return {kind: arrays for kind, arrays in kinds.items() if arrays}


def rows(suite: Suite, case: Case, adapter: Adapter) -> list[Row]:
    """All kinds of one case."""
    wanted, found = asked(suite, case), []
    calls = {"call": [kind for kind in (VALUES, LOG_DET) if kind in wanted], "vjp": [VJP] if VJP in wanted else []}
    for call, kinds in calls.items():
        if kinds:
            inputs, weights = of_dtype(case.inputs, adapter.dtype), of_dtype(case.cotangents, adapter.dtype)
            answer = adapter.call if call == "call" else lambda op, x, w=weights: adapter.vjp(op, x, w)
            got, failure = answered(answer, suite.operation, inputs)
            changed = mutated(inputs, of_dtype(case.inputs, adapter.dtype))
            for kind in kinds:
                row = Row(suite.operation, kind, case.id, case.flags)
                found.append(judged(row, got, failure or changed, wanted[kind], case, adapter.dtype))
    return found


def answered(call: Callable[[str, Arrays], Arrays], operation: str, inputs: Arrays) -> tuple[Arrays | None, str]:
    """An answer, or None and why there is none ("" where the operation is unsupported)."""
    try:
        with np.errstate(all="ignore"):
            got = call(operation, inputs)
    except NotImplementedError:
        return None, ""
    except Exception as error:
        return None, f"raised {type(error).__name__}: {' '.join(str(error).split())[:160]}"
    if not isinstance(got, Mapping):
        return {}, f"answered with {type(got).__name__}, expected arrays by name"
    return got, ""


def mutated(inputs: Arrays, before: Arrays) -> str:
    """What an implementation has written into, if anything."""
    changed = [name for name in before if not np.array_equal(inputs[name], before[name])]
    return f"changed its inputs: {', '.join(changed)}" if changed else ""


def judged(
    row: Row, got: Arrays | None, failure: str, wanted: Mapping[str, np.ndarray], case: Case, dtype: str
) -> Row:
    """The row with its status."""
    if got is None and not failure:
        return Row(row.operation, row.kind, row.case, row.flags, UNSUPPORTED)
    worst, reason = 0.0, failure
    for name, want in wanted.items() if not failure else ():
        allowed = case.tolerance[dtype]["grads" if row.kind == VJP else "outputs"][name]
        error, why = distance(name, got or {}, want, allowed, dtype)
        worst, reason = max(worst, error), reason or why
    if failure:
        worst = math.inf
    return Row(row.operation, row.kind, row.case, row.flags, FAIL if reason else PASS, worst, reason)


def distance(name: str, got: Arrays, want: np.ndarray, allowed: float, dtype: str) -> tuple[float, str]:
    """The largest error of one array in tolerances, and what is wrong with it, if anything."""
    if name not in got:
        return math.inf, f"{name} is missing"
    try:
        answer = np.asarray(got[name])
    except (ValueError, TypeError, RuntimeError) as error:
        return math.inf, f"{name} is no array: {error}"
    expected = np.dtype(dtype) if want.dtype.kind == "f" else want.dtype
    if answer.dtype.kind != expected.kind or (expected.kind == "f" and answer.dtype != expected):
        return math.inf, f"{name} has dtype {answer.dtype}, expected {expected}"
    if answer.shape != want.shape:
        return math.inf, f"{name} has shape {answer.shape}, expected {want.shape}"
    if expected.kind != "f":
        wrong = int(np.sum(answer != want))
        return (math.inf, f"{name} differs in {wrong} of {want.size} entries") if wrong else (0.0, "")
    off = in_tolerances(answer.astype(np.float64), want, allowed)
    if np.isnan(answer).any() and not np.isnan(want).any():
        return math.inf, f"{name} has NaN in {int(np.isnan(answer).sum())} of {want.size} entries"
    if off <= 1:
        return off, ""
    if math.isfinite(off):
        return off, f"{name} is off by {off * allowed:.2g}"
    return off, f"{name} is infinite where it should be finite, or the other way round"


def in_tolerances(got: np.ndarray, want: np.ndarray, allowed: float) -> float:
    """max |got - want| / allowed; what is infinite must be equal."""
    same = got == want
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.where(same, 0.0, np.abs(got - want))
    if not np.isfinite(off).all():
        return math.inf
    worst = float(np.max(off, initial=0.0))
    if allowed == 0:
        return math.inf if worst else 0.0
    return worst / allowed
