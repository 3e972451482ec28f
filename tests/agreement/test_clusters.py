"""The mixture below the flow of `evenflow.sample`, on every backend."""
import numpy as np
import pytest
from autograd import elementwise_grad, grad

from evenflow.reference.core import fetched, placed
from tests.agreement.backends import BACKENDS, backend
from tests.reference.work.test_clusters import MIXTURE


@pytest.mark.parametrize("where", BACKENDS)
def test_every_backend_says_the_same(where: str) -> None:
    noise = MIXTURE.noise(np.random.default_rng(0), 20)
    x = MIXTURE.sample(noise)
    with backend(where):
        there = MIXTURE.sample(placed(noise, np.float64))
        log_p, slope = MIXTURE.log_prob(there), grad(lambda x: MIXTURE.log_prob(x).sum())(there)
        found = fetched([there, log_p, slope])
    here = [x, MIXTURE.log_prob(x), elementwise_grad(MIXTURE.log_prob)(x)]
    for a, b in zip(found, here, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
