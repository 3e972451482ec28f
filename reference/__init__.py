"""The executable specification, in NumPy and autograd. The rooms from the ground up; each imports only those before it:

    core/       trees of arrays, checks, networks, optimisers, the seam for faster implementations
    targets/    what is to be learned where the truth is known
    scores/     energy score, sliced energy, CRPS, quantile score, MMD
    flows/      base densities, bijections one file a family, Flow
    saef/       semi-autoregressive energy flows, quantile flows, what both are trained on
    mcmc/       Markov kernels: Langevin, HMC, i-SIR, flowMC; R-hat, effective sample size, zones
    ebm/        energy-based models, flowMC-EBM and its rivals one training step a file, log Z
    ----------  up to here the specification: the two papers and nothing else
    work/       from data to a trained model: training loop, checkpoints, runs, evaluation, estimators
    app/        the command line, the pictures

`import evenflow` (face/) gives what one types most, lazily.
"""
from evenflow.reference.core import MLP, SGD, Adam, MaskedMLP
from evenflow.reference.ebm import EBM, FCE, NTEBM, PCD, CoopFlow, FlowMCEBM, Jarzynski, MLPEnergy, Rates
from evenflow.reference.flows import Flow, Normal, Uniform, dense_flow, maf, realnvp, spline_flow
from evenflow.reference.mcmc import HMC, ISIR, MALA, ULA, FlowMC, IndependentMH, RandomWalk
from evenflow.reference.saef import AQF, MMD, SAEF, Energy, FreeForm, Likelihood, Quantile, Sliced
from evenflow.reference.scores.crps import crps, crps_normal
from evenflow.reference.scores.energy import energy_distance, energy_score
from evenflow.reference.scores.kernels import distance_kernel, kernel_score, linear_kernel, mmd, rbf_kernel
from evenflow.reference.scores.quantile import quantile_score
from evenflow.reference.scores.sliced import random_directions, sliced_energy_distance, sliced_energy_score, slicing_constant
from evenflow.reference.work.training import Settings, train

__all__ = [
    "AQF", "EBM", "FCE", "HMC", "ISIR", "MALA", "MLP", "MMD", "NTEBM", "PCD", "SAEF", "SGD", "ULA", "Adam", "CoopFlow",
    "Energy", "Flow", "FlowMC", "FlowMCEBM", "FreeForm", "IndependentMH", "Jarzynski", "Likelihood", "MLPEnergy",
    "MaskedMLP", "Normal", "Quantile", "RandomWalk", "Rates", "Settings", "Sliced", "Uniform", "crps", "crps_normal",
    "dense_flow", "distance_kernel", "energy_distance", "energy_score", "kernel_score", "linear_kernel", "maf", "mmd",
    "quantile_score", "random_directions", "rbf_kernel", "realnvp", "sliced_energy_distance", "sliced_energy_score",
    "slicing_constant", "spline_flow", "train",
]
