"""New: the preprocessing layer Shift writes into its input.

x = z - shift should leave z as it was: whoever keeps the data, or the latent z for log p(z), finds other numbers there.
`z -= self.shift` changes the caller's tensor, in both directions. Expected: z unchanged.
"""
import sys

import torch
from normflows.transforms import Shift

data = torch.zeros(1, 2)
Shift(-0.5).inverse(data)
print(f"the input was [[0.0, 0.0]] and is now {data.tolist()}, expected no change")
sys.exit(bool(data.any()))
