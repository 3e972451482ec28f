"""New: NaiveLinear has no inverse under today's PyTorch.

x = W z + b, z = W^-1 (x - b). nflows 0.14 asks torch.solve for it, which PyTorch deprecated in 1.8 and has removed.
Expected: z.
"""
import sys

import torch
from nflows.transforms import NaiveLinear

torch.manual_seed(0)
layer, z = NaiveLinear(3), torch.randn(2, 3)
try:
    error = (layer.inverse(layer(z)[0])[0] - z).abs().max().item()
    print(f"largest error of the round trip {error:.1g}, expected about 1e-7")
except RuntimeError as removed:
    print(f"RuntimeError: {str(removed)[:72]}..., expected the input of the forward map")
    sys.exit(1)
