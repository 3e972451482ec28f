"""flowjax: bijections and densities. Its `transform` is our forward, but for the autoregressive layer, where it is our inverse.

Bijections take one point. Parameters are wrapped in what makes raw numbers legal, and its manual has them replaced after
construction by eqx.tree_at: here by exp(limit tanh(raw / limit)), by slopes exp(5 tanh(raw / 5)) that are 1 at the ends, and
by the vector's weights in its own networks. Its coupling passes the first coordinates and its autoregressive layer has the
natural order: others are brought there and back by its Permute. Its networks see the context in the first layer alone, so
that a later one gets it through units relu(c) and relu(-c). Its spline goes on as the identity, from the same ends on both
axes: rational_quadratic_spline it has only as spline_transformer.
"""
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import paramax
from flowjax import bijections as fb
from flowjax import distributions as fd
from flowjax.bijections.masked_autoregressive import masked_autoregressive_mlp
from flowjax.utils import get_ravelled_pytree_constructor

from evenflow.conformance.adapter import Operation, versioned
from evenflow.conformance.adapters.jax_functions import JaxFunctions
from evenflow.conformance.adapters.jax_parts import compiled, given
from evenflow.conformance.arrays import Array, Arrays, branch, flat

KEY = jax.random.key(0)  # for weights that are replaced
Net = list[dict[str, Array]]
Transformer = Callable[[Arrays, int], tuple[Any, list[int]]]  # choices, width -> bijection, places of its raw numbers


def both(name: str, bijection: Callable[[Arrays], Any], *rows: str) -> dict[str, Operation]:
    """An operation and its inverse. Where the inputs `rows` differ from row to row there is a bijection for each."""
    def run(i: Arrays, v: str, method: str) -> tuple[Array, Array]:
        def one(v: Array, context: Array | None, part: Arrays) -> tuple[Array, Array]:
            return getattr(bijection({**i, **part}), method)(v, context)  # type: ignore[no-any-return]
        result: tuple[Array, Array] = jax.vmap(one)(i[v], i.get("context"), {k: i[k] for k in rows})
        return result

    def forward(i: Arrays) -> Arrays:
        return dict(zip(("x", "log_det"), run(i, "z", "transform_and_log_det"), strict=True))

    def inverse(i: Arrays) -> Arrays:
        return dict(zip(("z", "log_det"), run(i, "x", "inverse_and_log_det"), strict=True))

    return {name: forward, f"{name}_inverse": inverse}


def affine(i: Arrays, _: int) -> tuple[Any, list[int]]:
    """A transformer at raw = 0, and where its raw numbers, shift and scale, stand in ours."""
    limit = i["limit"]
    scale = paramax.Parameterize(lambda raw: jnp.exp(limit * jnp.tanh(raw / limit)), jnp.zeros(()))
    return eqx.tree_at(lambda a: a.scale, fb.Affine(), scale), [1, 0]


def spline(i: Arrays, width: int) -> tuple[Any, list[int]]:
    K, bound = (width + 1) // 3, float(i["bound"])

    def slopes(raw: Array) -> Array:
        one = jnp.ones_like(raw[..., :1])
        return jnp.concatenate([one, jnp.exp(5 * jnp.tanh(raw / 5)), one], axis=-1)

    made = fb.RationalQuadraticSpline(knots=K - 1, interval=bound, min_width=2e-3 * bound)
    return eqx.tree_at(lambda s: s.derivatives, made, paramax.Parameterize(slopes, jnp.zeros(K - 1))), list(range(width))


def one_spline(i: Arrays) -> Any:
    made, _ = spline(i, len(i["raw"]))
    return get_ravelled_pytree_constructor(made, filter_spec=eqx.is_inexact_array)[0](i["raw"])


def widened(net: Net, width: int) -> Iterator[tuple[Array, Array]]:
    """W and b of each layer, for hidden layers of one width, and with the context among the inputs of the first."""
    c = len(net[0].get("C", ()))
    for k, layer in enumerate(net):
        last, W, b = k == len(net) - 1, layer["W"], layer["b"]
        below, right = (0 if k == 0 else width - len(W)), (0 if last else width - len(b))
        W, b = jnp.pad(W, ((0, below), (0, right))), jnp.pad(b, (0, right if last else right + 2 * c))
        if c:
            C, one = jnp.pad(layer["C"], ((0, 0), (0, right))), jnp.eye(c)
            W = jnp.concatenate([W, C] if k == 0 else [W, C, -C])
            carry = jnp.concatenate([one, -one], axis=1) if k == 0 else jnp.eye(2 * c)
            W = W if last else jnp.concatenate([W, jnp.pad(carry, ((len(W) - len(carry), 0), (0, 0)))], axis=1)
        yield W, b


def coupling(i: Arrays, transformer: Transformer) -> Any:
    net, mask = branch(i, "net"), np.asarray(i["mask"])
    moving, c = int(np.sum(~mask)), len(net[0].get("C", ()))
    made, places = transformer(i, len(net[-1]["b"]) // moving)
    columns = np.ravel(np.arange(moving)[:, None] * len(places) + np.array(places))
    hidden = max([0, *(len(layer["b"]) for layer in net[:-1])])
    layer = fb.Coupling(KEY, transformer=made, untransformed_dim=int(np.sum(mask)), dim=len(mask), cond_dim=c or None,
                        nn_width=hidden + 2 * c, nn_depth=len(net) - 1)
    for k, (W, b) in enumerate(widened([*net[:-1], {key: a[..., columns] for key, a in net[-1].items()}], hidden)):
        layer = eqx.tree_at(lambda m, k=k: (m.conditioner.layers[k].weight, m.conditioner.layers[k].bias), layer, (W.T, b))
    first = fb.Permute(np.argsort(~mask, kind="stable"))
    return fb.Chain([first, layer, fb.Invert(first)])


def masked(net: Net, degrees_in: Array, degrees_out: Array) -> Any:
    """Its masked network with our weights. It has one list of ranks for all hidden layers, and makes the masks of them."""
    c, ranks, before = len(net[0].get("C", ())), [], np.asarray(degrees_in)
    lowest = np.min([*degrees_in, *degrees_out]) - 1
    for layer, after in pairwise(net):  # a unit's rank is the highest that it sees, or that it is hidden from
        sees, feeds = np.asarray(layer["mask"]), np.asarray(after["mask"])
        outputs = degrees_out if after is net[-1] else np.full(feeds.shape[1], lowest)
        seen = np.where(sees, before[:, None], lowest).max(axis=0)
        ranks.append(np.maximum(seen, np.where(feeds, lowest, outputs).max(axis=1)))
        before = ranks[-1]
    if any(len(r) != len(ranks[0]) or np.any(r != ranks[0]) for r in ranks):
        raise NotImplementedError("all hidden layers have units of the same ranks")
    hidden, outside = (ranks[0] if ranks else np.array([0])), lowest - 1
    mlp = masked_autoregressive_mlp(np.append(degrees_in, [outside] * c), np.append(hidden, [outside] * 2 * c), degrees_out,
                                    depth=len(net) - 1, activation=jax.nn.relu, key=KEY)
    for k, (W, b) in enumerate(widened(net, len(hidden))):
        mlp = eqx.tree_at(lambda m, k=k: (m.layers[k].weight.args[1], m.layers[k].bias), mlp, (W.T, b))
    return mlp


def autoregressive(i: Arrays, transformer: Transformer) -> Any:
    net, order = branch(i, "net"), np.asarray(i["order"])
    d, c = len(order), len(net[0].get("C", ()))
    made, places = transformer(i, len(net[-1]["b"]) // d)
    columns = np.ravel(order[:, None] * len(places) + np.array(places))
    net = [{**layer, "mask": np.asarray(layer["mask"])} for layer in net]
    net[0] = {**net[0], "W": net[0]["W"][order], "mask": net[0]["mask"][order]}
    net[-1] = {key: a[..., columns] for key, a in net[-1].items()}
    layer = fb.MaskedAutoregressive(KEY, transformer=fb.Invert(made), dim=d, cond_dim=c or None, nn_width=d, nn_depth=1)
    mlp = masked(net, np.arange(d), np.repeat(np.arange(d), len(places)))
    layer = eqx.tree_at(lambda m: m.masked_autoregressive_mlp, layer, mlp)
    ordered = fb.Permute(order)
    return fb.Invert(fb.Chain([ordered, layer, fb.Invert(ordered)]))


def masked_mlp(i: Arrays) -> Arrays:
    mlp = paramax.unwrap(masked(branch(i, "net"), np.asarray(i["degrees_in"]), np.asarray(i["degrees_out"])))
    x = jnp.concatenate([i["x"], i["context"]], axis=1) if "context" in i else i["x"]
    return {"y": jax.vmap(mlp)(x)}


def couplings(i: Arrays, d: int, transformer: Transformer) -> list[Any]:
    """Layer k passes the coordinates of one colour of a checkerboard; the last one moves all, by an affine map."""
    *nets, last = branch(i, "params")
    choices = {"limit": 3.0, "bound": 5.0}
    masks = [(np.arange(d) + k) % 2 == 1 if d > 1 else np.zeros(1, bool) for k in range(len(nets))]
    inputs = [{**flat("net", net), "mask": mask, **choices} for net, mask in zip(nets, masks, strict=True)]
    end = {**flat("net", last), "mask": np.zeros(d, bool), **choices}
    return [*(coupling(given_to, transformer) for given_to in inputs), coupling(end, affine)]


def reversals(i: Arrays, d: int) -> list[Any]:
    """Masked autoregressive layers in the natural order, and its Flip between them."""
    nets = [net for net in branch(i, "params") if net]
    layers = [autoregressive({**flat("net", net), "order": np.arange(d), "limit": 3.0}, affine) for net in nets]
    return [part for layer in layers for part in (layer, fb.Flip((d,)))][:-1]


def flow(name: str, layers: Callable[[Arrays, int], list[Any]]) -> dict[str, Operation]:
    def made(i: Arrays, d: int) -> Any:
        return fd.Transformed(fd.StandardNormal((d,)), fb.Chain(layers(i, d)))

    def sample(i: Arrays) -> Arrays:
        whole = made(i, i["noise"].shape[1])

        def one(noise: Array) -> tuple[Array, Array]:
            with given(noise, jnp.zeros(())):
                return whole.sample_and_log_prob(KEY)  # type: ignore[no-any-return]

        return dict(zip(("x", "log_prob"), jax.vmap(one)(i["noise"]), strict=True))

    return {f"{name}_sample": sample, f"{name}_log_prob": log_prob(lambda i: made(i, i["x"].shape[1]))}


def plu(i: Arrays) -> Any:
    """P L U z + b."""
    zero, d = jnp.zeros_like(i["b"]), len(i["b"])
    lower = fb.TriangularAffine(zero, jnp.tril(i["lower"], -1) + jnp.eye(d))
    upper = jnp.triu(i["upper"], 1) + jnp.diag(jnp.exp(5 * jnp.tanh(i["log_diagonal"] / 5)))
    shift = fb.AdditiveCondition(lambda c: i["b"] + c @ i["C"], (d,), (len(i["C"]),)) if "context" in i else fb.Loc(i["b"])
    return fb.Chain([fb.TriangularAffine(zero, upper, lower=False), lower, fb.Permute(np.asarray(i["order"])), shift])


def mixture(i: Arrays) -> Any:
    normals = eqx.filter_vmap(fd.Normal)(i["means"], i["sds"][:, None] * jnp.ones_like(i["means"]))
    return fd.VmapMixture(normals, i["weights"])


def mixture_log_prob(i: Arrays) -> Arrays:
    """It divides the weights by their sum; ours are taken as they are."""
    return {"log_prob": mixture(i).log_prob(i["x"]) + jnp.log(jnp.sum(i["weights"]))}


def log_prob(density: Callable[[Arrays], Any]) -> Operation:
    return lambda i: {"log_prob": density(i).log_prob(i["x"])}


adapter = JaxFunctions(versioned("flowjax", "jax"), compiled({
    **both("affine", lambda i: fb.Affine(i["shift"], jnp.exp(i["log_scale"])), "shift", "log_scale"),
    **both("spline_transformer", one_spline, "raw"),
    **both("permutation", lambda i: fb.Permute(np.asarray(i["order"]))),
    **both("plu", plu),
    **both("coupling_affine", lambda i: coupling(i, affine)),
    **both("coupling_spline", lambda i: coupling(i, spline)),
    **both("autoregressive_affine", lambda i: autoregressive(i, affine)),
    **both("autoregressive_spline", lambda i: autoregressive(i, spline)),
    **flow("realnvp", lambda i, d: couplings(i, d, affine)),
    **flow("spline_flow", lambda i, d: couplings(i, d, spline)),
    **flow("maf", reversals),
    "masked_mlp": masked_mlp,
    "gaussian_mixture_log_prob": mixture_log_prob,
    "diagonal_normal_log_prob": log_prob(lambda i: fd.Normal(i["mean"], i["sd"])),
    "uniform_log_prob": log_prob(lambda i: fd.Uniform(i["low"] + jnp.zeros(i["x"].shape[1]), i["high"])),
}))
