"""flowMC: exactly at an inner knot the derivative of its spline by autodiff is half of what it is.

The same lines as distrax's: the place within the bin passes through jnp.clip(z, 0, 1), whose gradient at z = 0 is 1/2.
Knots on the diagonal with slopes 1 are the identity, dy/dx = 1 everywhere.
"""
import sys

import jax
import jax.numpy as jnp
from flowMC.resource.model.nf_model.rqSpline import _rational_quadratic_spline_fwd, _rational_quadratic_spline_inv

knots = jnp.array([[-1.0, 0.0, 1.0]])
at, back = (
    float(jax.grad(lambda x: f(x[None], knots, knots, jnp.ones((1, 3)))[0][0])(0.0))  # noqa: B023
    for f in (_rational_quadratic_spline_fwd, _rational_quadratic_spline_inv)
)
print(f"dy/dx at the knot {at}, dx/dy there {back}; expected 1 for both")
sys.exit(abs(at - 1) > 1e-5 or abs(back - 1) > 1e-5)
