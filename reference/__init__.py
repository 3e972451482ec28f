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
    mixtures      targets with zones: two modes, four modes, ...
    energies      energy-based models and the gradient of their likelihood
    mcmc/         Markov kernels: Langevin, HMC, i-SIR, flowMC; diagnostics
    ebm/          flowMC-EBM and its rivals: one training step each, one file each
    normalizer    log Z
    objectives    what a model is trained on
    optim, checkpoints, training, data, metrics, folders           from data to a trained model,
    models, runs, evaluation                                       for flows,
    ebm_models, ebm_runs, ebm_sampling, ebm_evaluation             for energy-based models
    estimators, pictures, cli                                      its faces (they need the extras)

    gradients, placement    the gradient in a tree of parameters; where numbers live
    checks, dispatch        bad input gets a clear error; the one seam for faster implementations (docs/accel.md)
"""
from evenflow.reference.core import MLP, SGD, Adam, MaskedMLP
from evenflow.reference.ebm import FCE, NTEBM, PCD, CoopFlow, FlowMCEBM, Jarzynski, Rates
from evenflow.reference.ebm.energies import EBM, MLPEnergy
from evenflow.reference.flows.densities import Normal, Uniform
from evenflow.reference.flows.flow import Flow, dense_flow, maf, realnvp, spline_flow
from evenflow.reference.mcmc import HMC, ISIR, MALA, ULA, FlowMC, IndependentMH, RandomWalk
from evenflow.reference.saef.aqf import AQF
from evenflow.reference.saef.objectives import MMD, Energy, Likelihood, Quantile, Sliced
from evenflow.reference.saef.semiautoregressive import SAEF, FreeForm
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
from evenflow.reference.work.training import Settings, train

__all__ = [
    "AQF",
    "EBM",
    "FCE",
    "HMC",
    "ISIR",
    "MALA",
    "MLP",
    "MMD",
    "NTEBM",
    "PCD",
    "SAEF",
    "SGD",
    "ULA",
    "Adam",
    "CoopFlow",
    "Energy",
    "Flow",
    "FlowMC",
    "FlowMCEBM",
    "FreeForm",
    "IndependentMH",
    "Jarzynski",
    "Likelihood",
    "MLPEnergy",
    "MaskedMLP",
    "Normal",
    "Quantile",
    "RandomWalk",
    "Rates",
    "Settings",
    "Sliced",
    "Uniform",
    "crps",
    "crps_normal",
    "dense_flow",
    "distance_kernel",
    "energy_distance",
    "energy_score",
    "kernel_score",
    "linear_kernel",
    "maf",
    "mmd",
    "quantile_score",
    "random_directions",
    "rbf_kernel",
    "realnvp",
    "sliced_energy_distance",
    "sliced_energy_score",
    "slicing_constant",
    "spline_flow",
    "train",
]
