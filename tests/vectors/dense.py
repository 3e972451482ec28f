r"""Linear layers from their formulas: dense, x = W z + b + C c; W = P L U (Kingma & Dhariwal 2018, eq. 10-11); permutations."""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors.exact import exp, log, mp, tanh, zeros
from tests.vectors.making import Given, Oracle
from tests.vectors.networks import CONTEXT

WITNESS = "the formula; determinant and solution of the linear system by mpmath with 40 digits"
NOTES = {
    "context": "a context moves the shift",
    "negative": "the determinant is negative",
    "large_scale": "the determinant itself, 1e40, overflows in float32; or log diagonals far beyond their limit 5",
    "order": "an order that is not its own inverse",
    "one": "n = 1",
    "d1": "d = 1",
}
Answer = Callable[[dict[str, Any]], dict[str, Array]]


def moved(i: dict[str, Any], into: str, W: Array) -> dict[str, Array]:
    """x = W z + b + C c, or the way back, and log |det|."""
    log_det = log(abs(mp.det(mp.matrix(W.tolist()))))
    shift = zeros(*i[into].shape) + i["b"] + (i["context"] @ i["C"] if "C" in i else 0)
    if into == "z":
        return {"x": np.array([W @ z for z in i["z"]]) + shift, "log_det": zeros(len(i["z"])) + log_det}
    back = [list(mp.lu_solve(mp.matrix(W.tolist()), mp.matrix(list(row)))) for row in i["x"] - shift]
    return {"z": np.array(back, dtype=object), "log_det": zeros(len(i["x"])) - log_det}


def dense(into: str) -> Answer:
    return lambda i: moved(i, into, i["W"])


def plu(into: str) -> Answer:
    def answer(i: dict[str, Any]) -> dict[str, Array]:
        d = len(i["b"])
        L, U, W = zeros(d, d), zeros(d, d), zeros(d, d)
        for j, k in np.ndindex(d, d):
            L[j, k] = i["lower"][j, k] if j > k else mp.mpf(j == k)
            U[j, k] = i["upper"][j, k] if j < k else mp.mpf(0)
            U[j, j] = exp(5 * tanh(i["log_diagonal"][j] / 5))
        for row, source in enumerate(i["order"]):
            W[row] = (L @ U)[source]
        return moved(i, into, W)

    return answer


def permutation(into: str) -> Answer:
    def answer(i: dict[str, Any]) -> dict[str, Array]:
        out = zeros(*i[into].shape)
        for k, source in enumerate(i["order"]):
            if into == "z":
                out[:, k] = i["z"][:, source]
            else:
                out[:, source] = i["x"][:, k]
        return {"x" if into == "z" else "z": out, "log_det": zeros(len(out))}

    return answer


def dense_cases(into: str) -> Callable[[np.random.Generator], Sequence[Given]]:
    def cases(rng: np.random.Generator) -> Sequence[Given]:
        def given(id: str, d: int, *flags: str, n: int = 3, c: int = 0, scale: float = 1.0, sign: int = 1) -> Given:
            W = rng.standard_normal((d, d)) + np.eye(d)
            W[0] *= sign * np.sign(np.linalg.det(W))
            context = {"C": rng.standard_normal((c, d)), "context": rng.standard_normal((n, c))} if c else {}
            places = scale * rng.standard_normal((n, d)) if into == "x" else rng.standard_normal((n, d))
            return Given(id, {into: places, "W": scale * W, "b": scale * rng.standard_normal(d), **context}, flags)

        return [
            given("plain", 3), given("negative", 2, "negative", sign=-1), given("context", 2, "context", c=3),
            given("large", 4, "large_scale", scale=1e10), given("one", 3, "one", n=1),
            given("d1", 1, "d1", "negative", sign=-1),
        ]

    return cases


def plu_cases(into: str) -> Callable[[np.random.Generator], Sequence[Given]]:
    def cases(rng: np.random.Generator) -> Sequence[Given]:
        def given(id: str, order: Sequence[int], *flags: str, n: int = 3, c: int = 0, spread: float = 0.7) -> Given:
            d = len(order)
            context = {"C": rng.standard_normal((c, d)), "context": rng.standard_normal((n, c))} if c else {}
            squares = {name: rng.standard_normal((d, d)) for name in ("lower", "upper")}
            rest = {"log_diagonal": spread * rng.standard_normal(d), "order": np.array(order), "b": rng.standard_normal(d)}
            return Given(id, {into: rng.standard_normal((n, d)), **squares, **rest, **context}, flags)

        return [
            given("plain", (0, 1, 2)), given("order", (2, 0, 1), "order"), given("context", (1, 0), "context", c=2),
            given("steep", (1, 0), "large_scale", spread=12.0), given("one", (1, 2, 0), "order", "one", n=1),
            given("d1", (0,), "d1"),
        ]

    return cases


def permutation_cases(into: str) -> Callable[[np.random.Generator], Sequence[Given]]:
    def cases(rng: np.random.Generator) -> Sequence[Given]:
        def given(id: str, n: int, order: Sequence[int], *flags: str) -> Given:
            return Given(id, {into: rng.standard_normal((n, len(order))), "order": np.array(order)}, flags)

        return [
            given("plain", 3, (1, 0, 2)), given("order", 3, (2, 0, 1), "order"), given("four", 2, (1, 3, 0, 2), "order"),
            given("one", 1, (1, 2, 0), "order", "one"), given("d1", 2, (0,), "d1"),
        ]

    return cases


def both(
    name: str, formula: str, source: str, parameters: dict[str, str], answer: Callable[[str], Answer],
    cases: Callable[[str], Any], grads: tuple[str, ...],
) -> list[Oracle]:
    return [
        Oracle(
            f"{name}{suffix}", f"{'The inverse: ' if suffix else ''}{formula}", source, WITNESS, {into: "(n, d)", **parameters},
            {out: "(n, d)", "log_det": f"(n,) log |det d{out}/d{into}|"}, answer(into), cases(into), ("log_det",),
            (into, *grads), NOTES,
        )
        for suffix, into, out in (("", "z", "x"), ("_inverse", "x", "z"))
    ]


SHIFT = {"b": "(d,)", "C": "(c, d), with a context", **CONTEXT}
ORACLES = (
    *both(
        "dense", "x = W z + b + C c for each row, log_det = log |det W|", "linear algebra", {"W": "(d, d)", **SHIFT}, dense,
        dense_cases, ("W", "b", "C", "context"),
    ),
    *both(
        "plu", "x = W z + b + C c, row i of W is row order[i] of L U; L: 1 on the diagonal and `lower` below it; U: "
        "exp(5 tanh(log_diagonal / 5)) on the diagonal and `upper` above it", "Kingma & Dhariwal 2018, eq. 10-11",
        {"lower": "(d, d), of which the part below the diagonal counts", "upper": "(d, d), the part above the diagonal",
         "log_diagonal": "(d,)", "order": "(d,)", **SHIFT},
        plu, plu_cases, ("lower", "upper", "log_diagonal", "b", "C", "context"),
    ),
    *both(
        "permutation", "x_i = z_order[i], log_det = 0", "by definition", {"order": "(d,)"}, permutation, permutation_cases, (),
    ),
)
