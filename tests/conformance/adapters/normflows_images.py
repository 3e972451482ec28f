"""The layers of images of normflows, from noise to data."""
from collections.abc import Callable
from typing import Any

import torch
from normflows.flows import ActNorm, AffineConstFlow, Invertible1x1Conv, MaskedAffineFlow, Squeeze

from evenflow.conformance.adapter import Operation
from evenflow.conformance.adapters.torch_images import coupling_params, images, layer, squeeze
from evenflow.conformance.adapters.torch_networks import Net
from evenflow.conformance.adapters.torch_operations import Inputs


def actnorm(i: Inputs) -> Any:
    """Told that its first batch has been."""
    made = ActNorm((len(i["shift"]), 1, 1))
    made.data_dep_init_done = torch.tensor(1.0)
    del made.s, made.t
    made.s, made.t = i["log_scale"][None, :, None, None], i["shift"][None, :, None, None]
    return made


class OneByOne(Invertible1x1Conv):  # type: ignore[misc]
    """Its own inverse is W z. Then the shift of each channel; its Composite would round the log_det to float32."""
    shift: Any

    def forward(self, z: Any) -> Any:
        x, log_det = super().inverse(z)
        return self.shift(x)[0], log_det

    def inverse(self, x: Any) -> Any:
        return super().forward(self.shift.inverse(x)[0])


def one_by_one(i: Inputs) -> Any:
    made: Any = OneByOne(len(i["W"]))
    made.shift = AffineConstFlow((len(i["b"]), 1, 1), scale=False)
    del made.W, made.shift.t
    made.W, made.shift.t = i["W"], i["b"][None, :, None, None]
    return made


def conv_coupling(i: Inputs) -> Any:
    if "context" in i:
        raise NotImplementedError("its affine couplings take no context")
    mask = images(i["mask"][None], *i["shape"].tolist())[0].to(i["net/places"].dtype)
    return MaskedAffineFlow(mask, Net(lambda x, _: coupling_params(i, x)[1]), Net(lambda x, _: coupling_params(i, x)[0]))


def squeezed(method: str) -> Callable[[Any, int], Any]:
    """Its log_det is the number 0."""
    def run(v: Any, side: int) -> Any:
        if side != 2:
            raise NotImplementedError("its squares are 2 x 2")
        out, log_det = getattr(Squeeze(), method)(v)
        return out, v.new_zeros(len(v)) + log_det

    return run


IMAGES: dict[str, Operation] = {
    **squeeze(squeezed("forward"), squeezed("inverse")),
    **layer("actnorm", actnorm),
    **layer("conv_1x1", one_by_one),
    **layer("conv_coupling", conv_coupling),
}
