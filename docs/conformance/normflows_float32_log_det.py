"""New: a float64 model answers with a float32 log_det.

A chain of maps has log |det| = sum of theirs, here of a scaling by e^(1/3) and a permutation, in float64 throughout.
Permute, Composite and NormalizingFlow.forward_and_log_det begin with torch.zeros(n), which is float32, and add to it in place.
Expected: float64, and 2/3 to 1e-16.
"""
import sys

import torch
from normflows import NormalizingFlow
from normflows.distributions import DiagGaussian
from normflows.flows import AffineConstFlow, Composite, Permute

scaling, z = AffineConstFlow((2,)), torch.ones(1, 2, dtype=torch.float64)
torch.nn.init.constant_(scaling.double().s, 1 / 3)
flow = NormalizingFlow(DiagGaussian(2), [scaling]).double()
answers = {
    "Permute": Permute(2).double()(z)[1],
    "Composite": Composite([scaling])(z)[1],
    "forward_and_log_det": flow.forward_and_log_det(z)[1],
    "inverse_and_log_det": flow.inverse_and_log_det(z)[1],
}
for name, log_det in answers.items():
    error = 0 if name == "Permute" else abs(abs(log_det.item()) - abs(2 * scaling.s[0, 0].item()))
    print(f"{name:20} {log_det.dtype}, off by {error:.1g}; expected torch.float64, off by 0")
sys.exit(any(log_det.dtype != torch.float64 for log_det in answers.values()))
