"""What the algorithms share beside the gradient of the likelihood: how a network is moved, and how a failure is noticed."""
from typing import Any

import autograd.numpy as np

from evenflow.reference.core.checks import check_positive
from evenflow.reference.core.gradients import value_and_gradient
from evenflow.reference.core.optim import Adam, check_all_finite, global_norm
from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.flows.flow import Flow
from evenflow.reference.mcmc.contract import Kernel, LogDensity, log_density_at


def descend(optimiser: Adam, params: Tree, gradient: Tree, memory: Tree, rate: float) -> tuple[Tree, Tree, float]:
    """The next parameters, the optimiser's next state (memory: the last one), and the gradient's norm.

    A rate of 0 freezes both: Adam would gather moments meanwhile, of a time that should leave no trace.
    Raises FloatingPointError for what is not finite, ValueError for a rate below 0.
    """
    norm = global_norm(gradient)
    if not np.isfinite(norm):
        raise FloatingPointError(f"the gradient must be finite, got the norm {norm}")
    if rate == 0:
        return params, memory, norm
    check_positive("rate", rate)
    with np.errstate(all="ignore"):
        params, memory = optimiser.update(params, gradient, memory, rate)
    check_all_finite("after the update, the parameter", params)
    check_all_finite("after the update, the optimiser's state", memory)
    return params, memory, norm


def forward_divergence(flow: Flow, params: Tree, x: Array) -> tuple[float, Tree]:
    r"""$-\frac1n \sum_i \log\lambda(x_i)$ and its gradient: up to a constant, the divergence from the x (n, d) to the flow."""
    def loss(alpha: Tree) -> Array:
        return -np.sum(flow.log_prob(alpha, x)) / len(x)

    return finite_value_and_gradient("the flow's loss", loss, params)


def finite_value_and_gradient(what: str, loss: Any, params: Tree) -> tuple[float, Tree]:
    """Raises FloatingPointError for a value that is not finite; `descend` looks at the gradient."""
    with np.errstate(all="ignore"):
        value, gradient = value_and_gradient(loss, params)
    if not np.isfinite(value):
        raise FloatingPointError(f"{what} must be finite, got {value}")
    return float(value), gradient


def started(kernel: Kernel, x: Array, log_density: LogDensity) -> Any:
    """The kernel's state at x. Chains that were alive under another p may be outside this one: FloatingPointError."""
    check_alive(log_density_at(x, log_density))
    return kernel.init(x, log_density)


def check_alive(log_p: Array) -> None:
    gone = int(np.sum(~np.isfinite(log_p)))
    if gone:
        raise FloatingPointError(f"{gone} of {len(log_p)} chains have left the support of the model: is a step size too large?")


def check_moves(moves: Tree, steps: int) -> None:
    if len(moves) != steps:
        raise ValueError(f'noise["moves"] must be for {steps} steps, got {len(moves)}')
