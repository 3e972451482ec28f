"""Semi-autoregressive flows, whose blocks the backends take together where they share a map: the blocks one by one, again."""
from typing import Any

import autograd.numpy as anp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.reference.core.trees import Array, Tree
from evenflow.reference.saef.maps import BLOCK_MAPS, block_map_of
from evenflow.reference.saef.semiautoregressive import SAEF, FreeForm, saef
from evenflow.reference.scores import energy_score
from tests.agreement.backends import BACKENDS
from tests.agreement.comparison import agree, agreement, dtypes, few
from tests.agreement.test_bijections import in_dtype
from tests.strategies import generator, randomise, seeds

INVERTIBLE = tuple(name for name in BLOCK_MAPS if name != "free_form")
layouts = st.lists(st.integers(1, 3), min_size=1, max_size=4)


def made(name: str, sizes: list[int], apart: bool, context_dim: int, rng: Any) -> Any:
    """The map x = T(z) alone, its blocks in a shuffled order; `apart`: each has a map of its own, even where two are equal."""
    order = rng.permutation(sum(sizes)).tolist()
    model: Any = saef(sum(sizes), sizes, order, name, (6,), 4, (5,), 2, context_dim)
    whole = model if name == "free_form" else model.bijection
    if not apart:
        return whole
    kind = FreeForm if name == "free_form" else SAEF
    return kind(whole.blocks, tuple(block_map_of(name, k, 4, (5,), 2) for k in sizes), 4, (6,), context_dim)


def arguments(model: Any, rng: Any, n: int, **arrays: Array) -> dict[str, Any]:
    args = {"params": randomise(model.init(rng), rng), **arrays}
    if model.context_dim:
        args["context"] = rng.standard_normal((n, model.context_dim))
    return args


@agreement("saef.semiautoregressive.SAEF.inverse")
@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("name", INVERTIBLE)
@settings(few, max_examples=5)
@given(seeds, dtypes, layouts, st.booleans(), st.sampled_from([0, 2]), st.integers(1, 4))
def test_inverse(where: str, name: str, seed: int, dtype: Any, sizes: list[int], apart: bool, c: int, n: int) -> None:
    rng = generator(seed)
    model = made(name, sizes, apart, c, rng)
    args = arguments(model, rng, n, x=rng.standard_normal((n, model.d)))
    agree(where, lambda params, x, context=None: model.inverse(params, x, context), in_dtype(args, dtype))


@agreement("saef.semiautoregressive.SemiAutoregressive.forecasts")
@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("name", BLOCK_MAPS)
@settings(few, max_examples=5)
@given(seeds, dtypes, layouts, st.booleans(), st.sampled_from([0, 2]), st.integers(1, 4), st.integers(2, 4))
def test_forecasts(where: str, name: str, seed: int, dtype: Any, sizes: list[int], apart: bool, c: int, n: int, m: int) -> None:
    """In what parts they come is the backend's affair; what a score makes of all of them is not."""
    rng = generator(seed)
    model = made(name, sizes, apart, c, rng)
    args = arguments(model, rng, n, x=rng.standard_normal((n, model.d)), z=rng.standard_normal((m * n, model.d)))

    def scored(params: Tree, x: Array, z: Array, context: Array | None = None) -> Array:
        return sum(anp.sum(energy_score(draws, y, 1.5)) for draws, y in model.forecasts(params, x, z, context))

    agree(where, scored, in_dtype(args, dtype))
