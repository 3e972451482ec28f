r"""Optimisers, learning rates, clipping, and the average of the weights along the way.

Adam (Kingma & Ba 2015, Algorithm 1), with $g_t$ the gradient at step $t = 1, 2, \dots$ and $\gamma$ the learning rate

$$m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \qquad
\theta_t = \theta_{t-1} - \gamma\, \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}$$

SGD with momentum (Polyak 1964)      $u_t = \mu u_{t-1} + g_t, \qquad \theta_t = \theta_{t-1} - \gamma u_t$

Clipping (Pascanu et al. 2013)       $g \leftarrow g \min(1, c / |g|)$, with $|g|$ over all leaves together

An optimiser is a frozen dataclass. `init(params)` is its first state, a tree; `update(params, grads, state, learning_rate)`
gives the next params and state, where params and grads are trees of one shape. Nothing here changes its arguments.
"""
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from evenflow.reference.core.arrays import NATIVE
from evenflow.reference.core.checks import check_count, check_fraction, check_positive, check_shape
from evenflow.reference.core.dispatch import replaceable
from evenflow.reference.core.looking import finite
from evenflow.reference.core.trees import Array, Tree, leaves, named_leaves, tree_map

Schedule: TypeAlias = Callable[[int], float]  # steps made so far -> learning rate of the next


@dataclass(frozen=True)
class Adam:
    """The formula at the top of this file. Each parameter keeps its dtype.

    >>> theta = np.array([1.0, 1.0])
    >>> Adam().update(theta, np.array([5.0, -0.2]), Adam().init(theta), 0.1)[0].round(6)
    array([0.9, 1.1])
    """
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check_fraction("beta1", self.beta1)
        check_fraction("beta2", self.beta2)
        check_positive("eps", self.eps)

    def init(self, params: Tree) -> Tree:
        return {"t": np.array(0), "m": tree_map(np.zeros_like, params), "v": tree_map(np.zeros_like, params)}

    @replaceable
    def update(self, params: Tree, grads: Tree, state: Tree, learning_rate: float) -> tuple[Tree, Tree]:
        beta1, beta2, t, rate = self.beta1, self.beta2, int(state["t"]) + 1, float(learning_rate)
        g = tree_map(like_leaf, grads, params)
        m = tree_map(lambda m, g: beta1 * m + (1 - beta1) * g, state["m"], g)
        v = tree_map(lambda v, g: beta2 * v + (1 - beta2) * g**2, state["v"], g)

        def step(theta: Array, m: Array, v: Array) -> Array:
            return theta - rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + self.eps)

        return tree_map(step, params, m, v), {"t": np.array(t), "m": m, "v": v}


@dataclass(frozen=True)
class SGD:
    """Gradient descent; with momentum, the heavy ball.

    >>> theta = np.array([1.0, 1.0])
    >>> SGD().update(theta, np.array([5.0, -0.2]), SGD().init(theta), 0.1)[0].round(6)
    array([0.5 , 1.02])
    """
    momentum: float = 0.0

    def __post_init__(self) -> None:
        check_fraction("momentum", self.momentum)

    def init(self, params: Tree) -> Tree:
        return {"u": tree_map(np.zeros_like, params)}

    @replaceable
    def update(self, params: Tree, grads: Tree, state: Tree, learning_rate: float) -> tuple[Tree, Tree]:
        rate = float(learning_rate)
        u = tree_map(lambda u, g, theta: self.momentum * u + like_leaf(g, theta), state["u"], grads, params)
        return tree_map(lambda theta, u: theta - rate * u, params, u), {"u": u}


def like_leaf(gradient: Array, leaf: Array) -> Array:
    """The gradient in its parameter's dtype: autograd turns float32 gradients into float64 in places."""
    if leaf.dtype not in NATIVE:
        raise ValueError(f"parameters must be float64 or float32 to be moved, got {leaf.dtype}")
    check_shape("a leaf of the gradient", gradient, *np.shape(leaf))
    return gradient.astype(leaf.dtype)


def constant(rate: float) -> Schedule:
    check_positive("rate", rate)
    return lambda step: rate


def linear_decay(rate: float, steps: int) -> Schedule:
    """From `rate` at the first step down a straight line that reaches zero after `steps` steps."""
    check_positive("rate", rate)
    check_count("steps", steps)
    return lambda step: rate * (1 - min(step, steps) / steps)


def cosine_decay(rate: float, steps: int) -> Schedule:
    """From `rate` down half a cosine wave that reaches zero after `steps` steps (Loshchilov & Hutter 2017, eq. 5)."""
    check_positive("rate", rate)
    check_count("steps", steps)
    return lambda step: rate * (1 + math.cos(math.pi * min(step, steps) / steps)) / 2


def step_decay(rate: float, factor: float, every: int) -> Schedule:
    """rate factor^(step // every): 1e-4, 0.99, 50 for the images of Grenioux et al. 2023."""
    check_positive("rate", rate)
    check_positive("factor", factor)
    check_count("every", every)
    return lambda step: rate * factor ** (step // every)


SCHEDULES: dict[str, Callable[[float, int], Schedule]] = {
    "constant": lambda rate, steps: constant(rate),
    "linear": linear_decay,
    "cosine": cosine_decay,
}


@replaceable
def global_norm(grads: Tree) -> float:
    """The Euclidean norm of all leaves together, in float64: squares of large float32 numbers would overflow.

    >>> global_norm({"W": np.array([[3.0]]), "b": np.array([4.0])})
    5.0
    """
    with np.errstate(over="ignore"):
        return math.sqrt(sum(float(np.sum(g.astype(np.float64) ** 2)) for g in leaves(grads)))


@replaceable
def clip_by_global_norm(grads: Tree, limit: float) -> tuple[Tree, float]:
    """Gradients scaled down to the norm `limit` where they exceed it, else as they came; and the norm before."""
    check_positive("limit", limit)
    norm: Any = global_norm(grads)
    if not finite(norm):
        raise ValueError(f"grads must have a finite norm to be clipped, got {float(norm)}")
    if isinstance(norm, float) and norm <= limit:
        return grads, norm
    shrunk = limit / np.maximum(norm, limit)  # 1 where a norm that nobody looks at is smaller
    return tree_map(lambda g: g * shrunk.astype(g.dtype), grads), norm


@replaceable
def moving_average(average: Tree, params: Tree, decay: float, t: int) -> Tree:
    r"""The exponential average of theta_1 ... theta_t, unbiased from the first step on.

    $a_t = (1 - w_t) a_{t-1} + w_t \theta_t$ with $w_t = (1 - d) / (1 - d^t)$, which is the weighted mean
    $\sum_k d^{t-k} \theta_k / \sum_k d^{t-k}$: Adam's bias correction, carried along. $w_1 = 1$: no start is needed.
    """
    check_fraction("decay", decay)
    check_count("t", t)
    weight = (1 - decay) / (1 - decay**t)
    return tree_map(lambda a, theta: (1 - weight) * a + weight * theta, average, params)


@replaceable
def check_all_finite(what: str, tree: Tree) -> None:
    for path, leaf in named_leaves(tree):
        if not finite(leaf):
            raise FloatingPointError(f"{what} {path or 'params'} is not finite")
