"""vjp against central differences of the adapter's own answers, along a random direction in all inputs at once.

In which inputs a gradient is asked for stands in the vectors: in those that have one in any of an operation's cases.
"""
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np
from hypothesis import assume

from evenflow.conformance.adapter import Adapter
from evenflow.conformance.arrays import Array, of_dtype
from evenflow.conformance.properties import densities, ebm, line, models, networks, scores
from evenflow.conformance.properties.checking import Draw, Property, ask, named, representable, slope, step, tolerance, within
from evenflow.conformance.properties.inputs import ELEMENTWISE, LAYERS, bijection_inputs
from evenflow.conformance.suites import FOLDER, read

Maker = Callable[[Draw], Mapping[str, Any]]


@cache
def asked(operation: str) -> frozenset[str]:
    """The names of the inputs, without the numbers in them: net/0/W is net/W."""
    return frozenset(unnumbered(name) for case in read(FOLDER / f"{operation}.json").cases for name in case.grads)


def unnumbered(name: str) -> str:
    return "/".join(part for part in name.split("/") if not part.isdigit())


def directional(operation: str, make: Maker, adapter: Adapter, draw: Draw) -> float:
    given, rng = representable(dict(make(draw))), np.random.default_rng(draw.seed + 1)
    moving = {k: a for k, a in given.items() if unnumbered(k) in asked(operation)}
    direction = {k: rng.standard_normal(a.shape) for k, a in moving.items()}
    length = np.sqrt(sum(np.sum(v**2) for v in direction.values()))
    here = ask(adapter, operation, given)
    cotangents = {k: rng.standard_normal(out.shape) for k, out in here.items() if out.dtype.kind == "f"}
    grads = adapter.vjp(operation, of_dtype(given, adapter.dtype), of_dtype(cotangents, adapter.dtype))
    along = 0.0
    for k, v in direction.items():
        g = np.asarray(grads[k])
        assert (g.shape, str(g.dtype)) == (given[k].shape, adapter.dtype), f"the gradient in {k} is a {g.dtype} {g.shape}"
        along += float(np.sum(g.astype(np.float64) * v / length))
    h = step(adapter.dtype)
    moved = [{**given, **{k: given[k] + side * h * v / length for k, v in direction.items()}} for side in (-1, 1)]
    behind, ahead = (ask(adapter, operation, at) for at in moved)
    total, doubt = 0.0, 0.0
    for k, w in cotangents.items():
        numeric, uncertain = slope(behind[k], here[k], ahead[k], adapter.dtype)
        total, doubt = total + float(np.sum(w * numeric)), doubt + float(np.sum(np.abs(w) * uncertain))
    allowed = doubt + 4 * tolerance(adapter.dtype, total)
    assume(allowed <= 0.1 * max(1.0, abs(total)))  # else the differences can say nothing: a steep map in float32
    return within("the derivative along a direction", np.asarray(along), np.asarray(total), allowed)


def scored(operation: str) -> Maker:
    return partial(scores.inputs, operation)


def pinball(draw: Draw) -> dict[str, Array]:
    q, y = draw.rng.standard_normal((2, draw.n))
    return {"quantile": q, "y": y, "alpha": draw.rng.uniform(0.05, 0.95, draw.n)}


def normal(draw: Draw) -> dict[str, Array]:
    mean, log_sd, y = draw.rng.standard_normal((3, draw.n))
    return {"mean": mean, "sd": np.exp(log_sd), "y": y}


def at_points(make: Maker, draw: Draw, point: str = "x") -> dict[str, Any]:
    return {**make(draw), point: draw.rng.standard_normal((draw.n, draw.d))}


def forced(draw: Draw) -> dict[str, Any]:
    noise = draw.rng.standard_normal((3, draw.n, draw.d))
    return {**bijection_inputs("saef", "x", draw), "noise": noise, "beta": 1.5}


def levelled(draw: Draw) -> dict[str, Any]:
    given, _ = models.quantile_inputs(Draw(draw.n, draw.d, 0, draw.seed))
    return {**given, "alpha": draw.rng.uniform(0.05, 0.95, (3, draw.n, draw.d))}


def tilted(draw: Draw) -> dict[str, Any]:
    return {**ebm.energy_inputs(draw), "sd": 1.5}


MAKERS: dict[str, Maker] = {
    **{name: partial(bijection_inputs, name, "z") for name in ELEMENTWISE | LAYERS},
    **{f"{name}_inverse": partial(bijection_inputs, name, "x") for name in ELEMENTWISE | LAYERS},
    **{operation: scored(operation) for pair in scores.DISTANCES.items() for operation in pair},
    "crps": line.drawn, "crps_normal": normal, "quantile_score": pinball,
    **{f"{name}_log_prob": partial(at_points, partial(densities.flow_inputs, name)) for name in densities.FLOWS},
    **{f"{name}_sample": partial(at_points, partial(densities.flow_inputs, name), point="noise") for name in densities.FLOWS},
    "gaussian_mixture_log_prob": partial(at_points, densities.mixture),
    "diagonal_normal_log_prob": partial(at_points, densities.diagonal_normal),
    "saef_log_prob": partial(bijection_inputs, "saef", "x"), "saef_loss": forced,
    "aqf_quantiles": levelled, "aqf_loss": levelled,
    "latent_log_prob": partial(at_points, densities.latent, point="z"),
    "masked_mlp": networks.inputs, "energy_mlp": ebm.energy_inputs, "tilted_log_prob": tilted,
}
PROPERTIES: Mapping[str, tuple[Property, ...]] = {
    operation: named({"gradient": partial(directional, operation, make)}) for operation, make in MAKERS.items()
}
