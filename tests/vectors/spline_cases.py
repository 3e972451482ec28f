"""Cases of the spline core and of its transformer: on knots, beyond them, steep, with bins next to nothing."""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors.making import Given, Oracle
from tests.vectors.spline import bounded_spline, bounded_spline_inverse, spline, spline_inverse

WITNESS = "Durkan et al. 2019, eq. 4-5, mpmath with 40 digits"
INVERSE = "root of Durkan et al. 2019, eq. 6-8, mpmath with 40 digits, led back by eq. 4"
NOTES = {
    "edge": "exactly on inner knots and on both ends; no gradient is asked for, that of log_det jumps there",
    "tail": "beyond both ends, where gradients must be finite too (flowjax #239, bayesflow #721)",
    "all_tails": "all inputs beyond the ends: no bin is left to look up (nflows #23)",
    "asymmetric": "places in and out far apart, all bins different: a bin must be sought among the right knots (FrEIA #140)",
    "large_scale": "slopes from e^-5 to e^5",
    "close": "knots that nearly coincide: 2^-10 apart",
    "discriminant": "bins far steeper than their ends: the discriminant of eq. 29-32 nearly vanishes (nflows #87)",
    "double_root": "on the last knot of a bin 1e8 times steeper than its end: the quadratic's roots coincide to "
    "rounding, and log_det moves by 2 with the last bit of x; but no discriminant below 0 may make it NaN (nflows #87)",
    "root": "in the far half of bins far flatter than their ends: there the root -b - sqrt(b^2 - 4ac) of eq. 29-32 cancels, "
    "and as many digits are lost as s / d has; written as a sum of squares nothing cancels",
    "last_digits": "just below a knot at 0, where x has all its digits, of bins far steeper than that end: those of 1 - xi are "
    "to be kept, too; the discriminant of eq. 29-32 loses (s / d)^2",
    "one": "n = 1 and a single bin",
    "identity": "raw = 0: exactly the identity, slope 1 at the ends (in nflows enable_identity_init with linear tails is not)",
    "floor": "logits from -12 to 12: the floor of the bins, 1e-3 of the whole, and the bounds of the slopes count",
}


def each_row(core: Callable[..., Any], into: str, out: str, *names: str) -> Callable[[dict[str, Any]], dict[str, Array]]:
    """The map of one number, applied to each with the parameters of its row."""
    def answer(i: dict[str, Any]) -> dict[str, Array]:
        there = np.array([core(v, *(i[name][row] if np.ndim(i[name]) else i[name] for name in names))
                          for row, v in enumerate(i[into])], dtype=object)
        return {out: there[:, 0], "log_det": there[:, 1]}

    return answer


def increasing(rng: np.random.Generator, n: int, K: int, low: float, high: float) -> Array:
    """Knots (n, K + 1), about from low to high, every row its own."""
    steps = rng.uniform(0.3, 1.7, (n, K + 1)) * (high - low) / K
    return low - steps[:, :1] / 2 + np.cumsum(np.insert(steps[:, 1:], 0, 0, axis=1), axis=1)


def core_cases(into: str) -> Callable[[np.random.Generator], Sequence[Given]]:
    source = {"z": "x_knots", "x": "y_knots"}[into]

    def cases(rng: np.random.Generator) -> Sequence[Given]:
        def shape(n: int, K: int, spread: float = 1, low: float = -2, high: float = 2) -> dict[str, Array]:
            return {"x_knots": increasing(rng, n, K, -2, 2), "y_knots": increasing(rng, n, K, low, high),
                    "slopes": np.exp(spread * rng.uniform(-1, 1, (n, K + 1)))}

        def inside(curve: dict[str, Array], at: Array | None = None) -> dict[str, Array]:
            n, K = len(curve[source]), curve[source].shape[1] - 1
            k = np.arange(n) % K
            low, high = curve[source][np.arange(n), k], curve[source][np.arange(n), k + 1]
            return {into: low + (rng.uniform(0.15, 0.85, n) if at is None else at) * (high - low), **curve}

        def beyond(curve: dict[str, Array], by: Sequence[float]) -> dict[str, Array]:
            off = np.array(by)
            return {into: np.where(off < 0, curve[source][:, 0], curve[source][:, -1]) + off, **curve}

        on = shape(5, 4)
        mixed = inside(shape(4, 3))
        mixed[into][:2] = beyond({source: mixed[source][:2]}, (-0.5, 20))[into]
        close = shape(4, 3)
        close["x_knots"][:2, 1] = close["x_knots"][:2, 0] + 2.0**-10
        close["y_knots"][1:3, 2] = close["y_knots"][1:3, 1] + 2.0**-10
        steep = shape(5, 3, spread=5)
        mean = (steep["slopes"][:, 1:] + steep["slopes"][:, :-1]) / 2  # a bin flatter than its ends costs eq. 6-8 their digits
        steep["y_knots"][:, 1:] = steep["y_knots"][:, :1] + np.cumsum(mean * np.diff(steep["x_knots"]), axis=1)
        flat = shape(6, 3, low=-10, high=10)
        flat["slopes"][:] = np.exp(-5)
        near = np.array([0.002, 0.99, 0.02, 0.95, 0.5, 0.9])
        found = [
            Given("plain", inside(shape(4, 3))),
            Given("asymmetric", inside(shape(4, 4, low=20, high=60)), ("asymmetric",)),
            Given("knots", {into: np.diagonal(on[source]).copy(), **on}, ("edge",), grads=()),
            Given("tails", mixed, ("tail",)),
            Given("all_tails", beyond(shape(3, 2), (-3, 0.25, 100)), ("all_tails", "tail")),
            Given("steep", inside(steep), ("large_scale",)),
            Given("close", inside(close), ("close", "large_scale")),
            Given("one", inside(shape(1, 1)), ("one",)),
        ]
        if into == "z":
            return found
        cliff = {"x_knots": increasing(rng, 8, 2, -1e3, 1e3), "y_knots": increasing(rng, 8, 2, -1e9, 1e9),
                 "slopes": np.full((8, 3), np.exp(-5))}
        last = Given("double_root", {into: cliff[source][:, -1].copy(), **cliff}, ("double_root",), grads=())
        level = shape(6, 3)
        level["slopes"][:] = np.exp(rng.uniform(3, 5, (6, 4)))
        level["y_knots"] /= 50
        far = np.array([0.6, 0.7, 0.8, 0.9, 0.75, 0.85])
        top = shape(6, 1)
        top["y_knots"] = np.stack([rng.uniform(-60, -40, 6), np.zeros(6)], axis=1)
        top["slopes"][:] = np.exp(-rng.uniform(3, 5, (6, 2)))
        below = {into: -np.exp(-rng.uniform(8, 14, 6)), **top}
        return [*found, Given("flat_ends", inside(flat, near), ("discriminant",)), last,
                Given("flat_bins", inside(level, far), ("root",)), Given("below_0", below, ("last_digits",))]

    return cases


def bounded_cases(into: str) -> Callable[[np.random.Generator], Sequence[Given]]:
    def cases(rng: np.random.Generator) -> Sequence[Given]:
        def given(id: str, v: Sequence[float], K: int, spread: float, bound: float, *flags: str, **asked: Any) -> Given:
            raw = spread * rng.uniform(-1, 1, (len(v), 3 * K - 1))
            return Given(id, {into: np.array(v, float), "raw": raw, "bound": bound}, flags, **asked)

        return [
            given("plain", (-2.1, -0.3, 0.8, 2.6), 4, 1.5, 3.0),
            given("identity", (-3.4, -1.3, 0.7, 3.1), 4, 0, 4.0, "identity"),
            given("identity_on_knots", (-4, -2, 0, 2, 4), 4, 0, 4.0, "identity", "edge", grads=()),
            given("ends", (-2.5, 2.5), 3, 1.5, 2.5, "edge", grads=()),
            given("tails", (-3.5, 0.4, 2.75, -90), 3, 1.5, 2.5, "tail"),
            given("all_tails", (-3.5, 2.75, 8), 2, 1.5, 2.5, "all_tails", "tail"),
            given("floor", (-1.9, -0.4, 0.9, 1.8), 3, 12, 2.0, "floor"),
            given("one", (0.75,), 2, 1.5, 1.0, "one"),
        ]

    return cases


def both(
    name: str, summary: str, source: str, parameters: dict[str, str], cores: tuple[Callable[..., Any], ...],
    cases: Callable[[str], Callable[[np.random.Generator], Sequence[Given]]], grads: tuple[str, ...],
) -> tuple[Oracle, ...]:
    """The operation in both directions."""
    ways = (("", "z", "x", "log dx/dz", WITNESS), ("_inverse", "x", "z", "log dz/dx", INVERSE))
    return tuple(
        Oracle(f"{name}{suffix}", summary if not suffix else f"The inverse: {summary}", source, witness,
               {into: "(n,)", **parameters}, {out: "(n,)", "log_det": f"(n,) {slope}"},
               each_row(core, into, out, *parameters), cases(into), ("log_det",), (into, *grads), NOTES)
        for (suffix, into, out, slope, witness), core in zip(ways, cores, strict=True)
    )


ORACLES = (
    *both(
        "rational_quadratic_spline", "x = y_k + h (s xi^2 + d_k u) / (s + (d_k + d_k+1 - 2 s) u) with xi = (z - x_k) / w, "
        "u = xi (1 - xi), s = h / w; straight lines beyond the knots", "Durkan et al. 2019, eq. 4-8",
        {"x_knots": "(n, K + 1)", "y_knots": "(n, K + 1)", "slopes": "(n, K + 1) d"}, (spline, spline_inverse),
        core_cases, ("x_knots", "y_knots", "slopes"),
    ),
    *both(
        "spline_transformer", "the spline on [-bound, bound] from raw numbers, the identity outside: widths and heights by a "
        "softmax with the floor 1e-3, slopes exp(5 tanh(raw / 5)) inside and 1 at the ends", "Durkan et al. 2019, section 3.1",
        {"raw": "(n, 3K - 1) widths, heights, inner slopes", "bound": "half the side of the square"},
        (bounded_spline, bounded_spline_inverse), bounded_cases, ("raw",),
    ),
)
