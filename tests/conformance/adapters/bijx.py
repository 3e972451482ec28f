"""bijx: bijections and densities. Its forward is ours, and takes the log density along: that falls by the log_det.

Its spline lives on [0, 1] with slope 1 at the ends and the identity outside, and takes raw numbers: its softmax and its
floor are ours, and slopes are turned back into what its softplus makes these of. Its coupling gets the weights in its own
network, which takes no context and needs an input and a hidden layer.
"""
from collections.abc import Callable
from typing import Any

import bijx
import jax
import jax.numpy as jnp
import numpy as np
from bijx.bijections.splines import rational_quadratic_spline
from bijx.mcmc import IMH, IMHState
from flax import nnx

from evenflow.conformance.adapter import Operation, versioned
from evenflow.conformance.adapters.jax_functions import JaxFunctions
from evenflow.conformance.adapters.jax_parts import compiled, given, target
from evenflow.conformance.arrays import Array, Arrays, branch

KEY = jax.random.key(0)  # for what is never drawn


def both(name: str, bijection: Callable[[Arrays], Any], event_ndims: int = 1) -> dict[str, Operation]:
    """An operation and its inverse."""
    def nothing(v: Array) -> Array:
        return jnp.zeros(v.shape[: v.ndim - event_ndims])

    def forward(i: Arrays) -> Arrays:
        x, log_density = bijection(i).forward(i["z"], nothing(i["z"]))
        return {"x": x, "log_det": -log_density}

    def inverse(i: Arrays) -> Arrays:
        z, log_density = bijection(i).reverse(i["x"], nothing(i["x"]))
        return {"z": z, "log_det": -log_density}

    return {name: forward, f"{name}_inverse": inverse}


def spline(v: Array, i: Arrays, inverse: bool) -> tuple[Array, Array]:
    """Slopes exp(5 tanh(raw / 5)); its softplus has a floor, and a scale s that makes 0 into 1."""
    raw, bound, floor = i["raw"], i["bound"], 1e-3
    K, s = (raw.shape[1] + 1) // 3, np.log(2) / (1 - floor)
    above = s * (jnp.exp(5 * jnp.tanh(raw[:, 2 * K :] / 5)) - floor)
    slopes = (above + jnp.log(-jnp.expm1(-above))) / s
    out, log_det = rational_quadratic_spline((v + bound) / (2 * bound), raw[:, :K], raw[:, K : 2 * K], slopes, inverse=inverse)
    return 2 * bound * out - bound, log_det


def coupling(i: Arrays) -> Any:
    """Its primary coordinates are those that move; in its affine map the raw scale comes before the shift, as in ours."""
    net, mask, limit = branch(i, "net"), np.asarray(i["mask"]), i["limit"]
    if "context" in i or not mask.any() or len(net) < 2:
        raise NotImplementedError("its network takes no context and needs an input and a hidden layer")
    sizes = [len(net[0]["W"]), *(len(layer["b"]) for layer in net)]
    mlp = bijx.nn.nets.MLP(sizes[0], sizes[-1], sizes[1:-1], activation=nnx.relu, rngs=nnx.Rngs(0))
    for its, ours in zip(mlp.layers, net, strict=True):
        its.kernel, its.bias = nnx.Param(ours["W"]), nnx.Param(ours["b"])
    template = bijx.ModuleReconstructor(bijx.AffineLinear(
        jnp.zeros(()), jnp.zeros(()), transform_scale=lambda raw: jnp.exp(limit * jnp.tanh(raw / limit))))
    moving = int(np.sum(~mask))
    shaped = nnx.Sequential(mlp, lambda raw: raw.reshape(*raw.shape[:-1], moving, -1))
    with jax.ensure_compile_time_eval():
        primary = bijx.BinaryMask.from_boolean_mask(~mask)
    return bijx.GeneralCouplingLayer(shaped, primary, template)


def mixture(i: Arrays) -> Any:
    """Its weights are logits; its epsilon under the standard deviations is 0 here."""
    variances = i["sds"][:, None] ** 2 * jnp.ones_like(i["means"])
    return bijx.GaussianMixture(i["means"], variances, jnp.log(i["weights"]), epsilon=0.0)


def independent_mh(i: Arrays) -> Arrays:
    log_p, flow = target(i), bijx.DiagonalNormal(i["flow/mean"], i["flow/sd"], epsilon=0.0)

    def one(x: Array, normal: Array, uniform: Array) -> Arrays:
        with given(normal, uniform) as asked:
            state, info = IMH(flow, log_p).step(KEY, IMHState(x, log_p(x), flow.log_density(x)))
        step = {"proposal": info.proposal.position, "accepted": info.is_accepted, "x": state.position}
        return {**step, "log_ratio": asked.log_ratio}

    result: Arrays = jax.vmap(one)(i["x"], i["noise"], i["uniform"])
    return result


def mixture_log_prob(i: Arrays) -> Arrays:
    """It divides the weights by their sum; ours are taken as they are."""
    return {"log_prob": mixture(i).log_density(i["x"]) + jnp.log(jnp.sum(i["weights"]))}


def log_prob(density: Callable[[Arrays], Any]) -> Operation:
    return lambda i: {"log_prob": density(i).log_density(i["x"])}


adapter = JaxFunctions(versioned("bijx", "jax"), compiled({
    **both("affine", lambda i: bijx.AffineLinear(i["log_scale"], i["shift"]), 0),
    "spline_transformer": lambda i: dict(zip(("x", "log_det"), spline(i["z"], i, inverse=False), strict=True)),
    "spline_transformer_inverse": lambda i: dict(zip(("z", "log_det"), spline(i["x"], i, inverse=True), strict=True)),
    **both("coupling_affine", coupling),
    "independent_mh": independent_mh,
    "gaussian_mixture_log_prob": mixture_log_prob,
    "diagonal_normal_log_prob": log_prob(lambda i: bijx.DiagonalNormal(i["mean"], i["sd"], epsilon=0.0)),
    "effective_size": lambda i: {"ess": bijx.utils.effective_sample_size(i["log_weights"], 0.0) * len(i["log_weights"])},
}))
