"""distrax: Uniform has density at its upper end, log_prob(high) = -log(high - low); on [low, high) it is -inf.

Both are densities of the same distribution, for they differ in a set of measure zero; but cubes that share a face then both
hold its points, and a histogram counts them twice.
"""
import sys

import distrax

got = float(distrax.Uniform(0.0, 1.0).log_prob(1.0))
print(f"log_prob(1) of Uniform(0, 1): {got}, expected -inf")
sys.exit(got != -float("inf"))
