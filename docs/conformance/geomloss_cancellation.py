"""New: distances between points far from the origin are lost.

The energy distance does not change when both samples move together. GeomLoss computes |x - y|^2 as |x|^2 - 2 x.y + |y|^2, whose
rounding error grows with |x|^2. Expected: the same loss at 0 and at 1e8, where float64 numbers are 1.5e-8 apart.
"""
import sys

import torch
from geomloss import SamplesLoss

x, y = torch.tensor([[0.0], [2.0]], dtype=torch.float64), torch.tensor([[1.0], [4.0]], dtype=torch.float64)
loss = SamplesLoss("energy", backend="tensorized")
here, there = loss(x, y).item(), loss(x + 1e8, y + 1e8).item()
print(f"at 0: {here:.6f}, moved by 1e8: {there:.6f}, expected the same")
sys.exit(abs(here - there) > 1e-6)
