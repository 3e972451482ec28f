"""What an algorithm that trains an energy-based model is.

A frozen dataclass of choices with

    init(rng, ...) -> state                                    a NamedTuple of trees: networks, optimisers, chains
    noise(rng) -> noise                                        all the randomness that one step consumes
    step(state, positives, noise, rates) -> (state, info)      one training step, a pure function of its arguments
    log_density(state, x) -> (n,)                              log p(x) + log Z of the model so far

positives (n, d) are a batch of data; info is a dict of floats. The files beside this one hold one algorithm each and are meant
to be laid side by side: `step` has one order in all of them, and the numbers in its margin are those of the list at the top of
the file. They share the gradient of the likelihood (`energies.contrast`), the kernels, and `updates.py`.
"""
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from evenflow.reference.core import SGD, Adam, Array, Tree, check_count
from evenflow.reference.flows import Density, Uniform

Optimiser: TypeAlias = Adam | SGD
Info: TypeAlias = dict[str, float]  # "contrast": mean E(data) - mean E(samples); "gradient_norm": of the energy's; and its own


class Rates(NamedTuple):
    """The learning rates of one step.

    >>> Rates(0.01).flow
    0.0
    """
    energy: float
    flow: float = 0.0


class Algorithm(Protocol):
    def init(self, rng: np.random.Generator, *flow_params: Tree) -> Any: ...
    def noise(self, rng: np.random.Generator) -> Tree: ...
    def step(self, state: Any, positives: Array, noise: Tree, rates: Rates) -> tuple[Any, Info]: ...
    def log_density(self, state: Any, x: Array) -> Array: ...


def check_buffer(batch: int, buffer: int) -> None:
    """Raise ValueError unless the persistent chains are at least as many as one step moves."""
    check_count("batch", batch)
    check_count("buffer", buffer)
    if buffer < batch:
        raise ValueError(f"buffer must hold at least a batch of chains, got buffer {buffer} and batch {batch}")


def check_unbounded(name: str, density: Density | None) -> None:
    """Raise ValueError for a density on a cube: of steps that are never refused one leaves it, sooner or later."""
    if isinstance(density, Uniform):
        why = "the chains' steps are not adjusted, and nothing keeps them in the cube"
        raise ValueError(f"{name} must not end anywhere, got {density}: {why}; a normal one fits, or moves that are adjusted")


def check_dimensions(**parts: Any) -> None:
    """Raise ValueError unless all parts have one d."""
    if len({part.d for part in parts.values()}) > 1:
        names = " and ".join(parts)
        raise ValueError(f"{names} must agree in d, got {' and '.join(str(part.d) for part in parts.values())}")
