r"""What holds for the scores and distances of samples: energy, sliced energy, kernels, in any dimension.

With S the score of a forecast by its draws, D the distance of two samples, U and V the two estimators, exactly:

    rigid        a rotation and a shift of all points change nothing
    scaled       S(c x, c y) = |c|^beta S(x, y); for the RBF kernel with bandwidths |c| s, for the linear one with c^2
    order        of the draws: it does not matter
    shared       draws (m, d) for all y are draws (m, n, d) repeated
    pairs        U is the mean over all pairs of draws of U of the two
    estimators   m V = (m - 1) U + the mean over i of V of draw i alone (twice, so that it is a sample)
    difference   D_V(x, y) = 2 mean_j (S_V(x, y_j) - S_V(y, y_j))
    equal        D_V(x, x) = 0, and D(x, y) = D(y, x)

and the kernel -|x - y|^beta + |x|^beta + |y|^beta makes energy score and distance of kernel score and MMD. Where norms are
smoothed, as evenflow's are, they are off by SMOOTHING at most.
"""
from collections.abc import Callable, Mapping
from functools import partial
from itertools import combinations, product
from typing import Any

import numpy as np

from evenflow.conformance.adapter import Adapter
from evenflow.conformance.arrays import Array
from evenflow.conformance.properties.checking import Body, Draw, Property, ask, named, representable, tolerance, within

SMOOTHING = 1e-7
DISTANCES = {"energy_score": "energy_distance", "sliced_energy_score": "sliced_energy_distance", "kernel_score": "mmd"}
SCORES = (*DISTANCES,)
Inputs = dict[str, Any]
Change = Callable[[str, Inputs, np.random.Generator], tuple[Inputs, float]]


def inputs(operation: str, draw: Draw) -> Inputs:
    """draws (3 or 4, n, d) and y (n, d), or samples x (3, d) and y (4, d)."""
    rng = draw.rng
    m, d = int(rng.integers(3, 5)), draw.d
    made: Inputs = {"draws": rng.standard_normal((m, draw.n, d)), "y": rng.standard_normal((draw.n, d))}
    if operation in DISTANCES.values():
        made = {"x": rng.standard_normal((3, d)), "y": 0.5 + rng.standard_normal((4, d))}
    made |= {"beta": float(rng.choice([0.5, 1.0, 1.5])), "estimator": np.array(rng.choice(["U", "V"]))}
    if "sliced" in operation:
        made["directions"] = unit(rng.standard_normal((3, d)))
    if operation in ("kernel_score", "mmd"):
        made |= kernel(str(rng.choice(["rbf", "linear", "distance"])), made.pop("beta"))
    return representable(made)


def kernel(name: str, beta: float) -> Inputs:
    """The choices of a kernel."""
    only: dict[str, Inputs] = {"rbf": {"bandwidths": np.array([0.5, 2.0])}, "linear": {}, "distance": {"beta": beta}}
    return {"kernel": np.array(name), **only[name]}


def unit(v: Array) -> Array:
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def value(adapter: Adapter, operation: str, given: Inputs) -> Array:
    return ask(adapter, operation, given)["distance" if operation in DISTANCES.values() else "score"]


def close(adapter: Adapter, what: str, got: Array, want: Array) -> float:
    return within(what, got, want, 4 * tolerance(adapter.dtype, want) + SMOOTHING * max(1.0, float(np.max(np.abs(want)))))


# ------------------------------------------------------------------------------------------------- changes of the points

POINTS = ("draws", "x", "y")


def rigid(operation: str, given: Inputs, rng: np.random.Generator) -> tuple[Inputs, float]:
    d = given["y"].shape[-1]
    Q, t = np.linalg.qr(rng.standard_normal((d, d)))[0], rng.standard_normal(d)
    return {**given, **{k: given[k] @ Q + (t if k in POINTS else 0) for k in (*POINTS, "directions") if k in given}}, 1.0


def scaled(operation: str, given: Inputs, rng: np.random.Generator) -> tuple[Inputs, float]:
    c = -rng.uniform(0.3, 3.0)
    larger = {**given, **{k: c * given[k] for k in POINTS if k in given}}
    if "bandwidths" in given:
        return {**larger, "bandwidths": abs(c) * given["bandwidths"]}, 1.0
    return larger, c**2 if given.get("kernel") == "linear" else abs(c) ** float(given["beta"])


def shuffled(operation: str, given: Inputs, rng: np.random.Generator) -> tuple[Inputs, float]:
    those = ("x", "y") if operation in DISTANCES.values() else ("draws",)
    return {**given, **{k: rng.permutation(given[k]) for k in those}}, 1.0


def changed(operation: str, change: Change, adapter: Adapter, draw: Draw) -> float:
    given = inputs(operation, draw)
    after, factor = change(operation, given, draw.rng)
    return close(adapter, "the changed value", value(adapter, operation, after), factor * value(adapter, operation, given))


# --------------------------------------------------------------------------------------------- draws, pairs of draws, one


def shared(operation: str, adapter: Adapter, draw: Draw) -> float:
    given = inputs(operation, draw)
    forecast = given["draws"][:, 0]
    repeated = np.repeat(forecast[:, None], draw.n, axis=1)
    one, many = (value(adapter, operation, {**given, "draws": draws}) for draws in (forecast, repeated))
    return close(adapter, "the score of a shared forecast", one, many)


def pairs(operation: str, adapter: Adapter, draw: Draw) -> float:
    """For distances, of each two of x with each two of y."""
    given = {**inputs(operation, draw), "estimator": np.array("U")}
    of_samples = ("x", "y") if operation in DISTANCES.values() else ("draws",)
    twos = product(*(combinations(range(len(given[k])), 2) for k in of_samples))
    each = [
        value(adapter, operation, {**given, **{k: given[k][list(two)] for k, two in zip(of_samples, those, strict=True)}})
        for those in twos
    ]
    return close(adapter, "U of all", value(adapter, operation, given), np.mean(each, axis=0))


def estimators(operation: str, adapter: Adapter, draw: Draw) -> float:
    given = inputs(operation, draw)
    m = len(given["draws"])
    U, V = (value(adapter, operation, {**given, "estimator": np.array(e)}) for e in ("U", "V"))
    of_one = [
        value(adapter, operation, {**given, "draws": given["draws"][[i, i]], "estimator": np.array("V")}) for i in range(m)
    ]
    return close(adapter, "V", V, ((m - 1) * U + np.mean(of_one, axis=0)) / m)


# ------------------------------------------------------------------------------------------------------------- distances


def difference(score: str, adapter: Adapter, draw: Draw) -> float:
    given = {**inputs(DISTANCES[score], draw), "estimator": np.array("V")}
    rest = {k: v for k, v in given.items() if k != "x"}
    S = [np.mean(value(adapter, score, {**rest, "draws": forecast})) for forecast in (given["x"], given["y"])]
    return close(adapter, "D_V", value(adapter, DISTANCES[score], given), np.asarray(2 * (S[0] - S[1])))


def equal(operation: str, adapter: Adapter, draw: Draw) -> float:
    given = inputs(operation, draw)
    same = {**given, "x": given["y"][::-1], "estimator": np.array("V")}
    there, back = value(adapter, operation, given), value(adapter, operation, {**given, "x": given["y"], "y": given["x"]})
    zero = close(adapter, "D_V(x, x)", value(adapter, operation, same), np.zeros(()))
    return max(zero, close(adapter, "D(y, x)", back, there))


def distance_kernel(energy: str, of_kernel: str, adapter: Adapter, draw: Draw) -> float:
    given = inputs(energy, draw)
    want = value(adapter, energy, given)
    got = value(adapter, of_kernel, {**given, **kernel("distance", float(given["beta"]))})
    return close(adapter, "the value with the distance kernel", got, want)


# ------------------------------------------------------------------------------------------------------------ directions


def one_dimension(sliced: str, full: str, adapter: Adapter, draw: Draw) -> float:
    """In one dimension both directions are the axis."""
    given = inputs(full, Draw(draw.n, 1, 0, draw.seed))
    got = value(adapter, sliced, {**given, "directions": np.array([[1.0], [-1.0]])})
    return close(adapter, "the sliced value", got, value(adapter, full, given))


def all_around(adapter: Adapter, draw: Draw) -> float:
    """In two dimensions, over L even directions, sliced = constant * full, up to the kinks' (pi / L)^(1 + beta)."""
    given, L = inputs("energy_score", Draw(draw.n, 2, 0, draw.seed)), 1000
    angles = np.pi * (np.arange(L) + 0.5) / L
    beta = {"beta": given["beta"]}
    c = ask(adapter, "slicing_constant", {"d": np.array(2), **beta})["constant"]
    v = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    got, full = value(adapter, "sliced_energy_score", {**given, "directions": v}), value(adapter, "energy_score", given)
    allowed = 40 * (np.pi / L) ** (1 + float(given["beta"])) + 10 * tolerance(adapter.dtype, full)
    return within("sliced over c", got / c, full, allowed)


def directions(adapter: Adapter, draw: Draw) -> float:
    noise = representable({"noise": draw.rng.standard_normal((4, draw.d))})["noise"]
    v = ask(adapter, "random_directions", {"noise": noise})["directions"]
    along = np.sum(v * noise, axis=1)
    allowed = tolerance(adapter.dtype, noise)
    return max(within("the length", np.sum(v**2, axis=1), np.ones(4), allowed),
               within("the part along the noise", along, np.linalg.norm(noise, axis=1), allowed))


def about(operation: str) -> tuple[Property, ...]:
    every = {name: partial(changed, operation, f) for name, f in (("rigid", rigid), ("scaled", scaled), ("order", shuffled))}
    if operation in SCORES:
        own: dict[str, Body] = {"shared": partial(shared, operation), "estimators": partial(estimators, operation)}
    else:
        score = next(s for s, distance in DISTANCES.items() if distance == operation)
        own = {"equal": partial(equal, operation), "difference": partial(difference, score)}
    return named({**every, **own, "pairs": partial(pairs, operation), **LINKS.get(operation, {})})


LINKS: dict[str, dict[str, Body]] = {
    "sliced_energy_score": {
        "one_dimension": partial(one_dimension, "sliced_energy_score", "energy_score"), "all_around": all_around,
    },
    "sliced_energy_distance": {"one_dimension": partial(one_dimension, "sliced_energy_distance", "energy_distance")},
    "kernel_score": {"distance_kernel": partial(distance_kernel, "energy_score", "kernel_score")},
    "mmd": {"distance_kernel": partial(distance_kernel, "energy_distance", "mmd")},
}
PROPERTIES: Mapping[str, tuple[Property, ...]] = {
    **{operation: about(operation) for operation in (*SCORES, *DISTANCES.values())},
    "random_directions": named({"unit": directions}), "slicing_constant": named({"all_around": all_around}),
}
