"""New: the inverse of the rational-quadratic spline looks at the wrong ends.

A spline from [left, right] onto [bottom, top]: its inverse takes y in [bottom, top]. nflows compares the inputs with left and
right in both directions, so the inverse of a value of the forward map raises InputOutsideDomain wherever the two intervals
differ. (With linear tails they never do.) Expected: the forward map's input, 0.5.
"""
import sys

import torch
from nflows.transforms.base import InputOutsideDomain
from nflows.transforms.splines.rational_quadratic import rational_quadratic_spline as spline

x, raw = torch.tensor([0.5]), (torch.zeros(1, 4), torch.zeros(1, 4), torch.zeros(1, 5))
ends = {"left": 0.0, "right": 1.0, "bottom": 10.0, "top": 20.0}
y, _ = spline(x, *raw, **ends)
try:
    back = spline(y, *raw, inverse=True, **ends)[0].item()
except InputOutsideDomain:
    back = None
print(f"{x.item()} -> {y.item()} -> {'InputOutsideDomain' if back is None else back}, expected 0.5")
sys.exit(back is None)
