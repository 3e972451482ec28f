"""New: SqueezeTransform(3) squeezes, and refuses the way back.

With a factor f an image (c, h, w) becomes (f^2 c, h / f, w / f). nflows 0.14 checks on the way back that the channels are a
multiple of 4, whatever f is: the 9 channels that its own forward made of one are refused. Expected: the image.
"""
import sys

import torch
from nflows.transforms import SqueezeTransform

layer, image = SqueezeTransform(3), torch.arange(18.0).reshape(1, 1, 3, 6)
squeezed, _ = layer(image)
try:
    error = (layer.inverse(squeezed)[0] - image).abs().max().item()
    print(f"largest error of the round trip {error:.1g}, expected 0")
except ValueError as refused:
    print(f"ValueError: {refused} It has shape {tuple(squeezed.shape)}, expected the image of shape {tuple(image.shape)}")
    sys.exit(1)
