"""What the algorithms share: the model, how energy and flow are moved, how chains are, and how a failure is noticed."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import autograd.numpy as np

from evenflow.reference.core import Array, Tree, anywhere, check_positive, finite, told, value_and_gradient
from evenflow.reference.core.optim import check_all_finite, global_norm
from evenflow.reference.ebm.contract import Info, Optimiser
from evenflow.reference.ebm.energies import EBM, Energy, contrast
from evenflow.reference.flows import Density
from evenflow.reference.mcmc.contract import Kernel, LogDensity, log_density_at, walk


class Tilted:
    """What the algorithms have whose model is e^-E rho / Z. tilt: rho, None for 1."""
    energy: Energy
    tilt: Density | None

    @property
    def ebm(self) -> EBM:
        return EBM(self.energy, self.tilt)

    def log_density(self, state: Any, x: Array) -> Array:
        return self.ebm.log_density(state.energy, x)


def energy_step(
    algorithm: Any, state: Any, positives: Array, negatives: Array, rate: float, weights: Array | None = None,
    penalty: float = 0.0,
) -> tuple[Tree, Info]:
    r"""theta <- theta - gamma_E (mean grad E(x+) - mean grad E(x-)): what of the state is new, and what the step has to say.

    weights (m,): of the negatives, if they have any; penalty: of large energies (`contrast`).
    """
    difference, gradient = contrast(algorithm.energy, state.energy, positives, negatives, weights, penalty)
    energy, memory, norm = descend(algorithm.energy_optimiser, state.energy, gradient, state.energy_optimiser, rate)
    return {"energy": energy, "energy_optimiser": memory}, {"contrast": difference, "gradient_norm": told(norm)}


def flow_step(algorithm: Any, state: Any, negatives: Array, rate: float) -> tuple[Tree, Info]:
    """alpha <- alpha + gamma_flow mean grad log lambda(x-), the forward divergence from the samples to the flow. Likewise."""
    def loss(alpha: Tree) -> Array:
        return -np.sum(algorithm.flow.log_prob(alpha, negatives)) / len(negatives)

    value, gradient = finite_value_and_gradient("the flow's loss", loss, state.flow)
    flow, memory, _ = descend(algorithm.flow_optimiser, state.flow, gradient, state.flow_optimiser, rate)
    return {"flow": flow, "flow_optimiser": memory}, {"flow_loss": told(value)}


def descend(optimiser: Optimiser, params: Tree, gradient: Tree, memory: Tree, rate: float) -> tuple[Tree, Tree, Array]:
    """The next parameters, the optimiser's next state (memory: the last one), and the gradient's norm.

    A rate of 0 freezes both: Adam would gather moments meanwhile, of a time that should leave no trace.
    Raises FloatingPointError for what is not finite, ValueError for a rate below 0.
    """
    norm = global_norm(gradient)
    if not finite(norm):
        raise FloatingPointError(f"the gradient must be finite, got the norm {float(norm)}")
    if np.isscalar(rate):  # a rate that lives on a device is never 0: train_ebm has looked at it
        if rate == 0:
            return params, memory, norm
        check_positive("rate", rate)
    with np.errstate(all="ignore"):
        params, memory = optimiser.update(params, gradient, memory, rate)
    check_all_finite("after the update, the parameter", params)
    check_all_finite("after the update, the optimiser's state", memory)
    return params, memory, norm


def finite_value_and_gradient(what: str, loss: Any, params: Tree) -> tuple[Array, Tree]:
    """Raises FloatingPointError for a value that is not finite; `descend` looks at the gradient."""
    with np.errstate(all="ignore"):
        value, gradient = value_and_gradient(loss, params)
    if not finite(value):
        raise FloatingPointError(f"{what} must be finite, got {float(value)}")
    return value, gradient


def moved(kernel: Kernel, x: Array, moves: Sequence[Tree], steps: int, log_density: LogDensity) -> tuple[Array, Array]:
    """The chains x (chains, d) after a step for each noise in moves, which must be `steps`; the acceptances (steps, chains)."""
    if len(moves) != steps:
        raise ValueError(f'noise["moves"] must be for {steps} steps, got {len(moves)}')
    with alive(x, log_density):
        start = kernel.init(x, log_density)
    after, _, accepted = walk(kernel, start, moves, log_density)
    return after.x, accepted


@contextmanager
def alive(x: Array, log_density: LogDensity) -> Iterator[None]:
    """Chains that were inside another p's support may be outside this one's: FloatingPointError where a kernel refuses them."""
    try:
        yield
    except ValueError:
        check_alive(log_density_at(x, log_density))
        raise


def written(chains: Array, chosen: Array, x: Array) -> Array:
    """The persistent chains with x in the places of those chosen."""
    chains = chains.copy()
    chains[chosen] = x
    return chains


def check_alive(log_p: Array) -> None:
    gone = ~np.isfinite(log_p)
    if anywhere(gone):
        left = f"{int(np.sum(gone))} of {len(log_p)} chains have left the support of the model"
        raise FloatingPointError(f"{left}: is a step size too large?")
