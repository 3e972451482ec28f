"""The functions that test_autodiff.py differentiates: all that the models use, in the ways they use them."""
from collections.abc import Callable
from typing import Any

import autograd.numpy as np
import numpy as onp
from autograd import make_vjp

Function = Callable[[Any], Any]
DTYPES = [onp.float32, onp.float64]

# f(x) of x (3, 4); where a function has a domain or a kink, x is moved off it
CASES: dict[str, Function] = {
    "add": lambda x: x + x[0], "subtract": lambda x: 2.0 - x, "multiply": lambda x: x * x[:, :1],
    "divide": lambda x: x / (2.0 + x * x), "product of one row": lambda x: (x[:1] * x[:, :1])[0], "matmul": lambda x: x @ x.T,
    "matrix and vector": lambda x: x @ x[0], "stacked matmul": lambda x: x[:, None] @ x.T, "square": lambda x: x**2,
    "cube": lambda x: x**3, "to the 0": lambda x: x**0, "root": lambda x: np.abs(x) ** 0.5,
    "power of arrays": lambda x: (1.0 + x * x) ** x, "number to the power": lambda x: 2.0**x, "exp": np.exp,
    "log": lambda x: np.log(1.0 + x * x), "sqrt": lambda x: np.sqrt(1.0 + x * x), "sin": np.sin, "cos": np.cos, "tanh": np.tanh,
    "abs": np.abs, "negative": lambda x: -x, "logaddexp": lambda x: np.logaddexp(x, 0.0),
    "logaddexp of two": lambda x: np.logaddexp(x, x[0]), "mod": lambda x: np.mod(x + 3.1, 6.2) - 3.1,
    "floor": lambda x: x * np.floor(x), "maximum": lambda x: np.maximum(x, 0.3),
    "minimum": lambda x: np.minimum(x[:, :2], x[:1, 2:]), "ties": lambda x: np.maximum(x, x * 1.0),
    "clip": lambda x: np.clip(x, -0.5, 0.5), "where": lambda x: np.where(x > 0, x, 0.0),
    "where, both": lambda x: np.where(x > 0, x * x, x), "where, a row": lambda x: np.where(x > 0, x[:1], x[:, :1]),
    "product with a mask": lambda x: x * (x > 0), "sum": np.sum, "sum of an axis": lambda x: np.sum(x, axis=0) * 2.0,
    "sum, kept": lambda x: np.sum(x, axis=-1, keepdims=True) * x, "sum of axes": lambda x: np.sum(x[:, None] * x, axis=(0, -1)),
    "mean": np.mean, "mean of an axis": lambda x: np.mean(x * x, axis=1), "var": lambda x: np.var(x, axis=0),
    "var, all": np.var, "std": lambda x: np.std(x, axis=1, ddof=1), "prod": lambda x: np.prod(x, axis=1),
    "max": lambda x: np.max(x, axis=1), "max, kept": lambda x: np.max(x, axis=0, keepdims=True), "min, all": np.min,
    "ties of max": lambda x: np.max(np.concatenate([x, x]), axis=0), "cumsum": lambda x: np.cumsum(x, axis=-1),
    "cumsum, rows": lambda x: np.cumsum(x, axis=0), "cumsum, flat": np.cumsum, "reshape": lambda x: np.reshape(x * x, (2, -1)),
    "reshape method": lambda x: (x * x).reshape(4, 3), "ravel": lambda x: np.ravel(x) ** 2,
    "transpose": lambda x: np.transpose(x) * 2.0, "T": lambda x: x.T ** 2, "swapaxes": lambda x: np.swapaxes(x, 0, 1) * x.T,
    "squeeze": lambda x: np.squeeze(x[:, :1], -1) ** 2, "expand_dims": lambda x: np.expand_dims(x, 1) * x,
    "broadcast_to": lambda x: np.broadcast_to(x[:1], (3, 4)) * x, "split": lambda x: np.split(x, 2, axis=-1)[1] ** 2,
    "split at": lambda x: sum(part.sum() for part in np.split(x * x, [1, 3], axis=1)),
    "concatenate": lambda x: np.concatenate([x, x * x, x[:1]]),
    "concatenate, columns": lambda x: np.concatenate([x, x[:, :1]], axis=-1) ** 2,
    "stack": lambda x: np.stack([x, x * x], axis=1), "array": lambda x: np.array([x[0, 0], x[1, 1] ** 2]),
    "repeat": lambda x: np.repeat(x, 2, axis=0) ** 2, "tile": lambda x: np.tile(x, (2, 1)) ** 2,
    "roll": lambda x: np.roll(x, 1, axis=0) * x, "tril": lambda x: np.tril(x, -1) ** 2, "triu": lambda x: np.triu(x, 1) ** 2,
    "slice": lambda x: x[1:, ::2] ** 2, "row": lambda x: x[1] ** 2, "entry": lambda x: x[2, 3] ** 2,
    "new axis": lambda x: x[..., None] ** 2, "backwards": lambda x: x[::-1] * x, "list": lambda x: x[:, [3, 0, 0]] ** 2,
    "empty list": lambda x: x[[]], "two lists": lambda x: x[[0, 2, 0], [1, 1, 1]] ** 2,
    "array of indices": lambda x: x[onp.array([1, 1, 2])] ** 2, "mask": lambda x: x[onp.array([True, False, True])] ** 2,
    "own order": lambda x: np.sum(x[np.argsort(x[:, 0])] * x[0]), "astype": lambda x: (x * x).astype(x.dtype),
    "zeros_like": lambda x: x + np.zeros_like(x[:1]),
    "solve": lambda x: np.linalg.solve(x[:, :3] @ x[:, :3].T + x[:, 1:].T @ x[:, 1:], x),
    "slogdet": lambda x: np.linalg.slogdet(x @ x.T)[1], "einsum": lambda x: np.einsum("ij,kj->ik", x, x * x),
    "a dead end": lambda x: x * np.argmax(x, axis=0),
    "einsum, broadcast behind": lambda x: np.einsum(x[:, 0], [0, ...], x * x, [0, ...], [0, ...]),
    "through complex numbers": lambda x: np.real(x * (1.0 + 2.0j) * x),
}
WRONG = {"where, a row"}  # autograd as it comes forgets that where broadcasts
X = onp.random.default_rng(0).uniform(0.2, 2.0, (3, 4)) * onp.random.default_rng(1).choice([-1.0, 1.0], (3, 4))


def gradients(x: Any) -> dict[str, Any]:
    return {name: make_vjp(f)(x)[0](weights(f(x))) for name, f in CASES.items() if name not in WRONG}


def weights(y: Any) -> Any:
    return 0.5 * y + 1.0
