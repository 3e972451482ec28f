"""Any tree of arrays, and when two are the same."""
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

DTYPES = st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.int8, np.bool_, np.complex128])
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
LEAVES = DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))
KEYS = st.text(max_size=6) | st.sampled_from(["a/b", "nesting", "leaf0", "é", "", ".npz", "..", "\x00", "\ud800"])
TREES = st.recursive(LEAVES, lambda t: st.lists(t, max_size=3) | st.dictionaries(KEYS, t, max_size=3), max_leaves=6)


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit: nesting, order of keys, dtypes, shapes, NaNs and signs of zero."""
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def example() -> Any:
    return {"layers": [{"W": np.arange(600.0).reshape(20, 30)}, {}], "n/s": np.array([7, 8]), "e": []}
