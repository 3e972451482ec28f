"""evenflow itself: the definitions, their fused twins on NumPy, in C++, on a CUDA device; NumPy also in float32.

    evenflow conform evenflow.conformance.adapters.evenflow:reference
    evenflow conform evenflow.conformance.adapters.evenflow:numpy, :numpy_float32, :compiled, :cupy
"""
from dataclasses import dataclass

from autograd import make_vjp

from evenflow.accel import use
from evenflow.accel.backends import to_host
from evenflow.accel.devices import available, to_device
from evenflow.conformance.adapter import offered, versioned
from evenflow.conformance.arrays import Arrays, differentiable, of_dtype
from evenflow.conformance.operations import OPERATIONS
from evenflow.reference.core.trees import Tree


@dataclass(frozen=True)
class Evenflow:
    backend: str
    dtype: str = "float64"

    @property
    def name(self) -> str:
        """Raises ValueError where the backend cannot be had."""
        there = next(row for row in available() if row.backend == self.backend)
        if not there.available:
            raise ValueError(there.details)
        return f"{versioned('evenflow', 'numpy', 'autograd')}, backend {self.backend}"

    def call(self, operation: str, inputs: Arrays) -> Arrays:
        f = offered(OPERATIONS, operation)
        with use(self.backend):
            outputs = {k: to_host(out) for k, out in f(self.placed(inputs)).items()}
        floating = any(a.dtype.kind == "f" for a in inputs.values())
        return outputs if floating else of_dtype(outputs, self.dtype)  # zones alone, say, do not tell which dtype is meant

    def vjp(self, operation: str, inputs: Arrays, cotangents: Arrays) -> Arrays:
        f = offered(OPERATIONS, operation)
        with use(self.backend):
            given, weights = self.placed(inputs), to_device(dict(cotangents)) if self.backend == "cupy" else cotangents
            wanted = {k: a for k, a in given.items() if differentiable(inputs[k])}

            def loss(part: Tree) -> Tree:
                outputs = f({**given, **{k: part[k] for k in wanted}})
                return sum((w * outputs[k]).sum() for k, w in weights.items())

            pull, total = make_vjp(loss)(wanted)
            return {k: to_host(g) for k, g in pull(total * 0 + 1).items()}

    def placed(self, arrays: Arrays) -> dict[str, Tree]:
        """On the device, where there is one: floating-point arrays alone; choices, masks and indices stay with the host."""
        if self.backend != "cupy":
            return dict(arrays)
        return {k: to_device(a) if differentiable(a) else a for k, a in arrays.items()}


reference = Evenflow("reference")
numpy = Evenflow("numpy")
compiled = Evenflow("compiled")
numpy_float32 = Evenflow("numpy", "float32")
cupy = Evenflow("cupy")
