"""The diagnostics of chains: closed forms, what stands still, what R-hat cannot see, time first, bad input.

Random tests have fixed seeds. The deviations that they allow are 5 standard deviations, measured over other seeds: error
rate 6e-7 a comparison.
"""
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from evenflow.reference.core.trees import Array
from evenflow.reference.mcmc.ess import autocorrelation, ess, integrated_time
from evenflow.reference.mcmc.rhat import average_ranks, normal_scores, rhat, split_rhat
from evenflow.reference.mcmc.zones import acceptance, mode_rhat, switch_rate, zone_weights
from tests.strategies import generator, seeds

ON_DRAWS: dict[str, Callable[[Array], Array]] = {
    "autocorrelation": autocorrelation, "integrated_time": lambda x: integrated_time(x, trust=1), "ess": ess, "rhat": rhat,
    "split_rhat": split_rhat,
}
every = pytest.mark.parametrize("name", ON_DRAWS)


def ar1(a: float, steps: int, chains: int, seed: int = 0) -> Array:
    """x_t = a x_{t-1} + noise, stationary from the first step: rho_t = a^t."""
    x = generator(seed).standard_normal((steps, chains))
    x[0] /= math.sqrt(1 - a * a)
    for t in range(1, steps):
        x[t] += a * x[t - 1]
    return x


# ------------------------------------------------------------------------------------------------------- autocorrelation

@given(seed=seeds, steps=st.integers(4, 40), chains=st.integers(1, 3))
def test_autocorrelation_is_the_sum_it_stands_for(seed: int, steps: int, chains: int) -> None:
    """Nothing wraps around at the end; the mean is the chain's own; positions are their coordinates."""
    x = generator(seed).standard_normal((steps, chains, 2)) + 10 * np.arange(2 * chains).reshape(chains, 2)
    u = x - x.mean(axis=0)
    expected = np.array([np.sum(u[t:] * u[: steps - t], axis=0) for t in range(steps)]) / np.sum(u * u, axis=0)
    rho = autocorrelation(x)
    np.testing.assert_allclose(rho, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(autocorrelation(x[:, :, 1]), rho[:, :, 1], rtol=0, atol=1e-15)
    assert np.abs(rho[0] - 1).max() == 0


def test_autocorrelation_of_an_alternating_chain() -> None:
    """(-1)^t (n - t) / n for n even."""
    n, t = 12, np.arange(12)
    rho = autocorrelation(np.array([[3.0, -1.0]] * n) * (-1.0) ** t[:, None])
    np.testing.assert_allclose(rho, np.stack([(-1.0) ** t * (n - t) / n] * 2, axis=1), rtol=0, atol=1e-14)


@pytest.mark.parametrize(("a", "deviation"), [(0.0, 0.017), (0.5, 0.082), (0.9, 1.1), (-0.3, 0.009)])
def test_integrated_time_of_ar1(a: float, deviation: float) -> None:
    """(1 + a) / (1 - a); short of it by about tau (2 * 5 tau) / steps, the price of the chain's own mean, and by e^-5."""
    tau = (1 + a) / (1 - a)
    bias = tau * (10 * tau / 4000 + 0.02)
    assert abs(integrated_time(ar1(a, 4000, 20)) - tau) < 5 * deviation + bias


@given(seed=seeds, a=st.floats(-0.3, 0.9), window=st.sampled_from([2.0, 5.0, 7.5]))
def test_integrated_time_takes_the_smallest_window(seed: int, a: float, window: float) -> None:
    x = ar1(a, 150, 3, seed)
    rho = autocorrelation(x).mean(axis=1)
    M, tau = 0, 1.0
    while window * tau > M:
        M += 1
        tau += 2 * rho[M]
    if M >= 2 and tau > 0:
        assert math.isclose(integrated_time(x, window, trust=1), tau, rel_tol=1e-12)
    else:
        with pytest.raises(ValueError, match=f"it closes at lag {M}, tau"):
            integrated_time(x, window, trust=1)


def test_integrated_time_does_not_see_chains_in_different_modes_and_ess_does() -> None:
    x = generator(1).standard_normal((1000, 4))
    apart = x + 100 * np.arange(4)
    assert math.isclose(integrated_time(apart), integrated_time(x), rel_tol=1e-9)
    assert ess(x) > 3000
    assert ess(apart) < 6


def test_integrated_time_refuses_short_chains() -> None:
    """The random walk: its time is infinite, so any number would be wrong."""
    walk = np.cumsum(generator(2).standard_normal((500, 10)), axis=0)
    with pytest.raises(ValueError, match=r"draws must be at least trust = 50.0 tau long, got 500 steps at tau \d+"):
        integrated_time(walk)
    assert 10 < integrated_time(walk, trust=1) <= 499 / 5
    x = ar1(0.5, 400, 5)
    tau = integrated_time(x)
    assert integrated_time(x, trust=0.999 * 400 / tau) == tau
    with pytest.raises(ValueError, match="draws must be at least trust"):
        integrated_time(x, trust=1.001 * 400 / tau)


def test_integrated_time_refuses_antithetic_chains() -> None:
    with pytest.raises(ValueError, match=r"no time that a window of 5\.0 tau can find: it closes at lag 1, tau -0\.9"):
        integrated_time(np.array([[1.0, 2.0]] * 100) * (-1.0) ** np.arange(100)[:, None])
    with pytest.raises(ValueError, match=r"it closes at lag 2, tau -0\.524"):  # no antithetic chain, only a very short one
        integrated_time(generator(1).standard_normal((8, 1)), trust=1)


# --------------------------------------------------------------------------------------------- effective sample size

@pytest.mark.parametrize(("a", "deviation"), [(0.0, 0.012), (0.5, 0.0074), (0.9, 0.0025), (-0.3, 0.032), (-0.5, 0.07)])
def test_ess_of_ar1(a: float, deviation: float) -> None:
    """S (1 - a) / (1 + a), smaller and larger than S = 80000; cutting the sequence costs antithetic chains 3 %."""
    worth = (1 - a) / (1 + a)
    assert abs(ess(ar1(a, 4000, 20)) / 80000 - worth) < 5 * deviation + 0.03 * worth * (a < 0)


def geyer_by_hand(draws: Array) -> float:
    """The half chains, their ranks, every lag and every pair of Geyer's sequence, one at a time."""
    n = len(draws) // 2
    halves = np.concatenate([draws[:n], draws[-n:]], axis=1)
    z = scipy.stats.norm.ppf((scipy.stats.rankdata(halves).reshape(halves.shape) - 3 / 8) / (halves.size + 1 / 4))
    u, W = z - z.mean(axis=0), z.var(axis=0, ddof=1).mean()
    covariance = [np.sum(u[t:] * u[: n - t], axis=0).mean() / n for t in range(n)]
    rho = [1 - (W - c) / ((n - 1) / n * W + z.mean(axis=0).var(ddof=1)) for c in covariance]
    tau, least, pairs = -1.0, math.inf, [(1.0, rho[1]), *zip(rho[2::2], rho[3::2], strict=False)][: (n - 1) // 2]
    for k, (even, odd) in enumerate(pairs):
        if even + odd <= 0 or k == len(pairs) - 1:
            tau += even if even + odd > 0 else max(even, 0.0)
            break
        least = min(least, even + odd)
        tau += 2 * least
    return halves.size / max(tau, 1 / math.log10(halves.size))


@given(seed=seeds, steps=st.integers(10, 40), chains=st.integers(1, 3), a=st.floats(-0.9, 0.95))
def test_ess_is_the_sum_it_stands_for(seed: int, steps: int, chains: int, a: float) -> None:
    """Short chains, where the end of the sequence counts: its last pair, and one that is not positive."""
    x = ar1(a, steps, chains, seed)
    assert ess(x) == pytest.approx(geyer_by_hand(x), rel=1e-9)


def test_ess_of_independent_draws() -> None:
    """Over 500 seeds: mean 0.99 S, deviation 0.043 S."""
    assert abs(ess(generator(0).standard_normal((1000, 4))) / 4000 - 0.99) < 5 * 0.043


def test_ess_of_an_alternating_chain_is_its_bound() -> None:
    """S log10 S; of an odd number of steps the middle one is left out, which S does not count."""
    for steps in (100, 101):
        assert ess(np.array([[1.0, 2.0]] * steps) * (-1.0) ** np.arange(steps)[:, None]) == pytest.approx(200 * math.log10(200))


@given(seed=seeds, steps=st.integers(10, 60))
def test_ess_sees_ranks_only(seed: int, steps: int) -> None:
    """So no monotone map, heavy tails included, changes anything; nor does the order of the chains."""
    x = ar1(0.5, steps, 3, seed)
    for same in (np.sinh(3 * x), np.exp(x), 7 - 2.0**60 * x, x[:, ::-1]):
        assert ess(same) == pytest.approx(ess(x), rel=1e-9)


def test_ess_where_every_chain_stands_still() -> None:
    """One draw each, about: rho_t = 1 at all lags, so tau is 2 n less the lags that are left out."""
    stuck = np.zeros((200, 8)) + np.arange(8)
    assert ess(stuck) == pytest.approx(8, rel=0.05)


# ----------------------------------------------------------------------------------------------------------------- R-hat

@pytest.mark.parametrize("steps", [8, 9, 40])
@pytest.mark.parametrize("shift", [0.0, 1.0, 30.0])
def test_split_rhat_of_shifted_chains(steps: int, shift: float) -> None:
    """Two chains that alternate 0, 1, the second shifted by delta: W = n / (4 (n - 1)), the half means' variance delta^2 / 3.

    With no shift it is sqrt((n - 1) / n) < 1. The odd step in the middle would change W and the means; it is left out.
    """
    n = steps // 2
    half = np.arange(n) % 2.0
    chain = np.concatenate([half, [99.0] * (steps % 2), half])
    W = n / (4 * (n - 1))
    expected = math.sqrt((n - 1) / n + shift**2 / 3 / W)
    np.testing.assert_allclose(split_rhat(np.stack([chain, chain + shift], axis=1)), expected, rtol=1e-13)


def test_rhat_of_independent_chains() -> None:
    """Over 500 seeds: mean 1.0003, the largest 1.0021. Half the chains moved by 1: sqrt(1 + 2 / 7), deviation 0.008."""
    x = generator(3).standard_normal((1000, 4))
    for f in (rhat, split_rhat):
        assert abs(f(x) - 1) < 0.004
        assert abs(f(x + np.arange(4) % 2) - math.sqrt(9 / 7)) < 5 * 0.008
        assert f(x + 2 * np.arange(4)) > 1.5


def test_rhat_shows_a_drift_of_one_chain_by_splitting_it() -> None:
    x = generator(4).standard_normal((1000, 1))
    drift = np.linspace(0, 3, 1000)[:, None]
    for f in (rhat, split_rhat):
        assert f(x) < 1.01
        assert f(x + drift) > 1.3


def test_rhat_shows_by_folding_what_the_plain_one_does_not() -> None:
    """Equal means and unequal spread."""
    x = generator(5).standard_normal((1000, 4)) * [1, 1, 1, 5]
    assert split_rhat(x) < 1.01
    assert rhat(x) > 1.1


def test_rhat_shows_by_ranks_what_heavy_tails_hide() -> None:
    """Cauchy chains half of which are shifted: their variances swamp the shift. Ranked: 1.086, deviation 0.008."""
    x = generator(6).standard_cauchy((1000, 4)) + np.array([0, 0, 2, 2])
    assert split_rhat(x) < 1.02
    assert rhat(x) > 1.04


@pytest.mark.parametrize("steps", [4, 7, 50])
@pytest.mark.parametrize("place", [0.0, 0.1, -1e300, 1e-300])
def test_rhat_of_what_stands_still(steps: int, place: float) -> None:
    """1 where all draws are equal; infinity where chains, or halves, stand still in different places. Never NaN."""
    same = np.full((steps, 3), place)
    apart = same + (place or 1.0) * np.array([0, 0, 0.5])
    for f in (rhat, split_rhat):
        assert f(same) == 1
        assert f(apart) == math.inf
        halves = np.concatenate([same[: steps // 2], 3 * apart[: -(steps // 2)]])  # a chain's own halves differ
        assert f(halves[:, 2:]) == math.inf
        both: Any = f(np.stack([same, apart, np.arange(3.0 * steps).reshape(steps, 3)], axis=2))
        assert both[0] == 1
        assert both[1] == math.inf
        assert 1 < both[2] < 9


# ------------------------------------------------------------------------------------------------------------- any draws

@every
def test_time_comes_first(name: str) -> None:
    """Swapped axes: another answer, and no error where both shapes are legal."""
    x = ar1(0.6, 60, 40) + np.arange(40)
    right, wrong = ON_DRAWS[name](x), ON_DRAWS[name](x.T)
    assert np.shape(right) != np.shape(wrong) or abs(right / wrong - 1) > 0.2
    assert rhat(x) > 1.5
    if name == "autocorrelation":
        np.testing.assert_allclose(right[1].mean(), 0.6, atol=0.1)


@every
def test_positions_are_their_coordinates(name: str) -> None:
    f, x = ON_DRAWS[name], np.stack([ar1(a, 80, 3) for a in (0.0, 0.5, 0.8, 0.9)], axis=2)
    x.setflags(write=False)
    each = [f(x[:, :, i]) for i in range(4)]
    together = f(x)
    assert np.array_equal(together, np.stack(each, axis=-1))
    assert np.array_equal(f(x[:, :, :1]), np.stack(each[:1], axis=-1))
    assert together.dtype == np.float64
    if name != "autocorrelation":
        assert together.shape == (4,)
        assert all(type(e) is float for e in each)


@every
def test_scale_and_dtype_do_not_matter(name: str) -> None:
    f, x = ON_DRAWS[name], ar1(0.3, 61, 3).astype(np.float32)
    assert np.array_equal(f(x), f(x.astype(np.float64)))
    for power in (1000, -900):
        assert np.array_equal(f(x.astype(np.float64) * 2.0**power), f(x))
    np.testing.assert_allclose(f(5 - 3.0 * x), f(x), rtol=1e-4, atol=1e-6)
    whole = np.round(3 * x)
    assert np.array_equal(f(whole), f(whole.astype(np.int64)))
    assert np.array_equal(f(x > 0), f((x > 0).astype(float)))


def test_average_ranks() -> None:
    assert average_ranks(np.array([[5.0, 1.0], [5.0, 7.0], [5.0, 1.0]])).tolist() == [[4, 1.5], [4, 6], [4, 1.5]]
    assert average_ranks(np.array([2.0, 2.0])).tolist() == [1.5, 1.5]
    x = generator(7).integers(0, 9, (30, 3))
    assert np.array_equal(average_ranks(x), scipy.stats.rankdata(x).reshape(30, 3))


def test_normal_scores() -> None:
    """(r - 3/8) / (S + 1/4): of three draws 0.625, 1.625 and 2.625 of 3.25."""
    expected = scipy.stats.norm.ppf([2.625 / 3.25, 0.625 / 3.25, 0.5])
    np.testing.assert_allclose(normal_scores(np.array([30.0, -1.0, 2.0])), expected, rtol=1e-14, atol=1e-15)


# ------------------------------------------------------------------------------------------------------ zones, acceptance

def test_acceptance() -> None:
    assert acceptance(np.array([[True, False], [True, True], [False, True]])) == 4 / 6


def test_zone_weights() -> None:
    zones = np.array([[0, 3, 3], [3, 1, 0]])
    assert zone_weights(zones, 5).tolist() == [2 / 6, 1 / 6, 0, 3 / 6, 0]
    assert zone_weights(zones.astype(np.uint64).ravel(), 4).tolist() == [2 / 6, 1 / 6, 0, 3 / 6]
    assert zone_weights(np.array(1), 2).tolist() == [0, 1]


def test_switch_rate() -> None:
    """Along time, not between chains, and a switch back counts too."""
    assert switch_rate(np.array([[0, 1, 2]] * 5)) == 0
    assert switch_rate(np.array([[0, 1], [1, 1], [0, 1], [0, 2]])) == 3 / 6
    assert switch_rate(np.array([[0, 4], [1, 3]], np.uint8)) == 1


@given(seed=seeds, steps=st.integers(4, 30))
def test_mode_rhat_is_the_largest_of_the_indicators(seed: int, steps: int) -> None:
    """Of two zones the indicators are each other's mirror, so it is the R-hat of the zones themselves."""
    zones = generator(seed).integers(0, 4, (steps, 3))
    assert mode_rhat(zones, 4) == max(split_rhat(zones == k) for k in range(4))
    assert mode_rhat(zones, 6) == max(mode_rhat(zones, 4), 1.0)  # a zone never seen: 1
    assert mode_rhat(zones // 2, 2) == pytest.approx(split_rhat(zones // 2), rel=1e-12)


@pytest.mark.parametrize("name", range(3))
def test_mode_rhat_takes_zones_for_names(name: int) -> None:
    """Chains agree on all zones but two, wherever these stand: chain 0 has seen the one only, chain 1 the other only."""
    zones = generator(8).integers(0, 2, (400, 2))
    zones[::2] = [2, 3]
    hand = [split_rhat(zones == k) for k in range(4)]
    assert max(hand[:2]) < 1.02
    assert min(hand[2:]) > 1.2
    assert mode_rhat((zones + name) % 4, 4) == max(hand)


def test_mode_rhat_where_no_chain_moves() -> None:
    assert mode_rhat(np.full((20, 3), 2), 4) == 1
    assert mode_rhat(np.array([[0, 1, 0]] * 20), 2) == math.inf
    assert mode_rhat(np.array([[0, 1, 0]] * 20), 5) == math.inf
    assert mode_rhat(np.array([[0, 1, 2], [1, 0, 2]] * 10), 3) == math.inf  # the third never leaves, the others never come


def test_what_rhat_alone_does_not_say() -> None:
    """Two modes at -10 and 10. Small steps inside the mode that holds all: R-hat is large, and nothing is wrong with the
    modes. Good steps in one mode only: R-hat is 1, and half of the target has never been seen."""
    slow, blind = -10 + 0.3 * ar1(0.99, 300, 4), -10 + ar1(0.0, 300, 4)
    assert rhat(slow) > 1.05
    assert rhat(blind) < 1.01
    for x in (slow, blind):
        zones = (x > 0).astype(int)
        assert mode_rhat(zones, 2) == 1
        assert switch_rate(zones) == 0
        assert zone_weights(zones, 2).tolist() == [1, 0]


# ------------------------------------------------------------------------------------------------------------- bad input

def with_a(bad: float) -> Array:
    x = ar1(0.0, 20, 3)
    x[7, 1] = bad
    return x


@every
@pytest.mark.parametrize(("draws", "message"), [
    (np.zeros(20), r"draws must be real numbers \(steps, chains\) or \(steps, chains, d\).*shape \(20,\)"),
    (np.zeros((20, 2, 2, 1)), r"draws must be real numbers .* shape \(20, 2, 2, 1\)"),
    (np.zeros((20, 0)), r"draws must be real numbers .* shape \(20, 0\)"),
    (np.zeros((20, 2, 0)), r"draws must be real numbers .* shape \(20, 2, 0\)"),
    (np.zeros((20, 2), complex), "draws must hold real numbers, got dtype complex128"),
    (np.full((20, 2), "a"), "draws must hold real numbers, got dtype <U1"),
    (np.full((20, 2), None), "draws must hold real numbers, got dtype object"),
    (ar1(0.0, 3, 50), r"draws must have at least (4|10) steps, got shape \(3, 50\) \(time comes first\)"),
    (np.ones((3, 50, 2)), r"draws must have at least (4|10) steps, got shape \(3, 50\)"),
    (with_a(math.nan), r"draws must be finite, got 1 NaN or infinite values, the first at index \(7, 1\)"),
    (with_a(-math.inf), r"draws must be finite, got 1 NaN or infinite values, the first at index \(7, 1\)"),
])
def test_bad_draws(name: str, draws: Array, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ON_DRAWS[name](draws)


def test_ess_needs_ten_steps_and_a_draw_that_differs() -> None:
    with pytest.raises(ValueError, match=r"draws must have at least 10 steps, got shape \(9, 4\)"):
        ess(ar1(0.0, 9, 4))
    assert ess(ar1(0.0, 10, 4)) != ess(ar1(0.5, 10, 4))
    with pytest.raises(ValueError, match="draws must vary, got one value over and over"):
        ess(np.full((20, 3), 0.1))


@pytest.mark.parametrize("place", [0.1, 1e300, 3e-308])
def test_no_autocorrelation_of_a_chain_that_stands_still(place: float) -> None:
    x = place * ar1(0.0, 21, 3)
    x[:, 2] = place
    for f in (autocorrelation, integrated_time):
        with pytest.raises(ValueError, match="draws must vary in every chain, got 1 still, first chain 2"):
            f(x)
    with pytest.raises(ValueError, match="draws must vary in every chain, got 1 still, first chain 2"):
        autocorrelation(np.stack([place * ar1(0.0, 21, 3), x], axis=2))  # in its second coordinate


@pytest.mark.parametrize(("act", "message"), [
    (lambda: integrated_time(ar1(0.0, 20, 3), window=0.0), "window must be positive and finite, got 0.0"),
    (lambda: integrated_time(ar1(0.0, 20, 3), trust=math.nan), "trust must be positive and finite, got nan"),
    (lambda: acceptance(np.ones((5, 2))), r"accepted must hold booleans, at least one, got dtype float64, shape \(5, 2\)"),
    (lambda: acceptance(np.ones((0, 2), bool)), r"accepted must hold booleans, at least one, got dtype bool, shape \(0, 2\)"),
    (lambda: acceptance(np.ones(5, bool)), r"accepted must have shape \(steps, chains\), got \(5,\)"),
    (lambda: zone_weights(np.array([0.0, 1.0]), 2), "zones must hold integers, at least one, got dtype float64"),
    (lambda: zone_weights(np.array([True]), 2), "zones must hold integers, at least one, got dtype bool"),
    (lambda: zone_weights(np.zeros(0, int), 2), r"zones must hold integers, at least one, got dtype int64, shape \(0,\)"),
    (lambda: zone_weights(np.array([0, 2]), 2), "zones must lie in 0 .. 1, got values from 0 to 2"),
    (lambda: zone_weights(np.array([-1, 1]), 2), "zones must lie in 0 .. 1, got values from -1 to 1"),
    (lambda: zone_weights(np.array([0]), 0), "count must be an integer >= 1, got 0"),
    (lambda: switch_rate(np.array([0, 1])), r"zones must have shape \(steps, chains\), got \(2,\)"),
    (lambda: switch_rate(np.array([[0, 1]])), r"zones must have at least 2 steps, got shape \(1, 2\)"),
    (lambda: switch_rate(np.array([[0.5], [1.0]])), "zones must hold integers"),
    (lambda: mode_rhat(np.zeros((3, 9), int), 2), r"zones must have at least 4 steps, got shape \(3, 9\)"),
    (lambda: mode_rhat(np.zeros((9, 3, 2), int), 2), r"zones must have shape \(steps, chains\), got \(9, 3, 2\)"),
    (lambda: mode_rhat(np.full((9, 3), 2), 2), "zones must lie in 0 .. 1, got values from 2 to 2"),
    (lambda: mode_rhat(np.zeros((9, 3)), 2), "zones must hold integers"),
])
def test_bad_choices(act: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        act()
