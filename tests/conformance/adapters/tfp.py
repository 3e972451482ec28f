"""TensorFlow Probability on NumPy: bijectors and densities, no gradients.

Its forward is ours (noise to data). Its spline has slope 1 at both ends, the same ends on both axes, and goes on as the
identity; a log_det that is the same for all rows comes as one number. Its couplings pass the first coordinates, so others
are brought there and back by its Permute, and both they and its autoregressive layers take any function for a network.
"""
from collections.abc import Callable
from typing import Any

import numpy as np
from tensorflow_probability.substrates.numpy import bijectors as tfb
from tensorflow_probability.substrates.numpy import distributions as tfd
from tensorflow_probability.substrates.numpy import tf2numpy as tf

from evenflow.conformance.adapter import NumPyFunctions, Operation, versioned
from evenflow.conformance.adapters.perceptron import perceptron
from evenflow.conformance.arrays import Array, Arrays, branch


def both(name: str, bijector: Callable[[Arrays], Any], event_ndims: int = 1) -> dict[str, Operation]:
    """An operation and its inverse."""
    def forward(i: Arrays) -> Arrays:
        b, z = bijector(i), i["z"]
        return {"x": b.forward(z), "log_det": rows(b.forward_log_det_jacobian(z, event_ndims), z, event_ndims)}

    def inverse(i: Arrays) -> Arrays:
        b, x = bijector(i), i["x"]
        return {"z": b.inverse(x), "log_det": rows(b.inverse_log_det_jacobian(x, event_ndims), x, event_ndims)}

    return {name: forward, f"{name}_inverse": inverse}


def rows(log_det: Array, like: Array, event_ndims: int) -> Array:
    return np.broadcast_to(log_det, like.shape[: like.ndim - event_ndims])


def spline(i: Arrays) -> Any:
    x, y, slopes = i["x_knots"], i["y_knots"], i["slopes"]
    if np.any(x[:, [0, -1]] != y[:, [0, -1]]) or np.any(slopes[:, [0, -1]] != 1):
        raise NotImplementedError("the ends are the same on both axes, and the slopes there 1")
    return tfb.RationalQuadraticSpline(np.diff(x), np.diff(y), slopes[:, 1:-1], range_min=x[:, 0])


def spline_transformer(i: Arrays) -> Any:
    """The softmax with a floor is the recipe of its manual, where knots and slopes are the caller's."""
    raw, bound = i["raw"], i["bound"]
    K = (raw.shape[1] + 1) // 3

    def bins(raw: Array) -> Array:
        share = np.exp(raw - raw.max(axis=1, keepdims=True))
        return 2 * bound * (1e-3 + (1 - 1e-3 * K) * share / share.sum(axis=1, keepdims=True))

    inner = np.exp(5 * np.tanh(raw[:, 2 * K :] / 5))
    return tfb.RationalQuadraticSpline(bins(raw[:, :K]), bins(raw[:, K : 2 * K]), inner, range_min=-bound)


def shift(i: Arrays) -> Any:
    return tfb.Shift(i["b"] + (i["context"] @ i["C"] if "context" in i else 0))


def dense(i: Arrays) -> Any:
    return tfb.Chain([shift(i), tfb.ScaleMatvecLinearOperator(tf.linalg.LinearOperatorFullMatrix(i["W"]))])


def plu(i: Arrays) -> Any:
    """L and U in one matrix; its permutation says where each row of LU goes, ours from where a row of W comes."""
    diagonal = np.exp(5 * np.tanh(i["log_diagonal"] / 5))
    lower_upper = np.tril(i["lower"], -1) + np.triu(i["upper"], 1) + np.diag(diagonal)
    return tfb.Chain([shift(i), tfb.ScaleMatvecLU(lower_upper, np.argsort(i["order"]))])


def images(name: str, bijector: Callable[[Arrays], Any]) -> dict[str, Operation]:
    """Of the channels of each place: our rows are images (h, w, c), whose log_det is that of all places."""
    def turned(operation: Operation, v: str) -> Operation:
        def run(i: Arrays) -> Arrays:
            out = operation({**i, v: i[v].reshape(-1, *i["shape"])})
            return {k: a.reshape(i[v].shape) if a.ndim > 1 else a for k, a in out.items()}
        return run

    operations = both(name, bijector, 3)
    return {k: turned(operation, "x" if k.endswith("_inverse") else "z") for k, operation in operations.items()}


def shift_and_log_scale(net: Array, limit: float, context: Array | None) -> Callable[..., tuple[Array, Array]]:
    def run(x: Array, *_: Any, **__: Any) -> tuple[Array, Array]:
        raw = perceptron(net, x, context)
        raw = raw.reshape(*raw.shape[:-1], -1, 2)
        return raw[..., 1], limit * np.tanh(raw[..., 0] / limit)
    return run


def coupling(i: Arrays) -> Any:
    first = tfb.Permute(np.argsort(~i["mask"], kind="stable"))
    passing = int(np.sum(i["mask"]))
    layer = tfb.RealNVP(passing, shift_and_log_scale_fn=shift_and_log_scale(branch(i, "net"), i["limit"], i.get("context")))
    return tfb.Chain([tfb.Invert(first), layer, first])


def autoregressive(i: Arrays) -> Any:
    return tfb.MaskedAutoregressiveFlow(shift_and_log_scale(branch(i, "net"), i["limit"], i.get("context")))


def mixture(i: Arrays) -> Any:
    components = tfd.MultivariateNormalDiag(i["means"], i["sds"][:, None] * np.ones_like(i["means"]))
    return tfd.MixtureSameFamily(tfd.Categorical(probs=i["weights"]), components)


def mixture_log_prob(i: Arrays) -> Arrays:
    """It divides the weights by their sum; ours are taken as they are."""
    return {"log_prob": mixture(i).log_prob(i["x"]) + np.log(np.sum(i["weights"]))}


def log_prob(density: Callable[[Arrays], Any]) -> Operation:
    return lambda i: {"log_prob": density(i).log_prob(i["x"])}


adapter = NumPyFunctions(versioned("tfp-nightly", "numpy"), {
    **both("affine", lambda i: tfb.Chain([tfb.Shift(i["shift"]), tfb.Scale(log_scale=i["log_scale"])]), 0),
    **both("rational_quadratic_spline", spline, 0),
    **both("spline_transformer", spline_transformer, 0),
    **both("dense", dense),
    **both("plu", plu),
    **both("permutation", lambda i: tfb.Permute(i["order"])),
    **both("coupling_affine", coupling),
    **both("autoregressive_affine", autoregressive),
    **images("actnorm", lambda i: tfb.Chain([tfb.Shift(i["shift"]), tfb.Scale(log_scale=i["log_scale"])])),
    **images("conv_1x1", dense),
    "gaussian_mixture_log_prob": mixture_log_prob,
    "diagonal_normal_log_prob": log_prob(lambda i: tfd.MultivariateNormalDiag(i["mean"], i["sd"])),
    "uniform_log_prob": log_prob(lambda i: tfd.Independent(tfd.Uniform(i["low"] + 0 * i["x"], i["high"]), 1)),
    "normal_quantile": lambda i: {"z": tfd.Normal(np.float64(0), np.float64(1)).quantile(i["alpha"])},
})
