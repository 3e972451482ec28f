"""CUDA kernels: the sources, what compiles them, and a Python function for each."""
from evenflow.accel.kernels.each import each
from evenflow.accel.kernels.loading import function, source
from evenflow.accel.kernels.network import Target, fits
from evenflow.accel.kernels.pairs import by_draws, cross, score, within
from evenflow.accel.kernels.random import normal, uniform
from evenflow.accel.kernels.sorting import joint_order, slopes_of_order, sums_of_order
from evenflow.accel.kernels.walk import Drawn, Given, Walk, persistent

__all__ = [
    "Drawn", "Given", "Target", "Walk", "by_draws", "cross", "each", "fits", "function", "joint_order", "normal", "persistent",
    "score", "slopes_of_order", "source", "sums_of_order", "uniform", "within",
]
