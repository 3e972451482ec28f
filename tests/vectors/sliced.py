r"""The energy score and distance along directions, and the constant that leads from them to the full ones.

Every direction is the problem on the line of the projections $v \cdot x$, and the mean over the directions is taken. The
constant $c(d, \beta) = E|v_1|^\beta$ for v uniform on the sphere is computed from that meaning, by quadrature over the angle
$v_1 = \cos\theta$, whose density is $\propto \sin^{d-2}\theta$; for d = 1 it is 1.
"""
from collections.abc import Sequence
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Array
from tests.tolerances import SMOOTHING
from tests.vectors import scores
from tests.vectors.exact import mp, sqrt
from tests.vectors.making import Given, Oracle
from tests.vectors.scores import BETA, DRAWS, SAMPLES, WITNESS, Number, choices, points

DIRECTIONS = {"directions": "(L, d) unit vectors, up to the rounding of a float32: taken as they are, not normalised again"}
ROOM = "Not divided by the slicing constant. The tolerance leaves 1e-9 to norms that are smoothed at zero, as in energy_score."


def sliced_energy_score(i: dict[str, Any]) -> dict[str, Any]:
    along = [{"draws": (i["draws"] @ v)[..., None], "y": (i["y"] @ v)[:, None]} for v in i["directions"]]
    return {"score": sum(scores.energy_score({**i, **line})["score"] for line in along) / len(along)}


def sliced_energy_distance(i: dict[str, Any]) -> dict[str, Any]:
    along = [{name: (i[name] @ v)[:, None] for name in ("x", "y")} for v in i["directions"]]
    return {"distance": sum(scores.energy_distance({**i, **line})["distance"] for line in along) / len(along)}


def random_directions(i: dict[str, Any]) -> dict[str, Any]:
    return {"directions": np.stack([row / sqrt(sum(row**2)) for row in i["noise"]])}


def slicing_constant(i: dict[str, Any]) -> dict[str, Any]:
    d, beta = int(i["d"]), i["beta"]
    if d == 1:
        return {"constant": mp.mpf(1)}
    return {"constant": moment(d, beta) / moment(d, 0)}


def moment(d: int, beta: Number) -> Number:
    """The integral of |sin t|^beta cos^(d-2) t: with t = pi/2 - theta the mass lies near 0, where the pieces are short."""
    return mp.quad(lambda t: mp.sin(t) ** beta * mp.cos(t) ** (d - 2), [0, mp.pi / 8, mp.pi / 4, mp.pi / 2])


def unit(rng: np.random.Generator, L: int, d: int) -> Array:
    v = rng.standard_normal((L, d))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def score_cases(rng: np.random.Generator) -> Sequence[Given]:
    plain, v = {"draws": 3 * points(rng, 3, 2, 3), "y": 3 * points(rng, 2, 3)}, unit(rng, 2, 3)
    zero, zero_y = points(rng, 3, 2, 2), points(rng, 2, 2)
    zero[:2, 0], zero_y[0] = 0, 0
    shared = {"draws": 3 * points(rng, 3, 2), "y": 3 * points(rng, 3, 2)}
    tied = {"draws": points(rng, 3, 2), "y": points(rng, 3, 2)}
    tied["draws"][:2], tied["y"][1] = 0, 0

    def given(id: str, i: dict[str, Array], directions: Array, beta: float, estimator: str, *flags: str, **how: Any) -> Given:
        return Given(id, {**i, "directions": directions, **choices(beta, estimator)}, flags, slack=SMOOTHING, **how)

    return [
        given("unbiased", plain, v, 1, "U", "estimator"),
        given("biased", plain, v, 1, "V", "estimator"),
        given("small_beta", plain, v, 0.5, "U", "beta"),
        given("shared", shared, unit(rng, 2, 2), 1, "U", "shared", "square"),
        given("shared_large_beta", shared, unit(rng, 2, 2), 1.5, "V", "shared", "square", "beta"),
        given("along_the_axes", {"draws": zero, "y": zero_y}, np.eye(2)[::-1], 0.5, "U", "tie"),
        given("equal_draws", tied, np.array([[0.6, 0.8]]), 1, "U", "equal_draws", grads=()),
        given("line", {"draws": points(rng, 3, 2, 1), "y": points(rng, 2, 1)}, np.array([[-1.0]]), 1, "V", "line"),
    ]


def distance_cases(rng: np.random.Generator) -> Sequence[Given]:
    plain, v = {"x": 3 * points(rng, 4, 3), "y": 3 * points(rng, 3, 3)}, unit(rng, 3, 3)
    zero = {"x": points(rng, 3, 2), "y": points(rng, 3, 2)}
    zero["x"][:2], zero["y"][1] = 0, 0
    same = points(rng, 3, 2)

    def given(id: str, i: dict[str, Array], directions: Array, beta: float, estimator: str, *flags: str, **how: Any) -> Given:
        return Given(id, {**i, "directions": directions, **choices(beta, estimator)}, flags, slack=SMOOTHING, **how)

    return [
        given("unbiased", plain, v, 1, "U", "estimator"),
        given("biased", plain, v, 1, "V", "estimator"),
        given("small_beta", plain, v[:2], 0.5, "U", "beta"),
        given("large_beta", plain, v[:2], 1.5, "V", "beta"),
        given("at_zero", zero, np.eye(2), 0.5, "U", "tie"),
        given("same_sample", {"x": same, "y": same}, unit(rng, 2, 2), 1, "V", "equal_draws", grads=()),
        given("line", {"x": points(rng, 3, 1), "y": points(rng, 2, 1)}, np.array([[1.0]]), 1, "U", "line"),
    ]


def noise_cases(rng: np.random.Generator) -> Sequence[Given]:
    spread = np.array([[1.0, 1e-3, 0.0], [0.0, -1e4, 1.0]])
    return [
        Given("plain", {"noise": rng.standard_normal((4, 3))}),
        Given("square", {"noise": rng.standard_normal((3, 3))}, ("square",)),
        Given("line", {"noise": np.array([[2.0], [-0.5]])}, ("line",)),
        Given("unequal", {"noise": spread}, ("unequal",)),
    ]


def constant_cases(rng: np.random.Generator) -> Sequence[Given]:
    wanted = [(1, 0.5), (2, 1.0), (3, 1.0), (2, 1.5), (7, 0.25), (64, 1.0), (1000, 1.5)]
    flags = {1: ("line",), 1000: ("large_scale",)}
    return [
        Given(f"d{d}_beta{beta}", {"d": np.int64(d), "beta": np.float64(beta)}, flags.get(d, ())) for d, beta in wanted
    ]


NOTES = {
    "estimator": '"unbiased" and "biased" have the same numbers: what differs is the estimator',
    "beta": "beta = 0.5 and 1.5, not 1",
    "tie": "points coincide, along one direction or all: their pair counts 0, and so does its gradient",
    "equal_draws": "points coincide at beta = 1, where one sorts: the gradient is any of the subgradients, and not asked for",
    "line": "d = 1: the directions are 1 and -1",
}
SQUARE = {"square": "m = n, as many as directions or coordinates: axes that are exchanged do not show in a shape"}
ORACLES = (
    Oracle(
        "sliced_energy_score", f"The mean over directions v of the energy score of v . draws at v . y. {ROOM}",
        "Si et al. 2023, the form is ours", WITNESS, {**DRAWS, **DIRECTIONS, **BETA}, {"score": "(n,)"},
        sliced_energy_score, score_cases, grads=("draws", "y"), notes={**NOTES, **SQUARE, "shared": "draws (m, d)"},
    ),
    Oracle(
        "sliced_energy_distance", f"The mean over directions v of the energy distance of v . x and v . y. {ROOM}",
        "Si et al. 2023, the form is ours", WITNESS, {**SAMPLES, **DIRECTIONS, **BETA}, {"distance": "()"},
        sliced_energy_distance, distance_cases, grads=("x", "y"), notes=NOTES,
    ),
    Oracle(
        "random_directions", "noise / |noise|, row by row: uniform on the sphere", "Si et al. 2023", WITNESS,
        {"noise": "(L, d) standard normal"}, {"directions": "(L, d)"}, random_directions, noise_cases, grads=("noise",),
        notes={**SQUARE, "line": "d = 1: 1 and -1", "unequal": "coordinates of very different size"},
    ),
    Oracle(
        "slicing_constant", "c(d, beta) = E|v_1|^beta = Gamma(d/2) Gamma((beta + 1)/2) / (sqrt(pi) Gamma((d + beta)/2))",
        "the mean of |v_1|^beta over the sphere", "quadrature over the angle, mpmath with 40 digits",
        {"d": "() int", "beta": "()"}, {"constant": "()"}, slicing_constant, constant_cases,
        notes={"line": "d = 1: 1, whatever beta", "large_scale": "d = 1000: Gamma(500) is beyond float64"},
    ),
)
