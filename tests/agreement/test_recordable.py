"""Flows forth and back can be recorded: no copies between host and device, no waits, and played back they give the same."""
from typing import Any

import autograd.numpy as anp
import pytest

from evenflow.accel.buffers import packed
from evenflow.accel.recording import Recorder, noting
from evenflow.reference.core.gradients import value_and_gradient
from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Tree, leaves
from evenflow.reference.flows import Chain, Coupling, Flow, Normal, SplineTransformer, elementwise
from evenflow.reference.flows.flow import maf, realnvp, spline_flow
from evenflow.reference.saef.aqf import aqf
from evenflow.reference.saef.semiautoregressive import saef
from tests.agreement.backends import backend
from tests.standin import xp
from tests.strategies import generator

BLOCKS = (2, 1, 2)
FLOWS: dict[str, Any] = {
    "affine": realnvp(3, 2, (20,)), "spline": spline_flow(3, 2, (5,)), "wide": realnvp(3, 2, (129,)),
    "with a context": realnvp(3, 2, (5,), context_dim=2), "masked": maf(3, 2, (6,)),
    "masked spline": maf(3, 2, (6,), transformer=SplineTransformer(3)), "quantile": aqf(3, (2, 0, 1), (6,)),
    "one layer": Flow(Normal(2), Coupling((True, False), hidden=(5,))),
    "elementwise": Flow(Normal(2), Chain((elementwise(2, SplineTransformer(3)),))),
    **{f"saef, {kind}": saef(5, BLOCKS, (4, 0, 2, 1, 3), kind, (8,), 4, (5,), 2) for kind in ("affine", "coupling", "spline")},
}


def both_ways(flow: Any, args: Tree) -> Tree:
    """Samples and log densities, and the gradients of both in all arguments."""
    def summed(args: Tree) -> Any:
        x = flow.sample(args["params"], args["z"], args.get("context"))
        return anp.sum(x * args["z"]) + anp.sum(flow.log_prob(args["params"], args["x"], args.get("context")))

    return [
        flow.sample(args["params"], args["z"], args.get("context")),
        flow.log_prob(args["params"], args["x"], args.get("context")), *value_and_gradient(summed, args),
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FLOWS)
def test_both_ways_and_their_gradients(name: str, dtype: str) -> None:
    flow, rng = FLOWS[name], generator(0)
    args = {"params": flow.init(rng), "z": rng.standard_normal((4, flow.d)), "x": rng.standard_normal((4, flow.d))}
    if flow.context_dim:
        args["context"] = rng.standard_normal((4, flow.context_dim))
    with backend("standin"):
        args = packed(placed(args, dtype))
        expected = [leaf.get() for leaf in leaves(both_ways(flow, args))]
        stream, pool = xp.cuda.Stream(non_blocking=True), xp.cuda.MemoryPool()
        with stream, xp.cuda.using_allocator(pool.malloc), noting(Recorder(xp, rng, 0)):
            both_ways(flow, args)  # what stays on the device is brought there
            stream.begin_capture()
            try:
                said = both_ways(flow, args)
            finally:
                graph = stream.end_capture()
            graph.launch(stream)
        assert all((leaf.get() == e).all() for leaf, e in zip(leaves(said), expected, strict=True))
