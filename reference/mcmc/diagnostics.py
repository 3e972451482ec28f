r"""Have the chains seen the target, and how much are their draws worth? Counted from the draws alone.

TIME FIRST. draws are (steps, chains) of one number or (steps, chains, d) of positions; other libraries put chains first.
Where both shapes make sense nothing here can notice that axes were swapped, and every answer is wrong.

Integrated autocorrelation time (Sokal 1997; Goodman & Weare 2010), $\rho_t$ averaged over chains, M the smallest that has

$$\tau = 1 + 2 \sum_{t=1}^{M} \rho_t, \qquad M \ge \text{window} \cdot \tau(M).$$

Split R-hat (Gelman et al. 2013; Vehtari et al. 2021, section 3.1). Each chain is cut in two, which leaves chains of n draws;
B / n is the variance of their means, W the mean of their variances:

$$\hat R = \sqrt{\big((n - 1) / n \cdot W + B / n\big) / W}.$$

Rank normalisation (section 4.1) replaces each of the S draws by a normal quantile of its rank r among all, ties sharing the
mean of their ranks; folding takes $|x - \mathrm{median}|$ first, which shows chains that differ in spread:

$$z = \Phi^{-1}\big((r - 3/8) / (S + 1/4)\big).$$

Effective sample size (section 3.2, on z): $S / \tau$, with $c_t$ the autocovariance at lag t averaged over chains, $\tau$ from

$$\rho_t = 1 - (W - c_t) / \mathrm{var}^+, \qquad \mathrm{var}^+ = (n - 1) / n \cdot W + B / n,$$

summed over the initial monotone sequence of pairs $\rho_{2k} + \rho_{2k+1}$ (Geyer 1992).

R-hat alone misleads twice: small steps inside one mode raise it, and a mode that no chain has seen does not. So the zones,
one a mode, have numbers of their own: their weights, how often chains switch, and the R-hat of which mode a chain is in.
All is computed and returned in float64, whatever the dtype of the draws.
"""
import math
from collections.abc import Callable

import numpy as np

from evenflow.reference.checks import check_count, check_finite, check_positive, check_shape
from evenflow.reference.special import normal_quantile
from evenflow.reference.trees import Array


def autocorrelation(draws: Array) -> Array:
    """rho_t of every chain at lags t = 0 .. steps - 1, around the chain's own mean; the sum at lag t is divided by steps.

    draws (steps, chains) or (steps, chains, d) -> the same shape; rho_0 = 1.
    Raises ValueError for fewer than 4 steps, for NaN, and where a chain stands still: then there is none.
    """
    covariance = autocovariance(check_draws(draws))
    if (still := covariance[0] <= 0).any():
        raise ValueError(f"draws must vary in every chain, got {still.sum()} still, first chain {np.argwhere(still)[0, 0]}")
    return covariance / covariance[0]


def autocovariance(x: Array) -> Array:
    """The biased autocovariance along axis 0 at every lag, by FFT."""
    x = x - x[:1]  # a chain that stands still gives exact zeros; its mean would be off by a rounding
    x = x - np.mean(x, axis=0)
    steps = len(x)
    size = 1 << (2 * steps - 1).bit_length()  # zeros behind the draws, or the end would be correlated with the start
    power = np.abs(np.fft.rfft(x, size, axis=0)) ** 2
    return np.fft.irfft(power, size, axis=0)[:steps] / steps


def integrated_time(draws: Array, window: float = 5.0, trust: float = 50.0) -> Array:
    """tau in steps: the mean over a chain is worth steps / tau independent draws.

    draws (steps, chains) -> a float, (steps, chains, d) -> (d,). Each chain is compared with its own mean: chains that
    sit in different modes for good look fast here, not in `ess`. Short chains make tau too small on average, at most
    steps / window: hence ValueError unless steps >= trust * tau (trust=1 takes any). ValueError too where the window
    closes at once, as for strongly antithetic chains (`ess` knows them), and as for `autocorrelation`.
    """
    check_positive("window", window)
    check_positive("trust", trust)
    return each_coordinate(lambda x: windowed_time(x, window, trust), check_draws(draws))


def windowed_time(x: Array, window: float, trust: float) -> float:
    """tau of x (steps, chains)."""
    steps = len(x)
    rho = np.mean(autocorrelation(x), axis=1)
    taus = 2 * np.cumsum(rho) - 1  # tau(M)
    M = int(np.argmax(np.arange(steps) >= window * taus))
    tau = float(taus[M])
    if M < 2 or tau <= 0:
        raise ValueError(f"draws have no time that a window of {window} tau can find: it closes at lag {M}, tau {tau:.3g}")
    if steps < trust * tau:
        raise ValueError(f"draws must be at least trust = {trust} tau long, got {steps} steps at tau {tau:.3g} (or more)")
    return tau


def ess(draws: Array) -> Array:
    """Effective sample size of the bulk: how many independent draws say as much about the middle of the distribution.

    draws (steps, chains) -> a float, (steps, chains, d) -> (d,). Split chains, rank-normalised. At most S log10 S, for
    antithetic chains. Chains that all stand still in different places are worth about one draw each.
    Raises ValueError for NaN, for draws that are all equal, and for fewer than 10 steps: half chains of less than 5
    draws hold no second pair of Geyer's sequence, and the answer would be S log10 S whatever the draws.
    Vehtari et al. 2021, sections 3.2 and 4.
    """
    return each_coordinate(lambda x: geyer_ess(normal_scores(split(x))), check_draws(draws, least=10))


def geyer_ess(x: Array) -> float:
    """S / tau of x (n, chains)."""
    if np.ptp(x) == 0:
        raise ValueError("draws must vary, got one value over and over: the effective sample size of a constant is unknown")
    n = len(x)
    covariance = np.mean(autocovariance(x), axis=1)  # (n,)
    W = covariance[0] * n / (n - 1)
    rho = 1 - (W - covariance) / (covariance[0] + np.var(np.mean(x, axis=0), ddof=1))
    rho[0] = 1.0
    pairs = rho[: 2 * ((n - 1) // 2)].reshape(-1, 2)  # the last lags are left out: one product each, or nearly
    sums = np.sum(pairs, axis=1)
    end = int(np.argmax(np.append(sums[:-1] <= 0, True)))  # the first pair not positive, or the last of all
    last = pairs[end, 0] if sums[end] > 0 else max(pairs[end, 0], 0.0)
    tau = -1 + 2 * np.sum(np.minimum.accumulate(sums[:end])) + last
    return float(x.size / max(tau, 1 / math.log10(x.size)))


def rhat(draws: Array) -> Array:
    """Rank-normalised split R-hat, the larger of bulk and folded: near 1 where chains agree, asked to be below 1.01.

    draws (steps, chains) -> a float, (steps, chains, d) -> (d,). One chain will do: its halves are compared.
    1.0 where all draws are equal, math.inf where no half chain moves but they differ (see `split_rhat`).
    Raises ValueError for fewer than 4 steps and for NaN. Vehtari et al. 2021, section 4.
    """
    return each_coordinate(ranked_rhat, check_draws(draws))


def ranked_rhat(x: Array) -> float:
    x = split(x)
    return max(plain_rhat(normal_scores(x)), plain_rhat(normal_scores(np.abs(x - np.median(x)))))


def split_rhat(draws: Array) -> Array:
    """Split R-hat of the draws as they are; for tables that quote it, and for draws of 0 and 1.

    draws (steps, chains) -> a float, (steps, chains, d) -> (d,). Where all draws are equal B = W = 0 and the answer is
    1.0: the chains agree; whether they have seen everything R-hat cannot say. Where no half chain moves but they differ
    W = 0 < B and it is math.inf. Raises ValueError for fewer than 4 steps and for NaN.
    """
    return each_coordinate(lambda x: plain_rhat(split(x)), check_draws(draws))


def plain_rhat(x: Array) -> float:
    """R-hat of x (n, chains) without a split."""
    n = len(x)
    x = x - x[0, 0]  # equal draws become exact zeros; their mean would be off by a rounding
    B = n * np.var(np.mean(x, axis=0), ddof=1)
    W = np.mean(np.var(x - x[0], axis=0, ddof=1))
    if W == 0:
        return math.inf if B > 0 else 1.0
    return math.sqrt(((n - 1) / n * W + B / n) / W)


def split(x: Array) -> Array:
    """(steps, chains) -> (steps // 2, 2 chains): first halves, then second; the middle step of an odd number is left out."""
    n = len(x) // 2
    return np.concatenate([x[:n], x[-n:]], axis=1)


def normal_scores(x: Array) -> Array:
    """z for every entry, ranked among all: any shape -> the same."""
    return normal_quantile((average_ranks(x) - 3 / 8) / (x.size + 1 / 4))


def average_ranks(x: Array) -> Array:
    """The place of every entry among all, from 1; equal entries share the mean of their places."""
    _, level, ties = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(ties) - (ties - 1) / 2)[level].reshape(x.shape)


def acceptance(accepted: Array) -> float:
    """The fraction of proposals kept: booleans (steps, chains) -> a float. ValueError for anything but booleans."""
    accepted = np.asarray(accepted)
    check_shape("accepted", accepted, "steps", "chains")
    if accepted.dtype != bool or accepted.size == 0:
        raise ValueError(f"accepted must hold booleans, at least one, got dtype {accepted.dtype}, shape {accepted.shape}")
    return float(np.mean(accepted))


def zone_weights(zones: Array, count: int) -> Array:
    """How often each zone was seen: whole numbers 0 .. count - 1 of any shape -> (count,), which sum to 1.

    Raises ValueError for a zone outside, for numbers that are not integers, for no numbers at all.
    """
    zones = check_zones(zones, count)
    return np.bincount(zones.ravel().astype(np.intp), minlength=count) / zones.size


def switch_rate(zones: Array) -> float:
    """How often a chain's zone differs from the one a step before: integers (steps >= 2, chains) -> between 0 and 1."""
    zones = check_zones(zones)
    check_steps("zones", zones, 2)
    return float(np.mean(zones[1:] != zones[:-1]))


def mode_rhat(zones: Array, count: int) -> float:
    """The largest split R-hat of the indicators 1[zone == k], k = 0 .. count - 1: do the chains agree on the weights?

    zones: whole numbers (steps >= 4, chains). math.inf where some zone holds some half chains always and the others
    never. 1.0 where all sit in one and the same zone, as for `split_rhat`: a zone that no chain has seen does not show
    here but in `zone_weights`. Raises ValueError as that does.
    """
    zones = check_zones(zones, count)
    check_steps("zones", zones, 4)
    return max(plain_rhat(split((zones == k).astype(np.float64))) for k in range(count))


def each_coordinate(f: Callable[[Array], float], draws: Array) -> Array:
    """f of (steps, chains) for one number, for every coordinate of positions."""
    return f(draws) if draws.ndim == 2 else np.array([f(draws[:, :, i]) for i in range(draws.shape[2])])


def check_draws(draws: Array, least: int = 4) -> Array:
    """The draws as float64, every coordinate within -1 and 1: no square overflows, and nothing here depends on the scale."""
    draws = np.asarray(draws)
    if draws.dtype.kind not in "biuf" or draws.ndim not in (2, 3) or draws.size == 0:
        raise ValueError("draws must be real numbers (steps, chains) or (steps, chains, d), at least one of each, "
                         f"got dtype {draws.dtype}, shape {draws.shape}")
    check_steps("draws", draws[..., 0] if draws.ndim == 3 else draws, least)
    draws = draws.astype(np.float64)
    check_finite("draws", draws)
    return np.ldexp(draws, -np.frexp(np.max(np.abs(draws), axis=(0, 1)))[1])  # by powers of two: nothing is rounded


def check_steps(name: str, array: Array, least: int) -> None:
    check_shape(name, array, "steps", "chains")
    if array.shape[0] < least:
        raise ValueError(f"{name} must have at least {least} steps, got shape {array.shape} (time comes first)")


def check_zones(zones: Array, count: int | None = None) -> Array:
    zones = np.asarray(zones)
    if zones.dtype.kind not in "iu" or zones.size == 0:
        raise ValueError(f"zones must hold integers, at least one, got dtype {zones.dtype}, shape {zones.shape}")
    if count is not None:
        check_count("count", count)
        if zones.min() < 0 or zones.max() >= count:
            raise ValueError(f"zones must lie in 0 .. {count - 1}, got values from {zones.min()} to {zones.max()}")
    return zones
