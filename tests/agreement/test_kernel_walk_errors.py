"""Walks that come where a density is none: the kernel's message is the reference's."""
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evenflow.accel import backends, kernels
from evenflow.reference.core.networks import MLP
from evenflow.reference.mcmc import contract, langevin, metropolis
from evenflow.reference.mcmc.hmc import HMC
from tests.agreement.kernel_forms import KERNELS, begun, walked
from tests.standin import xp

backends.register(xp)


def flat_start(move: str, d: int) -> Any:
    state = langevin.State(np.full((5, d), 1e-30, np.float32), np.zeros(5, np.float32), np.zeros((5, d), np.float32))
    return metropolis.State(*state[:2]) if move == "random_walk" else state


@pytest.mark.parametrize("move", KERNELS)
@pytest.mark.parametrize(("W", "said"), [
    ([np.nan, 1.0], "log_density must be finite, or -inf outside the support, got nan at"),
    ([1e38, -1e38], "log_density must be finite, or -inf outside the support, got inf at"),
    ([1e20, 1e20], "the gradient of log_density must be finite, got .* at"),
    ([1e38, 1.0], "1 chains have left the support: step_size 0.5 is too large for this density"),
])
def test_what_is_no_density_is_an_error(move: str, W: list[float], said: str) -> None:
    """NaN, +inf, a density that is finite where its gradient overflows, ULA at -inf; chain 3 alone, and at the second step."""
    params = [{"W": np.full((1, 1), w, np.float32), "b": np.zeros(1, np.float32)} for w in W]
    start, noise = begun(move, langevin.State(*flat_start("mala", 1)), kernels.Given(
        np.zeros((2, 5, 1), np.float32), np.zeros((2, 5), np.float32)
    ))
    noise.normal[0 if "left" in said else 1, 3] = 1e-30 if "gradient" in said else 10.0
    kernel = replace(KERNELS[move], step_size=0.5)
    log_density = lambda x: -MLP(1, 1, (1,), "relu")(params, x)[:, 0]
    draws: Any = [{name: part[k] for name, part in noise._asdict().items() if part is not None} for k in range(2)]
    expected = said_by(lambda: contract.walk(kernel, start, draws, log_density))
    found = said_by(lambda: walked(params, start, noise, 0.5, "relu", None, move, getattr(kernel, "leapfrog_steps", 1)))
    assert found == expected
    if not (("gradient" in said and move == "random_walk") or ("left" in said and move != "ula")):
        assert re.match(said, found)


def test_a_trajectory_that_fails_on_its_way() -> None:
    """At the second leapfrog step of the second step: the message is of that point."""
    params = [{"W": np.full((1, 1), w, np.float32), "b": np.zeros(1, np.float32)} for w in (1e19, -1e19)]
    start = langevin.State(np.full((3, 1), -1, np.float32), np.zeros(3, np.float32), np.zeros((3, 1), np.float32))
    normal, uniform = np.zeros((2, 3, 1), np.float32), np.zeros((2, 3), np.float32)
    normal[1, 2] = 4
    noise, draws = kernels.Given(normal, uniform), [{"normal": normal[k], "uniform": uniform[k]} for k in range(2)]
    log_density = lambda x: -MLP(1, 1, (1,), "relu")(params, x)[:, 0]
    expected = said_by(lambda: contract.walk(HMC(0.5, 3), start, draws, log_density))
    assert re.match("log_density must be finite, or -inf outside the support, got inf at", expected)
    assert said_by(lambda: walked(params, start, noise, 0.5, "relu", None, "hmc", 3)) == expected


def said_by(call: Callable[[], Any]) -> str:
    """The message of the FloatingPointError that it raises; nothing if it raises none."""
    try:
        with np.errstate(all="ignore"):
            call()
    except FloatingPointError as error:
        return str(error)
    return ""
