"""Local moves, from their formulas: ULA, MALA, random walk, HMC; the step size that follows the acceptance."""
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import mpmath
import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors.exact import exact, rounded, sqrt
from tests.vectors.making import Given, Oracle, representable
from tests.vectors.sampler_targets import TARGET, Exact, log_p, mala_step, metropolis, score, start, target

WITNESS = "closed form, mpmath with 40 digits"
CHAINS = {"x": "(chains, d) where the chains stand"}
UNIFORM = {"uniform": "(chains,) in [0, 1): a chain moves where it is below exp(log_ratio)"}
ADJUSTED = {
    "proposal": "(chains, d)", "log_ratio": "(chains,) log of p(x') q(x|x') / p(x) q(x'|x)", "accepted": "(chains,) bool",
    "x": "(chains, d) the proposal where it is accepted, else the old place to the last bit",
}
NOTES = {
    "both": "some chains move, others stay: catches one decision for all chains, and a ratio upside down",
    "step_size": "where dt counts sqrt(2 eta), eta = dt^2 / 2: catches a step size that is taken for the other",
    "correction": "steps so long that q(x|x') and q(x'|x) differ much: catches MALA with one drift alone, or none",
    "far_below": "log ratios below -100, whose exp is 0 in float32: refused, and no NaN",
    "tail": "chains and proposals 10 to 20 deviations from every mode: catches densities that underflow before the log",
    "leapfrog": "L > 1: catches momenta that take half steps throughout, or a gradient too few",
    "single": "one chain", "line": "d = 1",
}


def ula(i: Exact) -> Mapping[str, Array]:
    eta = i["step_size"]
    return {"x": i["x"] + eta * score(i, i["x"]) + sqrt(2 * eta) * i["noise"]}


def mala(i: Exact) -> Mapping[str, Array]:
    return metropolis(i, *mala_step(i["x"], i["noise"], i["step_size"], partial(log_p, i), partial(score, i)))


def random_walk(i: Exact) -> Mapping[str, Array]:
    proposal = i["x"] + i["step_size"] * i["noise"]
    return metropolis(i, proposal, log_p(i, proposal) - log_p(i, i["x"]))


def hmc(i: Exact) -> Mapping[str, Array]:
    """Neal 2011, eq. 5.18-5.20: half a step of the momentum, whole steps in turn, half a step of the momentum."""
    eps, L, x = i["step_size"], int(i["leapfrog_steps"]), i["x"]
    m = i["momentum"] + eps / 2 * score(i, x)
    for step in range(L):
        x = x + eps * m
        m = m + (eps if step < L - 1 else eps / 2) * score(i, x)
    before, after = (-log_p(i, at) + np.sum(momentum**2, axis=1) / 2 for at, momentum in ((i["x"], i["momentum"]), (x, m)))
    return metropolis(i, x, before - after)


def adapted_step_size(i: Exact) -> Mapping[str, Array]:
    factor, margin, target = mpmath.mpf("1.05"), mpmath.mpf("0.03"), mpmath.mpf("0.75")
    if i["acceptance"] > target + margin:
        return {"step_size": i["step_size"] * factor}
    return {"step_size": i["step_size"] / factor if i["acceptance"] < target - margin else i["step_size"]}


Answer = Callable[[Exact], Mapping[str, Array]]
CASES: dict[str, tuple[int, int, int, dict[str, float], tuple[str, ...]]] = {  # id -> chains, d, K, the step, flags
    "plain": (6, 2, 2, {"ula": 0.125, "mala": 0.25, "random_walk": 0.75, "hmc": 1.1}, ("both",)),
    "step_size": (6, 3, 3, {"ula": 0.3, "mala": 0.45, "random_walk": 1.3, "hmc": 0.9}, ("step_size", "both")),
    "long": (6, 2, 3, {"ula": 0.6, "mala": 0.6, "random_walk": 2.0, "hmc": 1.2}, ("correction", "both")),
    "far_below": (3, 2, 2, {"ula": 3.0, "mala": 6.0, "random_walk": 60.0, "hmc": 1.9}, ("far_below",)),
    "tail": (4, 2, 3, {"ula": 0.0625, "mala": 0.0625, "random_walk": 0.5, "hmc": 0.125}, ("tail",)),
    "line": (1, 1, 2, {"ula": 0.2, "mala": 0.2, "random_walk": 0.9, "hmc": 0.4}, ("single", "line")),
}
MEANT = {  # which flags mean something for which operation
    "ula": ("step_size", "tail", "single", "line"), "random_walk": ("both", "far_below", "tail", "single", "line"),
    "mala": ("both", "step_size", "correction", "far_below", "tail", "single", "line"),
    "hmc": ("both", "leapfrog", "far_below", "tail", "single", "line"),
}


def notes(operation: str) -> dict[str, str]:
    return {flag: NOTES[flag] for flag in MEANT[operation]}


def cases(operation: str, answer: Answer) -> Callable[[np.random.Generator], Sequence[Given]]:
    def given(rng: np.random.Generator, id: str) -> Given:
        n, d, K, steps, flags = CASES[id]
        i: dict[str, Any] = target(rng, K, d)
        i |= {"x": start(rng, i, n), "step_size": np.float64(steps[operation])}
        i["momentum" if operation == "hmc" else "noise"] = rng.standard_normal((n, d))
        if id == "tail":
            i["x"] = i["x"] + 12 * np.sign(i["x"])
        if operation == "hmc":
            i["leapfrog_steps"] = np.int64(1 if id == "line" else 3)
            flags = flags if id == "line" else (*flags, "leapfrog")
        if operation != "ula":
            i["uniform"] = both_sides(answer, i, n)
        return Given(id, i, tuple(flag for flag in flags if flag in MEANT[operation]))

    return lambda rng: [given(rng, id) for id in CASES]


def both_sides(answer: Answer, i: Mapping[str, Any], n: int) -> Array:
    """Uniform numbers, well below the acceptance probability for chains 0, 2, ..., above it for the others."""
    exactly = {name: exact(representable(array)) for name, array in {**i, "uniform": np.full(n, 0.5)}.items()}
    probability = np.exp(np.minimum(0.0, rounded(answer(exactly)["log_ratio"])))
    below, above = np.maximum(probability / 2, 2.0**-12), np.minimum((1 + probability) / 2, 1 - 2.0**-7)
    return np.where(np.arange(n) % 2 == 0, below, above)


def oracle(operation: str, summary: str, source: str, answer: Answer, inputs: Mapping[str, str]) -> Oracle:
    """Of a step that may be refused."""
    inputs = {**CHAINS, **inputs, **UNIFORM, **TARGET}
    return Oracle(
        operation, summary, source, WITNESS, inputs, ADJUSTED, answer, cases(operation, answer), notes=notes(operation)
    )


NOISE = {"noise": "(chains, d) xi, standard normal"}
ETA = {"step_size": "eta"}
THRESHOLDS = {"above": 0.9, "within": 0.76, "below": 0.25, "none": 0.0, "all": 1.0, "upper_edge": 0.78, "lower_edge": 0.72}


def adapting(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, acceptance: float) -> Given:
        choices = {"step_size": np.float64(rng.uniform(0.01, 2)), "acceptance": np.float64(acceptance)}
        return Given(id, choices, ("edge",) if "edge" in id else ())

    return [given(id, acceptance) for id, acceptance in THRESHOLDS.items()]


ORACLES = (
    Oracle(
        "ula", "x' = x + eta grad log p(x) + sqrt(2 eta) xi", "Grenioux et al. 2023, Algorithm 2", WITNESS,
        {**CHAINS, **NOISE, **ETA, **TARGET}, {"x": "(chains, d)"}, ula, cases("ula", ula), notes=notes("ula"),
    ),
    oracle(
        "mala", "ULA's x' as a proposal, q(x'|x) ~ exp(-|x' - x - eta grad log p(x)|^2 / 4 eta)",
        "Grenioux et al. 2023, Algorithm 4", mala, {**NOISE, **ETA},
    ),
    oracle(
        "random_walk", "x' = x + s xi, taken with probability min(1, p(x') / p(x))", "Metropolis et al. 1953", random_walk,
        {**NOISE, "step_size": "s, a standard deviation"},
    ),
    oracle(
        "hmc", "L leapfrog steps of size eps, taken with probability min(1, e^(H(x, m) - H(x', m'))), H = -log p + |m|^2 / 2",
        "Neal 2011, section 5.3", hmc,
        {"momentum": "(chains, d) m, standard normal", "step_size": "eps", "leapfrog_steps": "L"},
    ),
    Oracle(
        "adapted_step_size", "times 1.05 where the acceptance is above 0.75 + 0.03, divided by it below 0.75 - 0.03",
        "Grenioux et al. 2023, published code", WITNESS,
        {"step_size": "a number", "acceptance": "the share of proposals that were accepted"}, {"step_size": "the next one"},
        adapted_step_size, adapting, notes={"edge": "the float32 next to 0.78 or 0.72, on the side where the step size stays"},
    ),
)
