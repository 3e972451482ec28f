"""Diagnostics of chains, from their definitions: direct sums over lags, ranks by counting."""
from collections.abc import Mapping
from typing import Any

import mpmath
import numpy as np

from evenflow.conformance.arrays import Array
from tests.vectors.exact import exact, mp, sqrt
from tests.vectors.sampler_targets import Exact

INF = mpmath.mpf("inf")


def mean(x: Array, axis: int | None = None) -> Array:
    return np.sum(x, axis=axis) / (x.size if axis is None else x.shape[axis])


def autocovariance(x: Array) -> Array:
    """c_t = 1/n sum_s (x_s - mean)(x_s+t - mean) of every chain, x (n, chains)."""
    u = x - mean(x, 0)
    return np.stack([np.sum(u[: len(u) - t] * u[t:], axis=0) / len(u) for t in range(len(u))])


def autocorrelation(i: Exact) -> Mapping[str, Array]:
    c = autocovariance(i["draws"])
    return {"value": c / c[0]}


def integrated_time(i: Exact) -> Mapping[str, Array]:
    """Goodman & Weare 2010, with the window of Sokal 1997: the least M >= window * tau(M)."""
    rho = mean(autocorrelation(i)["value"], 1)
    tau = mpmath.mpf(1)
    for M in range(1, len(rho)):
        tau = tau + 2 * rho[M]
        if i["window"] * tau <= M:
            return {"value": tau}
    raise ValueError("the window does not close: choose longer draws")


def halves(x: Array) -> Array:
    n = len(x) // 2
    return np.concatenate([x[:n], x[len(x) - n :]], axis=1)


def within_and_total(x: Array) -> tuple[Any, Any]:
    """Vehtari et al. 2021, eq. 1-3: W and var+ of x (n, chains). What stands still is exactly 0 from its own start."""
    n, chains = x.shape
    means, own = mean(x - x[0, 0], 0), x - x[0]
    B = n * np.sum((means - mean(means)) ** 2) / (chains - 1)
    W = mean(np.sum((own - mean(own, 0)) ** 2, axis=0) / (n - 1))
    return W, (n - 1) * W / n + B / n


def plain_rhat(x: Array) -> Any:
    W, total = within_and_total(x)
    if W == 0:
        return INF if total > 0 else mpmath.mpf(1)
    return sqrt(total / W)


def normal_scores(x: Array) -> Array:
    """Eq. 14; the rank of a number is how many are smaller, and half of how many are equal, itself counted, plus one half."""
    everything = list(x.ravel())
    scores = []
    for v in everything:
        rank = sum(u < v for u in everything) + mpmath.mpf(1 + sum(u == v for u in everything)) / 2
        p = (rank - mpmath.mpf(3) / 8) / (x.size + mpmath.mpf(1) / 4)
        scores.append(mp.sqrt(2) * mp.erfinv(2 * p - 1))
    return np.array(scores, dtype=object).reshape(x.shape)


def split_rhat(i: Exact) -> Mapping[str, Array]:
    return {"value": plain_rhat(halves(i["draws"]))}


def rhat(i: Exact) -> Mapping[str, Array]:
    x = halves(i["draws"])
    ordered = sorted(x.ravel())
    median = (ordered[x.size // 2 - 1] + ordered[x.size // 2]) / 2  # two chains' halves: always an even number
    return {"value": max(plain_rhat(normal_scores(x)), plain_rhat(normal_scores(abs(x - median))))}


def ess(i: Exact) -> Mapping[str, Array]:
    """Eq. 10-13 on normal scores, and Geyer's initial monotone sequence; one or two of the last lags are not used."""
    x = normal_scores(halves(i["draws"]))
    n = len(x)
    W, total = within_and_total(x)
    c = mean(autocovariance(x), 1)
    rho = [mpmath.mpf(1)] + [1 - (W - c[t]) / total for t in range(1, n)]
    tau, least, t, last = mpmath.mpf(-1), INF, 0, 2 * ((n - 1) // 2) - 2
    while t < last and rho[t] + rho[t + 1] > 0:
        least = min(least, rho[t] + rho[t + 1])
        tau, t = tau + 2 * least, t + 2
    tau = tau + (rho[t] if rho[t] + rho[t + 1] > 0 else max(rho[t], mpmath.mpf(0)))
    return {"value": x.size / max(tau, 1 / mpmath.log10(x.size))}


def zone_weights(i: Exact) -> Mapping[str, Array]:
    zones = i["zones"].ravel().tolist()
    return {"weights": exact(np.array([float(zones.count(k)) for k in range(int(i["count"]))])) / len(zones)}


def switch_rate(i: Exact) -> Mapping[str, Array]:
    moved = [bool(a != b) for a, b in zip(i["zones"][:-1].ravel(), i["zones"][1:].ravel(), strict=True)]
    return {"rate": mpmath.mpf(sum(moved)) / len(moved)}


def mode_rhat(i: Exact) -> Mapping[str, Array]:
    return {"rhat": max(plain_rhat(halves(exact((i["zones"] == k).astype(float)))) for k in range(int(i["count"])))}


def misassignment(i: Exact) -> Mapping[str, Array]:
    """Twice q less q^2, q = Phi(-a sqrt(d / 2)): a half-sum of the coordinates has the wrong sign."""
    d = int(i["d"])
    separations = {"paper": mpmath.mpf("0.5919"), "code": mpmath.mpf("0.591") * mpmath.sqrt(2 * mpmath.log(d))}
    q = mpmath.erfc(separations[str(i["reading"])] * mpmath.sqrt(d) / 2) / 2
    return {"probability": 2 * q - q**2, "log_probability": mpmath.log(2 * q - q**2)}
