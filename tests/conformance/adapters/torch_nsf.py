"""What nflows and normflows share: their splines and their MADE descend from the code of Durkan et al. 2019.

The MADE takes our masked perceptrons of one hidden layer. There the degrees of the inputs are 1, ..., d in turn, those of the
units 1, ..., d - 1 over and over. Each of our units goes to one of the same degree, so that their own masks hold. Ours of
degree 0, which see the context alone, have no equal: they go to degree 1, where all outputs see them but the first. Without a
context they are constants, and stand in the first output's bias.
"""
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from evenflow.conformance.adapters.torch_networks import joined


def inverse_softplus(y: Any) -> Any:
    """Of torch's, which is the identity above 20."""
    return torch.where(y > 20, y, y + torch.log(-torch.expm1(-y)))


def spline_params(raw: Any, bins: int) -> Any:
    """raw (..., 2 bins + slopes): widths and heights are the same there, slopes are 1e-3 + softplus."""
    slopes = inverse_softplus(torch.exp(5 * torch.tanh(raw[..., 2 * bins :] / 5)) - 1e-3)
    return torch.cat([raw[..., : 2 * bins], slopes], -1)


class Made(NamedTuple):
    """Weights (fan_in, fan_out) for inputs and outputs in the order of their degrees."""
    W: Any
    b: Any
    C: Any                # (c, units), None without a context
    last_W: Any
    last_b: Any
    carries: Any          # (units,) bool: those that carry the context on, as relu(c) and relu(-c)

    @property
    def units(self) -> int:
        return len(self.b)


def made(layers: Sequence[Any], degrees_in: Any, degrees_out: Any) -> Made:
    """Raises NotImplementedError for other degrees than those above, and for other depths than one hidden layer."""
    d, m = len(degrees_in), len(degrees_out) // len(degrees_in)
    if len(layers) != 2 or sorted([*degrees_in] * m) != sorted(degrees_out) or sorted(degrees_in) != list(range(1, d + 1)):
        raise NotImplementedError("one hidden layer; each of the degrees 1 to d for one input, and for equally many outputs")
    first, last = joined(layers)
    ours = len(layers[0]["b"])
    degrees = first["mask"][:d].sum(0)
    degrees[ours:] = 0
    least, turn = min(1, d - 1), max(1, d - 1)
    here = degrees.clamp(min=least)
    turns = torch.stack([(here[:j] == here[j]).sum() for j in range(len(here))])
    place = torch.nn.functional.one_hot(turns * turn + here - least, int(turns.max() + 1) * turn).to(first["b"].dtype)
    rows, columns = torch.argsort(degrees_in), torch.argsort(degrees_out, stable=True)
    W, last_W, last_b = first["W"] * first["mask"], (last["W"] * last["mask"])[:, columns], last["b"][columns]
    if "C" not in layers[0]:
        constant = torch.relu(first["b"]) * (degrees < least)
        last_b = last_b + torch.cat([constant @ last_W[:, :m], last_b.new_zeros(len(last_b) - m)])
    C = W[d:] @ place if "C" in layers[0] else None
    return Made(W[:d][rows] @ place, first["b"] @ place, C, place.T @ last_W, last_b, place[ours:].sum(0) > 0)
