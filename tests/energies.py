"""Energies whose density, samples and constant are known, for the tests of what samples, weighs and trains them."""
import math
from dataclasses import dataclass

import autograd.numpy as anp
import numpy as np

from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.ebm.energies import Energy
from evenflow.reference.flows.densities import Density
from evenflow.reference.targets.mixtures import GaussianMixture


@dataclass(frozen=True)
class MixtureEnergy:
    """E = -log of a mixture of normals, less log_z: nothing in it is learned, log Z = log_z."""
    mixture: GaussianMixture
    log_z: float = 0.0

    @property
    def d(self) -> int:
        return self.mixture.d

    def init(self, rng: np.random.Generator) -> Tree:
        return {}

    def __call__(self, params: Tree, x: Array) -> Array:
        """x (n, d) -> (n,)."""
        return -self.mixture.log_prob(x) - self.log_z


@dataclass(frozen=True)
class NormalEnergy:
    """E = -log N(x; mean, diag sd^2), less log_z, mean and log sd learned; it starts as the standard normal."""
    d: int
    log_z: float = 0.0

    def init(self, rng: np.random.Generator) -> Tree:
        return {"mean": np.zeros(self.d), "log_sd": np.zeros(self.d)}

    def __call__(self, params: Tree, x: Array) -> Array:
        """x (n, d) -> (n,)."""
        w = (x - params["mean"]) * anp.exp(-params["log_sd"])
        return anp.sum(0.5 * (w * w + math.log(math.tau)) + params["log_sd"], axis=1) - self.log_z


@dataclass(frozen=True)
class TiltedEnergy:
    """E - log rho: a tilt for whatever knows of none."""
    energy: Energy
    tilt: Density

    @property
    def d(self) -> int:
        return self.energy.d

    def init(self, rng: np.random.Generator) -> Tree:
        return self.energy.init(rng)

    def __call__(self, params: Tree, x: Array) -> Array:
        """x (n, d) -> (n,)."""
        return self.energy(params, x) - self.tilt.log_prob(x)
