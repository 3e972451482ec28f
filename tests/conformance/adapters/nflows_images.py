"""The layers of images of nflows. Its couplings split the channels, not the places.

Its 1 x 1 convolution is left out: the U of its L U has a positive diagonal, which few of our W have after any permutation.
"""
from typing import Any

import torch
from nflows.transforms import ActNorm, SqueezeTransform

from evenflow.conformance.adapters.torch_images import coupling_params
from evenflow.conformance.adapters.torch_networks import Net
from evenflow.conformance.adapters.torch_operations import Inputs


def actnorm(i: Inputs) -> Any:
    """Not in training, where its first batch would set it."""
    made = ActNorm(len(i["shift"])).eval()
    del made.log_scale, made.shift
    made.log_scale, made.shift = i["log_scale"], i["shift"]
    return made


def conv_coupling(kind: Any, i: Inputs) -> Any:
    """kind: with log scales, then shifts, as parameters. Its network sees channels that pass, and answers for the others."""
    places = i["mask"].unflatten(0, i["shape"].tolist()).flatten(0, 1)
    mask = places[0]
    if (places != mask).any():
        raise NotImplementedError("its masks are of channels")

    def params(passing: Any, _: Any) -> Any:
        n, _, h, w = passing.shape
        x = passing.new_zeros(n, len(mask), h, w)
        x[:, mask] = passing
        return torch.cat([part[:, ~mask] for part in coupling_params(i, x, i.get("context"))], 1)

    return kind(~mask, lambda *sizes: Net(params))


def narrow(x: Any, side: int) -> Any:
    return SqueezeTransform(side)(x)


def widen(z: Any, side: int) -> Any:
    return SqueezeTransform(side).inverse(z)
