"""distrax: bijectors and densities; its forward is ours (noise to data).

Its spline turns raw numbers into knots and slopes. Widths and heights are ours; slopes are turned back into what its softplus
makes these of; and where knots and slopes are given they are put in the places of what it has made. Its couplings take any
function for a network. It has no permutation.
"""
from collections.abc import Callable
from typing import Any

import distrax
import jax
import jax.numpy as jnp
import numpy as np

from evenflow.conformance.adapter import Operation, versioned
from evenflow.conformance.adapters.conv_net import conv_net
from evenflow.conformance.adapters.jax_functions import JaxFunctions
from evenflow.conformance.adapters.jax_parts import compiled, convolved, given, images
from evenflow.conformance.adapters.perceptron import perceptron
from evenflow.conformance.arrays import Array, Arrays, branch

KEY = jax.random.key(0)   # for what is never drawn
FLOOR = 1e-4              # under its slopes; ours are above e^-5
Transformer = Callable[[Array], Any]


def both(name: str, bijector: Callable[[Arrays], Any]) -> dict[str, Operation]:
    """An operation and its inverse."""
    def forward(i: Arrays) -> Arrays:
        x, log_det = bijector(i).forward_and_log_det(i["z"])
        return {"x": x, "log_det": log_det}

    def inverse(i: Arrays) -> Arrays:
        z, log_det = bijector(i).inverse_and_log_det(i["x"])
        return {"z": z, "log_det": log_det}

    return {name: forward, f"{name}_inverse": inverse}


def spline(i: Arrays) -> Any:
    made = distrax.RationalQuadraticSpline(jnp.zeros((*i["slopes"].shape[:-1], 3 * i["slopes"].shape[-1] - 2)), 0.0, 1.0)
    made._x_pos, made._y_pos, made._knot_slopes = i["x_knots"], i["y_knots"], i["slopes"]
    return made


def spline_transformer(bound: float) -> Transformer:
    """Slopes exp(5 tanh(raw / 5)), of which its softplus, moved so that 0 becomes 1, must be told the origin."""
    def raw_slopes(above: Array) -> Array:
        return above + jnp.log(-jnp.expm1(-above))

    def run(raw: Array) -> Any:
        K = (raw.shape[-1] + 1) // 3
        inner = raw_slopes(jnp.exp(5 * jnp.tanh(raw[..., 2 * K :] / 5)) - FLOOR) - raw_slopes(jnp.asarray(1 - FLOOR))
        end = jnp.zeros_like(raw[..., :1])
        whole = jnp.concatenate([raw[..., : 2 * K], end, inner, end], axis=-1)
        return distrax.RationalQuadraticSpline(whole, -bound, bound, "identity", 2e-3 * bound, FLOOR)

    return run


def affine_transformer(limit: float) -> Transformer:
    return lambda raw: distrax.ScalarAffine(shift=raw[..., 1], log_scale=limit * jnp.tanh(raw[..., 0] / limit))


def coupling(net: Any, mask: Any, transformer: Transformer, context: Array | None = None) -> Any:
    """Its network gets all coordinates, those that move as zeros, and answers for all of them: ours for those that move.
    For the others it says 1, which must not count."""
    passes, moves = np.flatnonzero(mask), np.flatnonzero(~np.asarray(mask))

    def conditioner(z: Array) -> Array:
        raw = perceptron(net, z[..., passes], context).reshape(*z.shape[:-1], len(moves), -1)
        return jnp.ones((*z.shape, raw.shape[-1])).at[..., moves, :].set(raw)

    return distrax.MaskedCoupling(jnp.asarray(mask), conditioner, transformer)


def couplings(i: Arrays, d: int, transformer: Transformer) -> Any:
    """The flow: layer k passes the coordinates of one colour of a checkerboard; the last one moves all, by an affine map."""
    *nets, last = branch(i, "params")
    masks = [(np.arange(d) + k) % 2 == 1 if d > 1 else np.zeros(1, bool) for k in range(len(nets))]
    layers = [coupling(net, mask, transformer) for net, mask in zip(nets, masks, strict=True)]
    layers.append(coupling(last, np.zeros(d, bool), affine_transformer(3.0)))
    return distrax.Transformed(distrax.MultivariateNormalDiag(jnp.zeros(d), jnp.ones(d)), distrax.Chain(layers[::-1]))


def flow(name: str, transformer: Transformer) -> dict[str, Operation]:
    def sample(i: Arrays) -> Arrays:
        n, d = i["noise"].shape
        with given(i["noise"], jnp.zeros(())):
            x, log_p = couplings(i, d, transformer).sample_and_log_prob(seed=KEY, sample_shape=(n,))
        return {"x": x, "log_prob": log_p}

    return {f"{name}_sample": sample, f"{name}_log_prob": log_prob(lambda i: couplings(i, i["x"].shape[1], transformer))}


def plu(i: Arrays) -> Any:
    """L U z + b, as two of its triangular maps."""
    d = len(i["order"])
    if np.any(np.asarray(i["order"]) != np.arange(d)):
        raise NotImplementedError("no permutation")
    lower = jnp.tril(i["lower"], -1) + jnp.eye(d)
    upper = jnp.triu(i["upper"], 1) + jnp.diag(jnp.exp(5 * jnp.tanh(i["log_diagonal"] / 5)))
    shift = distrax.Block(distrax.Shift(i["b"] + (i["context"] @ i["C"] if "context" in i else 0)), 1)
    return distrax.Chain([shift, distrax.TriangularLinear(lower), distrax.TriangularLinear(upper, is_lower=False)])


def conv_coupling(i: Arrays) -> Any:
    mask = np.asarray(i["mask"]).reshape(i["shape"].tolist())

    def conv(layer: dict[str, Array], h: Array) -> Array:
        y = convolved(h, layer["W"], layer["b"], 1, len(layer["W"]) // 2)
        return y + (i["context"] @ layer["C"])[:, None, None] if "context" in i else y

    def conditioner(z: Array) -> Array:
        return conv_net(branch(i, "net"), z, conv, jax.nn.elu, jnp.tanh, jax.nn.sigmoid)

    return distrax.MaskedCoupling(jnp.asarray(mask), conditioner, affine_transformer(float(i["limit"])))


def mixture(i: Arrays) -> Any:
    components = distrax.MultivariateNormalDiag(i["means"], i["sds"][:, None] * jnp.ones_like(i["means"]))
    return distrax.MixtureSameFamily(distrax.Categorical(probs=i["weights"]), components)


def mixture_log_prob(i: Arrays) -> Arrays:
    """It divides the weights by their sum; ours are taken as they are."""
    return {"log_prob": mixture(i).log_prob(i["x"]) + jnp.log(jnp.sum(i["weights"]))}


def log_prob(density: Callable[[Arrays], Any]) -> Operation:
    return lambda i: {"log_prob": density(i).log_prob(i["x"])}


adapter = JaxFunctions(versioned("distrax", "jax"), compiled({
    **both("affine", lambda i: distrax.ScalarAffine(shift=i["shift"], log_scale=i["log_scale"])),
    **both("rational_quadratic_spline", spline),
    **both("spline_transformer", lambda i: spline_transformer(float(i["bound"]))(i["raw"])),
    **both("coupling_affine", lambda i: coupling(
        branch(i, "net"), i["mask"], affine_transformer(float(i["limit"])), i.get("context"))),
    **both("coupling_spline", lambda i: coupling(
        branch(i, "net"), i["mask"], spline_transformer(float(i["bound"])), i.get("context"))),
    **both("plu", plu),
    **flow("realnvp", affine_transformer(3.0)),
    **flow("spline_flow", spline_transformer(5.0)),
    **images({
        **both("actnorm", lambda i: distrax.Block(distrax.ScalarAffine(shift=i["shift"], log_scale=i["log_scale"]), 3)),
        **both("conv_1x1", lambda i: distrax.Block(distrax.UnconstrainedAffine(i["W"], i["b"]), 2)),
        **both("conv_coupling", conv_coupling),
    }),
    "gaussian_mixture_log_prob": mixture_log_prob,
    "diagonal_normal_log_prob": log_prob(lambda i: distrax.MultivariateNormalDiag(i["mean"], i["sd"])),
    "uniform_log_prob": log_prob(lambda i: distrax.Independent(
        distrax.Uniform(i["low"] + jnp.zeros(i["x"].shape[1]), i["high"] + jnp.zeros(i["x"].shape[1])), 1)),
}))
