"""Energy-based models, log Z, and one training algorithm a file, to be laid side by side. In reading order:

    energies          a density known up to its constant; the gradient of its likelihood
    convolutional     the energy of images
    contract          what an algorithm is
    pcd               persistent Langevin chains alone
    flowmc            flowMC-EBM: the same, and a flow that keeps the chains mixing
    neural_transport  chains in the latent space of a trained flow
    coopflow          a flow whose samples are revised by a few steps uphill
    contrastive       a classifier between data and flow, no chains
    jarzynski         chains with weights that make up for what they have not yet relaxed
    updates           what they share: a step of the optimiser, the flow's loss
    normalizer        log Z
"""
from evenflow.reference.ebm.contract import Rates
from evenflow.reference.ebm.contrastive import FCE
from evenflow.reference.ebm.convolutional import ConvEnergy
from evenflow.reference.ebm.coopflow import CoopFlow
from evenflow.reference.ebm.energies import EBM, MLPEnergy
from evenflow.reference.ebm.flowmc import FlowMCEBM
from evenflow.reference.ebm.jarzynski import Jarzynski
from evenflow.reference.ebm.neural_transport import NTEBM
from evenflow.reference.ebm.pcd import PCD

__all__ = ["EBM", "FCE", "NTEBM", "PCD", "ConvEnergy", "CoopFlow", "FlowMCEBM", "Jarzynski", "MLPEnergy", "Rates"]
