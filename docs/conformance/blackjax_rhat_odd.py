"""blackjax: rhat of an odd number of draws is not ArviZ's, which it says it matches.

Each chain is split in halves of n // 2 draws. ArviZ and Stan leave out the middle draw of an odd number, so that the second
half ends where the chain ends; blackjax leaves out the last draw. For draws without ties, rhat must not change when the
chains are read backwards, for the two halves then change places.
"""
import sys

import jax
import jax.numpy as jnp
from blackjax.diagnostics import rhat

jax.config.update("jax_enable_x64", True)
draws = jnp.cumsum(jax.random.normal(jax.random.key(0), (3, 15)), axis=1)
one, other = float(rhat(draws)), float(rhat(draws[:, ::-1]))
halves = jnp.delete(draws, 7, axis=1)
expected = float(rhat(halves))  # the same without the middle draw: nothing is left out of 14
print(f"rhat {one:.6f}, read backwards {other:.6f}, expected {expected:.6f} for both")
sys.exit(abs(one - expected) > 1e-9 or abs(other - expected) > 1e-9)
