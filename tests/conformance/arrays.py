"""Arrays by name, nested or flat, in Python or in JSON.

An operation takes and gives arrays under flat names. Where they stand for a tree of parameters the name is the path:
`net/0/W`, `net/0/b`, `net/1/W` ... are the layers of one network, and `branch(inputs, "net")` is their list.
In JSON an array is {"dtype", "shape", "data"}: data in C order; "nan", "inf" and "-inf" as strings. JSON holds float64 exactly.
"""
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any                  # a NumPy array, or what a library takes for one
Arrays: TypeAlias = Mapping[str, Array]
DTYPES = ("float64", "float32")         # of an adapter; whole numbers, booleans and words stay what they are


def branch(arrays: Arrays, name: str) -> Any:
    """The arrays under `name/` as nested dicts and lists; None where there are none.

    An entry of a list that has no arrays, such as a layer without parameters, is {}; what follows the last array is not there.
    """
    parts = {key.removeprefix(f"{name}/"): value for key, value in arrays.items() if key.startswith(f"{name}/")}
    if not parts:
        return arrays.get(name)
    heads = dict.fromkeys(key.split("/")[0] for key in parts)
    tree = {head: branch(parts, head) for head in heads}
    if not all(head.isdigit() for head in heads):
        return tree
    return [tree.get(str(i), {}) for i in range(1 + max(map(int, tree)))]


def flat(name: str, tree: Any) -> dict[str, Array]:
    """The other way round: the leaves of a tree under flat names."""
    if isinstance(tree, Mapping):
        return {key: leaf for k, part in tree.items() for key, leaf in flat(f"{name}/{k}", part).items()}
    if isinstance(tree, list | tuple):
        return flat(name, {str(i): part for i, part in enumerate(tree)})
    return {name: tree}


def differentiable(array: Array) -> bool:
    """Floating-point arrays can be differentiated; a single number is a choice (a step size, beta), and never is."""
    array = np.asarray(array)
    return bool(array.dtype.kind == "f" and array.ndim > 0)


def of_dtype(arrays: Arrays, dtype: str) -> dict[str, np.ndarray]:
    """Copies, the floating-point ones in this dtype."""
    return {name: np.array(a, dtype if np.asarray(a).dtype.kind == "f" else None) for name, a in arrays.items()}


def encode(array: Array) -> dict[str, Any]:
    """As it stands in JSON."""
    array = np.asarray(array)
    kind = {"f": "float64", "i": "int64", "u": "int64", "b": "bool", "U": "str"}[array.dtype.kind]
    return {"dtype": kind, "shape": list(array.shape), "data": [number(v) for v in array.ravel().tolist()]}


def number(v: Any) -> Any:
    return str(v) if isinstance(v, float) and not math.isfinite(v) else v


def decode(document: Mapping[str, Any]) -> np.ndarray:
    """Back again. Raises ValueError where data and shape, or data and dtype, do not fit."""
    kind, shape, data = document["dtype"], tuple(document["shape"]), document["data"]
    if math.prod(shape) != len(data):
        raise ValueError(f"data must hold {math.prod(shape)} entries for the shape {shape}, got {len(data)}")
    expected: Any = {"float64": (int, float, str), "int64": int, "bool": bool, "str": str}[kind]
    for v in data:
        if not isinstance(v, expected) or (isinstance(v, bool) and kind != "bool"):
            raise ValueError(f"data must hold entries of {kind}, got {v!r}")
    return np.array([float(v) for v in data] if kind == "float64" else data, kind).reshape(shape)
