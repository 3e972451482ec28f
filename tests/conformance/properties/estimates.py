r"""Level 3: estimates are right on average, proper scores prefer the truth, samples follow the density that is said of them.

A mean that has a closed form is held to 5 standard errors: a right program fails with a probability of 6e-7 for each mean, were
the seeds not fixed. Where a truth has to win, it wins by some 10 standard errors or more, and must by 5.
"""
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from evenflow.conformance.adapter import Adapter
from evenflow.conformance.arrays import Array
from evenflow.conformance.properties.checking import Draw, Property, above, ask, representable
from evenflow.conformance.properties.densities import FLOWS, flow_inputs
from evenflow.conformance.properties.densities import saef as saef_inputs
from evenflow.conformance.properties.invariance import CHAINS, FLOW, TARGET, Z, mixture_draws, within_errors
from evenflow.conformance.properties.scores import kernel

N = 10_000
CHOICES: dict[str, dict[str, Any]] = {
    "energy_score": {"beta": 1.5}, "kernel_score": kernel("rbf", 0.0) | {"bandwidths": np.array([3.0])},
    "sliced_energy_score": {"beta": 1.0, "directions": np.eye(2)},
}


def moment(variance: float, d: int, beta: float) -> float:
    """E|u|^beta for u ~ N(0, variance I) in d dimensions."""
    return math.pow(2 * variance, beta / 2) * math.exp(math.lgamma((d + beta) / 2) - math.lgamma(d / 2))


def two_dimensional(adapter: Adapter, operation: str, draws: Array, y: Array) -> Array:
    given = {**CHOICES[operation], "draws": draws, "y": y, "estimator": np.array("U")}
    return ask(adapter, operation, representable(given))["score"]


def unbiased(operation: str, adapter: Adapter) -> float:
    """The fair score of three draws of N(0, 4 I) at y ~ N(0, I), in the plane. For the RBF kernel of bandwidth s,
    E k(u) = s^2 / (s^2 + variance of u); along an axis of the plane E|u| is that of the line."""
    rng = np.random.default_rng(3)
    score = two_dimensional(adapter, operation, 2 * rng.standard_normal((3, N, 2)), rng.standard_normal((N, 2)))
    truth = {
        "energy_score": moment(5, 2, 1.5) - moment(8, 2, 1.5) / 2, "kernel_score": 9 / (9 + 8) / 2 - 9 / (9 + 5) + 1 / 2,
        "sliced_energy_score": moment(5, 1, 1.0) - moment(8, 1, 1.0) / 2,
    }
    return within_errors("the mean score", score, truth[operation])


def unbiased_crps(adapter: Adapter) -> float:
    """Of two draws of N(1, 4) at y = 0: against crps_normal's formula."""
    rng, w = np.random.default_rng(4), -0.5
    draws = 1 + 2 * rng.standard_normal((2, N))
    given = representable({"draws": draws, "y": np.zeros(N), "estimator": np.array("U")})
    phi = math.exp(-(w**2) / 2) / math.sqrt(2 * math.pi)
    truth = 2 * (w * math.erf(w / math.sqrt(2)) + 2 * phi - 1 / math.sqrt(math.pi))
    return within_errors("the mean score", ask(adapter, "crps", given)["score"], truth)


def wins(score: Callable[[Array], Array], truth: Array, wrong: Mapping[str, Array]) -> float:
    """The true forecast's mean score is better than each wrong one's, by Z standard errors."""
    best, worst = score(truth), 0.0
    for name, forecast in wrong.items():
        lost = score(forecast) - best
        z = float(np.mean(lost) / np.std(lost, ddof=1) * math.sqrt(len(lost)))
        worst = max(worst, above(f"what the forecast that is {name} loses, in standard errors,", z, Z))
    return worst


def proper(operation: str, adapter: Adapter) -> float:
    """y and the truth N(0, I) in the plane, four draws."""
    rng = np.random.default_rng(5)
    z, y = rng.standard_normal((4, N, 2)), rng.standard_normal((N, 2))
    wrong = {"shifted": z + np.array([0.75, 0.0]), "too narrow": 0.4 * z, "too wide": 2 * z}
    return wins(partial(two_dimensional, adapter, operation, y=y), z, wrong)


def proper_crps(adapter: Adapter) -> float:
    rng = np.random.default_rng(6)
    z, y = rng.standard_normal((4, N)), rng.standard_normal(N)

    def score(draws: Array) -> Array:
        return ask(adapter, "crps", representable({"draws": draws, "y": y, "estimator": np.array("U")}))["score"]

    return wins(score, z, {"shifted": z + 0.75, "too narrow": 0.4 * z, "too wide": 2 * z})


def proper_quantile(adapter: Adapter) -> float:
    """The 0.75-quantile of N(0, 1) is 0.6745."""
    y = np.random.default_rng(7).standard_normal(N)

    def score(quantile: Array) -> Array:
        given = {"quantile": np.full(N, quantile), "y": y, "alpha": np.full(N, 0.75)}
        return ask(adapter, "quantile_score", representable(given))["score"]

    return wins(score, np.array(0.6745), {"too low": np.array(0.1), "too high": np.array(1.2), "mirrored": np.array(-0.6745)})


def sliced(adapter: Adapter) -> float:
    """Over 40 batches of 50 random directions in three dimensions, sliced / constant = full on average. With 39 degrees of
    freedom 6 standard errors have the probability 5e-7."""
    rng, d, choices = np.random.default_rng(8), 3, {"beta": 0.5}
    points = {"draws": rng.standard_normal((4, 5, d)), "y": rng.standard_normal((5, d)), "estimator": np.array("U")}
    given = representable({**points, **choices})
    full = ask(adapter, "energy_score", given)["score"]
    c = float(ask(adapter, "slicing_constant", {"d": np.array(d), **choices})["constant"])
    batches = []
    for _ in range(40):
        v = ask(adapter, "random_directions", representable({"noise": rng.standard_normal((50, d))}))["directions"]
        batches.append(ask(adapter, "sliced_energy_score", {**given, "directions": v})["score"] / c)
    return within_errors("the sliced score over the constant", np.stack(batches), full, limit=6.0)


def importance(adapter: Adapter) -> float:
    """The mean over 300 runs of exp(log Z), for Z = 1/2: p~ = N(0.3, 0.8^2) / 2 and twenty draws of q = N(0, 1)."""
    rng, found = np.random.default_rng(9), []
    for _ in range(300):
        x = rng.standard_normal(20)
        log_q = -0.5 * x**2 - 0.5 * math.log(2 * math.pi)
        log_p = -0.5 * ((x - 0.3) / 0.8) ** 2 - math.log(2 * 0.8 * math.sqrt(2 * math.pi))
        found.append(np.exp(ask(adapter, "log_z_importance", representable({"log_p": log_p, "log_q": log_q}))["log_z"]))
    return within_errors("the mean of Z", np.array(found), 0.5)


def annealed(adapter: Adapter) -> float:
    """The mean weight of draws of the flow that were annealed to a normalised target is 1."""
    rng = np.random.default_rng(10)
    given = {"x": FLOW["flow/mean"] + FLOW["flow/sd"] * rng.standard_normal((CHAINS, 2)), "step_size": 0.1}
    noise = {"noise": rng.standard_normal((2, CHAINS, 2)), "uniform": rng.random((2, CHAINS))}
    temperatures = {"temperatures": np.array([0.0, 0.25, 0.625, 1.0])}
    out = ask(adapter, "log_z_annealed", representable({**TARGET, **FLOW, **given, **noise, **temperatures}))
    return within_errors("the mean weight", np.exp(out["log_weights"]), 1.0)


def jarzynski(adapter: Adapter) -> float:
    """Draws of one normalised density, reweighted to another: the weights' mean is 1, and the weighted mean is the other's."""
    rng, mean = np.random.default_rng(11), np.array([0.25, -0.25])
    after = {"next/weights": np.ones(1), "next/means": mean[None], "next/sds": np.array([0.75])}
    given = {"walkers": mixture_draws(rng, CHAINS), "log_weights": np.zeros(CHAINS), "noise": rng.standard_normal((CHAINS, 2))}
    out = ask(adapter, "jarzynski", representable({**TARGET, **after, **given, "step_size": 0.125}))
    w = np.exp(out["log_weights"])[:, None]
    return within_errors("a weighted mean", np.concatenate([w, w * (out["walkers"] - mean)], axis=1), np.array([1.0, 0.0, 0.0]))


def samples_follow(name: str, adapter: Adapter) -> float:
    """The mean of g / p over samples of p is 1, g a normal in the middle of them; p from NAME_log_prob."""
    rng = np.random.default_rng(12)
    given = saef_inputs(Draw(1, 2, 0, 5)) if name == "saef" else flow_inputs(name, Draw(1, 2, 0, 5))
    noise = representable({"noise": rng.standard_normal((N, 2))})["noise"]
    of = {"saef": ("saef", "z")}.get(name, (f"{name}_sample", "noise"))
    x = ask(adapter, of[0], {**given, of[1]: noise})["x"]
    log_p = ask(adapter, f"{name}_log_prob", {**given, "x": x})["log_prob"]
    mean, root = np.median(x, axis=0), 0.5 * np.linalg.cholesky(np.cov(x.T))
    u = np.linalg.solve(root, (x - mean).T)
    log_g = -0.5 * np.sum(u**2, axis=0) - np.log(2 * math.pi * root[0, 0] * root[1, 1])
    return within_errors("the mean of g / p", np.exp(log_g - log_p), 1.0)


def statistics(**checks: Callable[[Adapter], float]) -> tuple[Property, ...]:
    return tuple(Property(name, check, "statistics") for name, check in checks.items())


PROPERTIES: Mapping[str, tuple[Property, ...]] = {
    "energy_score": statistics(unbiased=partial(unbiased, "energy_score"), proper=partial(proper, "energy_score")),
    "kernel_score": statistics(unbiased=partial(unbiased, "kernel_score"), proper=partial(proper, "kernel_score")),
    "sliced_energy_score": statistics(
        unbiased=partial(unbiased, "sliced_energy_score"), proper=partial(proper, "sliced_energy_score"), sliced=sliced
    ),
    "crps": statistics(unbiased=unbiased_crps, proper=proper_crps), "quantile_score": statistics(proper=proper_quantile),
    "log_z_importance": statistics(unbiased=importance), "log_z_annealed": statistics(unbiased=annealed),
    "jarzynski": statistics(unbiased=jarzynski),
    **{f"{name}_log_prob": statistics(samples=partial(samples_follow, name)) for name in (*FLOWS, "saef")},
}
