"""What of CuPy 14 the stand-in offers: the functions with CuPy's own signatures, and the ufuncs. Nothing else exists.

test_standin.py compares every line with the real CuPy where one can be imported. Not here on purpose: what CuPy lacks
(insert, delete, errstate, minimum.accumulate, `where=` in reductions) and what nobody has asked for yet.
"""
import inspect

SIGNATURES = {
    "all": "(a, axis=None, out=None, keepdims=False)",
    "allclose": "(a, b, rtol=1e-05, atol=1e-08, equal_nan=False)",
    "amax": "(a, axis=None, out=None, keepdims=False)",
    "amin": "(a, axis=None, out=None, keepdims=False)",
    "any": "(a, axis=None, out=None, keepdims=False)",
    "arange": "(start, stop=None, step=1, dtype=None)",
    "argmax": "(a, axis=None, dtype=None, out=None, keepdims=False)",
    "argmin": "(a, axis=None, dtype=None, out=None, keepdims=False)",
    "argsort": "(a, axis=-1, kind=None)",
    "argwhere": "(a)",
    "array_equal": "(a1, a2, equal_nan=False)",
    "array_split": "(ary, indices_or_sections, axis=0)",
    "astype": "(x, dtype, /, *, copy=True)",
    "bincount": "(x, weights=None, minlength=None)",
    "broadcast_to": "(array, shape)",
    "clip": "(a, a_min, a_max, out=None)",
    "concatenate": "(tup, axis=0, out=None, *, dtype=None, casting='same_kind')",
    "copy": "(a, order='K')",
    "copyto": "(dst, src, casting='same_kind', where=None)",
    "count_nonzero": "(a, axis=None)",
    "cumsum": "(a, axis=None, dtype=None, out=None)",
    "diag": "(v, k=0)",
    "diagonal": "(a, offset=0, axis1=0, axis2=1)",
    "diff": "(a, n=1, axis=-1, prepend=None, append=None)",
    "dot": "(a, b, out=None)",
    "einsum": "(*operands, **kwargs)",
    "empty": "(shape, dtype=float, order='C')",
    "empty_like": "(prototype, dtype=None, order='K', subok=None, shape=None)",
    "expand_dims": "(a, axis)",
    "eye": "(N, M=None, k=0, dtype=float, order='C')",
    "fft.irfft": "(a, n=None, axis=-1, norm=None)",
    "fft.rfft": "(a, n=None, axis=-1, norm=None)",
    "flatnonzero": "(a)",
    "flip": "(a, axis=None)",
    "full": "(shape, fill_value, dtype=None, order='C')",
    "full_like": "(a, fill_value, dtype=None, order='K', subok=None, shape=None)",
    "iscomplexobj": "(x)",
    "isneginf": "(x, out=None)",
    "linalg.cholesky": "(a)",
    "linalg.inv": "(a)",
    "linalg.norm": "(x, ord=None, axis=None, keepdims=False)",
    "linalg.slogdet": "(a)",
    "linalg.solve": "(a, b)",
    "linalg.svd": "(a, full_matrices=True, compute_uv=True)",
    "linspace": "(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0)",
    "max": "(a, axis=None, out=None, keepdims=False)",
    "may_share_memory": "(a, b, max_work=None)",
    "mean": "(a, axis=None, dtype=None, out=None, keepdims=False)",
    "median": "(a, axis=None, out=None, overwrite_input=False, keepdims=False)",
    "min": "(a, axis=None, out=None, keepdims=False)",
    "moveaxis": "(a, source, destination)",
    "nan_to_num": "(x, copy=True, nan=0.0, posinf=None, neginf=None)",
    "ndim": "(a)",
    "nonzero": "(a)",
    "ones": "(shape, dtype=float, order='C')",
    "ones_like": "(a, dtype=None, order='K', subok=None, shape=None)",
    "prod": "(a, axis=None, dtype=None, out=None, keepdims=False)",
    "ptp": "(a, axis=None, out=None, keepdims=False)",
    "quantile": "(a, q, axis=None, out=None, overwrite_input=False, method='linear', keepdims=False, *, interpolation=None)",
    "ravel": "(a, order='C')",
    "real": "(val)",
    "repeat": "(a, repeats, axis=None)",
    "reshape": "(a, newshape, order='C', *, copy=None)",
    "result_type": "(*arrays_and_dtypes)",
    "roll": "(a, shift, axis=None)",
    "searchsorted": "(a, v, side='left', sorter=None)",
    "shape": "(a)",
    "size": "(a, axis=None)",
    "sort": "(a, axis=-1, kind=None)",
    "split": "(ary, indices_or_sections, axis=0)",
    "squeeze": "(a, axis=None)",
    "stack": "(tup, axis=0, out=None, *, dtype=None, casting='same_kind')",
    "std": "(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False)",
    "sum": "(a, axis=None, dtype=None, out=None, keepdims=False)",
    "swapaxes": "(a, axis1, axis2)",
    "take": "(a, indices, axis=None, out=None)",
    "take_along_axis": "(a, indices, axis)",
    "tile": "(A, reps)",
    "trace": "(a, offset=0, axis1=0, axis2=1, dtype=None, out=None)",
    "transpose": "(a, axes=None)",
    "tri": "(N, M=None, k=0, dtype=float)",
    "tril": "(m, k=0)",
    "triu": "(m, k=0)",
    "unique": "(ar, return_index=False, return_inverse=False, return_counts=False, axis=None, *, equal_nan=True)",
    "var": "(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False)",
    "where": "(condition, x=None, y=None)",
    "zeros": "(shape, dtype=float, order='C')",
    "zeros_like": "(a, dtype=None, order='K', subok=None, shape=None)",
}

SPECIAL = {  # written out in standin.py
    "array": "(obj, dtype=None, copy=True, order='K', subok=False, ndmin=0, *, blocking=False)",
    "asarray": "(a, dtype=None, order=None, *, copy=None, blocking=False)",
    "ascontiguousarray": "(a, dtype=None)",
    "asnumpy": "(a, stream=None, order='C', out=None, *, blocking=True)",
}


def words(text: str) -> list[str]:
    return text.split()


UFUNCS = words("""
    absolute add arccos arcsin arctan arctan2 bitwise_and bitwise_or bitwise_xor ceil conjugate copysign cos cosh divide equal
    arcsinh exp exp2 expm1 floor floor_divide fmax fmin greater greater_equal hypot invert isfinite isinf isnan ldexp less
    less_equal log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor matmul maximum minimum multiply
    negative not_equal positive power reciprocal remainder rint sign signbit sin sinh sqrt square subtract tan tanh trunc
""")
ALIASES = {"abs": "absolute", "mod": "remainder", "true_divide": "divide", "conj": "conjugate"}

REDUCED = {"add": "sum", "multiply": "prod"}          # the only ufuncs with .reduce, and the function it stands for
ACCUMULATED = {"add": "cumsum"}                       # and with .accumulate
CONSTANTS = words("float32 float64 int32 int64 uint8 uint32 uint64 bool_ dtype newaxis pi inf nan finfo")
SCATTERED = {"add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor"}  # and with .at


def signature(text: str) -> inspect.Signature:
    """"(a, axis=None)" -> the signature it spells."""
    return inspect.signature(eval(f"lambda {text[1:-1]}: None"))
