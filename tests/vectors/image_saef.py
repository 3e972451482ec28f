r"""SAEF on a grid of squares from its formula: contexts by a masked convolutional network, one affine map for all blocks.

$$z_{ij} = (x_{ij} - t)\, e^{-s}, \qquad (\text{raw } s, t) = h_{ij} C + b, \qquad h_{ij} = \text{net}(x_{<ij}, c)$$
"""
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array, branch
from tests.tolerances import SMOOTHING
from tests.vectors import scores
from tests.vectors.exact import exact, exp, mp, tanh, zeros
from tests.vectors.images import NET, SHAPE, network
from tests.vectors.making import Given, Oracle
from tests.vectors.networks import CONTEXT

WITNESS = "the formula in loops, mpmath with 40 digits"
LIMIT = 5  # of the log scales
NOTES = {
    "one": "n = 1",
    "patch": "blocks of 2 x 2 pixels",
    "colours": "two channels",
    "context": "the network has a context, which enters every layer",
}


def blocks(i: dict[str, Any]) -> list[list[int]]:
    """The numbers of each square, line by line between and within."""
    (h, w, c), p = i["shape"].tolist(), int(i["patch"])
    pixels = [(a * p, b * p) for a in range(h // p) for b in range(w // p)]
    return [[((y + u) * w + x + v) * c + k for u in range(p) for v in range(p) for k in range(c)] for y, x in pixels]


def seen(W: Array, own: bool) -> Array:
    """The weights of what is read before; of the place itself, too, where `own`."""
    k, kept = len(W), zeros(*W.shape)
    for u, v in np.ndindex(k, k):
        if u * k + v < k * k // 2 + own:
            kept[u, v] = W[u, v]
    return kept


def contexts(i: dict[str, Any]) -> Array:
    """h (n, B, width)."""
    (h, w, _), p, parts = i["shape"].tolist(), int(i["patch"]), blocks(i)
    net = branch(i, "net")
    layers = [{**layer, "W": seen(layer["W"], depth > 0)} for depth, layer in enumerate(net["layers"])]
    grid = np.stack([i["x"][:, part] for part in parts], axis=1).reshape(len(i["x"]), h // p, w // p, -1)
    return network({**net, "layers": layers}, grid, i.get("context")).reshape(len(grid), len(parts), -1)


def each(i: dict[str, Any]) -> Iterator[tuple[list[int], Array, Array]]:
    """Of each block its numbers, log scales and shifts (n, k)."""
    for part, h in zip(blocks(i), np.swapaxes(contexts(i), 0, 1), strict=True):
        raw = (h @ i["C"] + i["b"]).reshape(len(h), len(part), 2)
        yield part, LIMIT * tanh(raw[..., 0] / LIMIT), raw[..., 1]


def inverse(i: dict[str, Any]) -> dict[str, Array]:
    z, log_det = zeros(*i["x"].shape), zeros(len(i["x"]))
    for part, s, t in each(i):
        z[:, part] = (i["x"][:, part] - t) * exp(-s)
        log_det = log_det - np.sum(s, axis=1)
    return {"z": z, "log_det": log_det}


def forced(i: dict[str, Any]) -> Iterator[dict[str, Array]]:
    for part, s, t in each(i):
        yield {"draws": np.stack([z[:, part] * exp(s) + t for z in i["noise"]]), "y": i["x"][:, part]}


def loss(i: dict[str, Any]) -> dict[str, Any]:
    how = {"beta": i["beta"], "estimator": "U"}
    return {"loss": sum(sum(scores.energy_score({**b, **how})["score"]) for b in forced(i)) / len(i["x"])}


def apart(i: dict[str, Any]) -> bool:
    """Whether no two points of a score are so close that its smoothing would show."""
    of_one = [[*xs, y] for block in forced({k: exact(a) for k, a in i.items()}) for xs, y in scores.forecasts(block)]
    return all(scores.length(mp.mpf(1), a, b) > 0.2 for points in of_one for n, a in enumerate(points) for b in points[:n])


def model(rng: np.random.Generator, shape: Sequence[int], patch: int, c: int, n: int) -> dict[str, Any]:
    """A small random one, with data."""
    (h, w, channels), width, k = shape, 2, patch * patch * shape[2]
    sizes = [(3, k, width), (3, width, 2 * width), (1, width, width), (1, width, width)]
    found: dict[str, Any] = {"x": 2 * rng.standard_normal((n, h * w * channels)), "shape": np.array(shape), "patch": patch}
    found["net/places"] = 0.3 * rng.standard_normal((h // patch, w // patch, width))
    for depth, (edge, fan_in, fan_out) in enumerate(sizes):
        found[f"net/layers/{depth}/W"] = 0.5 * rng.standard_normal((edge, edge, fan_in, fan_out))
        found[f"net/layers/{depth}/b"] = 0.5 * rng.standard_normal(fan_out)
        if c:
            found[f"net/layers/{depth}/C"] = 0.5 * rng.standard_normal((c, fan_out))
    found |= {"C": 0.5 * rng.standard_normal((width, 2 * k)), "b": 0.5 * rng.standard_normal(2 * k)}
    return found | ({"context": rng.standard_normal((n, c))} if c else {})


def cases(rng: np.random.Generator) -> Sequence[Given]:
    return [
        Given("pixels", model(rng, (3, 2, 1), 1, 0, 2)), Given("patch", model(rng, (2, 6, 1), 2, 0, 1), ("patch", "one")),
        Given("colours", model(rng, (2, 2, 2), 1, 0, 1), ("colours", "one")),
        Given("context", model(rng, (2, 2, 1), 1, 2, 2), ("context",)),
    ]


def loss_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, shape: Sequence[int], patch: int, c: int, beta: float, m: int, *flags: str) -> Given:
        i = {**model(rng, shape, patch, c, 2), "beta": np.float64(beta)}
        i["noise"] = 2 * rng.standard_normal((m, 2, math.prod(shape)))
        while not apart(i):
            i["noise"] = 2 * rng.standard_normal(i["noise"].shape)
        return Given(id, i, flags, slack=SMOOTHING)

    return [given("pixels", (2, 2, 1), 1, 0, 1, 2), given("patch", (2, 4, 1), 2, 2, 1.5, 3, "patch", "context")]


PARAMS = {**SHAPE, "patch": "edge of a block", **NET, "C": "(width, 2 k)", "b": "(2 k,)", **CONTEXT}
PARAMS["net/"] = f"{NET['net/'].split(': of each')[0]}: h_b. W_0 sees earlier blocks, the others a block's own place too"
SOURCE = "Si et al. 2023, image models; van den Oord et al. 2016"
ORACLES = (
    Oracle(
        "image_saef_inverse", "z_b = (x_b - t) e^-s, (raw s, t) = h_b C + b for each of the k numbers of a block, s = 5 "
        "tanh(raw s / 5), h_b = net(x_<b); log_det = -sum s", SOURCE, WITNESS, {"x": "(n, d)", **PARAMS},
        {"z": "(n, d)", "log_det": "(n,) log |det dz/dx|"}, inverse, cases, ("log_det",), ("x", "net/", "C", "b", "context"),
        NOTES,
    ),
    Oracle(
        "image_saef_loss", "The mean over data of the sum over blocks of the unbiased energy score of m draws z_b e^s + t at "
        f"x_b, h_b from the true x_<b. {scores.ROOM}", SOURCE, WITNESS,
        {"x": "(n, d)", "noise": "(m, n, d)", "beta": "0 < beta < 2", **PARAMS}, {"loss": "()"}, loss, loss_cases, (),
        ("x", "noise", "net/", "C", "b", "context"), NOTES,
    ),
)
