"""An adapter made of PyTorch functions: arrays go in and come out, and gradients are torch's."""
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from evenflow.conformance.adapter import Operation, offered
from evenflow.conformance.arrays import Arrays, differentiable


@dataclass(frozen=True)
class TorchFunctions:
    """{operation: function of tensors by name}; words come as str."""
    name: str
    table: Mapping[str, Operation]
    dtype: str = "float64"

    def call(self, operation: str, inputs: Arrays) -> Arrays:
        return {k: out.detach().numpy() for k, out in self.outputs(operation, tensors(inputs)).items()}

    def vjp(self, operation: str, inputs: Arrays, cotangents: Arrays) -> Arrays:
        given = tensors(inputs)
        wanted = {k: t.requires_grad_() for k, t in given.items() if differentiable(inputs[k])}
        outputs = self.outputs(operation, given)
        loss = sum(torch.sum(torch.as_tensor(c) * outputs[k]) for k, c in cotangents.items())
        grads = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True)
        return {k: np.zeros_like(inputs[k]) if g is None else g.numpy() for k, g in zip(wanted, grads, strict=True)}

    def outputs(self, operation: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        with torch.enable_grad():
            return offered(self.table, operation)(given)


def tensors(inputs: Arrays) -> dict[str, Any]:
    return {k: str(a) if a.dtype.kind == "U" else torch.tensor(a) for k, a in inputs.items()}
