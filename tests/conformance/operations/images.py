"""Layers of images. A row of h w c numbers is an image, line by line, channels last; conv2d alone takes the four axes."""
import numpy as np

from evenflow.conformance.adapter import Operation
from evenflow.conformance.arrays import Arrays, branch
from evenflow.conformance.operations.bijections import context_dim, layer
from evenflow.reference.core import causal_mask, conv2d
from evenflow.reference.core.looking import value
from evenflow.reference.core.trees import Tree
from evenflow.reference.flows import ActNorm, AffineTransformer, Bijection, ConvCoupling, Dense, EachPlace, Flow, squeeze
from evenflow.reference.saef import image_saef
from evenflow.reference.scores import energy_score


def shape_of(i: Arrays) -> tuple[int, int, int]:
    h, w, c = i["shape"].tolist()
    return h, w, c


def convolution(i: Arrays) -> Arrays:
    return {"y": conv2d(i["x"], i["W"], i["b"], int(i["stride"]), int(i["padding"]))}


def masked_convolution(i: Arrays) -> Arrays:
    k, _, c, o = i["W"].shape
    return {"y": conv2d(i["x"], i["W"], i["b"], mask=causal_mask(k, str(i["kind"]), c, o, int(i["groups"])))}


def squeeze_of(i: Arrays) -> tuple[Bijection, Tree]:
    return squeeze(shape_of(i), int(i["side"])), {}


def actnorm_of(i: Arrays) -> tuple[Bijection, Tree]:
    shape = shape_of(i)
    return EachPlace(shape, ActNorm(shape[2])), i


def one_by_one_of(i: Arrays) -> tuple[Bijection, Tree]:
    shape = shape_of(i)
    return EachPlace(shape, Dense(shape[2])), i


def coupling_of(i: Arrays) -> tuple[Bijection, Tree]:
    """The sizes of the network are those of its parameters."""
    params = branch(i, "net")
    width, blocks = params["layers"][0]["b"].shape[0], len(params["layers"]) // 2 - 1
    mask, transformer = tuple(i["mask"].tolist()), AffineTransformer(float(i["limit"]))
    return ConvCoupling(shape_of(i), mask, width, blocks, context_dim(i), transformer), params


def image_saef_of(i: Arrays) -> tuple[Flow, Tree]:
    """With affine maps, which are a layer of the context alone."""
    contexts = branch(i, "net")
    layers = contexts["layers"]
    width, blocks, made = layers[0]["b"].shape[0], len(layers) // 2 - 1, layers[-1]["b"].shape[0]
    hidden = (width,) * blocks
    flow = image_saef(shape_of(i), int(i["patch"]), "affine", hidden, made, context_dim=context_dim(i))
    assert isinstance(flow, Flow)
    head = {"W": np.zeros((0, i["b"].shape[0]), value(i["b"]).dtype), "b": i["b"], "C": i["C"]}
    return flow, {"contexts": contexts, "maps": [[[head]]]}


def image_saef_inverse(i: Arrays) -> Arrays:
    flow, params = image_saef_of(i)
    z, log_det = flow.inverse(params, i["x"], i.get("context"))
    return {"z": z, "log_det": log_det}


def image_saef_loss(i: Arrays) -> Arrays:
    flow, params = image_saef_of(i)
    beta, noise = float(i["beta"]), i["noise"].reshape((-1, i["noise"].shape[-1]))
    return {"loss": flow.loss(params, i["x"], noise, lambda draws, y: energy_score(draws, y, beta), i.get("context"))}


OPERATIONS: dict[str, Operation] = {
    "conv2d": convolution,
    "masked_conv2d": masked_convolution,
    **layer("squeeze", squeeze_of),
    **layer("actnorm", actnorm_of),
    **layer("conv_1x1", one_by_one_of),
    **layer("conv_coupling", coupling_of),
    "image_saef_inverse": image_saef_inverse,
    "image_saef_loss": image_saef_loss,
}
