"""The mixture below the flow: its density, its draws, what EM makes of points that are clusters, or none, or few."""
import numpy as np
import pytest
from autograd import elementwise_grad

from evenflow.reference.work.clusters import SHARE, WIDE, NormalMixture, clusters

L = np.array([[[1.0, 0.0], [0.5, 2.0]], [[0.3, 0.0], [-0.2, 0.1]]])
MEANS, WEIGHTS = np.array([[0.0, 0.0], [3.0, -1.0]]), (0.7, 0.3)
MIXTURE = NormalMixture(WEIGHTS, tuple(map(tuple, MEANS.tolist())), tuple(tuple(map(tuple, one)) for one in L.tolist()))


def by_hand(x: np.ndarray) -> np.ndarray:
    total = np.zeros(len(x))
    for w, m, factor in zip(WEIGHTS, MEANS, L, strict=True):
        S = factor @ factor.T
        square = np.sum((x - m) * np.linalg.solve(S, (x - m).T).T, axis=1)
        total += w * np.exp(-square / 2) / np.sqrt(np.linalg.det(2 * np.pi * S))
    return np.log(total)


def test_the_density_is_the_formula() -> None:
    x = np.random.default_rng(0).standard_normal((50, 2)) * 2
    np.testing.assert_allclose(MIXTURE.log_prob(x), by_hand(x), rtol=1e-10)
    step = np.array([1e-6, 0.0])
    difference = (by_hand(x + step) - by_hand(x - step)) / 2e-6
    np.testing.assert_allclose(elementwise_grad(MIXTURE.log_prob)(x)[:, 0], difference, rtol=1e-5, atol=1e-5)


def test_draws_have_its_moments() -> None:
    """100,000 draws, 5 errors each: four statistics, 2e-6."""
    n = 100_000
    x = MIXTURE.sample(MIXTURE.noise(np.random.default_rng(0), n))
    mean = WEIGHTS @ MEANS
    second = sum(w * (f @ f.T + np.outer(m, m)) for w, m, f in zip(WEIGHTS, MEANS, L, strict=True))
    variance = np.diag(second - np.outer(mean, mean))
    assert (np.abs(x.mean(axis=0) - mean) < 5 * np.sqrt(variance / n)).all()
    off = (x - mean) ** 2
    assert (np.abs(off.mean(axis=0) - variance) < 5 * off.std(axis=0) / n**0.5).all()


def test_two_shapes_are_found_and_are_round_in_u() -> None:
    """A thin cluster and a wide one, 3 : 1, two hundred deviations apart in scale."""
    rng = np.random.default_rng(0)
    thin = rng.standard_normal((1500, 2)) * [0.01, 1.0]
    wide = rng.standard_normal((500, 2)) * [2.0, 1.0] + [30.0, 0.0]
    white, base = clusters(np.concatenate([thin, wide]), rng)
    weights, means = np.array(base.weights), np.array(base.means) @ white["W"].T + white["b"]
    left = means[:, 0] < 15
    assert weights[left].sum() == pytest.approx(0.75, abs=0.02)
    assert (np.abs(means[left, 0]) < 0.1).all()
    factors = white["W"] @ np.array(base.factors)
    sd = np.sqrt(np.sum(factors**2, axis=2))                  # of the components, in x: (k, 2)
    narrow = weights > 2 * SHARE * weights.max()              # without the wide twins
    assert (sd[left & narrow, 0] < 0.1).all()
    assert sd[~left & narrow, 0] == pytest.approx(2.0, rel=0.2)
    half = len(weights) // 2
    np.testing.assert_allclose(weights[half:], weights[:half] * SHARE / (1 - SHARE))
    np.testing.assert_allclose(base.factors[half:], WIDE * np.array(base.factors[:half]))


def test_one_normal_is_one_and_becomes_white() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3000, 3)) @ np.array([[1e3, 0, 0], [200.0, 1, 0], [0, 0.5, 1e-3]])
    white, base = clusters(x, rng, most=1)
    assert len(base.weights) == 2
    u = np.linalg.solve(white["W"], (x - white["b"]).T)
    np.testing.assert_allclose(np.cov(u), np.eye(3), atol=0.1)


@pytest.mark.parametrize("n", [5, 40])
def test_few_points_and_repeated_ones_make_a_density_too(n: int) -> None:
    """Fewer than coordinates, most of them the same."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.standard_normal((n // 5 + 1, 10)), 5, axis=0)
    white, base = clusters(x, rng)
    assert np.isfinite(base.log_prob(np.linalg.solve(white["W"], (x - white["b"]).T).T)).all()
