"""Images in PyTorch adapters: our rows are lines of places with channels last, theirs are (n, c, h, w)."""
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import conv2d, elu

from evenflow.conformance.adapter import Operation
from evenflow.conformance.adapters.conv_net import conv_net
from evenflow.conformance.adapters.torch_operations import Inputs, both
from evenflow.conformance.arrays import branch


def images(rows: Any, h: int, w: int, c: int) -> Any:
    return rows.unflatten(1, (h, w, c)).permute(0, 3, 1, 2).contiguous()


def rows(images: Any) -> Any:
    return images.permute(0, 2, 3, 1).flatten(1)


def convolved(x: Any, W: Any, b: Any, stride: int, padding: int) -> Any:
    """x (n, h, w, c), W (k, k, c, o): torch's convolution, with its axes in our order."""
    return conv2d(x.permute(0, 3, 1, 2), W.permute(3, 2, 0, 1), b, stride, padding).permute(0, 2, 3, 1)


def coupling_params(i: Inputs, x: Any, context: Any = None) -> Any:
    """What the network says of x (n, c, h, w): log scales and shifts, each as x."""
    def conv(layer: dict[str, Any], h: Any) -> Any:
        y = convolved(h, layer["W"], layer["b"], 1, len(layer["W"]) // 2)
        return y if context is None else y + (context @ layer["C"])[:, None, None]

    raw, limit = conv_net(branch(i, "net"), x.permute(0, 2, 3, 1), conv, elu, torch.tanh, torch.sigmoid), i["limit"]
    return (limit * torch.tanh(raw[..., 0] / limit)).permute(0, 3, 1, 2), raw[..., 1].permute(0, 3, 1, 2)


def layer(name: str, of: Callable[[Inputs], Any]) -> dict[str, Operation]:
    """A layer from noise to data: called, and its `inverse`, it gives images (n, c, h, w) and a log_det, maybe one for all."""
    def answer(i: Inputs, inverse: bool) -> Any:
        made = of(i)
        out, log_det = (made.inverse if inverse else made)(images(i["x" if inverse else "z"], *i["shape"].tolist()))
        return rows(out), log_det.expand(len(out))

    return both(name, answer)


def squeeze(widen: Callable[[Any, int], Any], narrow: Callable[[Any, int], Any]) -> dict[str, Operation]:
    """widen(z, side): to larger images of fewer channels. All count the places of a square within each channel, we the
    channels within each place."""
    def answer(i: Inputs, inverse: bool) -> Any:
        (h, w, c), side = i["shape"].tolist(), int(i["side"])
        if inverse:
            z, log_det = narrow(images(i["x"], h, w, c), side)
            return rows(turned(z, c)), log_det
        x, log_det = widen(turned(images(i["z"], h // side, w // side, side**2 * c), side**2), side)
        return rows(x), log_det

    return both("squeeze", answer)


def turned(z: Any, outer: int) -> Any:
    """Channels that are counted as (outer, inner) as (inner, outer)."""
    return z.unflatten(1, (outer, -1)).transpose(1, 2).flatten(1, 2)
