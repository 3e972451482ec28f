"""The masks of SAEF's context network (MADE), from the sizes of its layers: NumPy alone, for any library.

The digits' coordinates lie in B blocks of one size, one after the other. A coordinate has the degree of its block, 1 ... B; an
output the degree of the block that it is made for; units have degrees spread evenly over 0 ... B - 1. A weight stays where

    input -> unit, unit -> unit     the later degree is at least the earlier one
    unit -> output                  the output's degree is greater
"""
from typing import Any

import numpy as np


def masks(params: list[dict[str, Any]], blocks: int) -> list[Any]:
    """One boolean array (fan_in, fan_out) for each layer."""
    widths = [layer["W"].shape[0] for layer in params] + [params[-1]["W"].shape[1]]
    inputs, outputs = (np.repeat(np.arange(1, blocks + 1), width // blocks) for width in (widths[0], widths[-1]))
    units = [np.rint(np.linspace(0, blocks - 1, width)) for width in widths[1:-1]]
    before = [inputs, *units]
    kept = [later[None, :] >= earlier[:, None] for earlier, later in zip(before, units, strict=False)]
    return [*kept, outputs[None, :] > before[-1][:, None]]
