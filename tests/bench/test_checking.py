"""What decides whether a time counts: errors, Adam's step from a peer's own gradient, what chains are worth."""
import math

import numpy as np
import pytest

from evenflow import accel
from evenflow.reference.core.trees import tree_map
from tests.bench import cases, models
from tests.bench.checking import asked, error, errors, limit, worth
from tests.bench.inputs import make
from tests.bench.peers.evenflow import prepare


def test_errors_by_hand() -> None:
    right = np.array([3.0, 4.0])
    assert error(np.array([3.0, 4.5]), right) == pytest.approx(0.1)
    assert error(np.array([3.0, math.nan]), right) == math.inf
    assert error(np.array([3.0]), right) == math.inf
    assert errors({}, {"value": np.array(1.0)}) == {"value": math.inf}
    chains = np.ones((3, 200, 2))
    other = chains.copy()
    other[2, 7] = 50.0            # one chain in a hundred may go another way
    other[1, 9, 0] = 51.0
    assert error(other, chains) == 0.0
    other[0, 8] = -50.0           # a third may not
    assert error(other, chains) > 1.0
    assert error(chains * 1.01, chains) == pytest.approx(0.01)


def test_what_chains_are_worth() -> None:
    """Independent draws: about one effective sample each, and the right weights; in one zone: the other's weight is lost."""
    rng = np.random.default_rng(0)
    x = models.TARGET.sample(models.TARGET.noise(rng, 40_000)).reshape(1_000, 40, 2)
    found = worth(x)
    assert found["ess_a_step"] == pytest.approx(40, rel=0.2)
    assert found["zone_error"] < 5 * math.sqrt(0.35 * 0.65 / 40_000)
    left = worth(x - np.array([10.0, 0.0]))
    assert left["zone_error"] == pytest.approx(1 - models.TARGET.zone_weights()[0])


def test_a_step_is_judged_by_the_gradient_that_it_was_made_from() -> None:
    """Noise in small entries of the gradient moves the step far and is no mistake; Adam's own mistakes are seen."""
    case = cases.saef(4, 8)
    inputs = make(case.kind, case.sizes)
    wide = tree_map(lambda leaf: leaf.astype(np.float64) if leaf.dtype.kind == "f" else leaf, inputs)
    with accel.use("numpy"):
        right, found = ((work := prepare(case.kind, case.sizes, given)).outputs(work.call()) for given in (wide, inputs))
    assert errors(asked(right, right, inputs), right)["step"] < 1e-12
    assert errors(found, asked(right, found, inputs))["step"] < 5e-5
    noisy = {**right, "gradient": right["gradient"] + 0.01}
    noisy["step"] = asked(right, noisy, inputs)["step"]
    assert errors(noisy, right)["step"] > 0.01
    assert errors(noisy, asked(right, noisy, inputs))["step"] == 0
    for wrong in ({"step": found["step"] * 1.001}, {"step": -1e-3 * np.sign(found["gradient"])}):  # Adam without its past
        assert errors({**found, **wrong}, asked(right, found, inputs))["step"] > limit(2.0**-23)
    assert errors({}, asked(right, {}, inputs))["step"] == math.inf
