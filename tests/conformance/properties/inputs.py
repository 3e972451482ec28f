"""Random legal inputs of the bijections and flows: never the identity, and some of the points in the tails.

Parameters have the sizes that training gives them. A network's trees, and the masks beside them, are those of
evenflow.reference.
"""
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array, flat
from evenflow.conformance.properties.checking import Draw, representable
from evenflow.reference.core.networks import made_masks
from evenflow.reference.core.trees import Tree, tree_map
from evenflow.reference.flows import Flow
from evenflow.reference.saef.semiautoregressive import saef

BINS, BOUND, HIDDEN = 4, 3.0, 5
Rest = dict[str, Any]
Maker = Callable[[Draw, np.random.Generator], Rest]  # all inputs but the points

# which inputs have a row for each point, whatever the operation; the others are shared
BY_ROW = ("z", "x", "context", "log_scale", "shift", "x_knots", "y_knots", "slopes", "raw")


def repeated(inputs: Mapping[str, Array], times: int) -> dict[str, Array]:
    """All rows, so many times one after the other."""
    return {k: np.concatenate([a] * times) if k in BY_ROW else a for k, a in inputs.items()}


def rows(inputs: Mapping[str, Array], which: Any) -> dict[str, Array]:
    return {k: a[which] if k in BY_ROW else a for k, a in inputs.items()}


def affine(draw: Draw, rng: np.random.Generator) -> Rest:
    return {"log_scale": 0.5 * rng.standard_normal(draw.n), "shift": rng.standard_normal(draw.n)}


def spline(draw: Draw, rng: np.random.Generator) -> Rest:
    """Knots from about -2 to 2, slopes from about 1/4 to 4, at the ends as well."""
    shape = (draw.n, BINS + 1)
    x_knots, y_knots = np.cumsum(rng.uniform(0.3, 1.7, (2, *shape)), axis=2) - BINS / 2
    return {"x_knots": x_knots, "y_knots": y_knots, "slopes": np.exp(0.7 * rng.standard_normal(shape))}


def spline_transformer(draw: Draw, rng: np.random.Generator) -> Rest:
    return {"raw": 0.7 * rng.standard_normal((draw.n, 3 * BINS - 1)), "bound": BOUND}


def activation(draw: Draw, rng: np.random.Generator) -> Rest:
    return {"slope": rng.uniform(0.1, 0.9)}


def dense(draw: Draw, rng: np.random.Generator) -> Rest:
    """A rotation with stretched axes."""
    W = np.linalg.qr(rng.standard_normal((draw.d, draw.d)))[0] * np.exp(0.5 * rng.standard_normal(draw.d))
    return {"W": W, **shift(draw, rng)}


def plu(draw: Draw, rng: np.random.Generator) -> Rest:
    lower, upper = 0.5 * rng.standard_normal((2, draw.d, draw.d))
    diagonal, order = 0.5 * rng.standard_normal(draw.d), rng.permutation(draw.d)
    return {"lower": lower, "upper": upper, "log_diagonal": diagonal, "order": order, **shift(draw, rng)}


def permutation(draw: Draw, rng: np.random.Generator) -> Rest:
    return {"order": rng.permutation(draw.d)}


def shift(draw: Draw, rng: np.random.Generator) -> Rest:
    b = {"b": rng.standard_normal(draw.d)}
    return {**b, "C": rng.standard_normal((draw.c, draw.d)), **context(draw, rng)} if draw.c else b


def context(draw: Draw, rng: np.random.Generator) -> Rest:
    return {"context": rng.standard_normal((draw.n, draw.c))} if draw.c else {}


def layers(rng: np.random.Generator, sizes: tuple[int, ...], c: int) -> list[Rest]:
    """A network's parameters, such that its outputs stay within some 3."""
    made: list[Rest] = []
    for fan_in, fan_out in pairwise(sizes):
        width = np.sqrt(max(fan_in + c, 1))
        layer = {"W": 0.7 * rng.standard_normal((fan_in, fan_out)) / width, "b": 0.3 * rng.standard_normal(fan_out)}
        made.append({**layer, "C": 0.7 * rng.standard_normal((c, fan_out)) / width} if c else layer)
    return made


def coupling(width: int, choices: Rest) -> Maker:
    """width: how many numbers the transformer takes for each coordinate."""
    def make(draw: Draw, rng: np.random.Generator) -> Rest:
        mask = rng.random(draw.d) < 0.5
        mask[rng.integers(draw.d)] = False
        passing = int(mask.sum())
        net = layers(rng, (passing, HIDDEN, (draw.d - passing) * width), draw.c)
        return {"mask": mask, **flat("net", net), **choices, **context(draw, rng)}

    return make


def autoregressive(width: int, choices: Rest) -> Maker:
    def make(draw: Draw, rng: np.random.Generator) -> Rest:
        order = rng.permutation(draw.d)
        degrees = tuple(int(i) + 1 for i in np.argsort(order))
        net = masked(rng, degrees, tuple(k for k in degrees for _ in range(width)), draw.c)
        return {"order": order, **flat("net", net), **choices, **context(draw, rng)}

    return make


def masked(rng: np.random.Generator, degrees_in: tuple[int, ...], degrees_out: tuple[int, ...], c: int) -> list[Rest]:
    net = layers(rng, (len(degrees_in), HIDDEN, len(degrees_out)), c)
    return [{**layer, "mask": mask} for layer, mask in zip(net, made_masks(degrees_in, (HIDDEN,), degrees_out), strict=True)]


def semi_autoregressive(draw: Draw, rng: np.random.Generator, spread: float = 0.3) -> Rest:
    """Blocks of any sizes, in any order, with any of the invertible maps."""
    cuts = np.flatnonzero(rng.random(draw.d - 1) < 0.5) + 1
    sizes, order = np.diff([0, *cuts, draw.d]), rng.permutation(draw.d)
    block_map = str(rng.choice(["affine", "dense", "coupling", "spline"]))
    flow = saef(draw.d, sizes.tolist(), order.tolist(), block_map, (HIDDEN,), 3, (4,), 2, draw.c)
    params = moved(flow.init(rng), rng, spread)
    assert isinstance(flow, Flow)
    net = flow.bijection.net  # type: ignore[attr-defined]
    masks = made_masks(net.degrees_in, (HIDDEN,), net.degrees_out)
    params["contexts"] = [{**layer, "mask": mask} for layer, mask in zip(params["contexts"], masks, strict=True)]
    choices = {"sizes": sizes, "order": order, "map": np.array(block_map)}
    return {**choices, **flat("params", params), **context(draw, rng)}


def moved(params: Tree, rng: np.random.Generator, spread: float) -> Any:
    """Away from the start, which is the identity."""
    return tree_map(lambda p: p + spread * rng.standard_normal(np.shape(p)), params)


AFFINE: Rest = {"limit": 2.0}
SPLINE: Rest = {"bound": BOUND}
ELEMENTWISE: dict[str, Maker] = {
    "affine": affine, "rational_quadratic_spline": spline, "spline_transformer": spline_transformer,
    "leaky": activation, "smooth_leaky": activation,
}
LAYERS: dict[str, Maker] = {
    "dense": dense, "plu": plu, "permutation": permutation,
    "coupling_affine": coupling(2, AFFINE), "coupling_spline": coupling(3 * BINS - 1, SPLINE),
    "autoregressive_affine": autoregressive(2, AFFINE), "autoregressive_spline": autoregressive(3 * BINS - 1, SPLINE),
    "saef": semi_autoregressive,
}


def bijection_inputs(name: str, point: str, draw: Draw) -> dict[str, Array]:
    """Of NAME (point "z") or NAME_inverse (point "x")."""
    rng = draw.rng
    rest = (ELEMENTWISE | LAYERS)[name](draw, rng)
    shape = (draw.n,) if name in ELEMENTWISE else (draw.n, draw.d)
    return representable({point: 2 * rng.standard_normal(shape), **rest})
