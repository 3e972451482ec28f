"""Invertible maps between noise and data, one file a family. contract.py says what all of them offer."""
from evenflow.reference.bijections.activation import LeakyReLU, SmoothLeakyReLU
from evenflow.reference.bijections.affine import AffineTransformer, affine, affine_inverse
from evenflow.reference.bijections.autoregressive import MaskedAutoregressive
from evenflow.reference.bijections.compose import Chain, Invert
from evenflow.reference.bijections.contract import Bijection, Transformer
from evenflow.reference.bijections.coupling import Coupling, elementwise
from evenflow.reference.bijections.dense import PLU, Dense, dense, dense_inverse
from evenflow.reference.bijections.permutation import Permutation, reversal
from evenflow.reference.bijections.spline import (
    CircularSplineTransformer,
    SplineTransformer,
    rational_quadratic_spline,
    rational_quadratic_spline_inverse,
)

__all__ = [
    "PLU", "AffineTransformer", "Bijection", "Chain", "CircularSplineTransformer", "Coupling", "Dense", "Invert",
    "LeakyReLU", "MaskedAutoregressive", "Permutation", "SmoothLeakyReLU", "SplineTransformer", "Transformer", "affine",
    "affine_inverse", "dense", "dense_inverse", "elementwise", "rational_quadratic_spline",
    "rational_quadratic_spline_inverse", "reversal",
]
