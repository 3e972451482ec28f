"""flowjax #102: a density that does not integrate to 1.

On the line, with x = sinh t for tails that are far longer than the normal's, the integral of exp(log_prob) cosh(t) dt is 1:
for a block neural autoregressive flow, whose leaky tanh must reach all of the line, and for a spline in a flow.
"""
import sys

import jax
import jax.numpy as jnp
from flowjax import flows
from flowjax.distributions import StandardNormal

jax.config.update("jax_enable_x64", True)
t = jnp.linspace(-40, 40, 80001)
worst = 0.0
for make in (flows.block_neural_autoregressive_flow, flows.triangular_spline_flow):
    flow = make(jax.random.key(0), base_dist=StandardNormal((1,)), flow_layers=2)
    total = float(jnp.sum(jnp.exp(flow.log_prob(jnp.sinh(t)[:, None])) * jnp.cosh(t)) * (t[1] - t[0]))
    print(f"{make.__name__:34s}{total:.6f}, expected 1")
    worst = max(worst, abs(total - 1))
sys.exit(worst > 1e-3)
