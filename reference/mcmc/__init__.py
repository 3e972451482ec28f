"""Markov kernels, one file a family, and what tells whether the chains have mixed. In reading order:

    contract       what a kernel is; the Metropolis-Hastings rule
    langevin       ULA, MALA
    metropolis     random-walk Metropolis
    hmc            Hamiltonian Monte Carlo
    independence   independent Metropolis-Hastings and i-SIR: a flow proposes
    flowmc         local and global moves in turn
    latent         a kernel in the flow's latent space (neural transport)
    adaptation     step sizes that follow the acceptance, until they are frozen
    chains         running a kernel
    diagnostics    effective sample size, R-hat, acceptance, zone weights, switch rate
"""
