"""nflows: transforms of rows, each with its log_det; either direction of ours is one of theirs.

Its splines take raw numbers with the same softmax and floor as ours, and slopes that a softplus makes: that is inverted. Its
MADE comes with its own masks, and our units are put where those let them see what they saw.
"""
from collections.abc import Callable
from typing import Any

import torch
from nflows.distributions import DiagonalNormal, StandardNormal
from nflows.distributions.uniform import BoxUniform
from nflows.flows import Flow
from nflows.transforms import (
    AffineCouplingTransform,
    CompositeTransform,
    InverseTransform,
    LeakyReLU,
    LULinear,
    MaskedAffineAutoregressiveTransform,
    MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
    NaiveLinear,
    Permutation,
    PiecewiseRationalQuadraticCouplingTransform,
    PointwiseAffineTransform,
    ReversePermutation,
)
from nflows.transforms.made import MADE
from nflows.transforms.splines.rational_quadratic import rational_quadratic_spline, unconstrained_rational_quadratic_spline

from evenflow.conformance.adapter import Operation, versioned
from evenflow.conformance.adapters import nflows_images, torch_images
from evenflow.conformance.adapters.perceptron import perceptron
from evenflow.conformance.adapters.torch_functions import TorchFunctions
from evenflow.conformance.adapters.torch_networks import Net, alternating, every_other, give, nowhere
from evenflow.conformance.adapters.torch_nsf import Made, inverse_softplus, made, spline_params
from evenflow.conformance.adapters.torch_operations import Inputs, both, density, flow
from evenflow.conformance.arrays import branch


def affine_params(raw: Any, limit: Any) -> Any:
    """raw (..., 2) -> log scale and shift."""
    return limit * torch.tanh(raw[..., 0] / limit), raw[..., 1]


def spline_transformer(i: Inputs, inverse: bool) -> Any:
    K = (i["raw"].shape[1] + 1) // 3
    params = spline_params(i["raw"], K).split([K, K, K - 1], 1)
    return unconstrained_rational_quadratic_spline(
        i["x" if inverse else "z"], *params, inverse, tail_bound=float(i["bound"]))


def spline(i: Inputs, inverse: bool) -> Any:
    """With knots as they are given: each row has ends of its own, and no floor under its bins and slopes."""
    v, knots = (i["x"], i["y_knots"]) if inverse else (i["z"], i["x_knots"])
    if ((v < knots[:, 0]) | (v > knots[:, -1])).any():
        raise NotImplementedError("its tails are the identity on both axes")
    rows = [
        rational_quadratic_spline(
            v[k : k + 1], torch.log(x.diff())[None], torch.log(y.diff())[None], inverse_softplus(slopes)[None], inverse,
            x[0], x[-1], y[0], y[-1], min_bin_width=0, min_bin_height=0, min_derivative=0)
        for k, (x, y, slopes) in enumerate(zip(i["x_knots"], i["y_knots"], i["slopes"], strict=True))
    ]
    return torch.cat([row[0] for row in rows]), torch.cat([row[1] for row in rows])


class ExponentialCoupling(AffineCouplingTransform):  # type: ignore[misc]
    """Its own scale, sigmoid(raw + 2) + 1e-3, is never above 1.001; like its additive child this one has another."""
    def _scale_and_shift(self, params: Any) -> Any:
        log_scale, shift = params.chunk(2, 1)
        return torch.exp(log_scale), shift


def coupling_affine(mask: Any, layers: list[Any], limit: Any) -> Any:
    def params(x: Any, context: Any) -> Any:
        return torch.cat(affine_params(perceptron(layers, x, context).unflatten(1, (-1, 2)), limit), 1)

    return ExponentialCoupling(~mask, lambda *sizes: Net(params))


def coupling_spline(mask: Any, layers: list[Any], bound: Any) -> Any:
    moving = int((~mask).sum())
    bins = (len(layers[-1]["b"]) // moving + 1) // 3
    net = Net(lambda x, context: spline_params(perceptron(layers, x, context).unflatten(1, (moving, -1)), bins).flatten(1))
    return PiecewiseRationalQuadraticCouplingTransform(~mask, lambda *sizes: net, bins, "linear", float(bound))


def autoregressive(
    kind: Any, layers: list[Any], order: Any, params: Callable[[Any], Any], context: Any, **choices: Any
) -> Any:
    """From noise to data. Its own takes the elementwise maps the other way round, so they change places."""
    degrees = torch.argsort(order) + 1
    m = made(layers, degrees, degrees.repeat_interleave(len(layers[-1]["b"]) // len(order)))
    layer = kind(len(order), m.units, None if m.C is None else len(m.C), num_blocks=0, use_residual_blocks=False, **choices)
    layer._elementwise_forward, layer._elementwise_inverse = layer._elementwise_inverse, layer._elementwise_forward
    net = filled(layer.autoregressive_net, m, context)
    layer.autoregressive_net = Net(lambda x, c: params(net(x, c).unflatten(1, (len(order), -1))).flatten(1))
    sort = Permutation(order)
    return CompositeTransform([sort, InverseTransform(layer), InverseTransform(sort)])


def filled(net: Any, m: Made, context: Any) -> Any:
    """Its MADE adds relu(c C + b) to the hidden units before their own relu: with so high a b that the first does nothing."""
    high = torch.zeros(m.units) if context is None else torch.where(m.carries, 0, 1 + (context @ m.C).abs().amax(0).detach())
    give(net.initial_layer, m.W, m.b - high)
    give(net.final_layer, m.last_W, m.last_b)
    if context is not None:
        give(net.context_layer, m.C, high)
    return net


def autoregressive_affine(layers: list[Any], order: Any, limit: Any, context: Any) -> Any:
    def params(raw: Any) -> Any:
        log_scale, shift = affine_params(raw, limit)
        return torch.stack([inverse_softplus(torch.exp(log_scale) - 1e-3), shift], -1)

    return autoregressive(MaskedAffineAutoregressiveTransform, layers, order, params, context)


def autoregressive_spline(layers: list[Any], order: Any, bound: Any, context: Any) -> Any:
    kind = MaskedPiecewiseRationalQuadraticAutoregressiveTransform
    bins = (len(layers[-1]["b"]) // len(order) + 1) // 3
    choices = {"num_bins": bins, "tails": "linear", "tail_bound": float(bound)}
    return autoregressive(kind, layers, order, lambda raw: spline_params(raw, bins), context, **choices)


def masked_mlp(i: Inputs) -> dict[str, Any]:
    m, context = made(branch(i, "net"), i["degrees_in"], i["degrees_out"]), i.get("context")
    d = len(i["degrees_in"])
    net = MADE(d, m.units, None if m.C is None else len(m.C), 0, len(m.last_b) // d, use_residual_blocks=False)
    y = filled(net, m, context)(i["x"][:, torch.argsort(i["degrees_in"])], context)
    return {"y": y[:, torch.argsort(torch.argsort(i["degrees_out"], stable=True))]}


def dense(i: Inputs) -> Any:
    layer = NaiveLinear(len(i["W"])).double()
    del layer._weight
    layer._weight = i["W"]
    return CompositeTransform([layer, shifted(i)])


def plu(i: Inputs) -> Any:
    layer = LULinear(len(i["order"])).double()
    del layer.lower_entries, layer.upper_entries, layer.unconstrained_upper_diag
    layer.lower_entries, layer.upper_entries = i["lower"][layer.lower_indices], i["upper"][layer.upper_indices]
    layer.unconstrained_upper_diag = inverse_softplus(torch.exp(5 * torch.tanh(i["log_diagonal"] / 5)) - layer.eps)
    return CompositeTransform([layer, Permutation(i["order"]), shifted(i)])


def shifted(i: Inputs) -> Any:
    """x + b + C c."""
    return PointwiseAffineTransform(i["b"] + i["context"] @ i["C"] if "context" in i else i["b"])


def affine(i: Inputs, inverse: bool) -> Any:
    """One number at a time: it has one log_det for all."""
    layers = map(PointwiseAffineTransform, i["shift"], torch.exp(i["log_scale"]))
    rows = [(t.inverse if inverse else t)(v[None, None]) for t, v in zip(layers, i["x" if inverse else "z"], strict=True)]
    return torch.cat([row[0][0] for row in rows]), torch.cat([row[1] for row in rows])


def leaky(i: Inputs, inverse: bool) -> Any:
    layer = LeakyReLU(float(i["slope"]))
    out, log_det = (layer.inverse if inverse else layer)(i["x" if inverse else "z"][:, None])
    return out[:, 0], log_det


def realnvp(i: Inputs, d: int, layer: Callable[[Any, list[Any]], Any]) -> Any:
    """Couplings with alternating masks, then each coordinate on its own."""
    *nets, last = branch(i, "params")
    return CompositeTransform([*map(layer, alternating(d, len(nets)), nets), coupling_affine(nowhere(d), last, 3.0)])


def maf(i: Inputs, d: int) -> Any:
    """The order is reversed between the layers."""
    stack = [part for net in every_other(i) for part in (
        ReversePermutation(d), autoregressive_affine(net, torch.arange(d), 3.0, None))]
    return CompositeTransform(stack[1:])


class Given(StandardNormal):  # type: ignore[misc]
    """The standard normal, whose next samples are known."""
    def __init__(self, noise: Any) -> None:
        super().__init__(noise.shape[1:])
        self.noise = noise

    def _sample(self, num_samples: int, context: Any) -> Any:
        return self.noise


def diagonal_normal(i: Inputs) -> Any:
    normal = DiagonalNormal([len(i["mean"])])
    del normal.mean_, normal.log_std_
    normal.mean_, normal.log_std_ = i["mean"][None], i["sd"].log()[None]
    return normal


def uniform(i: Inputs) -> Any:
    if ((i["x"] < i["low"]) | (i["x"] > i["high"])).any():
        raise NotImplementedError("it refuses points outside")
    return BoxUniform(*(i[end].expand(i["x"].shape[1]) for end in ("low", "high")))


def layer(name: str, of: Callable[[Inputs], Any]) -> dict[str, Operation]:
    """A transform from noise to data, and its inverse."""
    return both(name, lambda i, inverse: (
        of(i).inverse(i["x"], i.get("context")) if inverse else of(i)(i["z"], i.get("context"))))


def whole(name: str, of: Callable[[Inputs, int], Any]) -> dict[str, Operation]:
    """A flow. Theirs go from data to noise."""
    def given(i: Inputs, noise: Any) -> Any:
        return Flow(InverseTransform(of(i, noise.shape[1])), Given(noise))

    return flow(name, lambda i: given(i, i["noise"]).sample_and_log_prob(len(i["noise"])), lambda i: given(i, i["x"]))


adapter = TorchFunctions(versioned("nflows", "torch"), {
    **both("affine", affine),
    **both("rational_quadratic_spline", spline),
    **both("spline_transformer", spline_transformer),
    **both("leaky", leaky),
    **layer("dense", dense),
    **layer("plu", plu),
    **layer("permutation", lambda i: Permutation(i["order"])),
    **layer("coupling_affine", lambda i: coupling_affine(i["mask"], branch(i, "net"), i["limit"])),
    **layer("coupling_spline", lambda i: coupling_spline(i["mask"], branch(i, "net"), i["bound"])),
    **layer("autoregressive_affine", lambda i: autoregressive_affine(
        branch(i, "net"), i["order"], i["limit"], i.get("context"))),
    **layer("autoregressive_spline", lambda i: autoregressive_spline(
        branch(i, "net"), i["order"], i["bound"], i.get("context"))),
    "masked_mlp": masked_mlp,
    **torch_images.squeeze(nflows_images.widen, nflows_images.narrow),
    **torch_images.layer("actnorm", nflows_images.actnorm),
    **torch_images.layer("conv_coupling", lambda i: nflows_images.conv_coupling(ExponentialCoupling, i)),
    **whole("realnvp", lambda i, d: realnvp(i, d, lambda mask, net: coupling_affine(mask, net, 3.0))),
    **whole("spline_flow", lambda i, d: realnvp(i, d, lambda mask, net: coupling_spline(mask, net, 5.0))),
    **whole("maf", maf),
    **density("diagonal_normal_log_prob", diagonal_normal),
    **density("uniform_log_prob", uniform),
})
