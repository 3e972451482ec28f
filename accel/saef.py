"""Semi-autoregressive flows: blocks that share one map go through it together, as one batch of n times as many rows."""
from typing import Any, NamedTuple

import autograd.numpy as anp

from evenflow.accel.core.matrices import Table, cut, joined
from evenflow.accel.flows.compose import through
from evenflow.reference.core import Array, Tree, check_shape
from evenflow.reference.core.dispatch import definitions
from evenflow.reference.flows import Bijection, Chain
from evenflow.reference.flows.contract import check_input, draws_each
from evenflow.reference.saef.semiautoregressive import SAEF, SemiAutoregressive


class Group(NamedTuple):
    """The blocks that share one map."""
    T: Any
    params: Tree
    which: list[int]
    members: Table     # their coordinates, block after block


def groups(saef: SemiAutoregressive, params: Tree) -> list[Group]:
    """One for each different map."""
    found = []
    for T, p in zip(saef.different, params["maps"], strict=True):
        which = [b for b, T_b in enumerate(saef.maps) if T_b is T]
        found.append(Group(T, p, which, tuple(i for b in which for i in saef.blocks[b])))
    return found


def contexts(saef: SemiAutoregressive, params: Tree, x: Array, context: Array | None, parts: list[Group]) -> list[Array]:
    """Those of each group's blocks, one block after the other for each datum: (n B_k, w)."""
    n, w, h = x.shape[0], saef.context_width, saef.contexts(params, x, context)
    if len(parts) == 1:
        return [anp.reshape(h, (-1, w))]
    tables = [tuple(b * w + i for b in part.which for i in range(w)) for part in parts]
    return [anp.reshape(h_k, (-1, w)) for h_k in cut(anp.reshape(h, (n, len(saef.blocks) * w)), tables)]


def forecasts(
    saef: SemiAutoregressive, params: Tree, x: Array, z: Array, context: Array | None = None
) -> list[tuple[Array, Array]]:
    """The same draws and data, as many pairs as there are different maps: (m, n B_k, k) and (n B_k, k).

    Without a condition block 1 stands alone, its draws shared: (m n, k) and (n, k).
    """
    check_input(saef, "x", x, context)
    check_shape("noise", z, "m n", saef.d)
    m, n, pairs, parts = draws_each(z, x), x.shape[0], [], groups(saef, params)
    tables = [part.members for part in parts]
    each = zip(parts, contexts(saef, params, x, context, parts), cut(z, tables), cut(x, tables), strict=True)
    for part, h, z_k, y in each:
        k, wide = part.T.d, len(part.members)
        draws = draws_of(part.T, part.params, anp.reshape(z_k, (m, n * len(part.which), k)), h)
        if context is None and part.which[0] == 0:
            first, rest = tuple(range(k)), tuple(range(k, wide))
            (draws, *later), (y, *y_later) = (
                cut(anp.reshape(a, (rows, wide)), [first, rest] if rest else [first]) for a, rows in ((draws, m * n), (y, n))
            )
            pairs.append((draws, y))
            if not rest:
                continue
            draws, y = anp.reshape(later[0], (m, n * (len(part.which) - 1), k)), y_later[0]
        pairs.append((draws, anp.reshape(y, (-1, k))))
    return pairs


def inverse(saef: SAEF, params: Tree, x: Array, context: Array | None = None) -> tuple[Array, Array]:
    """saef.semiautoregressive.SAEF.inverse."""
    check_input(saef, "x", x, context)
    n, images, log_det, parts = x.shape[0], [], 0.0, groups(saef, params)
    tables = [part.members for part in parts]
    for part, h, x_k in zip(parts, contexts(saef, params, x, context, parts), cut(x, tables), strict=True):
        z_k, change = part.T.inverse(part.params, anp.reshape(x_k, (-1, part.T.d)), h)
        images.append(anp.reshape(z_k, (n, len(part.members))))
        log_det = log_det + anp.sum(anp.reshape(change, (n, len(part.which))), axis=1)
    return joined(images, tables), log_det


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
