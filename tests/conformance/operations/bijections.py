"""Bijections: forward is noise to data, and each direction has its own log_det."""
from collections.abc import Callable

from evenflow.conformance.adapter import Operation
from evenflow.conformance.arrays import Array, Arrays, branch
from evenflow.reference.core.networks import MaskedMLP
from evenflow.reference.core.trees import Tree
from evenflow.reference.flows import (
    PLU,
    AffineTransformer,
    Bijection,
    Coupling,
    Dense,
    MaskedAutoregressive,
    Permutation,
    SplineTransformer,
    Transformer,
    affine,
    affine_inverse,
    rational_quadratic_spline,
    rational_quadratic_spline_inverse,
)
from evenflow.reference.flows.activation import leaky, smooth_leaky, smooth_leaky_inverse

Map = Callable[..., tuple[Array, Array]]  # out, log_det


def both(name: str, forward: Map, inverse: Map) -> dict[str, Operation]:
    """The operation in both directions."""
    return {
        name: lambda i: dict(zip(("x", "log_det"), forward(i), strict=True)),
        f"{name}_inverse": lambda i: dict(zip(("z", "log_det"), inverse(i), strict=True)),
    }


def core(name: str, forward: Map, inverse: Map, *arguments: str) -> dict[str, Operation]:
    """Functions of numbers and their parameters."""
    def rest(i: Arrays) -> list[Array]:
        return [i[argument] for argument in arguments]

    return both(name, lambda i: forward(i["z"], *rest(i)), lambda i: inverse(i["x"], *rest(i)))


def transformer(name: str, of: Callable[[Arrays], Transformer]) -> dict[str, Operation]:
    """Maps of numbers, shaped by raw ones."""
    return both(name, lambda i: of(i).forward(i["raw"], i["z"]), lambda i: of(i).inverse(i["raw"], i["x"]))


def layer(name: str, of: Callable[[Arrays], tuple[Bijection, Tree]]) -> dict[str, Operation]:
    """Maps of points, some of them with a context."""
    def forward(i: Arrays) -> tuple[Array, Array]:
        bijection, params = of(i)
        return bijection.forward(params, i["z"], i.get("context"))

    def inverse(i: Arrays) -> tuple[Array, Array]:
        bijection, params = of(i)
        return bijection.inverse(params, i["x"], i.get("context"))

    return both(name, forward, inverse)


def spline_of(i: Arrays) -> SplineTransformer:
    return SplineTransformer((i["raw"].shape[-1] + 1) // 3, float(i["bound"]))


def context_dim(i: Arrays) -> int:
    return int(i["context"].shape[1]) if "context" in i else 0


def dense_of(i: Arrays) -> tuple[Bijection, Tree]:
    return Dense(len(i["b"]), context_dim(i)), i


def plu_of(i: Arrays) -> tuple[Bijection, Tree]:
    return PLU(tuple(i["order"].tolist()), context_dim(i)), i


def permutation_of(i: Arrays) -> tuple[Bijection, Tree]:
    return Permutation(tuple(i["order"].tolist())), {}


def network(i: Arrays) -> tuple[Tree, tuple[int, ...], int]:
    """Parameters, widths of the hidden layers, number of outputs."""
    params = branch(i, "net")
    *hidden, outputs = (layer["b"].shape[0] for layer in params)
    return params, tuple(hidden), outputs


def affine_or_spline(i: Arrays, numbers: int) -> Transformer:
    """From the choice that comes with the inputs; `numbers` for each coordinate."""
    return AffineTransformer(float(i["limit"])) if "limit" in i else SplineTransformer((numbers + 1) // 3, float(i["bound"]))


def coupling_of(i: Arrays) -> tuple[Bijection, Tree]:
    params, hidden, outputs = network(i)
    mask = tuple(i["mask"].tolist())
    transformer = affine_or_spline(i, outputs // mask.count(False))
    return Coupling(mask, transformer, hidden, context_dim=context_dim(i)), params


def autoregressive_of(i: Arrays) -> tuple[Bijection, Tree]:
    params, hidden, outputs = network(i)
    order = tuple(i["order"].tolist())
    return MaskedAutoregressive(order, affine_or_spline(i, outputs // len(order)), hidden, context_dim=context_dim(i)), params


def masked_mlp(i: Arrays) -> Arrays:
    params, hidden, _ = network(i)
    net = MaskedMLP(tuple(i["degrees_in"].tolist()), tuple(i["degrees_out"].tolist()), hidden, "relu", context_dim(i))
    return {"y": net(params, i["x"], i.get("context"))}


OPERATIONS: dict[str, Operation] = {
    **core("affine", affine, affine_inverse, "log_scale", "shift"),
    **core(
        "rational_quadratic_spline", rational_quadratic_spline, rational_quadratic_spline_inverse,
        "x_knots", "y_knots", "slopes",
    ),
    **transformer("spline_transformer", spline_of),
    **both("leaky", lambda i: leaky(i["z"], float(i["slope"])), lambda i: leaky(i["x"], 1 / float(i["slope"]))),
    **both(
        "smooth_leaky", lambda i: smooth_leaky(i["z"], float(i["slope"])),
        lambda i: smooth_leaky_inverse(i["x"], float(i["slope"])),
    ),
    **layer("dense", dense_of),
    **layer("plu", plu_of),
    **layer("permutation", permutation_of),
    **layer("coupling_affine", coupling_of),
    **layer("coupling_spline", coupling_of),
    **layer("autoregressive_affine", autoregressive_of),
    **layer("autoregressive_spline", autoregressive_of),
    "masked_mlp": masked_mlp,
}
