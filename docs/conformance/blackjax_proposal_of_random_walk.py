"""blackjax: RWInfo.proposal of the random walk and of irmh is not what was proposed.

It is documented as "the state proposed by the proposal"; the kernel fills in the state after acceptance. Where a proposal is
refused it is the old state. A step to a point of density zero is always refused: x = 0 stays, and the proposal is not 0.
"""
import sys

import blackjax
import jax
import jax.numpy as jnp


def log_p(x: jax.Array) -> jax.Array:
    return jnp.where(jnp.all(x == 0), 0.0, -jnp.inf)


walk = blackjax.additive_step_random_walk.normal_random_walk(log_p, jnp.ones(1))
_, info = walk.step(jax.random.key(0), walk.init(jnp.zeros(1)))
independent = blackjax.irmh(log_p, lambda key: jnp.full(1, 5.0))
_, other = independent.step(jax.random.key(0), independent.init(jnp.zeros(1)))
print(f"random walk: accepted {info.is_accepted}, proposal {info.proposal.position}, expected another point than 0")
print(f"irmh: accepted {other.is_accepted}, proposal {other.proposal.position}, expected 5")
sys.exit(bool(info.proposal.position[0] == 0 or other.proposal.position[0] != 5))
