r"""How many independent draws are correlated ones worth? Counted from the draws alone.

TIME FIRST, as in rhat.py. Integrated autocorrelation time (Sokal 1997; Goodman & Weare 2010), $\rho_t$ averaged over chains,
M the smallest that has

$$\tau = 1 + 2 \sum_{t=1}^{M} \rho_t, \qquad M \ge \text{window} \cdot \tau(M).$$

Effective sample size (Vehtari et al. 2021, section 3.2, on the rank-normalised z of rhat.py): $S / \tau$, with $c_t$ the
autocovariance at lag t averaged over chains, $\tau$ from

$$\rho_t = 1 - (W - c_t) / \mathrm{var}^+, \qquad \mathrm{var}^+ = (n - 1) / n \cdot W + B / n,$$

summed over the initial monotone sequence of pairs $\rho_{2k} + \rho_{2k+1}$ (Geyer 1992).
"""
import math

import numpy as np

from evenflow.reference.core import Array, check_positive
from evenflow.reference.mcmc.rhat import check_draws, each_coordinate, normal_scores, split


def autocorrelation(draws: Array) -> Array:
    """rho_t of every chain at lags t = 0 .. steps - 1, around the chain's own mean; the sum at lag t is divided by steps.

    draws (steps, chains) or (steps, chains, d) -> the same shape; rho_0 = 1.
    Raises ValueError for fewer than 4 steps, for NaN, and where a chain stands still: then there is none.

    >>> autocorrelation(np.array([[1.0], [0.0], [1.0], [0.0]]))[:, 0]
    array([ 1.  , -0.75,  0.5 , -0.25])
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

    draws (steps, chains) -> a float, (steps, chains, d) -> (d,). Each chain is compared with its own mean: chains that sit in
    different modes for good look fast here, not in `ess`. Short chains make tau too small, at most steps / window: hence
    ValueError unless steps >= trust * tau (trust=1 takes any). ValueError too where the window closes at once, as for strongly
    antithetic chains (`ess` knows them), and as for `autocorrelation`.

    >>> draws = np.repeat(np.random.default_rng(0).standard_normal((500, 4)), 4, axis=0)
    >>> bool(3 < integrated_time(draws) < 5)
    True
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

    draws (steps, chains) -> a float, (steps, chains, d) -> (d,). Split chains, rank-normalised; at most S log10 S. Chains that
    all stand still in different places are worth about one draw each. Raises ValueError for NaN, for draws that are all equal,
    and for fewer than 10 steps: half chains of less than 5 draws hold no second pair of Geyer's sequence, and the answer would
    be S log10 S whatever the draws.

    >>> bool(1800 < ess(np.random.default_rng(0).standard_normal((500, 4))) < 2200)
    True
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
