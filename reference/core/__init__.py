"""What everything stands on: trees of arrays, checks, networks, optimisers, and the one seam for faster implementations.

    trees         parameters are nested dicts and lists of arrays
    arrays        what a user may pass for an array
    dispatch      the seam (docs/accel.md)
    looking       where a step looks at its own numbers
    checks        bad input gets a clear error
    special       functions that NumPy lacks
    matrices      columns and rows
    placement     where numbers live
    gradients     the gradient in a tree of parameters
    networks      perceptrons, plain and masked
    convolution   convolutions, plain and masked, and their network
    optim         SGD, Adam, schedules, clipping, the average of the weights
"""
from evenflow.reference.core.arrays import array, arrays, check_unmasked, numbers
from evenflow.reference.core.checks import (
    check_context,
    check_count,
    check_finite,
    check_fraction,
    check_image,
    check_positive,
    check_shape,
)
from evenflow.reference.core.convolution import ConvNet, Shape, causal_mask, conv2d, gated
from evenflow.reference.core.dispatch import lookup, replaceable, unknown
from evenflow.reference.core.gradients import traced, value_and_gradient
from evenflow.reference.core.looking import anywhere, finite, number, per_step, replayed, told, value
from evenflow.reference.core.matrices import put, repeated, take
from evenflow.reference.core.networks import MLP, MaskedMLP, activated
from evenflow.reference.core.optim import SGD, Adam, check_all_finite, global_norm
from evenflow.reference.core.placement import beside, fetched, placed, streams
from evenflow.reference.core.special import bounded, logsumexp, normal_quantile, tanh
from evenflow.reference.core.trees import Array, Tree, as_arrays, leaves, named_leaves, size, tree_map

__all__ = [
    "MLP", "SGD", "Adam", "Array", "ConvNet", "MaskedMLP", "Shape", "Tree", "activated", "anywhere", "array", "arrays",
    "as_arrays", "beside", "bounded", "causal_mask", "check_all_finite", "check_context", "check_count", "check_finite",
    "check_fraction", "check_image", "check_positive", "check_shape", "check_unmasked", "conv2d", "fetched", "finite", "gated",
    "global_norm", "leaves", "logsumexp", "lookup", "named_leaves", "normal_quantile", "number", "numbers", "per_step",
    "placed", "put", "repeated", "replaceable", "replayed", "size", "streams", "take", "tanh", "told", "traced", "tree_map",
    "unknown", "value", "value_and_gradient",
]
