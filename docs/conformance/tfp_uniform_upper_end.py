"""TensorFlow Probability: Uniform has density at its upper end; its manual says pdf(x; a, b) = I[a <= x < b] / (b - a).

The interval is half open, so that neighbouring intervals share no point: log_prob at x = high is -inf.
"""
import sys

import numpy as np
from tensorflow_probability.substrates.numpy import distributions as tfd

got = tfd.Uniform(np.float64(0), np.float64(1)).log_prob(np.float64(1))
print(f"log_prob(1) of Uniform(0, 1): {got}, expected -inf")
sys.exit(bool(got != -np.inf))
