r"""The invertible dense layer, with its matrix free or factored.

$$x = W z + b + C c, \qquad \log |\det dx/dz| = \log |\det W|$$

`Dense` holds W itself: the determinant costs $O(d^3)$ (slogdet), the inverse a linear solve. `PLU` holds $W = P L U$ with a
fixed permutation P, L unit lower and U upper triangular with a positive diagonal (Kingma & Dhariwal 2018, eq. 10-11):
$\log |\det W| = \sum_i \log U_{ii}$ costs $O(d)$, and W cannot become singular. The context c moves the shift alone.
Training by a score uses x alone: the determinant is then computed, but never differentiated.
"""
from dataclasses import dataclass

import autograd.numpy as np
import numpy as onp

from evenflow.reference.core import Array, Tree, arrays, beside, bounded, check_count, check_shape, replaceable, take
from evenflow.reference.flows.contract import check_input
from evenflow.reference.flows.permutation import Permutation


@arrays("z", "W", "shift")
def dense(z: Array, W: Array, shift: Array) -> tuple[Array, Array]:
    """z (n, d), W (d, d), shift (n, d) -> x (n, d), log_det (n,).

    >>> dense(np.ones((1, 2)), np.array([[0.0, 1.0], [-1.0, 0.0]]), np.zeros((1, 2)))
    (array([[ 1., -1.]]), array([0.]))
    """
    check_shape("z", z, "n", "d")
    check_shape("W", W, z.shape[1], z.shape[1])
    check_shape("shift", shift, *z.shape)
    return applied(W, z) + shift, log_abs_det(W) + np.zeros_like(z[:, 0])


@arrays("x", "W", "shift")
def dense_inverse(x: Array, W: Array, shift: Array) -> tuple[Array, Array]:
    """The way back. Raises numpy.linalg.LinAlgError where W is singular.

    >>> dense_inverse(np.ones((1, 2)), 2 * np.eye(2), np.zeros((1, 2)))[0]
    array([[0.5, 0.5]])
    """
    check_shape("x", x, "n", "d")
    check_shape("W", W, x.shape[1], x.shape[1])
    check_shape("shift", shift, *x.shape)
    z = solved(W, x - shift)
    return z, np.zeros_like(x[:, 0]) - log_abs_det(W)


@replaceable
def log_abs_det(W: Array) -> Array:
    """log |det W|."""
    return np.linalg.slogdet(W)[1]


@replaceable
def applied(W: Array, z: Array) -> Array:
    """W z for each row: z (n, k), W (d, k) -> (n, d)."""
    return z @ W.T


@replaceable
def solved(W: Array, y: Array) -> Array:
    """The rows z (n, d) for which W z = y (n, d)."""
    return np.linalg.solve(W, y.T).T


@dataclass(frozen=True)
class Dense:
    """A dense layer with a free matrix; starts as a random rotation.

    >>> params = Dense(2).init(onp.random.default_rng(0))
    >>> bool(np.allclose(params["W"] @ params["W"].T, np.eye(2)))
    True
    """
    d: int
    context_dim: int = 0

    def __post_init__(self) -> None:
        check_count("d", self.d)
        check_count("context_dim", self.context_dim, least=0)

    def init(self, rng: onp.random.Generator) -> Tree:
        W = onp.linalg.qr(rng.standard_normal((self.d, self.d)))[0]
        return {"W": W, **init_shift(rng, self.d, self.context_dim)}

    @arrays("z", "context")
    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "z", z, context)
        return dense(z, params["W"], shift(params, z, context))

    @arrays("x", "context")
    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "x", x, context)
        return dense_inverse(x, params["W"], shift(params, x, context))


@dataclass(frozen=True)
class PLU(Permutation):
    """A dense layer W = P L U. `order` is P: row i of W is row order[i] of L U. Starts at L = U = identity.

    >>> layer = PLU((1, 0))
    >>> layer.forward(layer.init(onp.random.default_rng(0)), np.array([[1.0, 2.0]]))[0]
    array([[2., 1.]])
    """

    def init(self, rng: onp.random.Generator) -> Tree:
        triangles = {name: onp.zeros((self.d, self.d)) for name in ("lower", "upper")}
        return {**triangles, "log_diagonal": onp.zeros(self.d), **init_shift(rng, self.d, self.context_dim)}

    @arrays("z", "context")
    def forward(self, params: Tree, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "z", z, context)
        L, U, log_diagonal = factors(params)
        x = take(applied(L, applied(U, z)), self.order) + shift(params, z, context)
        return x, np.sum(log_diagonal) + np.zeros_like(z[:, 0])

    @arrays("x", "context")
    def inverse(self, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        check_input(self, "x", x, context)
        L, U, log_diagonal = factors(params)
        y = take(x - shift(params, x, context), onp.argsort(self.order).tolist())
        z = solved(U, solved(L, y))
        return z, np.zeros_like(x[:, 0]) - np.sum(log_diagonal)


def factors(params: Tree) -> tuple[Array, Array, Array]:
    """L, U and log diag(U) from the learned squares, of which one triangle each is used."""
    one = beside(onp.eye(params["log_diagonal"].shape[0], dtype=bool), params["log_diagonal"])
    log_diagonal = bounded(params["log_diagonal"])
    return np.tril(params["lower"], -1) + one, np.triu(params["upper"], 1) + one * np.exp(log_diagonal), log_diagonal


def init_shift(rng: onp.random.Generator, d: int, context_dim: int) -> Tree:
    params = {"b": onp.zeros(d)}
    if context_dim:
        params["C"] = rng.standard_normal((context_dim, d)) / onp.sqrt(context_dim)
    return params


def shift(params: Tree, like: Array, context: Array | None) -> Array:
    """b + C c for each row."""
    b = params["b"] + np.zeros_like(like)
    return b if context is None else b + applied(np.transpose(params["C"]), context)
