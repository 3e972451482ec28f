"""New: conv2d in float64 has no gradient for channels-last arrays that are seen as channels-first, with one output channel.

y = x * W for x (n, h, w, c) and W (k, k, c, 1), given as x.permute(0, 3, 1, 2) and W.permute(3, 2, 0, 1), is computed, and
its backward pass ends in an error. Copies with .contiguous() have a gradient. Expected: the same one.
"""
import sys

import torch
from torch.nn.functional import conv2d

torch.manual_seed(0)
x, W = (torch.randn(shape, dtype=torch.float64) for shape in ((1, 4, 4, 2), (3, 3, 2, 1)))
W.requires_grad_()
image, kernel = x.permute(0, 3, 1, 2), W.permute(3, 2, 0, 1)
(expected,) = torch.autograd.grad(conv2d(image, kernel.contiguous()).square().sum(), W)
try:
    (got,) = torch.autograd.grad(conv2d(image, kernel).square().sum(), W)
    print(f"the largest difference of the gradients is {(got - expected).abs().max().item():.1g}, expected about 1e-15")
except RuntimeError as error:
    print(f"RuntimeError: {error}, expected a gradient, of which one entry is {expected[0, 0, 0, 0].item():.6f}")
    sys.exit(1)
