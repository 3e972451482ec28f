r"""What holds for log densities: their mass is 1, and samples come with the log density that is said elsewhere.

The mass is a midpoint rule in one or two dimensions, over t with x = sinh(t) / 2 in each coordinate: fine near the middle,
wide far out.
"""
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from evenflow.conformance.adapter import Adapter
from evenflow.conformance.arrays import Array, flat
from evenflow.conformance.properties.checking import Draw, Property, ask, named, representable, shaken, tolerance, within
from evenflow.conformance.properties.inputs import HIDDEN, moved, semi_autoregressive
from evenflow.conformance.properties.samplers import target
from evenflow.reference.core.networks import made_masks
from evenflow.reference.flows import MaskedAutoregressive
from evenflow.reference.flows.compose import Chain
from evenflow.reference.flows.flow import Flow, dense_flow, maf, realnvp, spline_flow

QUADRATURE = 0.01  # of which half may be the grid's own, where rectifiers and splines bend a density
GENTLE = 0.1  # parameters of a third of the size: the grid sees all of the density
FEW = 0.25  # of the examples: a grid has thousands of points
Inputs = dict[str, Any]
Maker = Callable[[Draw], Inputs]  # all inputs but the points

FLOWS: dict[str, Callable[[int], Flow]] = {
    "realnvp": lambda d: realnvp(d, 2, (HIDDEN,)), "maf": lambda d: maf(d, 2, (HIDDEN,)),
    "spline_flow": lambda d: spline_flow(d, 2, (HIDDEN,), bins=4), "dense_flow": lambda d: dense_flow(d, 2),
}
DEFAULTS: dict[str, Inputs] = {  # the constructors' own
    "realnvp": {"limit": 3.0}, "maf": {"limit": 3.0}, "spline_flow": {"bound": 5.0}, "dense_flow": {"slope": 0.3},
}


def flow_inputs(name: str, draw: Draw, spread: float = 0.3) -> Inputs:
    flow, rng = FLOWS[name](draw.d), draw.rng
    params = moved(flow.bijection.init(rng), rng, spread)
    return representable({**flat("params", with_masks(flow.bijection, params)), **DEFAULTS[name]})


def with_masks(bijection: Any, params: Any) -> Any:
    """A masked network's layers have their mask beside W."""
    if isinstance(bijection, Chain):
        return [with_masks(part, tree) for part, tree in zip(bijection.layers, params, strict=True)]
    if isinstance(bijection, MaskedAutoregressive):
        masks = made_masks(bijection.net.degrees_in, bijection.net.hidden, bijection.net.degrees_out)
        return [{**layer, "mask": mask} for layer, mask in zip(params, masks, strict=True)]
    return params


def mixture(draw: Draw) -> Inputs:
    return {k.removeprefix("target/"): a for k, a in target(draw.rng, draw.d).items()}


def diagonal_normal(draw: Draw) -> Inputs:
    rng = draw.rng
    return {"mean": rng.standard_normal(draw.d), "sd": rng.uniform(0.5, 1.5, draw.d)}


def saef(draw: Draw) -> Inputs:
    return semi_autoregressive(draw, draw.rng, GENTLE)


def grid(d: int, points: int = 160, reach: float = 4.6) -> tuple[Array, Array]:
    """x (points^d, d) and the logarithms of the cells' volumes."""
    t = reach * (2 * (np.arange(points) + 0.5) / points - 1)
    x = np.stack(np.meshgrid(*[np.sinh(t) / 2] * d, indexing="ij"), axis=-1).reshape(-1, d)
    return x, np.sum(np.log(np.cosh(np.arcsinh(2 * x)) * reach / points), axis=1)


def mass(operation: str, make: Maker, adapter: Adapter, draw: Draw) -> float:
    d = min(draw.d, 2)
    x, log_cells = grid(d)
    point = "z" if operation == "latent_log_prob" else "x"
    given = representable(make(Draw(1, d, 0, draw.seed)))
    log_prob = ask(adapter, operation, {**given, point: x})["log_prob"]
    return within("the mass", np.sum(np.exp(log_prob + log_cells)), np.ones(()), QUADRATURE)


def latent(draw: Draw) -> Inputs:
    """The pullback of a normalised target is normalised."""
    flow = {k: a for k, a in flow_inputs("realnvp", draw, GENTLE).items() if k.startswith("params/")}
    return {**target(draw.rng, draw.d), **flow, "beta": 1.0}


def rings(adapter: Adapter, draw: Draw) -> float:
    """Four rings, no choices: the same for every turn of the plane."""
    x, log_cells = grid(2, 200, 3.2)
    angle = draw.rng.uniform(0, 2 * np.pi)
    turned = x @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    here, there = (ask(adapter, "rings_log_prob", {"x": points})["log_prob"] for points in (x, turned))
    near = np.linalg.norm(x, axis=1) < 6
    return max(within("the mass", np.sum(np.exp(here + log_cells)), np.ones(()), QUADRATURE),
               within("log_prob after a turn", there[near], here[near], 100 * tolerance(adapter.dtype, here[near])))


def samples(name: str, adapter: Adapter, draw: Draw) -> float:
    """The log density that comes with a sample is that of the point."""
    given = flow_inputs(name, draw)
    noise = representable({"noise": draw.rng.standard_normal((draw.n, draw.d))})
    out = ask(adapter, f"{name}_sample", {**given, **noise})

    def log_prob(x: Array) -> Array:
        return ask(adapter, f"{name}_log_prob", {**given, "x": x})["log_prob"]

    enough = tolerance(adapter.dtype, out["log_prob"], shaken(log_prob, out["x"], adapter.dtype))
    return within("log_prob", log_prob(out["x"]), out["log_prob"], enough)


def about_flow(name: str) -> dict[str, tuple[Property, ...]]:
    both = {"samples": partial(samples, name)}
    weighed = partial(mass, f"{name}_log_prob", partial(flow_inputs, name, spread=GENTLE))
    return {f"{name}_sample": named(both), f"{name}_log_prob": named(both) + named({"mass": weighed}, FEW)}


MAKERS: dict[str, Maker] = {
    "gaussian_mixture_log_prob": mixture, "diagonal_normal_log_prob": diagonal_normal, "saef_log_prob": saef,
    "latent_log_prob": latent,
}
PROPERTIES: Mapping[str, tuple[Property, ...]] = {
    **{operation: named({"mass": partial(mass, operation, make)}, FEW) for operation, make in MAKERS.items()},
    "rings_log_prob": named({"mass": rings}, FEW),
    **{operation: properties for name in FLOWS for operation, properties in about_flow(name).items()},
}
