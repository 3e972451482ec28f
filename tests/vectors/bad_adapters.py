"""Adapters with every vice, for the operation `affine`: each must come out as a row, never as a crash."""
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from evenflow.conformance.arrays import Arrays
from evenflow.conformance.operations import OPERATIONS


@dataclass(frozen=True)
class Bad:
    """affine as it should be, and then `spoiled`."""
    spoil: Callable[[Arrays, Arrays], Any]  # inputs, the right outputs
    dtype: str = "float64"
    name: str = "bad 1.0"

    def call(self, operation: str, inputs: Arrays) -> Any:
        if operation != "affine":
            raise NotImplementedError(operation)
        return self.spoil(inputs, OPERATIONS[operation](inputs))

    def vjp(self, operation: str, inputs: Arrays, cotangents: Arrays) -> Arrays:
        raise NotImplementedError


def write(inputs: Arrays, outputs: Arrays) -> Arrays:
    inputs["z"][...] = 0
    return outputs


def hang(inputs: Arrays, outputs: Arrays) -> Arrays:
    time.sleep(60)
    return outputs


def hang_far_out(inputs: Arrays, outputs: Arrays) -> Arrays:
    return hang(inputs, outputs) if np.max(np.abs(inputs["z"])) > 1e3 else outputs


def exhaust(inputs: Arrays, outputs: Arrays) -> Arrays:
    raise RecursionError("a long story\nin two lines")


def leave(inputs: Arrays, outputs: Arrays) -> Arrays:
    os._exit(7)


def shout(inputs: Arrays, outputs: Arrays) -> Arrays:
    print("noise on standard output")
    return outputs


def entry(outputs: Arrays, value: float) -> Arrays:
    x = outputs["x"].copy()
    x[0] = value
    return {**outputs, "x": x}


right = Bad(lambda i, o: o)
loud = Bad(shout)
raises = Bad(exhaust)
wrong_shape = Bad(lambda i, o: {k: v[:, None] for k, v in o.items()})
wrong_dtype = Bad(lambda i, o: {k: v.astype(np.float32) for k, v in o.items()})
scalar_log_det = Bad(lambda i, o: {**o, "log_det": np.sum(o["log_det"])})
half_log_det = Bad(lambda i, o: {**o, "log_det": o["log_det"] / 2})
missing = Bad(lambda i, o: {"x": o["x"]})
nan = Bad(lambda i, o: entry(o, np.nan))
infinite = Bad(lambda i, o: entry(o, np.inf))
no_mapping = Bad(lambda i, o: o["x"])
words = Bad(lambda i, o: {k: np.array("x") for k in o})
objects = Bad(lambda i, o: {k: v.astype(object) for k, v in o.items()})
ragged = Bad(lambda i, o: {k: [[1.0], [2.0, 3.0]] for k in o})
unpicklable = Bad(lambda i, o: {"x": lambda: 0, "log_det": lambda: 0})
writes = Bad(write)
hangs = Bad(hang_far_out)
dies = Bad(leave)
integers = Bad(lambda i, o: o, dtype="int8")
nothing = object()
