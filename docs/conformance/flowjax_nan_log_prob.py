"""flowjax: a NaN of the log density is turned into -inf, as if the point lay outside the support.

exp(log_prob) = 0 is an answer, NaN is the lack of one. A flow whose parameters have become NaN, which is what a training
that has failed leaves behind, has log_prob = NaN everywhere; flowjax says that every point is impossible.
"""
import sys

import jax.numpy as jnp
from flowjax.distributions import Normal

got = float(Normal(jnp.nan, 1.0).log_prob(0.0))
print(f"log_prob of Normal(NaN, 1) at 0: {got}, expected nan")
sys.exit(got == got)
