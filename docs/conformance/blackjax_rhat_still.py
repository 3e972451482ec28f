"""blackjax: rhat of chains that stand still. R-hat = sqrt(((n - 1) / n W + B / n) / W), W within and B between chains.

All in one place, W = B = 0: the chains agree, and 1 is the limit; blackjax says NaN, as its documentation admits. Each in a
place of its own, W = 0 < B: infinite; blackjax's W is a rounding error, and the answer a number of 16 digits.
"""
import sys

import jax
import jax.numpy as jnp
from blackjax.diagnostics import rhat

jax.config.update("jax_enable_x64", True)
same, apart = rhat(jnp.ones((3, 12))), rhat(jnp.ones((3, 12)) * jnp.array([[0.1], [0.2], [0.7]]))
print(f"all in one place: {same}, expected 1; each in its own: {apart}, expected inf")
sys.exit(bool(same != 1) or bool(apart != jnp.inf))
