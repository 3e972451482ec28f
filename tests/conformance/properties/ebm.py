"""What holds for the parts of training an energy, and for the constants and diagnostics that go with it."""
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from evenflow.conformance.adapter import Adapter
from evenflow.conformance.arrays import Array, flat
from evenflow.conformance.properties.checking import Draw, Property, ask, named, representable, slope, step, tolerance, within
from evenflow.conformance.properties.inputs import HIDDEN, layers
from evenflow.conformance.properties.samplers import CHAINS, STEP, allowed, by_its_drift, log_p, squares, target

Inputs = dict[str, Any]


def energy_inputs(draw: Draw) -> Inputs:
    rng = draw.rng
    net = flat("net", layers(rng, (draw.d, HIDDEN, 1), 0))
    return representable({"x": rng.standard_normal((draw.n, draw.d)), **net})


def each_point(adapter: Adapter, draw: Draw) -> float:
    """The energy of many points is that of each."""
    given = energy_inputs(draw)
    E = ask(adapter, "energy_mlp", given)["energy"]
    alone = np.concatenate([ask(adapter, "energy_mlp", {**given, "x": x[None]})["energy"] for x in given["x"]])
    return within("the energy of a point alone", alone, E, tolerance(adapter.dtype, E))


def tilted(adapter: Adapter, draw: Draw) -> float:
    """log p + E is log N(x; 0, s^2 I)."""
    given, s = energy_inputs(draw), 1.5
    E, log_p = ask(adapter, "energy_mlp", given)["energy"], ask(adapter, "tilted_log_prob", {**given, "sd": s})["log_prob"]
    want = -squares(given["x"]) / (2 * s**2) - draw.d * np.log(s * np.sqrt(2 * np.pi))
    return within("log p + E", log_p + E, want, tolerance(adapter.dtype, np.concatenate([E, log_p])))


def contrast(adapter: Adapter, draw: Draw) -> float:
    """The difference of the mean energies, and its gradient along one direction by central differences."""
    given, rng = energy_inputs(draw), draw.rng
    net = {k: a for k, a in given.items() if k.startswith("net/")}
    points = representable({"positives": rng.standard_normal((3, draw.d)), "negatives": rng.standard_normal((4, draw.d))})
    weights = representable({"weights": rng.dirichlet(np.ones(4))}) if rng.random() < 0.5 else {}
    out = ask(adapter, "ebm_gradient", {**net, **points, **weights})
    E = [ask(adapter, "energy_mlp", {**net, "x": x})["energy"] for x in points.values()]
    want = np.mean(E[0]) - np.sum(weights.get("weights", np.full(4, 0.25)) * E[1])
    direction = {k: rng.standard_normal(a.shape) / np.sqrt(sum(map(np.size, net.values()))) for k, a in net.items()}
    h = step(adapter.dtype)
    moved = [{k: a + side * h * direction[k] for k, a in net.items()} for side in (-1, 0, 1)]
    behind, here, ahead = (ask(adapter, "ebm_gradient", {**at, **points, **weights})["difference"] for at in moved)
    numeric, doubt = slope(behind, here, ahead, adapter.dtype)
    along = sum(np.sum(out[k.replace("net/", "gradient/")] * v) for k, v in direction.items())
    return max(within("the difference", out["difference"], want, tolerance(adapter.dtype, np.concatenate(E))),
               within("the gradient along a direction", np.asarray(along), numeric, float(doubt)))


def walkers(draw: Draw) -> Inputs:
    rng, shape = draw.rng, (CHAINS, draw.d)
    given = {"x": rng.standard_normal(shape), "noise": rng.standard_normal(shape), "step_size": STEP}
    both = {**target(rng, draw.d), **target(rng, draw.d, "next")}
    return representable({**given, **both, "log_weights": rng.standard_normal(CHAINS), "uniform": rng.random(CHAINS)})


def jarzynski(adapter: Adapter, draw: Draw) -> float:
    r"""A' - A = log p_2(x') q_2(x | x') / p_1(x) q_1(x' | x), the q from MALA's own proposals under p_1 and p_2."""
    given = walkers(draw)
    first = {k: a for k, a in given.items() if k in ("x", "noise", "step_size", "uniform") or k.startswith("target/")}
    second = {**first, **{k.replace("next/", "target/"): a for k, a in given.items() if k.startswith("next/")}}
    names = {k: a for k, a in given.items() if k not in ("x", "uniform")}
    out = ask(adapter, "jarzynski", {**names, "walkers": given["x"]})
    x = ask(adapter, "mala", first)["proposal"]
    v = by_its_drift(adapter, second, x)
    sides = log_p(given, x, "next"), log_p(given, given["x"])
    want = given["log_weights"] + sides[0] - sides[1] + (squares(given["noise"]) - squares(v)) / 2
    enough = allowed(adapter, *sides, squares(given["noise"]), squares(v))
    return max(within("walkers", out["walkers"], x, enough), within("log_weights", out["log_weights"], want, enough))


def revision(adapter: Adapter, draw: Draw) -> float:
    """ULA without noise, step after step."""
    given = walkers(draw)
    rest: Inputs = {k: a for k, a in given.items() if k == "step_size" or k.startswith("target/")}
    x = given["x"]
    for _ in range(3):
        x = ask(adapter, "ula", {**rest, "x": x, "noise": 0 * x})["x"]
    got = ask(adapter, "coopflow_revision", {**rest, "x": given["x"], "steps": np.array(3)})["x"]
    return within("x", got, x, allowed(adapter, x))


def softmax(log_weights: Array) -> Array:
    return np.exp(log_weights - np.logaddexp.reduce(log_weights))


def resampled(adapter: Adapter, draw: Draw) -> float:
    """Walker i comes n w_i times, rounded down or up."""
    rng, n = draw.rng, 12
    walkers, log_weights = rng.standard_normal((n, draw.d)), rng.standard_normal(n)
    given = representable({"walkers": walkers, "log_weights": log_weights, "uniform": rng.random()})
    x = ask(adapter, "systematic_resampling", given)["walkers"]
    same = np.all(x[:, None] == given["walkers"], axis=2)
    assert (same.sum(axis=1) == 1).all(), "a walker is none of those that were given"
    return within("how often each walker comes", same.sum(axis=0), n * softmax(given["log_weights"]), 1.001)


def effective(adapter: Adapter, draw: Draw) -> float:
    """1 / sum w^2; a constant in all log weights does not matter."""
    given = representable({"log_weights": 2 * draw.rng.standard_normal(6)})["log_weights"]
    ess, shifted = (ask(adapter, "effective_size", {"log_weights": given + c})["ess"] for c in (0.0, 512.0))
    want = np.asarray(1 / np.sum(softmax(given) ** 2))
    return max(within("ess", ess, want, 10 * tolerance(adapter.dtype, given)),
               within("ess of shifted weights", shifted, want, 10 * tolerance(adapter.dtype, np.array(512.0))))


def mirrored(adapter: Adapter, draw: Draw) -> float:
    """Who is data and who is the flow can be exchanged; where p = lambda the objective is -2 log 2."""
    names = ("log_p_data", "log_lambda_data", "log_p_samples", "log_lambda_samples")
    p, q, p_at, q_at = representable(dict(zip(names, draw.rng.standard_normal((4, 5)), strict=True))).values()
    here, there, equal = (
        ask(adapter, "fce_objective", dict(zip(names, logs, strict=True)))["value"]
        for logs in ((p, q, p_at, q_at), (q_at, p_at, q, p), (p, p, q, q))
    )
    allowed = tolerance(adapter.dtype, p)
    return max(within("the objective, exchanged", there, here, allowed),
               within("the objective at p = lambda", equal, np.asarray(-2 * np.log(2)), allowed))


def constant(operation: str, adapter: Adapter, draw: Draw) -> float:
    """log p + c: log Z + c. For the bridge, exchanging p and q turns its sign."""
    rng, c = draw.rng, 3.0
    places = ("",) if operation == "log_z_importance" else ("_at_p", "_at_q")
    given = representable({f"log_{f}{at}": rng.standard_normal(5 if at == "_at_q" else 7) for f in "pq" for at in places})
    higher = {k: a + c if k.startswith("log_p") else a for k, a in given.items()}
    here, there = (ask(adapter, operation, i)["log_z"] for i in (given, higher))
    worst = within("log Z of e^3 p", there, here + c, 10 * tolerance(adapter.dtype, here))
    if len(places) == 1:
        want = np.logaddexp.reduce(given["log_p"] - given["log_q"]) - np.log(7)
        return max(worst, within("log Z", here, np.asarray(want), 10 * tolerance(adapter.dtype, given["log_p"])))
    exchanged = {k.translate(str.maketrans("pq", "qp")): a for k, a in given.items()}
    back = ask(adapter, operation, exchanged)["log_z"]
    return max(worst, within("log Z, p and q exchanged", back, -here, 10 * tolerance(adapter.dtype, here)))


def of_grid(adapter: Adapter, draw: Draw) -> float:
    """A mixture has mass 1."""
    d = min(draw.d, 2)
    box = {"low": np.full(d, -8.0), "high": np.full(d, 8.0), "points": np.array(80)}
    log_z = ask(adapter, "log_z_grid", {**representable(target(draw.rng, d)), **box})["log_z"]
    return within("log Z", log_z, np.zeros(()), 1e-6 + 10 * tolerance(adapter.dtype, log_z))


PROPERTIES: Mapping[str, tuple[Property, ...]] = {
    "energy_mlp": named({"rows": each_point}), "tilted_log_prob": named({"tilt": tilted}),
    "ebm_gradient": named({"contrast": contrast}),
    "jarzynski": named({"ratio": jarzynski}), "coopflow_revision": named({"drift": revision}),
    "systematic_resampling": named({"counts": resampled}), "effective_size": named({"shift": effective}),
    "fce_objective": named({"mirrored": mirrored}), "log_z_grid": named({"mass": of_grid}),
    **{operation: named({"constant": partial(constant, operation)}) for operation in ("log_z_importance", "log_z_bridge")},
}
