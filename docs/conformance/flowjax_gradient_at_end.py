"""flowjax: exactly at the end of its interval the derivative of its spline by autodiff is a quarter of what it is.

A new spline is the identity: dy/dx = 1 everywhere. At x = interval[1] both the place on the way in and that on the way out
pass through jnp.clip, whose gradient at its bound is 1/2; the branch chosen there is the spline's, not the tail's.
"""
import sys

import jax
from flowjax.bijections import RationalQuadraticSpline

spline = RationalQuadraticSpline(knots=3, interval=1.0)
there, back = float(jax.grad(spline.transform)(1.0)), float(jax.grad(spline.inverse)(1.0))
print(f"dy/dx at the end {there}, dx/dy there {back}, expected 1 for both; inside {float(jax.grad(spline.transform)(0.4)):.4f}")
sys.exit(abs(there - 1) > 1e-3 or abs(back - 1) > 1e-3)
