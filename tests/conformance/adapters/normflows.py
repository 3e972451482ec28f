"""normflows: flows from noise to data, each with its log_det.

Its splines and its MADE are those of nflows, a few years on: torch_nsf.py turns raw numbers and units into theirs. Its affine
autoregressive layer is left out: its scales, sigmoid(raw + 2) + 1e-3, are never above 1.001.
"""
from collections.abc import Callable
from typing import Any

import torch
from normflows import NormalizingFlow
from normflows.distributions import DiagGaussian, GaussianMixture
from normflows.distributions.base import Uniform
from normflows.flows import AffineConstFlow, InvertibleAffine, LULinearPermute, MaskedAffineFlow, Permute
from normflows.flows.neural_spline.autoregressive import MaskedPiecewiseRationalQuadraticAutoregressive
from normflows.flows.neural_spline.coupling import PiecewiseRationalQuadraticCoupling
from normflows.nets.made import MADE
from normflows.utils.splines import rational_quadratic_spline, unconstrained_rational_quadratic_spline

from evenflow.conformance.adapter import Operation, versioned
from evenflow.conformance.adapters.normflows_images import IMAGES
from evenflow.conformance.adapters.perceptron import perceptron
from evenflow.conformance.adapters.torch_functions import TorchFunctions
from evenflow.conformance.adapters.torch_networks import Net, alternating, give, nowhere
from evenflow.conformance.adapters.torch_nsf import Made, inverse_softplus, made, spline_params
from evenflow.conformance.adapters.torch_operations import Inputs, both, density, flow
from evenflow.conformance.arrays import branch


def spline_transformer(i: Inputs, inverse: bool) -> Any:
    K = (i["raw"].shape[1] + 1) // 3
    params = spline_params(i["raw"], K).split([K, K, K - 1], 1)
    return unconstrained_rational_quadratic_spline(
        i["x" if inverse else "z"], *params, inverse, tail_bound=float(i["bound"]))


def spline(i: Inputs, inverse: bool) -> Any:
    """With knots as they are given, and no floor under bins and slopes."""
    x, y = i["x_knots"], i["y_knots"]
    v, knots = (i["x"], y) if inverse else (i["z"], x)
    if ((v < knots[:, 0]) | (v > knots[:, -1])).any():
        raise NotImplementedError("its tails are the identity on both axes")
    return rational_quadratic_spline(
        v, torch.log(x.diff()), torch.log(y.diff()), inverse_softplus(i["slopes"]), inverse,
        x[:, 0], x[:, -1], y[:, 0], y[:, -1], min_bin_width=0, min_bin_height=0, min_derivative=0)


def coupling_affine(mask: Any, layers: list[Any], limit: Any) -> Any:
    """Its networks see all coordinates, those that move as zeros, and answer for all. It takes no context."""
    if "C" in layers[0]:
        raise NotImplementedError("its affine couplings take no context")
    one = torch.eye(len(mask), dtype=layers[-1]["b"].dtype)

    def part(k: int) -> Net:
        return Net(lambda x, _: perceptron(layers, x[:, mask]).unflatten(1, (-1, 2))[..., k] @ one[~mask])

    shift, log_scale = part(1), part(0)
    return MaskedAffineFlow(mask.to(one.dtype), shift, Net(lambda x, _: limit * torch.tanh(log_scale(x) / limit)))


def coupling_spline(mask: Any, layers: list[Any], bound: Any) -> Any:
    moving = int((~mask).sum())
    bins = (len(layers[-1]["b"]) // moving + 1) // 3
    net = Net(lambda x, context: spline_params(perceptron(layers, x, context).unflatten(1, (moving, -1)), bins).flatten(1))
    return PiecewiseRationalQuadraticCoupling((~mask).long(), lambda *sizes: net, bins, "linear", float(bound))


def filled(net: Any, m: Made) -> Any:
    """Its MADE is linear but for the residual blocks, h + relu(h A) B: with each unit twice, W (h + relu(h)) - W h = W relu(h).

    Where there is a context, a gate closes these blocks; its bias of 50 opens it: sigmoid(50) = 1.
    """
    none = m.b.new_zeros(2 * m.units)
    give(net.initial_layer, m.W.repeat(1, 2), m.b.repeat(2))
    give(net.blocks[0].linear_layers[0], torch.diag(none + 1), none)
    give(net.blocks[0].linear_layers[1], torch.diag(torch.cat([m.b * 0 + 1, m.b * 0])), none)
    give(net.final_layer, torch.cat([m.last_W, -m.last_W]), m.last_b)
    if m.C is not None:
        give(net.context_layer, m.C.repeat(1, 2), none)
        give(net.blocks[0].context_layer, m.C.repeat(1, 2) * 0, none + 50)
    return net


def autoregressive(kind: Any, i: Inputs, layers: list[Any], params: Callable[[Any], Any], **choices: Any) -> Any:
    """From data to noise. Its own takes the elementwise maps the other way round, so they change places."""
    order = i["order"]
    degrees = torch.argsort(order) + 1
    m = made(layers, degrees, degrees.repeat_interleave(len(layers[-1]["b"]) // len(order)))
    layer = kind(len(order), 2 * m.units, None if m.C is None else len(m.C), num_blocks=1, **choices)
    layer._elementwise_forward, layer._elementwise_inverse = layer._elementwise_inverse, layer._elementwise_forward
    net = filled(layer.autoregressive_net, m)
    layer.autoregressive_net = Net(lambda x, c: params(net(x, c).unflatten(1, (len(order), -1))).flatten(1))
    return layer


def autoregressive_spline(i: Inputs, inverse: bool) -> Any:
    layers, order, context = branch(i, "net"), i["order"], i.get("context")
    bins = (len(layers[-1]["b"]) // len(order) + 1) // 3
    choices = {"num_bins": bins, "tails": "linear", "tail_bound": float(i["bound"]), "init_identity": False}
    layer = autoregressive(
        MaskedPiecewiseRationalQuadraticAutoregressive, i, layers, lambda raw: spline_params(raw, bins), **choices)
    out, log_det = (layer if inverse else layer.inverse)(i["x" if inverse else "z"][:, order], context)
    return out[:, torch.argsort(order)], log_det


def masked_mlp(i: Inputs) -> dict[str, Any]:
    m, d = made(branch(i, "net"), i["degrees_in"], i["degrees_out"]), len(i["degrees_in"])
    net = filled(MADE(d, 2 * m.units, None if m.C is None else len(m.C), 1, len(m.last_b) // d), m)
    y = net(i["x"][:, torch.argsort(i["degrees_in"])], i.get("context"))
    return {"y": y[:, torch.argsort(torch.argsort(i["degrees_out"], stable=True))]}


def dense(i: Inputs, inverse: bool) -> Any:
    """Its inverse is z W. One log_det for all rows."""
    layer = InvertibleAffine(len(i["W"]), use_lu=False)
    del layer.W
    layer.W = i["W"].T
    out, log_det = layer(shift(i).inverse(i["x"])[0]) if inverse else layer.inverse(i["z"])
    return out if inverse else shift(i)(out)[0], log_det.expand(len(out))


def plu(i: Inputs, inverse: bool) -> Any:
    """The parts of its permuted LU layer, which has them in the other order."""
    whole = LULinearPermute(len(i["order"])).double()
    layer, whole.permutation._permutation = whole.linear, i["order"]
    del layer.lower_entries, layer.upper_entries, layer.unconstrained_upper_diag
    layer.lower_entries, layer.upper_entries = i["lower"][layer.lower_indices], i["upper"][layer.upper_indices]
    layer.unconstrained_upper_diag = inverse_softplus(torch.exp(5 * torch.tanh(i["log_diagonal"] / 5)) - layer.eps)
    if inverse:
        return tuple(layer.inverse(whole.permutation.inverse(shift(i).inverse(i["x"])[0])[0]))
    out, log_det = layer(i["z"])
    return shift(i)(whole.permutation(out)[0])[0], log_det


def shift(i: Inputs) -> Any:
    """x + b + C c."""
    layer = AffineConstFlow((len(i["b"]),), scale=False)
    del layer.t
    layer.t = i["b"] + i["context"] @ i["C"] if "context" in i else i["b"]
    return layer


def affine(i: Inputs, inverse: bool) -> Any:
    """One number at a time: it has one log_det for all."""
    rows = []
    for v, log_scale, shift in zip(i["x" if inverse else "z"], i["log_scale"], i["shift"], strict=True):
        layer = AffineConstFlow((1,))
        del layer.s, layer.t
        layer.s, layer.t = log_scale, shift
        rows.append((layer.inverse if inverse else layer)(v[None, None]))
    return torch.cat([row[0][0] for row in rows]), torch.stack([row[1] for row in rows])


def permutation(i: Inputs, inverse: bool) -> Any:
    layer = Permute(len(i["order"]))
    layer.perm, layer.inv_perm = i["order"], torch.argsort(i["order"])
    return tuple(layer.inverse(i["x"]) if inverse else layer(i["z"]))


def coupling(of: Callable[[Any, list[Any], Any], Any], choice: str) -> Callable[[Inputs, bool], Any]:
    def answer(i: Inputs, inverse: bool) -> Any:
        layer, context = of(i["mask"], branch(i, "net"), i[choice]), [i["context"]] if "context" in i else []
        return tuple((layer.inverse if inverse else layer)(i["x" if inverse else "z"], *context))

    return answer


def whole(name: str, of: Callable[[Any, list[Any]], Any]) -> dict[str, Operation]:
    """Couplings with alternating masks, then each coordinate on its own."""
    def given(i: Inputs, noise: Any) -> Any:
        (*nets, last), d = branch(i, "params"), noise.shape[1]
        couplings = map(of, alternating(d, len(nets)), nets)
        return NormalizingFlow(Given(noise), [*couplings, coupling_affine(nowhere(d), last, 3.0)])

    return flow(name, lambda i: given(i, i["noise"]).sample(len(i["noise"])), lambda i: given(i, i["x"]))


class Given(DiagGaussian):  # type: ignore[misc]
    """The standard normal, whose next samples are known."""
    def __init__(self, noise: Any) -> None:
        super().__init__(noise.shape[1])
        self.double()
        self.noise = noise

    def forward(self, num_samples: int = 1, context: Any = None) -> Any:
        return self.noise, self.log_prob(self.noise)


def diagonal_normal(i: Inputs) -> Any:
    normal = DiagGaussian(len(i["mean"]))
    del normal.loc, normal.log_scale
    normal.loc, normal.log_scale = i["mean"][None], i["sd"].log()[None]
    return normal


def mixture(i: Inputs) -> dict[str, Any]:
    """It makes the weights sum to 1; ours count as they come."""
    normals = GaussianMixture(*i["means"].shape)
    del normals.loc, normals.log_scale, normals.weight_scores
    normals.loc, normals.weight_scores = i["means"][None], i["weights"].log()[None]
    normals.log_scale = i["sds"].log()[:, None].expand(i["means"].shape)[None]
    return {"log_prob": normals.log_prob(i["x"]) + i["weights"].sum().log()}


adapter = TorchFunctions(versioned("normflows", "torch"), {
    **both("affine", affine),
    **both("rational_quadratic_spline", spline),
    **both("spline_transformer", spline_transformer),
    **both("dense", dense),
    **both("plu", plu),
    **both("permutation", permutation),
    **both("coupling_affine", coupling(coupling_affine, "limit")),
    **both("coupling_spline", coupling(coupling_spline, "bound")),
    **both("autoregressive_spline", autoregressive_spline),
    "masked_mlp": masked_mlp,
    **IMAGES,
    **whole("realnvp", lambda mask, net: coupling_affine(mask, net, 3.0)),
    **whole("spline_flow", lambda mask, net: coupling_spline(mask, net, 5.0)),
    "gaussian_mixture_log_prob": mixture,
    **density("diagonal_normal_log_prob", diagonal_normal),
    **density("uniform_log_prob", lambda i: Uniform(i["x"].shape[1], float(i["low"]), float(i["high"]))),
})
