r"""Sampling in the latent space of a flow, where a target that the flow fits is nearly normal.

The density of $z = T^{-1}(x)$, for x ~ p, is that of p pulled back through the flow's map T,

$$\log p_z(z) = \log p(T(z)) + \log |\det dT/dz|$$

(neural transport, Hoffman et al. 2019). Any kernel can walk there; T carries its positions back. Where $p = e^f \lambda$ with
the flow's own density $\lambda$ (NT-EBM, Nijkamp et al. 2022) the determinants cancel, and what remains is

$$\log p_z(z) = f(T(z)) + \log\rho(z).$$

The target is used as it comes: a temperature that belongs to it must not be applied a second time here.
"""
from functools import partial

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, Tree, value
from evenflow.reference.flows.flow import Flow
from evenflow.reference.mcmc.contract import LogDensity


def pullback(target: LogDensity, flow: Flow, params: Tree, tilted: bool = False) -> LogDensity:
    """log p_z as a function of z (chains, d) -> (chains,); -inf where T(z) overflows.

    target: log p, or with tilted=True f = log p - log lambda.

    >>> from evenflow.reference.flows import LeakyReLU, Normal
    >>> log_p_z = pullback(lambda x: -np.sum(x, axis=1), Flow(Normal(2), LeakyReLU(2)), {})
    >>> log_p_z(np.ones((1, 2)))
    array([-2.])
    """
    return partial(pulled_back, target, flow, params, tilted)


def pulled_back(target: LogDensity, flow: Flow, params: Tree, tilted: bool, z: Array) -> Array:
    """The function that `pullback` gives, at z (chains, d)."""
    x, log_det = flow.bijection.forward(params, z)
    finite = onp.all(onp.isfinite(value(x)), axis=1)
    at_x = target(np.where(finite[:, None], x, onp.zeros_like(value(x))))
    log_p = at_x + (flow.base.log_prob(z) if tilted else log_det)
    return np.where(finite, log_p, onp.full_like(value(log_p), -onp.inf))
