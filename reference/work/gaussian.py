r"""The yardstick: a normal distribution with all covariances, fitted to the rows that a model was trained on,

$$\log p(u) = -\tfrac12 |L^{-1}(u - \mu)|^2 - \textstyle\sum_j \log L_{jj} - \tfrac d2 \log 2\pi, \qquad L L^T = \Sigma,$$

with $\mu$ their mean and $\Sigma$ their covariance, by maximum likelihood. What a model says of held-out data is worth its
trouble where it is more than this says.
"""
import math
from typing import NamedTuple

import numpy as np

from evenflow.reference.core import Array, check_shape


class Gaussian(NamedTuple):
    mean: Array    # (d,)
    factor: Array  # (d, d), lower triangular

    def log_density(self, u: Array) -> Array:
        """u (n, d) -> (n,) nats."""
        check_shape("u", u, "n", len(self.mean))
        z = np.linalg.solve(self.factor, (u - self.mean).T)
        return -0.5 * np.sum(z**2, axis=0) - np.sum(np.log(np.diag(self.factor))) - len(self.mean) / 2 * math.log(2 * math.pi)

    def sample(self, noise: Array) -> Array:
        """noise (n, d), standard normal -> (n, d)."""
        return self.mean + noise @ self.factor.T


def fitted(u: Array) -> Gaussian | None:
    """From rows u (n, d); None where they do not determine it: too few, or in a plane.

    >>> gaussian = fitted(np.array([[-1.0], [1.0]]))
    >>> gaussian.log_density(np.array([[0.0]])).round(4).tolist()
    [-0.9189]
    """
    n, d = u.shape
    if n <= d:
        return None
    mean = u.mean(axis=0)
    R = np.linalg.qr(u - mean, mode="r")  # has the singular values of u - mean, and they are found sooner
    if np.linalg.matrix_rank(R, rtol=n * np.finfo(np.float64).eps) < d:
        return None
    return Gaussian(mean, np.linalg.cholesky(np.atleast_2d(np.cov(u.T, bias=True))))
