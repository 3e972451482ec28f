"""Markov kernels, one file a family, and what tells whether the chains have mixed. In reading order:

    contract       what a kernel is; the Metropolis-Hastings rule
    langevin       ULA, MALA
    metropolis     random-walk Metropolis
    hmc            Hamiltonian Monte Carlo
    independence   independent Metropolis-Hastings and i-SIR: a flow proposes
    flowmc         local and global moves in turn
    latent         a target in the flow's latent space (neural transport)
    adaptation     step sizes that follow the acceptance, until they are frozen
    chains         running a kernel
    rhat, ess      do the chains agree, and how much are their draws worth
    zones          which mode are they in
"""
from evenflow.reference.mcmc.chains import Chains, run
from evenflow.reference.mcmc.contract import Kernel
from evenflow.reference.mcmc.ess import ess
from evenflow.reference.mcmc.flowmc import FlowMC
from evenflow.reference.mcmc.hmc import HMC
from evenflow.reference.mcmc.independence import ISIR, IndependentMH
from evenflow.reference.mcmc.langevin import MALA, ULA
from evenflow.reference.mcmc.latent import pullback
from evenflow.reference.mcmc.metropolis import RandomWalk
from evenflow.reference.mcmc.rhat import rhat

__all__ = [
    "HMC", "ISIR", "MALA", "ULA", "Chains", "FlowMC", "IndependentMH", "Kernel", "RandomWalk", "ess", "pullback", "rhat", "run",
]
