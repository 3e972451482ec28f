r"""Invertible activations, from their formulas: leaky, and the hyperbola with the same two slopes a and 1.

Leaky    $x = z$ for $z \ge 0$, $x = a z$ below
Smooth   $x = p z + q (\sqrt{z^2 + 1} - 1)$ with $p = (1 + a)/2$, $q = (1 - a)/2$; the inverse is the root of
         $(p^2 - q^2) z^2 - 2 p (x + q) z + (x + q)^2 - q^2 = 0$ that forward leads back to x
"""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors.exact import log, mp, sqrt
from tests.vectors.making import Given, Oracle

WITNESS = "closed form, mpmath with 40 digits"
NOTES = {
    "edge": "z = 0, where the slope of leaky jumps: it counts as above; no gradient is asked for there",
    "below": "all inputs below zero: the branch that tests of the other leave out (flowjax #169)",
    "tail": "inputs of 1e4",
    "overflow": "inputs of 1e30, whose squares overflow in float32; no gradient is asked for",
    "one": "n = 1",
}


def leaky(z: Any, a: Any) -> tuple[Any, Any]:
    return (z, mp.mpf(0)) if z >= 0 else (a * z, log(a))


def leaky_inverse(x: Any, a: Any) -> tuple[Any, Any]:
    return (x, mp.mpf(0)) if x >= 0 else (x / a, -log(a))


def smooth(z: Any, a: Any) -> tuple[Any, Any]:
    p, q = (1 + a) / 2, (1 - a) / 2
    root = sqrt(z**2 + 1)
    return p * z + q * (root - 1), log(p + q * z / root)


def smooth_inverse(x: Any, a: Any) -> tuple[Any, Any]:
    p, q = (1 + a) / 2, (1 - a) / 2
    half, product = p * (x + q) / (p**2 - q**2), ((x + q) ** 2 - q**2) / (p**2 - q**2)
    roots = [half + sign * sqrt(half**2 - product) for sign in (-1, 1)]
    z = min(roots, key=lambda root: abs(smooth(root, a)[0] - x))
    assert abs(smooth(z, a)[0] - x) <= mp.mpf(10) ** -30 * max(1, abs(x))
    return z, -smooth(z, a)[1]


def elementwise(f: Callable[[Any, Any], tuple[Any, Any]], into: str, out: str) -> Callable[[dict[str, Any]], dict[str, Array]]:
    def answer(i: dict[str, Any]) -> dict[str, Array]:
        pairs = np.array([f(v, i["slope"]) for v in i[into]], dtype=object)
        return {out: pairs[:, 0], "log_det": pairs[:, 1]}

    return answer


def cases_of(into: str) -> Callable[[np.random.Generator], Sequence[Given]]:
    def cases(rng: np.random.Generator) -> Sequence[Given]:
        def given(id: str, places: Any, slope: float, *flags: str, **asked: Any) -> Given:
            return Given(id, {into: np.array(places, float), "slope": slope}, flags, **asked)

        return [
            given("plain", 2 * rng.standard_normal(6), 0.3),
            given("below", -np.abs(rng.standard_normal(4)), 0.3, "below"),
            given("zero", (-1.0, 0.0, 1.0), 0.5, "edge", grads=()),
            given("steep", 3 * rng.standard_normal(5), 0.02),
            given("far", (-1e4, 1e4, -300.0, 300.0), 0.3, "tail"),
            given("overflow", (-1e30, 1e30), 0.3, "overflow", grads=()),
            given("one", (-0.7,), 0.8, "one"),
        ]

    return cases


def both(name: str, formula: str, source: str, forward: Any, inverse: Any) -> list[Oracle]:
    ways = (("", "z", "x", forward), ("_inverse", "x", "z", inverse))
    return [
        Oracle(
            f"{name}{suffix}", f"{'The inverse: ' if suffix else ''}{formula}; log_det = log d{out}/d{into}", source, WITNESS,
            {into: "(n,)", "slope": "a, of the lower end"}, {out: "(n,)", "log_det": "(n,)"}, elementwise(f, into, out),
            cases_of(into), ("log_det",), (into,), NOTES,
        )
        for suffix, into, out, f in ways
    ]


ORACLES = (
    *both("leaky", "x = z above zero, a z below", "Maas et al. 2013", leaky, leaky_inverse),
    *both(
        "smooth_leaky", "x = p z + q (sqrt(z^2 + 1) - 1), p = (1 + a) / 2, q = (1 - a) / 2",
        "a hyperbola with the slopes a and 1 at its ends", smooth, smooth_inverse,
    ),
)
