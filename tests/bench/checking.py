"""What a peer computed against float64, before its time counts; and what chains are worth.

The error of a result is |a - b| / |b|, all numbers together. Of chains, (steps, chains, d), the hundredth part that is farthest
off is not counted: a proposal whose acceptance hangs on the last digit may fall either way, and then the chain is another one.

A step of Adam is held against Adam in float64 on the gradient that the peer itself found; the gradient has a check of its own.
For the rounding of a gradient is as large as its largest entries make it (where d = 64 and layers are 512 wide, |g| is 10^4
times the median entry), and Adam divides each entry by its own size: in the step the rounding of small entries, which no peer
can avoid and which says nothing of its Adam, weighs as much as large entries do. Gradients right to 1e-5 gave steps that
differed by 4e-4 in three libraries alike. With the gradient given, what is left is that theta' = theta - step is kept in
float32: eps / 2 |theta| / |step|, below 5e-5 in every case.
"""
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from evenflow.reference.core.optim import Adam
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.mcmc.ess import ess
from evenflow.reference.mcmc.zones import zone_weights
from tests.bench.models import TARGET
from tests.bench.peers.protocol import RATE, flat, leaves

COUNTED = 0.99  # of the chains, rounded down


def errors(found: Mapping[str, Array], right: Mapping[str, Array]) -> dict[str, float]:
    """By name. Infinite where a result is missing, or of another shape, or not finite."""
    return {name: error(np.asarray(found.get(name), np.float64), right[name]) for name in right}


def error(found: Array, right: Array) -> float:
    if found.shape != right.shape or not np.isfinite(found).all():
        return math.inf
    if right.ndim < 3:
        return float(np.linalg.norm(found - right) / np.linalg.norm(right))
    off, size = (np.sum(a**2, axis=(0, 2)) for a in (found - right, right))
    counted = np.argsort(off)[: max(1, int(COUNTED * len(off)))]
    return math.sqrt(off[counted].sum() / size[counted].sum())


def asked(right: Mapping[str, Array], found: Mapping[str, Array], inputs: Tree) -> dict[str, Array]:
    """What is right for this peer: of a training step, Adam's step from its own gradient."""
    gradient = np.asarray(found.get("gradient"), np.float64)
    if "step" not in right or gradient.shape != right["gradient"].shape:
        return dict(right)
    m, v = (flat(leaves(inputs["optimiser"][name])) for name in "mv")
    state = {"t": inputs["optimiser"]["t"], "m": m, "v": v}
    return {**right, "step": Adam().update(np.zeros_like(gradient), gradient, state, RATE)[0]}


def limit(eps: float) -> float:
    """Half of the digits: rounding costs far less in every case, a wrong formula far more."""
    return math.sqrt(eps)


def worth(path: Array) -> dict[str, Any]:
    """Of chains in the target of the case "zones", (steps, chains, 2): effective samples a step, error of the weights.

    zone_limit: five standard deviations of that error, for so many effective samples.
    """
    off = zone_weights(np.stack([TARGET.zones(x) for x in path]), TARGET.count) - TARGET.zone_weights()
    effective, w = float(np.min(ess(path))), float(TARGET.zone_weights()[0])
    off_by = {"zone_error": float(np.abs(off).max()), "zone_limit": 5 * math.sqrt(w * (1 - w) / effective)}
    return {"ess_a_step": effective / len(path), **off_by}
