"""The energy of images: its layers by hand, its gradient against differences, the penalty on large energies."""
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from evenflow.reference.core.convolution import conv2d
from evenflow.reference.core.gradients import value_and_gradient
from evenflow.reference.core.optim import step_decay
from evenflow.reference.core.placement import placed
from evenflow.reference.core.trees import Array, Tree, leaves, size, tree_map
from evenflow.reference.ebm import PCD, ConvEnergy, FlowMCEBM, MLPEnergy, Rates
from evenflow.reference.ebm.energies import EBM, contrast
from evenflow.reference.flows.densities import Normal
from evenflow.reference.flows.flow import realnvp
from evenflow.reference.mcmc.contract import density_and_gradient
from evenflow.reference.mcmc.langevin import MALA
from tests import tolerances
from tests.strategies import directional_check, generator, randomise

SHAPES = [((4, 4, 1), (3, 5)), ((7, 7, 2), (3, 4, 2)), ((5, 8, 3), (2, 3)), ((2, 3, 1), (4,))]


def case(shape: Any = (4, 4, 1), widths: tuple[int, ...] = (3, 5), n: int = 6) -> tuple[ConvEnergy, Tree, Array]:
    """An energy that is not zero, and images."""
    energy = ConvEnergy(shape, widths)
    params = randomise(energy.init(generator(0)), generator(1))
    return energy, params, generator(2).standard_normal((n, energy.d))


# ----------------------------------------------------------------------------------------------------------- the energy

@pytest.mark.parametrize(("shape", "widths"), SHAPES)
def test_the_energy_is_its_layers(shape: Any, widths: tuple[int, ...]) -> None:
    """Odd sizes too: 7 -> 3 -> 1."""
    energy, params, x = case(shape, widths)
    h = x.reshape(-1, *shape)
    for depth, layer in enumerate(params[:-1]):
        assert layer["W"].shape[:2] == ((4, 4) if depth else (3, 3))
        h = conv2d(h, layer["W"], layer["b"], stride=2 if depth else 1, padding=1)
        assert h.shape[1:] == (shape[0] >> depth, shape[1] >> depth, widths[depth])
        h = np.where(h > 0, h, 0.05 * h)
    truth = h.reshape(len(x), -1) @ params[-1]["W"][:, 0]
    np.testing.assert_allclose(energy(params, x), truth, rtol=1e-10)
    assert "b" not in params[-1]


@pytest.mark.parametrize(("shape", "widths"), SHAPES)
def test_zero_at_the_start_and_the_zero_is_no_trap(shape: Any, widths: tuple[int, ...]) -> None:
    energy = ConvEnergy(shape, widths)
    params, x = energy.init(generator(0)), generator(1).standard_normal((8, energy.d))
    assert np.array_equal(energy(params, x), np.zeros(8))
    _, gradient = contrast(energy, params, x[:4], x[4:])
    assert max(np.abs(leaf).max() for leaf in leaves(gradient)) > 1e-3


def test_the_size_of_the_paper() -> None:
    """About 4.5M on 32 x 32 x 3; the numbers by hand."""
    energy = ConvEnergy((32, 32, 3), (80, 160, 320, 640))
    params = energy.init(generator(0))
    layers = [9 * 3 * 80 + 80, 16 * 80 * 160 + 160, 16 * 160 * 320 + 320, 16 * 320 * 640 + 640, 4 * 4 * 640]
    assert size(params) == sum(layers)
    assert round(size(params) / 1e6, 1) == 4.3


def test_weights_at_the_start_are_of_variance_one_over_fan_in() -> None:
    """The mean square of k weights has a relative standard deviation of sqrt(2 / k); 4.9 of them fail once in 1e6 seeds."""
    for layer in ConvEnergy((8, 8, 3), (32, 64)).init(generator(3))[:-1]:
        k, _, fan_in, _ = layer["W"].shape
        assert abs(np.mean(layer["W"] ** 2) * k * k * fan_in - 1) <= 4.9 * math.sqrt(2 / layer["W"].size)
        assert not layer["b"].any()


@pytest.mark.parametrize(("shape", "widths"), SHAPES)
def test_gradients_against_differences(shape: Any, widths: tuple[int, ...]) -> None:
    """In the parameters and, as samplers see it, in x. At these points no kink of the rectifier lies within the step."""
    energy, params, x = case(shape, widths)
    log_density = partial(EBM(energy).log_density, params)
    numeric, analytic = directional_check(
        lambda x: np.sum(log_density(x)), lambda x: density_and_gradient(x, log_density)[1], x, generator(3)
    )
    np.testing.assert_allclose(analytic, numeric, rtol=tolerances.GRADIENT_RTOL, atol=tolerances.GRADIENT_ATOL)
    numeric, analytic = directional_check(
        lambda theta: np.sum(energy(theta, x)), lambda theta: value_and_gradient(lambda t: energy(t, x).sum(), theta)[1],
        params, generator(4),
    )
    np.testing.assert_allclose(analytic, numeric, rtol=tolerances.GRADIENT_RTOL, atol=tolerances.GRADIENT_ATOL)


def test_float32_is_kept_and_rows_are_independent() -> None:
    energy, params, x = case((7, 7, 2), (3, 4, 2))
    whole = energy(params, x)
    assert energy(params, x[:0]).shape == (0,)
    for i in range(len(x)):
        np.testing.assert_allclose(energy(params, x[i : i + 1])[0], whole[i], rtol=1e-12)
    params, x = placed(params, np.float32), x.astype(np.float32)
    for array in (*leaves(params), x):
        array.flags.writeable = False
    assert energy(params, x).dtype == np.float32
    assert {leaf.dtype for leaf in leaves(contrast(energy, params, x, x[:2], None, 0.1)[1])} == {np.dtype(np.float32)}


# ---------------------------------------------------------------------------------------------------------- the penalty

@pytest.mark.parametrize("weighted", [False, True])
def test_the_penalty_is_that_of_both_sides(weighted: bool) -> None:
    """value + a (mean E(x+)^2 + sum w E(x-)^2), by hand; its gradient along random directions."""
    energy, params, x = case(n=9)
    positives, negatives, a = x[:4], x[4:] + 1, 0.7
    w = generator(5).dirichlet(np.ones(5)) if weighted else np.full(5, 0.2)

    def by_hand(theta: Tree) -> float:
        E, E_ = energy(theta, positives), energy(theta, negatives)
        return float(E.mean() - w @ E_ + a * (np.mean(E**2) + w @ E_**2))

    value, _ = contrast(energy, params, positives, negatives, w if weighted else None, a)
    np.testing.assert_allclose(value, by_hand(params), rtol=1e-12)
    for seed in range(3):
        numeric, analytic = directional_check(
            by_hand, lambda theta: contrast(energy, theta, positives, negatives, w if weighted else None, a)[1], params,
            generator(seed),
        )
        assert abs(numeric) > 1e-3
        np.testing.assert_allclose(analytic, numeric, rtol=tolerances.GRADIENT_RTOL, atol=tolerances.GRADIENT_ATOL)


def test_no_penalty_is_the_contrast_to_the_last_bit() -> None:
    energy, params, x = case(n=9)
    signed = np.concatenate([np.full(4, 1 / 4), np.full(5, -1 / 5)])
    value, gradient = value_and_gradient(lambda theta: (signed * energy(theta, x)).sum(), params)
    for given in ({}, {"penalty": 0.0}):
        said, slopes = contrast(energy, params, x[:4], x[4:], **given)
        assert said == value
        tree_map(np.testing.assert_array_equal, slopes, gradient)


ENERGY, FLOW = MLPEnergy(2, (4, 4)), realnvp(2, layers=2, hidden=(4,))
ALGORITHMS: dict[str, Callable[[float], Any]] = {
    "pcd": lambda a: PCD(ENERGY, Normal(2), steps=2, batch=6, buffer=6, penalty=a),
    "flowmc": lambda a: FlowMCEBM(ENERGY, FLOW, ((MALA(0.1), 2),), batch=6, buffer=6, penalty=a),
}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_algorithms_take_the_penalised_step(name: str) -> None:
    """One step of plain descent with a penalty is the one without plus -rate x penalty x the gradient of the squares."""
    plain, penalised = (ALGORITHMS[name](a) for a in (0.0, 0.5))
    state = plain.init(generator(0))
    state = state._replace(energy=randomise(state.energy, generator(1)))
    positives, noise = generator(2).standard_normal((5, 2)), plain.noise(generator(3))
    without, info = plain.step(state, positives, noise, Rates(0.1))
    after, penalised_info = penalised.step(state, positives, noise, Rates(0.1))
    negatives = after.chains[noise["chosen"]]

    def squares(theta: Tree) -> Any:
        E, E_ = ENERGY(theta, positives), ENERGY(theta, negatives)
        return (E**2).sum() / 5 + (E_**2).sum() / 6

    value, gradient = value_and_gradient(squares, state.energy)
    tree_map(lambda a, b, g: np.testing.assert_allclose(a, b - 0.1 * 0.5 * g, rtol=1e-9, atol=1e-12),
             after.energy, without.energy, gradient)
    np.testing.assert_allclose(penalised_info["contrast"], info["contrast"] + 0.5 * value, rtol=1e-12)
    assert np.array_equal(after.chains, without.chains)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("bad", [-1e-9, math.nan, math.inf])
def test_penalties_that_are_refused(name: str, bad: float) -> None:
    with pytest.raises(ValueError, match=f"penalty must be finite and at least 0, got {bad}"):
        ALGORITHMS[name](bad)


def test_no_penalty_is_what_is_chosen_where_nothing_is_said() -> None:
    assert ALGORITHMS["pcd"](0.0) == PCD(ENERGY, Normal(2), steps=2, batch=6, buffer=6)


# --------------------------------------------------------------------------------------------- the schedule, and bad input

def test_step_decay_by_hand() -> None:
    """Of the paper's images: times 0.99 every 50 steps."""
    rate = step_decay(1e-4, 0.99, 50)
    assert [rate(step) for step in (0, 49, 50, 99, 100)] == [1e-4, 1e-4, 1e-4 * 0.99, 1e-4 * 0.99, 1e-4 * 0.99**2]


@pytest.mark.parametrize(("act", "message"), [
    (lambda: ConvEnergy((4, 4)), r"shape must be \(h, w, c\), got \(4, 4\)"),  # type: ignore[arg-type]
    (lambda: ConvEnergy((4, 4, 0)), "shape must be an integer >= 1, got 0"),
    (lambda: ConvEnergy((4, 4, 1), (8, 0)), "widths must be an integer >= 1, got 0"),
    (lambda: ConvEnergy((4, 4, 1), ()), r"widths must be one at least, and few enough to halve \(4, 4, 1\), got \(\)"),
    (lambda: ConvEnergy((4, 4, 1), (2, 2, 2, 2)),
     r"widths must be one at least, and few enough to halve \(4, 4, 1\), got \(2, 2, 2, 2\)"),
    (lambda: case()[0](case()[1], np.zeros((3, 15))), r"x must have shape \(n, 16\), got \(3, 15\)"),
    (lambda: step_decay(0.0, 0.5, 2), "rate must be positive and finite, got 0.0"),
    (lambda: step_decay(1.0, -0.5, 2), "factor must be positive and finite, got -0.5"),
    (lambda: step_decay(1.0, 0.5, 0), "every must be an integer >= 1, got 0"),
])
def test_bad_input(act: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        act()
