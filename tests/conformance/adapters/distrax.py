"""distrax: bijectors and densities; its forward is ours (noise to data).

Its spline turns raw numbers into knots and slopes. Widths and heights are ours; slopes are turned back into what its softplus
makes these of; and where knots and slopes are given they are put in the places of what it has made. Its couplings take any
function for a network.
"""
from collections.abc import Callable
from typing import Any

import distrax
import jax
import jax.numpy as jnp

from evenflow.conformance.adapter import Operation, versioned
from evenflow.conformance.adapters.jax_functions import JaxFunctions
from evenflow.conformance.adapters.jax_parts import compiled
from evenflow.conformance.adapters.perceptron import perceptron
from evenflow.conformance.arrays import Array, Arrays, branch

def both(name: str, bijector: Callable[[Arrays], Any]) -> dict[str, Operation]:
    """An operation and its inverse."""
    def forward(i: Arrays) -> Arrays:
        x, log_det = bijector(i).forward_and_log_det(i["z"])
        return {"x": x, "log_det": log_det}

    def inverse(i: Arrays) -> Arrays:
        z, log_det = bijector(i).inverse_and_log_det(i["x"])
        return {"z": z, "log_det": log_det}

    return {name: forward, f"{name}_inverse": inverse}


def raw_slopes(slopes: Array, floor: float) -> Array:
    """What its softplus, moved so that 0 becomes 1, turns into these slopes."""
    def inverse(s: Array) -> Array:
        return s + jnp.log(-jnp.expm1(-s))
    return inverse(slopes - floor) - inverse(1 - floor)


def spline(i: Arrays) -> Any:
    made = distrax.RationalQuadraticSpline(jnp.zeros((*i["slopes"].shape[:-1], 3 * i["slopes"].shape[-1] - 2)), 0.0, 1.0)
    made._x_pos, made._y_pos, made._knot_slopes = i["x_knots"], i["y_knots"], i["slopes"]
    return made


def raw_spline(raw: Array, bound: Array, ends: str) -> Any:
    """Widths and heights as they are: its softmax and its floor are ours. Slopes exp(5 tanh(raw / 5)), as many as the ends need."""
    K, floor = raw.shape[-1] // 3 + (ends == "identity"), 1e-4
    missing = raw[..., :1] if ends == "circular" else jnp.zeros((*raw.shape[:-1], 2))
    slopes = raw_slopes(jnp.exp(5 * jnp.tanh(raw[..., 2 * K : 3 * K] / 5)), floor)
    padded = jnp.concatenate([slopes, missing] if ends == "circular" else [missing[..., :1], slopes, missing[..., 1:]], axis=-1)
    whole = jnp.concatenate([raw[..., : 2 * K], padded], axis=-1)
    return distrax.RationalQuadraticSpline(whole, -bound, bound, ends, 2e-3 * bound, floor)


def affine(raw: Array, limit: Array) -> Any:
    return distrax.ScalarAffine(shift=raw[..., 1], log_scale=limit * jnp.tanh(raw[..., 0] / limit))


def coupling(net: Any, mask: Array, width: int, transformer: Callable[[Array], Any], context: Array | None) -> Any:
    """Its network gets all coordinates, those that move as zeros, and answers for all of them: ours for a part of them."""
    passes, moves = jnp.flatnonzero(mask), jnp.flatnonzero(~mask)

    def conditioner(z: Array) -> Array:
        raw = perceptron(net, z[:, passes], context).reshape(len(z), len(moves), width)
        return jnp.zeros((len(z), len(mask), width)).at[:, moves].set(raw)

    return distrax.MaskedCoupling(mask, conditioner, transformer)


def coupling_affine(i: Arrays) -> Any:
    return coupling(branch(i, "net"), i["mask"], 2, lambda raw: affine(raw, i["limit"]), i.get("context"))


def coupling_spline(i: Arrays) -> Any:
    net = branch(i, "net")
    width = net[-1]["b"].shape[0] // int(jnp.sum(~i["mask"]))
    return coupling(net, i["mask"], width, lambda raw: raw_spline(raw, i["bound"], "identity"), i.get("context"))


def shift(i: Arrays) -> Array:
    return i["b"] + (i["context"] @ i["C"] if "context" in i else 0)


def plu(i: Arrays) -> Any:
    """P L U z + b: two of its triangular maps. It has no permutation of coordinates: b alone undoes none, so order is 0 ... d - 1."""
    if jnp.any(i["order"] != jnp.arange(len(i["order"]))):
        raise NotImplementedError("no permutation")
    d = len(i["order"])
    lower = jnp.tril(i["lower"], -1) + jnp.eye(d)
    upper = jnp.triu(i["upper"], 1) + jnp.diag(jnp.exp(5 * jnp.tanh(i["log_diagonal"] / 5)))
    return distrax.Chain([
        distrax.Block(distrax.Shift(shift(i)), 1), distrax.TriangularLinear(lower), distrax.TriangularLinear(upper, is_lower=False),
    ])


def mixture(i: Arrays) -> Any:
    components = distrax.MultivariateNormalDiag(i["means"], i["sds"][:, None] * jnp.ones_like(i["means"]))
    return distrax.MixtureSameFamily(distrax.Categorical(probs=i["weights"]), components)


def log_prob(density: Callable[[Arrays], Any]) -> Operation:
    return lambda i: {"log_prob": density(i).log_prob(i["x"])}


adapter = JaxFunctions(versioned("distrax", "jax"), compiled({
    **both("affine", lambda i: distrax.ScalarAffine(shift=i["shift"], log_scale=i["log_scale"])),
    **both("rational_quadratic_spline", spline),
    **both("spline_transformer", lambda i: raw_spline(i["raw"], i["bound"], "identity")),
    **both("coupling_affine", coupling_affine),
    **both("coupling_spline", coupling_spline),
    **both("plu", plu),
    "gaussian_mixture_log_prob": log_prob(mixture),
    "diagonal_normal_log_prob": log_prob(lambda i: distrax.MultivariateNormalDiag(i["mean"], i["sd"])),
    "uniform_log_prob": log_prob(lambda i: distrax.Independent(distrax.Uniform(i["low"], i["high"]), 1)),
}))
