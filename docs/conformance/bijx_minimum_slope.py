"""bijx: the minimum slope, width and height that MonotoneRQSpline is given are kept and never used.

With min_slope = 0.5 every slope at an inner knot is at least 0.5. Raw slopes of -50 ask for less: the derivative at the knot
x = 0.5 is then the minimum itself. It is 0.001, the default of the function below it, whatever was declared.
"""
import sys

import jax.numpy as jnp
from bijx import MonotoneRQSpline
from flax import nnx

made = MonotoneRQSpline(2, min_slope=0.5, rngs=nnx.Rngs(0))
made.widths, made.heights, made.slopes = nnx.Param(jnp.zeros(2)), nnx.Param(jnp.zeros(2)), nnx.Param(jnp.full(1, -50.0))
slope = float(jnp.exp(-made.forward(jnp.array(0.5 + 1e-7), jnp.zeros(()))[1]))
print(f"slope at the inner knot: {slope:.4f}, declared minimum 0.5")
sys.exit(slope < 0.49)
