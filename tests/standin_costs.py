"""What CuPy 14 refuses that NumPy allows, and how many launches a call takes. Read standin.py first.

The numbers are read off CuPy's source: one for an elementwise operation, a reduction or a fill; more for what CuPy puts
together in Python. For cuSOLVER and sorting they are estimates, good for noticing that such a call is there.
"""
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tests import standin_count as count
from tests import standin_graph as graph

CREATION = {"zeros", "ones", "full", "empty", "eye", "arange", "linspace", "tri"}
SYNCHRONISING = {"nonzero", "flatnonzero", "argwhere", "unique", "bincount"}
JOINING = {"concatenate", "stack"}
LIBRARIES = {  # cuBLAS, cuSOLVER, thrust
    "dot", "einsum", "sort", "argsort", "median", "quantile", "linalg.norm", "linalg.solve", "linalg.inv", "linalg.cholesky",
    "linalg.svd", "linalg.slogdet",
}
LAUNCHES = {
    "empty": 0, "empty_like": 0, "eye": 2, "diag": 2, "tril": 2, "triu": 2, "linspace": 2, "var": 2, "std": 3, "ptp": 3,
    "sort": 2, "argsort": 2, "median": 4, "quantile": 8, "unique": 8, "nonzero": 4, "flatnonzero": 4, "argwhere": 4,
    "bincount": 4, "allclose": 4, "array_equal": 2, "einsum": 3, "isneginf": 3, "linalg.norm": 3, "linalg.solve": 5,
    "linalg.inv": 6, "linalg.cholesky": 4, "linalg.svd": 6, "linalg.slogdet": 15,
}


def arrays(arguments: Any, kind: type) -> Iterator[Any]:
    """The device arrays among the arguments, inside lists and tuples too."""
    for x in arguments:
        if isinstance(x, list | tuple):
            yield from arrays(x, kind)
        elif isinstance(x, dict):
            yield from arrays(x.values(), kind)
        elif isinstance(x, kind):
            yield x


def check_and_count(name: str, arguments: Mapping[str, Any], operands: tuple[Any, ...]) -> int:
    """Raise TypeError or ValueError for what CuPy refuses; else count the synchronisations and return the launches."""
    if not operands and name not in CREATION | {"result_type"}:
        raise TypeError(f"{name}: Unsupported type, there is no device array among the arguments")
    if arguments.get("subok") is not None:
        raise TypeError("subok is not supported yet")
    if "order" in arguments and not isinstance(arguments["order"], str):
        raise TypeError(f"{name}: object of type {type(arguments['order'])} has no len()")  # CuPy takes len(order)
    if arguments.get("kind") not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")
    if name in JOINING and len(operands) != len(arguments["tup"]) + (arguments.get("out") is not None):
        raise TypeError("Only cupy arrays can be concatenated")
    if name == "where" and not hasattr(arguments["condition"], "astype"):
        raise AttributeError(f"{type(arguments['condition'])} object has no attribute 'astype'")
    if name == "linalg.solve":
        check_solve(*(arguments[key].shape for key in "ab"))
    if name in LIBRARIES:
        graph.refuse(graph.LIBRARY)
    if name in JOINING and len(operands) > 1:
        graph.refuse(count.UPLOAD)
    if name in SYNCHRONISING or (name == "where" and "x" not in arguments):
        count.synchronised()
    return launches_of(name, arguments, operands)


def launches_of(name: str, arguments: Mapping[str, Any], operands: tuple[Any, ...]) -> int:
    if name in JOINING:
        return len(operands) if len(operands) <= 8 else 1  # a copy for each, or one kernel for many
    if name == "where":
        return 1 + int(operands[0].dtype.kind != "b")
    if name == "take_along_axis":
        return 2 * int(operands[0].ndim) + 1
    if name == "dot":
        return matmul(*operands[:2])
    if name in ("sort", "argsort") and arguments.get("axis", -1) not in (-1, operands[0].ndim - 1):
        return 4 if name == "sort" else 2
    return LAUNCHES.get(name, 1)


def matmul(a: Any, b: Any) -> int:
    """One product; a copy of every operand that cuBLAS cannot read as it lies, or whose dtype is not the other's."""
    if a.ndim == b.ndim == 1:
        return 2  # a product and a sum
    lies_well = "c_contiguous" if max(a.ndim, b.ndim) > 2 else "forc"
    return 1 + sum(not getattr(x.flags, lies_well) for x in (a, b)) + int(a.dtype != b.dtype)


def check_solve(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    if a[:-1] != b[:-1] and not (len(b) == 1 and a[-1] == b[0]):
        raise ValueError(f"a must have (..., M, M) shape and b must have (..., M, K), got {a} and {b}")


def index(given: Any, kind: type) -> tuple[tuple[Any, ...], int, bool]:
    """NumPy's form of an index, how many launches it takes (0: a view), and whether there is a mask in it."""
    at: list[Any] = []
    found: list[np.ndarray] = []
    for part in given if isinstance(given, tuple) else (given,):
        whole = isinstance(part, int | np.integer) and not isinstance(part, bool)
        if part is None or part is Ellipsis or isinstance(part, slice) or whole:
            at.append(part)
            continue
        if isinstance(part, kind):
            part = part._host  # type: ignore[attr-defined]
        else:  # CuPy takes lists and host arrays here, and sends them over
            count.uploaded()
            part = np.asarray(part, dtype=np.int32 if isinstance(part, list | tuple) and not len(part) else None)
        if part.dtype.kind not in "iub":
            raise IndexError(f"arrays used as indices must be of integer or boolean type (actual: {part.dtype})")
        at.append(part)
        found.append(part)
    masks = sum(part.dtype.kind == "b" for part in found)
    if masks > 1:
        raise IndexError("CuPy takes one boolean array in an index")
    launches = 3 * masks if len(found) <= masks else (1 if len(found) == 1 else len(found) + 2 + 2 * masks)
    return tuple(at), launches, masks > 0


def uninitialised(shape: Any, dtype: Any = float, order: Any = "C") -> Any:
    """What `empty` gives: NaN or an odd number, so that nobody reads it unnoticed."""
    array = np.empty(shape, dtype, order=order)
    array.fill({"f": np.nan, "c": np.nan, "b": True}.get(array.dtype.kind, 99))
    return array


def uninitialised_like(prototype: Any, dtype: Any = None, order: Any = "K", subok: Any = None, shape: Any = None) -> Any:
    like = np.empty_like(prototype, dtype, order, shape=shape)
    like[...] = uninitialised((), like.dtype)
    return like


def silent(name: str) -> Callable[..., Any]:
    """cuSOLVER raises nothing where a matrix is singular: NaN stands for what it leaves."""
    def compute(*given: Any) -> Any:
        try:
            return getattr(np.linalg, name)(*given)
        except np.linalg.LinAlgError:
            return np.full_like(given[-1], np.nan)

    return compute


SPECIAL: dict[str, Callable[..., Any]] = {  # where NumPy's own function answers otherwise
    "empty": uninitialised,
    "empty_like": uninitialised_like,
    "argsort": lambda a, axis=-1, kind=None: np.argsort(a, axis=axis, kind="stable"),
    "sort": lambda a, axis=-1, kind=None: np.sort(a, axis=axis, kind="stable"),
    "array_equal": lambda *given: np.asarray(np.array_equal(*given)),
    "allclose": lambda *given, **named: np.asarray(np.allclose(*given, **named)),
    "count_nonzero": lambda a, axis=None: np.asarray(np.count_nonzero(a, axis=axis)),
    "linalg.slogdet": lambda a: tuple(np.linalg.slogdet(a)),
    "linalg.svd": lambda *given, **named: tuple(np.linalg.svd(*given, **named)),
    "linalg.solve": silent("solve"), "linalg.inv": silent("inv"), "linalg.cholesky": silent("cholesky"),
}
