"""New: the uniform density of float64 points is float32.

log p(x) = -d log(high - low) within the cube, here -2 log 3 = -2.1972245773362196. normflows keeps low and high as float32 and
multiplies their logarithm with torch.ones(n), which is float32 whatever the points are. Expected: float64, off by 1e-16.
"""
import math
import sys

import torch
from normflows.distributions.base import Uniform

log_prob = Uniform(2, 0.0, 3.0).double().log_prob(torch.ones(1, 2, dtype=torch.float64))
print(f"{log_prob.dtype}, off by {abs(log_prob.item() + 2 * math.log(3)):.1g}; expected torch.float64, off by 1e-16")
sys.exit(log_prob.dtype != torch.float64)
