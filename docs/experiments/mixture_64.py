"""Four Gaussians in 64 dimensions, both readings of the paper: Grenioux et al. 2023, Table 2 and Fig. 6.

mixtures.py has all of it.
"""
from functools import partial

from evenflow.experiments import mixtures
from evenflow.experiments.mixtures import PICTURES, PRESETS, summary

__all__ = ["PICTURES", "PRESETS", "learn", "run", "summary"]

run, learn = partial(mixtures.run, 64), partial(mixtures.learn, 64)
