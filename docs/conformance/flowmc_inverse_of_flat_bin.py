"""New: the log_det of the rational-quadratic spline's inverse loses its digits in flat bins with steep ends: in float32 log_det
is off by up to 0.02.

The place xi in the bin is right to the last digit, but log_det is taken from xi (1 - xi), and 1 - xi, as small as steepness /
slope in the upper half of a bin far flatter than its ends, has lost its digits. With a sum of squares under the root nothing
is lost. Here: the middle of three bins on [-1, 1], 1e-3 of the whole high, with slopes
148 at its ends. The answer in float32 beside the same in float64. Expected: equal within 1e-6 of the bin's width, log_det
within 1e-2.
"""
import sys

import jax
import jax.numpy as jnp
from flowMC.resource.model.nf_model.rqSpline import _rational_quadratic_spline_inv as inverse

jax.config.update("jax_enable_x64", True)
rows = [-1, -1 / 3, 1 / 3, 1], [-1, -1e-3, 1e-3, 1], [1, 148, 148, 1]
shape = [jnp.tile(jnp.array(row, jnp.float32), (81, 1)) for row in rows]
y = jnp.linspace(0.1, 0.9, 81, dtype=jnp.float32) * 1e-3
x, log_det = inverse(y, *shape)
exact, exactly = inverse(y.astype(float), *(part.astype(float) for part in shape))
moved, off = float(abs(x - exact).max()) * 1.5, float(abs(log_det - exactly).max())
print(f"x off by up to {moved:.1e} of the bin's width, log_det by up to {off:.1e}, expected less than 1e-6 and 1e-2")
sys.exit(moved > 1e-6 or off > 1e-2)
