r"""A step size that follows the acceptance (Grenioux et al. 2023, published code).

$$\eta \leftarrow 1.05\,\eta \;\text{ above }\; 0.75 + 0.03, \qquad \eta \leftarrow \eta / 1.05 \;\text{ below }\; 0.75 - 0.03$$

of the proposals accepted, counted over the chains at every step.

A kernel leaves p invariant only while its step size is frozen: one that answers to where the chains have been makes the next
move depend on their past. What is drawn during the warm-up is not a sample of p; what is drawn after it is.
"""
from dataclasses import replace
from typing import Protocol, TypeVar

import numpy as np

from evenflow.reference.core import Array, anywhere, arrays, check_count, check_positive
from evenflow.reference.mcmc.contract import Kernel, LogDensity, noise_like
from evenflow.reference.mcmc.langevin import ULA


class Adaptable(Kernel, Protocol):
    """A dataclass with a step size, such as RandomWalk, MALA, HMC. What its state holds does not depend on the step size."""

    @property
    def step_size(self) -> float: ...


K = TypeVar("K", bound=Adaptable)


def adapted(step_size: float, acceptance: float, target: float = 0.75, margin: float = 0.03, factor: float = 1.05) -> float:
    """The next step size, after a share `acceptance` (0 ... 1) of the proposals was accepted.

    >>> adapted(1.0, acceptance=0.9), adapted(1.0, acceptance=0.75)
    (1.05, 1.0)
    """
    check_positive("step_size", step_size)
    if anywhere(np.logical_not((acceptance >= 0) & (acceptance <= 1))):
        raise ValueError(f"acceptance must lie between 0 and 1, got {acceptance}")
    return step_size * factor ** (acceptance > target + margin) / factor ** (acceptance < target - margin)


@arrays("x")
def warm_up(kernel: K, x: Array, log_density: LogDensity, steps: int, rng: np.random.Generator) -> tuple[K, Array]:
    """Run `steps` adapting steps from x (chains, d): the kernel with its step size frozen, and the chains' positions.

    A kernel inside another (FlowMC) is warmed up by itself. Raises ValueError for one without a step size, and for ULA, which
    accepts everything, so that its step would grow without end.

    >>> from evenflow.reference.mcmc import MALA
    >>> kernel, x = warm_up(MALA(0.1), np.zeros((3, 2)), lambda x: -np.sum(x**2, axis=1) / 2, 5, np.random.default_rng(0))
    >>> kernel.step_size > 0.1, x.shape
    (True, (3, 2))
    """
    check_count("steps", steps)
    if not hasattr(kernel, "step_size") or isinstance(kernel, ULA):
        raise ValueError(f"kernel must have a step_size and refuse some proposals, got {type(kernel).__name__}")
    state, tuned = kernel.init(x, log_density), kernel
    check_count("the number of chains", len(x))
    for _ in range(steps):
        state, info = tuned.step(state, noise_like(x, tuned, rng), log_density)
        step_size = adapted(tuned.step_size, int(np.sum(info.accepted)) / len(x))
        tuned = replace(tuned, step_size=step_size)  # type: ignore[type-var]
    return tuned, state.x
