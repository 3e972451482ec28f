"""Flows of PyTorch libraries as their users build them: python -m tests.bench.peers.torch_flows --library zuko

A training step (loss, gradient, PyTorch's Adam) and a push of given noise. Their weights are their own, from one seed, so they
are checked against themselves in float64. As near to ours as each allows, with this left over:

    zuko        its coupling conditions on a mask of all coordinates; log scales are clipped softly
    nflows      conditioners are its residual networks: one more hidden layer of the same width; no scale and shift at the end
    normflows   as ours; a permutation between couplings, in which one coordinate of two passes; splines: as nflows
"""
import argparse
import importlib
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from tests.bench.peers.protocol import RATE, Peer, Work, flat, lacking, no_memory, serve

Tensor = Any
Model = tuple[Any, Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]  # module; log_prob(x); data from noise z
torch: Any = None
library: Any = None
BOUND = 5.0  # of splines


def zuko(sizes: dict[str, Any]) -> Model:
    choices = {"transforms": sizes["layers"], "hidden_features": sizes["hidden"]}
    if sizes.get("bins"):
        flow = library.flows.NSF(sizes["d"], bins=sizes["bins"], passes=2, **choices)
    else:
        flow = library.flows.RealNVP(sizes["d"], **choices)
    return flow, lambda x: flow().log_prob(x), lambda z: flow().transform.inv(z)


def nflows(sizes: dict[str, Any]) -> Model:
    parts = [importlib.import_module(f"nflows.{name}") for name in ("transforms", "nn.nets", "flows", "distributions")]
    transforms, nets, flows, distributions = parts
    d, width = sizes["d"], sizes["hidden"][0]
    net = lambda i, o: nets.ResidualNet(i, o, width, num_blocks=1)
    layers = []
    for k in range(sizes["layers"]):
        mask = [(-1) ** (j + k) for j in range(d)]
        if sizes.get("bins"):
            layers.append(transforms.PiecewiseRationalQuadraticCouplingTransform(
                mask, net, num_bins=sizes["bins"], tails="linear", tail_bound=BOUND))
        else:
            layers.append(transforms.AffineCouplingTransform(mask, net))
    flow = flows.Flow(transforms.CompositeTransform(layers), distributions.StandardNormal([d]))
    return flow, flow.log_prob, lambda z: flow._transform.inverse(z)[0]


def normflows(sizes: dict[str, Any]) -> Model:
    d, hidden, layers = sizes["d"], sizes["hidden"], []
    for k in range(sizes["layers"]):
        if sizes.get("bins"):
            layers.append(library.flows.CoupledRationalQuadraticSpline(
                d, 1, hidden[0], num_bins=sizes["bins"], tail_bound=BOUND, reverse_mask=bool(k % 2)))
        else:
            net = library.nets.MLP([d // 2, *hidden, 2 * (d // 2)], init_zeros=False)
            layers += [library.flows.AffineCouplingBlock(net), library.flows.Permute(d, mode="swap")]
    flow = library.NormalizingFlow(library.distributions.DiagGaussian(d, trainable=False), layers)
    return flow, flow.log_prob, lambda z: flow.forward(z)


LIBRARIES: dict[str, Callable[[dict[str, Any]], Model]] = {"zuko": zuko, "nflows": nflows, "normflows": normflows}


def about(name: str) -> dict[str, str]:
    global torch, library
    torch, library = importlib.import_module("torch"), importlib.import_module(name)
    torch.set_num_threads(1)
    return {"versions": f"{name} {version(name)}, torch {torch.__version__}"}


def prepare(name: str, kind: str, sizes: dict[str, Any], inputs: Any) -> Work:
    if kind not in ("flow", "sample"):
        raise lacking(kind)
    if torch is None:
        about(name)
    torch.manual_seed(0)
    given = torch.as_tensor(inputs["x" if kind == "flow" else "z"])
    module, log_prob, push = LIBRARIES[name](sizes)
    module.to(given.dtype)
    return training(module, log_prob, given) if kind == "flow" else pushing(push, given)


def training(module: Any, log_prob: Callable[[Tensor], Tensor], x: Tensor) -> Work:
    optimiser = torch.optim.Adam(module.parameters(), lr=RATE, fused=True)

    def call() -> Tensor:
        optimiser.zero_grad()
        value = -log_prob(x).mean()
        value.backward()
        optimiser.step()
        return value.detach()

    def gradient() -> list[Any]:
        return [p.grad.numpy() for p in module.parameters() if p.grad is not None]

    return Work(call, lambda value: {"value": value.numpy(), "gradient": flat(gradient())})


def pushing(push: Callable[[Tensor], Tensor], z: Tensor) -> Work:
    def call() -> Tensor:
        with torch.no_grad():
            return push(z)

    return Work(call, lambda x: {"x": flat([x.numpy()])})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", choices=sorted(LIBRARIES), required=True)
    chosen = parser.parse_args().library
    serve(Peer(lambda: about(chosen), lambda *case: prepare(chosen, *case), no_memory))
