"""An adapter made of JAX functions: arrays go in and come out, and gradients are jax's. Importing it turns on float64."""
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from evenflow.conformance.adapter import Operation, offered
from evenflow.conformance.arrays import Arrays, differentiable

jax.config.update("jax_enable_x64", True)


@dataclass(frozen=True)
class JaxFunctions:
    """{operation: function of arrays by name}; single numbers and words come as they are, never traced."""
    name: str
    table: Mapping[str, Operation]
    dtype: str = "float64"

    def call(self, operation: str, inputs: Arrays) -> Arrays:
        return {k: np.asarray(out) for k, out in offered(self.table, operation)(placed(inputs)).items()}

    def vjp(self, operation: str, inputs: Arrays, cotangents: Arrays) -> Arrays:
        f, given = offered(self.table, operation), placed(inputs)
        wanted = {k: a for k, a in given.items() if differentiable(inputs[k])}

        def needed(part: Mapping[str, Any]) -> dict[str, Any]:
            outputs = f({**given, **part})
            return {k: outputs[k] for k in cotangents}

        _, pull = jax.vjp(needed, wanted)
        return {k: np.asarray(g) for k, g in pull({k: jax.numpy.asarray(c) for k, c in cotangents.items()})[0].items()}


def placed(inputs: Arrays) -> dict[str, Any]:
    return {k: jax.numpy.asarray(a) if a.dtype.kind != "U" and a.ndim else a[()] for k, a in inputs.items()}
