"""Semi-autoregressive energy flows (Si et al. 2023), their ancestor, and what both are trained on.

    maps                  T_b: from a block's noise, given its context, to the block
    semiautoregressive    x_b = T_b(z_b; c_b(x_<b)): the whole
    aqf                   autoregressive quantile flows (Si et al. 2022)
    objectives            energy score, sliced, MMD, quantile, likelihood
"""
from evenflow.reference.saef.aqf import AQF, aqf
from evenflow.reference.saef.objectives import MMD, Energy, Likelihood, Quantile, Sliced
from evenflow.reference.saef.semiautoregressive import SAEF, FreeForm, saef

__all__ = ["AQF", "MMD", "SAEF", "Energy", "FreeForm", "Likelihood", "Quantile", "Sliced", "aqf", "saef"]
