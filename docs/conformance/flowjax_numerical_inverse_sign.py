"""flowjax #208: the sign of NumericalInverse's log_det. For y = 3 x the inverse has log |dx/dy| = -log 3."""
import sys

import jax.numpy as jnp
from flowjax.bijections import NumericalInverse, Scale

made = NumericalInverse(Scale(jnp.array(3.0)), lambda bijection, y, condition=None: y / 3.0)
got = float(made.inverse_and_log_det(jnp.array(6.0))[1])
print(f"log_det of the inverse {got:.6f}, expected {-float(jnp.log(3.0)):.6f}")
sys.exit(abs(got + float(jnp.log(3.0))) > 1e-5)
