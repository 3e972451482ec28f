"""zuko: transforms go from data to noise there; as functions they go either way, and here from noise to data.

Its softclip of logits and log scales is undone before it is applied: LEAST, its least slope, leaves room for ours.
"""
import math
from collections.abc import Callable
from typing import Any

import torch
from zuko.distributions import BoxUniform, DiagNormal, Mixture, NormalizingFlow
from zuko.nn import MLP, MaskedMLP
from zuko.transforms import (
    AdditiveTransform,
    AutoregressiveTransform,
    ComposedTransform,
    CouplingTransform,
    DependentTransform,
    LULinearTransform,
    MonotonicAffineTransform,
    MonotonicRQSTransform,
    PermutationTransform,
)

from evenflow.conformance.adapter import Operation, versioned
from evenflow.conformance.adapters.torch_functions import TorchFunctions
from evenflow.conformance.adapters.torch_networks import alternating, beside, every_other, filled, joined, nowhere
from evenflow.conformance.adapters.torch_operations import Inputs, both, density, flow
from evenflow.conformance.arrays import branch

Transform = Any
LEAST = 1e-8  # logits up to 9.2, where ours reach 3.5; log scales and log slopes up to 18.4
LIMIT = -math.log(LEAST)


def unclipped(t: Any, limit: float = LIMIT) -> Any:
    """What zuko's softclip t / (1 + |t| / limit) takes to t."""
    return t / (1 - abs(t) / limit)


def affine(log_scale: Any, shift: Any) -> Transform:
    return MonotonicAffineTransform(shift, unclipped(log_scale), LEAST)


def affine_of(raw: Any, limit: Any = 3.0) -> Transform:
    """raw (..., 2): log scales before the bound, shifts."""
    return affine(limit * torch.tanh(raw[..., 0] / limit), raw[..., 1])


def spline_of(raw: Any, bound: Any = 5.0) -> Transform:
    """raw (..., 3K - 1). zuko's softmax has no floor: its logits are the logarithms of shares that have one."""
    K = (raw.shape[-1] + 1) // 3
    widths, heights, slopes = raw.split([K, K, K - 1], -1)
    shares = (torch.log(1e-3 + (1 - 1e-3 * K) * torch.softmax(part, -1)) for part in (widths, heights))
    logits = (unclipped(s - (s.amax(-1, True) + s.amin(-1, True)).detach() / 2, LIMIT / 2) for s in shares)
    return MonotonicRQSTransform(*logits, unclipped(5 * torch.tanh(slopes / 5)), float(bound), LEAST)


def spline_through(i: Inputs) -> Transform:
    """With knots as they are given. Its tails are the identity, so all inputs must lie between the knots."""
    v, knots = (i["z"], i["x_knots"]) if "z" in i else (i["x"], i["y_knots"])
    if ((v <= knots[:, 0]) | (v > knots[:, -1])).any():
        raise NotImplementedError("the tails of zuko's splines are the identity")
    n, K = len(v), knots.shape[1] - 1
    t = MonotonicRQSTransform(torch.zeros(n, K), torch.zeros(n, K), torch.zeros(n, K - 1))
    t.horizontal, t.vertical, t.derivatives = i["x_knots"], i["y_knots"], i["slopes"]
    return t


def coupling(mask: Any, layers: list[Any], of: Callable[[Any], Transform], context: Any = None) -> Transform:
    net, moving = filled(MLP(1, 1, [1] * (len(layers) - 1)), joined(layers)), int((~mask).sum())
    return CouplingTransform(lambda x: DependentTransform(of(net(beside(x, context)).unflatten(-1, (moving, -1))), 1), mask)


def autoregressive(layers: list[Any], of: Callable[[Any], Transform], context: Any = None) -> Transform:
    """From noise to data in d passes: the inverse of zuko's."""
    d = len(layers[0]["W"])
    net = masked(layers)
    return AutoregressiveTransform(
        lambda x: DependentTransform(of(net(beside(x, context)).unflatten(-1, (d, -1))).inv, 1), passes=d
    ).inv


def masked(layers: list[Any]) -> Any:
    """Its masked network, with our weights and masks."""
    return filled(MaskedMLP(torch.ones(1, 1, dtype=torch.bool), [1] * (len(layers) - 1)), joined(layers))


def masked_mlp(i: Inputs) -> dict[str, Any]:
    return {"y": masked(branch(i, "net"))(beside(i["x"], i.get("context")))}


def plu(i: Inputs) -> Transform:
    """P L U z + b; zuko's U, not its L, has the unit diagonal."""
    diagonal = torch.exp(5 * torch.tanh(i["log_diagonal"] / 5))
    one = torch.eye(len(diagonal), dtype=diagonal.dtype)
    return linear((i["lower"].tril(-1) + one) * diagonal, i["upper"].triu(1) / diagonal[:, None], i["order"], i)


def dense(i: Inputs) -> Transform:
    """It has no free matrix: torch's W = P L U, taken apart as above."""
    P, L, U = torch.linalg.lu(i["W"])
    diagonal = U.diagonal()
    return linear(L * diagonal, U.triu(1) / diagonal[:, None], P.argmax(1), i)


def linear(L: Any, U: Any, order: Any, i: Inputs) -> Transform:
    shift = i["b"] + i["context"] @ i["C"] if "context" in i else i["b"]
    add = DependentTransform(AdditiveTransform(shift), 1)
    return ComposedTransform(LULinearTransform(L + U.triu(1)), PermutationTransform(order), add)


def realnvp(i: Inputs, d: int, of: Callable[[Any], Transform]) -> Transform:
    """Couplings with alternating masks, then each coordinate on its own."""
    *nets, last = branch(i, "params")
    couplings = [coupling(mask, net, of) for mask, net in zip(alternating(d, len(nets)), nets, strict=True)]
    return ComposedTransform(*couplings, coupling(nowhere(d), last, affine_of))


def maf(i: Inputs, d: int) -> Transform:
    """The order is reversed between the layers."""
    turn = PermutationTransform(torch.arange(d).flip(0))
    stack = [part for net in every_other(i) for part in (turn, autoregressive(net, affine_of))]
    return ComposedTransform(*stack[1:])


class Given(DiagNormal):  # type: ignore[misc]
    """The standard normal, whose next sample is known."""
    def __init__(self, noise: Any) -> None:
        super().__init__(torch.zeros_like(noise[0]), torch.ones_like(noise[0]))
        self.noise = noise

    def rsample(self, shape: Any = ()) -> Any:
        return self.noise


def layer(name: str, of: Callable[[Inputs], Transform]) -> dict[str, Operation]:
    """A transform from noise to data, and its inverse."""
    return both(name, lambda i, inverse: of(i).inv.call_and_ladj(i["x"]) if inverse else of(i).call_and_ladj(i["z"]))


def whole(name: str, of: Callable[[Inputs, int], Transform]) -> dict[str, Operation]:
    """A flow. zuko's go from data to noise."""
    def given(i: Inputs, noise: Any) -> Any:
        return NormalizingFlow(of(i, noise.shape[1]).inv, Given(noise))

    return flow(name, lambda i: given(i, i["noise"]).rsample_and_log_prob(), lambda i: given(i, i["x"]))


def mixture(i: Inputs) -> dict[str, Any]:
    """It makes the weights sum to 1; ours count as they come."""
    normals = DiagNormal(i["means"], i["sds"][:, None].expand(i["means"].shape))
    return {"log_prob": Mixture(normals, i["weights"].log()).log_prob(i["x"]) + i["weights"].sum().log()}


adapter = TorchFunctions(versioned("zuko", "torch"), {
    **layer("affine", lambda i: affine(i["log_scale"], i["shift"])),
    **layer("rational_quadratic_spline", spline_through),
    **layer("spline_transformer", lambda i: spline_of(i["raw"], i["bound"])),
    **layer("dense", dense),
    **layer("plu", plu),
    **layer("permutation", lambda i: PermutationTransform(i["order"])),
    **layer("coupling_affine", lambda i: coupling(
        i["mask"], branch(i, "net"), lambda raw: affine_of(raw, i["limit"]), i.get("context"))),
    **layer("coupling_spline", lambda i: coupling(
        i["mask"], branch(i, "net"), lambda raw: spline_of(raw, i["bound"]), i.get("context"))),
    **layer("autoregressive_affine", lambda i: autoregressive(
        branch(i, "net"), lambda raw: affine_of(raw, i["limit"]), i.get("context"))),
    **layer("autoregressive_spline", lambda i: autoregressive(
        branch(i, "net"), lambda raw: spline_of(raw, i["bound"]), i.get("context"))),
    "masked_mlp": masked_mlp,
    **whole("realnvp", lambda i, d: realnvp(i, d, affine_of)),
    **whole("spline_flow", lambda i, d: realnvp(i, d, spline_of)),
    **whole("maf", maf),
    "gaussian_mixture_log_prob": mixture,
    **density("diagonal_normal_log_prob", lambda i: DiagNormal(i["mean"], i["sd"])),
    **density("uniform_log_prob", lambda i: BoxUniform(*(i[end].expand(i["x"].shape[1]) for end in ("low", "high")))),
})
