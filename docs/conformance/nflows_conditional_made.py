"""nflows PR 85 (open): the first output of a conditional MADE does not depend on the context.

p(x | c) = prod_i p(x_i | x_<i, c): the parameters of x_1 are functions of c alone. In nflows every hidden unit has degree 1 at
least, and outputs see units of a lower degree than their own: the first output, of degree 1, sees none. What it gives is the
bias of the last layer, whatever c is. Expected: d(output_1) / dc is not 0. The default network, with random weights.
"""
import sys

import torch
from nflows.transforms.made import MADE

torch.manual_seed(0)
net = MADE(features=3, hidden_features=16, context_features=2)
for parameter in net.parameters():
    torch.nn.init.normal_(parameter)
x = torch.randn(1, 3)
slopes = torch.autograd.functional.jacobian(lambda c: net(x, c)[0], torch.randn(1, 2)).abs().amax((1, 2))
print("largest |d(output) / dc| of outputs 1, 2, 3:", [round(s, 3) for s in slopes.tolist()], "- expected: none is 0")
sys.exit(slopes[0].item() == 0)
