"""The cases of the diagnostics, and what is said about them."""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors import diagnostics as d
from tests.vectors.making import Given, Oracle
from tests.vectors.mcmc import WITNESS

Cases = Callable[[np.random.Generator], Sequence[Given]]
NOTES = {
    "axes": "more chains than steps: catches the two axes swapped (a published mistake)",
    "odd": "an odd number of steps: the middle one belongs to neither half",
    "tie": "many draws are equal: their ranks are the mean of their places",
    "still": "nothing ever moves: the chains agree", "apart": "each chain stands still, in a place of its own",
    "modes": "chains in different modes", "spread": "chains of one median that differ in spread: only folding shows it",
    "antithetic": "steps back and forth: more is known than from independent draws",
    "slow": "autocorrelation 0.9: catches a sequence of pairs that is not made monotone",
    "one_chain": "its halves are compared", "offset": "a mean far from 0",
}
OF = {
    "autocorrelation": ("plain", "axes", "antithetic", "one_chain", "offset"),
    "split_rhat": ("plain", "axes", "odd", "still", "apart", "modes", "one_chain", "offset"),
    "rhat": ("plain", "axes", "odd", "tie", "still", "apart", "modes", "spread", "one_chain"),
    "ess": ("plain", "axes", "odd", "tie", "apart", "modes", "antithetic", "slow", "one_chain"),
}


def chain(rng: np.random.Generator, steps: int, chains: int, a: float = 0.4) -> Array:
    """x_t = a x_t-1 + xi."""
    x = rng.standard_normal((steps, chains))
    for t in range(1, steps):
        x[t] += a * x[t - 1]
    return x


def draws(rng: np.random.Generator, kind: str) -> Array:
    if kind in ("still", "apart"):
        return np.zeros((12, 3)) + (np.arange(3.0) if kind == "apart" else 0)
    if kind == "axes":
        return chain(rng, 10, 14)
    if kind == "slow":
        return chain(rng, 40, 2, 0.9)
    x = chain(rng, 15 if kind == "odd" else 14, 1 if kind == "one_chain" else 3, -0.8 if kind == "antithetic" else 0.4)
    if kind == "tie":
        return np.maximum(x, 0)
    if kind == "spread":
        return x * [0.2, 1.0, 4.0]
    return x + {"modes": 3.0 * np.arange(x.shape[1]), "offset": 1000.0}.get(kind, 0.0)


def flagged(kind: str) -> tuple[str, ...]:
    return () if kind == "plain" else (kind,)


def draws_cases(operation: str) -> Cases:
    return lambda rng: [Given(kind, {"draws": draws(rng, kind)}, flagged(kind)) for kind in OF[operation]]


def time_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, steps: int, chains: int, a: float, window: float, *flags: str) -> Given:
        return Given(id, {"draws": chain(rng, steps, chains, a), "window": np.float64(window)}, flags)

    return [
        given("plain", 60, 3, 0.4, 5), given("short_window", 40, 2, 0.3, 3, "window"),
        given("one_chain", 80, 1, 0.2, 5, "one_chain"), given("axes", 30, 36, 0.3, 5, "axes"),
    ]


def zone_cases(count: bool) -> Cases:
    def cases(rng: np.random.Generator) -> Sequence[Given]:
        zones = {
            "plain": rng.integers(3, size=(8, 3)), "odd": rng.integers(3, size=(9, 2)), "axes": rng.integers(3, size=(4, 7)),
            "unseen": 2 * rng.integers(2, size=(6, 4)), "one_zone": np.ones((6, 3), int),
            "stuck": np.zeros((6, 3), int) + np.arange(3),
            "last": np.array([[0, 2, 0], [1, 2, 1], [0, 2, 1], [1, 0, 0], [1, 2, 0], [0, 2, 1], [2, 1, 0], [1, 2, 1]]),
        }
        choice: dict[str, Any] = {"count": np.int64(3)} if count else {}
        return [Given(id, {"zones": array, **choice}, flagged(id)) for id, array in zones.items()]

    return cases


def misassignment_cases(rng: np.random.Generator) -> Sequence[Given]:
    return [
        Given(f"{reading}{d}", {"d": np.int64(d), "reading": np.array(reading)}, (reading,))
        for reading in ("paper", "code") for d in (16, 32, 64)
    ]


def of_draws(operation: str, summary: str, source: str, answer: Any, shape: str = "a number") -> Oracle:
    notes = {flag: NOTES[flag] for flag in OF[operation] if flag != "plain"}
    return Oracle(operation, summary, source, WITNESS, DRAWS, {"value": shape}, answer, draws_cases(operation), notes=notes)


def of_zones(operation: str, summary: str, output: dict[str, str], answer: Any, count: bool = True) -> Oracle:
    zones = {"zones": "(steps, chains) whole numbers 0 ... count - 1", **({"count": "how many zones"} if count else {})}
    return Oracle(
        operation, summary, "Grenioux et al. 2023, section 4", WITNESS, zones, output, answer, zone_cases(count), notes=ZONES
    )


DRAWS = {"draws": "(steps, chains), time first"}
ZONES = {
    "odd": NOTES["odd"], "axes": NOTES["axes"], "unseen": "nobody has been in zone 1", "one_zone": "all are in zone 1, always",
    "stuck": "each chain in a zone of its own, always", "last": "the chains disagree on the last zone most",
}
VEHTARI = "Vehtari et al. 2021"

ORACLES = (
    of_draws(
        "autocorrelation", "rho_t = c_t / c_0 of each chain around its own mean, c_t = 1/n sum_s u_s u_s+t",
        "Goodman & Weare 2010", d.autocorrelation, "(steps, chains)",
    ),
    Oracle(
        "integrated_time", "tau(M) = 1 + 2 sum_t=1..M rho_t, rho averaged over chains, at the least M >= window tau(M)",
        "Goodman & Weare 2010; Sokal 1997", WITNESS, {**DRAWS, "window": "times tau"}, {"value": "tau in steps"},
        d.integrated_time, time_cases, notes={
            "window": "a window of 3 tau", "one_chain": "one chain", "axes": NOTES["axes"],
        },
    ),
    of_draws(
        "split_rhat", "sqrt(var+ / W) of the half chains; 1 where nothing moves, infinite where none does but they differ",
        f"Gelman et al. 2013; {VEHTARI}, section 3.1", d.split_rhat,
    ),
    of_draws(
        "rhat", "the larger split R-hat of normal scores z = Phi^-1((rank - 3/8) / (S + 1/4)): of x, of |x - median|",
        f"{VEHTARI}, section 4", d.rhat,
    ),
    of_draws(
        "ess", "S / tau on normal scores of half chains: rho_t = 1 - (W - c_t) / var+, c_t over n as in the paper's code "
        "summed over Geyer's initial monotone sequence; at most S log10 S", f"{VEHTARI}, sections 3.2 and 4; Geyer 1992", d.ess,
    ),
    of_zones("zone_weights", "how often each zone was seen", {"weights": "(count,)"}, d.zone_weights),
    of_zones(
        "switch_rate", "how often a chain's zone is not that of the step before", {"rate": "from 0 to 1"}, d.switch_rate, False,
    ),
    of_zones("mode_rhat", "the largest split R-hat of the indicators of the zones", {"rhat": "a number"}, d.mode_rhat),
    Oracle(
        "misassignment", "how often a draw of the high-dimensional mixture is nearest to another's centre: 2q - q^2, "
        "q = Phi(-a sqrt(d / 2)); four N(mu, I), mu = a (+-1, ... | +-1, ...) in halves", "Grenioux et al. 2023, Table 2",
        WITNESS, {"d": "even", "reading": "paper: a = 0.5919; code: a = 0.591 sqrt(2 log d)"},
        {"probability": "a number", "log_probability": "its logarithm, for the small ones"},
        d.misassignment, misassignment_cases, notes={
            "paper": "a as printed: modes overlap, where the text says 1e-10", "code": "a of the authors' sampler code",
        },
    ),
)
