"""Densities, and flows: a standard normal pushed through a bijection, with the constructors' own limits, bounds and slopes."""
from collections.abc import Callable

import autograd.numpy as np

from evenflow.conformance.adapter import Operation
from evenflow.conformance.arrays import Arrays, branch
from evenflow.reference.core.looking import value
from evenflow.reference.core.trees import Tree
from evenflow.reference.flows.affine import affine_inverse
from evenflow.reference.flows.densities import Normal, Uniform
from evenflow.reference.flows.flow import Flow, dense_flow, maf, realnvp, spline_flow
from evenflow.reference.targets.mixtures import mixture_log_prob
from evenflow.reference.targets.toys import Rings


def gaussian_mixture_log_prob(i: Arrays) -> Arrays:
    """Differentiated in x alone."""
    weights, means, sds = (value(i[name]) for name in ("weights", "means", "sds"))
    return {"log_prob": mixture_log_prob(i["x"], means, weights, sds)}


def diagonal_normal_log_prob(i: Arrays) -> Arrays:
    """A standard normal, scaled and shifted: log rho(z) + the sum of log dz/dx."""
    like_x = np.zeros_like(value(i["x"]))
    z, log_slope = affine_inverse(i["x"], np.log(i["sd"]) + like_x, i["mean"] + like_x)
    return {"log_prob": Normal(i["x"].shape[1]).log_prob(z) + np.sum(log_slope, axis=1)}


def rings_log_prob(i: Arrays) -> Arrays:
    return {"log_prob": Rings().log_prob(i["x"])}


def uniform_log_prob(i: Arrays) -> Arrays:
    return {"log_prob": Uniform(i["x"].shape[1], float(i["low"]), float(i["high"])).log_prob(i["x"])}


def widths(net: Tree) -> tuple[int, ...]:
    """Of the hidden layers."""
    return tuple(layer["b"].shape[0] for layer in net[:-1])


def realnvp_of(i: Arrays) -> tuple[Flow, Tree]:
    params = branch(i, "params")
    return realnvp(dimension(i), len(params) - 1, widths(params[0])), params


def spline_flow_of(i: Arrays) -> tuple[Flow, Tree]:
    params = branch(i, "params")
    d = dimension(i)
    moved = d - d // 2  # by the first coupling
    bins = (params[0][-1]["b"].shape[0] // moved + 1) // 3
    return spline_flow(d, len(params) - 1, widths(params[0]), bins=bins), params


def maf_of(i: Arrays) -> tuple[Flow, Tree]:
    params = branch(i, "params")
    return maf(dimension(i), (len(params) + 1) // 2, widths(params[0])), params


def dense_flow_of(i: Arrays) -> tuple[Flow, Tree]:
    params = branch(i, "params")
    return dense_flow(dimension(i), len(params) // 2), params


def dimension(i: Arrays) -> int:
    return int(i["noise" if "noise" in i else "x"].shape[1])


def flow(name: str, of: Callable[[Arrays], tuple[Flow, Tree]]) -> dict[str, Operation]:
    """Samples with their log density, and the log density of points."""
    def sample(i: Arrays) -> Arrays:
        built, params = of(i)
        x, log_prob = built.sample_and_log_prob(params, i["noise"])
        return {"x": x, "log_prob": log_prob}

    def log_prob(i: Arrays) -> Arrays:
        built, params = of(i)
        return {"log_prob": built.log_prob(params, i["x"])}

    return {f"{name}_sample": sample, f"{name}_log_prob": log_prob}


OPERATIONS: dict[str, Operation] = {
    "gaussian_mixture_log_prob": gaussian_mixture_log_prob,
    "diagonal_normal_log_prob": diagonal_normal_log_prob,
    "rings_log_prob": rings_log_prob,
    "uniform_log_prob": uniform_log_prob,
    **flow("realnvp", realnvp_of),
    **flow("spline_flow", spline_flow_of),
    **flow("maf", maf_of),
    **flow("dense_flow", dense_flow_of),
}
