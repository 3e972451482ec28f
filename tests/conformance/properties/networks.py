"""What holds for a masked network: an output of degree k sees the inputs of degree < k, and every output the context."""
from collections.abc import Mapping

import numpy as np

from evenflow.conformance.adapter import Adapter
from evenflow.conformance.arrays import Array, flat
from evenflow.conformance.properties.checking import Draw, Property, above, ask, named, representable, tolerance, within
from evenflow.conformance.properties.inputs import context, masked


def inputs(draw: Draw) -> dict[str, Array]:
    rng = draw.rng
    seen, made = rng.integers(1, 4, draw.d), rng.integers(1, 5, 4)
    net = flat("net", masked(rng, tuple(seen.tolist()), tuple(made.tolist()), draw.c))
    x = {"x": rng.standard_normal((draw.n, draw.d)), "degrees_in": seen, "degrees_out": made}
    return representable({**x, **net, **context(draw, rng)})


def sees_what_it_may(adapter: Adapter, draw: Draw) -> float:
    given = inputs(draw)
    y, worst = ask(adapter, "masked_mlp", given)["y"], 0.0
    for k in range(1, 5):
        moved = given["x"] + 1.0 * (given["degrees_in"] >= k)
        after, seen = ask(adapter, "masked_mlp", {**given, "x": moved})["y"], given["degrees_out"] <= k
        what = f"the outputs up to degree {k} after the inputs from there on have moved"
        worst = max(worst, within(what, after[:, seen], y[:, seen], tolerance(adapter.dtype, y)))
    return worst


def answers_to_context(adapter: Adapter, draw: Draw) -> float:
    given = inputs(Draw(draw.n, draw.d, 2, draw.seed))
    there = {**given, "context": given["context"] + 1.0}
    y, after = (ask(adapter, "masked_mlp", i)["y"] for i in (given, there))
    moved = float(np.abs(after - y).max(axis=0).min())
    return above("the move of an output with the context", moved, tolerance(adapter.dtype, 1.0) / 100)


PROPERTIES: Mapping[str, tuple[Property, ...]] = {
    "masked_mlp": named({"autoregressive": sees_what_it_may, "context": answers_to_context}),
}
