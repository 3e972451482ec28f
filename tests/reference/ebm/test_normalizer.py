"""log Z: exact where p = c q, closed forms, the temperatures one by one, quadrature precision, and that bad input is named."""
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expit

from evenflow.reference.core.trees import Array
from evenflow.reference.ebm.normalizer import CHUNK, LogZ, annealed, bridge, grid, importance, lattice
from evenflow.reference.mcmc.langevin import MALA
from evenflow.reference.targets.mixtures import four_modes, high_dimensional, two_modes
from tests.strategies import generator, seeds

EXACT = 1e-12  # a few roundings of log densities of size 100
ONCE = np.array([0.3, -1.0, 2.0])
constants = st.floats(-300, 300)


def normal(mean: float, sd: float, log_c: float = 0.0) -> Callable[[Array], Array]:
    """log of c N(mean, sd^2 I)."""
    return lambda x: log_c - ((x - mean) ** 2).sum(axis=1) / (2 * sd**2) - x.shape[1] * math.log(sd * math.sqrt(2 * math.pi))


# ----------------------------------------------------------------------------------------------------------- importance

@given(seed=seeds, n=st.integers(2, 50), log_c=constants)
def test_importance_is_exact_where_p_is_c_times_q(seed: int, n: int, log_c: float) -> None:
    log_q = 30 * generator(seed).standard_normal(n)
    said = importance(log_q + log_c, log_q)
    assert said.log_z == pytest.approx(log_c, abs=EXACT)
    assert n - EXACT * n <= said.ess <= n
    assert said.standard_error <= 1e-6  # the root of a rounding error


@given(seed=seeds, n=st.integers(2, 50), log_c=constants)
def test_importance_is_the_mean_weight_with_its_error(seed: int, n: int, log_c: float) -> None:
    """By the formulas as they stand, where nothing overflows; and a constant moves log_z alone."""
    rng = generator(seed)
    log_p, log_q = rng.standard_normal(n), rng.standard_normal(n)
    w = np.exp(log_p - log_q)
    said = importance(log_p, log_q)
    assert said.log_z == pytest.approx(math.log(w.mean()), abs=EXACT)
    assert said.ess == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=EXACT)
    assert said.standard_error == pytest.approx(w.std() / math.sqrt(n) / w.mean(), rel=1e-9)
    shifted = importance(log_p + log_c, log_q)
    assert shifted == pytest.approx(LogZ(said.log_z + log_c, said.ess, said.standard_error), rel=1e-9)


def test_importance_far_beyond_what_exp_can_hold() -> None:
    said = importance(np.array([-5000.0, -5000.0, -9000.0]), np.array([5000.0, 5000.0, 0.0]))
    assert said == pytest.approx(LogZ(-9000 + math.log(1 / 3), 1.0, math.sqrt(2 / 3)))


def test_impossible_draws_weigh_nothing() -> None:
    said = importance(np.array([0.0, -math.inf, 0.0, -math.inf]), np.zeros(4))
    assert said == pytest.approx(LogZ(-math.log(2), 2.0, 0.5))


@given(seed=seeds, n=st.integers(2, 50))
def test_no_rounding_lifts_the_effective_size_above_the_draws(seed: int, n: int) -> None:
    assert importance(1e-16 * generator(seed).integers(-20, 20, n), np.zeros(n)).ess <= n


def test_one_draw_has_no_known_error() -> None:
    assert importance(np.array([1.5]), np.array([0.5])) == LogZ(1.0, 1.0, math.inf)


def test_results_are_plain_numbers_and_float32_is_summed_in_float64() -> None:
    log_p = generator(0).standard_normal(1000).astype(np.float32)
    said = importance(log_p, 0 * log_p)
    assert [type(number) for number in said] == [float] * 3
    assert said == importance(log_p.astype(np.float64), np.zeros(1000))


# ------------------------------------------------------------------------------------------------------------ annealing

class Standing(NamedTuple):
    x: Array


class Recorder:
    """A kernel that moves every point by its noise, whatever the density, and remembers the density it was given."""
    def __init__(self) -> None:
        self.log_f: list[Array] = []
        self.at: list[Array] = []

    def noise(self, rng: np.random.Generator, chains: int, d: int) -> Array:
        return rng.standard_normal((chains, d))

    def init(self, x: Array, log_density: Callable[[Array], Array]) -> Standing:
        self.log_f.append(log_density(ONCE[:, None]))
        self.at.append(x)
        return Standing(x)

    def step(self, state: Standing, noise: Array, log_density: Callable[[Array], Array]) -> tuple[Standing, None]:
        assert (log_density(ONCE[:, None]) == self.log_f[-1]).all()
        return Standing(state.x + noise), None


def test_temperatures_one_by_one() -> None:
    """The weight at step k is taken before the move, the move is at b_k, and nothing moves at 0 or at 1."""
    log_p, log_q, rng = normal(1.0, 0.5, 3.0), normal(0.0, 1.0), generator(0)
    b, x, kernel = (0.0, 0.1, 0.4, 1.0), rng.standard_normal((6, 1)), Recorder()
    noise = [kernel.noise(rng, 6, 1) for _ in range(2)]
    said, end, log_w = annealed(log_p, log_q, x, b, kernel, noise)
    steps = [x, x + noise[0], x + noise[0] + noise[1]]
    np.testing.assert_array_equal(end, steps[2])
    np.testing.assert_array_equal(kernel.at, steps[:2])
    for k, log_f in enumerate(kernel.log_f, start=1):
        np.testing.assert_allclose(log_f, (1 - b[k]) * log_q(ONCE[:, None]) + b[k] * log_p(ONCE[:, None]), rtol=1e-14)
    slope = [log_p(at) - log_q(at) for at in steps]
    np.testing.assert_allclose(log_w, 0.1 * slope[0] + 0.3 * slope[1] + 0.6 * slope[2], rtol=1e-12)
    assert said == importance(log_w, np.zeros(6))


@given(seed=seeds, steps=st.integers(1, 6), log_c=constants)
def test_annealing_is_exact_where_the_path_is_trivial(seed: int, steps: int, log_c: float) -> None:
    """p = c q: whatever moves the points and however far, log Z = log c and every weight is the same."""
    rng = generator(seed)
    b = np.concatenate([[0], np.sort(rng.uniform(0.01, 0.99, steps - 1)), [1]])
    kernel = Recorder()
    noise = [kernel.noise(rng, 9, 2) for _ in range(steps - 1)]
    said = annealed(normal(0.0, 1.0, log_c), normal(0.0, 1.0), rng.standard_normal((9, 2)), b, kernel, noise)[0]
    assert said.log_z == pytest.approx(log_c, abs=EXACT)
    assert said.ess == pytest.approx(9, rel=EXACT)


@given(seed=seeds, steps=st.integers(1, 6))
def test_annealing_points_that_stand_still_is_importance_sampling(seed: int, steps: int) -> None:
    log_p, log_q, rng = normal(1.0, 0.5, 3.0), normal(0.0, 1.0), generator(seed)
    x = rng.standard_normal((20, 2))
    b = np.linspace(0, 1, steps + 1)
    said, end, log_w = annealed(log_p, log_q, x, b, Recorder(), [np.zeros((20, 2))] * (steps - 1))
    assert said == pytest.approx(importance(log_p(x), log_q(x)), rel=1e-9)
    assert log_w == pytest.approx(log_p(x) - log_q(x), rel=1e-9)
    assert end is x if steps == 1 else (end == x).all()


def test_annealing_leaves_its_inputs_alone_and_repeats_bit_for_bit() -> None:
    kernel, rng, x = MALA(0.1), generator(1), generator(2).standard_normal((30, 2))
    noise, before = [kernel.noise(rng, 30, 2) for _ in range(4)], x.copy()
    first, second = (annealed(normal(1.0, 0.5), normal(0.0, 1.0), x, np.linspace(0, 1, 6), kernel, noise) for _ in range(2))
    assert (x == before).all()
    assert first[0] == second[0]
    assert (first[1] == second[1]).all()
    assert (first[1] != x).any()


# --------------------------------------------------------------------------------------------------------------- bridge

def samples(seed: int, n_p: int, n_q: int) -> tuple[Array, Array, Array, Array]:
    """Of p = e^2 N(1, 0.8^2) and q = N(0, 1): log densities of both at draws of both."""
    rng, log_p, log_q = generator(seed), normal(1.0, 0.8, 2.0), normal(0.0, 1.0)
    at_p, at_q = 1 + 0.8 * rng.standard_normal((n_p, 1)), rng.standard_normal((n_q, 1))
    return log_p(at_p), log_q(at_p), log_p(at_q), log_q(at_q)


@given(seed=seeds, n_p=st.integers(1, 40), n_q=st.integers(1, 40), log_c=constants)
def test_bridge_is_exact_where_p_is_c_times_q(seed: int, n_p: int, n_q: int, log_c: float) -> None:
    rng = generator(seed)
    at_p, at_q = 30 * rng.standard_normal(n_p), 30 * rng.standard_normal(n_q)
    said = bridge(at_p + log_c, at_p, at_q + log_c, at_q)
    assert said.log_z == pytest.approx(log_c, abs=EXACT)
    assert said.ess == pytest.approx(min(n_p, n_q), rel=1e-9)


@given(seed=seeds, n_p=st.integers(2, 40), n_q=st.integers(2, 40))
def test_bridge_is_the_root_and_the_fixed_point(seed: int, n_p: int, n_q: int) -> None:
    """The root by another solver; Meng & Wong's own iteration stays there; and its error is theirs."""
    log_p_at_p, log_q_at_p, log_p_at_q, log_q_at_q = parts = samples(seed, n_p, n_q)
    l_p, l_q, m = log_p_at_p - log_q_at_p, log_p_at_q - log_q_at_q, math.log(n_p / n_q)
    said = bridge(*parts)
    assert said.log_z == pytest.approx(
        brentq(lambda c: expit(l_q + m - c).sum() - expit(c - m - l_p).sum(), -50, 50, xtol=1e-13), abs=1e-11)
    s_p, s_q, r = n_p / (n_p + n_q), n_q / (n_p + n_q), math.exp(said.log_z)
    top, bottom = np.exp(l_q) / (s_p * np.exp(l_q) / r + s_q), 1 / (s_p * np.exp(l_p) / r + s_q)
    assert top.mean() / bottom.mean() == pytest.approx(r, rel=1e-10)
    variance = top.var() / top.mean() ** 2 / n_q + bottom.var() / bottom.mean() ** 2 / n_p
    assert said.standard_error == pytest.approx(math.sqrt(variance), rel=1e-6)
    assert 1 <= said.ess <= min(n_p, n_q)


@given(seed=seeds, log_c=constants)
def test_bridge_backwards_is_the_negative_and_a_constant_is_added(seed: int, log_c: float) -> None:
    log_p_at_p, log_q_at_p, log_p_at_q, log_q_at_q = parts = samples(seed, 20, 30)
    there, back = bridge(*parts), bridge(log_q_at_q, log_p_at_q, log_q_at_p, log_p_at_p)
    assert there.log_z == pytest.approx(-back.log_z, abs=EXACT)
    assert there.standard_error == pytest.approx(back.standard_error)
    more = bridge(log_p_at_p + log_c, log_q_at_p, log_p_at_q + log_c, log_q_at_q)
    assert more.log_z == pytest.approx(there.log_z + log_c, abs=EXACT)


def test_bridge_over_a_gulf_where_every_term_underflows() -> None:
    """The best bridge of samples that are 2,000 nats apart on either side is in the middle."""
    said = bridge(np.zeros(3), np.full(3, -2000.0), np.full(3, -2000.0), np.zeros(3))
    assert said == pytest.approx(LogZ(0.0, 3.0, 0.0), abs=1e-9)


def test_bridge_between_supports_that_overlap_in_part() -> None:
    """p = 3 on [1, 3], q = 1/2 on [0, 2]: Z = 6. With half of either sample in common, Z is right to the last digit."""
    inf = math.inf
    log3, half = math.log(3), math.log(0.5)
    said = bridge(np.full(4, log3), np.array([half, half, -inf, -inf]), np.array([log3, log3, -inf, -inf]), np.full(4, half))
    assert said.log_z == pytest.approx(math.log(6), abs=1e-14)
    assert said.ess == pytest.approx(2)


# ----------------------------------------------------------------------------------------------------------------- grid

@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("log_c", [0.0, -800.0, 800.0])
def test_grid_on_a_gaussian_is_exact_to_rounding(d: int, log_c: float) -> None:
    """8 deviations to each edge leave out 1e-15; cells of 0.16 deviations."""
    at = lattice([-3.0, -5.0][:d], [5.0, 3.0][:d], 100)
    said = grid(lambda x: normal(0.0, 0.5, log_c)(x - np.array([1.0, -1.0])[:d]), at)
    assert said.log_z == pytest.approx(log_c, abs=EXACT)
    assert said.mass.sum() == pytest.approx(1, abs=EXACT)
    assert said.lattice is at
    mean = said.mass @ at.points
    assert mean == pytest.approx(np.array([1.0, -1.0])[:d], abs=EXACT)
    assert said.mass @ (at.points - mean) ** 2 == pytest.approx(np.full(d, 0.25), abs=EXACT)


@pytest.mark.parametrize("target", [two_modes(), four_modes(), high_dimensional(2, "paper")])
def test_grid_gives_zone_weights(target: Any) -> None:
    at = lattice((-8.0, -8.0), (8.0, 8.0), 200)
    said = grid(target.log_prob, at)
    assert said.log_z == pytest.approx(0, abs=1e-11)  # cells of 0.36 of the smallest deviation
    weights = np.bincount(target.zones(at.points), said.mass, target.count)
    assert weights == pytest.approx(target.zone_weights(), abs=2e-3)


def test_lattice_points_are_midpoints_row_by_row() -> None:
    at = lattice((0.0, -1.0), (3.0, 2.0), 3)
    assert at.points.tolist() == [[a, b] for a in (0.5, 1.5, 2.5) for b in (-0.5, 0.5, 1.5)]
    assert at.cell == 1.0
    assert lattice((0,), (1,), 4).points.tolist() == [[0.125], [0.375], [0.625], [0.875]]
    assert lattice((0,), (1,), 4).cell == 0.25
    assert lattice((0.0, 0.0), (1.0, 4.0), 2).cell == 1.0


def test_grid_in_chunks_is_the_same_and_never_more_at_a_time() -> None:
    sizes: list[int] = []

    def log_density(x: Array) -> Array:
        sizes.append(len(x))
        return normal(0.0, 1.0)(x)

    at = lattice((-4.0, -4.0), (4.0, 4.0), 200)
    said = grid(log_density, at)
    assert sum(sizes) == 40_000
    assert max(sizes) <= CHUNK < 40_000
    np.testing.assert_array_equal(said.log_p, normal(0.0, 1.0)(at.points))


def test_grid_outside_the_support_has_no_mass() -> None:
    with np.errstate(divide="ignore"):
        said = grid(lambda x: np.log((x[:, 0] > 0) * 1.0), lattice((-1.0,), (3.0,), 8))
    assert said.log_z == pytest.approx(math.log(3))
    assert said.mass == pytest.approx(np.array([0, 0, *[1 / 6] * 6]))


# ------------------------------------------------------------------------------------------------------------ bad input

def anneal(**changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "log_p": normal(0.0, 1.0), "log_q": normal(0.0, 1.0), "x": np.zeros((3, 1)), "temperatures": (0.0, 0.5, 1.0),
        "kernel": Recorder(), "noise": [np.ones((3, 1))],
    }
    return annealed(**arguments | changes)


ZERO, NAN, INF = np.zeros(3), np.array([0.0, math.nan, 0.0]), np.array([0.0, 0.0, math.inf])


@pytest.mark.parametrize(("call", "message"), [
    (lambda: importance(ZERO, np.zeros(2)), r"log_p must have shape \(2,\), got \(3,\)"),
    (lambda: importance(np.zeros((3, 1)), ZERO), r"log_p must have shape \(3,\), got \(3, 1\)"),
    (lambda: importance(ZERO, np.zeros((3, 1))), r"log_q must have shape \(n,\), got \(3, 1\)"),
    (lambda: importance(NAN, ZERO), r"log_p must be finite, got 1 NaN .* index \(1,\)"),
    (lambda: importance(INF, ZERO), r"log_p must be finite, got 1 NaN .* index \(2,\)"),
    (lambda: importance(ZERO, -INF), "log_q must be finite"),
    (lambda: importance(ZERO, NAN), "log_q must be finite"),
    (lambda: importance(np.full(3, -math.inf), ZERO), "log_p must be finite somewhere, got 3 points, all -inf"),
    (lambda: importance(np.zeros(0), np.zeros(0)), "log_p must be finite somewhere, got 0 points, all -inf"),
    (lambda: anneal(temperatures=(0.0, 0.5)), "temperatures must increase from 0 to 1"),
    (lambda: anneal(temperatures=(0.1, 0.5, 1.0)), "temperatures must increase from 0 to 1"),
    (lambda: anneal(temperatures=(0.0, 0.5, 0.5, 1.0)), "temperatures must increase from 0 to 1"),
    (lambda: anneal(temperatures=(0.0, math.nan, 1.0)), "temperatures must increase from 0 to 1"),
    (lambda: anneal(temperatures=(1.0,)), "temperatures must increase from 0 to 1"),
    (lambda: anneal(temperatures=1.0), r"temperatures must have shape \(K \+ 1,\), got \(\)"),
    (lambda: anneal(noise=[]), "noise must be for each of the 1 temperatures between 0 and 1, got 0"),
    (lambda: anneal(x=np.zeros(3)), r"x must have shape \(n, d\), got \(3,\)"),
    (lambda: anneal(log_p=lambda x: x), r"log_p\(x\) must have shape \(3,\), got \(3, 1\)"),
    (lambda: anneal(log_q=lambda x: x), r"log_q\(x\) must have shape \(3,\), got \(3, 1\)"),
    (lambda: anneal(log_p=lambda x: NAN), r"log_p\(x\) must be finite, got 1 NaN"),
    (lambda: anneal(log_q=lambda x: NAN), r"log_q\(x\) must be finite, got 1 NaN"),
    (lambda: anneal(log_p=lambda x: np.full(len(x), -math.inf)), r"log_p\(x\) must be finite somewhere"),
    (lambda: anneal(  # each draw is impossible once, but never all of them at a time
        log_p=lambda x: np.array([-math.inf, 0.0, 0.0]) if (x == 0).all() else np.array([0.0, -math.inf, -math.inf])),
     "the product of all weights must be finite somewhere"),
    (lambda: bridge(ZERO, np.zeros(2), ZERO, ZERO), r"log_q_at_p must have shape \(3,\), got \(2,\)"),
    (lambda: bridge(ZERO, ZERO, np.zeros(2), ZERO), r"log_p_at_q must have shape \(3,\), got \(2,\)"),
    (lambda: bridge(-INF, ZERO, ZERO, ZERO), "log_p_at_p must be finite"),
    (lambda: bridge(ZERO, ZERO, ZERO, -INF), "log_q_at_q must be finite"),
    (lambda: bridge(ZERO, INF, ZERO, ZERO), "log_q_at_p must be finite"),
    (lambda: bridge(ZERO, ZERO, NAN, ZERO), "log_p_at_q must be finite"),
    (lambda: bridge(ZERO, np.full(3, -math.inf), ZERO, ZERO), "log_q_at_p must be finite somewhere"),
    (lambda: bridge(ZERO, ZERO, np.full(3, -math.inf), ZERO), "log_p_at_q must be finite somewhere"),
    (lambda: bridge(np.zeros(0), np.zeros(0), ZERO, ZERO), "log_q_at_p must be finite somewhere, got 0 points"),
    (lambda: bridge(ZERO, ZERO, np.zeros(0), np.zeros(0)), "log_p_at_q must be finite somewhere, got 0 points"),
    (lambda: lattice((0.0,), (1.0,), 0), "points must be an integer >= 1, got 0"),
    (lambda: lattice((0.0,), (1.0, 1.0), 3), r"high must have shape \(1,\), got \(2,\)"),
    (lambda: lattice((0.0, 1.0), (1.0, 1.0), 3), "low must be below high"),
    (lambda: lattice((0.0,), (math.inf,), 3), "low must be below high"),
    (lambda: lattice((0.0,) * 3, (1.0,) * 3, 3), "low must be below high, both finite with one or two coordinates"),
    (lambda: grid(lambda x: x, lattice((0.0,), (1.0,), 3)), r"log_density\(points\) must have shape \(3,\), got \(3, 1\)"),
    (lambda: grid(lambda x: NAN, lattice((0.0,), (1.0,), 3)), r"log_density\(points\) must be finite, got 1 NaN"),
    (lambda: grid(lambda x: INF, lattice((0.0,), (1.0,), 3)), r"log_density\(points\) must be finite, got 1 NaN"),
    (lambda: grid(lambda x: np.full(len(x), -math.inf), lattice((0.0,), (1.0,), 3)), "finite somewhere, got 3 points"),
])
def test_bad_input_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_mala_says_which_draw_is_outside_the_support() -> None:
    with (np.errstate(divide="ignore"), pytest.raises(ValueError, match="x must start every chain inside the support")):
        anneal(log_p=lambda x: np.array([0.0, -math.inf, 0.0]) + 0 * x[:, 0], kernel=MALA(0.1), noise=[
            MALA(0.1).noise(generator(0), 3, 1)])
