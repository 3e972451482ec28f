"""The toy sets: densities that integrate to 1, that can be differentiated, that keep dtype; samplers that refuse bad noise."""
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from autograd import elementwise_grad
from hypothesis import given
from hypothesis import strategies as st

from evenflow.reference.targets.mixtures import eight_gaussians, high_dimensional, mixture_log_prob
from evenflow.reference.targets.toys import TARGETS, Checkerboard, Pinwheel, Rings, Spirals, TwoMoons, two_arms

WITH_DENSITY = [name for name in TARGETS if name != "pinwheel"]
SMOOTH = [name for name in WITH_DENSITY if name != "checkerboard"]


def grid(half_width: float, cells: int) -> tuple[Any, float]:
    """Midpoints (cells^2, 2) of a grid over a square, and the area of a cell."""
    step = 2 * half_width / cells
    middle = -half_width + step * (np.arange(cells) + 0.5)
    return np.stack(np.meshgrid(middle, middle, indexing="ij"), axis=-1).reshape(-1, 2), step**2


def gradient(log_prob: Callable[[Any], Any], x: Any) -> Any:
    return elementwise_grad(log_prob)(x)


def mass(target: Any, half_width: float, cells: int) -> float:
    points, area = grid(half_width, cells)
    return float(sum(np.exp(target.log_prob(part)).sum() for part in np.array_split(points, 20)) * area)


@pytest.mark.parametrize(("target", "half_width", "tolerance"), [
    (eight_gaussians(), 3.0, 1e-12), (eight_gaussians(radius=2.83, sd=0.35), 6.0, 1e-12), (TwoMoons(), 3.5, 1e-10),
    (TwoMoons(sd=0.4), 6.0, 1e-10), (Spirals(), 5.0, 1e-10), (Checkerboard(), 5.0, 1e-12),
    (Checkerboard(squares=3, side=1.0), 2.5, 1e-12),
    (Rings(), 6.0, 1e-4), (Rings(rings=2, sd=0.8), 9.0, 1e-2),  # 1/|x| at the origin: the midpoint rule is slow there
])
def test_density_integrates_to_one(target: Any, half_width: float, tolerance: float) -> None:
    assert mass(target, half_width, 120) == pytest.approx(1, abs=tolerance)


def test_rings_fold_negative_radii_exactly() -> None:
    """Along the radius the density integrates to 1 to rounding, at an sd where a tenth of the radii are negative."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    r = 8 * (nodes + 1)
    p = np.exp(Rings(rings=1, sd=0.8).log_prob(np.stack([r, 0 * r], axis=1)))
    assert np.sum(8 * weights * 2 * np.pi * r * p) == pytest.approx(1, abs=1e-13)


def test_rings_are_finite_at_the_origin() -> None:
    at = np.array([[0.0, 0.0], [-0.0, 1e-200]])
    assert np.isfinite(Rings().log_prob(at)).all()
    assert np.isfinite(gradient(Rings().log_prob, at)).all()


@pytest.mark.parametrize("target", [TwoMoons(), TwoMoons(sd=0.03), TwoMoons(sd=1.0), Spirals(), Spirals(sd=0.4), Spirals(1.0)])
def test_quadrature_is_as_accurate_as_the_module_says(target: Any) -> None:
    """Against at least four times as many nodes, spread in another way."""
    rng = np.random.default_rng(0)
    near, far = target.sample(target.noise(rng, 200)), rng.uniform(-4, 4, (400, 2))
    nodes, weights = np.polynomial.legendre.leggauss(24)  # on 100 pieces: 2,400 nodes, where the spirals take 600
    t, weights = ((np.arange(100)[:, None] + (nodes + 1) / 2) / 100).ravel(), np.tile(weights / 200, 100)
    arms = two_arms(target.curve, t**2, 2 * t * weights) if isinstance(target, Spirals) else two_arms(target.curve, t, weights)

    def fine(x: Any) -> Any:
        return mixture_log_prob(x, *arms, target.sd)

    assert target.log_prob(near) == pytest.approx(fine(near), abs=1e-9, rel=0)
    far = far[fine(far) > -1000]
    assert target.log_prob(far) == pytest.approx(fine(far), abs=1e-7, rel=0)


@pytest.mark.parametrize("name", SMOOTH)
def test_gradient_against_finite_differences(name: str) -> None:
    target, rng = TARGETS[name](), np.random.default_rng(1)
    x, direction, h = target.sample(target.noise(rng, 50)), rng.standard_normal((50, target.d)), 1e-5
    slope = np.sum(gradient(target.log_prob, x) * direction, axis=1)
    difference = (target.log_prob(x + h * direction) - target.log_prob(x - h * direction)) / (2 * h)
    assert slope == pytest.approx(difference, rel=1e-5, abs=1e-5)


def test_checkerboard_is_flat_inside_and_impossible_outside() -> None:
    x = np.array([[-3.9, -3.9], [-3.9, -1.9], [0.1, 0.1], [4.1, 4.1], [-4.1, 3.9], [1e9, 1e9]])
    log_p = Checkerboard().log_prob(x)
    assert log_p == pytest.approx(np.array([-np.log(32), -np.inf, -np.log(32), -np.inf, -np.inf, -np.inf]))
    assert (gradient(Checkerboard().log_prob, x) == 0).all()


def test_pinwheel_claims_no_density() -> None:
    assert not hasattr(Pinwheel(), "log_prob")


def test_pinwheel_arms_are_the_turned_gaussians_of_the_definition() -> None:
    """Arm k turned back by its angle and rate e^a is the noise it was made from; and the turn is clockwise."""
    target, rng = Pinwheel(), np.random.default_rng(2)
    noise = target.noise(rng, 100)
    a = 1 + 0.3 * noise["normals"][:, 0]
    z = target.sample(noise) @ np.array([1, 1j]) / 2 * np.exp(1j * (2 * np.pi / 5 * noise["component"] + 0.25 * np.exp(a)))
    assert z.real == pytest.approx(a)
    assert z.imag == pytest.approx(0.1 * noise["normals"][:, 1])


def test_known_points() -> None:
    """Without noise the samples lie on the curves: scikit-learn's moons, the spirals' ends, a Gaussian's centre."""
    still = {"component": np.array([0, 0, 1, 1]), "uniforms": np.array([0, 0.5, 0.5, 1]), "normals": np.zeros((4, 2))}
    assert TwoMoons().sample(still) == pytest.approx(np.array([[1, 0], [0, 1], [1, -0.5], [2, 0.5]]))
    assert Spirals().sample(still)[[0, 3]] == pytest.approx(np.array([[0, 0], [-np.pi, 0]]))
    assert eight_gaussians().sample({"component": np.array([2]), "normals": np.zeros((1, 2))}) == pytest.approx(
        np.array([[0.0, 1.0]]))


def test_zones_of_rings_are_halfway_between_them_whatever_the_angle() -> None:
    angle = np.linspace(0, 6, 7)
    r = np.array([0.0, 0.9, 1.4999, 1.5001, 2.6, 3.4, 1e200])
    x = r[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert Rings().zones(x).tolist() == [0, 0, 0, 1, 2, 2, 3]
    assert Rings().zones(x).dtype == np.int64
    assert Rings(rings=1).zones(x).tolist() == [0] * 7
    assert (Rings(rings=5).count, eight_gaussians().count) == (5, 8)


@pytest.mark.parametrize("target", [Rings(), Rings(sd=0.8), Rings(rings=1, sd=2.0), Rings(rings=2, sd=1.5)])
def test_zone_weights_of_rings_by_quadrature(target: Rings) -> None:
    """Along the radius, to rounding; with the wide ones much falls below r = 0."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    edges = [0.0, *np.arange(1.5, target.rings), target.rings + 16 * target.sd]
    masses = []
    for low, high in pairwise(edges):
        r = low + (high - low) * (nodes + 1) / 2
        p = np.exp(target.log_prob(np.stack([r, 0 * r], axis=1)))
        masses.append(np.sum((high - low) / 2 * weights * 2 * np.pi * r * p))
    assert target.zone_weights() == pytest.approx(np.array(masses), abs=1e-13)


def test_eight_gaussians_begin_at_angle_0_and_their_zones_are_sectors() -> None:
    angle = np.pi / 4 * np.array([0, 0.4, 1, 2.6, 7.4, 7.6])
    x = 5 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert eight_gaussians().zones(x).tolist() == [0, 0, 1, 3, 7, 0]


def test_names_stand_for_the_mixtures_of_the_paper() -> None:
    assert TARGETS["two-modes"]().weights == (1 / 3, 2 / 3)
    assert TARGETS["four-modes"]().weights == (0.1, 0.2, 0.3, 0.4)
    for d in (16, 32, 64):
        assert TARGETS[f"mixture-{d}"]() == high_dimensional(d, "code")


@given(name=st.sampled_from(sorted(TARGETS)), n=st.integers(0, 20), seed=st.integers(0, 99))
def test_float32_stays_float32_rows_are_independent_and_noise_is_untouched(name: str, n: int, seed: int) -> None:
    target = TARGETS[name]()
    noise = target.noise(np.random.default_rng(seed), n)
    before = {key: array.copy() for key, array in noise.items()}
    x = target.sample(noise)
    assert x.shape == (n, target.d)
    assert x.dtype == np.float64
    assert all((noise[key] == before[key]).all() for key in noise)
    single = {key: array.astype(np.float32) if array.dtype.kind == "f" else array for key, array in noise.items()}
    assert target.sample(single).dtype == np.float32
    if name in WITH_DENSITY and n:
        assert target.log_prob(x.astype(np.float32)).dtype == np.float32
        assert target.log_prob(x)[:1] == pytest.approx(target.log_prob(x[:1]), rel=1e-12)


def test_whole_numbers_are_points_too() -> None:
    assert TwoMoons().log_prob(np.array([[1, 0]])) == pytest.approx(TwoMoons().log_prob(np.array([[1.0, 0.0]])))


@pytest.mark.parametrize(("call", "message"), [
    (lambda: eight_gaussians(sd=0.0), "sds must be positive"),
    (lambda: Rings().zones(np.zeros((3, 1))), r"x must have shape \(n, 2\), got \(3, 1\)"),
    (lambda: Rings().zones(np.array([[0.0, np.nan]])), "x must be finite"),
    (lambda: Rings(rings=0), "rings must be an integer >= 1"),
    (lambda: Spirals(turns=float("nan")), "turns must be positive"),
    (lambda: Checkerboard(squares=2.5), "squares must be an integer"),  # type: ignore[arg-type]
    (lambda: TwoMoons().log_prob(np.zeros((3, 3))), r"x must have shape \(n, 2\), got \(3, 3\)"),
    (lambda: eight_gaussians().sample({"component": np.array([8]), "normals": np.zeros((1, 2))}), "from 0 to 7"),
    (lambda: eight_gaussians().sample({"component": np.array([-1]), "normals": np.zeros((1, 2))}), "from 0 to 7"),
    (lambda: TwoMoons().sample({"component": np.array([0, 1]), "uniforms": np.zeros(2), "normals": np.zeros((1, 2))}),
     r"normals must have shape \(2, 2\), got \(1, 2\)"),
])
def test_bad_input_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("target", [Checkerboard(), Checkerboard(3, 0.1), Checkerboard(8, 1 / 3), Checkerboard(2, 1e3)])
def test_samples_of_a_checkerboard_are_on_its_squares(target: Checkerboard, dtype: type) -> None:
    """Noise that rounds to 1, or is as near to it or to 0 as can be, does not lead into the next square."""
    count, edges = len(target.corners()), np.array([0.0, 1e-17, 0.5, 1 - 2.0**-53, 1.0])
    component, u, v = (a.ravel() for a in np.meshgrid(np.arange(count), edges, edges))
    x = target.sample({"component": component, "uniforms": np.stack([u, v], axis=1).astype(dtype)})
    assert x.dtype == dtype
    assert np.isfinite(target.log_prob(x)).all()
