"""New: the log_det of the rational-quadratic spline's inverse loses its digits in flat bins with steep ends: in float32 log_det
is off by up to 0.4.

The place xi in the bin is right to the last digit, but log_det is taken from xi (1 - xi), and 1 - xi, as small as steepness /
slope in the upper half of a bin far flatter than its ends, has lost its digits. With a sum of squares under the root nothing
is lost. Here: the middle of three bins on [-1, 1], 1e-4 of the whole high, with slopes
148 at its ends. The answer in float32 beside the same in float64. Expected: equal within 1e-6 of the bin's width, log_det
within 5e-2.
"""
import sys

import distrax
import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)
raw, y = jnp.array([0.0, 0, 0, 0, -20, 0, 0, 148, 148, 0], jnp.float32), jnp.linspace(0.1, 0.9, 81, dtype=jnp.float32) * 1e-4
x, log_det = distrax.RationalQuadraticSpline(raw, -1.0, 1.0).inverse_and_log_det(y)
exact, exactly = distrax.RationalQuadraticSpline(raw.astype(float), -1.0, 1.0).inverse_and_log_det(y.astype(float))
moved, off = float(abs(x - exact).max()) * 1.5, float(abs(log_det - exactly).max())
print(f"x off by up to {moved:.1e} of the bin's width, log_det by up to {off:.1e}, expected less than 1e-6 and 5e-2")
sys.exit(moved > 1e-6 or off > 5e-2)
