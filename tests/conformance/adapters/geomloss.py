"""GeomLoss: kernel norms of weighted samples.

SamplesLoss is half the squared norm, a V-statistic: half the energy distance for "energy" (beta = 1), half the squared MMD for
"gaussian", whose `blur` is the bandwidth. With one observation as the second sample it is the score itself.
"""
from typing import Any

from geomloss import SamplesLoss

from evenflow.conformance.adapter import versioned
from evenflow.conformance.adapters.torch_functions import TorchFunctions
from evenflow.conformance.adapters.torch_operations import Inputs


def loss(i: Inputs, x: Any, y: Any) -> Any:
    """With the kernel that is asked for; with several bandwidths the sum over them."""
    kernel = i.get("kernel", "distance")
    if i.get("estimator", "V") != "V" or kernel == "linear" or (kernel == "distance" and i.get("beta", 1.0) != 1):
        raise NotImplementedError("V-statistics of the energy (beta = 1) and the Gaussian kernel alone")
    if kernel == "distance":
        return SamplesLoss("energy", backend="tensorized")(x, y)
    return sum(SamplesLoss("gaussian", blur=s, backend="tensorized")(x, y) for s in i["bandwidths"])


def distance(i: Inputs) -> dict[str, Any]:
    return {"distance": 2 * loss(i, i["x"], i["y"])}


def score(i: Inputs) -> dict[str, Any]:
    """draws (m, n, d), or (m, d) shared by all; each observation is a batch of its own."""
    draws, y = i["draws"], i["y"]
    each = draws.transpose(0, 1) if draws.ndim == 3 else draws.expand(len(y), *draws.shape)
    return {"score": loss(i, each.contiguous(), y[:, None])}


def crps(i: Inputs) -> dict[str, Any]:
    return score({"draws": i["draws"][..., None], "y": i["y"][:, None], "estimator": i["estimator"]})


adapter = TorchFunctions(versioned("geomloss", "torch"), {
    "energy_distance": distance, "mmd": distance, "energy_score": score, "kernel_score": score, "crps": crps,
})
