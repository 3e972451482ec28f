"""What is measured of chains, and of the density that they walk on: latent_chains.py says what each number is."""
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any

import numpy as np

from evenflow.experiments.two_modes_measures import finite_or_text
from evenflow.reference.core import Array, fetched, placed
from evenflow.reference.ebm.normalizer import Grid, Lattice
from evenflow.reference.mcmc import ess, rhat
from evenflow.reference.mcmc.zones import mode_rhat, switch_rate, zone_weights


def of_chains(target: Any, x: Array, weights: Array, evaluations: float) -> dict[str, Any]:
    """x (steps, chains, 2), in the data space; weights (zones,): of the density; evaluations: of it, for each step."""
    zones = target.zones(x.reshape(-1, 2)).reshape(x.shape[:2])
    seen, tau = zone_weights(zones, target.count), x[..., 0].size / float(ess(x[..., 0]))
    return {
        "switch_rate": switch_rate(zones), "rhat_mode": finite_or_text(mode_rhat(zones, target.count)),
        "rhat": finite_or_text(float(np.max(rhat(x)))), "zones_chains": seen.tolist(), "zones_density": weights.tolist(),
        "chains_density": float(np.mean((seen - weights) ** 2)), "tau": tau, "tau_evaluations": tau * evaluations,
        "ess_per_1000": 1000 / (tau * evaluations) if evaluations else None,
    }


def divergence(truth: Grid, model: Grid) -> float:
    """KL(p* || p) on the box, in nats."""
    return float(np.sum(truth.mass * (truth.log_p - truth.log_z - model.log_p + model.log_z)))


def pulled_back(model: Any, state: Any, box: Lattice, log_p: Array) -> Array:
    """log p at the box's points (m,) -> log p_z at those z that T takes there: log p + log |det dT/dz|."""
    _, log_det = model.flow.inverse(state.flow, placed(box.points, np.float32))
    return log_p - fetched(log_det)


def barriers(log_p: Array, zones: Array) -> list[float]:
    """How deep a chain has to dive between neighbouring modes 0 and 1, 1 and 2, ...: nats, from the lower top of the two.

    log_p (k, k): at the cells of a square, zones (k, k): the mode that each belongs to. A map that is continuous both ways
    keeps paths: where log_p is that of the latent space, noted at x = T(z), so are these its barriers.
    """
    tops = [int(np.argmax(np.where(zones == zone, log_p, -np.inf))) for zone in range(zones.max() + 1)]
    return [float(min(log_p.flat[a], log_p.flat[b]) - highest_pass(log_p, a, b)) for a, b in pairwise(tops)]


def highest_pass(log_p: Array, start: int, end: int) -> float:
    """The best of all paths from cell to cell: the largest log_p that it never falls below. Dijkstra's search.

    Cells are counted along the rows, and have eight neighbours.

    >>> highest_pass(np.array([[5.0, 1.0, 9.0], [4.0, 2.0, 3.0]]), 0, 2)
    2.0
    """
    rows, columns = log_p.shape
    seen, waiting = np.zeros(log_p.shape, dtype=bool), [(-float(log_p.flat[start]), start)]
    while True:
        depth, here = heappop(waiting)
        if here == end:
            return -depth
        i, j = divmod(here, columns)
        for a in range(max(i - 1, 0), min(i + 2, rows)):
            for b in range(max(j - 1, 0), min(j + 2, columns)):
                if not seen[a, b]:
                    seen[a, b] = True
                    heappush(waiting, (max(depth, -float(log_p[a, b])), a * columns + b))
