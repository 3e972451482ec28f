"""distrax: exactly at an inner knot the derivative of its spline by autodiff is half of what it is.

The spline is continuously differentiable: dy/dx at a knot is the knot's slope. The place within the bin passes through
jnp.clip(z, 0, 1), whose gradient at z = 0 is 1/2 (two equal arguments of a maximum share it). params = 0 is the identity
with a knot at 0: dy/dx = 1 everywhere; its log_det there is right.
"""
import sys

import distrax
import jax
import jax.numpy as jnp

spline = distrax.RationalQuadraticSpline(jnp.zeros(7), -1.0, 1.0)
at, beside = (float(jax.grad(lambda x: spline.forward(x))(x)) for x in (0.0, 1e-3))
back = float(jax.grad(lambda x: spline.inverse(x))(0.0))
print(f"dy/dx at the knot {at}, next to it {beside}; dx/dy at the knot {back}; expected 1 for all")
sys.exit(abs(at - 1) > 1e-5 or abs(back - 1) > 1e-5)
