"""flowjax: bijections and densities. Its `transform` is our forward, but for the autoregressive layer, where it is our inverse.

Bijections take one point. Parameters are wrapped in what makes raw numbers legal, and its manual replaces them after
construction with eqx.tree_at: so are exp(limit tanh(raw / limit)), given knots, and the weights of its own networks here.
Its spline has the same ends on both axes and the identity outside; its coupling passes the first coordinates, so others
are brought there and back by its Permute; its autoregressive layer has the natural order. A context enters its networks at
the first layer: for a later one it is carried on by units relu(c) and relu(-c).
"""
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import paramax
from flowjax import bijections as fb
from flowjax import distributions as fd
from flowjax.bijections.masked_autoregressive import masked_autoregressive_mlp

from evenflow.conformance.adapter import Operation, versioned
from evenflow.conformance.adapters.jax_functions import JaxFunctions
from evenflow.conformance.arrays import Array, Arrays, branch

KEY = jax.random.key(0)  # for weights that are replaced


def both(name: str, bijection: Callable[[Arrays], Any], *names: str) -> dict[str, Operation]:
    """An operation and its inverse. The inputs `names` differ from row to row: a bijection for each."""
    def run(i: Arrays, v: str, method: str) -> tuple[Array, Array]:
        def one(v: Array, part: Arrays, context: Array | None) -> tuple[Array, Array]:
            return getattr(bijection({**i, **part}), method)(v, context)
        return jax.vmap(one)(i[v], {k: i[k] for k in names}, i.get("context"))

    def forward(i: Arrays) -> Arrays:
        return dict(zip(("x", "log_det"), run(i, "z", "transform_and_log_det"), strict=True))

    def inverse(i: Arrays) -> Arrays:
        return dict(zip(("z", "log_det"), run(i, "x", "inverse_and_log_det"), strict=True))

    return {name: forward, f"{name}_inverse": inverse}


def affine(limit: Array) -> Any:
    """Raw numbers in its order: shift, log scale."""
    scale = paramax.Parameterize(lambda raw: jnp.exp(limit * jnp.tanh(raw / limit)), jnp.zeros(()))
    return eqx.tree_at(lambda a: a.scale, fb.Affine(), scale)


def spline(x: Any, y: Any, slopes: Any, interval: tuple[Any, Any], K: int) -> Any:
    made = fb.RationalQuadraticSpline(knots=max(K - 1, 1), interval=1.0)
    return eqx.tree_at(lambda s: (s.x_pos, s.y_pos, s.derivatives, s.interval), made, (x, y, slopes, interval))


def spline_transformer(bound: Any, K: int) -> Any:
    """Raw numbers: widths, heights, inner slopes; the outer ones are 1."""
    def places() -> Any:
        return paramax.RealToIncreasingOnInterval(
            jnp.zeros(K), (-bound, bound), min_width=2e-3 * bound, include_endpoints="both")

    slopes = paramax.Parameterize(lambda raw: jnp.pad(jnp.exp(5 * jnp.tanh(raw / 5)), 1, constant_values=1.0), jnp.zeros(K - 1))
    return spline(places(), places(), slopes, (-bound, bound), K)


def one_transformer(i: Arrays) -> Any:
    from flowjax.utils import get_ravelled_pytree_constructor
    constructor, _ = get_ravelled_pytree_constructor(
        spline_transformer(float(i["bound"]), (len(i["raw"]) + 1) // 3), filter_spec=eqx.is_inexact_array)
    return constructor(i["raw"])
