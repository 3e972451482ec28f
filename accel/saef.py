"""Semi-autoregressive flows: blocks that share one map go through it together, as one batch of n times as many rows."""
from collections.abc import Iterator
from typing import Any

import autograd.numpy as anp
import numpy as np

from evenflow.accel.flows.compose import through
from evenflow.reference.core import Array, Tree, check_shape
from evenflow.reference.core.dispatch import definitions
from evenflow.reference.flows import Bijection, Chain
from evenflow.reference.flows.contract import check_input, draws_each
from evenflow.reference.saef.semiautoregressive import SAEF, SemiAutoregressive


def groups(saef: SemiAutoregressive, params: Tree, h: Array) -> Iterator[tuple[Any, Tree, Array, Array]]:
    """For each different map: itself, its parameters, the coordinates (B_k, k) and contexts (n, B_k, w) of its blocks."""
    for T, p in zip(saef.different, params["maps"], strict=True):
        which = [b for b, T_b in enumerate(saef.maps) if T_b is T]
        yield T, p, np.array([saef.blocks[b] for b in which]), h if len(which) == len(saef.blocks) else h[:, which]


def forecasts(
    saef: SemiAutoregressive, params: Tree, x: Array, z: Array, context: Array | None = None
) -> list[tuple[Array, Array]]:
    """The same draws and data, as many pairs as there are different maps: (m, n B_k, k) and (n B_k, k).

    Without a condition block 1 stands alone, its draws shared: (m n, k) and (n, k).
    """
    check_input(saef, "x", x, context)
    check_shape("noise", z, "m n", saef.d)
    m, n = draws_each(z, x), x.shape[0]
    z, pairs = anp.reshape(z, (m, n, saef.d)), []
    for T, p, members, h in groups(saef, params, saef.contexts(params, x, context)):
        rows, k = n * len(members), T.d
        draws = draws_of(T, p, anp.reshape(z[:, :, members], (m, rows, k)), anp.reshape(h, (rows, saef.context_width)))
        y = anp.reshape(x[:, members], (n, len(members), k))
        if context is None and members[0].tolist() == list(saef.blocks[0]):
            draws = anp.reshape(draws, (m, n, len(members), k))
            pairs.append((anp.reshape(draws[:, :, 0], (m * n, k)), y[:, 0]))
            draws, y = anp.reshape(draws[:, :, 1:], (m, rows - n, k)), y[:, 1:]
        if y.shape[1]:
            pairs.append((draws, anp.reshape(y, (y.shape[0] * y.shape[1], k))))
    return pairs


def inverse(saef: SAEF, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
    """saef.semiautoregressive.SAEF.inverse."""
    check_input(saef, "x", x, context)
    n, parts, coordinates, log_det = x.shape[0], [], [], 0.0
    for T, p, members, h in groups(saef, params, saef.contexts(params, x, context)):
        rows, k = n * len(members), T.d
        x_b = anp.reshape(x[:, members], (rows, k))
        z_b, change = T.inverse(p, x_b, anp.reshape(h, (rows, saef.context_width)))
        parts.append(anp.reshape(z_b, (n, members.size)))
        coordinates += members.ravel().tolist()
        log_det = log_det + anp.sum(anp.reshape(change, (n, len(members))), axis=1)
    return anp.concatenate(parts, axis=1)[:, np.argsort(coordinates).tolist()], log_det


def draws_of(T: Bijection, params: Tree, z: Array, h: Array) -> Array:
    """saef.semiautoregressive.draws_of: the context h (rows, c) is shared by the m draws z (m, rows, k)."""
    done = through(T, params, z.reshape(-1, z.shape[2]), h, False) if type(T) is Chain and T.context_dim else None
    if done is None:
        return definitions["saef.semiautoregressive.draws_of"](T, params, z, h)
    return done[0].reshape(z.shape)


REPLACEMENTS: dict[str, Any] = {
    "saef.semiautoregressive.SemiAutoregressive.forecasts": forecasts, "saef.semiautoregressive.SAEF.inverse": inverse,
    "saef.semiautoregressive.draws_of": draws_of,
}
