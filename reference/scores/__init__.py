"""Scores: how good is a forecast, judged by its samples? Every one is a loss: smaller is better.

    energy_score, energy_distance                    energy.py     any dimension, the training objective of energy flows
    sliced_energy_score, sliced_energy_distance      sliced.py     the same along random directions
    crps, crps_normal                                crps.py       one dimension
    quantile_score                                   quantile.py   one quantile of it
    kernel_score, mmd                                kernels.py    the same with a kernel in place of the distance

A *score* compares a forecast with one observation each, `(m, n, d)` against `(n, d)`, or one forecast shared by all,
`(m, d)` against `(n, d)`: the number of dimensions decides, and nothing else is broadcast. A *distance* compares two
samples. Estimator "U" is unbiased (fair), "V" divides by m^2 and is biased. Below them, pairs.py sums over all pairs
and sorting.py does the same for |x - y| on the line by sorting; both in memory linear in the samples.

Observations y must be finite. Draws, and the x of a distance, come from a model and are let through: a model that
diverges shows in the score and its gradient, and it is its trainer who can say at which step.
"""
from evenflow.reference.scores.crps import crps, crps_normal
from evenflow.reference.scores.energy import energy_distance, energy_score
from evenflow.reference.scores.kernels import distance_kernel, kernel_score, linear_kernel, mmd, rbf_kernel
from evenflow.reference.scores.quantile import quantile_score
from evenflow.reference.scores.sliced import random_directions, sliced_energy_distance, sliced_energy_score, slicing_constant

__all__ = [
    "crps", "crps_normal", "distance_kernel", "energy_distance", "energy_score", "kernel_score", "linear_kernel", "mmd",
    "quantile_score", "random_directions", "rbf_kernel", "sliced_energy_distance", "sliced_energy_score",
    "slicing_constant",
]
