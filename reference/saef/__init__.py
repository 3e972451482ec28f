"""Semi-autoregressive energy flows (Si et al. 2023), their ancestor, and what both are trained on.

    maps                  T_b: from a block's noise, given its context, to the block
    semiautoregressive    x_b = T_b(z_b; c_b(x_<b)): the whole
    image                 the same over a grid of squares, with masked convolutions
    aqf                   autoregressive quantile flows (Si et al. 2022)
    objectives            energy score, sliced, MMD, quantile, likelihood
"""
from evenflow.reference.saef.aqf import AQF, aqf
from evenflow.reference.saef.image import ImageFreeForm, ImageSAEF, image_saef
from evenflow.reference.saef.objectives import MMD, Energy, Likelihood, Quantile, Sliced
from evenflow.reference.saef.semiautoregressive import SAEF, FreeForm, saef

__all__ = [
    "AQF", "MMD", "SAEF", "Energy", "FreeForm", "ImageFreeForm", "ImageSAEF", "Likelihood", "Quantile", "Sliced", "aqf",
    "image_saef", "saef",
]
