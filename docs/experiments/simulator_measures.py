r"""What simulator.py measures of a posterior: SBC, and the D-loss against exact draws.

The rank of $\theta^*$ among L draws of $p(\theta \mid x)$, where $(\theta^*, x)$ comes from prior and simulator, is uniform on
0, ..., L if the posterior is right (Talts et al. 2018, theorem 1). The ranks of each coordinate are counted in BINS equal bins;
$\chi^2$ against PAIRS / BINS in each has BINS - 1 degrees of freedom. The p-value of a row is that of its least even coordinate
times their number (Bonferroni): a right posterior is below ALPHA in at most that share of all rows.
"""
from collections.abc import Callable

import numpy as np

from evenflow.experiments.results import Row
from evenflow.experiments.simulator_tasks import Task
from evenflow.reference.core import Array
from evenflow.reference.work.metrics import d_loss

PAIRS, L, BINS, ALPHA = 1000, 39, 20, 0.01
PLACES, DRAWS = 3, 500  # x, and draws at each, for the D-loss
MEASURED = ("sbc_p", "d_loss")


def ranks(task: Task, posterior: Callable[[Array, int], Array], rng: np.random.Generator) -> Array:
    """How many of PAIRS ranks are in each of BINS bins: (d, BINS)."""
    theta = task.prior(PAIRS, rng)
    below = np.sum(posterior(task.simulate(theta, rng), L) < theta, axis=0)  # (PAIRS, d), 0, ..., L
    return np.stack([np.histogram(column, BINS, (0, L + 1))[0] for column in below.T])


def sbc(counts: Array) -> Row:
    """counts (d, BINS) -> sbc_p."""
    from scipy.stats import chi2
    expected = counts.sum(axis=1, keepdims=True) / BINS
    p = chi2.sf(np.sum((counts - expected) ** 2 / expected, axis=1), BINS - 1)
    return {"sbc_p": min(1.0, float(p.min() * len(p)))}


def d_losses(task: Task, posterior: Callable[[Array, int], Array], seed: int) -> tuple[Row, Array]:
    """The mean D-loss over PLACES, the same for all seeds and methods; and the draws at the first of them, (DRAWS, d)."""
    rng = np.random.default_rng(2)
    x = task.simulate(task.prior(PLACES, rng), rng)
    drawn = posterior(x, DRAWS)
    exact = [task.posterior(each, DRAWS, np.random.default_rng([seed, 3])) for each in x]
    losses = [d_loss(real, drawn[:, k], seed)[0] for k, real in enumerate(exact)]
    return {"d_loss": float(np.mean(losses))}, drawn[:, 0]
