r"""The maps T_b of a semi-autoregressive flow, from their formulas, and small random ones as inputs of a case.

Each is a chain that ends in $x = e^{s(h)} y + t(h)$, $s = 5 \tanh(\text{raw}/5)$; before it stand, in `params/maps/s/t/...`,

    affine     nothing
    coupling   affine couplings, log scale 3 tanh(raw / 3): coordinates with (j + t) odd pass unchanged
    spline     the same with splines of 8 bins on [-5, 5]; of one coordinate alone none passes unchanged
    dense      $W z + b + C^\top h$ at even t, at odd t (no parameters) the hyperbola $p z + q(\sqrt{z^2 + 1} - 1)$ with slopes
               0.3 and 1 at its ends
    free_form  is no chain: z + a perceptron of z and h

For blocks of one coordinate, k = 1, coupling and dense are spline.

s counts the different block sizes in the order in which they first appear, h = h_b is the context of every network.
"""
from collections.abc import Sequence
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array, branch
from tests.vectors.coupling import coupled
from tests.vectors.exact import log, mp, sqrt, zeros
from tests.vectors.networks import perceptron, random_net
from tests.vectors.transformers import AFFINE, SPLINE

SPLINE_WIDTH = 3 * 8 - 1
P, Q = mp.mpf("0.65"), mp.mpf("0.35")  # (1 + 0.3) / 2, (1 - 0.3) / 2


def through(i: dict[str, Any], s: int, v: Array, h: Array, way: str) -> tuple[Array, Array]:
    """T forward or inverse: v (n, k), h (n, w) -> out (n, k), log_det (n,)."""
    name = f"params/maps/{s}/"
    if i["map"] == "free_form":
        return v + perceptron(branch(i, name[:-1]), v, h), zeros(len(v))
    length = 1 + max(int(key.removeprefix(name).split("/")[0]) for key in i if key.startswith(name))
    log_det = zeros(len(v))
    for t in range(length) if way == "forward" else reversed(range(length)):
        word = "last" if t == length - 1 else word_of(i["map"], v.shape[1])
        v, change = part(word, t, branch(i, f"{name}{t}"), v, h, way)
        log_det = log_det + change
    return v, log_det


def word_of(name: str, k: int) -> str:
    return "spline" if k == 1 and name in ("coupling", "dense") else name


def part(word: str, t: int, params: Any, v: Array, h: Array, way: str) -> tuple[Array, Array]:
    k = v.shape[1]
    if word == "last":
        return coupled(v, np.zeros(k, bool), params, getattr(AFFINE, way), mp.mpf(5), h)
    if word == "dense":
        return dense(params, v, h, way) if t % 2 == 0 else hyperbola(v, way)
    transformer, choice = (AFFINE, 3) if word == "coupling" else (SPLINE, 5)
    return coupled(v, passing(k, t), params, getattr(transformer, way), mp.mpf(choice), h)


def passing(k: int, t: int) -> Array:
    return np.array([k > 1 and (j + t) % 2 == 1 for j in range(k)])


def dense(params: dict[str, Array], v: Array, h: Array, way: str) -> tuple[Array, Array]:
    W, shift = mp.matrix(params["W"].tolist()), params["b"] + h @ params["C"]
    log_det = zeros(len(v)) + mp.log(abs(mp.det(W)))
    if way == "forward":
        return v @ params["W"].T + shift, log_det
    return (v - shift) @ np.array(mp.inverse(W).tolist(), dtype=object).T, -log_det


def hyperbola(v: Array, way: str) -> tuple[Array, Array]:
    """Backwards z is the root of (x + q - p z)^2 = q^2 (z^2 + 1) for which x + q - p z > 0."""
    z = v
    if way == "inverse":
        a, b, c = P**2 - Q**2, P * (v + Q), (v + Q) ** 2 - Q**2  # a z^2 - 2 b z + c = 0
        z = (b - sqrt(b**2 - a * c)) / a
    log_det = np.sum(log(P + Q * z / sqrt(z**2 + 1)), axis=1)
    return (P * z + Q * (sqrt(z**2 + 1) - 1), log_det) if way == "forward" else (z, -log_det)


def random_map(
    rng: np.random.Generator, word: str, s: int, k: int, w: int, hidden: Sequence[int], layers: int
) -> dict[str, Array]:
    """The parameters of one map, for blocks of k numbers and contexts of w."""
    word, name, params, length = word_of(word, k), f"params/maps/{s}", {}, 0
    if word == "free_form":
        return random_net(rng, (k, *hidden, k), w, name=name)
    for t in range(layers if word != "affine" else 0):
        if word == "dense":
            params[f"{name}/{2 * t}/W"] = np.eye(k) + 0.5 * rng.standard_normal((k, k))
            params[f"{name}/{2 * t}/b"] = 0.5 * rng.standard_normal(k)
            params[f"{name}/{2 * t}/C"] = rng.standard_normal((w, k))
            length += 2
        else:
            fixed, width = int(sum(passing(k, t))), 2 if word == "coupling" else SPLINE_WIDTH
            params.update(random_net(rng, (fixed, *hidden, (k - fixed) * width), w, name=f"{name}/{t}"))
            length += 1
    return {**params, **random_net(rng, (0, 2 * k), w, name=f"{name}/{length}", scale=0.5)}
