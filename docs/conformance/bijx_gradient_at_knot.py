"""bijx: exactly at an inner knot the derivative of its spline by autodiff is half of what it is, at the ends a quarter.

Equal widths and heights and slopes 1 are the identity, dy/dx = 1 everywhere. The place passes through jnp.clip twice, once
the whole range and once the bin; the gradient of a clip at its bound is 1/2.
"""
import sys

import jax
import jax.numpy as jnp
from bijx.bijections.splines import rational_quadratic_spline

slope = jax.grad(lambda x: rational_quadratic_spline(x, jnp.zeros(2), jnp.zeros(2), jnp.zeros(1))[0])
at, end = float(slope(0.5)), float(slope(0.0))
print(f"dy/dx at the inner knot {at}, at the lower end {end}; expected 1 for both")
sys.exit(abs(at - 1) > 1e-5 or abs(end - 1) > 1e-5)
