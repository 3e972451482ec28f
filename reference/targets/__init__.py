"""What is to be learned where the truth is known: exact samples, densities, and zones to count.

    mixtures    round Gaussians in any dimension: two modes, four modes, eight Gaussians, the high-dimensional four
    toys        rings, moons, spirals, checkerboard, pinwheel; and the names of all
"""
from evenflow.reference.targets.mixtures import (
    GaussianMixture,
    eight_gaussians,
    four_modes,
    high_dimensional,
    misassignment,
    two_modes,
)
from evenflow.reference.targets.toys import TARGETS, Checkerboard, Pinwheel, Rings, Spirals, TwoMoons

__all__ = [
    "TARGETS", "Checkerboard", "GaussianMixture", "Pinwheel", "Rings", "Spirals", "TwoMoons", "eight_gaussians", "four_modes",
    "high_dimensional", "misassignment", "two_modes",
]
