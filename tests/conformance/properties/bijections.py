"""What holds for every bijection: there and back, the log_det, rows, zeros where nothing may pass, an answer to the context.

Each direction is an operation: NAME goes from z to x, NAME_inverse from x to z, each with its own log_det.
"""
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from hypothesis import assume

from evenflow.conformance.adapter import Adapter
from evenflow.conformance.arrays import Array
from evenflow.conformance.properties.checking import (
    ROUNDINGS,
    Draw,
    Property,
    above,
    ask,
    eps,
    named,
    shaken,
    slope,
    step,
    tolerance,
    within,
)
from evenflow.conformance.properties.inputs import ELEMENTWISE, LAYERS, bijection_inputs, repeated, rows

CONTEXTUAL = ("dense", "plu", "coupling_affine", "coupling_spline", "autoregressive_affine", "autoregressive_spline", "saef")
TRIANGULAR = ("autoregressive_affine", "autoregressive_spline", "saef")
WAYS = {"z": "", "x": "_inverse"}  # from where: the operation's ending


def round_trip(name: str, a: str, adapter: Adapter, draw: Draw) -> float:
    """From a to b and back: the same a, and log_dets that add up to zero."""
    there, (b, back) = name + WAYS[a], next((b, name + ending) for b, ending in WAYS.items() if b != a)
    inputs = bijection_inputs(name, a, draw)
    rest = {k: v for k, v in inputs.items() if k != a}
    out = ask(adapter, there, inputs)
    assume(out["log_det"].min() > np.log(ROUNDINGS * eps(adapter.dtype)))  # else b is its roundings

    def again(point: Array) -> dict[str, Array]:
        return ask(adapter, back, {**rest, b: point})

    found, size = again(out[b]), np.concatenate([inputs[a].ravel(), out[b].ravel()])
    off = max(shaken(lambda v: again(v)[a], out[b], adapter.dtype),
              shaken(lambda v: again(v)["log_det"], out[b], adapter.dtype))
    allowed = tolerance(adapter.dtype, size, off)
    total = out["log_det"] + found["log_det"]
    return max(within(f"{a} after {b}", found[a], inputs[a], allowed),
               within("the sum of both log_dets", total, 0 * total, allowed))


def log_det(name: str, a: str, adapter: Adapter, draw: Draw) -> float:
    """Against the Jacobian of the adapter's own answers, by central differences."""
    inputs, operation, b = bijection_inputs(name, a, draw), name + WAYS[a], "x" if a == "z" else "z"
    here = inputs[a][:, None] if name in ELEMENTWISE else inputs[a]
    n, d = here.shape
    moves = step(adapter.dtype) * np.stack([0 * np.eye(d)[0], *np.eye(d), *-np.eye(d)])  # (1 + 2d, d)
    points = (here + moves[:, None]).reshape(-1, *inputs[a].shape[1:])
    out = ask(adapter, operation, {**repeated(inputs, len(moves)), a: points})
    at = out[b].reshape(len(moves), n, d)
    J, doubt = slope(at[1 + d:], at[0], at[1:1 + d], adapter.dtype)                       # (d, n, d): by z_j, row, x_i
    J, doubt = np.moveaxis(J, 0, 2), np.moveaxis(doubt, 0, 2)
    truth = np.linalg.slogdet(J)[1]
    said = out["log_det"].reshape(len(moves), -1)[0]
    worst = 0.0
    for i in range(n):
        if not np.isfinite(truth[i]):  # so flat that nothing moves: then log_det is below what Hadamard allows for the doubt
            most = np.sum(np.log(np.linalg.norm(np.abs(J[i]) + doubt[i], axis=1)))
            assert said[i] <= most, f"the Jacobian of {b} is singular, the log_det of row {i} is {said[i]:.2g}"
            continue
        allowed = float(np.sum(np.abs(np.linalg.inv(J[i]).T) * doubt[i])) + tolerance(adapter.dtype, truth)
        assume(allowed <= 0.3)  # else the differences can say nothing: a steep map in float32
        worst = max(worst, within(f"log_det of row {i}", said[i], truth[i], allowed))
    return worst


def each_row(name: str, a: str, adapter: Adapter, draw: Draw) -> float:
    """A batch is its rows, one by one."""
    inputs, operation = bijection_inputs(name, a, draw), name + WAYS[a]
    together, worst = ask(adapter, operation, inputs), 0.0
    for i in range(draw.n):
        alone = ask(adapter, operation, rows(inputs, slice(i, i + 1)))
        for key, out in together.items():
            worst = max(worst, within(f"{key} of row {i} alone", alone[key][0], out[i], 4 * tolerance(adapter.dtype, out)))
    return worst


def triangular(name: str, a: str, adapter: Adapter, draw: Draw) -> float:
    """What comes later in the order changes nothing before it."""
    inputs, operation, b = bijection_inputs(name, a, draw), name + WAYS[a], "x" if a == "z" else "z"
    order = inputs["order"].tolist()
    sizes = inputs.get("sizes", np.ones(draw.d, int))
    out, worst = ask(adapter, operation, inputs)[b], 0.0
    for end in np.cumsum(sizes)[:-1].tolist():
        moved = inputs[a].copy()
        moved[:, order[end:]] += 1.0
        after = ask(adapter, operation, {**inputs, a: moved})[b]
        before = order[:end]
        what = f"{b} at {before} after {a} at {order[end:]} has moved"
        worst = max(worst, within(what, after[:, before], out[:, before], tolerance(adapter.dtype, out)))
    return worst


def passing(name: str, a: str, adapter: Adapter, draw: Draw) -> float:
    """Where the mask is True nothing changes, to the last bit; elsewhere no coordinate answers to another such."""
    inputs, operation, b = bijection_inputs(name, a, draw), name + WAYS[a], "x" if a == "z" else "z"
    mask, out = inputs["mask"], ask(adapter, operation, inputs)[b]
    worst = within("what passes", out[:, mask], inputs[a][:, mask], eps(adapter.dtype))
    for i in np.flatnonzero(~mask):
        others = ~mask & (np.arange(draw.d) != i)
        after = ask(adapter, operation, {**inputs, a: inputs[a] + 1.0 * others})[b]
        what = f"{b} at {i} after {a} at {np.flatnonzero(others).tolist()} has moved"
        worst = max(worst, within(what, after[:, i], out[:, i], tolerance(adapter.dtype, out)))
    return worst


def answers_to_context(name: str, a: str, adapter: Adapter, draw: Draw) -> float:
    """Each coordinate that is transformed at all, the first too, moves with the context. Within the bounds of splines."""
    draw = Draw(draw.n, draw.d, 2, draw.seed)
    inputs, operation, b = bijection_inputs(name, a, draw), name + WAYS[a], "x" if a == "z" else "z"
    inputs[a] = np.tanh(inputs[a])
    out = ask(adapter, operation, inputs)[b]
    after = ask(adapter, operation, {**inputs, "context": inputs["context"] + 1.0})[b]
    transformed = ~inputs.get("mask", np.zeros(draw.d, bool))
    moved = np.abs(after - out).max(axis=0)[transformed].min()
    return above(f"the move of a coordinate of {b} with the context", moved, tolerance(adapter.dtype, 1.0) / 100)


def about(name: str, a: str) -> tuple[Property, ...]:
    """All that is asked of one direction."""
    bodies: dict[str, Any] = {"inverse": round_trip, "jacobian": log_det, "rows": each_row}
    if name in TRIANGULAR:
        bodies["autoregressive"] = triangular
    if name.startswith("coupling"):
        bodies["coupling"] = passing
    if name in CONTEXTUAL:
        bodies["context"] = answers_to_context
    return named({what: partial(body, name, a) for what, body in bodies.items()})


PROPERTIES: Mapping[str, tuple[Property, ...]] = {
    name + ending: about(name, a) for name in ELEMENTWISE | LAYERS for a, ending in WAYS.items()
}
