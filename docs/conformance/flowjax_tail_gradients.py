"""flowjax #239: NaN gradients of its spline for inputs beyond the interval. The tail is the identity: d log_prob is finite."""
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import paramax
from flowjax.bijections import RationalQuadraticSpline

made = RationalQuadraticSpline(knots=2, interval=1.0)
steep = paramax.Parameterize(jnp.exp, jnp.array([0.0, 4.0, -4.0, 0.0]))
spline = eqx.tree_at(lambda s: s.derivatives, made, steep)


def log_det(spline: RationalQuadraticSpline, y: float) -> jax.Array:
    x, log_det = spline.inverse_and_log_det(y)
    return x + log_det


grads = [g for y in (-30.0, -1.5, 1.5, 30.0) for g in jax.tree.leaves(eqx.filter_grad(log_det)(spline, y))]
finite = all(bool(jnp.all(jnp.isfinite(g))) for g in grads)
print(f"gradients in the tails finite: {finite}, expected True")
sys.exit(not finite)
