"""Convolutions against PyTorch's, and the layers of images against normflows', on random shapes. Theirs have channels first."""
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from hypothesis import given
from hypothesis import strategies as st

from evenflow.reference.core import Array, conv2d
from evenflow.reference.flows import ActNorm, Bijection, Dense, EachPlace, squeeze
from tests import tolerances
from tests.strategies import generator, seeds

pytestmark = pytest.mark.peers

torch: Any = pytest.importorskip("torch", reason="the oracle for convolutions")
nf: Any = pytest.importorskip("normflows.flows", reason="the oracle for layers of images")

ROUNDING = tolerances.value(np.float64, 10.0)  # sums of at most 5 * 5 * 4 products of normal numbers
sizes = st.integers(1, 4)


def channels_first(a: Array) -> Any:
    return torch.tensor(np.moveaxis(a, -1, 1).copy())


def same(ours: Array, theirs: Any, tolerance: float = ROUNDING) -> None:
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=0, atol=tolerance)


@given(seed=seeds, k=st.integers(1, 5), stride=st.integers(1, 3), padding=st.integers(0, 3), n=sizes, c=sizes, o=sizes)
def test_conv2d_and_its_gradients_agree_with_torch(
    seed: int, k: int, stride: int, padding: int, n: int, c: int, o: int
) -> None:
    rng = generator(seed)
    h, w = (int(rng.integers(max(1, k - 2 * padding), k + 5)) for _ in "hw")
    x, W, b = rng.standard_normal((n, h, w, c)), rng.standard_normal((k, k, c, o)), rng.standard_normal(o)
    inputs = [channels_first(x), torch.tensor(W.transpose(3, 2, 0, 1).copy()), torch.tensor(b)]
    y = torch.nn.functional.conv2d(*(t.requires_grad_() for t in inputs), stride, padding)
    ours = conv2d(x, W, b, stride, padding)
    same(ours, y.permute(0, 2, 3, 1))
    cotangent = rng.standard_normal(ours.shape)
    theirs = torch.autograd.grad((y * channels_first(cotangent)).sum(), inputs)
    gradients = grad(lambda v: anp.sum(cotangent * conv2d(v[0], v[1], v[2], stride, padding)))((x, W, b))
    for got, expected, axes in zip(gradients, theirs, ((0, 2, 3, 1), (2, 3, 1, 0), (0,)), strict=True):
        same(got, expected.permute(axes))


@given(seed=seeds, h=sizes, w=sizes, c=sizes)
def test_squeeze_agrees_with_normflows(seed: int, h: int, w: int, c: int) -> None:
    """Theirs counts the four places within each channel, ours the channels within each place."""
    z = generator(seed).standard_normal((2, h, w, 2, 2, c))
    theirs, log_det = nf.Squeeze()(torch.tensor(np.moveaxis(z, (5, 3, 4), (1, 2, 3)).reshape(2, 4 * c, h, w)))
    x, ours = squeeze((2 * h, 2 * w, c)).forward({}, z.reshape(2, -1))
    same(x, theirs.permute(0, 2, 3, 1).flatten(1), 0.0)
    np.testing.assert_array_equal(ours, log_det)


@given(seed=seeds, h=sizes, w=sizes, c=sizes)
def test_actnorm_and_its_start_agree_with_normflows(seed: int, h: int, w: int, c: int) -> None:
    """Theirs divides by n - 1 for the variance, and adds 1e-6 to the deviation."""
    rng = generator(seed)
    x = rng.standard_normal((3, h, w, c)) * np.exp(rng.standard_normal(c)) + rng.standard_normal(c)
    theirs, layer = nf.ActNorm((c, 1, 1)).double(), EachPlace((h, w, c), ActNorm(c))
    theirs.inverse(channels_first(x))
    started = ActNorm(c).start(x.reshape(-1, c))
    many = 3 * h * w
    sd = np.exp(started["log_scale"]) * np.sqrt(many / (many - 1)) + 1e-6
    same(started["shift"], theirs.t.flatten())
    same(np.log(sd), theirs.s.flatten())
    agree(layer, {"log_scale": np.log(sd), "shift": started["shift"]}, x, theirs)


@given(seed=seeds, h=sizes, w=sizes, c=sizes)
def test_the_1x1_convolution_agrees_with_normflows(seed: int, h: int, w: int, c: int) -> None:
    """Theirs has no shift, and its inverse is W z."""
    rng = generator(seed)
    W = np.linalg.qr(rng.standard_normal((c, c)))[0] * np.exp(rng.uniform(-1, 1, c))
    theirs = nf.Invertible1x1Conv(c).double()
    theirs.W.data = torch.tensor(W)
    z = rng.standard_normal((3, h, w, c))
    agree(EachPlace((h, w, c), Dense(c)), {"W": W, "b": np.zeros(c)}, z, nf.Reverse(theirs))


def agree(layer: Bijection, params: Any, v: Array, theirs: Any) -> None:
    """Both ways, values and log_dets; theirs is one for all images."""
    for way in ("forward", "inverse"):
        out, log_det = getattr(layer, way)(params, v.reshape(len(v), -1))
        expected, its = getattr(theirs, way)(channels_first(v))
        same(out, expected.permute(0, 2, 3, 1).flatten(1), 10 * ROUNDING)
        same(log_det, its.expand(len(v)))
