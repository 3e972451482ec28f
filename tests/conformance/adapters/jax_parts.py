"""What several JAX adapters need: operations compiled as a whole, a target density, given instead of drawn numbers."""
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import jax
import jax.numpy as jnp

from evenflow.conformance.adapter import Operation
from evenflow.conformance.arrays import Array, Arrays


def compiled(table: Mapping[str, Operation]) -> dict[str, Operation]:
    """The same operations, each compiled: many times faster than one small operation after another. Floating-point arrays
    are its arguments; choices, masks and orders are known while it is compiled."""
    def whole(f: Operation) -> Operation:
        def run(i: Arrays) -> Arrays:
            free = {k: a for k, a in i.items() if isinstance(a, jax.Array) and jnp.issubdtype(a.dtype, jnp.floating)}
            result: Arrays = jax.jit(lambda part: f({**i, **part}))(free)
            return result
        return run
    return {name: whole(f) for name, f in table.items()}


def target(i: Arrays) -> Callable[[Array], Array]:
    """log p of one point (d,): the mixture of round normals under `target/`."""
    w, m, s = (i[f"target/{part}"] for part in ("weights", "means", "sds"))
    log_weights = jnp.log(w) - m.shape[1] * jnp.log(s * jnp.sqrt(2 * jnp.pi))
    return lambda x: jax.nn.logsumexp(log_weights - jnp.sum((x - m) ** 2, axis=1) / (2 * s**2))


def convolved(x: Array, W: Array, b: Array, stride: int, padding: int) -> Array:
    """Its convolution in our axes: x (n, h, w, c), W (k, k, c, o)."""
    axes = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, W, (stride, stride), 2 * [(padding, padding)], dimension_numbers=axes) + b


def images(table: Mapping[str, Operation]) -> dict[str, Operation]:
    """Operations of images (n, h, w, c), for our rows."""
    def turned(f: Operation) -> Operation:
        def run(i: Arrays) -> Arrays:
            v = "x" if "x" in i else "z"
            out = f({**i, v: i[v].reshape(-1, *i["shape"].tolist())})
            return {k: a.reshape(i[v].shape) if a.ndim > 1 else a for k, a in out.items()}
        return run
    return {name: turned(f) for name, f in table.items()}


@dataclass
class Asked:
    """Stands for a uniform number u and for its logarithm, and remembers what that was compared with."""
    u: Any
    log_ratio: Any = None

    def __lt__(self, log_ratio: Any) -> Any:
        self.log_ratio = log_ratio
        return jnp.log(self.u) < log_ratio


@contextmanager
def given(normal: Array, uniform: Array) -> Iterator[Asked]:
    """Inside, whatever draws normal or uniform numbers gets these; `log_ratio` is what log u was compared with."""
    asked, log = Asked(uniform), jnp.log

    def logarithm(a: Any) -> Any:
        return a if isinstance(a, Asked) else log(a)

    with (
        patch("jax.random.normal", lambda *_, **__: normal),
        patch("jax.random.multivariate_normal", lambda *_, **__: normal[None]),
        patch("jax.random.uniform", lambda *_, **__: asked),
        patch("jax.numpy.log", logarithm),
        jax.disable_jit(),  # so that a loop is unrolled, and what was compared in it can be handed out
    ):
        yield asked
