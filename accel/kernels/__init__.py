"""CUDA kernels: the sources, what compiles them, and a Python function for each."""
from evenflow.accel.kernels.loading import function, source
from evenflow.accel.kernels.pairs import pair_sums
from evenflow.accel.kernels.random import normal, uniform
from evenflow.accel.kernels.walk import Drawn, Given, Walk, fits, mala

__all__ = ["Drawn", "Given", "Walk", "fits", "function", "mala", "normal", "pair_sums", "source", "uniform"]
