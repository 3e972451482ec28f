r"""Coupling layers, from their formula (Dinh et al. 2017, section 3.2; Durkan et al. 2019).

$$x_A = z_A, \qquad x_B = \tau(z_B;\, \mathrm{net}(z_A, c)), \qquad \log |\det dx/dz| = \sum_{i \in B} \log \tau'(z_i)$$

The network's outputs are those of the first coordinate of B, then those of the second, and so on.
"""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array, branch
from tests.vectors.exact import zeros
from tests.vectors.making import Given, Oracle
from tests.vectors.networks import CONTEXT, NET, perceptron, random_net
from tests.vectors.transformers import AFFINE, SPLINE, Transformer

WITNESS = "the formula in loops, mpmath with 40 digits"
NOTES = {
    "wide": "three coordinates are transformed: where one output is broadcast to them, log_det is a third (normflows #29)",
    "context": "the network has a context",
    "elementwise": "no coordinate passes: the network sees the context alone, or nothing",
    "bounds": "raw log scales far beyond the limit, or coordinates in the spline's tails",
    "edge": "transformed coordinates exactly on both ends of the spline; no gradient is asked for, that of log_det jumps there",
    "one": "n = 1",
    "d1": "d = 1",
}


def coupled(
    v: Array, mask: Array, net: Sequence[dict[str, Any]], tau: Callable[..., Any], choice: Any, context: Array | None = None
) -> tuple[Array, Array]:
    """Either direction: v (n, d) -> out (n, d), log_det (n,)."""
    A, B = np.flatnonzero(mask), np.flatnonzero(~mask)
    raw = perceptron(net, v[:, A], context).reshape(len(v), len(B), -1)
    out, log_det = v.copy(), zeros(len(v))
    for row in range(len(v)):
        for j, i in enumerate(B):
            out[row, i], log_slope = tau(v[row, i], raw[row, j], choice)
            log_det[row] += log_slope
    return out, log_det


def answer(into: str, out: str, transformer: Transformer) -> Callable[[dict[str, Any]], dict[str, Array]]:
    def answered(i: dict[str, Any]) -> dict[str, Array]:
        tau = transformer.forward if into == "z" else transformer.inverse
        there, log_det = coupled(i[into], i["mask"], branch(i, "net"), tau, i[transformer.choice], i.get("context"))
        return {out: there, "log_det": log_det}

    return answered


def cases_of(into: str, transformer: Transformer) -> Callable[[np.random.Generator], Sequence[Given]]:
    def cases(rng: np.random.Generator) -> Sequence[Given]:
        def given(
            id: str, mask: str, hidden: Sequence[int], *flags: str, n: int = 3, c: int = 0, choice: float = 3.0,
            scale: float = 1.0, **asked: Any,
        ) -> Given:
            """mask: one letter a coordinate, A or B."""
            passes = np.array([letter == "A" for letter in mask])
            net = random_net(rng, (passes.sum(), *hidden, (~passes).sum() * transformer.width), c, scale=scale)
            context = {"context": rng.standard_normal((n, c))} if c else {}
            places = {into: rng.standard_normal((n, len(mask))), "mask": passes, **net, transformer.choice: choice, **context}
            return Given(id, places, flags, **asked)

        found = [
            given("plain", "ABA", (4,)),
            given("wide", "BABB", (3,), "wide", n=2),
            given("context", "BAB", (3,), "context", n=2, c=2),
            given("elementwise", "BBB", (), "elementwise"),
            given("elementwise_context", "BB", (3,), "elementwise", "context", n=2, c=2),
            given("bounds", "AB", (3,), "bounds", choice=1.0, scale=8.0),
            given("one", "BA", (3, 2), "one", n=1),
            given("d1", "B", (), "elementwise", "d1", n=2),
        ]
        if transformer is SPLINE:
            edge = given("ends", "BAB", (3,), "edge", n=2, choice=1.5, grads=())
            edge.inputs[into][:, ::2] = [[-1.5, 1.5], [1.5, -1.5]]
            found.append(edge)
        return found

    return cases


def both(transformer: Transformer) -> list[Oracle]:
    """The operation in both directions."""
    return [
        Oracle(
            f"coupling_{transformer.name}{suffix}", f"{out}_A = {into}_A, {out}_B = {tau}({into}_B; net({into}_A, c)), "
            f"log_det = the sum of log derivatives; tau is {transformer.name}", "Dinh et al. 2017, section 3.2", WITNESS,
            {into: "(n, d)", "mask": "(d,) true in A, which passes", **NET, transformer.choice: transformer.meaning, **CONTEXT},
            {out: "(n, d)", "log_det": f"(n,) log |det d{out}/d{into}|"}, answer(into, out, transformer),
            cases_of(into, transformer), ("log_det",), (into, "net/", "context"), NOTES,
        )
        for suffix, into, out, tau in (("", "z", "x", "tau"), ("_inverse", "x", "z", "tau^-1"))
    ]


ORACLES = (*both(AFFINE), *both(SPLINE))
