"""normflows #29: a network of the wrong width is broadcast over the coordinates, and log_det is wrong.

An affine coupling that moves two numbers needs four parameters, a shift and a log scale for each. With a network that gives
two, AffineCoupling scales both numbers by the one e^s and adds one s to log_det where there should be two: log |det| = 2s.
Expected: an error; or, if it is to be broadcast, the log_det 2s of the map that it is.
"""
import sys

import torch
from normflows.flows import AffineCoupling

torch.manual_seed(0)
layer, passing, moving = AffineCoupling(torch.nn.Linear(2, 2)), torch.randn(1, 2), torch.randn(1, 2)
try:
    _, log_det = layer([passing, moving])
except (RuntimeError, ValueError) as refused:
    sys.exit(print(f"refused, as it should be: {refused}"))
J = torch.autograd.functional.jacobian(lambda z: layer([passing, z])[0][1][0], moving)[:, 0]
true = torch.linalg.slogdet(J)[1].item()
print(f"log_det {log_det.item():.6f}, expected {true:.6f} from the Jacobian: their ratio is {log_det.item() / true:.3f}")
sys.exit(abs(log_det.item() - true) > 1e-6)
