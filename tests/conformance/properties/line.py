r"""What holds for scores on the line, and how they hang together.

$$CRPS(F, y) = ES_1(F, y) = 2 \int_0^1 \rho_\alpha(y - F^{-1}(\alpha))\, d\alpha$$

The integral is exact for the empirical F, whose quantiles are the sorted draws (V-statistic), and a midpoint rule over levels
for a normal F. Frechet distances are here, too: of a sample and the same one moved by t, |t|^2.
"""
from collections.abc import Mapping

import numpy as np

from evenflow.conformance.adapter import Adapter
from evenflow.conformance.arrays import Array
from evenflow.conformance.properties.checking import Draw, Property, ask, named, representable, tolerance, within

SMOOTHING = 1e-5  # of a norm near zero, in the energy score
LEVELS = 1000     # of a midpoint rule: it is off by less than 1e-4 standard deviations


def drawn(draw: Draw) -> dict[str, Array]:
    """draws (m, n), y (n,), an estimator."""
    rng = draw.rng
    m = int(rng.integers(3, 6))
    return representable({
        "draws": rng.standard_normal((m, draw.n)), "y": rng.standard_normal(draw.n),
        "estimator": np.array(rng.choice(["U", "V"])),
    })


def crps(adapter: Adapter, draws: Array, y: Array, estimator: Array | str) -> Array:
    return ask(adapter, "crps", {"draws": draws, "y": y, "estimator": np.array(estimator)})["score"]


def energy_score(adapter: Adapter, draw: Draw) -> float:
    given = drawn(draw)
    points = {"draws": given["draws"][..., None], "y": given["y"][..., None], "beta": 1.0, "estimator": given["estimator"]}
    want = ask(adapter, "energy_score", representable(points))["score"]
    return within("CRPS against the energy score", crps(adapter, **given), want, tolerance(adapter.dtype, want) + SMOOTHING)


def pinball(adapter: Adapter, draw: Draw) -> float:
    """The k-th smallest of m draws is the quantile of all levels from (k - 1) / m to k / m; in the middle is their mean."""
    given = drawn(draw)
    draws, y = np.sort(given["draws"], axis=0), given["y"]
    levels = (np.arange(len(draws)) + 0.5) / len(draws)
    each = [quantile_score(adapter, q, y, np.full(len(y), a)) for q, a in zip(draws, levels, strict=True)]
    V = crps(adapter, given["draws"], y, "V")
    return within("CRPS against 2 mean pinball", V, 2 * np.mean(each, axis=0), 4 * tolerance(adapter.dtype, draws))


def quantile_score(adapter: Adapter, quantile: Array, y: Array, alpha: Array) -> Array:
    return ask(adapter, "quantile_score", {"quantile": quantile, "y": y, "alpha": alpha})["score"]


def estimators(adapter: Adapter, draw: Draw) -> float:
    """m V = (m - 1) U + the mean of |x_i - y|."""
    given = drawn(draw)
    draws, y = given["draws"], given["y"]
    m = len(draws)
    U, V = (crps(adapter, draws, y, estimator) for estimator in ("U", "V"))
    want = ((m - 1) * U + np.mean(np.abs(draws - y), axis=0)) / m
    return within("V", V, want, tolerance(adapter.dtype, draws))


def both_sides(adapter: Adapter, draw: Draw) -> float:
    """rho_a(u) + rho_a(-u) = |u|; rho_a(u) = rho_{1 - a}(-u) >= 0."""
    rng = draw.rng
    points = {"q": rng.standard_normal(draw.n), "y": rng.standard_normal(draw.n), "a": rng.uniform(0.05, 0.95, draw.n)}
    q, y, a = representable(points).values()
    above, below, mirrored = (quantile_score(adapter, *args) for args in ((q, y, a), (y, q, a), (y, q, 1 - a)))
    allowed = tolerance(adapter.dtype, above)
    assert (above >= 0).all(), "a quantile score is negative"
    return max(within("rho(u) + rho(-u)", above + below, np.abs(y - q), allowed),
               within("its mirror", mirrored, above, allowed))


def even_levels(n: int) -> Array:
    """(LEVELS, n), the midpoints of equal intervals."""
    return np.tile(((np.arange(LEVELS) + 0.5) / LEVELS)[:, None], n)


def normal_pinball(adapter: Adapter, draw: Draw) -> float:
    """CRPS of a normal: twice the mean pinball score of its quantiles."""
    rng = draw.rng
    mean, log_sd, y = rng.standard_normal((3, 1))
    given = representable({"mean": mean, "sd": np.exp(log_sd), "y": 2 * y})
    alpha = even_levels(1)[:, 0]
    q = given["mean"] + given["sd"] * ask(adapter, "normal_quantile", {"alpha": alpha})["z"]
    half = np.mean(quantile_score(adapter, q, np.repeat(given["y"], LEVELS), alpha), keepdims=True)
    got = ask(adapter, "crps_normal", given)["score"]
    allowed = 2e-4 * float(given["sd"][0] + np.abs(given["y"] - given["mean"])[0]) + 10 * tolerance(adapter.dtype, q)
    return within("CRPS of a normal", got, 2 * half, allowed)


def frechet(adapter: Adapter, draw: Draw) -> float:
    """Of a and a + t; the same after a rotation, and the other way round."""
    rng, d = draw.rng, draw.d
    given = representable({"a": rng.standard_normal((8, d)), "t": rng.standard_normal(d)})
    a, b = given["a"], given["a"] + given["t"]
    other, Q = rng.standard_normal((6, d)) * 1.5, np.linalg.qr(rng.standard_normal((d, d)))[0]

    def distance(a: Array, b: Array) -> Array:
        return ask(adapter, "frechet_distance", {"a": a, "b": b})["distance"]

    here = distance(a, other)
    allowed = 10 * tolerance(adapter.dtype, here)
    return max(within("the distance to what was moved", distance(a, b), np.sum(given["t"] ** 2), allowed),
               within("the distance after a rotation", distance(a @ Q, other @ Q), here, allowed),
               within("the distance the other way round", distance(other, a), here, allowed))


PROPERTIES: Mapping[str, tuple[Property, ...]] = {
    "crps": named({"energy_score": energy_score, "pinball": pinball, "estimators": estimators}),
    "quantile_score": named({"pinball": pinball, "both_sides": both_sides}),
    "crps_normal": named({"pinball": normal_pinball}),
    "normal_quantile": named({"pinball": normal_pinball}),
    "frechet_distance": named({"moved": frechet}),
}
