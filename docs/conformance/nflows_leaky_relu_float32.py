"""New: LeakyReLU gives a float32 log_det for float64 inputs.

log |det dx/dz| = log(slope) times the number of negative z, here log(0.3) = -1.2039728043259361. nflows multiplies with a mask
of the type torch.Tensor, which is float32 whatever the inputs are. Expected: float64, right to 1e-15.
"""
import math
import sys

import torch
from nflows.transforms import LeakyReLU

x, log_det = LeakyReLU(0.3)(torch.tensor([[-1.0]], dtype=torch.float64))
error = abs(log_det.item() - math.log(0.3))
print(f"x {x.dtype}, log_det {log_det.dtype}, off by {error:.1g}; expected float64 for both, off by 1e-16")
sys.exit(log_det.dtype != torch.float64)
