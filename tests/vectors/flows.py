r"""Flows from their formulas: a standard normal pushed through a stack of layers.

$$x = T(z) \qquad \log p(x) = \log \rho(z) - \log |\det dT/dz|$$

params/k is layer k in the order in which noise passes them; permutations and activations have none.

    realnvp      couplings, the k-th passing the coordinates i with i + k odd, then a learned scale and shift of each; limit 3
    spline_flow  the same with splines on [-5, 5] in the couplings
    maf          autoregressive layers, the order reversed between them; limit 3
    dense_flow   dense layers, smooth leaky activations of slope 0.3 between them
"""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array, branch
from tests.vectors import autoregressive
from tests.vectors.activation import smooth, smooth_inverse
from tests.vectors.coupling import coupled
from tests.vectors.dense import moved
from tests.vectors.densities import standard_normal_log_prob
from tests.vectors.exact import mp
from tests.vectors.making import Given, Oracle
from tests.vectors.networks import autoregressive_masks, random_net
from tests.vectors.transformers import AFFINE, SPLINE, Transformer

WITNESS = "the layers' formulas, one after the other, mpmath with 40 digits"
NOTES = {
    "tail": "far from where the flow puts its mass: the log density is finite",
    "one": "n = 1",
    "d1": "d = 1: nothing is left to condition on",
}
Layer = Callable[[Array, bool], tuple[Array, Array]]   # z, False -> x, log_det; x, True -> z, log_det
Stack = Callable[[dict[str, Any], int], list[Layer]]   # inputs, d -> layers
Inputs = Callable[[np.random.Generator, int], dict[str, Array]]


def coupling(mask: Array, net: Any, transformer: Transformer, choice: int) -> Layer:
    return lambda v, back: coupled(v, mask, net, transformer.inverse if back else transformer.forward, mp.mpf(choice))


def couplings(transformer: Transformer, choice: int) -> Stack:
    def stack(i: dict[str, Any], d: int) -> list[Layer]:
        nets = branch(i, "params")
        masks = [np.array([(j + k) % 2 == 1 and d > 1 for j in range(d)]) for k in range(len(nets) - 1)]
        layers = [coupling(mask, net, transformer, choice) for mask, net in zip(masks, nets, strict=False)]
        return [*layers, coupling(np.full(d, False), nets[-1], AFFINE, 3)]

    return stack


def turned(v: Array, back: bool) -> tuple[Array, Array]:
    return v[:, ::-1], 0 * v[:, 0]


def maf(i: dict[str, Any], d: int) -> list[Layer]:
    def layer(net: Any) -> Layer:
        return lambda v, back: (autoregressive.inverse if back else autoregressive.forward)(v, range(d), net, AFFINE, mp.mpf(3))

    return [layer(branch(i, "params/0")), turned, layer(branch(i, "params/2"))]


def smooth_leaky(v: Array, back: bool) -> tuple[Array, Array]:
    pairs = [(smooth_inverse if back else smooth)(each, mp.mpf(3) / 10) for each in v.ravel()]
    out, log_slope = np.array(pairs, dtype=object).reshape(*v.shape, 2).transpose(2, 0, 1)
    return out, np.sum(log_slope, axis=1)


def dense_flow(i: dict[str, Any], d: int) -> list[Layer]:
    def layer(params: dict[str, Any]) -> Layer:
        return lambda v, back: tuple(moved({"x" if back else "z": v, **params}, "x" if back else "z", params["W"]).values())

    dense = [layer(branch(i, f"params/{k}")) for k in (0, 2, 4)]
    return [dense[0], smooth_leaky, dense[1], smooth_leaky, dense[2]]


def sample(stack: Stack) -> Callable[[dict[str, Any]], dict[str, Array]]:
    def answer(i: dict[str, Any]) -> dict[str, Array]:
        v, log_prob = i["noise"], standard_normal_log_prob(i["noise"])
        for layer in stack(i, v.shape[1]):
            v, log_det = layer(v, False)
            log_prob = log_prob - log_det
        return {"x": v, "log_prob": log_prob}

    return answer


def log_prob(stack: Stack) -> Callable[[dict[str, Any]], dict[str, Array]]:
    def answer(i: dict[str, Any]) -> dict[str, Array]:
        v, total = i["x"], 0 * i["x"][:, 0]
        for layer in reversed(stack(i, v.shape[1])):
            v, log_det = layer(v, True)
            total = total + log_det
        return {"log_prob": standard_normal_log_prob(v) + total}

    return answer


def random_couplings(width: int) -> Inputs:
    def params(rng: np.random.Generator, d: int) -> dict[str, Array]:
        passing = [sum((j + k) % 2 for j in range(d)) if d > 1 else 0 for k in range(2)]
        nets = [random_net(rng, (A, 3, (d - A) * width), name=f"params/{k}") for k, A in enumerate(passing)]
        return {**nets[0], **nets[1], **random_net(rng, (0, d * 2), name="params/2")}

    return params


def random_maf(rng: np.random.Generator, d: int) -> dict[str, Array]:
    masks = autoregressive_masks(range(d), (4,), 2)
    first, second = (random_net(rng, (d, 4, 2 * d), masks=masks, name=f"params/{k}") for k in (0, 2))
    return {**first, **second}


def random_dense(rng: np.random.Generator, d: int) -> dict[str, Array]:
    return {f"params/{k}/{name}": 0.5 * rng.standard_normal(shape) + (np.eye(d) if name == "W" else 0)
            for k in (0, 2, 4) for name, shape in (("W", (d, d)), ("b", (d,)))}


def cases_of(into: str, d: int, params: Inputs) -> Callable[[np.random.Generator], Sequence[Given]]:
    def cases(rng: np.random.Generator) -> Sequence[Given]:
        def given(id: str, n: int, d: int, *flags: str, size: float = 1) -> Given:
            return Given(id, {into: size * rng.standard_normal((n, d)), **params(rng, d)}, flags)

        return [
            given("plain", 2, d), given("one", 1, d + 1, "one"), given("d1", 2, 1, "d1"),
            given("far", 2, 2, "tail", size=10),
        ]

    return cases


def both(name: str, formula: str, source: str, d: int, stack: Stack, params: Inputs, meaning: str) -> list[Oracle]:
    trees = {"params/": f"params/k is layer k as noise passes them: {meaning}"}
    return [
        Oracle(
            f"{name}_sample", f"x = T(z), log p(x) = log N(z; 0, I) - log |det dT/dz|; {formula}", source, WITNESS,
            {"noise": "(n, d) z", **trees}, {"x": "(n, d)", "log_prob": "(n,) of x"}, sample(stack),
            cases_of("noise", d, params), (), ("noise", "params/"), NOTES,
        ),
        Oracle(
            f"{name}_log_prob", f"log p(x) = log N(T^-1 x; 0, I) + log |det dT^-1/dx|; {formula}", source, WITNESS,
            {"x": "(n, d)", **trees}, {"log_prob": "(n,) in nats"}, log_prob(stack), cases_of("x", d, params),
            (), ("x", "params/"), NOTES,
        ),
    ]


NETS = "a perceptron with ReLU, W (fan_in, fan_out) and b of each of its layers, the last one of inputs none"
MASKED = "a masked perceptron with ReLU, W * mask is the weight that counts; 1 is the reversal"
ORACLES = (
    *both(
        "realnvp", "couplings, the k-th passing coordinate i where i + k is odd, then a scale and shift of each coordinate; "
        "log scale = 3 tanh(raw / 3)", "Dinh et al. 2017", 3, couplings(AFFINE, 3), random_couplings(2), NETS,
    ),
    *both(
        "spline_flow", "as realnvp, with splines on [-5, 5] in the couplings", "Durkan et al. 2019", 2, couplings(SPLINE, 5),
        random_couplings(5), NETS,
    ),
    *both(
        "maf", "two autoregressive layers in the order 0, 1, ..., the coordinates reversed between them; log scale = "
        "3 tanh(raw / 3)", "Papamakarios et al. 2017", 2, maf, random_maf, MASKED,
    ),
    *both(
        "dense_flow", "x = W z + b three times, and between them the smooth leaky activation of slope 0.3",
        "energy flows, Si et al. 2023", 2, dense_flow, random_dense, "W (d, d) and b (d,); 1 and 3 are the activations",
    ),
)
