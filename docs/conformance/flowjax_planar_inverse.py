"""flowjax #169: the log_det of the planar flow's inverse where its leaky activation is below zero.

y = x + u h(w.x + b) with h the leaky ReLU: log_det = log |1 + h' u.w|, on both sides of w.x + b = 0, and the inverse's is its
negative.
"""
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
from flowjax.bijections import Planar

planar, worst = Planar(jax.random.key(1), dim=2, negative_slope=0.1), 0.0
planar = eqx.tree_at(lambda p: p.params, planar, jnp.array([1.0, -0.5, 0.8, 0.3, 0.2]))
for x in (jnp.array([1.0, 0.0]), jnp.array([-1.0, 0.0])):
    y, log_det = planar.transform_and_log_det(x)
    back = planar.inverse_and_log_det(y)[1]
    jacobian = jnp.linalg.slogdet(jax.jacobian(planar.transform)(x))[1]
    print(f"log_det {float(log_det):.6f}, of the inverse {float(back):.6f}, the Jacobian's {float(jacobian):.6f}")
    worst = max(worst, float(abs(log_det + back)), float(abs(log_det - jacobian)))
print(f"largest disagreement {worst:.1e}, expected 0")
sys.exit(worst > 1e-5)
