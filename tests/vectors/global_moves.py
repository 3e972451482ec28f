"""Global moves, from their formulas: independent Metropolis-Hastings, i-SIR, and flowMC, which has local ones in turn."""
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors.exact import exp
from tests.vectors.making import Given, Oracle
from tests.vectors.mcmc import ADJUSTED, CHAINS, UNIFORM, WITNESS, both_sides
from tests.vectors.sampler_targets import (
    FLOW,
    TARGET,
    Exact,
    log_lambda,
    log_p,
    mala_step,
    metropolis,
    proposing,
    score,
    slot,
    start,
    target,
)


def log_weight(i: Exact, x: Array) -> Array:
    return log_p(i, x) - log_lambda(i, x)


def proposed(i: Exact, noise: Array) -> Array:
    return i["flow/mean"] + i["flow/sd"] * noise


def independent_mh(i: Exact) -> Mapping[str, Array]:
    proposal = proposed(i, i["noise"])
    return metropolis(i, proposal, log_weight(i, proposal) - log_weight(i, i["x"]))


def isir(i: Exact) -> Mapping[str, Array]:
    """Chain by chain."""
    log_weights, chosen, x = [], [], []
    for place, noise, uniform in zip(i["x"], i["noise"], i["uniform"], strict=True):
        slots = np.concatenate([place[None], proposed(i, noise)])
        log_w = log_weight(i, slots)
        log_weights.append(log_w)
        chosen.append(slot(exp(log_w), uniform))
        x.append(slots[chosen[-1]])
    return {"log_weights": np.stack(log_weights), "accepted": np.array(chosen) > 0, "x": np.stack(x)}


def flowmc(i: Exact) -> Mapping[str, Array]:
    """Each move looks at the densities where the chains stand now."""
    k, x = len(i["noise/local"]) // 2, i["x"]
    for step, (noise, uniform) in enumerate(zip(i["noise/local"], i["uniform/local"], strict=True)):
        if step == k:
            x = isir({**i, "x": x, "noise": i["noise/global"], "uniform": i["uniform/global"]})["x"]
        move = mala_step(x, noise, i["step_size"], partial(log_p, i), partial(score, i))
        x = metropolis({**i, "x": x, "uniform": uniform}, *move)["x"]
    return {"x": x}


def base(rng: np.random.Generator, n: int, d: int, K: int, sd: float) -> dict[str, Any]:
    i: dict[str, Any] = {**target(rng, K, d), **proposing(rng, d, sd)}
    return {**i, "x": start(rng, i, n)}


def independent_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, n: int, d: int, K: int, sd: float, *flags: str) -> Given:
        i = {**base(rng, n, d, K, sd), "noise": rng.standard_normal((n, d))}
        if "tail" in flags:
            i["x"] = i["x"] + 8 * np.sign(i["x"])
        return Given(id, {**i, "uniform": both_sides(independent_mh, i, n)}, flags)

    return [
        given("plain", 6, 2, 2, 1.5, "both", "weights"), given("narrow", 6, 3, 3, 0.6, "both", "weights"),
        given("tail", 4, 2, 3, 2.0, "tail"), given("line", 1, 1, 2, 1.5, "single", "line"),
    ]


def isir_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, n: int, d: int, K: int, N: int, sd: float, *flags: str) -> Given:
        uniform = 0.25 + 0.5 * rng.random(n)
        i = {**base(rng, n, d, K, sd), "noise": rng.standard_normal((n, N - 1, d)), "uniform": uniform}
        if "tail" in flags:
            i["x"] = i["x"] + 8 * np.sign(i["x"])
        if "both" in flags:  # every other chain stands where the flow would rather be than the target
            i["x"][::2] += 2 * np.sign(i["x"][::2])
        if "last" in flags:
            i["uniform"] = np.full(n, 1 - 2.0**-12)
            i["noise"][:, -1] = 40 * np.sign(i["noise"][:, -1])
        return Given(id, i, flags)

    return [
        given("plain", 6, 2, 2, 4, 1.5, "both", "weights"), given("narrow", 5, 3, 3, 6, 0.6, "weights"),
        given("two_slots", 6, 2, 2, 2, 1.5, "two_slots"), given("tail", 3, 2, 3, 4, 2.0, "tail"),
        given("last_without_weight", 4, 2, 2, 4, 1.5, "last"), given("line", 1, 1, 2, 5, 1.5, "single", "line"),
    ]


def flowmc_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, n: int, d: int, K: int, k: int, step_size: float, *flags: str) -> Given:
        noise = {
            "noise/local": rng.standard_normal((2 * k, n, d)), "uniform/local": 0.5 * rng.random((2 * k, n)),
            "noise/global": rng.standard_normal((n, 4, d)), "uniform/global": rng.random(n),
        }
        return Given(id, {**base(rng, n, d, K, 1.5), **noise, "step_size": np.float64(step_size)}, flags)

    return [
        given("plain", 6, 2, 2, 2, 0.125, "stale_density", "stale_gradient"),
        given("long", 5, 3, 3, 1, 0.4, "stale_density", "stale_gradient"),
        given("line", 1, 1, 2, 2, 0.2, "single", "line"),
    ]


NOTES = {
    "both": "some chains move, others stay: catches one decision for all chains, and a ratio upside down",
    "weights": "current and proposed p / lambda differ: catches a ratio without lambda, or with the two exchanged",
    "tail": "chains 10 deviations from every mode: weights far apart, no overflow",
    "single": "one chain", "line": "d = 1",
}

ORACLES = (
    Oracle(
        "independent_mh", "x' from the flow, taken with probability min(1, p(x') lambda(x) / p(x) lambda(x'))",
        "Grenioux et al. 2023, Algorithm 5", WITNESS,
        {**CHAINS, "noise": "(chains, d) of the flow, standard normal", **UNIFORM, **TARGET, **FLOW}, ADJUSTED,
        independent_mh, independent_cases, notes=NOTES,
    ),
    Oracle(
        "isir", "slot 1 is the current state, 2 ... N are the flow's; the next state is slot i with probability ~ p / lambda",
        "Grenioux et al. 2023, Algorithm 6; Samsonov et al. 2022", WITNESS,
        {
            **CHAINS, "noise": "(chains, N - 1, d) of the flow for slots 2 ... N, standard normal",
            "uniform": "(chains,) in [0, 1): chosen is the first slot at which the running share of the weights exceeds it",
            **TARGET, **FLOW,
        },
        {"log_weights": "(chains, N) log p - log lambda", "accepted": "(chains,) bool: not slot 1", "x": "(chains, d)"},
        isir, isir_cases, notes={
            **NOTES, "two_slots": "N = 2: one fresh point against the current state",
            "last": "the last slot has next to no weight and the uniform number is near 1: catches a slot that is off by one",
        },
    ),
    Oracle(
        "flowmc", "k steps of MALA, one of i-SIR, k of MALA", "Grenioux et al. 2023, section 3; Gabrie et al. 2022", WITNESS,
        {
            **CHAINS, "noise/local": "(2 k, chains, d) of the MALA steps in order", "uniform/local": "(2 k, chains)",
            "noise/global": "(chains, N - 1, d) of the flow", "uniform/global": "(chains,) of i-SIR, as in isir",
            "step_size": "eta of MALA", **TARGET, **FLOW,
        },
        {"x": "(chains, d)"}, flowmc, flowmc_cases, notes={
            "stale_density": "catches i-SIR with the log densities from before the local moves (a published mistake)",
            "stale_gradient": "catches MALA after i-SIR with the gradient of the old point (a published mistake)",
            "single": "one chain", "line": "d = 1",
        },
    ),
)
