"""What the tests draw: seeds, shapes, parameters that are random and not the identity, inputs with edges."""
import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from evenflow.reference.core.trees import Array, Tree, tree_map
from evenflow.reference.flows.flow import Flow
from evenflow.reference.saef.semiautoregressive import saef

seeds = st.integers(0, 2**32 - 1)


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def randomise(params: Tree, rng: np.random.Generator, scale: float = 0.3) -> Tree:
    """Parameters away from their start: the identity would hide a wrong log_det."""
    return tree_map(lambda p: p + scale * rng.standard_normal(np.shape(p)), params)


def directional_check(f: Any, gradient: Any, tree: Tree, rng: np.random.Generator, step: float = 1e-6) -> tuple[float, float]:
    """(numeric, analytic) derivative of a scalar f(tree) in one random direction; central difference."""
    direction = tree_map(lambda p: rng.standard_normal(np.shape(p)), tree)
    ahead = f(tree_map(lambda p, v: p + step * v, tree, direction))
    behind = f(tree_map(lambda p, v: p - step * v, tree, direction))
    dots: list[Array] = []
    tree_map(lambda g, v: dots.append(np.sum(g * v)), gradient(tree), direction)
    return float(ahead - behind) / (2 * step), float(sum(dots))


def gaussian_saef(mean: Array, cov: Array, order: tuple[int, ...]) -> tuple[Flow, Tree]:
    """The SAEF (B = d, affine maps, no hidden layer) that is exactly N(mean, cov), from the Cholesky factor along `order`.

    Each h_b is the pair (raw log scale, shift), which the map uses as it comes.
    """
    d, place = len(order), list(order)
    flow = saef(d, d, order, "affine", hidden=(), context_width=2)
    assert isinstance(flow, Flow)
    L = np.linalg.cholesky(cov[np.ix_(place, place)])
    W, b = np.zeros((d, d, 2)), np.zeros((d, 2))
    for k, i in enumerate(place):
        slopes = np.linalg.solve(L[:k, :k].T, L[k, :k])  # of the regression of x_k on the coordinates before it
        W[place[:k], k, 1] = slopes
        b[k] = 5 * math.atanh(math.log(L[k, k]) / 5), mean[i] - slopes @ mean[place[:k]]
    head = {"W": np.zeros((0, 2)), "b": np.zeros(2), "C": np.eye(2)}
    return flow, {"contexts": [{"W": W.reshape(d, -1), "b": b.ravel()}], "maps": [[[head]]]}
