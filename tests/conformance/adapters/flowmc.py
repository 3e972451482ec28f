"""kazewong's flowMC: single steps of its samplers, its affine coupling and its spline.

Its MALA's step is dt: eta = dt^2 / 2. Its flows read forward from data to noise, so their inverse is our forward:
x = z e^-s - t with s = dt tanh(scale network), t = dt (shift network). With dt = limit and the signs of the last layers
turned, that is our affine coupling. Its networks see all coordinates, those that move as zeros; they take no context.
"""
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from flowMC.resource.kernel.Gaussian_random_walk import GaussianRandomWalk
from flowMC.resource.kernel.HMC import HMC
from flowMC.resource.kernel.MALA import MALA
from flowMC.resource.kernel.NF_proposal import NFProposal
from flowMC.resource.model.common import MLP, MaskedCouplingLayer, MLPAffine
from flowMC.resource.model.nf_model.realNVP import RealNVP
from flowMC.resource.model.nf_model.rqSpline import _rational_quadratic_spline_fwd as spline_forward
from flowMC.resource.model.nf_model.rqSpline import _rational_quadratic_spline_inv as spline_inverse

from evenflow.conformance.adapter import Operation, versioned
from evenflow.conformance.adapters.jax_functions import JaxFunctions
from evenflow.conformance.adapters.jax_parts import compiled, given, target
from evenflow.conformance.arrays import Array, Arrays, branch

KEY = jax.random.PRNGKey(0)  # for what is never drawn


def chains(kernel: Callable[[Arrays], Any], noise: str = "noise") -> Operation:
    """A step for each chain. What it proposes is where it stands after a step with u = 0, which nothing refuses."""
    def run(i: Arrays) -> Arrays:
        log_p, made = target(i), kernel(i)

        def step(x: Array, normal: Array, u: Array) -> tuple[Array, Array, Array]:
            with given(normal, u) as asked:
                after, _, accepted = made.kernel(KEY, x, log_p(x), lambda x, _: log_p(x), {"n_steps": 1})
            return after.reshape(x.shape), accepted.reshape(()), asked.log_ratio

        def one(x: Array, normal: Array, uniform: Array) -> Arrays:
            after, accepted, log_ratio = step(x, normal, uniform)
            return {"proposal": step(x, normal, 0 * uniform)[0], "log_ratio": log_ratio, "accepted": accepted, "x": after}

        result: Arrays = jax.vmap(one)(i["x"], i[noise], i["uniform"])
        return result
    return run


def flow_proposal(i: Arrays) -> Any:
    """Its RealNVP with couplings that do nothing: what is left is its data_mean + sqrt(data_cov) noise."""
    d = len(i["flow/mean"])
    flow = RealNVP(d, 1, 1, KEY, data_mean=i["flow/mean"], data_cov=jnp.diag(i["flow/sd"] ** 2))
    still = jax.tree.map(lambda a: 0 * a if eqx.is_inexact_array(a) else a, flow.affine_coupling)
    return NFProposal(eqx.tree_at(lambda f: f.affine_coupling, flow, still))


def copied(net: list[dict[str, Array]], kind: int, mask: Array, factor: Array) -> Any:
    """One of its two networks, kind 0 for the scale or 1 for the shift: all coordinates come in, and all go out.
    For those that pass it says 1, which must not count."""
    d, (passes, moves) = len(mask), (np.flatnonzero(mask), np.flatnonzero(~mask))
    sizes = [d, *(len(layer["b"]) for layer in net[:-1]), d]
    mlp = MLP(sizes, KEY)
    for k, layer in enumerate(net):
        W, b = layer["W"], layer["b"]
        if k == 0:
            W = jnp.zeros((d, W.shape[1])).at[passes].set(W)
        if k == len(net) - 1:
            W = jnp.zeros((W.shape[0], d)).at[:, moves].set(factor * W[:, kind::2])
            b = jnp.ones(d).at[moves].set(factor * b[kind::2])
        mlp = eqx.tree_at(lambda m, k=k: (m.layers[2 * k].weight, m.layers[2 * k].bias), mlp, (W.T, b))
    return mlp


def coupling(i: Arrays, v: str, method: str) -> tuple[Array, Array]:
    if "context" in i:
        raise NotImplementedError("no context")
    net, mask, limit = branch(i, "net"), np.asarray(i["mask"]), i["limit"]
    layer = MaskedCouplingLayer(
        MLPAffine(*(copied(net, kind, mask, -1 / limit) for kind in (0, 1)), dt=limit), jnp.asarray(mask, float))
    pair: tuple[Array, Array] = jax.vmap(lambda x: getattr(layer, method)(x, None))(i[v])
    return pair


def outputs(names: tuple[str, str], f: Callable[[Arrays], tuple[Array, Array]]) -> Operation:
    return lambda i: dict(zip(names, f(i), strict=True))


def knots(i: Arrays) -> tuple[Array, Array, Array]:
    return i["x_knots"], i["y_knots"], i["slopes"]


adapter = JaxFunctions(versioned("flowMC", "jax"), compiled({
    "mala": chains(lambda i: MALA(jnp.sqrt(2 * i["step_size"]) * jnp.ones(i["x"].shape[1]))),
    "random_walk": chains(lambda i: GaussianRandomWalk(i["step_size"] * jnp.ones(i["x"].shape[1]))),
    "hmc": chains(lambda i: HMC(jnp.ones(i["x"].shape[1]), i["step_size"], int(i["leapfrog_steps"])), "momentum"),
    "independent_mh": chains(flow_proposal),
    "coupling_affine": outputs(("x", "log_det"), lambda i: coupling(i, "z", "inverse")),
    "coupling_affine_inverse": outputs(("z", "log_det"), lambda i: coupling(i, "x", "forward")),
    "rational_quadratic_spline": outputs(("x", "log_det"), lambda i: spline_forward(i["z"], *knots(i))),
    "rational_quadratic_spline_inverse": outputs(("z", "log_det"), lambda i: spline_inverse(i["x"], *knots(i))),
}))
