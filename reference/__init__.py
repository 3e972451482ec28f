"""The executable specification, in NumPy and autograd. The files in reading order:

    trees         parameters are nested dicts and lists of arrays
    special       functions that NumPy lacks
    densities     base densities
    targets       toy sets with exact densities
    networks      perceptrons, plain and masked
    bijections/   invertible maps, one file a family
    flows         base density + bijection
    scores/       energy score, sliced energy, CRPS, quantile score, MMD
    blocks, saef  semi-autoregressive energy flows
    aqf           autoregressive quantile flows
    objectives    what a model is trained on
    optim, training, data, metrics, models, runs, evaluation       from data to a trained model
    estimators, pictures, cli                                      its faces (they need the extras)

    checks, dispatch   bad input gets a clear error; the one seam for faster implementations
"""
from evenflow.reference.aqf import AQF
from evenflow.reference.densities import DiagonalNormal, Mixture, StandardNormal, Uniform
from evenflow.reference.flows import Flow, dense_flow, maf, realnvp, spline_flow
from evenflow.reference.networks import MLP, MaskedMLP
from evenflow.reference.objectives import MMD, Energy, Likelihood, Quantile, Sliced
from evenflow.reference.optim import SGD, Adam
from evenflow.reference.saef import SAEF, SemiAutoregressive
from evenflow.reference.scores import (
    crps,
    crps_normal,
    distance_kernel,
    energy_distance,
    energy_score,
    kernel_score,
    linear_kernel,
    mmd,
    quantile_score,
    random_directions,
    rbf_kernel,
    sliced_energy_distance,
    sliced_energy_score,
    slicing_constant,
)
from evenflow.reference.training import Settings, train

__all__ = [
    "AQF", "MLP", "MMD", "SAEF", "SGD", "Adam", "DiagonalNormal", "Energy", "Flow", "Likelihood", "MaskedMLP", "Mixture",
    "Quantile", "SemiAutoregressive", "Settings", "Sliced", "StandardNormal", "Uniform", "crps", "crps_normal",
    "dense_flow", "distance_kernel", "energy_distance", "energy_score", "kernel_score", "linear_kernel", "maf", "mmd",
    "quantile_score", "random_directions", "rbf_kernel", "realnvp", "sliced_energy_distance",
    "sliced_energy_score", "slicing_constant", "spline_flow", "train",
]
