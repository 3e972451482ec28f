r"""Autoregressive quantile flows, from their definition (Si et al. 2022): coordinate after coordinate.

$$Q_j(\alpha; x_{<j}) = \Phi^{-1}(\alpha)\, e^{s_j} + t_j, \qquad
  \text{loss} = \frac{1}{mn} \sum_{\text{levels, data}} \sum_j \rho_\alpha\big(x_j - Q_j(\alpha; x_{<j})\big)$$

with $s_j = L \tanh(\text{raw}/L)$ and $\rho_\alpha(u) = \max(\alpha u, (\alpha - 1) u)$.
"""
from collections.abc import Sequence
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array, branch
from tests.vectors.crps import phi_inverse
from tests.vectors.exact import zeros
from tests.vectors.making import Given, Oracle
from tests.vectors.networks import CONTEXT, MASKED, autoregressive_masks, perceptron, random_net
from tests.vectors.scores import WITNESS
from tests.vectors.transformers import affine


def quantiles(i: dict[str, Any]) -> dict[str, Array]:
    alpha, (n, d) = i["alpha"], i["x"].shape
    raw = perceptron(branch(i, "net"), i["x"], i.get("context")).reshape(n, d, 2)
    q = zeros(*alpha.shape)
    for level, row, j in np.ndindex(alpha.shape):
        q[level, row, j], _ = affine(phi_inverse(alpha[level, row, j]), raw[row, j], i["limit"])
    return {"quantiles": q}


def loss(i: dict[str, Any]) -> dict[str, Any]:
    alpha, u = i["alpha"], i["x"] - quantiles(i)["quantiles"]
    return {"loss": np.sum(np.maximum(alpha * u, (alpha - 1) * u)) / (alpha.shape[0] * alpha.shape[1])}


def cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(
        id: str, order: Sequence[int], *flags: str, m: int = 2, n: int = 2, c: int = 0, hidden: int = 3, edge: float = 0.05,
        limit: float = 5.0, scale: float = 1.0,
    ) -> Given:
        d = len(order)
        net = random_net(rng, (d, hidden, 2 * d), c, autoregressive_masks(order, (hidden,), 2), scale=scale)
        context = {"context": rng.standard_normal((n, c))} if c else {}
        alpha = rng.uniform(edge, 1 - edge, (m, n, d))
        i = {"alpha": alpha, "x": rng.standard_normal((n, d)), "order": np.array(order), "limit": limit, **net, **context}
        return Given(id, i, flags)

    extreme = given("extreme", (1, 0), "extreme", m=1)
    extreme.inputs["alpha"][0] = [[1e-7, 1 - 2.0**-20], [1e-30, 2.0**-23]]
    return [
        given("plain", (0, 1), m=3),
        given("order", (2, 0, 1), "order", hidden=4),
        given("context", (1, 0), "context", c=2),
        given("bounds", (1, 0), "bounds", n=1, limit=1.0, scale=8.0),
        given("square", (0, 1), "square"),
        given("line", (0,), "d1", m=4, n=2),
        extreme,
    ]


INPUTS = {
    "alpha": "(m, n, d) levels in (0, 1)", "x": "(n, d), of which Q_j sees x_<j", "order": "(d,) order[0] comes first",
    **MASKED, "limit": "log scale = limit tanh(raw / limit); the network gives raw and shift of coordinate 0, then of 1 ...",
    **CONTEXT,
}
NOTES = {
    "order": "an order that is neither 0, 1, 2 ... nor its own inverse",
    "context": "the first quantile is a function of the context",
    "bounds": "raw log scales beyond the limit; n = 1", "square": "m = n = d: axes that are exchanged do not show in a shape",
    "d1": "d = 1: no unit sees an input", "extreme": "alpha near 0 and 1",
}
ORACLES = (
    Oracle(
        "aqf_quantiles", "Q_j(alpha_j; x_<j) = Phi^-1(alpha_j) e^s + t, s and t functions of x_<j", "Si et al. 2022", WITNESS,
        INPUTS, {"quantiles": "(m, n, d)"}, quantiles, cases, grads=("x", "net/", "context"), notes=NOTES,
    ),
    Oracle(
        "aqf_loss", "The mean over levels and data of the sum over j of the pinball loss at x_j - Q_j(alpha_j; x_<j)",
        "Si et al. 2022", WITNESS, INPUTS, {"loss": "()"}, loss, cases, grads=("x", "net/", "context"), notes=NOTES,
    ),
)
