"""What torch_eager.py times, as functions of weights: flows with affine and spline couplings, SAEF, scores. The arithmetic is
that of the reference, written the way PyTorch likes it. Of the coordinates of a flow, odd and even ones pass in turn."""
import math
from collections.abc import Callable
from typing import Any

import torch

Tensor = Any
LIMIT, LAST_LIMIT = 3.0, 5.0               # of an affine coupling's log scale; of the last one's in SAEF
BOUND, MIN_BIN, SLOPE_LIMIT = 5.0, 1e-3, 5.0  # of splines
EPS = 1e-6                                 # of distances: sqrt(u^2 + EPS^2)


def perceptron(layers: Any, h: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    for layer in layers[:-1]:
        h = activation(torch.addmm(layer["b"], h, layer["W"]))
    last = layers[-1]  # that of an energy has no bias
    return torch.addmm(last["b"], h, last["W"]) if "b" in last else h @ last["W"]


def halves(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The coordinates that pass layer k and the others."""
    odd, even = x[..., 1::2], x[..., 0::2]
    return (odd, even) if k % 2 == 0 else (even, odd)


def joined(passing: Tensor, others: Tensor, k: int) -> Tensor:
    pair = (others, passing) if k % 2 == 0 else (passing, others)
    return torch.stack(pair, dim=-1).flatten(-2)


def shaped(raw: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """Log scale and shift of each coordinate, side by side in raw."""
    return limit * torch.tanh(raw[..., 0::2] / limit), raw[..., 1::2]


def back(raw: Tensor, x: Tensor, bins: int | None) -> tuple[Tensor, Tensor]:
    """The transformer's way from x to z, and the sum of log dz/dx."""
    if bins:
        return spline_back(raw.reshape(*x.shape, -1), x, bins)
    s, t = shaped(raw, LIMIT)
    return (x - t) * torch.exp(-s), -s.sum(1)


def log_prob(params: Any, x: Tensor, bins: int | None = None) -> Tensor:
    *couplings, last = params
    x, log_det = back(perceptron(last, x[:, :0], torch.relu), x, None)  # the last one is affine
    for k in reversed(range(len(couplings))):
        passing, others = halves(x, k)
        others, change = back(perceptron(couplings[k], passing, torch.relu), others, bins)
        x, log_det = joined(passing, others, k), log_det + change
    return log_det - 0.5 * (x * x).sum(1) - 0.5 * x.shape[1] * math.log(2 * math.pi)


def sample(params: Any, z: Tensor) -> tuple[Tensor, Tensor]:
    """x, and the log density there."""
    *couplings, last = params
    log_p = -0.5 * (z * z).sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi)
    for k, coupling in enumerate(couplings):
        passing, others = halves(z, k)
        s, t = shaped(perceptron(coupling, passing, torch.relu), LIMIT)
        z, log_p = joined(passing, others * torch.exp(s) + t, k), log_p - s.sum(1)
    s, t = shaped(perceptron(last, z[:, :0], torch.relu), LIMIT)
    return z * torch.exp(s) + t, log_p - s.sum(1)


def knots(raw: Tensor) -> Tensor:
    share = MIN_BIN + (1 - MIN_BIN * raw.shape[-1]) * torch.softmax(raw, -1)
    return torch.nn.functional.pad(2 * BOUND * torch.cumsum(share, -1), (1, 0)) - BOUND


def entry(a: Tensor, k: Tensor) -> Tensor:
    """a_k of each row."""
    return torch.gather(a, -1, k)[..., 0]


def spline_back(raw: Tensor, x: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Rational-quadratic, the identity outside [-BOUND, BOUND]; the root of the quadratic without cancellation."""
    x_knots, y_knots, inner = knots(raw[..., :bins]), knots(raw[..., bins : 2 * bins]), raw[..., 2 * bins :]
    slopes = torch.nn.functional.pad(torch.exp(SLOPE_LIMIT * torch.tanh(inner / SLOPE_LIMIT)), (1, 1), value=1.0)
    inside = (x >= y_knots[..., 0].detach()) & (x <= y_knots[..., -1].detach())
    x_in = torch.where(inside, x, 0.0)[..., None]
    k = (torch.searchsorted(y_knots.detach(), x_in.detach(), right=True) - 1).clamp(0, bins - 1)
    (x_k, x_next), (y_k, y_next), (d_k, d_next) = ((entry(a, k), entry(a, k + 1)) for a in (x_knots, y_knots, slopes))
    w, h = x_next - x_k, y_next - y_k
    q, p, s = (x_in[..., 0] - y_k) / h, (y_next - x_in[..., 0]) / h, h / w
    A = d_k * p - d_next * q
    low = A >= 0
    T = A.abs() + torch.sqrt(A * A + 4 * s * s * p * q)
    near = 2 * s * torch.where(low, q, p)
    xi, eta = torch.where(low, near, T) / (T + near), torch.where(low, T, near) / (T + near)
    u = xi * eta
    D = s * (xi * xi + eta * eta) + (d_k + d_next) * u
    log_slope = 2 * torch.log(s) + torch.log(d_next * xi * xi + 2 * s * u + d_k * eta * eta) - 2 * torch.log(D)
    return torch.where(inside, x_k + w * xi, x), -torch.where(inside, log_slope, 0.0).sum(1)


def saef_loss(params: Any, x: Tensor, context: Tensor, z: Tensor, kept: list[Tensor]) -> Tensor:
    """Teacher forcing: all contexts in one masked network, m draws of each block, the energy score; kept: its masks.

    The context enters every layer of every network; that of a block is the same for its m draws and is multiplied once.
    """
    h = x
    for depth, (layer, mask) in enumerate(zip(params["contexts"], kept, strict=True)):
        h = torch.addmm(layer["b"], h, layer["W"] * mask) + context @ layer["C"]
        h = torch.relu(h) if depth < len(kept) - 1 else h
    (*couplings, last), = params["maps"]
    width, n = last[0]["C"].shape[0], len(x)
    h = h.reshape(n, -1, width)                                # (n, B, width)
    z = z.reshape(len(z) // n, n, h.shape[1], -1)              # (m, n, B, k)
    for k, layers in enumerate(couplings):
        passing, others = halves(z, k)
        s, t = shaped(conditioned(layers, passing, h), LIMIT)
        z = joined(passing, others * torch.exp(s) + t, k)
    s, t = shaped(conditioned(last, z[..., :0], h), LAST_LIMIT)
    draws, y, m = z * torch.exp(s) + t, x.reshape(n, h.shape[1], -1), len(z)
    spread = sum(distance(draws[i], draws[j]).sum() for i in range(m) for j in range(i))
    return (distance(draws, y).sum() / m - spread / (m * (m - 1))) / n


def conditioned(layers: Any, h: Tensor, context: Tensor) -> Tensor:
    for depth, layer in enumerate(layers):
        h = h @ layer["W"] + (context @ layer["C"] + layer["b"])
        h = torch.relu(h) if depth < len(layers) - 1 else h
    return h


def distance(a: Tensor, b: Tensor) -> Tensor:
    return torch.sqrt(((a - b) ** 2).sum(-1) + EPS**2)


def energy_score(draws: Tensor, y: Tensor) -> Tensor:
    m = len(draws)
    return torch.cdist(draws, y).mean() - torch.cdist(draws, draws).sum() / (2 * m * (m - 1))


def sliced_score(draws: Tensor, y: Tensor, directions: Tensor) -> Tensor:
    """Along each direction: sorted draws, their running sums, and where each y falls among them."""
    x, m = torch.sort(directions @ draws.T, dim=1)[0], len(draws)
    y, zero = (directions @ y.T).contiguous(), x.new_zeros((len(directions), 1))
    below = torch.cat([zero, torch.cumsum(x, 1)], 1)
    k = torch.searchsorted(x.detach(), y)
    cross = y * (2 * k - m) + below[:, -1:] - 2 * torch.gather(below, 1, k)
    within = (x * (2 * torch.arange(m, device=x.device) - (m - 1))).sum(1) / (m * (m - 1))
    return cross.mean() / m - within.mean()
