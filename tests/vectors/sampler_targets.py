r"""What the samplers' oracles share.

The target $p(x) = \sum_k w_k N(x; m_k, s_k^2 I)$ with its score $\sum_k w_k N_k(x) (m_k - x) / s_k^2 \,/\, p(x)$, the flow
$x = \text{mean} + \text{sd} \cdot \text{noise}$, and the rule of Metropolis and Hastings.
"""
from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors.exact import exp, log, sqrt

Exact = dict[str, Any]
Function = Callable[[Array], Array]
TWO_PI = 2 * mpmath.mpf(mpmath.mp.pi)

TARGET = {
    "target/weights": "(K,) w, which add up to 1", "target/means": "(K, d) m",
    "target/sds": "(K,) s, p(x) = sum_k w_k N(x; m_k, s_k^2 I)",
}
FLOW = {"flow/mean": "(d,)", "flow/sd": "(d,): x = mean + sd * noise"}
WEIGHTS = {1: [1.0], 2: [0.375, 0.625], 3: [0.25, 0.4375, 0.3125], 4: [0.125, 0.25, 0.25, 0.375]}  # add up without rounding


def densities(i: Exact, x: Array, name: str) -> Array:
    """w_k N(x; m_k, s_k^2 I), (n, K)."""
    half = mpmath.mpf(x.shape[1]) / 2
    return np.stack([
        w * exp(-np.sum((x - m) ** 2, axis=1) / (2 * s**2)) / (TWO_PI * s**2) ** half
        for w, m, s in zip(i[f"{name}/weights"], i[f"{name}/means"], i[f"{name}/sds"], strict=True)
    ], axis=1)


def log_p(i: Exact, x: Array, name: str = "target") -> Array:
    return log(np.sum(densities(i, x, name), axis=1))


def score(i: Exact, x: Array, name: str = "target") -> Array:
    each = densities(i, x, name)[:, :, None]
    pulls = (i[f"{name}/means"] - x[:, None]) / i[f"{name}/sds"][:, None] ** 2  # (n, K, d)
    return np.sum(each * pulls, axis=1) / np.sum(each, axis=1)


def log_lambda(i: Exact, x: Array) -> Array:
    """log N(x; mean, sd^2)."""
    mean, sd = i["flow/mean"], i["flow/sd"]
    return np.sum(-((x - mean) ** 2) / (2 * sd**2) - log(sd) - log(TWO_PI) / 2, axis=1)


def metropolis(i: Exact, proposal: Array, log_ratio: Array) -> Mapping[str, Array]:
    accepted = i["uniform"] < exp(log_ratio)
    return {
        "proposal": proposal, "log_ratio": log_ratio, "accepted": accepted,
        "x": np.where(accepted[:, None], proposal, i["x"]),
    }


def mala_step(x: Array, noise: Array, eta: Any, log_p: Function, score: Function) -> tuple[Array, Array]:
    """Grenioux et al. 2023, Algorithm 4: the proposal and its log ratio."""
    there = x + eta * score(x)
    proposal = there + sqrt(2 * eta) * noise
    back = proposal + eta * score(proposal)
    log_q_there, log_q_back = (-np.sum((to - mean) ** 2, axis=1) / (4 * eta) for to, mean in ((proposal, there), (x, back)))
    return proposal, log_p(proposal) - log_p(x) + log_q_back - log_q_there


def slot(w: Array, uniform: Any) -> int:
    """The first at which the running share of the weights exceeds the uniform number."""
    return next(k for k in range(len(w)) if sum(w[: k + 1]) > uniform * sum(w))


def target(rng: np.random.Generator, K: int, d: int, name: str = "target", spread: float = 1.5) -> dict[str, Array]:
    return {
        f"{name}/weights": np.array(WEIGHTS[K]), f"{name}/means": spread * rng.standard_normal((K, d)),
        f"{name}/sds": rng.uniform(0.5, 1.0, K),
    }


def start(rng: np.random.Generator, i: Mapping[str, Array], n: int) -> Array:
    """Chains at draws of the target."""
    k = rng.choice(len(i["target/weights"]), n, p=i["target/weights"])
    return i["target/means"][k] + i["target/sds"][k, None] * rng.standard_normal((n, i["target/means"].shape[1]))


def proposing(rng: np.random.Generator, d: int, sd: float = 1.5) -> dict[str, Array]:
    """A flow that is neither standard nor the same in all directions."""
    return {"flow/mean": 0.5 * rng.standard_normal(d), "flow/sd": sd * rng.uniform(0.7, 1.3, d)}
