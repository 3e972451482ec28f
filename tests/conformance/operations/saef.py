"""Semi-autoregressive energy flows, and the quantile flows before them. The model's sizes are those of its parameters."""
import autograd.numpy as np

from evenflow.conformance.adapter import Operation
from evenflow.conformance.arrays import Array, Arrays, branch
from evenflow.conformance.operations.bijections import context_dim
from evenflow.reference.core.looking import value
from evenflow.reference.core.trees import Tree
from evenflow.reference.flows import AffineTransformer, Flow
from evenflow.reference.saef.aqf import AQF, aqf
from evenflow.reference.saef.semiautoregressive import FreeForm, saef
from evenflow.reference.scores import energy_score


def model(i: Arrays) -> tuple[Flow | FreeForm, Tree]:
    """What the constructor builds, with the parameters that are given."""
    sizes, order, block_map = i["sizes"].tolist(), i["order"].tolist(), str(i["map"])
    contexts, maps = branch(i, "params/contexts"), branch(i, "params/maps")
    wide = [block_map == "dense" and k > 1 for k in dict.fromkeys(sizes)]  # of dense layers; all else is made of networks
    layers = max(1, (len(maps[0]) - 1) // (2 if wide[0] else 1))           # before the last
    nets = [each for each, dense in zip(maps, wide, strict=True) if not dense]
    net = maps[0] if block_map == "free_form" else nets[0][0] if nets else []
    *hidden, outputs = widths(contexts)
    width = outputs // len(sizes)
    built = saef(len(order), sizes, order, block_map, tuple(hidden), width, widths(net)[:-1], layers, context_dim(i))
    return built, {"contexts": contexts, "maps": maps}


def widths(layers: list[dict[str, Array]]) -> tuple[int, ...]:
    return tuple(layer["b"].shape[0] for layer in layers)


def invertible(i: Arrays) -> tuple[Flow, Tree]:
    built, params = model(i)
    assert isinstance(built, Flow)
    return built, params


def forward(i: Arrays) -> Arrays:
    built, params = invertible(i)
    x, log_det = built.bijection.forward(params, i["z"], i.get("context"))
    return {"x": x, "log_det": log_det}


def inverse(i: Arrays) -> Arrays:
    built, params = invertible(i)
    z, log_det = built.inverse(params, i["x"], i.get("context"))
    return {"z": z, "log_det": log_det}


def log_prob(i: Arrays) -> Arrays:
    built, params = invertible(i)
    return {"log_prob": built.log_prob(params, i["x"], i.get("context"))}


def loss(i: Arrays) -> Arrays:
    built, params = model(i)
    beta, noise = float(i["beta"]), np.reshape(i["noise"], (-1, i["noise"].shape[-1]))
    return {"loss": built.loss(params, i["x"], noise, lambda draws, y: energy_score(draws, y, beta), i.get("context"))}


def free_form_sample(i: Arrays) -> Arrays:
    built, params = model(i)
    return {"x": built.sample(params, i["noise"], i.get("context"))}


def quantile_flow(i: Arrays) -> tuple[AQF, Tree]:
    net, order = branch(i, "net"), tuple(i["order"].tolist())
    built = aqf(len(order), order, widths(net)[:-1], context_dim(i), AffineTransformer(float(i["limit"])))
    return built, net


def aqf_quantiles(i: Arrays) -> Arrays:
    built, params = quantile_flow(i)
    return {"quantiles": built.quantiles(params, value(i["alpha"]), i["x"], i.get("context"))}


def aqf_loss(i: Arrays) -> Arrays:
    built, params = quantile_flow(i)
    return {"loss": built.quantile_loss(params, i["x"], value(i["alpha"]), i.get("context"))}


OPERATIONS: dict[str, Operation] = {
    "saef": forward, "saef_inverse": inverse, "saef_log_prob": log_prob, "saef_loss": loss,
    "free_form_sample": free_form_sample, "aqf_quantiles": aqf_quantiles, "aqf_loss": aqf_loss,
}
