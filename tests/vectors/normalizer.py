"""log Z, from its formulas; where p and q are normals, the constant itself is known."""
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import mpmath
import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors.exact import exp, log, sqrt
from tests.vectors.making import Given, Oracle
from tests.vectors.mcmc import WITNESS
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
    target,
)

HALVINGS = 200  # of an interval: to 40 digits and beyond


def log_z_importance(i: Exact) -> Mapping[str, Array]:
    w = exp(i["log_p"] - i["log_q"])
    n, ess = len(w), sum(w) ** 2 / sum(w**2)
    return {"log_z": log(sum(w) / n), "ess": ess, "standard_error": sqrt(max(1 / ess - mpmath.mpf(1) / n, 0))}


def log_z_bridge(i: Exact) -> Mapping[str, Array]:
    """Z as the root of E_q[p h] = Z E_p[q h], by halving an interval: the left side falls and the right side rises with Z."""
    (p_at_p, q_at_p), (p_at_q, q_at_q) = ([exp(i[f"log_{density}_at_{where}"]) for density in "pq"] for where in "pq")
    n_p, n_q = len(p_at_p), len(p_at_q)

    def too_low(log_z: Any) -> bool:
        Z = exp(log_z)
        left = sum(p_at_q / (n_p * p_at_q / Z + n_q * q_at_q)) / n_q
        right = Z * sum(q_at_p / (n_p * p_at_p / Z + n_q * q_at_p)) / n_p
        return bool(left > right)

    low, high = mpmath.mpf(-4000), mpmath.mpf(4000)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if too_low(middle) else (low, middle)
    return {"log_z": low}


def log_z_annealed(i: Exact) -> Mapping[str, Array]:
    """Neal 2001: weights before each move, MALA on f_k = q^(1 - b) p^b."""
    x, b = i["x"], i["temperatures"]
    log_w = (b[1] - b[0]) * (log_p(i, x) - log_lambda(i, x))
    for k in range(1, len(b) - 1):
        log_f = partial(between, i, b[k])
        move = mala_step(x, i["noise"][k - 1], i["step_size"], log_f, partial(slope, i, b[k]))
        x = metropolis({"x": x, "uniform": i["uniform"][k - 1]}, *move)["x"]
        log_w = log_w + (b[k + 1] - b[k]) * (log_p(i, x) - log_lambda(i, x))
    return {"log_z": log(sum(exp(log_w)) / len(x)), "log_weights": log_w, "x": x}


def between(i: Exact, b: Array, x: Array) -> Array:
    return (1 - b) * log_lambda(i, x) + b * log_p(i, x)


def slope(i: Exact, b: Array, x: Array) -> Array:
    return (1 - b) * (i["flow/mean"] - x) / i["flow/sd"] ** 2 + b * score(i, x)


def log_z_grid(i: Exact) -> Mapping[str, Array]:
    """The midpoint rule."""
    cells, low, high = int(i["points"]), i["low"], i["high"]
    axes = [[a + (b - a) * (k + mpmath.mpf("0.5")) / cells for k in range(cells)] for a, b in zip(low, high, strict=True)]
    return {"log_z": log(sum(exp(log_p(i, np.array(list(product(*axes)), dtype=object)))) * np.prod((high - low) / cells))}


def eighths(x: Array) -> Array:
    """So that sums and differences are exact."""
    return np.round(8 * x) / 8


def importance_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, log_p: Array, *flags: str) -> Given:
        return Given(id, {"log_p": log_p, "log_q": log_q[: len(log_p)]}, flags)

    log_q = eighths(-np.abs(rng.standard_normal(8)) - 1)
    outside = log_q + 1
    outside[[0, 3, 7]] = -np.inf
    return [
        given("plain", log_q + rng.standard_normal(8)), given("known", log_q + 0.5, "closed_form"),
        given("uneven", log_q + 6 * rng.standard_normal(8), "large_scale"),
        given("low", log_q - 1000 + rng.standard_normal(8), "large_scale"), given("outside", outside, "outside"),
        given("two", log_q[:2] + np.array([0.25, -0.5])),
    ]


def bridge_cases(rng: np.random.Generator) -> Sequence[Given]:
    """p = e^3 N(1, 1), q = N(0, 1.5^2) but where said otherwise."""
    def given(id: str, n_p: int, n_q: int, *flags: str, shift: float = 3.0) -> Given:
        at_p, at_q = 1 + rng.standard_normal(n_p), 1.5 * rng.standard_normal(n_q)
        i = {}
        for where, x in (("p", at_p), ("q", at_q)):
            i[f"log_q_at_{where}"] = -(x**2) / 4.5 - np.log(1.5 * np.sqrt(2 * np.pi))
            i[f"log_p_at_{where}"] = -((x - 1) ** 2) / 2 - np.log(np.sqrt(2 * np.pi)) + shift
        if "closed_form" in flags:
            i = {name: eighths(array) for name, array in i.items()}
            i |= {f"log_p_at_{where}": i[f"log_q_at_{where}"] + 0.5 for where in "pq"}
        if "outside" in flags:
            i["log_p_at_q"][:2] = -np.inf
        return Given(id, i, flags)

    return [
        given("plain", 6, 6), given("more_of_p", 9, 3, "unequal"), given("more_of_q", 2, 8, "unequal"),
        given("known", 5, 4, "closed_form", "unequal"), given("far", 5, 5, "large_scale", shift=-800),
        given("outside", 5, 6, "outside", "unequal"), given("one", 1, 1, "single"),
    ]


def annealed_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, n: int, d: int, temperatures: Sequence[float], step_size: float, *flags: str) -> Given:
        i = {**target(rng, 2, d), **proposing(rng, d)}
        K = len(temperatures) - 1
        x = i["flow/mean"] + i["flow/sd"] * rng.standard_normal((n, d))
        noise, uniform = rng.standard_normal((K - 1, n, d)), 0.5 * rng.random((K - 1, n))
        choices = {"temperatures": np.array(temperatures), "step_size": np.float64(step_size)}
        return Given(id, {**i, "x": x, "noise": noise, "uniform": uniform, **choices}, flags)

    return [
        given("plain", 5, 2, (0, 0.25, 0.5, 1), 0.2), given("uneven", 4, 3, (0, 0.125, 0.75, 1), 0.1),
        given("one_move", 4, 2, (0, 0.5, 1), 0.5), given("no_move", 5, 2, (0, 1), 0.5, "no_move"),
        given("line", 2, 1, (0, 0.5, 1), 0.3, "line"),
    ]


def grid_cases(rng: np.random.Generator) -> Sequence[Given]:
    def given(id: str, K: int, low: Sequence[float], high: Sequence[float], points: int, *flags: str) -> Given:
        box = {"low": np.array(low, float), "high": np.array(high, float), "points": np.int64(points)}
        return Given(id, {**target(rng, K, len(low), spread=1), **box}, flags)

    return [
        given("line", 2, (-10,), (10,), 48, "line", "closed_form"), given("plane", 1, (-8, -7), (8, 7), 36, "closed_form"),
        given("coarse", 2, (-2, -3), (2.5, 1), 6, "midpoint"), given("one_cell", 2, (-1, 0), (1, 0.5), 1, "midpoint"),
        given("part", 3, (0.5,), (3,), 10, "line", "midpoint"),
    ]


OUTSIDE = "points where p is 0: they count as draws, with weight 0"
KNOWN = "p is q times e^0.5: log Z = 0.5 to the last digit"

ORACLES = (
    Oracle(
        "log_z_importance", "log mean w, w = p / q at n draws of q; ess = (sum w)^2 / sum w^2; error sqrt(1 / ess - 1 / n)",
        "Grenioux et al. 2023, section 2; Kong 1992", WITNESS, {"log_p": "(n,) not normalised, -inf outside", "log_q": "(n,)"},
        {"log_z": "a number", "ess": "from 1 to n", "standard_error": "of log_z"}, log_z_importance, importance_cases,
        notes={
            "closed_form": KNOWN, "large_scale": "weights far apart or tiny: catches exp before the maximum is taken out",
            "outside": OUTSIDE,
        },
    ),
    Oracle(
        "log_z_bridge", "log Z = log E_q[p h] - log E_p[q h], h ~ 1 / (n_p p / Z + n_q q)", "Meng & Wong 1996; Bennett 1976",
        WITNESS, {
            "log_p_at_p": "(n_p,) at draws of p, not normalised", "log_q_at_p": "(n_p,)", "log_p_at_q": "(n_q,) at draws of q",
            "log_q_at_q": "(n_q,)",
        },
        {"log_z": "a number"}, log_z_bridge, bridge_cases, notes={
            "unequal": "n_p and n_q differ: catches their ratio upside down or left out", "closed_form": KNOWN,
            "large_scale": "log Z near -800", "outside": OUTSIDE, "single": "one draw of each",
        },
    ),
    Oracle(
        "log_z_annealed", "log mean w, w the product of f_k(x_k-1) / f_k-1(x_k-1), f_k = q^(1 - b_k) p^b_k; MALA on f_k from "
        "x_k-1 to x_k", "Neal 2001", WITNESS,
        {
            "x": "(n, d) draws of the flow", "noise": "(K - 1, n, d) of MALA at b_1 ... b_K-1", "uniform": "(K - 1, n)",
            "temperatures": "(K + 1,) b from 0 to 1", "step_size": "eta of MALA", **TARGET, **FLOW,
        },
        {"log_z": "a number", "log_weights": "(n,)", "x": "(n, d) where the draws end"}, log_z_annealed, annealed_cases,
        notes={"no_move": "K = 1: importance sampling", "line": "d = 1"},
    ),
    Oracle(
        "log_z_grid", "log of the sum of p over the midpoints of equal cells, times their size", "the midpoint rule", WITNESS,
        {**TARGET, "low": "(d,) of the box, d = 1 or 2", "high": "(d,)", "points": "cells along each edge"},
        {"log_z": "a number"}, log_z_grid, grid_cases, notes={
            "closed_form": "the box holds all of a normalised density, and the cells are fine: log Z = 0 but for 1e-12",
            "midpoint": "coarse cells: catches another rule, edges in the place of midpoints, and a cell's size left out",
            "line": "d = 1",
        },
    ),
)
