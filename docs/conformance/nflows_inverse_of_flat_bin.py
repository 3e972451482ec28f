"""New: the inverse of the rational-quadratic spline loses its digits in flat bins with steep ends: in float32 log_det is NaN.

The published root 2c / (-b - sqrt(b^2 - 4ac)) cancels in the upper half of a bin far flatter than its ends: roundings are
magnified by slope / steepness. With a sum of squares under the root nothing is lost.
Here: the middle of three bins on [-1, 1], 1e-3 of the whole high, with slopes 148 at its ends. The answer in float32 beside
the same in float64. Expected: equal within 1e-6 of the bin's width, log_det within 1e-2.
"""
import sys

import torch
from nflows.transforms.splines.rational_quadratic import unconstrained_rational_quadratic_spline as spline

y = torch.linspace(0.1, 0.9, 81) * 1e-3
raw = torch.zeros(81, 3), torch.tensor([0.0, -20.0, 0.0]).expand(81, 3), torch.full((81, 2), 148.0)
x, log_det = spline(y, *raw, inverse=True)
exact, exactly = spline(y.double(), *(part.double() for part in raw), inverse=True)
moved, off = float(abs(x - exact).max()) * 1.5, float(abs(log_det - exactly).max())
print(f"x off by up to {moved:.1e} of the bin's width, log_det by up to {off:.1e}, expected less than 1e-6 and 1e-2")
sys.exit(moved > 1e-6 or off > 1e-2)
