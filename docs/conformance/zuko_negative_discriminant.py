"""New (as nflows #87): the inverse of the rational-quadratic spline is NaN inside a steep bin, in float32.

The discriminant b^2 - 4ac = (2a xi + b)^2 is never negative. At the upper end of a bin of height h, width w and steepness
s = h / w it is (h d)^2, the difference of numbers of the size (2hs)^2. Where the slope d at the knot is s / 4000 or less,
rounding in float32 can leave it below 0, and zuko takes its root. With the default least slope s / d may reach 1e5.
Expected: an answer for every y, here the upper ends of such bins.
"""
import sys

import torch
from zuko.transforms import MonotonicRQSTransform

n, K = 1000, 3
torch.manual_seed(0)
widths = torch.tensor([0.0, -1e4, 0.0]).expand(n, K)  # the second bin is as narrow as it can be
spline = MonotonicRQSTransform(widths, torch.randn(n, K), torch.full((n, K - 1), -1e4))
x = spline.inv(spline.vertical[:, 2])
nans = x.isnan().sum().item()
print(f"NaN for {nans} of {n} splines, expected for none")
sys.exit(nans > 0)
