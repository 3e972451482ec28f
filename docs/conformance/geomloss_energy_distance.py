"""New: the energy distance of SamplesLoss takes a point to be 1e-4 away from itself.

Half the energy distance of two samples is mean |x - y| - mean |x - x'| / 2 - mean |y - y'| / 2, over all pairs, of which a
point and itself is one, at distance 0. GeomLoss takes sqrt(max(|u|^2, 1e-8)) for |u|, in float64 too. So the loss is smaller by
1e-4 (1/n + 1/m) / 2 for samples of n and m points. Expected: for the points {0, 2} and {1, 4} 2 - 1/2 - 3/4 = 0.75.
"""
import sys

import torch
from geomloss import SamplesLoss

x, y = torch.tensor([[0.0], [2.0]], dtype=torch.float64), torch.tensor([[1.0], [4.0]], dtype=torch.float64)
loss = SamplesLoss("energy", backend="tensorized")(x, y).item()
print(f"{loss:.10f}, expected 0.75, off by {loss - 0.75:.3g}; 1e-4 (1/2 + 1/2) / 2 = 5e-05")
sys.exit(abs(loss - 0.75) > 1e-9)
