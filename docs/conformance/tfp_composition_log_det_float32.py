"""TensorFlow Probability (NumPy substrate): a chain of float64 bijectors answers with a log_det in float32.

log |det| of x -> W x + b is log |det W|. Composition sums the parts into tf.zeros([], tf.float32) and takes the dtype of a
sum of scalars from there, so that constant log_dets are rounded to 24 bits. MultivariateNormalDiag is made of such a chain,
and its float64 log_prob is good to 8 digits only.
"""
import sys

import numpy as np
from tensorflow_probability.substrates.numpy import bijectors as tfb
from tensorflow_probability.substrates.numpy import distributions as tfd

z, lower_upper = np.zeros((1, 2)), np.array([[3.0, 0.3], [0.5, 1.0]])
got = tfb.Chain([tfb.Shift(np.zeros(2)), tfb.ScaleMatvecLU(lower_upper, np.arange(2))]).forward_log_det_jacobian(z, 1)
print(f"log_det  {got!r} ({got.dtype}), expected {np.log(3)!r} (float64)")
sd = np.array([0.1, 0.3])
log_prob = tfd.MultivariateNormalDiag(np.zeros(2), sd).log_prob(z)[0]
expected = -np.log(2 * np.pi) - np.sum(np.log(sd))
print(f"log_prob {log_prob!r}, expected {expected!r}, off by {abs(log_prob - expected):.1e}")
sys.exit(bool(got.dtype != np.float64 or abs(log_prob - expected) > 1e-14))
