"""flowMC: HMC(n_leapfrog=L), "number of leapfrog steps", makes L + 1 of them.

On log p(x) = -x^2 / 2 from x = 1, m = 0, one step of size e leads to x = 1 - e^2 / 2. Its table of coefficients is a half
kick, L times a drift and a whole kick, and then one more drift with a half kick: L + 1 drifts. (n_leapfrog = L - 1 makes L.)
"""
import sys
from unittest.mock import patch

import jax
import jax.numpy as jnp
from flowMC.resource.kernel.HMC import HMC


def log_p(x: jax.Array, _: None) -> jax.Array:
    return -jnp.sum(x**2) / 2


x, e = jnp.ones(1), 0.5
with patch("jax.random.normal", lambda *_, **__: jnp.zeros(1)):  # the momentum
    got = HMC(jnp.ones(1), e, n_leapfrog=1).kernel(jax.random.PRNGKey(0), x, log_p(x, None), log_p, None)[0][0]
one = 1 - e**2 / 2
two = (1 - e**2 / 2) ** 2 - e**2 * (1 - e**2 / 4)  # the first entry of the step's matrix, squared
print(f"n_leapfrog = 1 leads to {got:.6f}; one step leads to {one:.6f}, two steps to {two:.6f}")
sys.exit(bool(abs(got - one) > 1e-6))
