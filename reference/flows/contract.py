"""What a bijection is: a frozen dataclass of static choices. Its parameters are a separate tree.

**Forward is noise -> data, always.** Each direction returns its own log_det: of forward, log |det dx/dz| (n,); of inverse,
log |det dz/dx| (n,), so that the two add up to zero at corresponding points.
"""
from typing import Any, Protocol, runtime_checkable

import numpy as np

from evenflow.reference.core import Array, Tree, check_context, check_count, check_shape


class Bijection(Protocol):
    """z (n, d), context (n, context_dim) or None <-> x (n, d), log_det (n,)."""

    @property
    def d(self) -> int: ...
    @property
    def context_dim(self) -> int: ...
    def init(self, rng: np.random.Generator) -> Tree: ...
    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]: ...
    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]: ...


@runtime_checkable
class Forecaster(Protocol):
    """A bijection that, in training, forecasts the data part by part (SAEF): what a score is to compare.

    x (n, d) the data, z (m n, d) noise -> for each part its draws (m, n, k) and the data's part (n, k).
    """

    def forecasts(self, params: Tree, x: Array, z: Array, context: Array | None = None) -> list[tuple[Array, Array]]: ...


class Transformer(Protocol):
    """An increasing map of one number, applied elementwise, its shape given by unconstrained raw numbers; the identity at 0.

    raw (..., width), z (...) <-> x (...), log derivative (...). Couplings and autoregressive flows differ in the source of raw.
    """

    @property
    def width(self) -> int: ...
    def forward(self, raw: Array, z: Array) -> tuple[Array, Array]: ...
    def inverse(self, raw: Array, x: Array) -> tuple[Array, Array]: ...


def check_input(bijection: Any, name: str, array: Array, context: Array | None) -> None:
    """Raise ValueError unless array is (n, d) and context is (n, context_dim), or None where context_dim is 0."""
    check_shape(name, array, "n", bijection.d)
    check_context(context, array.shape[0], bijection.context_dim)


def check_same_shape(**arrays: Array) -> None:
    """Raise ValueError unless all have the shape of the first: a core never broadcasts."""
    (first, model), *others = arrays.items()
    for name, array in others:
        if array.shape != model.shape:
            raise ValueError(f"{name} must have the shape of {first}, {model.shape}, got {array.shape}")


def draws_each(z: Array, x: Array) -> int:
    """m, where z (m n, d) is noise for m draws of each datum x (n, d). Raises ValueError for other numbers of rows."""
    check_count("the number of data", x.shape[0])
    m, rest = divmod(z.shape[0], x.shape[0])
    if rest or m < 1:
        raise ValueError(f"noise must be for m n samples, n = {x.shape[0]}, got noise for {z.shape[0]}")
    return int(m)
