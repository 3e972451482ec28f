"""As nflows #87: the inverse of the rational-quadratic spline stops with an AssertionError inside a steep bin, in float32.

The discriminant b^2 - 4ac = (2a xi + b)^2 is never negative. At the upper end of a bin of height h, width w and steepness
s = h / w it is (h d)^2, the difference of numbers of the size (2hs)^2. Where the slope d at the knot is s / 4000 or less,
rounding in float32 can leave it below 0, and normflows asserts; or leave xi above 1, and log_det is NaN. Its floors allow s / d
of 1e6. Expected: an answer for every y.
"""
import sys

import torch
import torch.nn.functional as F
from normflows.utils.splines import unconstrained_rational_quadratic_spline as spline

n, K = 1000, 3
torch.manual_seed(0)
heights, slopes = torch.randn(n, K), torch.full((n, K - 1), -20.0)  # slopes 1e-3 + softplus: 1e-3
widths = torch.tensor([0.0, -20.0, 0.0]).expand(n, K)               # the second bin has the least width, 1e-3 of the whole
knots = 2 * torch.cumsum(1e-3 + (1 - 1e-3 * K) * F.softmax(heights, -1), -1) - 1
y = torch.nextafter(knots[:, 1], torch.tensor(-1.0))                # one rounding below its upper end
failed = nans = 0
for k in range(n):
    try:
        _, log_det = spline(y[k : k + 1], widths[:1], heights[k : k + 1], slopes[:1], inverse=True)
        nans += log_det.isnan().item()
    except AssertionError:
        failed += 1
print(f"AssertionError for {failed} of {n} splines, log_det NaN for {nans}, expected for none")
sys.exit(failed + nans > 0)
