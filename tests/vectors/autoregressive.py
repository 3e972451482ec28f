r"""Masked autoregressive layers and their network, from their formulas (Papamakarios et al. 2017, eq. 3-5).

$$x_i = \tau(z_i;\, \mathrm{net}_i(x_{<i}, c)), \qquad \log |\det dx/dz| = \sum_i \log \tau'(z_i)$$

where < is `order`. The network's outputs are those of coordinate 0, then those of coordinate 1, and so on. Forward finds one
coordinate after the other; the inverse asks the network once. Read the other way round, it is the inverse autoregressive flow.
"""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array, branch
from tests.vectors.exact import zeros
from tests.vectors.making import Given, Oracle
from tests.vectors.networks import CONTEXT, MASKED, autoregressive_masks, made_masks, perceptron, random_net
from tests.vectors.transformers import AFFINE, SPLINE, Transformer

Net = Sequence[dict[str, Any]]

WITNESS = "the formula in loops, one coordinate after the other, mpmath with 40 digits"
NOTES = {
    "order": "an order that is neither 0, 1, 2 ... nor its own inverse",
    "context": "the first output, too, is a function of the context (d out_0 / d context is 0 in nflows, PR 85, and normflows)",
    "bounds": "raw log scales far beyond the limit, or coordinates in the spline's tails",
    "one": "n = 1",
    "d1": "d = 1: no unit sees an input",
    "gaps": "degrees with gaps and in any order; several inputs and outputs share one",
}


def forward(
    z: Array, order: Sequence[int], net: Net, transformer: Transformer, choice: Any, context: Array | None = None
) -> tuple[Array, Array]:
    x, log_det = zeros(*z.shape), zeros(len(z))
    for k in order:  # what is not yet known is 0, and no output that is used sees it
        raw = perceptron(net, x, context).reshape(*z.shape, -1)
        for row in range(len(z)):
            x[row, k], log_slope = transformer.forward(z[row, k], raw[row, k], choice)
            log_det[row] += log_slope
    return x, log_det


def inverse(
    x: Array, order: Sequence[int], net: Net, transformer: Transformer, choice: Any, context: Array | None = None
) -> tuple[Array, Array]:
    z, log_det = zeros(*x.shape), zeros(len(x))
    raw = perceptron(net, x, context).reshape(*x.shape, -1)
    for row, k in np.ndindex(x.shape):
        z[row, k], log_slope = transformer.inverse(x[row, k], raw[row, k], choice)
        log_det[row] += log_slope
    return z, log_det


def answer(into: str, out: str, transformer: Transformer) -> Callable[[dict[str, Any]], dict[str, Array]]:
    def answered(i: dict[str, Any]) -> dict[str, Array]:
        direction = forward if into == "z" else inverse
        there, log_det = direction(
            i[into], i["order"], branch(i, "net"), transformer, i[transformer.choice], i.get("context")
        )
        return {out: there, "log_det": log_det}

    return answered


def cases_of(into: str, transformer: Transformer) -> Callable[[np.random.Generator], Sequence[Given]]:
    def cases(rng: np.random.Generator) -> Sequence[Given]:
        def given(
            id: str, order: Sequence[int], hidden: Sequence[int], *flags: str, n: int = 3, c: int = 0, choice: float = 3.0,
            scale: float = 1.0,
        ) -> Given:
            d, width = len(order), transformer.width
            masks = autoregressive_masks(order, hidden, width)
            net = random_net(rng, (d, *hidden, d * width), c, masks, scale=scale)
            context = {"context": rng.standard_normal((n, c))} if c else {}
            places = {into: rng.standard_normal((n, d)), "order": np.array(order), **net, transformer.choice: choice, **context}
            return Given(id, places, flags)

        return [
            given("plain", (0, 1), (3,)),
            given("order", (2, 0, 1), (4,), "order", n=2),
            given("context", (1, 2, 0), (3,), "order", "context", n=2, c=2),
            given("bounds", (1, 0), (3,), "bounds", choice=1.0, scale=8.0),
            given("one", (1, 0), (3, 3), "one", n=1),
            given("d1", (0,), (2,), "d1", "context", n=2, c=1),
        ]

    return cases


def both(transformer: Transformer) -> list[Oracle]:
    """The operation in both directions."""
    return [
        Oracle(
            f"autoregressive_{transformer.name}{suffix}", f"{formula}, log_det = the sum of log derivatives; tau is "
            f"{transformer.name}", "Papamakarios et al. 2017, eq. 3-5", WITNESS,
            {into: "(n, d)", "order": "(d,) order[0] is first", **MASKED, transformer.choice: transformer.meaning, **CONTEXT},
            {out: "(n, d)", "log_det": f"(n,) log |det d{out}/d{into}|"}, answer(into, out, transformer),
            cases_of(into, transformer), ("log_det",), (into, "net/", "context"), NOTES,
        )
        for suffix, into, out, formula in (
            ("", "z", "x", "x_i = tau(z_i; net_i(x_<i, c))"),
            ("_inverse", "x", "z", "z_i = tau^-1(x_i; net_i(x_<i, c))"),
        )
    ]


def masked_mlp(i: dict[str, Any]) -> dict[str, Array]:
    return {"y": perceptron(branch(i, "net"), i["x"], i.get("context"))}


def masked_mlp_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(
        id: str, ins: Sequence[int], hidden: Sequence[int], outs: Sequence[int], *flags: str, n: int = 3, c: int = 0
    ) -> Given:
        net = random_net(rng, (len(ins), *hidden, len(outs)), c, made_masks(ins, hidden, outs))
        context = {"context": rng.standard_normal((n, c))} if c else {}
        x = rng.standard_normal((n, len(ins)))
        return Given(id, {"x": x, "degrees_in": np.array(ins), "degrees_out": np.array(outs), **net, **context}, flags)

    return [
        given("plain", (1, 2, 3), (4,), (1, 2, 3)),
        given("gaps", (5, 1, 3, 3), (5,), (3, 2, 6, 6), "gaps"),
        given("context", (2, 1, 3), (4,), (2, 1, 3), "order", "context", c=2),
        given("deep", (1, 2, 3), (3, 5), (1, 2, 2, 3), n=2),
        given("no_hidden", (2, 1), (), (1, 2, 3), "one", n=1),
    ]


ORACLES = (
    *both(AFFINE), *both(SPLINE),
    Oracle(
        "masked_mlp", "a perceptron whose output of degree k is a function of the inputs of degree < k, and of the context",
        "Germain et al. 2015", WITNESS,
        {"x": "(n, k)", "degrees_in": "(k,)", "degrees_out": "(outputs,)", **MASKED, **CONTEXT},
        {"y": "(n, outputs)"}, masked_mlp, masked_mlp_cases, (), ("x", "net/", "context"), NOTES,
    ),
)
