"""What the tests draw: seeds, shapes, parameters that are random and not the identity, inputs with edges."""
from typing import Any

import numpy as np
from hypothesis import strategies as st

from evenflow.reference.trees import Array, Tree, tree_map

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
