"""Walkers with weights, from their formulas: Jarzynski's reweighting, resampling, effective size; CoopFlow's revision."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors.exact import exp, sqrt
from tests.vectors.making import Given, Oracle
from tests.vectors.mcmc import WITNESS
from tests.vectors.sampler_targets import TARGET, Exact, log_p, score, slot, start, target

INF = np.inf


def coopflow_revision(i: Exact) -> Mapping[str, Array]:
    x = i["x"]
    for _ in range(int(i["steps"])):
        x = x + i["step_size"] * score(i, x)
    return {"x": x}


def jarzynski(i: Exact) -> Mapping[str, Array]:
    r"""$e^{A' - A} = p'(X')\, q'(X | X') / p(X)\, q(X' | X)$ with $q(y | x) = N(y; x + h \nabla\log p(x), 2h)$."""
    X, h = i["walkers"], i["step_size"]
    drifted = X + h * score(i, X)
    after = drifted + sqrt(2 * h) * i["noise"]
    log_q = -np.sum((after - drifted) ** 2, axis=1) / (4 * h)
    log_q_back = -np.sum((X - after - h * score(i, after, "next")) ** 2, axis=1) / (4 * h)
    return {"walkers": after, "log_weights": i["log_weights"] + log_p(i, after, "next") + log_q_back - log_p(i, X) - log_q}


def systematic_resampling(i: Exact) -> Mapping[str, Array]:
    w, n = exp(i["log_weights"]), len(i["log_weights"])
    return {"walkers": np.stack([i["walkers"][slot(w, (i["uniform"] + k) / n)] for k in range(n)])}


def effective_size(i: Exact) -> Mapping[str, Array]:
    w = exp(i["log_weights"])
    return {"ess": sum(w) ** 2 / sum(w**2)}


def revision_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, n: int, d: int, steps: int, step_size: float, *flags: str) -> Given:
        i = target(rng, 2, d)
        return Given(id, {**i, "x": start(rng, i, n), "steps": np.int64(steps), "step_size": np.float64(step_size)}, flags)

    return [
        given("plain", 5, 2, 3, 0.0625, "noiseless"), given("one_step", 4, 3, 1, 0.3, "noiseless"),
        given("long", 3, 2, 8, 0.25, "noiseless"), given("line", 1, 1, 2, 0.1, "single", "line"),
    ]


def jarzynski_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, n: int, d: int, step_size: float, *flags: str) -> Given:
        i = {**target(rng, 2, d), **target(rng, 2, d, "next")}
        if "same" in flags:
            i |= {name.replace("target", "next"): array for name, array in i.items() if name.startswith("target")}
        walkers, log_weights, noise = start(rng, i, n), rng.standard_normal(n), rng.standard_normal((n, d))
        return Given(id, {
            **i, "walkers": walkers, "log_weights": log_weights, "noise": noise, "step_size": np.float64(step_size),
        }, flags)

    return [
        given("plain", 5, 2, 0.0625, "order"), given("long", 4, 3, 0.4, "order"), given("same", 5, 2, 0.25, "same"),
        given("line", 1, 1, 0.2, "order", "single", "line"),
    ]


def weights_of(rng: np.random.Generator) -> dict[str, tuple[Any, tuple[str, ...]]]:
    return {
        "plain": (rng.standard_normal(6), ()), "uneven": (4 * rng.standard_normal(8), ("large_scale",)),
        "equal": ([-3.0] * 5, ("tie",)), "low": (rng.standard_normal(5) - 2000, ("large_scale",)),
        "last_without_weight": ([*rng.standard_normal(4), -INF, -INF], ("no_weight",)),
        "first_without_weight": ([-INF, *rng.standard_normal(4)], ("no_weight",)), "one": ([0.7], ("single",)),
    }


def resampling_cases(rng: np.random.Generator) -> Sequence[Given]:
    uniform = {"last_without_weight": 1 - 2.0**-24, "first_without_weight": 0.0}
    return [
        Given(id, {
            "walkers": rng.standard_normal((len(log_weights), 2)), "log_weights": np.array(log_weights),
            "uniform": np.float64(uniform.get(id, rng.uniform(0.2, 0.8))),
        }, flags)
        for id, (log_weights, flags) in weights_of(rng).items()
    ]


def size_cases(rng: np.random.Generator) -> Sequence[Given]:
    return [Given(id, {"log_weights": np.array(log_w)}, flags) for id, (log_w, flags) in weights_of(rng).items()]


LOG_WEIGHTS = {"log_weights": "(n,) up to a constant; -inf for none"}
NOTES = {
    "tie": "all weights are equal", "large_scale": "weights far apart, or so small that their exp is 0",
    "no_weight": "walkers without weight, and the uniform number next to 1 or 0: none of them may be chosen", "single": "one",
}

ORACLES = (
    Oracle(
        "coopflow_revision", "x <- x + eta grad log p(x), so many times", "Xie et al. 2022", WITNESS,
        {"x": "(n, d)", "steps": "how many", "step_size": "eta", **TARGET}, {"x": "(n, d)"},
        coopflow_revision, revision_cases, notes={
            "noiseless": "catches Langevin noise, and half the step", "single": "one row", "line": "d = 1",
        },
    ),
    Oracle(
        "jarzynski", "X' = X + h grad log p(X) + sqrt(2h) xi, A' = A - alpha'(X', X) + alpha(X, X'), "
        "alpha(x, y) = U(x) + (y - x).grad U(x) / 2 + h |grad U(x)|^2 / 4, U = -log p and U' = -log next",
        "Carbone et al. 2023", WITNESS,
        {
            "walkers": "(n, d) X", "log_weights": "(n,) A", "noise": "(n, d) xi", "step_size": "h", **TARGET,
            **{name.replace("target", "next"): said for name, said in TARGET.items()},
        },
        {"walkers": "(n, d) X'", "log_weights": "(n,) A'"}, jarzynski, jarzynski_cases, notes={
            "order": "the two densities differ: catches weights where the old point is an alias of the new one (a published "
            "mistake), and a move made by the new density",
            "same": "next is the target: what is left is the error of the step", "single": "one walker", "line": "d = 1",
        },
    ),
    Oracle(
        "systematic_resampling", "the points (uniform + 0 ... n - 1) / n looked up in the running share of the weights",
        "Carpenter et al. 1999", WITNESS,
        {"walkers": "(n, d)", **LOG_WEIGHTS, "uniform": "one number in [0, 1) for all"}, {"walkers": "(n, d) in order"},
        systematic_resampling, resampling_cases, notes=NOTES,
    ),
    Oracle(
        "effective_size", "(sum w)^2 / sum w^2", "Kong 1992", WITNESS, LOG_WEIGHTS, {"ess": "from 1 to n"},
        effective_size, size_cases, notes=NOTES,
    ),
)
