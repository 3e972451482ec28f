"""Flows: a base density pushed through invertible maps, one file a family. In reading order:

    densities       base densities
    contract        what a bijection is, and a transformer
    affine, spline  transformers: increasing maps of one number
    coupling, autoregressive     where the transformer's numbers come from
    dense, activation, permutation
    compose         bijections made of bijections
    flow            density + bijection, and the usual stacks
    convolutional   layers for images: a part of the numbers, each place, actnorm, coupling
    image           squeeze, and the multi-scale RealNVP and Glow
"""
from evenflow.reference.flows.activation import LeakyReLU, SmoothLeakyReLU
from evenflow.reference.flows.affine import AffineTransformer, affine, affine_inverse
from evenflow.reference.flows.autoregressive import MaskedAutoregressive
from evenflow.reference.flows.compose import Chain, Invert
from evenflow.reference.flows.contract import Bijection, Transformer
from evenflow.reference.flows.convolutional import ActNorm, ConvCoupling, EachPlace, Inside
from evenflow.reference.flows.coupling import Coupling, elementwise
from evenflow.reference.flows.dense import PLU, Dense, dense, dense_inverse
from evenflow.reference.flows.densities import Density, Normal, Uniform
from evenflow.reference.flows.flow import Flow, dense_flow, maf, realnvp, spline_flow
from evenflow.reference.flows.image import glow, image_realnvp, squeeze, started
from evenflow.reference.flows.permutation import Permutation, reversal
from evenflow.reference.flows.spline import SplineTransformer, rational_quadratic_spline, rational_quadratic_spline_inverse

__all__ = [
    "PLU", "ActNorm", "AffineTransformer", "Bijection", "Chain", "ConvCoupling", "Coupling", "Dense", "Density", "EachPlace",
    "Flow", "Inside", "Invert", "LeakyReLU", "MaskedAutoregressive", "Normal", "Permutation", "SmoothLeakyReLU",
    "SplineTransformer", "Transformer", "Uniform", "affine", "affine_inverse", "dense", "dense_flow", "dense_inverse",
    "elementwise", "glow", "image_realnvp", "maf", "rational_quadratic_spline", "rational_quadratic_spline_inverse", "realnvp",
    "reversal", "spline_flow", "squeeze", "started",
]
